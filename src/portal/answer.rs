//! Answers without a page of their own: redirects and cookies.

use axum::body::Body;
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

use super::return_to::ReturnTo;

/// 303, so that the form is not sent again.
pub(super) fn see_other(to: &ReturnTo) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    // A `ReturnTo` is visible ASCII, so it always is a header value.
    let location = HeaderValue::from_str(to.as_str()).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 303 to an address of another origin, which we made.
pub(super) fn elsewhere(address: &str) -> Response<Body> {
    let mut response = see_other(&ReturnTo::home());
    if let Ok(address) = HeaderValue::from_str(address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

pub(super) fn with_cookie(mut response: Response<Body>, cookie: &str) -> Response<Body> {
    if let Ok(mut value) = HeaderValue::from_str(cookie) {
        value.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}
