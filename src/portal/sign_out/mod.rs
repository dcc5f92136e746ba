//! Sign-out: the session ends in the store first, then in the browser. While the store is away it cannot, and saying "signed
//! out" would be a lie, so the cookie stays and the page says what to do.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
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
    /// Provider by which they came, and where it signs them out too.
    provider: Option<(String, String)>,
}

/// Whom to sign out of besides; a link of ours, which a browser follows by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct After {
    realm: Option<String>,
}

/// `GET /sign-out`: asks who is signed in, and confirms to who is not. `?realm=`: leads on to sign-out at that provider
/// (OpenID Connect RP-Initiated Logout 1.0), by the page and not by the form, which may not end on another origin.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    after: Result<Query<After>, QueryRejection>,
) -> response::Response<Body> {
    let language = call.visitor.language;
    let token = call.session_key.map(|key| call.rooms.forms.session_token(&key));
    let title = if token.is_some() {
        language.pick("退出登录", "Sign out")
    } else {
        language.pick("已退出", "Signed out")
    };
    let frame = Frame { back: ReturnTo::home(), ..call.frame(title) };
    let realm = after.ok().and_then(|Query(after)| after.realm).filter(|_| token.is_none());
    let provider = match realm.and_then(|realm| call.rooms.realms.offer(&realm)) {
        Some(offer) => {
            let address = call.rooms.realms.sign_out_address(offer.id.as_str(), call.now).await;
            address.map(|address| (language.pick(&offer.name, &offer.name_en).to_owned(), address))
        }
        None => None,
    };
    frame::answer(StatusCode::OK, language, rendered(&Page { frame, token, provider }))
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
    let provider = call.visitor.session.as_ref().and_then(|live| live.session.providers.last());
    let page = provider.map_or(page, |provider| ReturnTo::parse(&format!("/sign-out?realm={}", provider.realm)));
    answer::with_cookie(answer::see_other(&page), &cookie::clear())
}
