//! Between what is counted and what is stored.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use uuid::Uuid;

use super::collector::{Collector, DayOfUse, Totals};
use super::people::People;
use crate::domain::{PlatformId, Timestamp};
use crate::store::{DayOfUseRow, Durable, StoreError};

/// Days are kept so long: a year for the report that owners and auditors are owed, and a month to write it.
const KEPT: Duration = Duration::from_hours(396 * 24);
/// Runs of a day are folded after it has been over for a day: by then every node has said its last of it.
const FOLDED_AFTER: Duration = Duration::from_hours(24);

/// Keeps the use that this run of a node sees, and reads what all have kept.
#[derive(Debug)]
pub struct Usage {
    collector: Collector,
    durable: Arc<Durable>,
    run: String,
}

impl Usage {
    /// A new run.
    pub fn new(durable: Arc<Durable>) -> Self {
        Self { collector: Collector::default(), durable, run: Uuid::now_v7().to_string() }
    }

    /// A person met a platform, which knows them by this pairwise name.
    pub fn met(&self, platform: &PlatformId, pairwise: &str, now: Timestamp) {
        self.collector.met(platform, pairwise, now);
    }

    /// Stores what changed. `Err`: nothing is lost, it goes with the next call. Call it once a minute and at the end.
    pub async fn keep(
        &self,
        totals: impl IntoIterator<Item = (PlatformId, Totals)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let days = self.collector.rows(totals, now);
        if days.is_empty() {
            return Ok(());
        }
        let rows: Vec<DayOfUseRow> = days.iter().map(|day| self.row(day)).collect();
        self.durable.put_days(&rows).await?;
        self.collector.said(&days, now);
        Ok(())
    }

    /// Folds the runs of days that are over, and forgets days of more than a year ago.
    pub async fn tidy(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = |age: Duration| {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            Timestamp::from_millis(now.millis().saturating_sub(age)).day().to_string()
        };
        self.durable.fold_days(&before(FOLDED_AFTER), folded).await?;
        self.durable.forget_days(&before(KEPT)).await
    }

    fn row(&self, day: &DayOfUse) -> DayOfUseRow {
        DayOfUseRow {
            platform: day.platform.clone(),
            day: day.day.to_string(),
            run: self.run.clone(),
            requests: day.counts.requests,
            successes: day.counts.successes,
            failures: day.counts.failures,
            checks_passed: day.counts.checks_passed,
            checks_failed: day.counts.checks_failed,
            last_success: day.last_success,
            people: day.people.to_text(),
        }
    }
}

/// The days of use of a platform after `day`, as all runs of all nodes kept them.
pub async fn days_after(durable: &Durable, platform: &PlatformId, day: Date) -> Result<Vec<DayOfUse>, StoreError> {
    let rows = durable.days(platform, &day.to_string()).await?;
    rows.iter().map(|row| day_of(row).ok_or(StoreError::Corrupt { what: "a day of use" })).collect()
}

fn day_of(row: &DayOfUseRow) -> Option<DayOfUse> {
    Some(DayOfUse {
        platform: row.platform.clone(),
        day: row.day.parse().ok()?,
        counts: Totals {
            requests: row.requests,
            successes: row.successes,
            failures: row.failures,
            checks_passed: row.checks_passed,
            checks_failed: row.checks_failed,
        },
        last_success: row.last_success,
        people: People::from_text(&row.people)?,
    })
}

/// One row of all runs of a day. A sketch that cannot be read counts nobody.
fn folded(first: &DayOfUseRow, others: &[DayOfUseRow]) -> DayOfUseRow {
    let all = || std::iter::once(first).chain(others);
    let people: Vec<People> = all().filter_map(|row| People::from_text(&row.people)).collect();
    DayOfUseRow {
        run: String::new(),
        requests: all().map(|row| row.requests).sum(),
        successes: all().map(|row| row.successes).sum(),
        failures: all().map(|row| row.failures).sum(),
        checks_passed: all().map(|row| row.checks_passed).sum(),
        checks_failed: all().map(|row| row.checks_failed).sum(),
        last_success: all().filter_map(|row| row.last_success).max(),
        people: People::together(&people).to_text(),
        ..first.clone()
    }
}
