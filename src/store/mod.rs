//! Where state lives: short-lived (sessions, one-time values, rate counters, notices) in SQLite or Redis, durable
//! (register, accounts) in SQLite or PostgreSQL. Every key, table and statement of the gateway is in this room.
//! Shape: caller ── `ShortLived` ──▶ guard (deadline, breaker, metrics) ──▶ `sqlite` or `redis`; `Durable` ──▶ one SQL text.
//! Cost:  one round trip a call; never more than the deadline, and nothing at all while the breaker is open.
//! Fails: `StoreError`; a store that did not answer is `Away` and is never mistaken for "there is no such row".
//! Knows: keys and opaque bytes. What a session holds, who a subject is and when idle ends is decided above; names that
//! come in clear (subject, one-time value, counter) are keyed-hashed here, so that none of them reaches a store.

mod durable;
mod error;
mod guard;
mod keys;
mod redis;
mod register_notices;
mod short_lived;
mod sqlite;

pub use durable::{
    AccountRow, AccountState, AnsweredRow, ConsentRow, DayOfUseRow, Durable, FactorKind, FactorRow, FilingRow,
    HistoryRow, InForceRow, LeaseRow, LinkRow, ListRows, NodeRow, PersonalRow, ProposalKind, ProposalRow,
    ProposalState, RealmRow, RecordRow, ReservationRow, Standing, Subtree, Writing,
};
pub use error::{AwayReason, StoreError};
pub use keys::{NameKey, SessionKey};
pub use register_notices::RegisterNotices;
pub use short_lived::{Ended, Notice, PutSession, PutSignOn, ShortLived, StoredSession};
