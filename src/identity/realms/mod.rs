//! Provider realms: people whose identity another platform vouches for, by OpenID Connect or by what is nearly that.
//! Shape: `begin` ──▶ the browser goes to the provider with a transaction's cookie ──▶ `finish` ──▶ `Arrived`, a person with a
//! proof; `end_of` tells which sessions a provider ends. Realms come from the settings and, while the node runs, from the
//! register: `run` looks there once a second, and a change is the whole set swapped.
//! Cost:  off every signed-in request's way; one or two calls to the provider at a sign-in, each within its deadline.
//! Fails: `ProviderError`, one kind for each page. A provider that is away stops nobody who is signed in.
//! Level: never more than the realm's table gives for the provider's word; a word it does not have is L1.

mod client;
mod error;
mod flow;
mod links;
mod metadata;
mod outgoing;
mod provider;
mod register;
mod token;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jsonwebtoken::jwk::Jwk;

pub use self::error::{ProviderError, RealmError};
pub use self::flow::Callback;
pub use self::links::Linked;
use self::links::Links;
use self::provider::Provider;
use self::register::RegisterOfRealms;
pub use self::register::{RealmDraft, RealmView};
use self::token::{LOGOUT_AGE_MAX, Profile};
pub use self::transaction::COOKIE_START;
use self::transaction::{Purpose, Transactions};
use super::error::IdentityError;
use super::vault::Vault;
use crate::config::{ProvidersConfig, RealmConfig, RealmKind};
use crate::domain::{Assurance, Proof, RealmId, SubjectKind, Timestamp};
use crate::metrics::Metrics;
use crate::store::{Durable, ShortLived};

/// What realms are built of.
pub struct RealmsParts {
    /// Those of the settings, and what others may name.
    pub config: ProvidersConfig,
    /// The public origin: providers send people back to it.
    pub origin: String,
    /// Where the register's realms and the identities are.
    pub durable: Arc<Durable>,
    /// Where sign-ins under way are.
    pub short_lived: ShortLived,
    /// What identities are hashed with.
    pub vault: Arc<Vault>,
    /// Seals sign-ins under way; the same on every node.
    pub transaction_key: [u8; 32],
    /// What happened.
    pub metrics: Arc<Metrics>,
}

/// All provider realms of this node.
#[derive(Debug)]
pub struct Realms {
    origin: String,
    set: ArcSwap<Vec<Arc<Provider>>>,
    register: RegisterOfRealms,
    transactions: Transactions,
    links: Links,
    metrics: Arc<Metrics>,
}

/// A realm as the sign-in page offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its id.
    pub id: RealmId,
    /// Chinese name.
    pub name: String,
    /// English name.
    pub name_en: String,
}

/// What somebody wants of a provider.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// At least this level.
    pub assurance: Assurance,
    /// Proven no longer ago than this.
    pub max_age: Option<Duration>,
    /// Where the browser goes in the end; a path of ours.
    pub return_to: String,
    /// The subject whose account is to get the identity, instead of a sign-in.
    pub link_to: Option<String>,
}

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Departure {
    /// Where the browser goes.
    pub address: String,
    /// The cookie that it takes along.
    pub cookie_name: String,
    /// Its value.
    pub cookie_value: String,
}

/// Somebody who came back.
#[derive(Clone, PartialEq)]
pub enum Arrived {
    /// A person is signed in by it.
    Person(Box<Arrival>),
    /// An account has a further identity.
    Linked {
        /// Where the browser goes.
        return_to: String,
    },
}

/// A person whom a provider vouches for.
#[derive(Clone, PartialEq)]
pub struct Arrival {
    /// Who it is here.
    pub subject: String,
    /// Whom they speak for.
    pub kind: SubjectKind,
    /// Name to greet with.
    pub name: String,
    /// What was proven.
    pub proof: Proof,
    /// Who it is there: for the end of sessions that the provider asks for.
    pub sub: String,
    /// The provider's session.
    pub sid: Option<String>,
    /// Where the browser goes.
    pub return_to: String,
}

impl fmt::Debug for Arrived {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if matches!(self, Self::Person(_)) { "Person(..)" } else { "Linked(..)" })
    }
}

impl fmt::Debug for Arrival {
    /// Nothing of the person.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Arrival").field("assurance", &self.proof.assurance).finish_non_exhaustive()
    }
}

/// A sign-in that came to nothing.
#[derive(Debug)]
pub struct Stopped {
    /// Why.
    pub error: ProviderError,
    /// Where the browser would have gone, if that is known.
    pub return_to: Option<String>,
}

/// Which sessions a provider ends.
#[derive(Clone, PartialEq, Eq)]
pub struct EndOf {
    /// The one with this session there.
    pub sid: Option<String>,
    /// All of this person, when no session is named.
    pub sub: Option<String>,
    jti: String,
}

impl fmt::Debug for EndOf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EndOf(..)")
    }
}

