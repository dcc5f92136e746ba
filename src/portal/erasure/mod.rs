//! Erasure of an account by its owner: with the password once more, for good, and all sessions end.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::call::Call;
use super::failure::WayOn;
use super::frame::{self, Frame, Who, rendered};
use super::sign_in::count;
use super::{account, answer};
use crate::identity::{SignInError, Trial};
use crate::session::{EndReason, Live, cookie};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    password: String,
}

#[derive(Template)]
#[template(path = "erasure/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    /// For the form; none when it is done.
    token: Option<String>,
    wrong: bool,
}

/// `GET /account/erase`.
pub(super) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return account::sign_in(&call) };
    page(&call, Some(&live), false, StatusCode::OK)
}

/// `POST /account/erase`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let password = Zeroizing::new(wish.password);
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    let rooms = &call.rooms;
    let subject = live.session.subject.as_str();
    let account = match rooms.accounts.get(subject).await {
        Ok(Some(account)) => account,
        Ok(None) => return call.failure(StatusCode::NOT_FOUND, "no-route", WayOn::Home), // another realm's: nothing is kept here
        Err(error) => return call.identity_away(&error),
    };
    // Whoever got hold of a session guesses the password here no faster than at sign-in.
    if let Err(problem) = count(&call, Trial::Password, &account.login, &account.login).await {
        return call.not_tried(problem);
    }
    match rooms.accounts.verify(&account.login, &password, call.now).await {
        Ok(proven) if proven.id == account.id => {}
        Ok(_) | Err(SignInError::Refused) => return page(&call, Some(&live), true, StatusCode::FORBIDDEN),
        Err(SignInError::Busy) => {
            return call.failure(StatusCode::SERVICE_UNAVAILABLE, "overloaded", WayOn::Retry(5));
        }
        Err(SignInError::Store(error)) => return call.identity_away(&error),
    }
    let actor = rooms.people.actor(subject);
    if let Err(error) = rooms.people.erase(subject, call.by(&actor), call.now).await {
        return call.identity_away(&error);
    }
    // The account is gone whatever happens here: a session that is left opens nothing that still exists of it, but may open
    // platforms until it ends, so a failure is told.
    if let Err(error) = rooms.sessions.end_all(subject, None, EndReason::Erased, call.now).await {
        return call.store_away(&error);
    }
    answer::with_cookie(page(&call, None, false, StatusCode::OK), &cookie::clear())
}

fn page(call: &Call, live: Option<&Live>, wrong: bool, status: StatusCode) -> response::Response<Body> {
    let language = call.visitor.language;
    let title = if live.is_some() {
        language.pick("注销账户", "Erase the account")
    } else {
        language.pick("账户已注销", "The account is erased")
    };
    let mut frame = call.frame(title);
    if live.is_none() {
        frame.who = Who::Nobody;
    }
    let token = live.map(|live| call.rooms.forms.session_token(&live.key));
    frame::answer(status, language, rendered(&Page { frame, token, wrong }))
}
