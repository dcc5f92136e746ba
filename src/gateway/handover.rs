//! The way of a signed-in person to the origin of a platform, and back out of it with a session that opens this platform only.
//! Shape: page of the platform ── no session there: nonce cookie, 303 ──▶ `/handover` on the portal's origin (through sign-in
//! when nobody is signed in) ── ticket, 303 ──▶ `/.yimen/ticket` on the platform's host ── child cookie, 303 ──▶ the page.
//! `/.yimen/enter` starts it for a page that would answer a stranger too.
//! Only people who go to a page are sent; what a program asks is answered 401. Every step is a redirect that nobody keeps: the
//! ticket is in no history, no `Referer` and no log. A ticket that does not fit ends on a page with a link, so nothing turns
//! in circles, cookies or not.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use pingora::proxy::Session as Downstream;

use super::context::Context;
use super::origins::{Asked, Origins};
use super::protect::{enough, is_top_level, session_id};
use super::refusal::{Needed, Refusal};
use super::{GatewayParts, answer, path, return_to};
use crate::domain::{PlatformId, Timestamp};
use crate::routing::{Access, Answer, Platform, PlatformState, Route, RouteTable};
use crate::session::{BrowserMark, Lookup, Nonce, Redeemed, SessionError, SessionKey, Ticket, cookie};

/// Where the portal's origin hands over.
pub(crate) const HANDOVER: &str = "/handover";
const ENTER: &str = "/.yimen/enter";
const TICKET: &str = "/.yimen/ticket";
/// A longer query is left behind: with it the address would grow over `limits.url_bytes_max` on its way through sign-in.
const TARGET_BYTES_MAX: usize = 2048;
const NONCE: &str = "__Host-yimen-nonce";
/// As long as a sign-in form is good.
const NONCE_LIFE_S: u32 = 3600;

/// A step: where to, and which cookies on the way.
pub(crate) struct Way {
    location: String,
    cookies: Vec<String>,
}

impl Way {
    fn to(location: String) -> Self {
        Self { location, cookies: Vec::new() }
    }
}

/// Answers one of the three addresses. The inner `Err` is a refusal still to be written.
pub(crate) async fn answer(
    parts: &GatewayParts,
    downstream: &mut Downstream,
    ctx: &mut Context,
) -> pingora::Result<Result<(), Refusal>> {
    let way = match step(parts, downstream, ctx.now).await {
        Ok(way) => way,
        Err(refusal) => return Ok(Err(refusal)),
    };
    send(downstream, ctx, &way, parts.https).await.map(Ok)
}

/// Writes a step.
pub(crate) async fn send(downstream: &mut Downstream, ctx: &Context, way: &Way, tls: bool) -> pingora::Result<()> {
    answer::hand_over(downstream, &way.location, &way.cookies, ctx.request_id.as_str(), tls).await
}

async fn step(parts: &GatewayParts, downstream: &Downstream, now: Timestamp) -> Result<Way, Refusal> {
    let header = downstream.req_header();
    let origins = parts.origins.as_ref().ok_or(Refusal::NoRoute)?;
    let asked = origins.asked(header);
    if header.method != Method::GET || !is_top_level(&header.method, &header.headers) {
        return Err(Refusal::HandoverRefused);
    }
    let table = parts.routes.snapshot();
    let query = header.uri.query().unwrap_or_default();
    let desk = Desk { parts, origins, table: &table, headers: &header.headers, now };
    let Some(own) = asked.own else { return desk.hand_over(query).await };
    let platform = desk.platform(own).ok_or(Refusal::UnknownHost)?;
    match header.uri.path() {
        ENTER => desk.enter(platform, query).await,
        TICKET => desk.redeem(platform, query).await,
        _ => Err(Refusal::NoRoute),
    }
}

/// One step and all it needs.
struct Desk<'a> {
    parts: &'a GatewayParts,
    origins: &'a Origins,
    table: &'a RouteTable,
    headers: &'a HeaderMap,
    now: Timestamp,
}

