//! Notices through a table: written in the transaction that ends a session, read by whoever follows.

use std::time::Duration;

use sqlx::Row;

use super::sessions::key;
use super::{SqliteStore, failed};
use crate::store::{Notice, StoreError};

/// Between two looks at the table: well within the second that a revocation may take, and 30 µs of work each.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// A look that takes longer is a gap.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// Notices read at a time; the next look follows at once when there were as many.
const BATCH: i64 = 500;

impl SqliteStore {
    pub(in crate::store) async fn follow(&self, hear: &impl Fn(Notice)) {
        loop {
            // Whether the start or a later look failed, what was missed meanwhile is a gap.
            let _ = self.follow_once(hear).await;
            hear(Notice::Lost);
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    async fn follow_once(&self, hear: &impl Fn(Notice)) -> Result<(), StoreError> {
        let mut last = bounded(self.last_notice()).await?;
        hear(Notice::Following);
        loop {
            let (read, newest) = bounded(self.notices_after(last, hear)).await?;
            last = newest;
            if read < BATCH {
                // Either is a reason to look again.
                let _ = tokio::time::timeout(POLL_EVERY, self.ended.notified()).await;
            }
        }
    }

    async fn last_notice(&self) -> Result<i64, StoreError> {
        sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM notice")
            .fetch_one(self.reader().await?)
            .await
            .map_err(failed)
    }

    async fn notices_after(&self, last: i64, hear: &impl Fn(Notice)) -> Result<(i64, i64), StoreError> {
        let rows = sqlx::query("SELECT id, key FROM notice WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(last)
            .bind(BATCH)
            .fetch_all(self.reader().await?)
            .await
            .map_err(failed)?;
        let (mut read, mut newest) = (0, last);
        for row in rows {
            let id = row.try_get(0).map_err(failed)?;
            if id != newest + 1 {
                return Err(StoreError::Corrupt { what: "fewer notices than were written" }); // cleaned away before we read them
            }
            hear(Notice::Ended(key(row.try_get(1).map_err(failed)?)?));
            newest = id;
            read += 1;
        }
        Ok((read, newest))
    }
}

async fn bounded<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(LOOK_MAX, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::away(crate::store::AwayReason::Timeout, "notices")))
}
