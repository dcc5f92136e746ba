//! A least rate, counted over the time that we wait and over no other: a platform that is slow is not the visitor's fault.

use std::time::{Duration, Instant};

/// So long one may keep us waiting for the least number of bytes: long enough for a mobile network that comes and goes.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// How long a visitor may take to read so many bytes of an answer at the least rate, in bytes a second and not 0; and a window more,
/// so that where the whole connection waits for the visitor, its guard is first to see it.
pub(crate) fn time_to_read(bytes: usize, rate: u64) -> Duration {
    let seconds = u64::try_from(bytes).unwrap_or(u64::MAX).div_ceil(rate.max(1));
    WINDOW.saturating_add(Duration::from_secs(seconds))
}

/// How one direction of a connection gets on.
#[derive(Debug, Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
    since: Option<Instant>,
}

impl Pace {
    /// We wait. Returns how much longer that may take.
    pub(super) fn waits(&mut self, now: Instant) -> Duration {
        let since = *self.since.get_or_insert(now);
        WINDOW.saturating_sub(self.waited + (now - since))
    }

    /// We wait no longer, for now.
    pub(super) fn rests(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(since) = self.since.take() {
            self.waited += now().saturating_duration_since(since);
        }
    }

    /// Bytes moved. A window with `least` bytes is passed, and the next one begins.
    pub(super) fn moved(&mut self, bytes: usize, least: u64, now: impl FnOnce() -> Instant) {
        self.rests(now);
        if self.waited.is_zero() {
            return; // nobody kept us waiting
        }
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.bytes >= least {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 10_240;

    fn after(pace: &mut Pace, steps: usize, bytes: usize, each: Duration) -> Option<usize> {
        let mut now = Instant::now();
        for step in 0..steps {
            pace.waits(now);
            now += each;
            if pace.waits(now).is_zero() {
                return Some(step);
            }
            pace.moved(bytes, LEAST, || now);
        }
        None
    }

    #[test]
    fn a_byte_a_second_is_too_slow_after_one_window() {
        assert_eq!(after(&mut Pace::default(), 100, 1, Duration::from_secs(1)), Some(9));
    }

    #[test]
    fn a_large_piece_of_an_answer_may_take_longer_than_a_small_one() {
        assert_eq!(time_to_read(65_536, 1024), WINDOW + Duration::from_secs(64));
        assert_eq!(time_to_read(1, 1024), WINDOW + Duration::from_secs(1));
    }

    #[test]
    fn silence_is_too_slow_after_one_window() {
        assert_eq!(after(&mut Pace::default(), 1, 0, Duration::from_secs(10)), Some(0));
    }

    #[test]
    fn the_least_rate_may_go_on_for_ever() {
        assert_eq!(after(&mut Pace::default(), 10_000, 1_200, Duration::from_secs(1)), None);
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_visitor_does_not_count() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for step in 0..100 {
            let now = start + Duration::from_secs(60 * step);
            pace.waits(now);
            pace.moved(100, LEAST, || now + Duration::from_millis(90));
        }
        assert!(pace.waits(start + Duration::from_secs(6000)) > Duration::from_secs(0));
    }
}
