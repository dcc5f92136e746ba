//! The register: all filings, and the way of each from draft to retirement.
//! Shape: caller ── `Actor`, `Write` ──▶ rights, state, one transaction with its record ──▶ revision ──▶ every node's table.
//! draft → submitted → approved ⇄ suspended → retired; rejected back to draft. A change of what is in force is a draft
//! beside it, and the one in force goes on until the new one is approved.
//! Fails: `RegisterError`, and nothing was changed. While the store is away the table in force goes on.

mod authority;
mod call;
mod change;
mod copy;
mod error;
mod files;
mod follow;
mod place;
mod proposals;
mod read;
mod reports;
mod reserve;
mod rights;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use self::follow::{First, Follower, Heard};
use super::error::RegistryError;
use super::rules::Rules;
use crate::domain::{PlatformId, Timestamp};
use crate::metrics::Metrics;
use crate::routing::{Divisions, LiveTable};
use crate::store::{Durable, RegisterNotices};

pub use authority::Extraordinary;
pub use call::{Expected, FilingPage, Filter, HistoryPage, PAGE_MAX, Page, Version, Write};
pub use error::RegisterError;
pub use files::{SyncError, Synced};
pub use proposals::{Decision, ProposalPage, proposal_state, right_of, unreadable_proposal};
pub use reports::{OverlapPage, Zombie, ZombiePage};
pub use reserve::Reserved;
pub use rights::{NATION, Object, may};
pub use view::{Action, Change, Done, Draft, FilingView, NodeStatus, Nodes, Quarantined, Reservation, Summary};

/// How long a node that has a copy waits for the register when it starts.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(1);

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
    /// How nodes tell one another.
    pub notices: RegisterNotices,
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
    notices: RegisterNotices,
    node: String,
    metrics: Arc<Metrics>,
}

impl Register {
    /// Opens the register and makes the first table: of the copy on disk and what changed since, or of the register itself;
    /// of the files, when it holds nothing. `Err`: it is away and there is no copy, so there is nothing to serve; or the files
    /// cannot be read.
    pub async fn open(parts: RegisterParts, now: Timestamp) -> Result<(Arc<Self>, Option<Synced>), SyncError> {
        let RegisterParts { durable, rules, routes_directory, sync_at_start, data_directory, notices, node, metrics } =
            parts;
        let path = data_directory.join("register.copy");
        let (First { table, follower, build }, has_copy) = Follower::of_copy(&rules, path, now);
        let register = Arc::new(Self {
            durable,
            rules,
            live: Arc::new(LiveTable::new(table)),
            follower: Mutex::new(follower),
            heard: Heard::default(),
            changed: Notify::new(),
            notices,
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
        if has_copy {
            // What there is can be served: a register that is away is not waited for.
            if timeout(FIRST_LOOK_MAX, self.catch_up(now)).await.is_ok_and(|caught| caught.is_ok()) {
                self.retry(now).await?;
            } else {
                self.missed();
            }
            return Ok(None);
        }
        self.catch_up(now).await.map_err(RegistryError::Away)?;
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
