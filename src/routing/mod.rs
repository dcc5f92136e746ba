//! The route table: which platform answers an address.
//! Shape: filings ── compile ──▶ `RouteTable` (never changes) ── publish ──▶ `LiveTable` ── snapshot ──▶ one request.
//! Match: exact host and path, then host and longest prefix on segments, then the service address `/s/{division}/{item}/…`,
//! which the nearest division on the climb street → … → nation answers that has filed the item.
//! Cost:  no lock, no allocation. One hash look-up per path segment (never more than the deepest filed prefix has), one bit
//! per rung of the climb; benches/look_up prints the figures. A changed filing copies what belongs to its own items and
//! paths only.
//! Fails: `compile` leaves out every filing it refuses and says why; `find` tells apart why nobody answers.
//! Knows: `domain` only. No I/O, clock or pingora, so every line of it runs in a bench.

mod client;
mod compile;
mod divisions;
mod error;
mod explain;
mod instances;
mod items;
mod live;
mod overlaps;
mod paths;
mod platform;
mod platforms;
mod policy;
mod services;
mod table;
#[cfg(test)]
mod tests;
mod trust;
mod words;

pub use client::{Client, Credentials, Scope};
pub use compile::Compiled;
pub use divisions::{Division, DivisionKind, Divisions};
pub use error::RoutingError;
pub use explain::{Candidate, Explanation, Lost, Verdict, Why};
pub use instances::{Found, InstanceName, Instances};
pub use items::{Item, ItemSubject, Items, Levels};
pub use live::LiveTable;
pub use overlaps::Overlap;
pub use platform::{Canary, HealthCheck, Platform, PlatformState, Probe, Upstream};
pub use policy::{Action, Deadlines, Fallback, Matches, MethodSet, Route};
pub use table::{Answer, Match, NoRoute, RouteTable};
pub use trust::{ClientIdentity, Trust};
pub use words::{Access, BadWord, Covers, PathKind};
