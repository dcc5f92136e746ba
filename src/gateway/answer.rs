//! The sixth step: what goes back. A platform's answer gets our security headers and loses what only we may say; a failure
//! of ours becomes a page with a way on for people, a problem document for programs, from the same refusal.

use std::time::Duration;

use bytes::Bytes;
use http::header::Entry;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    LOCATION, REFERRER_POLICY, REFRESH, RETRY_AFTER, SERVER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use pingora::Error;
use pingora::ErrorType::{InternalError, ReadTimedout};
use pingora::http::ResponseHeader;
use pingora::proxy::Session as Downstream;

use super::context::{Context, Visit};
use super::fields::{change_answer, value};
use super::origins::Ground;
use super::policy::{Fate, fate};
use super::protect::{is_navigation, wants_page};
use super::rate::Quota;
use super::refusal::{Needed, Refusal};
use super::{addresses, jar};
use crate::portal::{Failure, Language, WayOn, failure_page, sentence, title};
use crate::problem::{MEDIA_TYPE, Problem};
use crate::session::cookie;

const ERROR: HeaderName = HeaderName::from_static("yimen-error");
const SERVED_BY: HeaderName = HeaderName::from_static("yimen-served-by");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const POWERED_BY: HeaderName = HeaderName::from_static("x-powered-by");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const ALT_SVC: HeaderName = HeaderName::from_static("alt-svc");
/// Fields that `dress` adds at most.
const OURS_MAX: usize = 4;

/// Two years, the figure that browsers' preload lists ask for.
const HSTS_VALUE: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Puts our headers on a platform's answer.
pub(crate) fn dress(answer: &mut ResponseHeader, visit: &Visit, ctx: &Context, tls: bool) {
    change_answer(answer, |parts| {
        let fields = &mut parts.headers;
        if drop_what_is_ours(fields) {
            settle(fields, visit);
        }
        fields.reserve(OURS_MAX);
        if let Some(quota) = &visit.quota {
            say_quota(fields, quota);
        }
        fields.insert(SERVED_BY, visit.standing.served_by.clone());
        fields.insert(REQUEST_ID, ctx.request_id.header());
        secure(fields, tls);
    });
}

/// Whether the answer may go on; `Err` once the route's total deadline is over.
pub(crate) fn in_time(ctx: &Context) -> pingora::Result<()> {
    let Some(visit) = &ctx.visit else { return Ok(()) };
    let total = visit.route().map_or(u32::MAX, |route| route.deadlines.total_ms);
    if !visit.upgrade && ctx.arrived.elapsed() > Duration::from_millis(total.into()) {
        return Error::e_explain(ReadTimedout, "total deadline of the route");
    }
    Ok(())
}

/// draft-ietf-httpapi-ratelimit-headers-10.
fn say_quota(fields: &mut HeaderMap, quota: &Quota) {
    for (name, value) in [(RATE_LIMIT, quota.field()), (RATE_LIMIT_POLICY, quota.policy_field())] {
        if let Some(value) = value {
            fields.insert(name, value);
        }
    }
}

