//! The person's own sessions: where they are signed in, and ending that (ASVS 5.0, 7.5.2). A session is named by a keyed hash of
//! its key, and only a session of the same person is ever ended by it.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;

use super::call::Call;
use super::failure::WayOn;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use super::{answer, factors, when};
use crate::domain::Assurance;
use crate::session::{EndReason, Live, SessionError, SessionSummary, cookie};

const PATH: &str = "/account";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    session: String,
    others: String,
}

struct Entry {
    handle: String,
    realm: String,
    acting: Option<String>,
    device: String,
    network: String,
    begun: String,
    seen: String,
    own: bool,
}

#[derive(Template)]
#[template(path = "account/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    name: String,
    assurance: Assurance,
    since: String,
    entries: Vec<Entry>,
    /// What was done a moment ago.
    done: Option<&'static str>,
    factors: Option<factors::Part>,
    token: String,
}

/// Asks once more before everything ends.
#[derive(Template)]
#[template(path = "account/all.html", config = "src/portal/askama.toml")]
struct All {
    frame: Frame,
    count: usize,
    token: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Seen {
    done: String,
}

/// `GET /account`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    seen: Result<Query<Seen>, QueryRejection>,
) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return sign_in(&call) };
    let done = seen.map(|Query(seen)| seen.done).unwrap_or_default();
    let sessions = match own_sessions(&call, &live).await {
        Ok(sessions) => sessions,
        Err(error) => return call.store_away(&error),
    };
    let factors = match factors::Part::of(&call).await {
        Ok(factors) => factors,
        Err(error) => {
            tracing::warn!(%error, request_id = call.visitor.request_id, "factors cannot be shown");
            return call.failure(StatusCode::SERVICE_UNAVAILABLE, "session-store-away", WayOn::Retry(5));
        }
    };
    let language = call.visitor.language;
    let page = Page {
        frame: call.frame(language.pick("我的账户", "My account")),
        name: live.session.name.clone(),
        assurance: live.session.assurance,
        since: when::beijing(live.session.authenticated_at),
        done: match done.as_str() {
            "ended" => Some(language.pick("已结束该设备的登录。", "The session has ended.")),
            "others" => Some(language.pick("已结束其他所有登录。", "All other sessions have ended.")),
            _ => None,
        },
        entries: sessions.into_iter().map(|session| entry(&call, &live, session)).collect(),
        factors,
        token: call.rooms.forms.session_token(&live.key),
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

/// `POST /account/sessions/end`: one session by its handle, or all others.
pub(super) async fn end(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    match carry_out(&call, &live, &wish).await {
        Ok(true) => signed_out(),
        Ok(false) if wish.others == "yes" => answer::see_other(&ReturnTo::parse("/account?done=others")),
        Ok(false) => answer::see_other(&ReturnTo::parse("/account?done=ended")),
        Err(error) => call.store_away(&error),
    }
}

/// `GET /account/sessions/end-all`.
pub(super) async fn ask_all(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return sign_in(&call) };
    let count = match own_sessions(&call, &live).await {
        Ok(sessions) => sessions.len(),
        Err(error) => return call.store_away(&error),
    };
    let language = call.visitor.language;
    let frame = call.frame(language.pick("结束所有登录", "End all sessions"));
    let page = All { frame, count, token: call.rooms.forms.session_token(&live.key) };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

/// `POST /account/sessions/end-all`: this one too.
pub(super) async fn end_all(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    match call.rooms.sessions.end_all(&live.session.subject, None, EndReason::Elsewhere, call.now).await {
        Ok(_) => signed_out(),
        Err(error) => call.store_away(&error),
    }
}

fn signed_out() -> response::Response<Body> {
    answer::with_cookie(answer::see_other(&ReturnTo::parse("/sign-out")), &cookie::clear())
}

/// Whether the person's own session ended by it. A handle that fits nothing is a session that has ended already.
async fn carry_out(call: &Call, live: &Live, wish: &Wish) -> Result<bool, SessionError> {
    let sessions = &call.rooms.sessions;
    if wish.others == "yes" {
        sessions.end_all(&live.session.subject, Some(&live.key), EndReason::Elsewhere, call.now).await?;
        return Ok(false);
    }
    let wanted = |session: &SessionSummary| sessions.handle(&session.key) == wish.session;
    match own_sessions(call, live).await?.into_iter().find(wanted) {
        Some(session) if session.key == live.key => sessions.end(&session.key).await.map(|()| true),
        Some(session) => {
            sessions.end_because(&session.key, EndReason::Elsewhere, call.now).await?;
            Ok(false)
        }
        None => Ok(false),
    }
}

/// The person's sessions, the latest used first. Sessions at one platform end with the one they belong to and are not shown.
async fn own_sessions(call: &Call, live: &Live) -> Result<Vec<SessionSummary>, SessionError> {
    let mut sessions = call.rooms.sessions.of_subject(&live.session.subject, call.now).await?;
    sessions.retain(|session| session.session.parent.is_none());
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen));
    Ok(sessions)
}

fn entry(call: &Call, live: &Live, summary: SessionSummary) -> Entry {
    Entry {
        handle: call.rooms.sessions.handle(&summary.key),
        realm: realm(call, &summary.session.realm),
        acting: summary.session.represented.map(|represented| represented.name),
        device: summary.session.device,
        network: summary.session.network,
        begun: when::beijing(summary.session.created_at),
        seen: when::beijing(summary.last_seen),
        own: summary.key == live.key,
    }
}

/// Where an identity comes from, in words; a provider that is there no more has its id only.
fn realm(call: &Call, realm: &str) -> String {
    let language = call.visitor.language;
    match call.rooms.realms.offer(realm) {
        Some(offer) => language.pick(&offer.name, &offer.name_en).to_owned(),
        None if realm == "accounts" => language.pick("本站账户", "account of this site").to_owned(),
        None => realm.to_owned(),
    }
}

/// The gateway lets only signed-in people in here; should it not, nobody sees anything.
pub(super) fn sign_in(call: &Call) -> response::Response<Body> {
    if call.visitor.cookie_present {
        return call.failure(StatusCode::UNAUTHORIZED, "sign-in-needed", WayOn::SignIn(PATH.to_owned()));
    }
    answer::see_other(&ReturnTo::parse("/sign-in?return_to=/account"))
}
