//! Finds out who somebody is, and tells platforms so: built-in accounts, providers that vouch for people (`realms`), the keys
//! that sign, the assertion; and whose an API token is.
//! Shape: login and password ── `Accounts::verify` ──▶ `Account`; session and platform ── `Assertions::header_for` ──▶ a
//! header value; `Keys` holds what signs and publishes what verifies; `verify` is what a platform does with the header; `Vault` seals
//! what must not lie in clear in the durable store.
//! Cost:  a password check is some 20 ms on threads of their own, so that it never delays a request; an assertion in steady
//! state is one cache read, a new one is one ES256 signature (some 20 µs).
//! Fails: `SignInError` for people, `IdentityError` for operators, `VerifyError` for platforms. A store that did not answer
//! is never "wrong password". Unknown, disabled and mistyped are one answer that costs the same.
//! Knows: store, metrics. Not sessions: who disables an account or changes its password ends its sessions there.

mod account;
mod accounts;
mod assertion;
mod error;
mod key;
mod keys;
mod pairwise;
mod password;
mod pool;
mod realms;
mod secret;
mod tokens;
mod vault;
mod verify;

pub use account::{Account, Login, NewAccount};
pub use accounts::Accounts;
pub use assertion::{AssertionClaims, AssertionRequest, Assertions, TOKEN_TYPE};
pub use error::{IdentityError, SignInError};
pub use keys::Keys;
pub use password::Password;
pub use realms::{
    Arrival, Arrived, COOKIE_START, Callback, Departure, EndOf, Linked, Offer, ProviderError, RealmDraft, RealmError,
    RealmView, Realms, RealmsParts, Stopped, Wanted,
};
pub use tokens::{Author, NewToken, Token, TokenSecret, Tokens};
pub use vault::Vault;
pub use verify::{AssertionProfile, KeySet, VerifyError, verify};
