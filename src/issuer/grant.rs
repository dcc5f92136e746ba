//! What a client was granted, as it lies behind codes and tokens: sealed, and without anything that leads back to the account.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Issuer;
use super::answer::Fault;
use super::once::GrantId;
use crate::domain::{Assurance, PlatformId, Timestamp};
use crate::identity::SubjectClaims;
use crate::routing::Scope;
use crate::session::SessionKey;

/// One authorization of one client. Times of the person's proof do not change by being passed on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) id: GrantId,
    pub(super) client: String,
    pub(super) platform: PlatformId,
    /// SHA-256 of `sid`: where the store has the sign-on.
    pub(super) sign_on: SessionKey,
    pub(super) sid: String,
    /// Whom the session spoke for when it was given, with what was asked for and is filed.
    pub(super) claims: SubjectClaims,
    pub(super) scopes: Vec<Scope>,
    pub(super) acr: Assurance,
    pub(super) amr: Vec<String>,
    pub(super) auth_time: u64,
    /// The absolute end of the session, or of the role that it acts in.
    pub(super) ends_at: Timestamp,
}

/// What lies behind a code.
#[derive(Serialize, Deserialize)]
pub(super) struct Authorized {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
}

/// What an access token is: this, sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Access {
    pub(super) grant: Grant,
    pub(super) issued: u64,
    pub(super) exp: u64,
}

/// What a sign-on says to whoever tells the client of its end.
#[derive(Serialize, Deserialize)]
pub(super) struct SignOn {
    pub(super) client: String,
    pub(super) sid: String,
    pub(super) sub: String,
}

/// What sealed records are bound to, so that none passes for another. No SHA-256 of anything looks like these.
pub(super) const ACCESS: SessionKey = SessionKey::new(*b"issuer: an access token         ");
pub(super) const RESUME: SessionKey = SessionKey::new(*b"issuer: a request on its way    ");
pub(super) const PUSHED: SessionKey = SessionKey::new(*b"issuer: a pushed request        ");
pub(super) const FAREWELL: SessionKey = SessionKey::new(*b"issuer: a sign-out on its way   ");
pub(super) const SIGN_ON: SessionKey = SessionKey::new(*b"issuer: a sign-on               ");

impl Issuer {
    /// Sealed, as it may travel in an address or a header.
    pub(super) fn sealed(&self, bound: &SessionKey, what: &impl Serialize) -> Option<String> {
        self.seal.seal_of(bound, what).map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The opposite.
    pub(super) fn opened<T: serde::de::DeserializeOwned>(&self, bound: &SessionKey, text: &str) -> Option<T> {
        self.seal.open_of(bound, &URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// The access token behind a text, if it is in time and holds.
    pub(super) async fn access(&self, text: &str, now: Timestamp) -> Result<Option<Access>, Fault> {
        let Some(access) = self.opened::<Access>(&ACCESS, text).filter(|access| now.seconds() < access.exp) else {
            return Ok(None);
        };
        Ok(self.holds(&access.grant, now).await?.then_some(access))
    }
}
