//! Filings: what platforms ask to be served, read, reviewed, kept and compiled into a route table.
//! Shape: document (TOML of a file, JSON of the API) ── `Filing::read` ──▶ `Filing` ── `Register` ──▶ filings in force ── compile ──▶
//! table of every node.
//! One reader for what `yimen check`, a start and the management API take; it tells every mistake of a filing at once.
//! Cost:  about 40 µs a filing, most of it parsing; a change in force costs in proportion to its filing.
//! Fails: a bad file is left out and named, the others load; data files that are missing or do not read are a `RegistryError`,
//! because without divisions nothing can be routed; calls on the register are a `RegisterError`.
//! Knows: `routing`, `store`, `written`, `domain`. It never sees a request of the public listener.

mod answered;
mod canary;
mod client;
mod error;
mod filing;
mod health;
mod leases;
mod load;
#[cfg(test)]
mod oracle;
mod own;
mod register;
mod route;
mod rules;
pub mod sample;
#[cfg(test)]
mod tests;
mod trust;
mod trusted;
mod words;

pub use crate::config::AddressPolicy;
pub use crate::domain::Right;
pub use crate::store::{ProposalKind, ProposalRow, ProposalState};
pub use answered::{Answered, HeldKey, KeptAnswer, Repeated};
pub use error::RegistryError;
pub use filing::{Filing, Form, Known};
pub use leases::{Lease, Leases};
pub use load::{Loaded, load, load_by};
pub use own::own_platform;
pub use register::{
    Action, Change, Decision, Done, Draft, Expected, Extraordinary, FilingPage, FilingView, Filter, HistoryPage,
    NATION, NodeStatus, Nodes, Object, OverlapPage, PAGE_MAX, Page, ProposalPage, Quarantined, Register, RegisterError,
    RegisterParts, Reservation, Reserved, Summary, SyncError, Synced, Version, Write, Zombie, ZombiePage, may,
    proposal_state, right_of, unreadable_proposal,
};
pub use rules::Rules;
pub use trust::TlsFiles;
pub use trusted::trusted;
pub use words::FilingState;
