//! Remembers that an instance does not answer, so that nobody waits for it again and again.
//! Closed → (5 failures in a row) → open for 10 s → one trial → closed, or open again. Cost: two atomic loads.
//! A request that was under way when it opened or closed says nothing about the state since: a hundred that were swallowed
//! by a black hole and end after its return open nothing again.

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
    /// Milliseconds since 1970 when it last opened or closed.
    changed: AtomicU64,
}

impl Breaker {
    /// Whether a request may go there now. When the open time is over, exactly one caller gets `true` as the trial.
    pub(crate) fn admits(&self, now: Timestamp) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        let next = now.plus(OPEN_FOR).millis();
        let clock_went_back = until > next;
        (now.millis() >= until || clock_went_back)
            && self.open_until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Whether it would let nobody but a trial through.
    pub(crate) fn is_open(&self) -> bool {
        self.open_until.load(Ordering::Acquire) != 0
    }

    /// The instance answered. Returns whether this closed it.
    pub(crate) fn answered(&self, now: impl FnOnce() -> Timestamp) -> bool {
        if self.failures.load(Ordering::Relaxed) == 0 && !self.is_open() {
            return false; // the usual case writes nothing
        }
        self.failures.store(0, Ordering::Relaxed);
        if !self.is_open() {
            return false;
        }
        self.changed.store(now().millis(), Ordering::Release);
        self.open_until.swap(0, Ordering::AcqRel) != 0
    }

    /// The instance could not be reached, broke off or did not answer in time: a request that came at `sent`, as was seen at
    /// `now`. Returns whether this opened it.
    pub(crate) fn failed(&self, sent: Timestamp, now: Timestamp) -> bool {
        let changed = self.changed.load(Ordering::Acquire);
        let clock_went_back = changed > now.millis();
        if sent.millis() < changed && !clock_went_back {
            return false;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures < FAILURES_TO_OPEN {
            return false;
        }
        let opened = self.open_until.swap(now.plus(OPEN_FOR).millis(), Ordering::AcqRel) == 0;
        if opened {
            self.changed.store(now.millis(), Ordering::Release);
        }
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A breaker that five requests of `sent` opened at `now`.
    fn opened(sent: u64, now: u64) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..4 {
            assert!(!breaker.failed(at(sent), at(now)));
        }
        assert!(breaker.admits(at(now)));
        assert!(breaker.failed(at(sent), at(now)), "the fifth opens it");
        breaker
    }

    #[test]
    fn five_failures_open_it_and_one_trial_closes_it() {
        let breaker = opened(500, 1000);
        assert!(!breaker.admits(at(10_999)));
        assert!(breaker.admits(at(11_000)), "one trial");
        assert!(!breaker.admits(at(11_000)), "and only one");
        assert!(breaker.answered(|| at(11_001)));
        assert!(breaker.admits(at(11_002)));
    }

    #[test]
    fn a_trial_that_fails_late_keeps_it_open_from_then_on() {
        let breaker = opened(500, 1000);
        assert!(breaker.admits(at(11_000)));
        assert!(!breaker.failed(at(11_000), at(18_000)), "it was open already");
        assert!(!breaker.admits(at(27_999)));
        assert!(breaker.admits(at(28_000)));
    }

    #[test]
    fn what_was_under_way_when_it_changed_counts_no_more() {
        let breaker = opened(500, 1000);
        for _ in 0..20 {
            assert!(!breaker.failed(at(900), at(9_000)));
        }
        assert!(breaker.admits(at(11_000)), "open no longer than from its opening");
        assert!(breaker.answered(|| at(11_100)));
        for _ in 0..20 {
            assert!(!breaker.failed(at(11_050), at(12_000)));
        }
        assert!(!breaker.is_open());
        for _ in 0..5 {
            breaker.failed(at(11_200), at(12_000));
        }
        assert!(breaker.is_open(), "new failures count");
    }

    #[test]
    fn a_clock_that_went_back_keeps_nobody_out() {
        let breaker = opened(50_000_500, 50_001_000);
        assert!(breaker.admits(at(1000)), "a trial at once");
        assert!(!breaker.admits(at(1001)));
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..20 {
            breaker.failed(at(5), at(5));
            breaker.answered(|| at(5));
        }
        assert!(!breaker.is_open());
    }
}
