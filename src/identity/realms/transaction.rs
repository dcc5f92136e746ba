//! One sign-in under way: what was asked of the provider, for whom, and what must come back. Kept sealed in the short-lived
//! store under the hash of its `state`, and taken once. Each tab has its own, with a cookie of its own that binds it to the
//! browser: `state` alone, which travels in addresses, is worth nothing elsewhere.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::ProviderError;
use crate::domain::{Assurance, RealmId, Timestamp};
use crate::store::ShortLived;

/// How long a person may take at the provider.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// Begins the name of every cookie of a sign-in under way; the rest tells which.
pub const COOKIE_START: &str = "__Host-yimen-tx-";

/// What is remembered while the person is away at the provider.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transaction {
    pub(super) realm: RealmId,
    pub(super) issuer: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) assurance: Assurance,
    pub(super) max_age_s: u64,
    pub(super) return_to: String,
    /// The account that the identity is to be linked to, instead of a sign-in.
    pub(super) link_to: Option<String>,
    /// SHA-256 of what the cookie holds.
    browser: [u8; 32],
}

/// What the browser gets, to be brought back.
pub(super) struct Given {
    pub(super) state: String,
    pub(super) cookie_name: String,
    pub(super) cookie_value: String,
}

/// What a sign-in is for.
pub(super) struct Purpose {
    pub(super) realm: RealmId,
    pub(super) issuer: String,
    pub(super) assurance: Assurance,
    pub(super) max_age_s: u64,
    pub(super) return_to: String,
    pub(super) link_to: Option<String>,
}

/// The key that seals transactions; the same on every node.
pub(super) struct Transactions {
    store: ShortLived,
    sealing: RandomizedNonceKey,
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Transactions(..)")
    }
}

const NO_RANDOMNESS: &str = "the system has no randomness; look at /dev/urandom";

fn broken() -> ProviderError {
    ProviderError::Local(NO_RANDOMNESS.to_owned())
}

impl Transactions {
    /// `None`: the cryptographic library refused the key.
    pub(super) fn new(store: ShortLived, key: &[u8; 32]) -> Option<Self> {
        Some(Self { store, sealing: RandomizedNonceKey::new(&AES_256_GCM, key).ok()? })
    }

    pub(super) fn store(&self) -> &ShortLived {
        &self.store
    }

    /// Begins one; what is given goes to the browser.
    pub(super) async fn begin(&self, purpose: Purpose, now: Timestamp) -> Result<(Transaction, Given), ProviderError> {
        let [state, secret, nonce, verifier] = [random()?, random()?, random()?, random()?];
        let cookie_value = format!("{}.{secret}", now.seconds());
        let Purpose { realm, issuer, assurance, max_age_s, return_to, link_to } = purpose;
        let browser = hash(cookie_value.as_bytes());
        let transaction =
            Transaction { realm, issuer, nonce, verifier, assurance, max_age_s, return_to, link_to, browser };
        let name = hash(state.as_bytes());
        let value = self.sealed(&name, &transaction).ok_or_else(broken)?;
        // A name that is taken would be a repetition of 256 random bits.
        if !self.store.put_once(&named(&name), &value, LIFE, now).await? {
            return Err(broken());
        }
        Ok((transaction, Given { cookie_name: cookie_name(&state), state, cookie_value }))
    }

    /// Takes the one that `state` names, for the browser that has its cookie. Without the cookie nothing is taken: a state that
    /// leaked cannot even end somebody's sign-in.
    pub(super) async fn take(
        &self,
        state: &str,
        cookie: Option<&str>,
        now: Timestamp,
    ) -> Result<Transaction, ProviderError> {
        let cookie = cookie.ok_or(ProviderError::NoTransaction)?;
        let name = hash(state.as_bytes());
        let value = self.store.take(&named(&name), now).await?.ok_or(ProviderError::NoTransaction)?;
        let transaction: Transaction = self.opened(&name, &value).ok_or(ProviderError::NoTransaction)?;
        let same = verify_slices_are_equal(&hash(cookie.as_bytes()), &transaction.browser).is_ok();
        if same { Ok(transaction) } else { Err(ProviderError::NoTransaction) }
    }

    fn sealed(&self, name: &[u8; 32], transaction: &Transaction) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec(transaction).ok()?;
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(name), &mut text).ok()?;
        Some([nonce.as_ref().as_slice(), &text].concat())
    }

    fn opened(&self, name: &[u8; 32], value: &[u8]) -> Option<Transaction> {
        let (nonce, sealed) = value.split_at_checked(NONCE_LEN)?;
        let mut text = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        serde_json::from_slice(self.sealing.open_in_place(nonce, Aad::from(name), &mut text).ok()?).ok()
    }
}

/// The cookie that goes with a state.
pub(super) fn cookie_name(state: &str) -> String {
    let id = URL_SAFE_NO_PAD.encode(hash(&[b"cookie\0", state.as_bytes()].concat()));
    format!("{COOKIE_START}{}", id.get(..16).unwrap_or_default())
}

/// RFC 7636 section 4.2.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(verifier.as_bytes()))
}

fn named(name: &[u8; 32]) -> Vec<u8> {
    [b"provider sign-in\0", name.as_slice()].concat()
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut whole = [0; 32];
    whole.iter_mut().zip(digest(&SHA256, bytes).as_ref()).for_each(|(byte, made)| *byte = *made);
    whole
}

/// 256 random bits in base64url.
fn random() -> Result<String, ProviderError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| broken())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
