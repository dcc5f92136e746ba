//! What is known of instances beside what is filed: those that said they were alive and say so no more, and those that the
//! checks and requests of this node find down. Here the register's side and the gateway's side tell one another.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::domain::{PlatformId, Timestamp};

/// An instance: a platform, and `host:port` as filed.
pub type InstanceName = (PlatformId, Box<str>);

/// What this node found of an instance that is not simply up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Whether its health checks fail.
    pub down: bool,
    /// Whether its breaker is open: requests to it failed.
    pub breaker_open: bool,
    /// Since when one of the two.
    pub since: Timestamp,
}

/// All instances about which something is known. Bounded by what is filed: an instance that is up again is forgotten.
#[derive(Debug, Default)]
pub struct Instances {
    lost: ArcSwap<HashSet<InstanceName>>,
    found: Mutex<HashMap<InstanceName, Found>>,
}

impl Instances {
    /// Those whose lease is lost. The same `Arc` as long as nothing changes.
    pub fn lost(&self) -> Arc<HashSet<InstanceName>> {
        self.lost.load_full()
    }

    /// These leases are lost, and no others.
    pub fn lose(&self, lost: HashSet<InstanceName>) {
        if **self.lost.load() != lost {
            self.lost.store(Arc::new(lost));
        }
    }

    /// What this node found of an instance at `now`.
    pub fn find(&self, name: InstanceName, down: bool, breaker_open: bool, now: Timestamp) {
        let mut found = self.found.lock();
        if !down && !breaker_open {
            found.remove(&name);
            return;
        }
        let since = found.get(&name).map_or(now, |before| before.since);
        found.insert(name, Found { down, breaker_open, since });
    }

    /// What this node found of an instance; `None`: nothing speaks against it.
    pub fn found(&self, platform: &PlatformId, address: &str) -> Option<Found> {
        self.found.lock().get(&(platform.clone(), address.into())).copied()
    }
}
