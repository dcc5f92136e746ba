//! Answers kept for calls that are repeated, and leases of instances: two small tables of the durable store.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::{Durable, failed, number, time};
use crate::domain::{PlatformId, Timestamp};
use crate::store::StoreError;

/// What is kept under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredRow {
    /// SHA-256 of the request, in hex.
    pub request_hash: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// Status, fields and body of the answer; `None` while the call is under way.
    pub answer: Option<(u16, String, Option<String>)>,
}

/// An instance that said it is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRow {
    /// Whose.
    pub platform: PlatformId,
    /// As filed.
    pub address: String,
    /// When it last said so.
    pub renewed_at: Timestamp,
    /// Until when that holds.
    pub expires_at: Timestamp,
}

/// Leases read at a time; more instances than any register has.
const LEASES_MAX: i64 = 100_000;

impl Durable {
    /// Takes a key of a credential (the column bears an older name) for a call that begins; keys older than `kept` are forgotten, and so is one whose call began more than
    /// `given_up` ago and never ended. `Some`: it is taken, by this.
    pub async fn take_key(
        &self,
        credential: &str,
        key_hash: &str,
        request_hash: &str,
        now: Timestamp,
        (kept, given_up): (Duration, Duration),
    ) -> Result<Option<AnsweredRow>, StoreError> {
        let before = |age: Duration| number(now).saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let forget = sqlx::query("DELETE FROM answered WHERE begun_at < $1 OR (status IS NULL AND begun_at < $2)")
            .bind(before(kept))
            .bind(before(given_up))
            .execute(self.writer().await?);
        self.asked(forget).await?;
        let take = "INSERT INTO answered (principal, key_hash, request_hash, begun_at) VALUES ($1, $2, $3, $4) \
                    ON CONFLICT (principal, key_hash) DO NOTHING";
        let take = sqlx::query(take)
            .bind(credential)
            .bind(key_hash)
            .bind(request_hash)
            .bind(number(now))
            .execute(self.writer().await?);
        if self.asked(take).await?.rows_affected() == 1 {
            return Ok(None);
        }
        let find = sqlx::query(
            "SELECT request_hash, begun_at, status, fields, body FROM answered WHERE principal = $1 AND key_hash = $2",
        )
        .bind(credential)
        .bind(key_hash)
        .fetch_one(self.writer().await?); // what was written a moment ago, not a reader's older snapshot
        let row = self.asked(find).await?;
        let status = row.try_get::<Option<i64>, _>("status").map_err(failed)?;
        let answer = match status {
            None => None,
            Some(status) => Some((
                u16::try_from(status).map_err(|_| StoreError::Corrupt { what: "an answer" })?,
                row.try_get("fields").map_err(failed)?,
                row.try_get("body").map_err(failed)?,
            )),
        };
        Ok(Some(AnsweredRow {
            request_hash: row.try_get("request_hash").map_err(failed)?,
            begun_at: time(row.try_get("begun_at").map_err(failed)?)?,
            answer,
        }))
    }

    /// Keeps the answer to a call under the key it took.
    pub async fn keep_answer(
        &self,
        credential: &str,
        key_hash: &str,
        status: u16,
        fields: &str,
        body: Option<&str>,
    ) -> Result<(), StoreError> {
        let keep = "UPDATE answered SET status = $3, fields = $4, body = $5 WHERE principal = $1 AND key_hash = $2";
        let work = sqlx::query(keep)
            .bind(credential)
            .bind(key_hash)
            .bind(i64::from(status))
            .bind(fields)
            .bind(body)
            .execute(self.writer().await?);
        self.asked(work).await.map(|_| ())
    }

    /// Gives a key back whose call did nothing.
    pub async fn give_key_back(&self, credential: &str, key_hash: &str) -> Result<(), StoreError> {
        let work = sqlx::query("DELETE FROM answered WHERE principal = $1 AND key_hash = $2")
            .bind(credential)
            .bind(key_hash)
            .execute(self.writer().await?);
        self.asked(work).await.map(|_| ())
    }

    /// Begins a lease, or renews it.
    pub async fn renew_lease(&self, lease: &LeaseRow) -> Result<(), StoreError> {
        let renew = "INSERT INTO lease (platform, address, renewed_at, expires_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (platform, address) DO UPDATE SET renewed_at = excluded.renewed_at, \
                     expires_at = excluded.expires_at";
        let work = sqlx::query(renew)
            .bind(lease.platform.as_str())
            .bind(&lease.address)
            .bind(number(lease.renewed_at))
            .bind(number(lease.expires_at))
            .execute(self.writer().await?);
        self.asked(work).await.map(|_| ())
    }

    /// Ends a lease. `false`: there was none.
    pub async fn end_lease(&self, platform: &PlatformId, address: &str) -> Result<bool, StoreError> {
        let work = sqlx::query("DELETE FROM lease WHERE platform = $1 AND address = $2")
            .bind(platform.as_str())
            .bind(address)
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// All leases, lost ones too.
    pub async fn leases(&self) -> Result<Vec<LeaseRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM lease ORDER BY platform, address LIMIT $1")
            .bind(LEASES_MAX)
            .fetch_all(self.reader().await?);
        let rows = self.asked(work).await?;
        let read = |row: &AnyRow| {
            let platform: String = row.try_get("platform").map_err(failed)?;
            Ok(LeaseRow {
                platform: platform.parse().map_err(|_| StoreError::Corrupt { what: "a lease" })?,
                address: row.try_get("address").map_err(failed)?,
                renewed_at: time(row.try_get("renewed_at").map_err(failed)?)?,
                expires_at: time(row.try_get("expires_at").map_err(failed)?)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Instances whose lease has run out.
    pub async fn lost_leases(&self, now: Timestamp) -> Result<Vec<(PlatformId, Box<str>)>, StoreError> {
        let work = sqlx::query("SELECT platform, address FROM lease WHERE expires_at <= $1 LIMIT $2")
            .bind(number(now))
            .bind(LEASES_MAX)
            .fetch_all(self.reader().await?);
        let name = |row: &AnyRow| {
            let platform: String = row.try_get("platform").map_err(failed)?;
            let address: String = row.try_get("address").map_err(failed)?;
            Ok((platform.parse().map_err(|_| StoreError::Corrupt { what: "a lease" })?, address.into()))
        };
        self.asked(work).await?.iter().map(name).collect()
    }
}