impl Realms {
    /// The realms of the settings, and those of the register if it answers now. `Err`: a realm of the settings cannot work.
    pub async fn open(parts: RealmsParts) -> Result<Arc<Self>, IdentityError> {
        let RealmsParts { config, origin, durable, short_lived, vault, transaction_key, metrics } = parts;
        let transactions = Transactions::new(short_lived, &transaction_key);
        let transactions = transactions.ok_or(IdentityError::Crypto("making a key for sign-ins"))?;
        let links = Links::new(durable.clone(), vault);
        let register = RegisterOfRealms::new(config, durable);
        let own = register.of_settings().map_err(|(id, cause)| IdentityError::Realm { id, cause })?;
        let set = ArcSwap::from_pointee(own);
        let realms = Arc::new(Self { origin, set, register, transactions, links, metrics });
        realms.look().await;
        Ok(realms)
    }

    /// The origin to which providers send people back: a sign-in must begin there, or its cookie would be another host's.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Those that can prove `needed`, in the order in which they are offered. One that never asks anybody again is left out
    /// where freshness counts.
    pub fn offers(&self, needed: Assurance, max_age: Option<Duration>) -> Vec<Offer> {
        let set = self.set.load();
        let able = set.iter().filter(|provider| can(&provider.config, needed, max_age));
        able.map(|provider| offer(&provider.config)).collect()
    }

    /// The realm of this id, for people.
    pub fn offer(&self, id: &str) -> Option<Offer> {
        self.find(id).map(|provider| offer(&provider.config))
    }

    fn find(&self, id: &str) -> Option<Arc<Provider>> {
        self.set.load().iter().find(|provider| provider.config.id.as_str() == id).cloned()
    }

    /// Sends somebody to a provider.
    pub async fn begin(&self, id: &str, wanted: Wanted, now: Timestamp) -> Result<Departure, ProviderError> {
        let begun = self.departed(id, wanted, now).await;
        self.count(id, begun.as_ref().map(|_| "begun"));
        begun
    }

    async fn departed(&self, id: &str, wanted: Wanted, now: Timestamp) -> Result<Departure, ProviderError> {
        let provider = self.find(id).ok_or(ProviderError::NoRealm)?;
        if !can(&provider.config, wanted.assurance, wanted.max_age) {
            return Err(ProviderError::NoRealm);
        }
        let purpose = Purpose {
            realm: provider.config.id.clone(),
            issuer: provider.config.issuer.clone(),
            assurance: wanted.assurance,
            max_age_s: wanted.max_age.map_or(flow::MAX_AGE_S, |age| age.as_secs()),
            return_to: wanted.return_to,
            link_to: wanted.link_to,
        };
        if provider.is_oidc() {
            provider.metadata(now).await?; // before anything is kept for a provider that is away
        }
        let (transaction, given) = self.transactions.begin(purpose, now).await?;
        let address =
            flow::departure(&provider, &transaction, &given, &self.redirect_uri(&provider.config.id), now).await?;
        Ok(Departure { address, cookie_name: given.cookie_name, cookie_value: given.cookie_value })
    }

    /// The name of the cookie that must come along with this state.
    pub fn cookie_name(state: &str) -> String {
        transaction::cookie_name(state)
    }

    /// Takes somebody back. `cookie` is the value of the cookie of that state; `signed_in` is who sits there now.
    pub async fn finish(
        &self,
        id: &str,
        callback: &Callback,
        cookie: Option<&str>,
        signed_in: Option<&str>,
        now: Timestamp,
    ) -> Result<Arrived, Stopped> {
        let mut return_to = None;
        let finished = self.finished(id, callback, cookie, signed_in, now, &mut return_to).await;
        let word = finished.as_ref().map(|arrived| match arrived {
            Arrived::Person(_) => "ok",
            Arrived::Linked { .. } => "linked",
        });
        self.count(id, word);
        finished.map_err(|error| Stopped { error, return_to })
    }

    async fn finished(
        &self,
        id: &str,
        callback: &Callback,
        cookie: Option<&str>,
        signed_in: Option<&str>,
        now: Timestamp,
        way_back: &mut Option<String>,
    ) -> Result<Arrived, ProviderError> {
        let provider = self.find(id).ok_or(ProviderError::NoRealm)?;
        let config = &provider.config;
        let state = callback.state.as_deref().ok_or(ProviderError::NoTransaction)?;
        let transaction = self.transactions.take(state, cookie, now).await?;
        *way_back = Some(transaction.return_to.clone());
        if transaction.realm != config.id {
            // Mix-up: one provider's answer at another's address (RFC 9207, RFC 9700 section 4.4).
            return Err(provider.untrusted("its answer belongs to a sign-in at another provider"));
        }
        let redirect_uri = self.redirect_uri(&config.id);
        let vouched = flow::arrival(&provider, &transaction, callback, &redirect_uri, now).await?;
        let return_to = transaction.return_to;
        if let Some(subject) = transaction.link_to {
            // Still the one who asked for it: both are proven now.
            if signed_in != Some(&*subject) {
                return Err(ProviderError::NoTransaction);
            }
            self.links.link(config, &vouched.sub, &subject, now).await?;
            return Ok(Arrived::Linked { return_to });
        }
        let found = self.links.subject(config, &vouched.sub, now).await?;
        let name = found.name.or(vouched.name).unwrap_or_else(|| config.name.clone());
        let proof = Proof { assurance: vouched.assurance, methods: vouched.methods, at: vouched.at };
        let (subject, kind, sub, sid) = (found.subject, found.kind, vouched.sub, vouched.sid);
        Ok(Arrived::Person(Box::new(Arrival { subject, kind, name, proof, sub, sid, return_to })))
    }

