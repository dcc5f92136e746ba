//! The register: all filings, and the way of each from draft to retirement.
//! Shape: caller ── `Actor`, `Write` ──▶ rights, state, one transaction with its record ──▶ revision ──▶ every node's table.
//! draft → submitted → approved ⇄ suspended → retired; rejected back to draft. A change of what is in force is a draft
//! beside it, and the one in force goes on until the new one is approved.
//! Fails: `RegisterError`; whatever it says, nothing was changed. While the store is away the table in force goes on.

mod call;
mod change;
mod copy;
mod error;
mod files;
mod follow;
mod place;
mod read;
mod reserve;
mod rights;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Mutex, Notify};

use self::follow::{First, Follower, Heard};
use super::error::RegistryError;
use super::rules::Rules;
use crate::domain::{PlatformId, Timestamp};
use crate::metrics::Metrics;
use crate::routing::{Divisions, LiveTable};
use crate::store::Durable;

pub use call::{Expected, FilingPage, Filter, HistoryPage, PAGE_MAX, Page, Version, Write};
pub use error::RegisterError;
pub use files::{SyncError, Synced};
pub use rights::{NATION, Object, may};
pub use view::{Action, Change, Done, Draft, FilingView, NodeStatus, Nodes, Quarantined, Reservation, Summary};

/// What a node's register is made of.
#[derive(Debug)]
pub struct RegisterParts {
    /// Where filings are kept.
    pub durable: Arc<Durable>,
    /// What they are read by.
    pub rules: Rules,
    /// Files that become the register's first content.
    pub routes_directory: PathBuf,
    /// Whether they are taken over at every start.
    pub sync_at_start: bool,
    /// Where the last-known-good copy lies.
    pub data_directory: PathBuf,
    /// Name of this node.
    pub node: String,
    /// Figures.
    pub metrics: Arc<Metrics>,
}

/// The register as a node has it.
#[derive(Debug)]
pub struct Register {
    durable: Arc<Durable>,
    rules: Rules,
    live: Arc<LiveTable>,
    follower: Mutex<Follower>,
    heard: Heard,
    changed: Notify,
    node: String,
    metrics: Arc<Metrics>,
}

impl Register {
    /// Opens the register and makes the first table: of the copy on disk and what changed since, or of the register itself;
    /// of the files, when it holds nothing. `Err`: it is away and there is no copy, so there is nothing to serve; or the files
    /// cannot be read.
    pub async fn open(parts: RegisterParts, now: Timestamp) -> Result<(Arc<Self>, Option<Synced>), SyncError> {
        let RegisterParts { durable, rules, routes_directory, sync_at_start, data_directory, node, metrics } = parts;
        let path = data_directory.join("register.copy");
        let (First { table, follower, build }, has_copy) = Follower::of_copy(&rules, path, now);
        let register = Arc::new(Self {
            durable,
            rules,
            live: Arc::new(LiveTable::new(table)),
            follower: Mutex::new(follower),
            heard: Heard::default(),
            changed: Notify::new(),
            node,
            metrics,
        });
        register.metrics.table_revision.set(1);
        register.metrics.table_build.set(build.as_secs_f64());
        let mut synced = register.first_look(&routes_directory, has_copy, now).await?;
        if sync_at_start && synced.is_none() && !register.is_away() {
            synced = Some(register.sync_files(&routes_directory, now).await?);
        }
        register.count();
        Ok((register, synced))
    }

    async fn first_look(&self, files: &Path, has_copy: bool, now: Timestamp) -> Result<Option<Synced>, SyncError> {
        if let Err(cause) = self.catch_up(now).await {
            return if has_copy { Ok(None) } else { Err(RegistryError::Away(cause).into()) };
        }
        if has_copy {
            self.retry(now).await?;
            return Ok(None);
        }
        self.first_content(files, now).await
    }

    /// The table in force.
    pub fn routes(&self) -> &Arc<LiveTable> {
        &self.live
    }

    /// All divisions, for rights by subtree.
    pub fn divisions(&self) -> &Arc<Divisions> {
        &self.rules.divisions
    }

    /// What filings are read by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether the register did not answer when it was last asked.
    pub fn is_away(&self) -> bool {
        self.heard.away.load(Ordering::Acquire)
    }
}

fn not_found(id: &PlatformId) -> RegisterError {
    RegisterError::NotFound { what: format!("filing of platform {id}") }
}
