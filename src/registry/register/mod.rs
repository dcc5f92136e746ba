//! The register: all filings, and the way of each from draft to retirement.
//! Shape: caller ── `Actor`, `Write` ──▶ rights, state, one transaction with its record ──▶ revision ──▶ every node's table.
//! draft → submitted → approved ⇄ suspended → retired; rejected back to draft. A change of what is in force is a draft
//! beside it, and the one in force goes on until the new one is approved.
//! Fails: `RegisterError`; whatever it says, nothing was changed.

mod call;
mod error;
mod rights;
mod view;

use std::sync::Arc;

use crate::domain::{Actor, PlatformId};
use crate::routing::{Divisions, LiveTable};
use crate::written::Mistake;

pub use call::{Expected, FilingPage, Filter, HistoryPage, PAGE_MAX, Page, Version, Write};
pub use error::RegisterError;
pub use rights::{NATION, Object, may};
pub use view::{Action, Change, Done, Draft, FilingView, NodeStatus, Nodes, Quarantined, Reservation, Summary};

/// The register as a node has it.
#[derive(Debug)]
pub struct Register {
    live: Arc<LiveTable>,
    divisions: Arc<Divisions>,
}

impl Register {
    /// The table in force.
    pub fn routes(&self) -> &Arc<LiveTable> {
        &self.live
    }

    /// All divisions, for rights by subtree.
    pub fn divisions(&self) -> &Arc<Divisions> {
        &self.divisions
    }

    /// Filings that the caller may read, by platform, from the one after `after` on; at most [`PAGE_MAX`].
    pub async fn list(
        &self,
        actor: &Actor,
        filter: &Filter,
        after: Option<&PlatformId>,
        limit: u16,
    ) -> Result<FilingPage, RegisterError> {
        let _ = (actor, filter, after, limit);
        Err(unbuilt())
    }

    /// One filing. `NotFound` also when the caller may not read it.
    pub async fn get(&self, actor: &Actor, id: &PlatformId) -> Result<FilingView, RegisterError> {
        let _ = actor;
        Err(not_found(id))
    }

    /// Changes of a filing, newest first, from the one before `before` on; at most [`PAGE_MAX`].
    pub async fn history(
        &self,
        actor: &Actor,
        id: &PlatformId,
        before: Option<Version>,
        limit: u16,
    ) -> Result<HistoryPage, RegisterError> {
        let _ = (actor, before, limit);
        Err(not_found(id))
    }

    /// The document that a version brought.
    pub async fn document(
        &self,
        actor: &Actor,
        id: &PlatformId,
        version: Version,
    ) -> Result<serde_json::Value, RegisterError> {
        let _ = (actor, version);
        Err(not_found(id))
    }

    /// What is wrong with a document (JSON, at most 1 MiB), warnings too; nothing is kept. Empty: it could be submitted.
    /// Needs no right but a place in the tree: it looks at nothing of others but who holds a place.
    pub async fn validate(&self, actor: &Actor, document: &[u8]) -> Result<Vec<Mistake>, RegisterError> {
        let _ = (actor, document);
        Err(unbuilt())
    }

    /// Writes a document as draft, new or beside what is in force. The id in it must be `id`.
    pub async fn put(&self, write: &Write<'_>, id: &PlatformId, document: &[u8]) -> Result<Done, RegisterError> {
        let _ = (write, document);
        Err(not_found(id))
    }

    /// Hands the draft in for review.
    pub async fn submit(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        let _ = write;
        Err(not_found(id))
    }

    /// Puts the submitted document into force.
    pub async fn approve(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        let _ = write;
        Err(not_found(id))
    }

    /// Sends the submitted document back to draft. `reason`: one line for the owner.
    pub async fn reject(&self, write: &Write<'_>, id: &PlatformId, reason: &str) -> Result<Done, RegisterError> {
        let _ = (write, reason);
        Err(not_found(id))
    }

    /// Takes the platform off for a while. `notice`: one line for people.
    pub async fn suspend(&self, write: &Write<'_>, id: &PlatformId, notice: &str) -> Result<Done, RegisterError> {
        let _ = (write, notice);
        Err(not_found(id))
    }

    /// Serves a suspended platform again.
    pub async fn resume(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        let _ = write;
        Err(not_found(id))
    }

    /// Ends the platform: 410 from now on. A draft that never was in force is withdrawn.
    pub async fn retire(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        let _ = write;
        Err(not_found(id))
    }

    /// Makes what is in force, and whether it is suspended, what they were at `version`: two people have seen that one.
    /// A draft on its way is left as it is.
    pub async fn rollback(&self, write: &Write<'_>, id: &PlatformId, version: Version) -> Result<Done, RegisterError> {
        let _ = (write, version);
        Err(not_found(id))
    }

    /// The owner's yearly word that the platform is in use.
    pub async fn attest(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        let _ = write;
        Err(not_found(id))
    }

    /// Reserves a host (`None`: the portal's) and path prefix to a platform, which need not be filed yet; then `division`
    /// says whose it will be. The same again changes nothing.
    pub async fn reserve(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        host: Option<&str>,
        prefix: &str,
    ) -> Result<Reservation, RegisterError> {
        let _ = (write, host, prefix);
        Err(not_found(id))
    }

    /// Takes a reservation back. What is in force there goes on; it can no more be filed.
    pub async fn release(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        host: Option<&str>,
        prefix: &str,
    ) -> Result<(), RegisterError> {
        let _ = (write, host, prefix);
        Err(not_found(id))
    }

    /// The reservations of a platform.
    pub async fn reservations(&self, actor: &Actor, id: &PlatformId) -> Result<Vec<Reservation>, RegisterError> {
        let _ = actor;
        Err(not_found(id))
    }

    /// All nodes and what they serve. Right: `administer`, or `history` of the nation.
    pub async fn nodes(&self, actor: &Actor) -> Result<Nodes, RegisterError> {
        let _ = actor;
        Err(unbuilt())
    }

    /// Lets nodes take a set of filings that is empty or much smaller than what they serve, once. Right: `administer`.
    pub async fn confirm(&self, write: &Write<'_>) -> Result<u64, RegisterError> {
        let _ = write;
        Err(unbuilt())
    }
}

fn not_found(id: &PlatformId) -> RegisterError {
    RegisterError::NotFound { what: format!("filing of platform {id}") }
}

fn unbuilt() -> RegisterError {
    RegisterError::NotFound { what: "answer yet".to_owned() }
}
