//! The sixth step: what goes back. A platform's answer gets our security headers and loses what only we may say; a failure
//! of ours becomes a page with a way on for people, a problem document for programs, from the same refusal.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, SERVER, SET_COOKIE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::ResponseHeader;
use pingora::proxy::Session as Downstream;

use super::context::{Context, Visit};
use super::policy::{Fate, fate};
use super::protect::{is_navigation, wants_page};
use super::refusal::Refusal;
use crate::portal::{Failure, Language, WayOn, failure_page, sentence, title};
use crate::problem::{MEDIA_TYPE, Problem};
use crate::session::cookie;

// Names as text: the frame keeps their capitals and copies nothing, which it does for `HeaderName`s.
const ERROR: &str = "Yimen-Error";
const SERVED_BY: &str = "Yimen-Served-By";
const REQUEST_ID: &str = "X-Request-Id";
const HSTS: &str = "Strict-Transport-Security";
const NOSNIFF: &str = "X-Content-Type-Options";
const REFERRER: &str = "Referrer-Policy";
const POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");
const ALT_SVC: HeaderName = HeaderName::from_static("alt-svc");

/// Two years, the figure that browsers' preload lists ask for.
const HSTS_VALUE: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Puts our headers on a platform's answer.
pub(crate) fn dress(answer: &mut ResponseHeader, visit: &Visit, ctx: &Context, tls: bool) -> pingora::Result<()> {
    drop_what_is_ours(answer)?;
    answer.insert_header(SERVED_BY, visit.standing.served_by.clone())?;
    answer.insert_header(REQUEST_ID, ctx.request_id.header())?;
    secure(answer, tls)
}

fn secure(answer: &mut ResponseHeader, tls: bool) -> pingora::Result<()> {
    if tls {
        answer.insert_header(HSTS, HSTS_VALUE)?;
    }
    // Browsers send no full referrer to other origins unless a platform asks for it, so no policy of ours is added.
    answer.insert_header(NOSNIFF, HeaderValue::from_static("nosniff"))
}

/// A platform may not speak for the gateway, set its cookies, send browsers elsewhere, or show its server's make.
fn drop_what_is_ours(answer: &mut ResponseHeader) -> pingora::Result<()> {
    let ours = |name: &&HeaderName| {
        **name == SERVER || **name == POWERED_BY || **name == ALT_SVC || fate(name.as_str()) == Fate::Drop
    };
    let reserved: Vec<HeaderName> = answer.headers.keys().filter(ours).cloned().collect();
    for name in reserved {
        answer.remove_header(&name);
    }
    let is_ours = |value: &&HeaderValue| cookie::sets_ours(value.as_bytes());
    if answer.headers.get_all(SET_COOKIE).iter().any(|value| is_ours(&value)) {
        let kept: Vec<HeaderValue> =
            answer.headers.get_all(SET_COOKIE).iter().filter(|value| !is_ours(value)).cloned().collect();
        answer.remove_header(&SET_COOKIE);
        for value in kept {
            answer.append_header(SET_COOKIE, value)?;
        }
    }
    Ok(())
}

/// Who asks, as far as the form of our own answers depends on it.
pub(crate) struct Asker {
    pub(crate) page: bool,
    pub(crate) navigation: bool,
    pub(crate) head: bool,
    pub(crate) language: Language,
    pub(crate) target: String,
}

impl Asker {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, target: &str) -> Self {
        Self {
            page: wants_page(headers),
            navigation: is_navigation(method, headers),
            head: *method == Method::HEAD,
            language: Language::of(headers),
            target: target.to_owned(),
        }
    }
}

/// Writes a refusal: a redirect to sign-in for navigations that lack a session, else a page or a problem document.
pub(crate) async fn refuse(
    downstream: &mut Downstream,
    refusal: &Refusal,
    asker: &Asker,
    request_id: &str,
    tls: bool,
) -> pingora::Result<()> {
    let to_sign_in = matches!(refusal, Refusal::SignInNeeded | Refusal::SignInAgain(_)) && asker.navigation;
    if to_sign_in {
        let location = format!("/sign-in?return_to={}", super::return_to(&asker.target));
        return redirect(downstream, 303, &location, request_id, tls).await;
    }
    let (status, code) = refusal.status_and_code();
    let status = if matches!(refusal, Refusal::AssuranceTooLow(_)) && !asker.page { 401 } else { status }; // RFC 9470 section 3
    let (media_type, body) = if asker.page {
        ("text/html; charset=utf-8", page(refusal, asker, request_id).into_bytes())
    } else {
        (MEDIA_TYPE, problem(refusal, status, code, asker, request_id))
    };
    let mut answer = head(status, request_id, tls)?;
    answer.insert_header(ERROR, HeaderValue::from_static(code))?;
    answer.insert_header(CONTENT_TYPE, HeaderValue::from_static(media_type))?;
    if asker.page {
        answer.insert_header("content-security-policy", crate::portal::CONTENT_SECURITY_POLICY)?;
    }
    details(&mut answer, refusal)?;
    if refusal.closes() {
        downstream.set_keepalive(None);
        if !downstream.is_http2() {
            answer.insert_header(CONNECTION, HeaderValue::from_static("close"))?; // HTTP/2 has no such field (RFC 9113 section 8.2.2)
        }
    }
    write(downstream, answer, Bytes::from(body), asker.head).await
}

