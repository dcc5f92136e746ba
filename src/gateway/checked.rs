//! What the health checks say of one instance: down after three failures in a row, up after two successes in a row.
//! Only one check of an instance runs at a time, so the count needs no more than an atomic. Cost for a request: one load.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::routing::{HealthCheck, Upstream};

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
            self.against.store(0, Ordering::Relaxed);
            self.down.store(!down, Ordering::Relaxed);
        }
        changes
    }
}

/// Whose checks are one: every instance of the same address, reached and checked in the same way, in whichever filing it
/// stands. So a state outlives every edit of a filing that leaves address and check as they are.
#[derive(Default)]
pub(crate) struct Checks(Mutex<HashMap<Key, Weak<Checked>>>);

#[derive(PartialEq, Eq)]
struct Key {
    /// With a weight and a share that say nothing.
    upstream: Upstream,
    check: HealthCheck,
}

impl Hash for Key {
    /// What equal keys have in common, without certificates.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.upstream.address, &self.check).hash(state);
    }
}

impl Checks {
    /// Room for states that nobody has any more, before they are looked for.
    const SPARE: usize = 64;

    /// The state of this address under this check.
    pub(crate) fn of(&self, upstream: &Upstream, check: &HealthCheck) -> Arc<Checked> {
        let key = Key { upstream: Upstream { weight: 0, canary: false, ..upstream.clone() }, check: check.clone() };
        let mut all = self.0.lock();
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        if all.len() == all.capacity() {
            all.retain(|_, checked| checked.strong_count() > 0);
            let room = all.len() + Self::SPARE;
            all.reserve(room);
        }
        let made = Arc::new(Checked::default());
        all.insert(key, Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Probe;

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

    fn upstream(address: &str, weight: u16) -> Upstream {
        Upstream {
            address: address.into(),
            weight,
            canary: false,
            tls: false,
            server_name: "".into(),
            trust: None,
            http2: false,
        }
    }

    #[test]
    fn one_address_and_check_has_one_state_as_long_as_somebody_has_it() {
        let (checks, check) = (Checks::default(), HealthCheck { probe: Probe::Tcp, every_s: 1, timeout_ms: 100 });
        let first = checks.of(&upstream("192.0.2.1:80", 1), &check);
        assert_eq!((0..3).filter(|_| first.note(false)).count(), 1);
        assert!(checks.of(&upstream("192.0.2.1:80", 50), &check).is_down(), "the weight says nothing of it");
        assert!(!checks.of(&upstream("192.0.2.2:80", 1), &check).is_down());
        let other = HealthCheck { probe: Probe::Http("/health".into()), ..check.clone() };
        assert!(!checks.of(&upstream("192.0.2.1:80", 1), &other).is_down());
        drop(first);
        assert!(!checks.of(&upstream("192.0.2.1:80", 1), &check).is_down(), "nobody had it any more");
        (0..10_000).for_each(|turn| drop(checks.of(&upstream(&format!("192.0.2.1:{turn}"), 1), &check)));
        assert!(checks.0.lock().len() < 1000, "what nobody has is forgotten");
    }
}
