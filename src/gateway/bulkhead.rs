//! The bulkhead: so many requests of one platform are under way and no more, so that a platform which answers late or never
//! fills its own share of the gateway and not that of the others. Over the cap: 503 at once.
//! Who may wait for a place is said in `queue.rs`. Cost: one atomic add when a request goes on to the platform, one sub when it is over; no lock, and nothing is held
//! while a visitor's session is looked up. A WebSocket keeps its place until it closes, for it holds a connection as long.

use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::refusal::Refusal;
use super::standing::Standing;

/// A waiter looks for itself this often: a place given back in the instant in which it began to wait tells nobody.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Requests of one platform that are under way, shown as `yimen_platform_inflight_requests`, and those that wait to be.
pub(crate) struct Bulkhead {
    inflight: IntGauge,
    /// Shown as `yimen_platform_waiting_requests`.
    waiting: IntGauge,
    /// Wakes the one that waits longest.
    turn: Notify,
}

impl Bulkhead {
    pub(crate) fn new(inflight: IntGauge, waiting: IntGauge) -> Self {
        Self { inflight, waiting, turn: Notify::new() }
    }

    /// Takes a place when fewer than `max` are taken. Two that come at one moment to the last place may both be sent away;
    /// more than `max` never pass.
    fn enter(&self, max: i64) -> bool {
        self.inflight.inc();
        let entered = self.inflight.get() <= max;
        if !entered {
            self.inflight.dec();
        }
        entered
    }

    fn leave(&self) {
        self.inflight.dec();
        if self.waiting.get() > 0 {
            self.turn.notify_one();
        }
    }

    /// Waits for a place at most so long. `None`: more than `waiting_max` wait already.
    async fn wait(&self, max: i64, waiting_max: usize, within: Duration) -> Option<bool> {
        let _waiting = Waits::enter(&self.waiting, waiting_max)?;
        let end = Instant::now() + within;
        loop {
            let mut turn = pin!(self.turn.notified());
            let mut left = end.saturating_duration_since(Instant::now());
            // The same `turn` is waited for until it comes: that keeps the order in which they came.
            while timeout(left.min(LOOK_AGAIN), turn.as_mut()).await.is_err() {
                left = end.saturating_duration_since(Instant::now());
                if left.is_zero() || self.inflight.get() < max {
                    break;
                }
            }
            if self.enter(max) {
                return Some(true);
            }
            if Instant::now() >= end {
                return Some(false);
            }
        }
    }
}

/// One that waits; dropping it counts it out.
struct Waits<'a>(&'a IntGauge);

impl<'a> Waits<'a> {
    fn enter(gauge: &'a IntGauge, max: usize) -> Option<Self> {
        gauge.inc();
        let waits = Self(gauge);
        usize::try_from(gauge.get()).is_ok_and(|waiting| waiting <= max).then_some(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A platform's standing as one request holds it, with the place it took there, if it did. Dropping it gives the place back.
pub(crate) struct Place {
    standing: Arc<Standing>,
    taken: bool,
}

impl Place {
    /// No place is taken yet: most of what is refused never gets that far.
    pub(crate) fn at(standing: Arc<Standing>) -> Self {
        Self { standing, taken: false }
    }

    /// Takes the place, or says that the platform has as many requests as it may, or that others wait for one already.
    pub(crate) fn take(&mut self) -> Result<(), Refusal> {
        let bulkhead = &self.standing.counters.bulkhead;
        self.taken = self.taken || (bulkhead.waiting.get() == 0 && bulkhead.enter(self.standing.inflight_max));
        if self.taken { Ok(()) } else { Err(Refusal::PlatformBusy) }
    }

    /// How many places nobody has.
    pub(crate) fn free(&self) -> usize {
        usize::try_from(self.standing.inflight_max - self.standing.counters.bulkhead.inflight.get()).unwrap_or_default()
    }

    /// Waits for the place; whether it was taken. `None`: too many wait already.
    pub(crate) async fn wait(&mut self, waiting_max: usize, within: Duration) -> Option<bool> {
        let Self { standing, taken } = self;
        *taken = standing.counters.bulkhead.wait(standing.inflight_max, waiting_max, within).await?;
        Some(*taken)
    }
}

impl Deref for Place {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        &self.standing
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.taken {
            self.standing.counters.bulkhead.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulkhead() -> Bulkhead {
        let gauge = || IntGauge::new("name", "help").unwrap();
        Bulkhead::new(gauge(), gauge())
    }

    #[tokio::test]
    async fn those_who_wait_come_in_in_their_order_and_the_queue_has_an_end() {
        let (bulkhead, order) = (Arc::new(bulkhead()), Arc::new(parking_lot::Mutex::new(Vec::new())));
        assert!(bulkhead.enter(1));
        let mut waiters = Vec::new();
        for number in 0..5 {
            let (bulkhead, order) = (Arc::clone(&bulkhead), Arc::clone(&order));
            waiters.push(tokio::spawn(async move {
                assert_eq!(bulkhead.wait(1, 5, Duration::from_secs(10)).await, Some(true));
                order.lock().push(number);
                tokio::task::yield_now().await;
                bulkhead.leave();
            }));
            tokio::task::yield_now().await; // it waits before the next one comes
        }
        assert_eq!(bulkhead.wait(1, 5, Duration::from_secs(10)).await, None, "a sixth");
        bulkhead.leave();
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(*order.lock(), [0, 1, 2, 3, 4]);
        assert_eq!((bulkhead.inflight.get(), bulkhead.waiting.get()), (0, 0));
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_time_and_one_who_leaves_is_counted_out() {
        let bulkhead = bulkhead();
        assert!(bulkhead.enter(1));
        assert_eq!(bulkhead.wait(1, 5, Duration::from_millis(30)).await, Some(false));
        assert!(timeout(Duration::from_millis(30), bulkhead.wait(1, 5, Duration::from_secs(10))).await.is_err());
        assert_eq!((bulkhead.inflight.get(), bulkhead.waiting.get()), (1, 0));
        bulkhead.leave();
        assert_eq!(bulkhead.wait(1, 5, Duration::from_secs(10)).await, Some(true), "a place nobody told of");
    }

    #[test]
    fn the_cap_is_never_passed_and_a_place_given_back_is_taken_again() {
        let bulkhead = bulkhead();
        let entered = (0..5).filter(|_| bulkhead.enter(3)).count();
        assert_eq!((entered, bulkhead.inflight.get()), (3, 3));
        bulkhead.leave();
        assert!(bulkhead.enter(3));
        assert!(!bulkhead.enter(3));
    }

    #[test]
    fn many_threads_never_take_more_places_than_there_are() {
        let bulkhead = bulkhead();
        let (bulkhead, inside) = (&bulkhead, &std::sync::atomic::AtomicI64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if bulkhead.enter(2) {
                            let now = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                            assert!(now <= 2, "{now} at a time");
                            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                            bulkhead.leave();
                        }
                    }
                });
            }
        });
        assert_eq!(bulkhead.inflight.get(), 0);
    }
}
