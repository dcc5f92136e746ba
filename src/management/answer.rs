//! What a call answers when it did what it asked.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

use crate::registry::Version;

const JSON: &str = "application/json";

/// A good answer. Kept for an `Idempotency-Key`, so everything in it is text.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) fields: Vec<(HeaderName, String)>,
    pub(super) body: Option<String>,
    /// What is kept for a repetition, when that may not be the body: a secret is shown once.
    pub(super) kept: Option<String>,
}

impl Answer {
    /// 200 with a body.
    pub(super) fn of(body: &impl Serialize) -> Self {
        // Our own types: no map with keys that are no text, so it cannot fail.
        let body = serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned());
        Self { status: StatusCode::OK, fields: Vec::new(), body: Some(body), kept: None }
    }

    /// Part of a list.
    pub(super) fn page(entries: &impl Serialize, next: Option<&str>) -> Self {
        let entries = serde_json::to_value(entries).unwrap_or(Value::Null);
        Self::of(&serde_json::json!({ "entries": entries, "next": next.map(super::cursor::of) }))
    }

    /// 304.
    pub(super) fn known(version: Version) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, fields: Vec::new(), body: None, kept: None }.at(version)
    }

    pub(super) fn at(mut self, version: Version) -> Self {
        self.fields.push((ETAG, super::conditions::etag(version)));
        self
    }

    /// 201, unless it was only tried.
    pub(super) fn made(mut self, place: String, dry_run: bool) -> Self {
        if !dry_run {
            self.status = StatusCode::CREATED;
            self.fields.push((LOCATION, place));
        }
        self
    }

    /// 202: it takes a second person, and lies at `place` until then.
    pub(super) fn proposed(mut self, place: String) -> Self {
        self.status = StatusCode::ACCEPTED;
        self.fields.push((LOCATION, place));
        self
    }

    /// What a repetition gets instead.
    pub(super) fn kept_as(mut self, body: &impl Serialize) -> Self {
        self.kept = serde_json::to_string(body).ok();
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, [(CONTENT_TYPE, JSON)], body).into_response(),
            None => self.status.into_response(),
        };
        for (name, value) in self.fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