impl<'a> Desk<'a> {
    /// A platform that has an origin of its own.
    fn platform(&self, id: &str) -> Option<&'a Platform> {
        self.table.platform(id).filter(|platform| !platform.trusted).map(AsRef::as_ref)
    }

    async fn enter(&self, platform: &Platform, query: &str) -> Result<Way, Refusal> {
        let target = target_in(query).ok_or(Refusal::HandoverRefused)?;
        match self.child(platform).await? {
            Some(_) => Ok(Way::to(target)),
            None => begin(self.origins, &platform.id, &target, self.headers),
        }
    }

    /// On the portal's origin: who is signed in gets a ticket, who is not signs in first, unless the page is for strangers too.
    async fn hand_over(&self, query: &str) -> Result<Way, Refusal> {
        let id = parameter(query, "platform").ok_or(Refusal::HandoverRefused)?;
        let platform = self.platform(&id).filter(|platform| platform.state == PlatformState::Active);
        let platform = platform.ok_or(Refusal::HandoverRefused)?;
        let mark = parameter(query, "browser").and_then(|text| BrowserMark::parse(&text));
        let mark = mark.ok_or(Refusal::HandoverRefused)?;
        let target = target_in(query).ok_or(Refusal::HandoverRefused)?;
        let route = self.route(platform, &target).ok_or(Refusal::HandoverRefused)?;
        let sign_in = || {
            let back = format!("{HANDOVER}?{query}");
            Ok(Way::to(format!("/sign-in?return_to={}{}", return_to(&back), Needed::of(route).in_query())))
        };
        let session = match session_id(self.headers)? {
            None => None,
            Some(id) => match self.parts.sessions.look_up(&id, route.assurance, self.now).await {
                Lookup::Found(live) => Some(live).filter(|live| live.session.platform.is_none()),
                Lookup::Absent => None,
                Lookup::Unknown => return Err(Refusal::SessionStoreAway),
            },
        };
        let Some(live) = session else {
            let page = || Ok(Way::to(self.origins.at_platform(&platform.id, &target)));
            return if route.access == Access::Required { sign_in() } else { page() };
        };
        if route.access == Access::Required
            && let Err(refusal) = enough(route, &live, self.now)
        {
            return if refusal.asks_to_sign_in() { sign_in() } else { Err(refusal) };
        }
        let life = self.origins.ticket_life;
        let issued = self.parts.sessions.issue_ticket(&live, &platform.id, mark, life, self.now).await;
        let ticket = issued.map_err(|error| refusal(&error))?.ok_or(Refusal::HandoversTooMany)?;
        let step = format!("{TICKET}?ticket={}&to={}", ticket.encoded(), return_to(&target));
        Ok(Way::to(self.origins.at_platform(&platform.id, &step)))
    }

    /// On the platform's host: the ticket becomes this host's own session cookie.
    async fn redeem(&self, platform: &Platform, query: &str) -> Result<Way, Refusal> {
        let target = target_in(query).ok_or(Refusal::HandoverRefused)?;
        let ticket = parameter(query, "ticket").and_then(|text| Ticket::parse(&text));
        let ticket = ticket.ok_or_else(|| Refusal::TicketRefused(target.clone()))?;
        let nonce = nonce(self.headers);
        let before = self.child(platform).await?;
        let sessions = &self.parts.sessions;
        let redeemed = sessions.redeem(&ticket, &platform.id, nonce.as_ref(), before.as_ref(), self.now).await;
        match redeemed.map_err(|error| refusal(&error))? {
            Redeemed::Begun(id) => {
                let spent = format!("{NONCE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
                Ok(Way { location: target, cookies: vec![cookie::set(&id), spent] })
            }
            // Two tabs went the way at once, and the other was first.
            Redeemed::Refused if before.is_some() && nonce.is_none() => Ok(Way::to(target)),
            Redeemed::Refused | Redeemed::ParentGone => Err(Refusal::TicketRefused(target)),
        }
    }

    /// The child session that this browser has here already.
    async fn child(&self, platform: &Platform) -> Result<Option<SessionKey>, Refusal> {
        let Some(id) = session_id(self.headers)? else { return Ok(None) };
        let least = crate::domain::Assurance::L1;
        match self.parts.sessions.look_up_child(&id, &platform.id, least, self.now).await {
            Lookup::Found(live) => Ok(Some(live.key)),
            Lookup::Absent => Ok(None),
            Lookup::Unknown => Err(Refusal::SessionStoreAway),
        }
    }

    /// The route by which this platform answers the target, as the first of its climb or after others.
    fn route(&self, platform: &Platform, target: &str) -> Option<&'a Route> {
        let path = target.split('?').next().unwrap_or_default();
        let Answer::Route(first) = self.table.find(self.origins.portal_host(), path) else { return None };
        let index = std::iter::successors(Some(first), |found| self.table.above(found))
            .find(|found| found.platform.id == platform.id)?
            .route_index;
        self.table.platform(platform.id.as_str())?.routes.get(index)
    }
}

