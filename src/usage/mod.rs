//! How much each platform is used, and which of them nobody needs: requests, failures and distinct people by day.
//! Shape: the gateway's own counters + each first meeting of a person and a platform ── `Collector` ──▶ rows (a platform, a day,
//! one run of a node) ── durable store ──▶ `judge` ──▶ who is a zombie, and why.
//! Cost:  nothing on a request's way: counts are read off the counters that the metrics have anyway, once a minute, and a person
//! is met where an assertion is signed, once per session, platform and half-life.
//! Fails: rows that the store did not take are kept and written with the next ones; a node that is killed loses a minute at most.
//! Knows: `store`, `domain`. No person is kept: see `People`.

mod collector;
mod keeping;
mod people;
mod report;

pub use collector::{Collector, DayOfUse, Totals};
pub use keeping::{Usage, days_after};
pub use people::People;
pub use report::{Filed, Judgement, Reason, Span, judge};
