//! What goes on beside the requests: notices are heard, last-seen times written, what has expired removed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Sessions;
use super::cache::Entry;
use crate::domain::Timestamp;
use crate::store::Notice;

/// Last-seen times written at a time.
const TOUCHES_AT_ONCE: usize = 16;
/// Between two removals of what has expired, and batches of one removal: up to 10 000 rows of each kind a minute.
const CLEAN_EVERY: Duration = Duration::from_secs(60);
const CLEAN_BATCHES: usize = 20;

/// A last-seen time to be written.
pub(super) struct Touch {
    pub(super) entry: Arc<Entry>,
    pub(super) seen: Timestamp,
    pub(super) written_before: Timestamp,
}

impl Sessions {
    /// What goes on beside the requests: notices, last-seen times, mending of the store's breaker, removal of what has
    /// expired. Ends when `shutdown` says `true` or its sender is gone; last-seen times not yet written are lost then.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let work = async {
            tokio::join!(
                self.store.keep(),
                self.store.follow(|notice| self.hear(notice)),
                self.write_touches(),
                self.clean()
            )
        };
        tokio::select! {
            _ = work => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    fn hear(&self, notice: Notice) {
        match notice {
            Notice::Ended(key) => self.cached.ended(&key),
            Notice::Following => self.cached.hears_again(self.clock.reading()),
            Notice::Lost => {
                if self.cached.hears_nothing() {
                    self.metrics.notice_gaps.inc();
                }
            }
        }
    }

    async fn write_touches(&self) {
        let Some(mut touched) = self.touched.lock().take() else { return };
        futures_util::stream::poll_fn(move |context| touched.poll_recv(context))
            .for_each_concurrent(TOUCHES_AT_ONCE, |touch| self.write_touch(touch))
            .await;
    }

    async fn write_touch(&self, touch: Touch) {
        let live = &touch.entry.live;
        match self.store.touch(&live.key, touch.seen, self.forgotten_at(touch.seen, &live.session)).await {
            Ok(true) => {}
            Ok(false) => self.cached.ended(&live.key), // it ended, and we missed the notice
            Err(_) => touch.put_back(),                // counted by the guard
        }
    }

    async fn clean(&self) {
        let mut ticks = interval(CLEAN_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for _ in 0..CLEAN_BATCHES {
                match self.store.clean(Timestamp::now()).await {
                    Ok(removed) if removed > 0 => {}
                    _ => break, // nothing left, or the store is away; the next tick goes on
                }
            }
        }
    }
}

impl Touch {
    /// Nobody wrote it: the session's next request tries again.
    pub(super) fn put_back(self) {
        self.entry.unwritten(self.written_before);
    }
}
