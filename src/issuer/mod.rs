//! OpenID Provider for platforms outside the proxy: their programs send people here to sign in, and get a code, tokens, and word
//! when it is over (OpenID Connect Core, Discovery, RP-Initiated and Back-Channel Logout 1.0; OAuth 2.1; RFC 7009, 7662, 9126, 9207).
//! Shape: `authorize` and `logout` say where a browser goes next, and the portal shows it; `token`, `userinfo`, `introspect`, `revoke`
//! and `push` are whole answers; `run` tells clients of sessions that were ended.
//! State: clients are in the live table, as filed. A session has one *sign-on* per client, which the store ends with it, in the same
//! step; tokens hold as long as their sign-on and their grant. Codes and refresh tokens lie in the store under a hash, sealed, and
//! are taken once: of many who come with one, one wins, and any other ends the grant. An access token is its own sealed record.
//! Cost:  nothing for proxied requests. A sign-in of a client: three store calls, one signature.
//! Fails: a bad client or redirect address is a page of ours and never a redirect; everything else goes back to the client as the
//! standards say. A store that did not answer is 503, never "signed out" and never "active: false".
//! Rules: code only, PKCE S256 always, redirect addresses byte by byte, ES256. No token outlives the absolute end of its session.
//! Knows: session, identity, routing, store, metrics. Not the pages.

mod address;
mod answer;
mod authorize;
mod backchannel;
mod claims;
mod client;
mod consent;
mod grant;
mod introspect;
mod logout;
mod metadata;
mod once;
mod parameters;
mod push;
mod request;
mod revoke;
mod token;
mod userinfo;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use bytes::Bytes;

use self::backchannel::Messenger;
use crate::config::{AddressPolicy, IssuerConfig};
use crate::domain::DivisionCode;
use crate::identity::{Assertions, Keys, People};
use crate::metrics::Metrics;
use crate::routing::LiveTable;
use crate::session::{SealKey, SessionError, Sessions};
use crate::store::{ShortLived, StoreError};

pub use self::answer::{Answer, Machine};
pub use self::authorize::{SignIn, Step};
pub use self::logout::Farewell;

/// What the provider is built of.
pub struct IssuerParts {
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// What signs.
    pub keys: Arc<Keys>,
    /// Names of people at platforms.
    pub assertions: Arc<Assertions>,
    /// Roles and consents of people.
    pub people: Arc<People>,
    /// The division whose government runs the gateway.
    pub authority: DivisionCode,
    /// Clients, as filed.
    pub routes: Arc<LiveTable>,
    /// Seals what travels or lies in the store; the same on every node.
    pub seal: SealKey,
    /// Key of codes and refresh tokens; the same on every node.
    pub token_key: [u8; 32],
    /// `iss`: the public origin.
    pub origin: String,
    /// Lives of tokens.
    pub config: IssuerConfig,
    /// Where names of clients' logout addresses may lead.
    pub addresses: Arc<AddressPolicy>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The provider.
pub struct Issuer {
    sessions: Arc<Sessions>,
    keys: Arc<Keys>,
    assertions: Arc<Assertions>,
    people: Arc<People>,
    authority: DivisionCode,
    routes: Arc<LiveTable>,
    seal: SealKey,
    token_key: hmac::Key,
    origin: String,
    config: IssuerConfig,
    metadata: Bytes,
    messenger: Messenger,
    metrics: Arc<Metrics>,
}

/// Why a browser is not sent on: a page of ours says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No client of this name is filed.
    #[error("no client has this client_id; compare it with the filing")]
    UnknownClient,
    /// Its platform is suspended, expired or retired.
    #[error("the client's platform is not served now")]
    ClientNotServed,
    /// The address to come back to is not, byte by byte, one of the filed ones.
    #[error("the address to come back to is not filed; compare it byte by byte")]
    AddressNotFiled,
    /// What was begun is over, used or not ours.
    #[error("what was begun is over; start again at the client")]
    Over,
    /// A parameter is there twice, or is no text.
    #[error("the request cannot be read; send each parameter once")]
    Unreadable,
    /// The hint is no token that we made for this client.
    #[error("the id_token_hint is none of ours; send the token as it was issued")]
    BadHint,
    /// The store did not answer.
    #[error("the session store did not answer; try again in a moment")]
    Away,
    /// No randomness, or no key.
    #[error("the provider cannot sign or draw random numbers; look at its log")]
    Internal,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away { .. } => Self::Away, // the guard has logged and counted the cause
            error => {
                tracing::error!(%error, "the provider cannot use the session store");
                Self::Internal
            }
        }
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::StoreAway => Self::Away,
            error => {
                tracing::error!(%error, "the provider cannot use sessions");
                Self::Internal
            }
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Issuer").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Builds the provider. `Err`: the file of authorities cannot be read.
    pub fn new(parts: IssuerParts) -> Result<Self, String> {
        let IssuerParts {
            sessions,
            keys,
            assertions,
            people,
            authority,
            routes,
            seal,
            token_key,
            origin,
            config,
            addresses,
            metrics,
        } = parts;
        let messenger = Messenger::new(addresses, config.logout_ca.as_deref())?;
        let token_key = hmac::Key::new(hmac::HMAC_SHA256, &token_key);
        let metadata = metadata::of(&origin);
        Ok(Self {
            sessions,
            keys,
            assertions,
            people,
            authority,
            routes,
            seal,
            token_key,
            origin,
            config,
            metadata,
            messenger,
            metrics,
        })
    }

    /// The document of discovery: `/.well-known/openid-configuration` and RFC 8414's.
    pub fn metadata(&self) -> Bytes {
        self.metadata.clone()
    }

    fn store(&self) -> &ShortLived {
        self.sessions.store()
    }
}
