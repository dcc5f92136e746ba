//! Tells the durable store how much each platform is used, off every request's way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::standing::Standings;
use crate::domain::Timestamp;
use crate::usage::Usage;

/// What a node that is killed forgets at most; a report over weeks does not feel it.
const KEEP_EVERY: Duration = Duration::from_secs(60);
/// Rows of several runs are folded, and old ones forgotten, this often.
const TIDY_EVERY: u32 = 10;

/// The use that one node sees, as it is kept.
pub struct KeepsUsage {
    pub(super) standings: Arc<Standings>,
    pub(super) usage: Arc<Usage>,
}

impl KeepsUsage {
    /// Keeps until `stopped` says so, and then once more.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        for turn in 1_u32.. {
            let stops = tokio::time::timeout(KEEP_EVERY, stopped.wait_for(|stop| *stop)).await.is_ok();
            self.keep(Timestamp::now()).await;
            if stops {
                return;
            }
            if turn.is_multiple_of(TIDY_EVERY)
                && let Err(fault) = self.usage.tidy(Timestamp::now()).await
            {
                tracing::warn!(%fault, "use of platforms not folded, it is tried again");
            }
        }
    }

    async fn keep(&self, now: Timestamp) {
        if let Err(fault) = self.usage.keep(self.standings.totals(), now).await {
            tracing::warn!(%fault, "use of platforms not stored, it goes with the next");
        }
    }
}
