//! What people sign in with besides their password, and their recovery codes.

use std::fmt;

use sqlx::any::AnyRow;
use sqlx::{Acquire, Row};
use uuid::Uuid;

use super::{Durable, failed, number, signed, time, unsigned};
use crate::domain::Timestamp;
use crate::store::StoreError;

/// What kind of thing a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorKind {
    /// Codes by time (RFC 6238).
    Totp,
    /// A WebAuthn credential.
    Passkey,
    /// Codes by short message.
    Sms,
    /// Codes by e-mail.
    Mail,
}

impl FactorKind {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Sms => "sms",
            Self::Mail => "mail",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Totp, Self::Passkey, Self::Sms, Self::Mail].into_iter().find(|kind| kind.word() == word)
    }
}

/// A factor, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct FactorRow {
    /// Version 7, so that rows lie in order of enrolment.
    pub id: Uuid,
    /// Whose it is.
    pub account: Uuid,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner knows it by.
    pub label: String,
    /// Sealed, or a public key.
    pub content: String,
    /// What an authenticator calls it; unique.
    pub handle: Option<String>,
    /// The last time step that was used.
    pub last_step: u64,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}

impl fmt::Debug for FactorRow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FactorRow").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Durable {
    /// Adds a factor. `Taken` when its handle exists.
    pub async fn insert_factor(&self, factor: &FactorRow) -> Result<(), StoreError> {
        let insert = "INSERT INTO factor (id, account_id, kind, label, content, handle, last_step, created_at, used_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let work = sqlx::query(insert)
            .bind(factor.id.to_string())
            .bind(factor.account.to_string())
            .bind(factor.kind.word())
            .bind(&factor.label)
            .bind(&factor.content)
            .bind(factor.handle.as_deref())
            .bind(signed(factor.last_step))
            .bind(number(factor.created_at))
            .bind(number(factor.used_at))
            .execute(self.writer().await?);
        self.asked(work).await.map(drop)
    }

    /// The factors of an account, in order of enrolment.
    pub async fn factors(&self, account: Uuid) -> Result<Vec<FactorRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM factor WHERE account_id = $1 ORDER BY id")
            .bind(account.to_string())
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(factor).collect()
    }

    /// Up to `limit` factors of all accounts, those after `after`; start with the nil id.
    pub async fn factors_after(&self, after: Uuid, limit: u16) -> Result<Vec<FactorRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM factor WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after.to_string())
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(factor).collect()
    }

    /// Puts another sealed content in the place of one. `false` when it is not there any more.
    pub async fn reseal_factor(&self, old: &FactorRow, content: &str) -> Result<bool, StoreError> {
        let work = sqlx::query("UPDATE factor SET content = $3 WHERE id = $1 AND content = $2")
            .bind(old.id.to_string())
            .bind(&old.content)
            .bind(content)
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// Notes the use of a factor at a step, which is its own beginning and no earlier than any before: of all who try one step, one
    /// gets `true`.
    pub async fn use_factor(&self, id: Uuid, step: u64, now: Timestamp) -> Result<bool, StoreError> {
        let work = sqlx::query("UPDATE factor SET last_step = $2, used_at = $3 WHERE id = $1 AND last_step < $2")
            .bind(id.to_string())
            .bind(signed(step))
            .bind(number(now))
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// Keeps what changed in a passkey with its use. `false` when there is no such factor.
    pub async fn keep_factor(&self, id: Uuid, content: &str, now: Timestamp) -> Result<bool, StoreError> {
        let work = sqlx::query("UPDATE factor SET content = $2, used_at = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(content)
            .bind(number(now))
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// Removes a factor of this account. `false` when it has no such factor.
    pub async fn remove_factor(&self, account: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let work = sqlx::query("DELETE FROM factor WHERE id = $1 AND account_id = $2")
            .bind(id.to_string())
            .bind(account.to_string())
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// In one step: these recovery codes and no others.
    pub async fn set_recovery_codes(&self, account: Uuid, hashes: &[String]) -> Result<(), StoreError> {
        let pool = self.writer().await?;
        let work = async {
            let mut connection = pool.acquire().await?;
            let mut change = connection.begin().await?;
            let delete = sqlx::query("DELETE FROM recovery_code WHERE account_id = $1").bind(account.to_string());
            delete.execute(&mut *change).await?;
            for hash in hashes {
                let insert = sqlx::query("INSERT INTO recovery_code (account_id, hash) VALUES ($1, $2)");
                insert.bind(account.to_string()).bind(hash).execute(&mut *change).await?;
            }
            change.commit().await
        };
        self.asked(work).await
    }

    /// Takes a recovery code: of all who try one, one gets `true`.
    pub async fn take_recovery_code(&self, account: Uuid, hash: &str) -> Result<bool, StoreError> {
        let work = sqlx::query("DELETE FROM recovery_code WHERE account_id = $1 AND hash = $2")
            .bind(account.to_string())
            .bind(hash)
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// Recovery codes that are left.
    pub async fn recovery_codes(&self, account: Uuid) -> Result<u64, StoreError> {
        let work = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM recovery_code WHERE account_id = $1")
            .bind(account.to_string())
            .fetch_one(self.reader().await?);
        unsigned(self.asked(work).await?)
    }
}

fn factor(row: &AnyRow) -> Result<FactorRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let whole = |column: &str| row.try_get::<i64, _>(column).map_err(failed);
    Ok(FactorRow {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        account: text("account_id")?.parse().map_err(|_| UNREADABLE)?,
        kind: FactorKind::of(&text("kind")?).ok_or(UNREADABLE)?,
        label: text("label")?,
        content: text("content")?,
        handle: row.try_get("handle").map_err(failed)?,
        last_step: unsigned(whole("last_step")?)?,
        created_at: time(whole("created_at")?)?,
        used_at: time(whole("used_at")?)?,
    })
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a factor" };
