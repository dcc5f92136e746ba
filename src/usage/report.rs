//! Who is a zombie (僵尸系统, 国办发〔2017〕39号 section 2, task 1: systems that are used seldom or no more are to be cleared away).

use jiff::civil::Date;
use jiff::{Span as Days, Unit};
use serde::Serialize;

use super::collector::{DayOfUse, Totals};
use super::people::People;
use crate::domain::{PlatformId, Season, Timestamp};

/// Windows of the report, in days.
const WINDOWS: [u16; 3] = [30, 90, 180];
/// The owner says once a year that the platform is needed.
const ATTESTED_FOR_DAYS: i32 = 366;
/// An outage of days is no state; a platform that was not well for a month is not looked after.
const STALE_AFTER_DAYS: i32 = 30;

/// What the register knows of a platform that the report needs.
#[derive(Clone, Debug)]
pub struct Filed {
    /// Which platform.
    pub platform: PlatformId,
    /// Since when it may be used: a platform is not unused before it was there.
    pub since: Date,
    /// The last day of its filing.
    pub valid_until: Option<Date>,
    /// When its owner last said that it is needed.
    pub attested: Option<Date>,
    /// When in a year it is meant to be used; days outside are no idle days.
    pub season: Option<Season>,
    /// Others that file one of its items for one of its divisions.
    pub overlaps: Vec<PlatformId>,
}

/// Use within the last days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// How many days, today among them.
    pub days: u16,
    /// Answered requests of any outcome.
    pub requests: u64,
    /// Answered 5xx.
    pub failures: u64,
    /// About how many signed-in people.
    pub people: u64,
}

/// Why a platform is in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// Nobody asked for anything.
    Unused {
        /// For so many days of its season.
        idle_days: u32,
    },
    /// Somebody asked, and nothing went well.
    NothingSucceeds {
        /// For so many days of its season.
        idle_days: u32,
    },
    /// Its filing ran out.
    Expired {
        /// The last day.
        valid_until: Date,
    },
    /// Its owner has not said within a year that it is needed.
    Unattested {
        /// When that was said last.
        last: Option<Date>,
    },
    /// All checks of its instances have failed.
    StaleHealth {
        /// For so many days, as far back as the report looks.
        days: u32,
    },
    /// Others do the same.
    Overlapping {
        /// Who.
        platforms: Vec<PlatformId>,
    },
}

impl Reason {
    /// Whether it alone makes a platform a zombie: that nobody gets anything out of it. The other reasons come along.
    fn decides(&self) -> bool {
        matches!(self, Self::Unused { .. } | Self::NothingSucceeds { .. })
    }
}

/// A platform's line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Which platform.
    pub platform: PlatformId,
    /// Whether nobody gets anything out of it.
    pub zombie: bool,
    /// All that speaks against it.
    pub reasons: Vec<Reason>,
    /// When a request last went well.
    pub last_success: Option<Timestamp>,
    /// Its use within 30, 90 and 180 days.
    pub spans: [Span; WINDOWS.len()],
}

/// Judges one platform by its days of use, in any order, of any number of runs. `idle_days`: so many days of its season
/// without a success make a zombie.
pub fn judge(filed: &Filed, days: &[DayOfUse], idle_days: u32, today: Date) -> Judgement {
    let last_day = days.iter().filter(|day| day.counts.successes > 0).map(|day| day.day).max();
    let idle = idle_since(filed, last_day, today);
    let mut reasons = Vec::new();
    if idle >= idle_days {
        let begin = earlier(today, idle_days);
        let asked = days.iter().any(|day| day.day > begin && day.counts.requests > 0);
        let idle_days = idle;
        reasons.push(if asked { Reason::NothingSucceeds { idle_days } } else { Reason::Unused { idle_days } });
    }
    reasons.extend(stale_for(days, today).map(|days| Reason::StaleHealth { days }));
    reasons.extend(filed.valid_until.filter(|last| *last < today).map(|valid_until| Reason::Expired { valid_until }));
    let attested = filed.attested.unwrap_or(filed.since);
    if between(attested, today) > ATTESTED_FOR_DAYS {
        reasons.push(Reason::Unattested { last: filed.attested });
    }
    if !filed.overlaps.is_empty() {
        reasons.push(Reason::Overlapping { platforms: filed.overlaps.clone() });
    }
    Judgement {
        platform: filed.platform.clone(),
        zombie: reasons.iter().any(Reason::decides),
        reasons,
        last_success: days.iter().filter_map(|day| day.last_success).max(),
        spans: WINDOWS.map(|window| span(days, window, today)),
    }
}

