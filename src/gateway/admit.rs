//! The second step: one canonical form of the request, or a refusal. What leaves here is what is matched and, byte for
//! byte, what is forwarded; nothing in it claims to be ours.

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Uri, Version};
use pingora::http::RequestHeader;

use super::fields::change_request;
use super::policy::{Fate, fate};
use super::refusal::Refusal;
use super::{host, path};
use crate::config::LimitsConfig;

/// What the header says about the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodySize {
    /// `Content-Length`, or none at all.
    Known(u64),
    /// Chunked, or by HTTP/2 without a length, which the header does not tell: counted while it streams.
    Streamed,
}

/// Makes the header canonical in place. Cost for a plain request: one walk over its fields, no allocation.
pub(crate) fn admit(header: &mut RequestHeader, limits: &LimitsConfig) -> Result<BodySize, Refusal> {
    let method = &header.method;
    if *method == Method::TRACE || *method == Method::CONNECT || method.as_str() == "TRACK" {
        return Err(Refusal::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()));
    }
    let target = header.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target.max(header.raw_path().len()) > limits.url_bytes_max {
        return Err(Refusal::UrlTooLong);
    }
    let reserved = reserved(header, limits)?;
    let size = body_size(header)?;
    canonical_host(header)?;
    canonical_path(header)?;
    if header.has_case() || !reserved.is_empty() {
        change_request(header, |parts| {
            for name in reserved {
                parts.headers.remove(name);
            }
        });
    }
    Ok(size)
}

/// The fields that go no further, as far as somebody sent them: those that only we may say, and those with an underscore in their
/// name. Platforms that hand fields on as variables (RFC 3875 section 4.1.18) cannot tell `a_b` from `a-b`, so it could stand in
/// for any field that we have checked.
fn reserved(header: &RequestHeader, limits: &LimitsConfig) -> Result<Vec<HeaderName>, Refusal> {
    let (mut count, mut bytes) = (0, 0);
    let mut reserved = Vec::new(); // allocates only when somebody sent one
    for (name, value) in &header.headers {
        count += 1;
        bytes += name.as_str().len() + value.len() + 4; // with colon, space and line end
        let dropped = fate(name.as_str()) == Fate::Drop || name.as_str().contains('_');
        if dropped && !reserved.contains(name) {
            reserved.push(name.clone());
        }
    }
    if count > limits.headers_max || bytes > limits.header_bytes_max {
        return Err(Refusal::HeadersTooLarge);
    }
    Ok(reserved)
}

/// RFC 9110 section 8.6: one number. Lists, even of equal numbers, are refused: parsers behind us disagree about them.
fn body_size(header: &RequestHeader) -> Result<BodySize, Refusal> {
    if header.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(BodySize::Streamed);
    }
    let mut lengths = header.headers.get_all(CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(BodySize::Known(0)) };
    let digits = length.as_bytes();
    let number = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit));
    let canonical = number.filter(|digits| *digits == "0" || !digits.starts_with('0')); // some read a leading zero as octal
    match canonical.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(number) if lengths.next().is_none() && i64::try_from(number).is_ok() => Ok(BodySize::Known(number)),
        _ => Err(Refusal::BadLength),
    }
}

fn canonical_host(header: &mut RequestHeader) -> Result<(), Refusal> {
    let mut hosts = header.headers.get_all(HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let from_field = match (first, second) {
        (Some(value), None) => Some(value.to_str().map_err(|_| Refusal::BadHost)?),
        (None, None) => None,
        _ => return Err(Refusal::BadHost),
    };
    let authority = authority(header)?;
    let value = match (from_field, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => return Err(Refusal::BadHost),
        (Some(host), _) => host,
        (None, Some(authority)) if header.version == Version::HTTP_2 => authority,
        _ => return Err(Refusal::BadHost),
    };
    let (name, port) = host::canonical(value).ok_or(Refusal::BadHost)?;
    let changed = matches!(name, Cow::Owned(_)).then(|| format!("{name}{port}"));
    let http1 = header.version != Version::HTTP_2;
    if let Some(changed) = changed {
        let value = HeaderValue::from_str(&changed).map_err(|_| Refusal::BadHost)?;
        if from_field.is_some() {
            header.insert_header(HOST, value).map_err(|_| Refusal::BadHost)?;
        }
        if !http1 {
            replace_authority(header, &changed)?;
        }
    }
    if http1 && !header.raw_path().starts_with(b"/") {
        origin_form(header); // the absolute form said nothing that `Host` does not say
    }
    Ok(())
}

/// The authority of an HTTP/2 request, or of the absolute form (RFC 9112 section 3.2.2), which the frame keeps beside the URI.
fn authority(header: &RequestHeader) -> Result<Option<&str>, Refusal> {
    if header.version == Version::HTTP_2 {
        return Ok(header.uri.authority().map(http::uri::Authority::as_str));
    }
    let raw = header.raw_path();
    if matches!(raw.first(), Some(b'/' | b'*')) {
        return Ok(None);
    }
    let target = std::str::from_utf8(raw).map_err(|_| Refusal::BadPath)?;
    let rest = target.split_once("://").map(|(_, rest)| rest).ok_or(Refusal::BadPath)?;
    Ok(rest.split(['/', '?', '#']).next())
}

fn replace_authority(header: &mut RequestHeader, authority: &str) -> Result<(), Refusal> {
    let mut parts = header.uri.clone().into_parts();
    parts.authority = Some(authority.parse().map_err(|_| Refusal::BadHost)?);
    header.set_uri(Uri::from_parts(parts).map_err(|_| Refusal::BadHost)?);
    Ok(())
}

fn origin_form(header: &mut RequestHeader) {
    let target = header.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    header.set_uri(Uri::from(target));
}

fn canonical_path(header: &mut RequestHeader) -> Result<(), Refusal> {
    if !header.raw_path_is_utf8() {
        return Err(Refusal::BadPath);
    }
    let raw = header.uri.path();
    // `http::Uri` says "/" for a target without path; a target such as `*` or `?q` reaches us as it is.
    let query = header.uri.query();
    if query.is_some_and(|query| !query.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(Refusal::BadPath);
    }
    let Cow::Owned(form) = path::canonical(raw).map_err(|_| Refusal::BadPath)? else { return Ok(()) };
    let target = query.map_or_else(|| form.clone(), |query| format!("{form}?{query}"));
    let mut parts = header.uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().map_err(|_| Refusal::BadPath)?);
    header.set_uri(Uri::from_parts(parts).map_err(|_| Refusal::BadPath)?);
    Ok(())
}

