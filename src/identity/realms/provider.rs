//! One provider as this node knows it: its metadata and its keys, and every call to it.
//! Cost: both are read once an hour, by one call at a time; a key that is not known is looked for again at most once in 30 s,
//! whatever tokens come. Away: what was read goes on for a day; after a failure nobody waits again for 5 s.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::client;
use super::error::ProviderError;
use super::metadata::Metadata;
use super::outgoing::{CallError, Outgoing};
use super::token::ProviderKeys;
use crate::config::{RealmConfig, RealmKind};
use crate::domain::Timestamp;

/// Metadata and keys are read again after this long: an announced key is known well before it signs.
const FRESH: Duration = Duration::from_secs(3600);
/// And used for this long while the provider is away.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Between two looks for a key that is not known, so that made-up names of keys cost the provider nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// After a failure others are told at once, instead of each waiting for the deadline.
const REST: Duration = Duration::from_secs(5);
/// OAuth's words for a refusal (RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 3.1.2.6), and the general one.
const WORDS: [&str; 16] = [
    "access_denied",
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_client",
    "invalid_grant",
    "unsupported_grant_type",
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "request_not_supported",
    "invalid_request_uri",
    "unmet_authentication_requirements",
    "refused",
];

/// A provider.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) config: RealmConfig,
    outgoing: Outgoing,
    loopback: bool,
    known: Mutex<Known>,
    /// One reads, the others wait for what it brings.
    reading: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    keys: Option<(Arc<ProviderKeys>, Timestamp)>,
    /// When a key was last looked for that was not known.
    looked: Option<Timestamp>,
    failed: Option<(Timestamp, Failed)>,
}

/// Why a document of the provider could not be read.
#[derive(Clone, Debug)]
enum Failed {
    Away(String),
    Untrusted(String),
}

impl Provider {
    pub(super) fn new(config: RealmConfig, loopback: bool) -> Result<Self, String> {
        let outgoing = Outgoing::new(&config)?;
        Ok(Self { config, outgoing, loopback, known: Mutex::default(), reading: Semaphore::new(1) })
    }

