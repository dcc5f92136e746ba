//! Sign-out: the session ends in the store first, then in the browser. While the store is away it cannot, and saying "signed
//! out" would be a lie, so the cookie stays and the page says what to do.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;

use super::answer;
use super::call::Call;
use super::failure::WayOn;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use crate::session::cookie;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Proof {
    csrf: String,
}

#[derive(Template)]
#[template(path = "sign_out/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    /// For the form of somebody who still has a session cookie.
    token: Option<String>,
}

/// `GET /sign-out`: asks who is signed in, and confirms to who is not.
pub(super) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let language = call.visitor.language;
    let token = call.session_key.map(|key| call.rooms.forms.session_token(&key));
    let title = if token.is_some() {
        language.pick("退出登录", "Sign out")
    } else {
        language.pick("已退出", "Signed out")
    };
    let frame = Frame { back: ReturnTo::home(), ..call.frame(title) };
    frame::answer(StatusCode::OK, language, rendered(&Page { frame, token }))
}

/// `POST /sign-out`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    proof: Result<Form<Proof>, FormRejection>,
) -> response::Response<Body> {
    let page = ReturnTo::parse("/sign-out");
    if !call.from_here {
        // Another site's form brings no cookie along; the answer to it must not take the cookie from the browser.
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::Home);
    }
    let Some(key) = call.session_key else {
        return answer::with_cookie(answer::see_other(&page), &cookie::clear());
    };
    let csrf = proof.map(|Form(proof)| proof.csrf).unwrap_or_default();
    if !call.rooms.forms.accepts_for(&csrf, &key) {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::Home);
    }
    if let Err(error) = call.rooms.sessions.end(&key).await {
        return call.store_away(&error);
    }
    call.rooms.metrics.sign_outs.inc();
    answer::with_cookie(answer::see_other(&page), &cookie::clear())
}
