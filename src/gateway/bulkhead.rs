//! The bulkhead: so many requests of one platform are under way and no more, so that a platform which answers late or never
//! fills its own share of the gateway and not that of the others. Over the cap: 503 at once.
//! Cost: one atomic add when a request goes on to the platform, one sub when it is over; no lock, and nothing is held
//! while a visitor's session is looked up. A WebSocket keeps its place until it closes, for it holds a connection as long.

use std::ops::Deref;
use std::sync::Arc;

use prometheus::IntGauge;

use super::refusal::Refusal;
use super::standing::Standing;

/// Requests of one platform that are under way, shown as `yimen_platform_inflight_requests`.
pub(crate) struct Bulkhead(IntGauge);

impl Bulkhead {
    pub(crate) fn new(inflight: IntGauge) -> Self {
        Self(inflight)
    }

    /// Takes a place when fewer than `max` are taken. Two that come at one moment to the last place may both be sent away;
    /// more than `max` never pass.
    fn enter(&self, max: i64) -> bool {
        self.0.inc();
        let entered = self.0.get() <= max;
        if !entered {
            self.0.dec();
        }
        entered
    }

    fn leave(&self) {
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

    /// Takes the place, or says that the platform has as many requests as it may.
    pub(crate) fn take(&mut self) -> Result<(), Refusal> {
        self.taken = self.taken || self.standing.counters.bulkhead.enter(self.standing.inflight_max);
        if self.taken { Ok(()) } else { Err(Refusal::PlatformBusy) }
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

    #[test]
    fn the_cap_is_never_passed_and_a_place_given_back_is_taken_again() {
        let bulkhead = Bulkhead::new(IntGauge::new("name", "help").unwrap());
        let entered = (0..5).filter(|_| bulkhead.enter(3)).count();
        assert_eq!((entered, bulkhead.0.get()), (3, 3));
        bulkhead.leave();
        assert!(bulkhead.enter(3));
        assert!(!bulkhead.enter(3));
    }

    #[test]
    fn many_threads_never_take_more_places_than_there_are() {
        let bulkhead = Bulkhead::new(IntGauge::new("name", "help").unwrap());
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
        assert_eq!(bulkhead.0.get(), 0);
    }
}