fn secure(fields: &mut HeaderMap, tls: bool) {
    if tls {
        fields.insert(STRICT_TRANSPORT_SECURITY, HSTS_VALUE);
    }
    // Browsers send no full referrer to other origins unless a platform asks for it, so no policy of ours is added.
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// A platform may not speak for the gateway, send browsers elsewhere, or show its server's make. Returns whether something is
/// left to `settle`.
pub(crate) fn drop_what_is_ours(fields: &mut HeaderMap) -> bool {
    let mut settles = false;
    let mut ours = |name: &&HeaderName| {
        settles |= is_settled(name.as_str());
        [SERVER, POWERED_BY, ALT_SVC].contains(name) || fate(name.as_str()) == Fate::Drop
    };
    while let Some(name) = fields.keys().find(&mut ours).cloned() {
        fields.remove(name);
    }
    settles
}

/// Fields that name addresses, keep something in the browser, or reach beyond the platform's pages. Most names are told apart
/// by their length.
fn is_settled(name: &str) -> bool {
    match name.len() {
        7 => name == "refresh",
        8 => name == "location",
        10 => name == "set-cookie",
        15 => name == "clear-site-data",
        16 => name == "content-location",
        22 => name == "service-worker-allowed",
        _ => false,
    }
}

/// What those fields may say to the visitor's browser on this origin.
fn settle(fields: &mut HeaderMap, visit: &Visit) {
    fields.remove("clear-site-data"); // browsers clear the cookies of the whole site by it, the portal's too
    if visit.ground != Ground::Filed {
        // A worker above the mount would answer for the portal, or on the platform's own host see tickets on their way.
        fields.remove("service-worker-allowed");
    }
    let upstreams = &visit.platform.upstreams;
    for name in [LOCATION, CONTENT_LOCATION, REFRESH] {
        let Some(text) = fields.get(&name).and_then(|value| value.to_str().ok()) else { continue };
        let local =
            if name == REFRESH { addresses::local_refresh(text, upstreams) } else { addresses::local(text, upstreams) };
        if let Some(local) = local.and_then(|local| HeaderValue::try_from(local).ok()) {
            fields.insert(name, local);
        }
    }
    if let Entry::Occupied(set) = fields.entry(SET_COOKIE) {
        let (_, values) = set.remove_entry_mult();
        let kept: Vec<HeaderValue> = values.filter_map(|value| settled_cookie(&value, visit)).collect();
        for value in kept {
            fields.append(SET_COOKIE, value);
        }
    }
}

/// `None` for a cookie of the gateway's own name.
fn settled_cookie(set: &HeaderValue, visit: &Visit) -> Option<HeaderValue> {
    if cookie::sets_ours(set.as_bytes()) {
        return None;
    }
    let settled = match visit.ground {
        Ground::Shared => {
            jar::for_shared_origin(set.as_bytes(), &visit.platform.id, visit.route().map_or("/", jar::mount))
        }
        Ground::Own | Ground::Filed => jar::for_own_host(set.as_bytes()),
    };
    HeaderValue::from_bytes(&settled).ok()
}

/// Who asks, as far as the form of our own answers depends on it.
pub(crate) struct Asker {
    pub(crate) page: bool,
    pub(crate) navigation: bool,
    pub(crate) head: bool,
    pub(crate) language: Language,
    pub(crate) target: String,
    /// What the route asks of whoever signs in.
    pub(crate) needed: Option<Needed>,
    /// Where a browser gets its session on this host, if it needs one of its own here.
    pub(crate) entrance: Option<String>,
    /// Whether something was to be sent, which is lost with this answer.
    pub(crate) sending: bool,
    /// Where the portal is: nothing before a path where it is on the origin that was asked, else that origin.
    pub(crate) portal: String,
}

impl Asker {
    pub(crate) fn of(method: &Method, headers: &HeaderMap, target: &str) -> Self {
        Self {
            page: wants_page(headers),
            navigation: is_navigation(method, headers),
            head: *method == Method::HEAD,
            language: Language::of(headers),
            target: target.to_owned(),
            needed: None,
            entrance: None,
            sending: !method.is_safe(),
            portal: String::new(),
        }
    }

    /// Where to sign in, or to prove more, and come back to this page. What was sent cannot be sent again from there.
    fn sign_in(&self) -> String {
        let back = if self.sending { "/" } else { self.target.as_str() };
        let needed = self.needed.map_or_else(String::new, |needed| needed.in_query());
        format!("{}/sign-in?return_to={}{needed}", self.portal, super::return_to(back))
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
    if refusal.asks_to_sign_in() && asker.navigation {
        return redirect(downstream, 303, &asker.sign_in(), request_id, tls).await;
    }
    if asker.navigation
        && let Some(page) = page_of_the_portal(refusal, asker)
    {
        return redirect(downstream, 303, &page, request_id, tls).await;
    }
    let (status, code) = refusal.status_and_code();
    if let Refusal::OtherOrigin(address) = refusal
        && asker.navigation
    {
        return redirect(downstream, 303, address, request_id, tls).await;
    }
    let status = if matches!(refusal, Refusal::AssuranceTooLow(_)) && !asker.page { 401 } else { status }; // RFC 9470 section 3
    let (media_type, body) = if asker.page {
        ("text/html; charset=utf-8", page(refusal, asker, request_id).into_bytes())
    } else {
        (MEDIA_TYPE, problem(refusal, status, code, asker, request_id))
    };
    let mut answer = head(status, request_id, tls)?;
    let fields = &mut answer.headers;
    fields.insert(ERROR, HeaderValue::from_static(code));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if asker.page {
        fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(crate::portal::CONTENT_SECURITY_POLICY));
    }
    details(fields, refusal)?;
    if refusal.closes() {
        downstream.set_keepalive(None);
        if !downstream.is_http2() {
            fields.insert(CONNECTION, HeaderValue::from_static("close")); // HTTP/2 has no such field (RFC 9113 section 8.2.2)
        }
    }
    write(downstream, answer, Bytes::from(body), asker.head).await
}

/// The page on which a person can do something about a refusal, and from which they come back.
fn page_of_the_portal(refusal: &Refusal, asker: &Asker) -> Option<String> {
    let (portal, back) = (&asker.portal, super::return_to(&asker.target));
    match refusal {
        Refusal::WrongSubject(asked) => Some(format!("{portal}/account/subject?needs={asked}&return_to={back}")),
        Refusal::RoleEnded => Some(format!("{portal}/account/subject?ended=yes&return_to={back}")),
        Refusal::ConsentNeeded(platform) => Some(format!("{portal}/consent?platform={platform}&return_to={back}")),
        _ => None,
    }
}

fn details(fields: &mut HeaderMap, refusal: &Refusal) -> pingora::Result<()> {
    if let Some(seconds) = refusal.retry_after_s() {
        fields.insert(RETRY_AFTER, seconds.into());
    }
    if let Refusal::RateLimited(quota) = refusal {
        say_quota(fields, quota);
    }
    if let Refusal::WaitingRoom(wait) = refusal {
        fields.insert(REFRESH, wait.retry_s.into()); // the page asks again by itself, and needs no script for it
        fields.insert(SET_COOKIE, value(wait.ticket.clone())?);
    }
    let insufficient =
        |wanted: String| format!("Session realm=\"yimen\", error=\"insufficient_user_authentication\", {wanted}");
    let (name, text) = match refusal {
        Refusal::MethodNotAllowed(allowed) => (ALLOW, allowed.clone()),
        Refusal::SignInNeeded => (WWW_AUTHENTICATE, "Session realm=\"yimen\"".to_owned()),
        Refusal::SignInAgain(needed) | Refusal::AssuranceTooLow(needed) => {
            (WWW_AUTHENTICATE, insufficient(needed.in_challenge()))
        }
        _ => return Ok(()),
    };
    fields.insert(name, value(text)?);
    Ok(())
}

fn page(refusal: &Refusal, asker: &Asker, request_id: &str) -> String {
    let (status, code) = refusal.status_and_code();
    let way_on = match refusal {
        _ if refusal.asks_to_sign_in() && asker.sending => {
            WayOn::SignInAside(asker.entrance.clone().unwrap_or_else(|| asker.sign_in()))
        }
        _ if refusal.asks_to_sign_in() => WayOn::SignInAt(asker.sign_in()),
        Refusal::UnknownDivision | Refusal::NotHandled => WayOn::Region(asker.target.clone()),
        Refusal::OtherOrigin(address) | Refusal::TicketRefused(address) => WayOn::Address(address.clone()),
        Refusal::WaitingRoom(wait) => WayOn::Wait { ahead: wait.ahead, seconds: wait.retry_s },
        _ => match page_of_the_portal(refusal, asker) {
            Some(page) => WayOn::Address(page),
            None => refusal.retry_after_s().map_or(WayOn::Home, WayOn::Retry),
        },
    };
    let notice = refusal.notice();
    let (language, portal) = (asker.language, asker.portal.as_str());
    failure_page(&Failure { status, code, language, request_id, way_on, notice, portal })
}

fn problem(refusal: &Refusal, status: u16, code: &str, asker: &Asker, request_id: &str) -> Vec<u8> {
    let detail = refusal.notice().map_or_else(|| sentence(code, Language::English).to_owned(), str::to_owned);
    let mut problem = Problem::new(status, code, title(code, Language::English), detail, request_id);
    if refusal.asks_to_sign_in() {
        problem.sign_in = Some(asker.sign_in());
    }
    if let Refusal::OtherOrigin(address) = refusal {
        problem.address = Some(address.clone());
    }
    if let Some(page) = page_of_the_portal(refusal, asker) {
        problem.address = Some(page);
    }
    if let Refusal::WrongSubject(asked) = refusal {
        problem.subject = Some(asked.word());
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
    answer.headers.insert(LOCATION, value(location.to_owned())?);
    write(downstream, answer, Bytes::new(), false).await
}

/// Sends a browser one step further on its way to a platform's origin. Nobody is to keep or to tell where it came by.
pub(crate) async fn hand_over(
    downstream: &mut Downstream,
    location: &str,
    cookies: &[String],
    request_id: &str,
    tls: bool,
) -> pingora::Result<()> {
    let mut answer = head(303, request_id, tls)?;
    answer.headers.insert(LOCATION, value(location.to_owned())?);
    answer.headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies {
        let mut cookie = value(cookie.clone())?;
        cookie.set_sensitive(true);
        answer.headers.append(SET_COOKIE, cookie);
    }
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
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(SERVED_BY, visit.standing.served_by.clone());
    parts.headers.insert(REQUEST_ID, value(request_id.to_owned())?);
    secure(&mut parts.headers, tls);
    write(downstream, parts, body, head_only).await
}

fn head(status: u16, request_id: &str, tls: bool) -> pingora::Result<response::Parts> {
    let mut parts = http::Response::new(()).into_parts().0;
    parts.status = StatusCode::from_u16(status).or_else(|_| Error::e_explain(InternalError, "no such status"))?;
    parts.headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    parts.headers.insert(REQUEST_ID, value(request_id.to_owned())?);
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    secure(&mut parts.headers, tls);
    Ok(parts)
}

async fn write(
    downstream: &mut Downstream,
    mut answer: response::Parts,
    body: Bytes,
    head_only: bool,
) -> pingora::Result<()> {
    answer.headers.insert(CONTENT_LENGTH, body.len().into());
    let bodiless = head_only || body.is_empty();
    downstream.write_response_header(Box::new(ResponseHeader::from(answer)), bodiless).await?;
    if !bodiless {
        downstream.write_response_body(Some(body), true).await?;
    }
    Ok(())
}
