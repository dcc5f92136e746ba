//! Time that never goes back, whatever the wall clock does: a session that is 10 minutes old can only get older.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::domain::Timestamp;

/// The later of the time given and of the latest time given before plus what has gone by since on the monotonic clock.
/// A wall clock that jumps forward ends sessions early on this node; one that jumps back changes nothing.
#[derive(Debug)]
pub(super) struct Clock {
    base: Instant,
    /// Greatest difference seen between wall and monotonic clock, milliseconds.
    ahead: AtomicU64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), ahead: AtomicU64::new(0) }
    }

    pub(super) fn at(&self, now: Timestamp) -> Timestamp {
        let elapsed = self.elapsed();
        let ahead = now.millis().saturating_sub(elapsed);
        let before = self.ahead.load(Relaxed);
        if ahead > before {
            self.ahead.fetch_max(ahead, Relaxed);
        }
        Timestamp::from_millis(elapsed + ahead.max(before))
    }

    /// Now, by the latest time given; before the first it is about zero, when there is nothing to be timed either.
    pub(super) fn reading(&self) -> Timestamp {
        Timestamp::from_millis(self.elapsed() + self.ahead.load(Relaxed))
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_jumps_back_goes_on_from_where_it_was() {
        let clock = Clock::new();
        let noon = Timestamp::from_millis(1_800_000_000_000);
        assert_eq!(clock.at(noon), noon);
        let after = clock.at(Timestamp::from_millis(1_700_000_000_000));
        assert!(after >= noon && after < noon.plus(Duration::from_secs(5)), "{after:?}");
        assert_eq!(clock.at(noon.plus(Duration::from_secs(60))), noon.plus(Duration::from_secs(60)));
        assert!(clock.reading() >= noon.plus(Duration::from_secs(60)));
    }
}
