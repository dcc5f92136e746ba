//! Who comes first where there is no place for all: one order of priorities, for the gateway as a whole and for each platform.
//! The gateway as a whole keeps the last fifth of `inflight_max` from assets, the last tenth from people it does not know, the
//! last twentieth from those who only read; nobody waits there, for who waits takes as much memory as who is served.
//! A platform that is at its cap: people who are signed in wait for a short time, in the order
//! in which they came, in a queue with an end; the last quarter of it is kept for those who are sending something, the people
//! in the middle of a case. Assets, and whoever is not signed in, are refused at once: 503 and `Retry-After`. While anybody
//! waits, nobody who comes later takes a place that becomes free.
//! Cost: for a request of a platform that is below its cap, of a gateway that is, one more load; no lock. Bounded: the queue of one platform, the
//! queues of all together, and the time.

use std::ops::{Div, Sub};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use prometheus::{Histogram, IntCounter};

use super::bulkhead::Place;
use super::refusal::Refusal;
use crate::config::LimitsConfig;
use crate::metrics::Metrics;

/// Who is refused first where there are more requests than a platform, or the gateway, takes; DESIGN section 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Scripts, styles, pictures: the page comes without them, or from the browser's cache.
    Asset,
    /// Nobody we know.
    Anonymous,
    /// Somebody who reads.
    SignedIn,
    /// Somebody who is sending something.
    Submitting,
}

impl Priority {
    /// By the session, the method and what the browser says the answer is for (Fetch Metadata); a false word there can
    /// only lower it.
    pub(crate) fn of(signed_in: bool, method: &Method, headers: &HeaderMap) -> Self {
        let destination = headers.get("sec-fetch-dest").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asset = ["script", "style", "image", "font", "audio", "video", "track", "manifest"].contains(&destination);
        match (asset, signed_in, method.is_safe()) {
            (true, ..) => Self::Asset,
            (_, false, _) => Self::Anonymous,
            (_, true, true) => Self::SignedIn,
            (_, true, false) => Self::Submitting,
        }
    }

    /// The label of `yimen_shed_total`.
    fn word(self) -> &'static str {
        match self {
            Self::Asset => "asset",
            Self::Anonymous => "anonymous",
            Self::SignedIn => "signed_in",
            Self::Submitting => "submitting",
        }
    }

    /// How much of a queue of `max` it may fill.
    fn share_of(self, max: usize) -> usize {
        match self {
            Self::Asset | Self::Anonymous => 0,
            Self::SignedIn => without(max, 4),
            Self::Submitting => max,
        }
    }

    /// How much of the gateway's `max` requests at a time may be there with it.
    fn reach_of(self, max: i64) -> i64 {
        match self {
            Self::Asset => without(max, 5),
            Self::Anonymous => without(max, 10),
            Self::SignedIn => without(max, 20),
            Self::Submitting => max,
        }
    }
}

/// All but a part.
fn without<N: Copy + Sub<Output = N> + Div<Output = N>>(max: N, part: N) -> N {
    max - max / part
}

/// The queues of all platforms together.
pub(crate) struct Queues {
    waiting: AtomicUsize,
    all_max: usize,
    platform_max: usize,
    inflight_max: i64,
    within: Duration,
    waits: Histogram,
    shed: [IntCounter; 4],
}

impl Queues {
    pub(crate) fn new(limits: &LimitsConfig, metrics: &Metrics) -> Self {
        let all = [Priority::Asset, Priority::Anonymous, Priority::SignedIn, Priority::Submitting];
        Self {
            waiting: AtomicUsize::new(0),
            all_max: limits.queue_max,
            platform_max: limits.platform_queue_max,
            inflight_max: limits.inflight_max,
            within: limits.queue_wait,
            waits: metrics.queue_wait.clone(),
            shed: all.map(|priority| metrics.shed.with_label_values(&[priority.word()])),
        }
    }

    /// Whether the gateway as a whole, which has so many requests under way with this one, has room for it. `priority` is asked
    /// only when it is nearly full.
    pub(crate) fn admit(&self, inflight: i64, priority: impl FnOnce() -> Priority) -> Result<(), Refusal> {
        if inflight <= Priority::Asset.reach_of(self.inflight_max) {
            return Ok(());
        }
        let priority = priority();
        if inflight <= priority.reach_of(self.inflight_max) {
            return Ok(());
        }
        self.count_shed(priority);
        Err(Refusal::Overloaded)
    }

    fn count_shed(&self, priority: Priority) {
        if let Some(shed) = self.shed.get(priority as usize) {
            shed.inc();
        }
    }

    /// A place at the platform after a wait, or the refusal.
    pub(crate) async fn wait(&self, place: &mut Place, priority: Priority) -> Result<(), Refusal> {
        let begun = Instant::now();
        let taken = match Waiting::enter(self, priority) {
            Some(_waiting) => place.wait(priority.share_of(self.platform_max), self.within).await,
            None => None,
        };
        if let Some(waited) = taken {
            self.waits.observe(begun.elapsed().as_secs_f64());
            if waited {
                return Ok(());
            }
        }
        self.count_shed(priority);
        Err(Refusal::PlatformBusy)
    }
}

/// One request that waits somewhere; dropping it counts it out, also when its visitor has left.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(queues: &'a Queues, priority: Priority) -> Option<Self> {
        let max = priority.share_of(queues.all_max);
        let entered = queues.waiting.fetch_add(1, Ordering::AcqRel) < max;
        let waiting = Self(&queues.waiting); // counted, so to be counted out
        (entered && !queues.within.is_zero()).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn priority(signed_in: bool, method: Method, destination: &'static str) -> Priority {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-dest", destination.parse().unwrap());
        Priority::of(signed_in, &method, &headers)
    }

    #[test]
    fn people_in_the_middle_of_a_case_come_last() {
        assert_eq!(priority(true, Method::GET, "image"), Priority::Asset);
        assert_eq!(priority(false, Method::POST, "document"), Priority::Anonymous);
        assert_eq!(priority(true, Method::GET, "document"), Priority::SignedIn);
        assert_eq!(priority(true, Method::POST, "empty"), Priority::Submitting);
        assert!(Priority::Asset < Priority::Anonymous && Priority::SignedIn < Priority::Submitting);
    }

    #[test]
    fn a_quarter_of_the_queue_is_kept_for_them() {
        assert_eq!(Priority::SignedIn.share_of(100), 75);
        assert_eq!(Priority::Submitting.share_of(100), 100);
        assert_eq!(Priority::SignedIn.share_of(1), 1);
        assert_eq!(Priority::Anonymous.share_of(100), 0);
    }

    #[test]
    fn the_gateway_as_a_whole_sheds_in_the_same_order() {
        let all = [Priority::Asset, Priority::Anonymous, Priority::SignedIn, Priority::Submitting];
        assert_eq!(all.map(|priority| priority.reach_of(100)), [80, 90, 95, 100]);
        assert_eq!(all.map(|priority| priority.reach_of(1)), [1; 4], "a gateway for one is for everybody");
    }
}
