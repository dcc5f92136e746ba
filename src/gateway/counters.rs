//! What is counted of one platform: its metric series, and its share of what a platform may take.

use std::sync::{Arc, OnceLock};

use http::Method;
use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec};

use super::bulkhead::Bulkhead;
use super::instance::Instance;
use super::retry::Budget;
use super::waiting_room::{Room, Seen};
use crate::metrics::Metrics;
use crate::usage::Totals;

/// The label of platforms that have no series of their own.
pub(super) const OVERFLOW: &str = "_overflow";

/// Handles of a platform's series, looked up once.
pub(crate) struct Counters {
    label: String,
    metrics: Arc<Metrics>,
    requests: [[OnceLock<Series>; CLASSES.len()]; METHODS.len()],
    checks_passed: OnceLock<Series>,
    checks_failed: OnceLock<Series>,
    pub(crate) duration: Histogram,
    pub(crate) upstream_ok: IntCounter,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) budget: Budget,
    pub(crate) room: Room,
}

/// A platform's own count, which the report of use needs of every platform, and the series that it shares with others if it has
/// none of its own in the metrics.
struct Series {
    own: IntCounter,
    shared: Option<IntCounter>,
}

impl Series {
    fn inc(&self) {
        self.own.inc();
        if let Some(shared) = &self.shared {
            shared.inc();
        }
    }
}

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Counters {
    pub(super) fn new(label: &str, metrics: &Arc<Metrics>, room_max: usize) -> Self {
        // A count that is a limit cannot be shared: a platform without a series of its own counts unseen.
        let count = |seen: &IntGaugeVec| {
            let unseen = (label == OVERFLOW).then(|| IntGauge::new("unseen", "unseen").ok()).flatten();
            unseen.unwrap_or_else(|| seen.with_label_values(&[label]))
        };
        let outcome = |word| metrics.waiting_room.with_label_values(&[label, word]);
        let seen = Seen {
            people: count(&metrics.waiting_room_people),
            entered: outcome("entered"),
            admitted: outcome("admitted"),
            left: outcome("left"),
            full: outcome("full"),
        };
        Self {
            bulkhead: Bulkhead::new(count(&metrics.platform_inflight), count(&metrics.platform_waiting)),
            budget: Budget::default(),
            room: Room::new(room_max, seen),
            label: label.to_owned(),
            metrics: metrics.clone(),
            requests: Default::default(),
            checks_passed: OnceLock::new(),
            checks_failed: OnceLock::new(),
            duration: metrics.request_duration.with_label_values(&[label]),
            upstream_ok: metrics.upstream_requests.with_label_values(&[label, "ok"]),
        }
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, method: &Method, status: u16) {
        let row = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let column = usize::from(status / 100).min(CLASSES.len() - 1);
        if let Some(series) = self.requests.get(row).and_then(|columns| columns.get(column)) {
            series.get_or_init(|| self.series(row, column)).inc();
        }
    }

    fn series(&self, row: usize, column: usize) -> Series {
        let labels =
            [self.label.as_str(), METHODS.get(row).unwrap_or(&"other"), CLASSES.get(column).unwrap_or(&"none")];
        self.with_own(self.metrics.requests.with_label_values(&labels))
    }

    fn with_own(&self, shown: IntCounter) -> Series {
        let own = (self.label == OVERFLOW).then(|| IntCounter::new("own", "own").ok()).flatten();
        match own {
            Some(own) => Series { own, shared: Some(shown) },
            None => Series { own: shown, shared: None },
        }
    }

    /// What was counted so far.
    pub(super) fn totals(&self) -> Totals {
        let of = |classes: &[&str]| {
            let columns = (0..).zip(CLASSES).filter(|(_, class)| classes.contains(class)).map(|(column, _)| column);
            let series =
                columns.flat_map(|column: usize| self.requests.iter().filter_map(move |row| row.get(column)?.get()));
            series.map(|series| series.own.get()).sum()
        };
        let checks = |series: &OnceLock<Series>| series.get().map_or(0, |series| series.own.get());
        Totals {
            requests: of(&CLASSES),
            successes: of(&["1xx", "2xx", "3xx"]),
            failures: of(&["5xx"]),
            checks_passed: checks(&self.checks_passed),
            checks_failed: checks(&self.checks_failed),
        }
    }

    /// Counts a health check of one of its instances.
    pub(crate) fn checked(&self, good: bool) {
        let (series, word) = if good { (&self.checks_passed, "ok") } else { (&self.checks_failed, "failed") };
        series.get_or_init(|| self.check_series(word)).inc();
    }

    fn check_series(&self, word: &str) -> Series {
        self.with_own(self.metrics.health_checks.with_label_values(&[self.label.as_str(), word]))
    }

    /// Counts a request to a platform that failed.
    pub(crate) fn upstream_failed(&self, result: &str) {
        self.metrics.upstream_requests.with_label_values(&[self.label.as_str(), result]).inc();
    }

    /// Counts a request that was tried again, or was not for want of budget.
    pub(crate) fn retried(&self, reason: &str) {
        self.metrics.upstream_retries.with_label_values(&[self.label.as_str(), reason]).inc();
    }

    /// Shows whether an instance answers.
    pub(super) fn healthy(&self, instance: &Instance) {
        let labels = [self.label.as_str(), instance.address()];
        self.metrics.upstream_healthy.with_label_values(&labels).set(i64::from(instance.is_up()));
    }
}
