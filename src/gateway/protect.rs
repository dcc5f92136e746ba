//! The fourth step: who is it, and is that enough for this route. A session look-up has three answers; "unknown" is never
//! "signed out": the visitor gets 503, keeps the cookie and is not sent anywhere.

use std::time::Duration;

use http::header::{ACCEPT, COOKIE};
use http::{HeaderMap, Method};

use super::context::{Context, Visit};
use super::origins::Ground;
use super::refusal::{Needed, Refusal};
use crate::domain::{DivisionCode, PlatformId, Timestamp};
use crate::identity::{self, AssertionRequest, Assertions, People, Subject};
use crate::routing::{Access, Action, Divisions, Platform, Route};
use crate::session::{CookieRead, Live, Lookup, Session, SessionId, Sessions, cookie};
use crate::usage::Usage;

/// What the cookie led to.
enum Who {
    Nobody,
    Somebody(std::sync::Arc<Live>),
    /// The store did not answer.
    Unknown,
}

/// Lets the visit through, with its session, or says why not. A route that is open to everybody asks no store.
pub(crate) async fn protect(
    headers: &HeaderMap,
    visit: &mut Visit,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<(), Refusal> {
    let (platform, ground) = (visit.platform.clone(), visit.ground);
    let Some(route) = platform.routes.get(visit.route_index) else { return Err(Refusal::Internal) };
    if route.access == Access::Open {
        return Ok(());
    }
    let child_of = (ground == Ground::Own).then_some(&platform.id);
    match who(headers, route, child_of, sessions, now).await? {
        Who::Somebody(live) => {
            if route.access == Access::Required {
                enough(route, &live, now)?;
            }
            visit.session = Some(live);
            Ok(())
        }
        Who::Nobody if route.access == Access::Required => Err(Refusal::SignInNeeded),
        Who::Nobody => Ok(()),
        // Our own pages work without knowing who looks at them; a platform could mistake "unknown" for "nobody".
        Who::Unknown if route.access == Access::Optional && route.action == Action::Gateway => Ok(()),
        Who::Unknown => Err(Refusal::SessionStoreAway),
    }
}

/// On a platform's own origin a child session counts that opens this platform, anywhere else a session that is no child.
async fn who(
    headers: &HeaderMap,
    route: &Route,
    child_of: Option<&PlatformId>,
    sessions: &Sessions,
    now: Timestamp,
) -> Result<Who, Refusal> {
    let Some(id) = session_id(headers)? else { return Ok(Who::Nobody) };
    let found = match child_of {
        // In a box: it holds two look-ups, and most requests go without.
        Some(platform) => Box::pin(sessions.look_up_child(&id, platform, route.assurance, now)).await,
        None => sessions.look_up(&id, route.assurance, now).await,
    };
    Ok(match found {
        Lookup::Found(live) if live.session.platform.is_some() != child_of.is_some() => Who::Nobody,
        Lookup::Found(live) => Who::Somebody(live),
        Lookup::Absent => Who::Nobody,
        Lookup::Unknown => Who::Unknown,
    })
}

/// What the session cookie says; `Err` for two of them or a broken one.
pub(crate) fn session_id(headers: &HeaderMap) -> Result<Option<SessionId>, Refusal> {
    match cookie::read(headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes)) {
        CookieRead::One(id) => Ok(Some(id)),
        CookieRead::None => Ok(None),
        CookieRead::Bad => Err(Refusal::BadCookie),
    }
}

/// Whether the session is of the right kind and one proof of it is sure enough and fresh enough.
pub(crate) fn enough(route: &Route, live: &Live, now: Timestamp) -> Result<(), Refusal> {
    let (session, needed) = (&live.session, Needed::of(route));
    if let Some(asked) = route.subject.filter(|asked| !session.acts_as().is_served_as(*asked)) {
        return Err(Refusal::WrongSubject(asked)); // first: no proof would help
    }
    if session.assurance < needed.assurance {
        return Err(Refusal::AssuranceTooLow(needed));
    }
    let fresh = |seconds: u32| session.proves(needed.assurance, Some(Duration::from_secs(seconds.into())), now);
    match needed.max_age_s {
        Some(max_age) if !fresh(max_age) => Err(Refusal::SignInAgain(needed)),
        _ => Ok(()),
    }
}

