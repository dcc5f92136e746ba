//! Filings: what platforms ask to be served, read, checked and compiled into a route table.
//! Shape: `platforms/*.toml` ── `Filing::read` ──▶ `Filing` ── `in_force` ──▶ `routing::Platform` ── compile ──▶ table.
//! One reader for what `yimen check`, a start and later the management API take; it tells every mistake of a filing at once.
//! Cost:  about 40 µs a filing, most of it TOML. Fails: a bad filing is left out and named, the others load; data files that
//! are missing or do not read are a `RegistryError`, because without divisions nothing can be routed.
//! Knows: `routing`, `store`, `written`, `domain`. It never sees a request.

mod addresses;
mod answered;
mod canary;
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

pub use crate::domain::Right;
pub use addresses::AddressPolicy;
pub use answered::{Answered, HeldKey, KeptAnswer, Repeated};
pub use error::RegistryError;
pub use filing::{Filing, Form, Known};
pub use leases::{Lease, Leases};
pub use load::{Loaded, load, load_by};
pub use own::own_platform;
pub use register::{
    Action, Change, Done, Draft, Expected, FilingPage, FilingView, Filter, HistoryPage, NATION, NodeStatus, Nodes,
    Object, PAGE_MAX, Page, Quarantined, Register, RegisterError, RegisterParts, Reservation, Summary, SyncError,
    Synced, Version, Write, may,
};
pub use rules::Rules;
pub use trusted::trusted;
pub use words::FilingState;
