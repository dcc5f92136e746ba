//! Finds out who somebody is, and tells platforms so: built-in accounts, providers that vouch for people (`realms`), the keys
//! that sign, the assertion; and whose an API token is.
//! Shape: login and password ── `Accounts::verify` ──▶ `Account`; session and platform ── `Assertions::header_for` ──▶ a
//! header value; `Keys` holds what signs and publishes what verifies; `verify` is what a platform does with the header; `Vault` seals
//! what must not lie in clear in the durable store; `People` keeps whom people act for, what is known of them, and their consents.
//! Cost:  a password check is some 20 ms on threads of their own, so that it never delays a request; an assertion in steady
//! state is one cache read, a new one is one ES256 signature (some 20 µs).
//! Fails: `SignInError` for people, `IdentityError` for operators, `VerifyError` for platforms. A store that did not answer
//! is never "wrong password". Unknown, disabled and mistyped are one answer that costs the same.
//! Knows: store, metrics. Not sessions: who disables an account or changes its password ends its sessions there.

mod account;
mod accounts;
mod assertion;
mod breached;
mod client_assertion;
mod client_secret;
mod error;
mod factors;
mod key;
mod keys;
mod level;
mod messenger;
mod own_token;
mod pairwise;
#[cfg(feature = "passkey")]
mod passkeys;
mod password;
mod people;
mod pool;
mod realms;
mod secret;
mod subject;
mod tokens;
mod totp;
mod tries;
mod vault;
mod verify;

pub use crate::store::FactorKind;
pub use account::{Account, Login, NewAccount};
pub use accounts::Accounts;
pub use assertion::{AssertionClaims, AssertionRequest, Assertions, TOKEN_TYPE};
pub use client_assertion::{BadAssertion, ClientKeys, Spoken};
pub use client_secret::client_secret;
pub use error::{IdentityError, SignInError};
pub use factors::{Factor, FactorError, Factors, MESSAGE_LIFE};
pub use keys::Keys;
pub use level::Shown;
pub use messenger::{Messenger, MessengerError};
#[cfg(feature = "passkey")]
pub use passkeys::{Setting, Showing};
pub use password::Password;
pub use people::{By, Consent, Grant, Granted, People};
pub use realms::{
    Arrival, Arrived, COOKIE_START, Callback, Departure, EndOf, Linked, Offer, ProviderError, RealmDraft, RealmError,
    RealmView, Realms, RealmsParts, Stopped, Wanted,
};
pub use subject::{ActorClaim, Attributes, RepresentedClaim, Subject, SubjectClaims, leaves};
pub use tokens::{Author, Issuer, NewToken, Revoked, TokenSecret, Tokens};
pub use totp::TotpSecret;
pub use tries::{Trial, Tries, Try, TryError};
pub use vault::Vault;
pub use verify::{AssertionProfile, KeySet, VerifyError, verify};