/// From a page of the platform to the portal's origin: the browser takes a nonce along, of which the portal learns the hash.
pub(crate) fn begin(
    origins: &Origins,
    platform: &PlatformId,
    target: &str,
    headers: &HeaderMap,
) -> Result<Way, Refusal> {
    // One nonce for all tabs that are on their way at once.
    let nonce = nonce(headers).or_else(Nonce::random).ok_or(Refusal::Internal)?;
    let kept = format!("{NONCE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={NONCE_LIFE_S}", nonce.encoded());
    let step =
        format!("{HANDOVER}?platform={platform}&browser={}&to={}", nonce.mark().encoded(), return_to(fitting(target)));
    Ok(Way { location: origins.at_portal(&step), cookies: vec![kept] })
}

/// The address at which a platform's own host begins with a hand-over.
pub(crate) fn entrance(target: &str) -> String {
    format!("{ENTER}?to={}", return_to(fitting(target)))
}

/// Whether a request for a platform's page sends its browser through the hand-over, and where to.
pub(crate) fn needed(
    asked: Option<&Asked<'_>>,
    platform: &PlatformId,
    target: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Way> {
    let origins = asked.filter(|asked| asked.own.is_some())?.origins;
    if !is_top_level(method, headers) {
        return None;
    }
    begin(origins, platform, target, headers).ok()
}

fn fitting(target: &str) -> &str {
    if target.len() <= TARGET_BYTES_MAX { target } else { target.split('?').next().unwrap_or("/") }
}

fn nonce(headers: &HeaderMap) -> Option<Nonce> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == NONCE).map(|(_, value)| value);
    let only = values.next()?;
    // Two of them: one is not ours.
    if values.next().is_some() { None } else { Nonce::parse(only) }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    percent_decode_str(value).decode_utf8().ok().map(|text| text.into_owned())
}

/// `to`: path and query on the host itself, as canonical as any request's, so that it leads nowhere else.
fn target_in(query: &str) -> Option<String> {
    let target = parameter(query, "to")?;
    let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    let canonical = path::canonical(path).is_ok_and(|form| form == path);
    let visible = query.is_none_or(|query| query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
    (canonical && visible && !path.starts_with("/.yimen/")).then_some(target)
}

fn refusal(error: &SessionError) -> Refusal {
    match error {
        SessionError::StoreAway => Refusal::SessionStoreAway,
        error => {
            tracing::error!(%error, "no session can be handed over");
            Refusal::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_page_of_the_same_host() {
        let to = |text: &str| target_in(&format!("a=b&to={text}"));
        assert_eq!(to("/s/330106/x?a=b%26c").as_deref(), Some("/s/330106/x?a=b&c"));
        for bad in [
            "",
            "//evil.example/",
            "/%5cevil.example",
            "https://evil.example/",
            "/a/../b",
            "/a%0d%0ab",
            "/a?b%23c",
            "a",
            "/.yimen/ticket",
            "/%ff",
            "@evil.example/",
        ] {
            assert_eq!(to(bad), None, "{bad} passed");
        }
    }

    #[test]
    fn a_nonce_that_is_there_twice_is_none() {
        let one = Nonce::random().unwrap();
        let mut headers = HeaderMap::new();
        assert!(nonce(&headers).is_none());
        headers.append(COOKIE, format!("a=1; {NONCE}={}", one.encoded()).parse().unwrap());
        assert_eq!(nonce(&headers).unwrap().mark(), one.mark());
        headers.append(COOKIE, format!("{NONCE}={}", one.encoded()).parse().unwrap());
        assert!(nonce(&headers).is_none());
    }
}
