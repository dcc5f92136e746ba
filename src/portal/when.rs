//! Times as people in China read them.

use jiff::tz::{TimeZone, offset};

use super::language::Language;
use crate::domain::Timestamp;

/// `2026-11-23 18:15`, Beijing time; China has one time zone and no summer time. Empty for a time beyond the calendar.
pub(super) fn beijing(time: Timestamp) -> String {
    let time = i64::try_from(time.millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(String::new, |time| {
        TimeZone::fixed(offset(8)).to_datetime(time).strftime("%Y-%m-%d %H:%M").to_string()
    })
}

/// `15 分钟`, `15 minutes`, `12 hours`.
pub(super) fn span(duration: std::time::Duration, language: Language) -> String {
    let minutes = duration.as_secs().div_ceil(60);
    match (minutes % 60, language) {
        (0, Language::Chinese) => format!("{} 小时", minutes / 60),
        (0, Language::English) => format!("{} h", minutes / 60),
        (_, Language::Chinese) => format!("{minutes} 分钟"),
        (_, Language::English) => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_beijing_times() {
        assert_eq!(beijing(Timestamp::from_millis(1_795_428_900_000)), "2026-11-23 18:15");
        assert_eq!(beijing(Timestamp::from_millis(u64::MAX)), "");
    }

    #[test]
    fn spans_are_in_whole_hours_or_minutes() {
        assert_eq!(span(Duration::from_secs(900), Language::Chinese), "15 分钟");
        assert_eq!(span(Duration::from_secs(12 * 3600), Language::English), "12 h");
    }
}
