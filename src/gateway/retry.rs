//! How many retries a platform's requests may cause: one for every ten that it answered, so that a platform in trouble is not
//! asked two or three times as often as one in health.
//! Algorithm: GCRA (the leaky bucket as a meter) whose clock is the count of answered requests, which is counted anyway: a
//! retry costs ten ticks, and up to a hundred retries may be owed. Requests that fail earn nothing, so a platform that is
//! down for all gets its hundred retries and then none. A tick a second comes on top: one retry in ten seconds, as often as
//! a breaker makes a trial, so that a trial that fails at a quiet platform still ends well at the next instance.
//! Cost: nothing for a request that needs no retry; one atomic exchange for one that does. Bounded: two numbers, no list.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::Timestamp;

/// 10 %: the budget that Google's and AWS's guides name and that Envoy and Finagle ship with (20 %), on the careful side.
const TICKS_A_RETRY: u64 = 10;
/// What an instance may have under way when it dies, for the usual platform: all of it may go to the next one at once.
const OWED_MAX: u64 = 100;

/// The budget of one platform.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// The tick at which everything spent so far will have been earned.
    paid_at: AtomicU64,
}

impl Budget {
    /// Takes one retry, if there is one. `answered`: requests of the platform answered since the start.
    pub(crate) fn take(&self, answered: u64, now: Timestamp) -> bool {
        let clock = answered.saturating_add(now.seconds());
        let latest = clock.saturating_add(OWED_MAX * TICKS_A_RETRY);
        let spend = |paid_at: u64| {
            let next = paid_at.max(clock).saturating_add(TICKS_A_RETRY);
            // Further ahead than it can ever be owed: the clock was set back.
            let next = if paid_at > latest { clock.saturating_add(TICKS_A_RETRY) } else { next };
            (next <= latest).then_some(next)
        };
        self.paid_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, spend).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn taken(budget: &Budget, answered: u64, now: u64, tries: u64) -> u64 {
        (0..tries).map(|_| u64::from(budget.take(answered, Timestamp::from_millis(now)))).sum()
    }

    #[test]
    fn a_platform_that_answers_nobody_gets_a_hundred_and_no_more() {
        let budget = Budget::default();
        assert_eq!(taken(&budget, 0, NOW, 10_000), 100);
        assert_eq!(taken(&budget, 0, NOW + 9_000, 10), 0);
        assert_eq!(taken(&budget, 0, NOW + 10_000, 10), 1, "one in ten seconds");
    }

    #[test]
    fn ten_answers_earn_one_and_no_more_than_a_hundred_are_saved() {
        let budget = Budget::default();
        assert_eq!(taken(&budget, 0, NOW, 1000), 100);
        assert_eq!(taken(&budget, 9, NOW, 10), 0);
        assert_eq!(taken(&budget, 500, NOW, 1000), 50);
        assert_eq!(taken(&budget, 1_000_000, NOW, 1000), 100);
    }

    #[test]
    fn over_a_long_run_retries_stay_within_a_tenth() {
        let budget = Budget::default();
        let granted: u64 = (0..100_000).map(|answered| taken(&budget, answered, NOW, 1)).sum();
        assert!((9_900..=10_100).contains(&granted), "{granted}");
    }

    #[test]
    fn a_clock_that_went_back_keeps_nobody_out() {
        let budget = Budget::default();
        assert_eq!(taken(&budget, 0, NOW, 1), 1);
        assert_eq!(taken(&budget, 0, NOW - 86_400_000, 1), 1);
    }

    #[test]
    fn threads_share_one_budget() {
        let budget = Budget::default();
        let granted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| taken(&budget, 0, NOW, 100))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 100);
    }
}
