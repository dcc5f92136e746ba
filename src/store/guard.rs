//! What stands before every call to the session store: a deadline, a breaker that remembers, and the figures.
//! Shape: closed ── a call times out or loses its connection ──▶ open ── a probe succeeds ──▶ closed.
//! While open a call costs two atomic loads and fails at once, so an outage costs one deadline, not one for each request.
//! Probes run beside the requests, at most one each `PROBE_EVERY`, started by whoever comes first: a request or the keeper.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::{AwayReason, StoreError};
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// Between two probes: four a second are no load, and people wait at most this long after a recovery.
pub(super) const PROBE_EVERY: Duration = Duration::from_millis(250);
/// Between two log lines about answers that say no; the counter has them all.
const LOG_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Guard {
    deadline: Duration,
    probe_max: Duration,
    metrics: Arc<Metrics>,
    base: Instant,
    /// Milliseconds after `base` from which a probe may run; 0 is closed.
    next_probe: AtomicU64,
    /// Milliseconds after `base` from which an answer that says no may be logged again.
    next_log: AtomicU64,
}

impl Guard {
    /// A call may take `deadline`, a probe, for which nobody waits, `probe_max`.
    pub(super) fn new(deadline: Duration, probe_max: Duration, metrics: Arc<Metrics>) -> Self {
        let (next_probe, next_log) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { deadline, probe_max, metrics, base: Instant::now(), next_probe, next_log }
    }

    /// Runs `work` within the deadline, unless the breaker is open. `op` is a word of a closed set.
    pub(super) async fn call<T>(
        &self,
        op: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.is_open() {
            self.count(op, AwayReason::Breaker);
            return Err(StoreError::away(AwayReason::Breaker, op));
        }
        self.watched(op, self.deadline, work).await
    }

    /// Finds out whether the store answers, whatever the breaker says, and sets the breaker by it.
    pub(super) async fn probe(&self, work: impl Future<Output = Result<(), StoreError>>) {
        if self.watched("probe", self.probe_max, work).await.is_err() && self.is_open() {
            self.next_probe.store(self.elapsed() + millis(PROBE_EVERY), SeqCst);
        }
    }

    async fn watched<T>(
        &self,
        op: &'static str,
        deadline: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let result = match tokio::time::timeout(deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::away(AwayReason::Timeout, op)),
        };
        self.metrics.store_duration.with_label_values(&[op]).observe(started.elapsed().as_secs_f64());
        match &result {
            Err(StoreError::Away { reason, detail }) => self.failed(op, *reason, detail),
            // Any other error is an answer too: the store is there.
            _ => self.answered(),
        }
        result
    }

    pub(super) fn is_open(&self) -> bool {
        self.next_probe.load(SeqCst) != 0
    }

    /// Whether the caller is the one to run the probe that is due. Should it die with its runtime, another may soon.
    pub(super) fn may_probe(&self) -> bool {
        let due = self.next_probe.load(SeqCst);
        let now = self.elapsed();
        let lease = now + millis(self.probe_max + PROBE_EVERY);
        due != 0 && due <= now && self.next_probe.compare_exchange(due, lease, SeqCst, SeqCst).is_ok()
    }

    fn answered(&self) {
        self.metrics.store_up.set(1);
        // For the graph alone: no rule of the gateway depends on this reading of the clock.
        self.metrics.store_last_success.set(Timestamp::now().millis() as f64 / 1000.0);
        if self.next_probe.swap(0, SeqCst) != 0 {
            tracing::info!("the session store answers again");
        }
    }

    fn failed(&self, op: &'static str, reason: AwayReason, detail: &str) {
        self.count(op, reason);
        if reason == AwayReason::Answer {
            // It answers at once, so there is nothing to be spared by the breaker, and reading may work where writing does not.
            return self.log_answer(op, detail);
        }
        self.metrics.store_up.set(0);
        // Due at once: a blip ends with the first probe.
        if self.next_probe.compare_exchange(0, self.elapsed(), SeqCst, SeqCst).is_ok() {
            tracing::warn!(op, kind = reason.label(), detail, "the session store is away; requests go on without it");
        }
    }

    fn log_answer(&self, op: &'static str, detail: &str) {
        let (due, now) = (self.next_log.load(SeqCst), self.elapsed());
        if due <= now && self.next_log.compare_exchange(due, now + millis(LOG_EVERY), SeqCst, SeqCst).is_ok() {
            tracing::warn!(op, kind = AwayReason::Answer.label(), detail, "the session store refuses a call");
        }
    }

    fn count(&self, op: &'static str, reason: AwayReason) {
        self.metrics.store_errors.with_label_values(&[op, reason.label()]).inc();
    }

    /// At least 1, because 0 means closed.
    fn elapsed(&self) -> u64 {
        millis(self.base.elapsed()).max(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(Duration::from_millis(20), Duration::from_millis(20), Arc::new(Metrics::new().unwrap()))
    }

    #[tokio::test]
    async fn after_a_call_that_hung_calls_fail_at_once_until_a_probe_succeeds() {
        let guard = guard();
        assert!(guard.call("get", std::future::pending::<Result<(), _>>()).await.is_err());
        let started = Instant::now();
        let result = guard.call("get", async { Ok(()) }).await;
        assert!(matches!(result, Err(StoreError::Away { reason: AwayReason::Breaker, .. })));
        assert!(started.elapsed() < Duration::from_millis(15));
        assert!(guard.may_probe(), "the first probe is due at once");
        assert!(!guard.may_probe(), "and only one at a time");
        guard.probe(async { Ok(()) }).await;
        guard.call("get", async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_says_no_leaves_the_breaker_closed() {
        let guard = guard();
        let no = async { Err::<(), _>(StoreError::away(AwayReason::Answer, "OOM")) };
        assert!(guard.call("put", no).await.is_err());
        guard.call("get", async { Ok(()) }).await.unwrap();
    }
}
