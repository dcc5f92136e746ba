//! Remembers that an instance does not answer, so that nobody waits for it again and again.
//! Closed → (5 failures in a row) → open for 10 s → one trial → closed, or open again. Cost: two atomic loads.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::Timestamp;

/// Failures in a row that open it: one reset is a blip, five are a state (HAProxy's and Envoy's default order of magnitude).
const FAILURES_TO_OPEN: u32 = 5;
/// How long it stays open: long enough to spare a restarting instance, short enough not to be noticed after it.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// The state of one instance.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// Milliseconds since 1970 until which nobody but one trial may pass; 0 when closed.
    open_until: AtomicU64,
}

impl Breaker {
    /// Whether a request may go there now. When the open time is over, exactly one caller gets `true` as the trial.
    pub(crate) fn admits(&self, now: Timestamp) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        let next = now.plus(OPEN_FOR).millis();
        now.millis() >= until
            && self.open_until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether it would let nobody but a trial through.
    pub(crate) fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Acquire) != 0
    }

    /// The instance answered. Returns whether this closed it.
    pub(crate) fn answered(&self) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 && !self.is_open() {
            return false; // the usual case writes nothing
        }
        self.failures.store(0, Ordering::Relaxed);
        self.open_until.swap(0, Ordering::AcqRel) != 0
    }

    /// The instance could not be reached, or broke off. Returns whether this opened it.
    pub(crate) fn failed(&self, now: Timestamp) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < FAILURES_TO_OPEN {
            return false;
        }
        self.open_until.swap(now.plus(OPEN_FOR).millis(), Ordering::AcqRel) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_open_it_and_one_trial_closes_it() {
        let breaker = Breaker::default();
        let at = Timestamp::from_millis;
        for _ in 0..4 {
            assert!(!breaker.failed(at(1000)));
        }
        assert!(breaker.admits(at(1000)));
        assert!(breaker.failed(at(1000)), "the fifth opens it");
        assert!(!breaker.admits(at(10_999)));
        assert!(breaker.admits(at(11_000)), "one trial");
        assert!(!breaker.admits(at(11_000)), "and only one");
        assert!(breaker.answered());
        assert!(breaker.admits(at(11_001)));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..20 {
            breaker.failed(Timestamp::from_millis(5));
            breaker.answered();
        }
        assert!(!breaker.is_open());
    }
}
