//! What people let go to platforms outside the authority that runs the gateway.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::register::Writing;
use super::{Durable, failed, number, time};
use crate::domain::{PlatformId, Timestamp};
use crate::store::StoreError;

/// Consents of one person; there are no more platforms.
const OF_ONE_MAX: i64 = 10_000;

/// A consent as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// Whose: the id of an account.
    pub subject: String,
    /// To whom.
    pub platform: PlatformId,
    /// Which attributes.
    pub attributes: Vec<String>,
    /// When it was given last.
    pub given_at: Timestamp,
    /// When it was withdrawn, if it was.
    pub withdrawn_at: Option<Timestamp>,
}

impl Durable {
    /// What a person said of a platform last.
    pub async fn consent(&self, subject: &str, platform: &PlatformId) -> Result<Option<ConsentRow>, StoreError> {
        let select = "SELECT subject, platform, attributes, given_at, withdrawn_at FROM consent \
                      WHERE subject = $1 AND platform = $2";
        let work = sqlx::query(select).bind(subject).bind(platform.as_str()).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(consent).transpose()
    }

    /// All that a person said, by platform.
    pub async fn consents_of(&self, subject: &str) -> Result<Vec<ConsentRow>, StoreError> {
        let select = "SELECT subject, platform, attributes, given_at, withdrawn_at FROM consent \
                      WHERE subject = $1 ORDER BY platform LIMIT $2";
        let work = sqlx::query(select).bind(subject).bind(OF_ONE_MAX).fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(consent).collect()
    }
}

impl Writing {
    /// Writes a consent, in the place of an earlier one.
    pub async fn give_consent(&mut self, row: &ConsentRow) -> Result<(), StoreError> {
        let upsert = "INSERT INTO consent (subject, platform, attributes, given_at) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (subject, platform) DO UPDATE SET attributes = excluded.attributes, \
                      given_at = excluded.given_at, withdrawn_at = NULL";
        let query = sqlx::query(upsert)
            .bind(row.subject.clone())
            .bind(row.platform.as_str().to_owned())
            .bind(row.attributes.join(" "))
            .bind(number(row.given_at));
        self.run(query).await.map(drop)
    }

    /// Ends a consent. `false` when there is none in force.
    pub async fn withdraw_consent(
        &mut self,
        subject: &str,
        platform: &PlatformId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update =
            "UPDATE consent SET withdrawn_at = $3 WHERE subject = $1 AND platform = $2 AND withdrawn_at IS NULL";
        let query = sqlx::query(update).bind(subject.to_owned()).bind(platform.as_str().to_owned()).bind(number(now));
        Ok(self.run(query).await? == 1)
    }
}

fn consent(row: &AnyRow) -> Result<ConsentRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    Ok(ConsentRow {
        subject: text("subject")?,
        platform: text("platform")?.parse().map_err(|_| StoreError::Corrupt { what: "a consent" })?,
        attributes: text("attributes")?.split_whitespace().map(str::to_owned).collect(),
        given_at: time(row.try_get("given_at").map_err(failed)?)?,
        withdrawn_at: row.try_get::<Option<i64>, _>("withdrawn_at").map_err(failed)?.map(time).transpose()?,
    })
}
