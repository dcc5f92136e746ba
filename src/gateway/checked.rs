//! What the health checks say of one instance: down after three failures in a row, up after two successes in a row.
//! Only one check of an instance runs at a time, so the count needs no more than an atomic. Cost for a request: one load.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// One lost packet is no outage; three checks are (Envoy's examples and HAProxy's `fall` have the same figure).
const FAILURES_TO_FALL: u32 = 3;
/// One answer may be luck while a process starts (HAProxy's `rise`).
const SUCCESSES_TO_RISE: u32 = 2;

/// The state of one instance; up until checks say otherwise.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    down: AtomicBool,
    /// Results in a row that speak against the state.
    against: AtomicU32,
}

impl Checked {
    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Notes a result. Returns whether it changed the state.
    pub(crate) fn note(&self, good: bool) -> bool {
        let down = self.is_down();
        if good != down {
            self.against.store(0, Ordering::Relaxed);
            return false;
        }
        let against = self.against.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let changes = against >= if down { SUCCESSES_TO_RISE } else { FAILURES_TO_FALL };
        if changes {
            self.forget();
            self.down.store(!down, Ordering::Relaxed);
        }
        changes
    }

    /// Up again: nobody checks it any more.
    pub(crate) fn forget(&self) {
        self.against.store(0, Ordering::Relaxed);
        self.down.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_take_it_down_and_two_successes_bring_it_back() {
        let checked = Checked::default();
        let seen: Vec<bool> = [false, false, true, false, false, false, true, false, true, true]
            .into_iter()
            .map(|good| {
                checked.note(good);
                checked.is_down()
            })
            .collect();
        assert_eq!(seen, [false, false, false, false, false, true, true, true, true, false]);
    }

    #[test]
    fn what_is_checked_no_more_is_up() {
        let checked = Checked::default();
        assert_eq!((0..3).filter(|_| checked.note(false)).count(), 1);
        checked.forget();
        assert!(!checked.is_down());
        assert!(!checked.note(false), "the count begins anew");
    }
}
