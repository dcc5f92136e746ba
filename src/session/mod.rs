//! Remembers who somebody is.
//! Shape: cookie ── `cookie::read` ──▶ `SessionId` ── SHA-256 ──▶ `SessionKey` ── cache, then store ──▶ `Live`.
//! Cost:  a signed-in request that finds its session here: one SHA-256, one cache read, no allocation and no store call;
//!        a store call each `cache_life` for each session, and one write each `touch_every`, beside the request.
//! Fails: three answers, never two: found, absent, unknown. Unknown (the store did not answer) is never "signed out".
//! Rules: idle and absolute limits are applied here, with `now`, to cached sessions too; the store's own expiry only
//!        cleans up. A revocation is a notice that evicts on every node; where notices may have been missed, nothing that
//!        was confirmed before is used again without asking the store. A clock that jumps back lengthens nothing.
//! Knows: `store` and `metrics`. Not how somebody signed in, nor what a platform may learn.

mod cache;
mod clock;
pub mod cookie;
mod error;
mod flight;
mod id;
mod keeping;
mod record;
mod seal;
mod sessions;
mod ticket;

pub use crate::store::SessionKey;
pub use cookie::CookieRead;
pub use error::SessionError;
pub use id::SessionId;
pub use record::{Live, Person, Place, ProviderSession, Session};
pub use seal::SealKey;
pub use sessions::{Lookup, SessionSummary, Sessions};
pub use ticket::{BrowserMark, Nonce, Redeemed, Ticket};