/// Days since its instances were last found well, of a platform that is still checked and was not well for a month.
fn stale_for(days: &[DayOfUse], today: Date) -> Option<u32> {
    let last_well = days.iter().filter(|day| day.counts.checks_passed > 0).map(|day| day.day).max();
    let failing = days.iter().filter(|day| day.counts.checks_failed > 0 && last_well.is_none_or(|well| day.day > well));
    let (first, last) = failing.fold((None, None), |(first, last): (Option<Date>, Option<Date>), day| {
        (Some(first.map_or(day.day, |first| first.min(day.day))), last.max(Some(day.day)))
    });
    let is_now = last.is_some_and(|last| between(last, today) <= 1);
    let stale = first.map_or(0, |first| between(first, today) + 1);
    (is_now && stale >= STALE_AFTER_DAYS).then(|| stale.unsigned_abs())
}

/// Days of the season since it was last of use, or since it was there.
fn idle_since(filed: &Filed, last_day: Option<Date>, today: Date) -> u32 {
    let last = last_day.unwrap_or(filed.since).max(filed.since);
    let idle = between(last, today).max(0);
    let Some(season) = filed.season else { return idle.unsigned_abs() };
    let days = (1..=idle).filter_map(|days| last.checked_add(Days::new().days(days)).ok());
    u32::try_from(days.filter(|day| season.contains(*day)).count()).unwrap_or(u32::MAX)
}

fn span(days: &[DayOfUse], window: u16, today: Date) -> Span {
    let begin = earlier(today, window.into());
    let within = || days.iter().filter(|day| day.day > begin && day.day <= today);
    let sum = |of: fn(&Totals) -> u64| within().map(|day| of(&day.counts)).sum();
    Span {
        days: window,
        requests: sum(|counts| counts.requests),
        failures: sum(|counts| counts.failures),
        people: People::together(within().map(|day| &day.people)).count(),
    }
}

fn earlier(day: Date, days: u32) -> Date {
    day.checked_sub(Days::new().days(days)).unwrap_or(Date::MIN)
}