    fn redirect_uri(&self, id: &RealmId) -> String {
        format!("{}/sign-in/{id}/callback", self.origin)
    }

    /// Where a browser is signed out at the provider too; `None`: it has no such address, or does not answer now. No id_token
    /// is kept for it: the provider asks the person, or knows them by its own cookie.
    pub async fn sign_out_address(&self, id: &str, now: Timestamp) -> Option<String> {
        let provider = self.find(id).filter(|provider| provider.is_oidc())?;
        let metadata = provider.metadata(now).await.ok()?;
        let mut url = reqwest::Url::parse(metadata.end_session_endpoint.as_deref()?).ok()?;
        let back = format!("{}/sign-out", self.origin);
        url.query_pairs_mut()
            .append_pair("client_id", &provider.config.client_id)
            .append_pair("post_logout_redirect_uri", &back);
        Some(url.into())
    }

    /// Which sessions a logout token ends (OpenID Connect Back-Channel Logout 1.0). The same token is taken once: `Untrusted`.
    pub async fn end_of(&self, id: &str, token: &str, now: Timestamp) -> Result<EndOf, ProviderError> {
        let provider = self.find(id).ok_or(ProviderError::NoRealm)?;
        let config = &provider.config;
        let RealmKind::Oidc { algorithms, .. } = &config.kind else { return Err(ProviderError::NoRealm) };
        let profile = Profile { issuer: &config.issuer, client_id: &config.client_id, algorithms };
        let check = |keys: &Arc<_>| token::logout_token(&profile, token, keys, now);
        let believed = flow::checked(&provider, now, check).await?;
        let life = 2 * LOGOUT_AGE_MAX; // longer than any clock lets the same token pass
        if !self.transactions.store().put_once(&seen(id, &believed.jti), b"", life, now).await? {
            return Err(provider.untrusted("its logout token came before"));
        }
        Ok(EndOf { sid: believed.sid, sub: believed.sub, jti: believed.jti })
    }

    /// Lets a logout token come again that could not be carried out.
    pub async fn not_ended(&self, id: &str, end: &EndOf, now: Timestamp) {
        if let Err(error) = self.transactions.store().take(&seen(id, &end.jti), now).await {
            tracing::warn!(%error, "a logout token that was not carried out cannot come again");
        }
    }

    /// The identities of a subject, and whether they can be taken away: only an account of ours can do without.
    pub async fn linked(&self, subject: &str) -> Result<(Vec<Linked>, bool), ProviderError> {
        Ok(self.links.of(subject).await?)
    }

    /// Takes an identity from an account. `false`: it has none of that name, or is no account of ours.
    pub async fn unlink(&self, subject: &str, identity: &str) -> Result<bool, ProviderError> {
        Ok(self.links.unlink(subject, identity).await?)
    }

    /// The public key that a provider must file for this client; `None`: it proves itself by a secret.
    pub async fn client_key(&self, id: &RealmId) -> Option<Jwk> {
        client::public_key(&self.find(id.as_str())?.config).await
    }

    /// Counts under the realm's own id: what somebody writes into an address is no label.
    fn count(&self, id: &str, outcome: Result<&'static str, &ProviderError>) {
        let realm = self.find(id).map_or_else(|| "none".to_owned(), |provider| provider.config.id.to_string());
        let word = outcome.unwrap_or_else(ProviderError::word);
        self.metrics.provider_sign_ins.with_label_values(&[&realm, word]).inc();
    }
}

fn offer(config: &RealmConfig) -> Offer {
    Offer { id: config.id.clone(), name: config.name.clone(), name_en: config.name_en.clone() }
}

fn can(config: &RealmConfig, needed: Assurance, max_age: Option<Duration>) -> bool {
    let asks_again = match &config.kind {
        RealmKind::Oidc { .. } => true,
        RealmKind::CodeUserinfo(adapter) => adapter.reauthenticates,
    };
    flow::reach(config) >= needed && (max_age.is_none() || asks_again)
}

fn seen(id: &str, jti: &str) -> Vec<u8> {
    [b"logout token\0", id.as_bytes(), b"\0", jti.as_bytes()].concat()
}
