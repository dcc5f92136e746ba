//! The table in force, and what is known of its instances.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::instances::Instances;
use super::table::RouteTable;

/// The table in force, replaced whole. Readers never wait; a request keeps the table it started with.
#[derive(Debug)]
pub struct LiveTable {
    table: ArcSwap<RouteTable>,
    publishing: Mutex<()>, // so that revisions go into force in their order
    instances: Instances,
}

impl LiveTable {
    /// Puts the first table into force, as revision 1.
    pub fn new(table: RouteTable) -> Self {
        let table = ArcSwap::from_pointee(table.with_revision(1));
        Self { table, publishing: Mutex::new(()), instances: Instances::default() }
    }

    /// What is known of instances beside what is filed.
    pub fn instances(&self) -> &Instances {
        &self.instances
    }

    /// The table in force now.
    pub fn snapshot(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }

    /// Puts `table` into force and returns its revision, one more than the last.
    pub fn publish(&self, table: RouteTable) -> u64 {
        let _turn = self.publishing.lock();
        let revision = self.table.load().revision() + 1;
        self.table.store(Arc::new(table.with_revision(revision)));
        revision
    }
}
