//! Provider realms in the durable store, and whose identities they vouched for.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Durable, Writing, failed, number, signed, time, unsigned};
use crate::domain::{PrincipalId, RealmId, Timestamp};
use crate::store::StoreError;

/// A provider realm, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmRow {
    /// Its id.
    pub id: RealmId,
    /// Its document as JSON; `None` once it was taken away.
    pub document: Option<String>,
    /// Number of the change that made it so; each change of any realm has a higher one.
    pub revision: u64,
    /// Who changed it.
    pub changed_by: PrincipalId,
    /// When.
    pub changed_at: Timestamp,
}

/// An identity at a provider, and the subject here that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// Keyed hash of issuer and subject, hex.
    pub identity: String,
    /// The realm by which it came first.
    pub realm: String,
    /// The subject here.
    pub subject: String,
    /// When it was linked.
    pub linked_at: Timestamp,
    /// When it was last used.
    pub seen_at: Timestamp,
}

impl std::fmt::Debug for LinkRow {
    /// Neither identity nor subject.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LinkRow").field("realm", &self.realm).finish_non_exhaustive()
    }
}

const NEXT: &str = "(SELECT COALESCE(MAX(revision), 0) + 1 FROM realm)";

impl Durable {
    /// The highest revision of any realm; 0 when there was never one.
    pub async fn realms_revision(&self) -> Result<u64, StoreError> {
        let work = sqlx::query_scalar("SELECT COALESCE(MAX(revision), 0) FROM realm").fetch_one(self.reader().await?);
        unsigned(self.asked(work).await?)
    }

    /// All realms by id, those taken away too. There are as many as a country has identity platforms.
    pub async fn realms(&self) -> Result<Vec<RealmRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM realm ORDER BY id").fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(realm).collect()
    }

    /// The subject that an identity belongs to; notes that it was used.
    pub async fn linked_subject(&self, identity: &str, now: Timestamp) -> Result<Option<String>, StoreError> {
        let used = "UPDATE linked_identity SET seen_at = $2 WHERE identity = $1 RETURNING subject";
        let work = sqlx::query_scalar(used).bind(identity).bind(number(now)).fetch_optional(self.writer().await?);
        self.asked(work).await
    }

    /// Links an identity to a subject. `false` when it is linked already, to whomever.
    pub async fn link(&self, link: &LinkRow) -> Result<bool, StoreError> {
        let insert = "INSERT INTO linked_identity (identity, realm, subject, linked_at, seen_at) \
                      VALUES ($1, $2, $3, $4, $5) ON CONFLICT (identity) DO NOTHING";
        let work = sqlx::query(insert)
            .bind(&link.identity)
            .bind(&link.realm)
            .bind(&link.subject)
            .bind(number(link.linked_at))
            .bind(number(link.seen_at))
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// The identities of a subject, the first linked first.
    pub async fn links_of(&self, subject: &str) -> Result<Vec<LinkRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM linked_identity WHERE subject = $1 ORDER BY linked_at, identity")
            .bind(subject)
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(link).collect()
    }

    /// Takes an identity from a subject. `false` when it has none of that name.
    pub async fn unlink(&self, subject: &str, identity: &str) -> Result<bool, StoreError> {
        let work = sqlx::query("DELETE FROM linked_identity WHERE subject = $1 AND identity = $2")
            .bind(subject)
            .bind(identity)
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }
}

impl Writing {
    /// All realms by id, as they are while nobody else changes them.
    pub async fn realms(&mut self) -> Result<Vec<RealmRow>, StoreError> {
        self.all(sqlx::query("SELECT * FROM realm ORDER BY id")).await?.iter().map(realm).collect()
    }

    /// Writes a realm where it has revision `was` (0: where it never was). `Ok(false)`: it has another one.
    pub async fn write_realm(
        &mut self,
        id: &RealmId,
        document: Option<&str>,
        was: u64,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let change = if was == 0 {
            format!(
                "INSERT INTO realm (id, document, revision, changed_by, changed_at) VALUES ($1, $2, {NEXT}, $3, $4) \
                 ON CONFLICT (id) DO NOTHING"
            )
        } else {
            format!(
                "UPDATE realm SET document = $2, revision = {NEXT}, changed_by = $3, changed_at = $4 \
                 WHERE id = $1 AND revision = $5"
            )
        };
        let query = sqlx::query(sqlx::AssertSqlSafe(change)) // made of constants alone
            .bind(id.as_str().to_owned())
            .bind(document.map(str::to_owned))
            .bind(by.to_owned())
            .bind(number(now));
        let query = if was == 0 { query } else { query.bind(signed(was)) };
        Ok(self.run(query).await? == 1)
    }
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a realm" };

fn realm(row: &AnyRow) -> Result<RealmRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    Ok(RealmRow {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        document: row.try_get("document").map_err(failed)?,
        revision: unsigned(row.try_get("revision").map_err(failed)?)?,
        changed_by: text("changed_by")?.parse().map_err(|_| UNREADABLE)?,
        changed_at: time(row.try_get("changed_at").map_err(failed)?)?,
    })
}

fn link(row: &AnyRow) -> Result<LinkRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let millis = |column: &str| time(row.try_get(column).map_err(failed)?);
    Ok(LinkRow {
        identity: text("identity")?,
        realm: text("realm")?,
        subject: text("subject")?,
        linked_at: millis("linked_at")?,
        seen_at: millis("seen_at")?,
    })
}
