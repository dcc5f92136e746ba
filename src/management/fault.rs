//! Why a call did not do what it asked: one enum, and the problem document that each becomes.

use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::domain::{PrincipalId, Right};
use crate::identity::{IdentityError, RealmError};
use crate::problem::{MEDIA_TYPE, Problem, Wrong};
use crate::registry::{RegisterError, Version};
use crate::session::SessionError;
use crate::written::{Mistake, Severity};

/// Why a call was refused, or could not be answered. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(
        "show a token (`Authorization: Bearer …`) or a client certificate that the settings name; an operator of your \
         division issues tokens, the first one comes from `yimen token issue` on the machine"
    )]
    NoCredentials,
    #[error("this token is unknown, expired or revoked; ask whoever issued it for another")]
    TokenRefused,
    #[error("this certificate is nobody's here; put its SHA-256 fingerprint into `[[management.caller]]`")]
    CertificateUnknown,
    #[error(
        "an operator shows two things: a token of {0}, and a client certificate that `[[management.caller]]` names for {0} in the role \
         operator; show the other one too"
    )]
    SecondFactorNeeded(PrincipalId),
    #[error("{principal} lacks the right `{right}` on {object}; {hint}")]
    Forbidden { right: Right, principal: PrincipalId, object: String, hint: &'static str },
    #[error("there is no {0}; look for it in the list")]
    NotFound(String),
    #[error("there is nothing at this path; `/openapi.json` and `/docs` show what there is")]
    NoResource,
    #[error("this resource answers {allow}; choose one of them")]
    Method { allow: String },
    #[error("{} of this request cannot be read; correct what `errors` names", count(.0.len(), "parameter"))]
    Parameters(Vec<Wrong>),
    #[error("the body is no JSON of the kind that is expected; correct what `errors` names")]
    Syntax(Vec<Wrong>),
    #[error("the body has {}; correct them all and send it again", count(.0.len(), "mistake"))]
    Body(Vec<Wrong>),
    #[error("this call takes {expected} and got {got}; say so in Content-Type")]
    MediaType { expected: &'static str, got: String },
    #[error(
        "say which version this changes: read it, and send its ETag as If-Match (or `If-None-Match: *` for a new one)"
    )]
    ConditionNeeded,
    #[error("say which version you have read: send its ETag as If-Match, since `*` would decide on whatever is newest")]
    DecisionNeedsVersion,
    #[error("{}; read it again and decide anew", current_words(*.0))]
    ConditionFailed(Option<Version>),
    #[error("this Idempotency-Key came with another request before; take a new key for a new request")]
    KeyReused,
    #[error("the call with this Idempotency-Key is under way; ask again in a moment for its answer")]
    KeyUnderWay,
    #[error(transparent)]
    Register(#[from] RegisterError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("what was asked is done as far as the register goes, and sessions did not end: {0}; call it again")]
    Sessions(SessionError),
    #[error(transparent)]
    Realm(RealmError),
}

