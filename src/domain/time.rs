//! Wall-clock time as a number, so that every rule about time can be tested with any time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

/// Days begin and end by China Standard Time (GB/T 7408), wherever the machine stands.
const CHINA: Offset = Offset::constant(8);

/// Milliseconds since 1970-01-01 UTC. Rooms get it as an argument `now`; only the edge of the program reads the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The clock of this machine; 1970 if it is set before that.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// From milliseconds since 1970-01-01 UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC, as JWT claims want them (RFC 7519 section 2).
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The day in China.
    pub fn day(self) -> Date {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        CHINA.to_datetime(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)).date()
    }

    /// The end of a day in China: the first moment of the next.
    pub fn end_of(day: Date) -> Self {
        let next = day.tomorrow().and_then(|next| CHINA.to_timestamp(next.at(0, 0, 0, 0)));
        next.ok().and_then(|next| u64::try_from(next.as_millisecond()).ok()).map_or(Self(u64::MAX), Self)
    }

    /// This time and `duration` more; stops at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long since `earlier`; zero when the clock went back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_day_ends_where_the_next_one_begins(millis in 0..4_102_444_800_000_u64) {
            let time = Timestamp::from_millis(millis);
            let end = Timestamp::end_of(time.day());
            prop_assert!(end > time && end.since(time) <= Duration::from_secs(86_400));
            prop_assert_eq!(Timestamp::from_millis(end.millis() - 1).day(), time.day());
            prop_assert_eq!(end.day(), time.day().tomorrow().unwrap());
        }
    }
}