/// Days from one to the other; negative when the second is the earlier one.
fn between(from: Date, to: Date) -> i32 {
    from.until((Unit::Day, to)).map_or(0, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    const TODAY: &str = "2026-11-24";

    fn filed(platform: &str, since: &str) -> Filed {
        Filed {
            platform: platform.parse().unwrap(),
            since: day(since),
            valid_until: None,
            attested: Some(day("2026-10-01")),
            season: None,
            overlaps: Vec::new(),
        }
    }

    /// Use on each of the last 180 days for which `used` says so; 0 is today.
    fn traffic(platform: &str, used: impl Fn(u32) -> Option<Totals>) -> Vec<DayOfUse> {
        let row = |ago| {
            let mut people = People::default();
            people.meet(&format!("visitor-{}", ago % 7));
            Some(DayOfUse {
                platform: platform.parse().unwrap(),
                day: earlier(day(TODAY), ago),
                counts: used(ago)?,
                last_success: None,
                people,
            })
        };
        (0..180).filter_map(row).collect()
    }

    fn good(requests: u64) -> Option<Totals> {
        Some(Totals { requests, successes: requests, ..Totals::default() })
    }

    fn bad(requests: u64) -> Option<Totals> {
        Some(Totals { requests, failures: requests, ..Totals::default() })
    }

    #[test]
    fn of_180_days_of_traffic_exactly_the_dead_are_listed() {
        let season = |season: &str, filed: Filed| Filed { season: Some(season.parse().unwrap()), ..filed };
        let old = "2024-01-01";
        let scene: Vec<(Filed, Vec<DayOfUse>, bool)> = vec![
            (filed("busy", old), traffic("busy", |_| good(5000)), false),
            (filed("weekly", old), traffic("weekly", |ago| good(3).filter(|_| ago % 7 == 0)), false),
            (filed("seldom", old), traffic("seldom", |ago| good(1).filter(|_| ago == 89)), false),
            // Admission to schools: used in June and July, and not missed since.
            (
                season("06-01..07-31", filed("seasonal", old)),
                traffic("seasonal", |ago| good(900).filter(|_| (120..170).contains(&ago))),
                false,
            ),
            (filed("new", "2026-11-01"), Vec::new(), false),
            (filed("never", old), Vec::new(), true),
            (filed("abandoned", old), traffic("abandoned", |ago| good(50).filter(|_| ago > 95)), true),
            (filed("broken", old), traffic("broken", |ago| if ago > 120 { good(9) } else { bad(9) }), true),
            // Its season came and went, twice, and nobody came.
            (season("06-01..07-31", filed("forgotten", old)), Vec::new(), true),
        ];
        for (filed, days, dead) in scene {
            let judgement = judge(&filed, &days, 90, day(TODAY));
            assert_eq!(judgement.zombie, dead, "{}: {:?}", filed.platform, judgement.reasons);
        }
    }

    #[test]
    fn the_reason_tells_apart_what_nobody_asks_for_and_what_never_answers() {
        let reasons = |name, days: &[DayOfUse]| judge(&filed(name, "2024-01-01"), days, 90, day(TODAY)).reasons;
        let unused = reasons("left", &traffic("left", |ago| good(1).filter(|_| ago >= 100)));
        assert_eq!(unused, [Reason::Unused { idle_days: 100 }]);
        let broken = reasons("broken", &traffic("broken", |ago| if ago >= 100 { good(1) } else { bad(1) }));
        assert_eq!(broken, [Reason::NothingSucceeds { idle_days: 100 }]);
    }

    #[test]
    fn a_platform_whose_checks_failed_for_a_month_and_still_do_has_stale_health() {
        let checked = |passed: fn(u32) -> bool, failed: fn(u32) -> bool| {
            let days = traffic("checked", |ago| {
                let (checks_passed, checks_failed) = (u64::from(passed(ago)), u64::from(failed(ago)));
                Some(Totals { requests: 1, successes: 1, checks_passed, checks_failed, ..Totals::default() })
            });
            judge(&filed("checked", "2024-01-01"), &days, 90, day(TODAY)).reasons
        };
        assert_eq!(checked(|ago| ago >= 40, |_| true), [Reason::StaleHealth { days: 40 }]);
        assert_eq!(checked(|_| false, |_| true), [Reason::StaleHealth { days: 180 }]);
        assert_eq!(checked(|ago| ago >= 20, |_| true), [], "twenty days are an outage");
        assert_eq!(checked(|ago| ago % 7 == 0, |_| true), [], "it comes and goes");
        assert_eq!(checked(|_| false, |ago| ago > 10), [], "nobody checks it any more");
    }

    #[test]
    fn what_else_speaks_against_a_platform_comes_along_and_makes_no_zombie_of_one_in_use() {
        let filed = Filed {
            valid_until: Some(day("2026-11-01")),
            attested: Some(day("2025-01-01")),
            overlaps: vec!["other".parse().unwrap()],
            ..filed("busy", "2024-01-01")
        };
        let judgement = judge(&filed, &traffic("busy", |_| good(10)), 90, day(TODAY));
        assert!(!judgement.zombie);
        assert_eq!(judgement.reasons.len(), 3, "{:?}", judgement.reasons);
    }

    #[test]
    fn spans_add_up_requests_and_tell_people_apart() {
        let spans = judge(&filed("busy", "2024-01-01"), &traffic("busy", |_| good(10)), 90, day(TODAY)).spans;
        let seen: Vec<_> = spans.iter().map(|span| (span.days, span.requests, span.people)).collect();
        assert_eq!(seen, [(30, 300, 7), (90, 900, 7), (180, 1800, 7)]);
    }
}
