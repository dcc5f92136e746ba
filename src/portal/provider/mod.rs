//! Signing in by a provider: the way there, the way back, and the provider's word that a session ended. Each tab has a sign-in
//! of its own, with a cookie of its own; at most five, and the oldest goes. What did not work is a page with a way on.

mod stopped;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Path, Query};
use axum::{Extension, response};
use http::header::{CACHE_CONTROL, COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

pub(super) use self::stopped::stopped;
use super::call::Call;
use super::failure::WayOn;
use super::return_to::ReturnTo;
use super::sign_in::{self, WantedFields};
use super::{answer, arrival, cookies};
use crate::identity::{Arrived, COOKIE_START, Callback, Departure, ProviderError, Realms, Wanted};
use crate::session::{SessionError, cookie};

/// Sign-ins under way in one browser. More cookies would be a header that nobody takes.
const UNDER_WAY_MAX: usize = 5;
/// A cookie outlives nothing that it could be of use for.
const COOKIE_LIFE_S: u32 = 15 * 60;

/// `GET /sign-in/{realm}`: on the way to the provider.
pub(super) async fn depart(
    Extension(call): Extension<Arc<Call>>,
    Path(realm): Path<String>,
    wanted: Result<Query<WantedFields>, QueryRejection>,
    headers: HeaderMap,
) -> response::Response<Body> {
    let wanted = sign_in::Wanted::from(wanted.map(|Query(fields)| fields).unwrap_or_default());
    // A script that runs into it in the background would leave a cookie each time, and nobody would see the page.
    if headers.get("sec-fetch-mode").is_some_and(|mode| mode != "navigate") {
        return call.failure(StatusCode::BAD_REQUEST, "bad-request", WayOn::SignIn(wanted.return_to.to_string()));
    }
    if let Some(origin) = elsewhere(&call) {
        let realm = percent_encoding::utf8_percent_encode(&realm, percent_encoding::NON_ALPHANUMERIC);
        return answer::elsewhere(&format!("{origin}{}", wanted.at(&format!("/sign-in/{realm}"))));
    }
    // A provider that knows the person already would say what it said before: for more than that it has to ask them.
    let session = call.visitor.session.as_ref().map(|live| &live.session);
    let lacks = session.is_some_and(|session| !session.proves(wanted.least(), wanted.max_age(), call.now));
    let asked = Wanted {
        assurance: wanted.least(),
        max_age: if lacks { Some(Duration::ZERO) } else { wanted.max_age() },
        return_to: wanted.return_to.to_string(),
        link_to: None,
    };
    match call.rooms.realms.begin(&realm, asked, call.now).await {
        Ok(departure) => departing(answer::elsewhere(&departure.address), &departure, &headers),
        Err(error) => stopped(&call, &realm, &error, wanted.return_to.as_str()),
    }
}

/// The origin where a sign-in must begin, for somebody who came by another name of ours.
fn elsewhere(call: &Call) -> Option<&str> {
    let origin = call.rooms.realms.origin();
    (origin != call.visitor.origin).then_some(origin)
}

/// Gives the browser the cookie of its sign-in, and takes the oldest ones that are too many.
pub(super) fn departing(
    response: response::Response<Body>,
    departure: &Departure,
    headers: &HeaderMap,
) -> response::Response<Body> {
    let own = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let mut under_way: Vec<(u64, &str)> =
        cookies::all(own, COOKIE_START).map(|(name, value)| (begun(value), name)).collect();
    under_way.sort_unstable();
    let too_many = (under_way.len() + 1).saturating_sub(UNDER_WAY_MAX);
    let response = under_way.into_iter().take(too_many).fold(response, |response, (_, name)| gone(response, name));
    let cookie = cookies::set(&departure.cookie_name, &departure.cookie_value, Some(COOKIE_LIFE_S));
    answer::with_cookie(response, &cookie)
}

/// When a sign-in began, by its cookie.
fn begun(cookie: &str) -> u64 {
    cookie.split_once('.').and_then(|(begun, _)| begun.parse().ok()).unwrap_or_default()
}

fn gone(response: response::Response<Body>, cookie: &str) -> response::Response<Body> {
    answer::with_cookie(response, &cookies::set(cookie, "", Some(0)))
}

/// `GET /sign-in/{realm}/callback`: back from the provider.
pub(super) async fn arrive(
    Extension(call): Extension<Arc<Call>>,
    Path(realm): Path<String>,
    callback: Result<Query<Callback>, QueryRejection>,
    headers: HeaderMap,
) -> response::Response<Body> {
    let callback = callback.map(|Query(callback)| callback).unwrap_or_default();
    let cookie_name = callback.state.as_deref().map(Realms::cookie_name).unwrap_or_default();
    let cookie = {
        let own = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        cookies::value(own, &cookie_name).map(str::to_owned)
    };
    let signed_in = call.visitor.session.as_ref().map(|live| live.session.subject.clone());
    let realms = &call.rooms.realms;
    let arrived = realms.finish(&realm, &callback, cookie.as_deref(), signed_in.as_deref(), call.now).await;
    let response = match arrived {
        Ok(Arrived::Person(person)) => {
            let return_to = ReturnTo::parse(&person.return_to);
            match arrival::begin_by_provider(&call, &realm, *person).await {
                Ok(id) => {
                    call.count_sign_in("ok");
                    answer::with_cookie(answer::see_other(&return_to), &cookie::set(&id))
                }
                Err(error) => call.store_away(&error),
            }
        }
        Ok(Arrived::Linked { return_to }) => answer::see_other(&ReturnTo::parse(&return_to)),
        Err(stop) => stopped(&call, &realm, &stop.error, stop.return_to.as_deref().unwrap_or("/")),
    };
    if cookie.is_some() { gone(response, &cookie_name) } else { response }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LogoutForm {
    logout_token: String,
}

/// `POST /sign-in/{realm}/back-channel-logout`: a provider says that a session there ended (Back-Channel Logout 1.0, section
/// 2.7). It comes from the provider itself, so no cookie, origin or form token speaks for it: its signature does.
pub(super) async fn logout(
    Extension(call): Extension<Arc<Call>>,
    Path(realm): Path<String>,
    form: Result<Form<LogoutForm>, FormRejection>,
) -> response::Response<Body> {
    let token = form.map(|Form(form)| form.logout_token).unwrap_or_default();
    let ended = ended(&call, &realm, &token).await;
    let known = call.rooms.realms.offer(&realm).map_or_else(|| "none".to_owned(), |offer| offer.id.to_string());
    let word = ended.as_ref().map_or_else(ProviderError::word, |_| "ok");
    call.rooms.metrics.provider_logouts.with_label_values(&[&known, word]).inc();
    let (status, body) = match ended {
        Ok(count) => {
            tracing::info!(realm = known, count, "a provider ended sessions");
            (StatusCode::OK, "")
        }
        Err(error) => {
            tracing::warn!(%error, request_id = call.visitor.request_id, "a logout token was not carried out");
            let away = matches!(error, ProviderError::Store(_) | ProviderError::Away { .. } | ProviderError::Local(_));
            let status = if away { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
            (status, if away { "{\"error\":\"temporarily_unavailable\"}" } else { "{\"error\":\"invalid_request\"}" })
        }
    };
    let mut response = response::Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !body.is_empty() {
        response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// How many sessions ended.
async fn ended(call: &Call, realm: &str, token: &str) -> Result<usize, ProviderError> {
    let (realms, sessions) = (&call.rooms.realms, &call.rooms.sessions);
    let end = realms.end_of(realm, token, call.now).await?;
    let ended = match (&end.sid, &end.sub) {
        (Some(sid), _) => sessions.end_by_sid(realm, sid, call.now).await,
        (None, Some(sub)) => sessions.end_by_sub(realm, sub, call.now).await,
        (None, None) => Ok(0),
    };
    match ended {
        Ok(count) => Ok(count),
        Err(error) => {
            realms.not_ended(realm, &end, call.now).await;
            Err(away(&error))
        }
    }
}

fn away(error: &SessionError) -> ProviderError {
    ProviderError::Local(format!("sessions could not be ended: {error}"))
}
