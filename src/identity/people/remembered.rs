//! What the durable store said a moment ago, so that a request need not ask it again. A yes is good for a minute and, while the
//! store is away, for a quarter of an hour; a no for a second, since it may have become a yes on another node.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release};
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::Timestamp;
use crate::store::StoreError;

/// A yes is asked for again after this long.
pub(super) const ASKED_EVERY: Duration = Duration::from_secs(60);
/// And a no.
const NO_LIFE: Duration = Duration::from_secs(1);
/// A yes goes on for this long without the store.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Answers kept, about 200 bytes each.
const KEPT_MAX: u64 = 100_000;

pub(super) struct Remembered<K>(Cache<K, Arc<Said>>);

struct Said {
    holds: bool,
    at: Timestamp,
    /// Whether somebody asks the store again; the others go on meanwhile.
    asking: AtomicBool,
}

impl<K: Hash + Eq + Send + Sync + 'static> Default for Remembered<K> {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEPT_MAX).time_to_live(KEPT).build())
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Remembered<K> {
    /// What was said of `key`, or what `ask` says now. `Err`: the store did not answer, and nothing is remembered.
    pub(super) async fn ask(
        &self,
        key: K,
        now: Timestamp,
        ask: impl Future<Output = Result<bool, StoreError>>,
    ) -> Result<bool, StoreError> {
        let known = self.0.get(&key).filter(|said| now >= said.at);
        let life = |said: &Said| if said.holds { ASKED_EVERY } else { NO_LIFE };
        let Some(said) = known else { return self.learn(key, now, ask.await) };
        if now.since(said.at) < life(&said) || (said.holds && said.asking.swap(true, AcqRel)) {
            return Ok(said.holds);
        }
        let asks = Asks(said.clone());
        let answer = ask.await;
        drop(asks);
        match self.learn(key, now, answer) {
            Err(_) if said.holds => Ok(true), // as long as the entry lives
            learnt => learnt,
        }
    }

    fn learn(&self, key: K, now: Timestamp, answer: Result<bool, StoreError>) -> Result<bool, StoreError> {
        let holds = answer?;
        self.0.insert(key, Arc::new(Said { holds, at: now, asking: AtomicBool::new(false) }));
        Ok(holds)
    }

    pub(super) fn forget(&self, key: &K) {
        self.0.invalidate(key);
    }
}

/// Lets the next one ask, whether this one got its answer or was given up.
struct Asks(Arc<Said>);

impl Drop for Asks {
    fn drop(&mut self) {
        self.0.asking.store(false, Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::store::AwayReason;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn away() -> Result<bool, StoreError> {
        Err(StoreError::Away { reason: AwayReason::Refused, detail: String::new() })
    }

    #[tokio::test]
    async fn a_yes_is_asked_for_once_a_minute_and_a_no_again_after_a_second() {
        let (remembered, asked) = (Remembered::<u8>::default(), AtomicUsize::new(0));
        let ask = async |now, answer: bool| {
            let answers = async {
                asked.fetch_add(1, AcqRel);
                Ok(answer)
            };
            remembered.ask(1, now, answers).await
        };
        assert!(ask(at(100), true).await.unwrap());
        assert!(ask(at(159), false).await.unwrap());
        assert!(!ask(at(160), false).await.unwrap(), "withdrawn: within a minute it is seen");
        assert!(!ask(at(160), true).await.unwrap());
        assert!(ask(at(161), true).await.unwrap());
        assert_eq!(asked.into_inner(), 3);
    }

    #[tokio::test]
    async fn without_the_store_a_yes_goes_on_and_nothing_else_is_made_up() {
        let remembered = Remembered::<u8>::default();
        assert!(remembered.ask(1, at(1), async { away() }).await.is_err(), "unknown is no `no`");
        remembered.ask(1, at(1), async { Ok(true) }).await.unwrap();
        assert!(remembered.ask(1, at(300), async { away() }).await.unwrap());
        assert!(!remembered.ask(1, at(301), async { Ok(false) }).await.unwrap(), "it is asked again at once");
        remembered.ask(2, at(1), async { Ok(false) }).await.unwrap();
        assert!(remembered.ask(2, at(3), async { away() }).await.is_err());
    }

    #[tokio::test]
    async fn somebody_who_gives_up_holds_up_nobody() {
        let remembered = Remembered::<u8>::default();
        remembered.ask(1, at(1), async { Ok(true) }).await.unwrap();
        let never = remembered.ask(1, at(100), std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        assert!(!remembered.ask(1, at(100), async { Ok(false) }).await.unwrap());
    }
}
