//! Calls of programs, and the answers they get: JSON that no cache keeps.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::Refused;
use crate::identity::IdentityError;
use crate::store::StoreError;

/// What a program gets.
pub type Answer = Response<Bytes>;

/// A call of a program.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    /// How it calls.
    pub method: &'a Method,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its form.
    pub body: &'a [u8],
}

/// Why a program does not get what it wants, in the standards' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// RFC 6749 section 5.2.
    #[error("invalid_request: {0}")]
    Request(&'static str),
    /// The same; also a client whose platform is not served.
    #[error("invalid_client")]
    Client,
    #[error("invalid_grant: {0}")]
    Grant(&'static str),
    #[error("invalid_scope: {0}")]
    Scope(&'static str),
    #[error("unauthorized_client: {0}")]
    Unauthorized(&'static str),
    #[error("unsupported_grant_type")]
    GrantType,
    /// An error of an authorization request, as it is pushed.
    #[error("{0}: {1}")]
    Pushed(&'static str, &'static str),
    /// RFC 6750 section 3.1; `None`: nothing was shown.
    #[error("invalid_token")]
    Token { shown: bool },
    /// The store did not answer: nobody knows.
    #[error("the session store did not answer")]
    Away,
    #[error("no randomness, or no key")]
    Internal,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match Refused::from(error) {
            Refused::Away => Self::Away,
            _ => Self::Internal,
        }
    }
}

impl From<IdentityError> for Fault {
    fn from(error: IdentityError) -> Self {
        tracing::error!(%error, "the provider cannot sign");
        Self::Internal
    }
}

impl Fault {
    /// The word in `yimen_issuer_tokens_total{result}`.
    pub(super) fn word(self) -> &'static str {
        self.told().1
    }

    fn told(self) -> (StatusCode, &'static str, &'static str) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::Request(why) => (bad, "invalid_request", why),
            Self::Client => {
                (StatusCode::UNAUTHORIZED, "invalid_client", "client unknown, not served, or not shown to be it")
            }
            Self::Grant(why) => (bad, "invalid_grant", why),
            Self::Scope(why) => (bad, "invalid_scope", why),
            Self::Unauthorized(why) => (bad, "unauthorized_client", why),
            Self::GrantType => (bad, "unsupported_grant_type", "use authorization_code or refresh_token"),
            Self::Pushed(code, why) => (bad, code, why),
            Self::Token { .. } => (StatusCode::UNAUTHORIZED, "invalid_token", "no token, or one that has ended"),
            Self::Away => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again in a moment"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the fault is ours"),
        }
    }

    pub(super) fn answer(self, origin: &str) -> Answer {
        let (status, error, description) = self.told();
        let mut answer = json(status, &json!({ "error": error, "error_description": description }));
        let scheme = match self {
            Self::Client => Some(format!("Basic realm=\"{origin}\"")),
            Self::Token { shown: false } => Some(format!("Bearer realm=\"{origin}\"")),
            Self::Token { shown: true } => Some(format!("Bearer realm=\"{origin}\", error=\"{error}\"")),
            _ => None,
        };
        if let Some(value) = scheme.and_then(|scheme| HeaderValue::try_from(scheme).ok()) {
            answer.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        if self == Self::Away {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer
    }
}

/// RFC 6749 section 5.1: `no-store`, since it may hold tokens.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let mut answer = empty(status);
    *answer.body_mut() = serde_json::to_vec(body).unwrap_or_default().into(); // ours always can be written
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

pub(super) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