    pub(super) async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, ProviderError> {
        let fresh = || {
            let known = self.known.lock();
            known.metadata.as_ref().filter(|(_, read)| now.since(*read) < FRESH).map(|(metadata, _)| metadata.clone())
        };
        if let Some(metadata) = fresh() {
            return Ok(metadata);
        }
        let _turn = self.turn().await?;
        if let Some(metadata) = fresh() {
            return Ok(metadata);
        }
        let read = |json| Metadata::read(json, &self.config.issuer, self.loopback);
        match self.read(&Metadata::address(&self.config.issuer), read, now).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                self.known.lock().metadata = Some((metadata.clone(), now));
                Ok(metadata)
            }
            Err(error) => {
                let known = self.known.lock();
                let kept = known.metadata.as_ref().filter(|(_, read)| now.since(*read) < KEPT);
                kept.map(|(metadata, _)| metadata.clone()).ok_or(error)
            }
        }
    }

    /// The keys; `anew`: a token names one that is not among those we have.
    pub(super) async fn keys(&self, anew: bool, now: Timestamp) -> Result<Arc<ProviderKeys>, ProviderError> {
        let held = || self.known.lock().keys.clone();
        let before = held();
        let is_fresh = |keys: &(Arc<ProviderKeys>, Timestamp)| now.since(keys.1) < FRESH;
        if let Some(keys) = before.as_ref().filter(|keys| is_fresh(keys) && !(anew && self.may_look(now))) {
            return Ok(keys.0.clone());
        }
        let metadata = self.metadata(now).await?;
        let _turn = self.turn().await?;
        let meanwhile = held().filter(|keys| before.as_ref().is_none_or(|before| !Arc::ptr_eq(&before.0, &keys.0)));
        if let Some((keys, _)) = meanwhile {
            return Ok(keys);
        }
        let read = |json| ProviderKeys::read(json).ok_or("its key set is none");
        match self.read(&metadata.jwks_uri, read, now).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.known.lock().keys = Some((keys.clone(), now));
                Ok(keys)
            }
            Err(error) => held().filter(|keys| now.since(keys.1) < KEPT).map(|keys| keys.0).ok_or(error),
        }
    }

    /// Reads a document that every provider must have. Whatever comes instead is remembered for a while, so that nobody who
    /// asks meanwhile, person or stranger's token, makes another call.
    async fn read<T>(
        &self,
        address: &str,
        parse: impl Fn(Value) -> Result<T, &'static str>,
        now: Timestamp,
    ) -> Result<T, ProviderError> {
        self.rested(now)?;
        let read = match self.outgoing.json(self.outgoing.get(address)).await {
            Ok(json) => parse(json).map_err(|reason| Failed::Untrusted(reason.to_owned())),
            Err(CallError::Away(cause)) => Err(Failed::Away(cause)),
            Err(CallError::Garbled(reason)) => Err(Failed::Untrusted(reason.to_owned())),
            Err(CallError::Refused(_)) => Err(Failed::Untrusted("it refuses what all must be told".to_owned())),
        };
        let mut known = self.known.lock();
        known.failed = read.as_ref().err().map(|failed| (now, failed.clone()));
        drop(known);
        read.map_err(|failed| self.because(&failed))
    }

    /// Takes the right to look for an unknown key, which there is once in a while.
    fn may_look(&self, now: Timestamp) -> bool {
        let mut known = self.known.lock();
        let may = known.looked.is_none_or(|looked| now.since(looked) >= LOOK_AGAIN);
        if may {
            known.looked = Some(now);
        }
        may
    }

    /// Waits no longer than a call may take.
    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, ProviderError> {
        match tokio::time::timeout(self.outgoing.deadline(), self.reading.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.away("others wait for it too")),
        }
    }

    fn rested(&self, now: Timestamp) -> Result<(), ProviderError> {
        match &self.known.lock().failed {
            Some((at, failed)) if now.since(*at) < REST => Err(self.because(failed)),
            _ => Ok(()),
        }
    }

    fn because(&self, failed: &Failed) -> ProviderError {
        match failed {
            Failed::Away(cause) => self.away(cause),
            Failed::Untrusted(reason) => self.untrusted(reason),
        }
    }

    /// A call as this client, to an address where it proves who it is.
    pub(super) async fn as_client(
        &self,
        address: &str,
        mut form: Vec<(&str, &str)>,
        now: Timestamp,
    ) -> Result<Value, ProviderError> {
        let shown = client::shown(&self.config, now).await.map_err(ProviderError::Local)?;
        let is_named = form.iter().any(|(name, _)| *name == "client_id");
        form.extend(shown.fields().into_iter().filter(|(name, _)| !(is_named && *name == "client_id")));
        let request = self.outgoing.post(address, &form);
        self.call(match shown.header() {
            Some(header) => request.header(reqwest::header::AUTHORIZATION, header),
            None => request,
        })
        .await
    }

    /// User information for this token.
    pub(super) async fn userinfo(&self, address: &str, token: &str, in_form: bool) -> Result<Value, ProviderError> {
        if in_form {
            return self.call(self.outgoing.post(address, &[("access_token", token)])).await;
        }
        self.call(self.outgoing.get(address).bearer_auth(token)).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Value, ProviderError> {
        self.outgoing.json(request).await.map_err(|error| match error {
            CallError::Away(cause) => self.away(&cause),
            CallError::Garbled(reason) => self.untrusted(reason),
            CallError::Refused(code) => self.refused(&code),
        })
    }

    pub(super) fn away(&self, cause: &str) -> ProviderError {
        ProviderError::Away { realm: self.config.id.clone(), cause: cause.to_owned() }
    }

    pub(super) fn untrusted(&self, reason: &str) -> ProviderError {
        ProviderError::Untrusted { realm: self.config.id.clone(), reason: reason.to_owned() }
    }

    /// The provider's word, if it is one of those that may come.
    pub(super) fn refused(&self, code: &str) -> ProviderError {
        let code = WORDS.into_iter().find(|word| *word == code).unwrap_or("refused");
        ProviderError::Refused { realm: self.config.id.clone(), code }
    }

    pub(super) fn is_oidc(&self) -> bool {
        matches!(self.config.kind, RealmKind::Oidc { .. })
    }
}
