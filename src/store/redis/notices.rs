//! Notices through pub/sub, on a connection of their own. Redis forgets messages for whoever is away, so every time we were
//! not connected is told as a gap; a connection that died without a word is found out by a ping.

use std::time::Duration;

use futures_util::StreamExt;
use redis::Msg;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::RedisStore;
use super::link::failed;
use crate::store::keys::{NOTICES, REGISTER};
use crate::store::{AwayReason, Notice, SessionKey, StoreError};

/// Between two tries to connect, as for probes.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Between two pings, and the patience with each: a dead connection is found within a second.
const PING_EVERY: Duration = Duration::from_millis(500);
/// Patience with connecting and subscribing; nobody waits for it.
const CONNECT_MAX: Duration = Duration::from_secs(1);

impl RedisStore {
    pub(in crate::store) async fn follow(&self, hear: &impl Fn(Notice)) {
        loop {
            // However it ended, what was missed until the next connection is a gap.
            let _ = self.listen(NOTICES, || hear(Notice::Following), |message| heard(message, hear)).await;
            hear(Notice::Lost);
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Calls `hear` for every change of the register that another node tells of, and once after each time we were not connected.
    pub(in crate::store) async fn follow_register(&self, hear: &impl Fn()) {
        loop {
            let _ = self.listen(REGISTER, hear, |_| hear()).await; // whoever asks the register now and then misses nothing
            sleep(AGAIN_AFTER).await;
        }
    }

    /// Tells all nodes that the register has this revision.
    pub(in crate::store) async fn announce_register(&self, revision: u64) -> Result<(), StoreError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(REGISTER).arg(revision);
        bounded(CONNECT_MAX, self.link.ask::<redis::Value>(&command)).await.map(drop)
    }

    async fn listen(
        &self,
        channel: &'static str,
        following: impl Fn(),
        heard: impl Fn(&Msg),
    ) -> Result<(), StoreError> {
        let subscription = bounded(CONNECT_MAX, async {
            let mut subscription = self.link.client().await?.get_async_pubsub().await.map_err(failed)?;
            subscription.subscribe(channel).await.map_err(failed)?;
            Ok(subscription)
        });
        // The stream's queue has no bound, but what we do with a message takes less time than reading it off the socket.
        let (mut sink, mut messages) = subscription.await?.split();
        following();
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => heard(&message),
                    None => return Ok(()), // the connection broke
                },
                _ = pings.tick() => {
                    let ping = async { sink.ping::<redis::Value>().await.map_err(failed) };
                    bounded(PING_EVERY, ping).await?;
                }
            }
        }
    }
}

/// Messages that are no key are not ours: anyone with access may publish.
fn heard(message: &Msg, hear: &impl Fn(Notice)) {
    let text = std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default();
    if let Some(key) = SessionKey::from_hex(text) {
        hear(Notice::Ended(key));
    }
}

async fn bounded<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(StoreError::away(AwayReason::Timeout, "notices")))
}
