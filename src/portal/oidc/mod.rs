//! The OpenID Provider's addresses: what a browser is shown on its way, and what programs call. What is decided is the issuer's; here
//! it becomes a redirect or a page. The session is looked up here, since "unknown" must not look like "nobody" to a client.

mod farewell;
mod way;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::RawQuery;
use axum::{Extension, response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::call::Call;
use super::failure::WayOn;
use super::return_to::ReturnTo;
use crate::domain::Assurance;
use crate::issuer::{Answer, Machine, Refused};
use crate::session::{CookieRead, Live, Lookup, cookie};

pub(super) use farewell::farewell;
pub(super) use way::authorize;

type Response = response::Response<Body>;

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`. Kept as long as the key set.
pub(super) async fn metadata(Extension(call): Extension<Arc<Call>>) -> Response {
    let mut answer = Response::new(Body::from(call.rooms.issuer.metadata()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// An address that programs call.
macro_rules! called {
    ($($name:ident => $method:ident: $about:literal)*) => {
        $(#[doc = $about]
        pub(super) async fn $name(
            Extension(call): Extension<Arc<Call>>,
            method: Method,
            headers: HeaderMap,
            body: Bytes,
        ) -> Response {
            let machine = Machine { method: &method, headers: &headers, body: &body };
            whole(call.rooms.issuer.$method(machine, call.now).await)
        })*
    };
}

called! {
    token => token: "`POST /oidc/token`."
    userinfo => userinfo: "`/oidc/userinfo`."
    introspect => introspect: "`POST /oidc/introspect`."
    revoke => revoke: "`POST /oidc/revoke`."
    push => push: "`POST /oidc/par`."
}

fn whole(answer: Answer) -> Response {
    answer.map(Body::from)
}

/// The account that a client thinks somebody has who is on the way to sign in for it; empty for everybody else.
pub(super) fn login_hint(call: &Call, return_to: &ReturnTo) -> String {
    call.rooms.issuer.login_hint(return_to.as_str()).unwrap_or_default()
}

/// Query or form, whichever the request has.
fn asked(method: &Method, RawQuery(query): RawQuery, body: &Bytes) -> Vec<u8> {
    if method == Method::POST { body.to_vec() } else { query.unwrap_or_default().into_bytes() }
}

/// Who is signed in. `Err`: a page that says why nobody knows. A session at one platform's origin is none here.
async fn session(call: &Call, headers: &HeaderMap) -> Result<Option<Arc<Live>>, Box<Response>> {
    let id = match cookie::read(headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes)) {
        CookieRead::None => return Ok(None),
        CookieRead::Bad => return Err(Box::new(call.failure(StatusCode::BAD_REQUEST, "bad-cookie", WayOn::Home))),
        CookieRead::One(id) => id,
    };
    // As for L3: what clients get needs a store that answers.
    match call.rooms.sessions.look_up(&id, Assurance::L3, call.now).await {
        Lookup::Found(live) if live.session.platform.is_none() => Ok(Some(live)),
        Lookup::Found(_) | Lookup::Absent => Ok(None),
        Lookup::Unknown => Err(Box::new(refused(call, Refused::Away))),
    }
}

/// A page of ours; nobody is sent anywhere.
fn refused(call: &Call, why: Refused) -> Response {
    let (status, code, way_on) = match why {
        Refused::UnknownClient => (StatusCode::BAD_REQUEST, "unknown-client", WayOn::Home),
        Refused::ClientNotServed => (StatusCode::FORBIDDEN, "client-not-served", WayOn::Home),
        Refused::AddressNotFiled => (StatusCode::BAD_REQUEST, "address-not-filed", WayOn::Home),
        Refused::Over => (StatusCode::BAD_REQUEST, "request-over", WayOn::Home),
        Refused::BadHint => (StatusCode::BAD_REQUEST, "bad-hint", WayOn::Home),
        Refused::Unreadable => (StatusCode::BAD_REQUEST, "bad-request", WayOn::Home),
        Refused::Away => (StatusCode::SERVICE_UNAVAILABLE, "session-store-away", WayOn::Retry(5)),
        Refused::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home),
    };
    tracing::info!(%why, request_id = call.visitor.request_id, "a client's request is answered by a page");
    call.failure(status, code, way_on)
}
