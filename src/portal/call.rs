//! One request to the portal: who asks, from where, and what the pages use to answer.

use std::sync::Arc;

use axum::body::Body;
use http::header::{COOKIE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use super::failure::{Failure, WayOn, failure_page};
use super::form::{self, Browser, Forms};
use super::frame::{self, Frame, Person, Who};
use super::known_device::{self, KnownDevice};
use super::return_to::ReturnTo;
use super::sign_in::Problem;
use super::{Visitor, account, cookies, device, sign_in};
use crate::config::SessionConfig;
use crate::domain::{DivisionCode, Timestamp};
use crate::identity::{Accounts, By, Factors, IdentityError, Keys, People, Realms, Tries};
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::routing::{Divisions, Items, LiveTable};
use crate::session::{CookieRead, Live, SessionError, SessionId, SessionKey, Sessions, cookie};

const ERROR: HeaderName = HeaderName::from_static("yimen-error");
/// Seconds after which a store that was away is worth another try.
const STORE_RETRY_S: u32 = 5;

/// What all pages use.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) sessions: Arc<Sessions>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) people: Arc<People>,
    pub(super) routes: Arc<LiveTable>,
    pub(super) factors: Arc<Factors>,
    pub(super) tries: Tries,
    pub(super) keys: Arc<Keys>,
    pub(super) realms: Arc<Realms>,
    pub(super) issuer: Arc<Issuer>,
    pub(super) divisions: Arc<Divisions>,
    pub(super) items: Arc<Items>,
    pub(super) forms: Forms,
    pub(super) session: SessionConfig,
    pub(super) metrics: Arc<Metrics>,
}

/// One request.
pub(super) struct Call {
    pub(super) rooms: Arc<Rooms>,
    pub(super) visitor: Visitor,
    pub(super) now: Timestamp,
    /// Key of the session cookie, whether or not a session belongs to it.
    pub(super) session_key: Option<SessionKey>,
    /// What ties signed-out forms to this browser, if it has been here before.
    pub(super) browser: Option<Browser>,
    /// Whether a form can have come from a page of ours.
    pub(super) from_here: bool,
    pub(super) device: String,
    /// The accounts that have been signed in to with this browser.
    pub(super) known: KnownDevice,
    /// What lies aside for this browser on its way in.
    pub(super) half: Option<SessionId>,
    here: ReturnTo,
}