impl From<RealmError> for Fault {
    /// What has a fault of its own becomes that.
    fn from(error: RealmError) -> Self {
        match error {
            RealmError::NotFound(id) => Self::NotFound(format!("realm {id}")),
            RealmError::Changed { current } => Self::ConditionFailed(current.map(Version)),
            error => Self::Realm(error),
        }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn current_words(current: Option<Version>) -> String {
    current.map_or_else(|| "there is nothing yet".to_owned(), |version| format!("it has version {version}"))
}

impl Fault {
    /// Status and stable code. The table in README.md lists them; a test holds it.
    pub(super) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCredentials => (StatusCode::UNAUTHORIZED, "credentials-needed"),
            Self::TokenRefused => (StatusCode::UNAUTHORIZED, "token-refused"),
            Self::CertificateUnknown => (StatusCode::UNAUTHORIZED, "certificate-unknown"),
            Self::SecondFactorNeeded(_) => (StatusCode::UNAUTHORIZED, "second-factor-needed"),
            Self::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Self::NoResource => (StatusCode::NOT_FOUND, "no-resource"),
            Self::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::Parameters(_) => (StatusCode::BAD_REQUEST, "invalid-parameters"),
            Self::Syntax(_) => (StatusCode::BAD_REQUEST, "invalid-json"),
            Self::Body(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body"),
            Self::MediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type"),
            Self::ConditionNeeded | Self::DecisionNeedsVersion => {
                (StatusCode::PRECONDITION_REQUIRED, "condition-needed")
            }
            Self::ConditionFailed(_) => (StatusCode::PRECONDITION_FAILED, "version-conflict"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
            Self::KeyUnderWay => (StatusCode::CONFLICT, "idempotency-key-under-way"),
            Self::Register(error) => (status(error), error.code()),
            Self::Identity(
                IdentityError::TokenLife
                | IdentityError::TokenPlatform
                | IdentityError::TokenScope { .. }
                | IdentityError::TokenOutlives
                | IdentityError::PrincipalReserved(_)
                | IdentityError::BadLegalName
                | IdentityError::BadEvidence
                | IdentityError::RoleDays,
            ) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body"),
            Self::Identity(IdentityError::IssuerEnded(_)) => (StatusCode::UNAUTHORIZED, "credential-ended"),
            Self::Identity(IdentityError::PrincipalTaken(_)) => (StatusCode::CONFLICT, "principal-taken"),
            Self::Identity(IdentityError::LegalNameDiffers { .. }) => (StatusCode::CONFLICT, "legal-name-differs"),
            Self::Identity(IdentityError::NoRole(_)) => (StatusCode::NOT_FOUND, "not-found"),
            Self::Sessions(_) => (StatusCode::SERVICE_UNAVAILABLE, "sessions-away"),
            Self::Realm(RealmError::InSettings(_)) => (StatusCode::CONFLICT, "realm-in-settings"),
            Self::Realm(RealmError::TooMany) => (StatusCode::CONFLICT, "too-many-realms"),
            Self::Identity(_) | Self::Realm(_) => (StatusCode::SERVICE_UNAVAILABLE, "store-away"),
        }
    }

    fn title(code: &str) -> &'static str {
        TITLES.iter().find(|(known, _)| *known == code).map_or("Refused", |(_, title)| title)
    }

    fn wrongs(&self) -> Vec<Wrong> {
        match self {
            Self::Parameters(wrongs) | Self::Syntax(wrongs) | Self::Body(wrongs) => wrongs.clone(),
            Self::Register(RegisterError::Invalid(mistakes)) => errors(mistakes),
            Self::Register(RegisterError::PlaceTaken { route: Some(route), place, .. }) => {
                vec![at_route(*route, place)]
            }
            Self::Register(RegisterError::NotReserved { route, place, .. }) => vec![at_route(*route, place)],
            _ => Vec::new(),
        }
    }

    fn right(&self) -> Option<&'static str> {
        match self {
            Self::Forbidden { right, .. } | Self::Register(RegisterError::Forbidden { right, .. }) => {
                Some(right.word())
            }
            _ => None,
        }
    }

