//! Header fields in the form that costs least to change. The frame keeps every name twice, as it was written and as it compares,
//! so each field that is put in or taken out costs two hash tables and two allocations. What we change goes on with its names as
//! HTTP/2 writes them, in small letters, but for the commonest (`Host`, `Content-Type` …), which the frame writes with capitals:
//! names mean the same in any letters (RFC 9110 section 5.1). A platform's own reason phrase becomes the standard one.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, request, response};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType};

/// Changes a request whose target is in origin form already (`admit` sees to that).
pub(crate) fn change_request<T>(header: &mut RequestHeader, change: impl FnOnce(&mut request::Parts) -> T) -> T {
    let empty = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts = request::Parts::from(std::mem::replace(header, empty));
    let changed = change(&mut parts);
    *header = RequestHeader::from(parts);
    changed
}

/// Changes an answer.
pub(crate) fn change_answer<T>(header: &mut ResponseHeader, change: impl FnOnce(&mut response::Parts) -> T) -> T {
    let empty = ResponseHeader::from(Response::new(()).into_parts().0);
    let mut parts = response::Parts::from(std::mem::replace(header, empty));
    let changed = change(&mut parts);
    *header = ResponseHeader::from(parts);
    changed
}

/// A value that we made.
pub(crate) fn value(text: impl Into<Bytes>) -> pingora::Result<HeaderValue> {
    HeaderValue::from_maybe_shared(text.into())
        .or_else(|_| Error::e_explain(ErrorType::InternalError, "a field value of ours is none"))
}