impl Call {
    pub(super) fn new<T>(rooms: Arc<Rooms>, visitor: Visitor, request: &Request<T>, now: Timestamp) -> Self {
        let headers = request.headers();
        let session_key = match cookie::read(headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes)) {
            CookieRead::One(id) => Some(id.key()),
            CookieRead::None | CookieRead::Bad => None,
        };
        let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let small = |name| cookies::value(headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes), name);
        let here = request.uri().path_and_query().map_or("/", |target| target.as_str());
        Self {
            session_key,
            browser: Browser::of(headers),
            from_here: form::from_here(headers, &visitor.origin),
            device: device::label(user_agent),
            known: KnownDevice::of(small(known_device::COOKIE_NAME)),
            half: small(sign_in::HALF_COOKIE).and_then(SessionId::parse),
            here: ReturnTo::parse(here),
            rooms,
            visitor,
            now,
        }
    }

    /// The region the person chose, if there still is one of that code.
    pub(super) fn region(&self) -> Option<DivisionCode> {
        self.visitor.region.filter(|code| self.rooms.divisions.find(*code).is_some())
    }

    /// The frame of a page with this title.
    pub(super) fn frame(&self, title: &str) -> Frame {
        let name = |code| self.rooms.divisions.find(code).map(|division| division.name.to_string());
        Frame {
            who: self.who(),
            region: self.region().and_then(name),
            offers_region: true,
            here: self.here.clone(),
            back: self.here.clone(),
            ..Frame::bare(title, self.visitor.language)
        }
    }

    fn who(&self) -> Who {
        match &self.visitor.session {
            Some(live) => Who::Somebody(Person {
                name: live.session.name.clone(),
                token: self.rooms.forms.session_token(&live.key),
                acting: live.session.represented.clone(),
                roles: live.session.roles.clone(),
            }),
            // Ended, or the store did not answer: a page must not say "signed out" of somebody who may be signed in.
            None if self.visitor.cookie_present => Who::Unknown,
            None => Who::Nobody,
        }
    }

    /// A failure page.
    pub(super) fn failure(&self, status: StatusCode, code: &'static str, way_on: WayOn) -> Response<Body> {
        self.failure_because(status, code, way_on, None)
    }

    /// The same with a sentence of its own.
    pub(super) fn failure_because(
        &self,
        status: StatusCode,
        code: &'static str,
        way_on: WayOn,
        notice: Option<&str>,
    ) -> Response<Body> {
        let (language, request_id) = (self.visitor.language, self.visitor.request_id.as_str());
        let retry = if let WayOn::Retry(seconds) = way_on { Some(seconds) } else { None };
        let failure = Failure { status: status.as_u16(), code, language, request_id, way_on, notice, portal: "" };
        let mut response = frame::answer(status, language, failure_page(&failure));
        response.headers_mut().insert(ERROR, HeaderValue::from_static(code));
        if let Some(seconds) = retry {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    /// 503, and the session cookie stays: the person may well be signed in.
    pub(super) fn store_away(&self, error: &SessionError) -> Response<Body> {
        tracing::warn!(%error, request_id = self.visitor.request_id, "a page could not ask for sessions");
        self.failure(StatusCode::SERVICE_UNAVAILABLE, "session-store-away", WayOn::Retry(STORE_RETRY_S))
    }

    /// 503: what the page is about could not be read or written, and nothing was changed.
    pub(super) fn identity_away(&self, error: &dyn std::fmt::Display) -> Response<Body> {
        tracing::warn!(%error, request_id = self.visitor.request_id, "a page could not ask for what is kept of a person");
        self.failure(StatusCode::SERVICE_UNAVAILABLE, "identity-store-away", WayOn::Retry(STORE_RETRY_S))
    }

    /// A password or code that was not looked at: there were too many tries, or nobody can count or check them now.
    pub(super) fn not_tried(&self, problem: Problem) -> Response<Body> {
        match problem {
            Problem::TooMany(seconds) => {
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
                self.failure(StatusCode::TOO_MANY_REQUESTS, "tries-too-many", WayOn::Retry(seconds))
            }
            _ => self.failure(StatusCode::SERVICE_UNAVAILABLE, "session-store-away", WayOn::Retry(STORE_RETRY_S)),
        }
    }

    /// The person themselves as whoever changes something; `actor` is their name in records.
    pub(super) fn by<'a>(&'a self, actor: &'a str) -> By<'a> {
        By { actor, credential: None, role: "subject", request_id: &self.visitor.request_id }
    }

    /// Writes into the record what a person did with their own account.
    pub(super) async fn recorded(&self, action: &str, subject: &str, about: &str) -> Result<(), IdentityError> {
        let actor = self.rooms.people.actor(subject);
        self.rooms.people.record(self.by(&actor), action, subject, about, self.now).await
    }

    /// The session of whoever filled in a form on a page made for it. `Err`: the answer to somebody who is signed out, or to a form
    /// that cannot have come from such a page.
    pub(super) fn signed(&self, token: &str) -> Result<Arc<Live>, Box<Response<Body>>> {
        let Some(live) = &self.visitor.session else { return Err(Box::new(account::sign_in(self))) };
        if !self.from_here || !self.rooms.forms.accepts_for(token, &live.key) {
            return Err(Box::new(self.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::Home)));
        }
        Ok(live.clone())
    }

    /// Whether a form that needs no session was filled in on a page made for this visitor: for the session whose cookie they
    /// have, or for their browser. So a second tab goes on working when a first one has signed in.
    pub(super) fn accepts(&self, token: &str) -> bool {
        let forms = &self.rooms.forms;
        let for_session = self.session_key.is_some_and(|key| forms.accepts_for(token, &key));
        self.from_here && (for_session || forms.accepts(token, self.browser.as_ref(), self.now))
    }

    pub(super) fn count_sign_in(&self, result: &str) {
        self.rooms.metrics.sign_ins.with_label_values(&[result]).inc();
    }
}