    fn current(&self) -> Option<Version> {
        match self {
            Self::ConditionFailed(current) | Self::Register(RegisterError::VersionConflict { current }) => *current,
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(HeaderName, String)> {
        let mut fields = Vec::new();
        match self {
            Self::NoCredentials => fields.push((WWW_AUTHENTICATE, "Bearer realm=\"yimen\"".to_owned())),
            Self::TokenRefused | Self::CertificateUnknown => {
                fields.push((WWW_AUTHENTICATE, "Bearer realm=\"yimen\", error=\"invalid_token\"".to_owned()));
            }
            // RFC 9470 section 3.
            Self::SecondFactorNeeded(_) => fields.push((
                WWW_AUTHENTICATE,
                "Bearer realm=\"yimen\", error=\"insufficient_user_authentication\"".to_owned(),
            )),
            Self::Method { allow } => fields.push((ALLOW, allow.clone())),
            Self::KeyUnderWay => fields.push((RETRY_AFTER, "1".to_owned())),
            _ => {}
        }
        if self.kind().0 == StatusCode::SERVICE_UNAVAILABLE {
            fields.push((RETRY_AFTER, "2".to_owned())); // as long as the store's own deadline
        }
        fields.extend(self.current().map(|version| (ETAG, super::conditions::etag(version))));
        fields
    }

    /// The problem document. What went wrong inside us is for the log, and is told there once.
    pub(super) fn respond(&self, request_id: &str) -> Response {
        let (status, code) = self.kind();
        if let Self::Identity(_) | Self::Realm(_) | Self::Register(RegisterError::Away(_)) = self
            && status.is_server_error()
        {
            tracing::error!(request_id, cause = ?self, "a management call could not be answered");
        }
        let mut problem = Problem::new(status.as_u16(), code, Self::title(code), self.detail(), request_id);
        problem.errors = self.wrongs();
        problem.right = self.right();
        problem.current = self.current().map(super::conditions::etag);
        let mut response = (status, [(CONTENT_TYPE, MEDIA_TYPE)], problem.body()).into_response();
        for (name, value) in self.fields() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn detail(&self) -> String {
        match self.kind().0 {
            StatusCode::SERVICE_UNAVAILABLE if !matches!(self, Self::Sessions(_)) => {
                "the store is away; nothing was changed, try again".to_owned()
            }
            _ => self.to_string(),
        }
    }
}

fn status(error: &RegisterError) -> StatusCode {
    match error {
        RegisterError::NotFound { .. } => StatusCode::NOT_FOUND,
        RegisterError::Forbidden { .. } | RegisterError::SelfReview { .. } => StatusCode::FORBIDDEN,
        RegisterError::CredentialEnded { .. } => StatusCode::UNAUTHORIZED,
        RegisterError::VersionConflict { .. } => StatusCode::PRECONDITION_FAILED,
        RegisterError::WrongState { .. }
        | RegisterError::PlaceTaken { .. }
        | RegisterError::NotReserved { .. }
        | RegisterError::IdTaken { .. }
        | RegisterError::Decided { .. }
        | RegisterError::TooMany { .. } => StatusCode::CONFLICT,
        RegisterError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RegisterError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        RegisterError::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Mistakes that stop a document, as the API tells them.
pub(super) fn errors(mistakes: &[Mistake]) -> Vec<Wrong> {
    mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).map(wrong).collect()
}

/// Mistakes that do not stop it.
pub(super) fn warnings(mistakes: &[Mistake]) -> Vec<Wrong> {
    mistakes.iter().filter(|mistake| mistake.severity == Severity::Warning).map(wrong).collect()
}

/// One mistake of a body.
pub(super) fn wrong(mistake: &Mistake) -> Wrong {
    let Mistake { pointer, got, expected, hint, .. } = mistake;
    Wrong {
        pointer: Some(pointer.clone()),
        parameter: None,
        got: got.clone(),
        expected: expected.clone(),
        hint: hint.clone(),
    }
}

fn at_route(route: usize, place: &str) -> Wrong {
    Wrong {
        pointer: Some(format!("/route/{route}")),
        parameter: None,
        got: place.to_owned(),
        expected: "a place that is free for this platform".to_owned(),
        hint: None,
    }
}

/// Every code and its title.
pub(super) const TITLES: [(&str, &str); 36] = [
    ("credentials-needed", "Token or certificate needed"),
    ("token-refused", "Token refused"),
    ("certificate-unknown", "Certificate unknown"),
    ("second-factor-needed", "Second factor needed"),
    ("forbidden", "Right missing"),
    ("self-review", "Maker and checker could be one"),
    ("credential-ended", "Credential ended meanwhile"),
    ("principal-taken", "Name of somebody else"),
    ("legal-name-differs", "Legal person under another name"),
    ("id-taken", "Id taken"),
    ("proposal-decided", "Proposal no longer open"),
    ("too-many", "As many as there may be"),
    ("not-found", "Not found"),
    ("no-resource", "No such resource"),
    ("method-not-allowed", "Method not allowed"),
    ("invalid-parameters", "Parameters with mistakes"),
    ("invalid-json", "Body that cannot be read"),
    ("invalid-body", "Body with mistakes"),
    ("invalid-filing", "Filing with mistakes"),
    ("filing-too-large", "Filing too large"),
    ("body-too-large", "Body too large"),
    ("body-too-slow", "Body too slow"),
    ("body-broken", "Body broken off"),
    ("media-type", "Media type not taken"),
    ("condition-needed", "Precondition needed"),
    ("version-conflict", "Changed meanwhile"),
    ("idempotency-key-reused", "Idempotency-Key used before"),
    ("idempotency-key-under-way", "Call under way"),
    ("wrong-state", "State does not allow it"),
    ("place-taken", "Place taken"),
    ("not-reserved", "Place not reserved"),
    ("realm-in-settings", "Realm of the settings"),
    ("too-many-realms", "Too many realms"),
    ("register-away", "Register away"),
    ("store-away", "Store away"),
    ("sessions-away", "Sessions away"),
];
