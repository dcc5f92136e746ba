//! One-time values and rate counters, and the removal of what has expired.

use std::time::Duration;

use sqlx::Row;

use super::sessions::number;
use super::{SqliteStore, failed};
use crate::domain::Timestamp;
use crate::store::StoreError;
use crate::store::keys::Tag;

/// Rows removed in one statement: a few milliseconds with the write lock.
const BATCH: i64 = 500;
/// Notices kept; a follower that is further behind notices that some are missing and counts it as a gap.
const NOTICES_KEPT: i64 = 10_000;

impl SqliteStore {
    pub(in crate::store) async fn put_once(
        &self,
        tag: &Tag,
        value: &[u8],
        life: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let insert = "INSERT INTO once (name, value, expires_at) VALUES ($1, $2, $3) \
                      ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at \
                      WHERE once.expires_at <= $4";
        let done = sqlx::query(insert)
            .bind(tag.bytes().as_slice())
            .bind(value)
            .bind(number(now.plus(life)))
            .bind(number(now))
            .execute(self.writer().await?)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    pub(in crate::store) async fn kept(&self, tag: &Tag, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT value FROM once WHERE name = $1 AND expires_at > $2")
            .bind(tag.bytes().as_slice())
            .bind(number(now))
            .fetch_optional(self.reader().await?)
            .await
            .map_err(failed)
    }

    pub(in crate::store) async fn take(&self, tag: &Tag, now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        let row = sqlx::query("DELETE FROM once WHERE name = $1 RETURNING value, expires_at > $2")
            .bind(tag.bytes().as_slice())
            .bind(number(now))
            .fetch_optional(self.writer().await?)
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let alive: bool = row.try_get(1).map_err(failed)?;
        alive.then(|| row.try_get(0).map_err(failed)).transpose()
    }

    pub(in crate::store) async fn count(&self, tag: &Tag, window: Duration, now: Timestamp) -> Result<u64, StoreError> {
        let upsert = "INSERT INTO rate (name, counted, expires_at) VALUES ($1, 1, $2) \
                      ON CONFLICT (name) DO UPDATE SET \
                      counted = CASE WHEN rate.expires_at <= $3 THEN 1 ELSE rate.counted + 1 END, \
                      expires_at = CASE WHEN rate.expires_at <= $3 THEN excluded.expires_at ELSE rate.expires_at END \
                      RETURNING counted";
        let counted: i64 = sqlx::query_scalar(upsert)
            .bind(tag.bytes().as_slice())
            .bind(number(now.plus(window)))
            .bind(number(now))
            .fetch_one(self.writer().await?)
            .await
            .map_err(failed)?;
        u64::try_from(counted).map_err(|_| StoreError::Corrupt { what: "a counter" })
    }

    pub(in crate::store) async fn meter(
        &self,
        tag: &Tag,
        interval_us: u64,
        tolerance_us: u64,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let micros = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let now_us = micros(now.millis().saturating_mul(1000));
        // A meter further ahead than it can be is from a clock that was set back, and begins anew.
        let upsert = "INSERT INTO rate (name, counted, expires_at) VALUES ($1, $2 + $3, ($2 + $3) / 1000 + 1) \
                      ON CONFLICT (name) DO UPDATE SET \
                      counted = CASE WHEN rate.counted > $2 + $4 THEN $2 ELSE max(rate.counted, $2) END + $3, \
                      expires_at = (CASE WHEN rate.counted > $2 + $4 THEN $2 ELSE max(rate.counted, $2) END + $3) / 1000 + 1 \
                      WHERE rate.counted > $2 + $4 OR max(rate.counted, $2) + $3 - $2 <= $4 \
                      RETURNING counted";
        let due: Option<i64> = sqlx::query_scalar(upsert)
            .bind(tag.bytes().as_slice())
            .bind(now_us)
            .bind(micros(interval_us))
            .bind(micros(tolerance_us))
            .fetch_optional(self.writer().await?)
            .await
            .map_err(failed)?;
        let ahead = |due: i64| u64::try_from(due - now_us).unwrap_or(0);
        if let Some(due) = due {
            return Ok(Ok(ahead(due)));
        }
        let due: Option<i64> = sqlx::query_scalar("SELECT counted FROM rate WHERE name = $1")
            .bind(tag.bytes().as_slice())
            .fetch_optional(self.writer().await?)
            .await
            .map_err(failed)?;
        Ok(Err(due.map_or(tolerance_us, ahead)))
    }

    /// Removes one batch of each kind; returns how many rows went. Call again while it returns some.
    pub(in crate::store) async fn clean(&self, now: Timestamp) -> Result<u64, StoreError> {
        let expired = [
            "DELETE FROM session WHERE rowid IN (SELECT rowid FROM session WHERE expires_at <= $1 LIMIT $2)",
            "DELETE FROM once WHERE rowid IN (SELECT rowid FROM once WHERE expires_at <= $1 LIMIT $2)",
            "DELETE FROM sign_on WHERE rowid IN (SELECT rowid FROM sign_on WHERE expires_at <= $1 LIMIT $2)",
            "DELETE FROM rate WHERE rowid IN (SELECT rowid FROM rate WHERE expires_at <= $1 LIMIT $2)",
        ];
        let old_notices = "DELETE FROM notice WHERE id IN \
                           (SELECT id FROM notice WHERE id <= (SELECT max(id) FROM notice) - $1 ORDER BY id LIMIT $2)";
        let mut removed = 0;
        for (statement, limit) in
            expired.map(|statement| (statement, number(now))).into_iter().chain([(old_notices, NOTICES_KEPT)])
        {
            let done =
                sqlx::query(statement).bind(limit).bind(BATCH).execute(self.writer().await?).await.map_err(failed)?;
            removed += done.rows_affected();
        }
        Ok(removed)
    }
}