/// The canonical host name without port. Call it after [`admit`].
pub(crate) fn host_of(header: &RequestHeader) -> &str {
    let value = host_field(header);
    value.get(..host::name_length(value)).unwrap_or(value)
}

/// Host with port, as canonical as it is forwarded.
pub(crate) fn host_field(header: &RequestHeader) -> &str {
    match header.headers.get(HOST) {
        Some(value) => value.to_str().unwrap_or_default(),
        None => header.uri.authority().map_or("", http::uri::Authority::as_str),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits() -> LimitsConfig {
        LimitsConfig {
            header_bytes_max: 32 * 1024,
            headers_max: 100,
            url_bytes_max: 8 * 1024,
            inflight_max: 10,
            platform_inflight_max: 10,
            queue_max: 10,
            platform_queue_max: 10,
            waiting_room_max: 10_000,
            queue_wait: Duration::from_secs(1),
            header: Duration::from_secs(1),
            handshake: Duration::from_secs(1),
            rate_bytes_min: 1,
            connections_max: 10,
            connections_per_address_max: 10,
            body_idle: Duration::from_secs(1),
            keepalive: Duration::from_secs(1),
            keepalive_requests: 10,
            upstream_pool: 1,
            retries_max: 0,
        }
    }

    fn request(target: &str, fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut header = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
        for (name, value) in fields {
            header.append_header(*name, *value).unwrap();
        }
        header
    }

    #[test]
    fn a_plain_request_goes_through_unchanged() {
        let mut header =
            request("/s/330106/002099001000/?a=b", &[("Host", "localhost:8443"), ("Content-Length", "12")]);
        assert_eq!(admit(&mut header, &limits()), Ok(BodySize::Known(12)));
        assert_eq!(header.uri.to_string(), "/s/330106/002099001000/?a=b");
        assert_eq!((host_of(&header), host_field(&header)), ("localhost", "localhost:8443"));
    }

    #[test]
    fn host_and_path_become_canonical_and_reserved_fields_go() {
        let mut header = request(
            "/%61?x=%61",
            &[
                ("Host", "LOCALHOST"),
                ("Yimen_Assertion", "x"),
                ("yimen-assertion", "y"),
                ("X-Forwarded-For", "1.1.1.1"),
                ("Accept_Language", "en"),
            ],
        );
        admit(&mut header, &limits()).unwrap();
        assert_eq!(header.uri.to_string(), "/a?x=%61");
        assert_eq!(host_field(&header), "localhost");
        assert_eq!(header.headers.len(), 1, "{:?}", header.headers);
    }

    #[test]
    fn bad_requests_are_refused_with_their_reason() {
        let host = ("Host", "localhost");
        let long = format!("/{}", "a".repeat(9000));
        let large = "a".repeat(40_000);
        for (target, fields, expected) in [
            ("/", vec![], Refusal::BadHost),
            ("/", vec![host, host], Refusal::BadHost),
            ("/", vec![("Host", "a@b")], Refusal::BadHost),
            ("http://other/", vec![host], Refusal::BadHost),
            ("/a//b", vec![host], Refusal::BadPath),
            ("*", vec![host], Refusal::BadPath),
            (long.as_str(), vec![host], Refusal::UrlTooLong),
            ("/", vec![host, ("X-Large", large.as_str())], Refusal::HeadersTooLarge),
            ("/", vec![("X-Many", "1"); 101], Refusal::HeadersTooLarge),
            ("/", vec![host, ("Content-Length", "5, 5")], Refusal::BadLength),
            ("/", vec![host, ("Content-Length", "5"), ("Content-Length", "5")], Refusal::BadLength),
            ("/", vec![host, ("Content-Length", "9223372036854775808")], Refusal::BadLength),
            ("/", vec![host, ("Content-Length", "+5")], Refusal::BadLength),
            ("/", vec![host, ("Content-Length", "05")], Refusal::BadLength),
            ("/", vec![host, ("Content-Length", "")], Refusal::BadLength),
        ] {
            assert_eq!(admit(&mut request(target, &fields), &limits()), Err(expected), "{target} {fields:?}");
        }
    }

    #[test]
    fn the_absolute_form_becomes_the_origin_form() {
        let mut header = request("http://localhost/a?b", &[("Host", "localhost")]);
        admit(&mut header, &limits()).unwrap();
        assert_eq!(header.uri.to_string(), "/a?b");
    }
}
