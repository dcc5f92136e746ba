//! Recovery: who has lost a factor shows the password and a recovery code, and may then set codes by time anew and nothing else.
//! The new secret takes the place of every factor, all sessions end everywhere, and the person signs in with it (ASVS 5.0, 6.4.3).

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Problem, Wanted, WantedFields, answer, count, half, with_browser, with_problem};
use crate::identity::{Account, TotpSecret, Trial};
use crate::portal::call::Call;
use crate::portal::cookies;
use crate::portal::factors::{Secret, secret_shown};
use crate::portal::failure::WayOn;
use crate::portal::form::Browser;
use crate::portal::frame::{self, Frame, rendered};
use crate::session::{EndReason, cookie};

const KIND: &str = "recovery";

#[derive(Serialize, Deserialize)]
struct Recovering {
    account: Uuid,
    secret: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::portal) struct Code {
    code: String,
    csrf: String,
}

#[derive(Template)]
#[template(path = "sign_in/recovery.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<String>,
    secret: Option<Secret>,
    token: String,
}

/// Puts a recovery aside, in place of the half-done sign-in, and leads to its page.
pub(super) async fn begin(call: &Call, id: Uuid) -> Result<response::Response<Body>, Problem> {
    let secret = TotpSecret::random().map_err(|_| Problem::StoreAway)?;
    let recovering = Recovering { account: id, secret: secret.base32().to_string() };
    let put = call.rooms.sessions.put_aside(KIND, &recovering, half::LIFE, call.now).await;
    let aside = put.map_err(|_| Problem::StoreAway)?;
    let to = Wanted::from(WantedFields::default()).at("/sign-in/recovery");
    Ok(answer::with_cookie(answer::see_other(&to), &cookies::set(half::COOKIE, &aside.encoded(), Some(half::LIFE_S))))
}

/// `GET /sign-in/recovery`.
pub(in crate::portal) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    match found(&call).await {
        Ok((account, secret, _)) => page(&call, Some(secret_shown(&account.login, &secret)), None),
        Err(problem) => super::refused(&call, nowhere(), String::new(), problem),
    }
}

/// `POST /sign-in/recovery`.
pub(in crate::portal) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    form: Result<Form<Code>, FormRejection>,
) -> response::Response<Body> {
    let form = form.map(|Form(form)| form).unwrap_or_default();
    if let Some(response) = super::forged(&call, &nowhere()) {
        return response;
    }
    let (account, secret, id) = match found(&call).await {
        Ok(found) if call.accepts(&form.csrf) => found,
        Ok(_) => return super::refused(&call, nowhere(), String::new(), Problem::FormExpired),
        Err(problem) => return super::refused(&call, nowhere(), String::new(), problem),
    };
    match set(&call, &account, &secret, id, &form.code).await {
        Ok(()) => {
            let response = answer::with_cookie(page(&call, None, None), &half::cleared());
            answer::with_cookie(response, &cookie::clear())
        }
        Err(problem) => {
            call.count_sign_in(problem.word());
            with_problem(page(&call, Some(secret_shown(&account.login, &secret)), Some(problem)), problem)
        }
    }
}

async fn set(call: &Call, account: &Account, secret: &TotpSecret, id: Uuid, code: &str) -> Result<(), Problem> {
    count(call, Trial::Second, &account.login, &account.id).await?;
    if !call.rooms.factors.recover(id, secret, code, call.now).await? {
        return Err(Problem::WrongCode);
    }
    call.rooms.metrics.factors_changed.with_label_values(&["totp", "recovered"]).inc();
    let sessions = &call.rooms.sessions;
    if let Some(aside) = &call.half {
        let _ = sessions.take_aside::<Recovering>(KIND, aside, call.now).await; // it ends by itself in minutes
    }
    let ended = sessions.end_all(&account.id, None, EndReason::Credentials, call.now).await;
    ended.map(drop).map_err(|_| Problem::StoreAway)
}

async fn found(call: &Call) -> Result<(Account, TotpSecret, Uuid), Problem> {
    let aside = call.half.as_ref().ok_or(Problem::HalfGone)?;
    let recovering: Option<Recovering> =
        call.rooms.sessions.aside(KIND, aside, call.now).await.map_err(|_| Problem::StoreAway)?;
    let Recovering { account: id, secret } = recovering.ok_or(Problem::HalfGone)?;
    let account = half::active(call, id).await?.ok_or(Problem::HalfGone)?;
    Ok((account, TotpSecret::parse(&secret).ok_or(Problem::HalfGone)?, id))
}

fn nowhere() -> Wanted {
    Wanted::from(WantedFields::default())
}

fn page(call: &Call, secret: Option<Secret>, problem: Option<Problem>) -> response::Response<Body> {
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let language = call.visitor.language;
    let page = Page {
        frame: Frame { offers_region: false, ..call.frame(language.pick("恢复登录", "Get back in")) },
        problem: problem.map(|problem| problem.sentence(language)),
        secret,
        token: call.rooms.forms.token(&browser, call.now),
    };
    with_browser(call, &browser, frame::answer(StatusCode::OK, language, rendered(&page)))
}
