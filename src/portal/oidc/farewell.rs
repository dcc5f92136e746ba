//! Sign-out that a client asks for.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::RawQuery;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::super::answer;
use super::super::call::Call;
use super::super::failure::WayOn;
use super::super::frame::{self, Frame, rendered};
use super::super::return_to::ReturnTo;
use super::way::{page, sent};
use super::{Response, asked, refused, session};
use crate::issuer::{Farewell, Refused};
use crate::session::{Live, cookie};

const PATH: &str = "/oidc/logout";

/// What the question's own form sends.
#[derive(Debug, Default)]
struct Yes {
    csrf: String,
    kept: String,
}

#[derive(Template)]
#[template(path = "oidc/farewell.html", config = "src/portal/askama.toml")]
struct Question {
    frame: Frame,
    platform: Option<String>,
    kept: String,
    token: String,
}

/// `/oidc/logout`.
pub(in crate::portal) async fn farewell(
    Extension(call): Extension<Arc<Call>>,
    method: Method,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    let asked = asked(&method, query, &body);
    let yes = (method == Method::POST).then(|| form(&asked)).flatten();
    if method == Method::POST && yes.is_none() {
        return again(&call, &asked);
    }
    let session = match session(&call, &headers).await {
        Ok(session) => session,
        Err(page) => return *page,
    };
    if let Some(yes) = yes {
        return confirmed(&call, session, &yes).await;
    }
    match call.rooms.issuer.farewell(&asked, session.as_ref(), call.now).await {
        Ok(Farewell::Over { then }) => left(&call, then.as_deref(), false),
        Ok(Farewell::Asks { kept, platform }) => match session {
            Some(live) => question(&call, &live, kept, platform),
            None => left(&call, None, false),
        },
        Ok(Farewell::Ends { then }) => match session {
            Some(live) => ended(&call, &live, then.as_deref(), false).await,
            None => left(&call, then.as_deref(), false),
        },
        Err(why) => refused(&call, why),
    }
}

/// The form of our own question; a client's form has no `csrf`. Both values are base64url, so nothing in them is encoded.
fn form(asked: &[u8]) -> Option<Yes> {
    let mut yes = Yes::default();
    for (name, value) in std::str::from_utf8(asked).ok()?.split('&').filter_map(|pair| pair.split_once('=')) {
        match name {
            "csrf" => value.clone_into(&mut yes.csrf),
            "kept" => value.clone_into(&mut yes.kept),
            _ => {}
        }
    }
    (!yes.csrf.is_empty()).then_some(yes)
}

/// A form of another site brings no cookie along; the same request as a navigation does.
fn again(call: &Call, asked: &[u8]) -> Response {
    match std::str::from_utf8(asked).ok().map(|asked| ReturnTo::parse(&format!("{PATH}?{asked}"))) {
        Some(target) if target != ReturnTo::home() => answer::see_other(&target),
        _ => refused(call, Refused::Unreadable),
    }
}

fn question(call: &Call, live: &Live, kept: String, platform: Option<(String, String)>) -> Response {
    let language = call.visitor.language;
    let platform = platform.map(|(chinese, english)| language.pick(&chinese, &english).to_owned());
    let frame = Frame { back: ReturnTo::home(), ..call.frame(language.pick("退出登录", "Sign out")) };
    let token = call.rooms.forms.session_token(&live.key);
    frame::answer(StatusCode::OK, language, rendered(&Question { frame, platform, kept, token }))
}

async fn confirmed(call: &Call, session: Option<Arc<Live>>, yes: &Yes) -> Response {
    let then = match call.rooms.issuer.after_farewell(&yes.kept) {
        Ok(then) => then,
        Err(why) => return refused(call, why),
    };
    let Some(live) = session else { return left(call, then.as_deref(), true) };
    if !call.from_here || !call.rooms.forms.accepts_for(&yes.csrf, &live.key) {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::Home);
    }
    ended(call, &live, then.as_deref(), true).await
}

async fn ended(call: &Call, live: &Live, then: Option<&str>, by_page: bool) -> Response {
    if let Err(error) = call.rooms.sessions.end(&live.key).await {
        return call.store_away(&error);
    }
    call.rooms.metrics.sign_outs.inc();
    left(call, then, by_page)
}

/// Nobody is signed in any longer: the cookie goes, and the browser where the client wants it.
fn left(call: &Call, then: Option<&str>, by_page: bool) -> Response {
    let response = match then {
        Some(address) if by_page => page(call, address),
        Some(address) => sent(call, address),
        None => answer::see_other(&ReturnTo::parse("/sign-out")),
    };
    answer::with_cookie(response, &cookie::clear())
}
