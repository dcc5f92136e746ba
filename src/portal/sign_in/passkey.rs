//! Sign-in by passkey, with or without a password before it: the passkey says who somebody is. The one page of the sign-in that needs
//! a script. What was asked lies aside and is taken by the first answer, right or wrong.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;

use super::{Problem, Wanted, WantedFields, forged, with_browser, with_problem};
#[cfg(feature = "passkey")]
use super::{count, half, own_session};
#[cfg(feature = "passkey")]
use crate::identity::{Shown, Trial};
use crate::portal::call::Call;
use crate::portal::failure::WayOn;
use crate::portal::form::Browser;
use crate::portal::frame::{self, Frame, rendered};
#[cfg(feature = "passkey")]
use crate::session::SessionId;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::portal) struct Answer {
    answer: String,
    asked: String,
    csrf: String,
    #[serde(flatten)]
    wanted: WantedFields,
}

#[derive(Template)]
#[template(path = "sign_in/passkey.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<String>,
    wanted: Wanted,
    options: String,
    asked: String,
    token: String,
}

/// `GET /sign-in/passkey`.
pub(in crate::portal) async fn show(
    Extension(call): Extension<Arc<Call>>,
    wanted: Result<Query<WantedFields>, QueryRejection>,
) -> response::Response<Body> {
    let wanted = Wanted::from(wanted.map(|Query(fields)| fields).unwrap_or_default());
    page(&call, wanted, None).await
}

/// `POST /sign-in/passkey`.
pub(in crate::portal) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    form: Result<Form<Answer>, FormRejection>,
) -> response::Response<Body> {
    let Answer { answer, asked, csrf, wanted } = form.map(|Form(form)| form).unwrap_or_default();
    let wanted = Wanted::from(wanted);
    if let Some(response) = forged(&call, &wanted) {
        return response;
    }
    if !call.accepts(&csrf) {
        return super::refused(&call, wanted, String::new(), Problem::FormExpired);
    }
    match checked(&call, &answer, &asked, &wanted).await {
        Ok(response) => response,
        Err(problem) => {
            call.count_sign_in(problem.word());
            with_problem(page(&call, wanted, Some(problem)).await, problem)
        }
    }
}

#[cfg(feature = "passkey")]
const ASKED: &str = "passkey";
#[cfg(feature = "passkey")]
const LIFE: std::time::Duration = std::time::Duration::from_secs(300);

#[cfg(feature = "passkey")]
async fn checked(call: &Call, answer: &str, asked: &str, wanted: &Wanted) -> Result<response::Response<Body>, Problem> {
    let id = SessionId::parse(asked).ok_or(Problem::PasskeyRefused)?;
    let showing = call.rooms.sessions.take_aside(ASKED, &id, call.now).await.map_err(|_| Problem::StoreAway)?;
    let showing = showing.ok_or(Problem::PasskeyRefused)?;
    let shown = call.rooms.factors.check_passkey(showing, answer, call.now).await?.ok_or(Problem::PasskeyRefused)?;
    let account = half::active(call, shown).await?.ok_or(Problem::PasskeyRefused)?;
    let step_up = wanted.asks() && !wanted.other && own_session(call).is_some();
    if step_up && own_session(call).is_some_and(|(_, owner)| owner != shown) {
        return Err(Problem::OtherPerson);
    }
    half::arrive(call, &account, Shown::Passkey, call.now, step_up, wanted).await
}

#[cfg(feature = "passkey")]
async fn ask(call: &Call) -> Result<(String, String), Problem> {
    // What is counted is work; each question is good for one answer.
    count(call, Trial::Passkey, "", "").await?;
    let (options, showing) = call.rooms.factors.ask_passkey()?;
    let id = call.rooms.sessions.put_aside(ASKED, &showing, LIFE, call.now).await;
    Ok((options.to_string(), id.map_err(|_| Problem::StoreAway)?.encoded()))
}

#[cfg(not(feature = "passkey"))]
async fn checked(_: &Call, _: &str, _: &str, _: &Wanted) -> Result<response::Response<Body>, Problem> {
    Err(Problem::PasskeyRefused)
}

#[cfg(not(feature = "passkey"))]
async fn ask(_: &Call) -> Result<(String, String), Problem> {
    Err(Problem::PasskeyRefused)
}

async fn page(call: &Call, wanted: Wanted, problem: Option<Problem>) -> response::Response<Body> {
    let (options, asked) = match ask(call).await {
        Ok(asked) => asked,
        Err(problem) => return super::refused(call, wanted, String::new(), problem),
    };
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let language = call.visitor.language;
    let title = language.pick("使用通行密钥", "Use a passkey");
    let page = Page {
        frame: Frame { here: wanted.at("/sign-in/passkey"), back: wanted.return_to.clone(), ..call.frame(title) },
        problem: problem.map(|problem| problem.sentence(language)),
        wanted,
        options,
        asked,
        token: call.rooms.forms.token(&browser, call.now),
    };
    with_browser(call, &browser, frame::answer(StatusCode::OK, language, rendered(&page)))
}