fn details(answer: &mut ResponseHeader, refusal: &Refusal) -> pingora::Result<()> {
    if let Some(seconds) = refusal.retry_after_s() {
        answer.insert_header(RETRY_AFTER, seconds.to_string())?;
    }
    match refusal {
        Refusal::MethodNotAllowed(allowed) => answer.insert_header(ALLOW, allowed.as_str())?,
        Refusal::SignInNeeded => answer.insert_header(WWW_AUTHENTICATE, "Session realm=\"yimen\"")?,
        Refusal::SignInAgain(max_age) => answer.insert_header(
            WWW_AUTHENTICATE,
            format!("Session realm=\"yimen\", error=\"insufficient_user_authentication\", max_age=\"{max_age}\""),
        )?,
        Refusal::AssuranceTooLow(needed) => answer.insert_header(
            WWW_AUTHENTICATE,
            format!("Session realm=\"yimen\", error=\"insufficient_user_authentication\", acr_values=\"{needed}\""),
        )?,
        _ => {}
    }
    Ok(())
}

fn page(refusal: &Refusal, asker: &Asker, request_id: &str) -> String {
    let (status, code) = refusal.status_and_code();
    let way_on = match refusal {
        Refusal::SignInNeeded | Refusal::SignInAgain(_) => WayOn::SignIn(asker.target.clone()),
        Refusal::UnknownDivision | Refusal::NotHandled => WayOn::Region(asker.target.clone()),
        _ => refusal.retry_after_s().map_or(WayOn::Home, WayOn::Retry),
    };
    let notice = refusal.notice();
    failure_page(&Failure { status, code, language: asker.language, request_id, way_on, notice })
}

fn problem(refusal: &Refusal, status: u16, code: &str, asker: &Asker, request_id: &str) -> Vec<u8> {
    let detail = refusal.notice().map_or_else(|| sentence(code, Language::English).to_owned(), str::to_owned);
    let mut problem = Problem::new(status, code, title(code, Language::English), detail, request_id);
    if matches!(refusal, Refusal::SignInNeeded | Refusal::SignInAgain(_)) {
        problem.sign_in = Some(format!("/sign-in?return_to={}", super::return_to(&asker.target)));
    }
    problem.body()
}

/// Sends the visitor elsewhere on this origin.
pub(crate) async fn redirect(
    downstream: &mut Downstream,
    status: u16,
    location: &str,
    request_id: &str,
    tls: bool,
) -> pingora::Result<()> {
    let mut answer = head(status, request_id, tls)?;
    answer.insert_header(LOCATION, location)?;
    write(downstream, answer, Bytes::new(), false).await
}

/// Writes an answer of the portal.
pub(crate) async fn portal(
    downstream: &mut Downstream,
    response: http::Response<Bytes>,
    visit: &Visit,
    request_id: &str,
    tls: bool,
    head_only: bool,
) -> pingora::Result<()> {
    let (parts, body) = response.into_parts();
    let mut answer = ResponseHeader::build(parts.status, Some(parts.headers.len() + 8))?;
    for (name, value) in &parts.headers {
        answer.append_header(name, value)?;
    }
    answer.insert_header(SERVED_BY, visit.standing.served_by.clone())?;
    answer.insert_header(REQUEST_ID, request_id)?;
    secure(&mut answer, tls)?;
    write(downstream, answer, body, head_only).await
}

fn head(status: u16, request_id: &str, tls: bool) -> pingora::Result<ResponseHeader> {
    let mut answer = ResponseHeader::build(status, Some(12))?;
    answer.insert_header(REFERRER, HeaderValue::from_static("strict-origin-when-cross-origin"))?;
    answer.insert_header(REQUEST_ID, request_id)?;
    answer.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    secure(&mut answer, tls)?;
    Ok(answer)
}

async fn write(
    downstream: &mut Downstream,
    mut answer: ResponseHeader,
    body: Bytes,
    head_only: bool,
) -> pingora::Result<()> {
    answer.insert_header(CONTENT_LENGTH, body.len())?;
    let bodiless = head_only || body.is_empty();
    downstream.write_response_header(Box::new(answer), bodiless).await?;
    if !bodiless {
        downstream.write_response_body(Some(body), true).await?;
    }
    Ok(())
}
