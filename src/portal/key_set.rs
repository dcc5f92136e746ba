//! The public keys of assertions, for platforms.

use std::sync::Arc;

use axum::body::Body;
use axum::{Extension, response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::call::Call;

/// `GET /.well-known/jwks.json` (RFC 7517). A platform may keep it for 300 s: a new key is shown for twice that before it signs.
pub(super) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let mut answer = response::Response::new(Body::from(call.rooms.keys.jwks(call.now)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
