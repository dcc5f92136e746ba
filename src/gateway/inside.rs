//! Requests whose platform is the gateway itself: portal, sign-in, account, keys. Their bodies are forms, so they are read
//! whole, within a limit and a deadline, and handed to the portal in process.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_SECURITY_POLICY, COOKIE, EXPECT};
use pingora::proxy::Session as Downstream;
use pingora::{ErrorSource, ErrorType};

use super::connection::{Part, Watch, client_certificate};
use super::context::Context;
use super::refusal::Refusal;
use super::{GatewayParts, answer, arrive};
use crate::portal::{Language, Visitor, region_of};
use crate::session::{CookieRead, cookie};

/// A sign-in form has four short fields; 64 KiB leaves room for long return addresses.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A form is sent at once; nobody types while the request is open.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Answers in process. The inner `Err` is a refusal still to be written.
pub(crate) async fn answer(
    parts: &GatewayParts,
    downstream: &mut Downstream,
    ctx: &mut Context,
) -> pingora::Result<Result<(), Refusal>> {
    let body = match tokio::time::timeout(BODY_DEADLINE, body(downstream)).await {
        Ok(Ok(body)) => body,
        Ok(Err(refusal)) => return Ok(Err(refusal)),
        Err(_) => return Ok(Err(Refusal::BodyTimeout)),
    };
    super::enter(downstream, Part::Answer);
    let Some(visit) = &ctx.visit else { return Ok(Err(Refusal::Internal)) };
    let header = downstream.req_header();
    let head_only = header.method == http::Method::HEAD;
    let mut request = http::Request::new(body);
    *request.method_mut() = header.method.clone();
    *request.uri_mut() = header.uri.path_and_query().cloned().map_or_else(http::Uri::default, http::Uri::from);
    *request.headers_mut() = header.headers.clone();
    let cookies = || header.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
    let visitor = Visitor {
        session: ctx.session().cloned(),
        cookie_present: !matches!(cookie::read(cookies()), CookieRead::None),
        client_network: arrive::network(ctx.client),
        request_id: ctx.request_id.as_str().to_owned(),
        language: Language::of(&header.headers),
        origin: format!("{}://{}", if parts.https { "https" } else { "http" }, super::admit::host_field(header)),
        region: region_of(cookies()),
        certificate: client_certificate(downstream.digest()).cloned(),
    };
    let mut response = parts.portal.answer(request, visitor).await;
    if let Some(policy) = parts.origins.as_ref().and_then(|origins| origins.policy.clone())
        && response.headers().contains_key(CONTENT_SECURITY_POLICY)
    {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    answer::portal(downstream, response, visit, ctx.request_id.as_str(), parts.https, head_only).await?;
    Ok(Ok(()))
}

async fn body(downstream: &mut Downstream) -> Result<Bytes, Refusal> {
    let expects =
        downstream.get_header(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if expects {
        // The frame answers it only for bodies that it forwards.
        downstream.write_continue_response().await.map_err(|_| Refusal::BodyTimeout)?;
    }
    let mut body = BytesMut::new();
    loop {
        let chunk = downstream.as_downstream_mut().read_request_body().await.map_err(|error| match error.etype() {
            _ if Watch::of(downstream.digest()).is_some_and(Watch::was_cut) => Refusal::BodyTimeout,
            ErrorType::ReadTimedout => Refusal::BodyTimeout,
            _ if *error.esource() == ErrorSource::Downstream => Refusal::BadRequest,
            _ => Refusal::Internal,
        })?;
        let Some(chunk) = chunk else { return Ok(body.freeze()) };
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Refusal::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
}