/// The division whose government runs the gateway, and the tree in which it stands.
pub(crate) type Authority<'a> = (DivisionCode, &'a Divisions);

/// Whether only the durable store knows if something stands against the visit: its session acts for a legal person, or
/// something of a person would go to a platform of others. All other requests never ask it.
pub(crate) fn asks_more(visit: &Visit, authority: Authority<'_>) -> bool {
    let Some(live) = &visit.session else { return false };
    let proxied = visit.route().is_some_and(|route| route.action == Action::Proxy);
    proxied && (live.session.represented.is_some() || needs_consent(&live.session, &visit.platform, authority))
}

fn needs_consent(session: &Session, platform: &Platform, (authority, divisions): Authority<'_>) -> bool {
    identity::leaves(session.represented.is_some(), &platform.attributes) && !platform.is_of(authority, divisions)
}

/// Lets through what `asks_more` holds up: a role that still holds, and attributes that may go to this platform. The durable
/// store is asked at most once in [`People::BOUND`] for each role, and for each person and platform outside the authority.
pub(crate) async fn released(
    visit: &Visit,
    people: &People,
    authority: Authority<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(live) = &visit.session else { return Ok(()) };
    let (session, platform) = (&live.session, &visit.platform);
    let away = |error| {
        tracing::warn!(%error, "a request could not ask about a role or a consent");
        Refusal::IdentityStoreAway
    };
    if let Some(represented) = &session.represented
        && !people.role_holds(represented, now).await.map_err(away)?
    {
        return Err(Refusal::RoleEnded);
    }
    if !needs_consent(session, platform, authority) {
        return Ok(());
    }
    match people.consents_to(&session.subject, &platform.id, &platform.attributes, now).await.map_err(away)? {
        true => Ok(()),
        false => Err(Refusal::ConsentNeeded(platform.id.clone())),
    }
}

/// Puts the signed identity for the platform into the visit.
pub(crate) fn introduce(
    visit: &mut Visit,
    assertions: &Assertions,
    usage: &Usage,
    now: Timestamp,
) -> Result<(), Refusal> {
    let Some(live) = &visit.session else { return Ok(()) };
    let session = &live.session;
    let request = AssertionRequest {
        // A child is the same session to a platform, whichever ticket made it.
        session_key: session.parent.as_ref().unwrap_or(&live.key).bytes(),
        platform: &visit.platform.id,
        subject: Subject {
            id: &session.subject,
            kind: session.kind,
            name: &session.name,
            personal: &session.personal,
            represented: session.represented.as_ref(),
        },
        filed: &visit.platform.attributes,
        assurance: session.assurance,
        methods: &session.methods,
        authenticated_at: session.authenticated_at,
    };
    // Without the assertion the platform would take a signed-in person for a stranger, so this request fails.
    let met = |pairwise: &str| usage.met(&visit.platform.id, pairwise, now);
    let header = assertions.header_for(&request, now, met).map_err(|fault| {
        tracing::error!(%fault, platform = %visit.platform.id, "assertion not signed");
        Refusal::Internal
    })?;
    visit.assertion = Some(header);
    Ok(())
}

/// Whether a person's browser is going to a page, so that a redirect to sign-in helps: by `Sec-Fetch-Mode`
/// (Fetch Metadata), or by `Accept` where a browser does not send it. Programs get 401 instead.
pub(crate) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    match headers.get("sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => wants_page(headers),
    }
}

/// Whether a page of its own is asked for, not one in a frame: only such a visit may be sent through sign-in on another origin,
/// and only such a visit brings its cookies when it comes from there.
pub(crate) fn is_top_level(method: &Method, headers: &HeaderMap) -> bool {
    is_navigation(method, headers) && headers.get("sec-fetch-dest").is_none_or(|dest| dest == "document")
}

/// Whether an answer should be a page for people rather than a problem document for programs.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = |value: &http::HeaderValue| value.to_str().is_ok_and(|text| text.contains("text/html"));
    headers.get_all(ACCEPT).iter().any(accepts)
}

impl Context {
    /// The session of the visit, if somebody is signed in.
    pub(crate) fn session(&self) -> Option<&std::sync::Arc<Live>> {
        self.visit.as_ref().and_then(|visit| visit.session.as_ref())
    }
}
