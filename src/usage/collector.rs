//! What one run of a node has seen, day by day.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use parking_lot::Mutex;

use super::people::People;
use crate::domain::{PlatformId, Timestamp};

/// Counts of a platform since the node was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Answered requests of any outcome, the gateway's refusals among them.
    pub requests: u64,
    /// Answered 2xx or 3xx.
    pub successes: u64,
    /// Answered 5xx, by the platform or in its place.
    pub failures: u64,
    /// Health checks of its instances that went well.
    pub checks_passed: u64,
    /// Health checks of its instances that failed.
    pub checks_failed: u64,
}

/// A platform's use on a day as one run of a node saw it. Runs of the same day are added up.
#[derive(Clone, Debug, PartialEq)]
pub struct DayOfUse {
    /// Whose.
    pub platform: PlatformId,
    /// The day in China.
    pub day: Date,
    /// What was counted on that day so far.
    pub counts: Totals,
    /// When a request last went well, to the minute; `None`: not on that day.
    pub last_success: Option<Timestamp>,
    /// Signed-in people.
    pub people: People,
}

/// Collects the use of all platforms. Bounded: a row for each platform that was used today or since the last `rows`.
#[derive(Debug, Default)]
pub struct Collector {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Totals of the last `rows`.
    before: HashMap<PlatformId, Totals>,
    days: BTreeMap<(Date, PlatformId), Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    counts: Totals,
    last_success: Option<Timestamp>,
    people: People,
    /// Whether the store has not heard of it.
    unsaid: bool,
}

impl Collector {
    /// A person met a platform, which knows them by this pairwise name.
    pub fn met(&self, platform: &PlatformId, pairwise: &str, now: Timestamp) {
        let mut state = self.state.lock();
        let tally = state.days.entry((now.day(), platform.clone())).or_default();
        tally.people.meet(pairwise);
        tally.unsaid = true;
    }

    /// The days of use that changed since they were last `said`, whole: a store puts each in the place of what this run said
    /// before. What came since the last call counts for the day of `now`, so call it once a minute.
    pub fn rows(&self, totals: impl IntoIterator<Item = (PlatformId, Totals)>, now: Timestamp) -> Vec<DayOfUse> {
        let mut state = self.state.lock();
        for (platform, total) in totals {
            state.count(platform, total, now);
        }
        let row = |((day, platform), tally): (&(Date, PlatformId), &Tally)| DayOfUse {
            platform: platform.clone(),
            day: *day,
            counts: tally.counts,
            last_success: tally.last_success,
            people: tally.people.clone(),
        };
        state.days.iter().filter(|(_, tally)| tally.unsaid).map(row).collect()
    }

    /// The store has these rows. Days before today are over and forgotten.
    pub fn said(&self, rows: &[DayOfUse], now: Timestamp) {
        let mut state = self.state.lock();
        for row in rows {
            let place = (row.day, row.platform.clone());
            let Some(tally) = state.days.get_mut(&place) else { continue };
            // Somebody may have come while the row was being written.
            tally.unsaid = tally.counts != row.counts || tally.people != row.people;
        }
        let today = now.day();
        state.days.retain(|(day, _), tally| *day >= today || tally.unsaid);
    }
}

impl State {
    fn count(&mut self, platform: PlatformId, total: Totals, now: Timestamp) {
        let before = self.before.insert(platform.clone(), total).unwrap_or_default();
        if before == total {
            return;
        }
        let tally = self.days.entry((now.day(), platform)).or_default();
        let successes = total.successes.saturating_sub(before.successes);
        tally.counts.requests += total.requests.saturating_sub(before.requests);
        tally.counts.successes += successes;
        tally.counts.failures += total.failures.saturating_sub(before.failures);
        tally.counts.checks_passed += total.checks_passed.saturating_sub(before.checks_passed);
        tally.counts.checks_failed += total.checks_failed.saturating_sub(before.checks_failed);
        tally.last_success = if successes > 0 { Some(now) } else { tally.last_success };
        tally.unsaid = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORNING: u64 = 1_795_400_000_000; // 2026-11-23, 10:13 in China
    const DAY: u64 = 86_400_000;

    fn at(after: u64) -> Timestamp {
        Timestamp::from_millis(MORNING + after)
    }

    fn hangzhou() -> PlatformId {
        "hangzhou".parse().unwrap()
    }

    fn totals(requests: u64, successes: u64) -> [(PlatformId, Totals); 1] {
        [(hangzhou(), Totals { requests, successes, failures: requests - successes, ..Totals::default() })]
    }

    #[test]
    fn a_row_says_all_of_the_day_and_is_said_again_only_when_it_changed() {
        let collector = Collector::default();
        let rows = collector.rows(totals(10, 8), at(0));
        assert_eq!((rows.len(), rows[0].counts.requests, rows[0].last_success), (1, 10, Some(at(0))));
        collector.said(&rows, at(0));
        assert!(collector.rows(totals(10, 8), at(60_000)).is_empty());
        let rows = collector.rows(totals(15, 8), at(120_000));
        assert_eq!(rows[0].counts, Totals { requests: 15, successes: 8, failures: 7, ..Totals::default() });
        assert_eq!(rows[0].last_success, Some(at(0)));
    }

    #[test]
    fn what_the_store_did_not_take_is_said_again() {
        let collector = Collector::default();
        let rows = collector.rows(totals(10, 10), at(0));
        assert_eq!(collector.rows(totals(10, 10), at(60_000)), rows);
        let rows = collector.rows(totals(12, 12), at(DAY));
        let counts: Vec<u64> = rows.iter().map(|row| row.counts.requests).collect();
        assert_eq!(counts, [10, 2], "yesterday's and today's");
        collector.said(&rows, at(DAY));
        assert!(collector.rows(totals(12, 12), at(DAY)).is_empty());
    }

    #[test]
    fn a_person_counts_once_a_day_and_one_who_comes_during_the_write_is_not_lost() {
        let collector = Collector::default();
        (0..3).for_each(|_| collector.met(&hangzhou(), "li", at(0)));
        let rows = collector.rows([], at(0));
        assert_eq!(rows[0].people.count(), 1);
        collector.met(&hangzhou(), "wang", at(1));
        collector.said(&rows, at(2));
        assert_eq!(collector.rows([], at(3))[0].people.count(), 2);
    }
}
