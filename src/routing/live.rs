//! The table in force.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::table::RouteTable;

/// The table in force, replaced whole. Readers never wait; a request keeps the table it started with.
#[derive(Debug)]
pub struct LiveTable {
    table: ArcSwap<RouteTable>,
    publishing: Mutex<()>, // so that revisions go into force in their order
}

impl LiveTable {
    /// Puts the first table into force, as revision 1.
    pub fn new(table: RouteTable) -> Self {
        Self { table: ArcSwap::from_pointee(table.with_revision(1)), publishing: Mutex::new(()) }
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
