//! Sign-in: the password page, and what follows it where an account has more than a password, or a route asks for more.
//! Shape: password ── right ──▶ session, or (the account has factors) half-done ── code, passkey ──▶ session. For somebody who is
//! signed in and came for more, the same pages prove more of the same person: what they show goes into a session with a new id.
//! Wrong password, unknown account and disabled account are one page (401); a form older than 60 minutes or without its cookie is the
//! same page with another sentence (400); too many tries are told with the time to wait (429); a full queue or a store that does not
//! answer is the same page again (503 with Retry-After), and the cookie of a session that may be alive is left alone.

mod half;
pub(super) mod passkey;
mod problem;
pub(super) mod recovery;
pub(super) mod second;
mod wanted;

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(super) use self::half::{COOKIE as HALF_COOKIE, count, own_session};
pub(super) use self::problem::Problem;
pub(super) use self::wanted::{Wanted, WantedFields};
use super::call::Call;
use super::failure::WayOn;
use super::form::Browser;
use super::frame::{self, Frame, rendered};
use super::{answer, arrival, ended, oidc, when};
use crate::domain::Assurance;
use crate::identity::{Account, Factor, FactorKind, Shown, SignInError, Trial};
use crate::session::{EndReason, Live, cookie};

/// Where the identity of built-in accounts comes from, for records.
pub(super) const REALM: &str = "accounts";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    login: String,
    password: String,
    csrf: String,
    /// The account is the session's, and the login is not asked for.
    step_up: String,
    #[serde(flatten)]
    wanted: WantedFields,
}

/// A provider that can prove what is wanted.
struct Choice {
    name: String,
    href: String,
}

#[derive(Template)]
#[template(path = "sign_in/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<String>,
    reason: Option<&'static str>,
    ended: bool,
    idle: String,
    login: String,
    wanted: Wanted,
    passkeys: bool,
    choices: Vec<Choice>,
    token: String,
}

/// What somebody who is signed in is told when a page wants more of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has been shown already.
    Met,
    /// The password, for a start.
    Password,
    /// The account has nothing that reaches so far; one can be set.
    NoFactor,
    /// Nothing reaches further than it is known who the account belongs to.
    Ceiling,
}

#[derive(Template)]
#[template(path = "sign_in/step_up.html", config = "src/portal/askama.toml")]
struct StepUpPage {
    frame: Frame,
    problem: Option<String>,
    step: Step,
    name: String,
    now: Assurance,
    wanted: Wanted,
    passkeys: bool,
    token: String,
}

/// `GET /sign-in?return_to=&assurance=&max_age=`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    wanted: Result<Query<WantedFields>, QueryRejection>,
) -> response::Response<Body> {
    let wanted = Wanted::from(wanted.map(|Query(fields)| fields).unwrap_or_default());
    if let Some((live, id)) = own_session(&call).filter(|_| wanted.asks() && !wanted.other) {
        return match step_up(&call, live, id, wanted.clone(), None).await {
            Ok(response) => response,
            Err(problem) => refused(&call, wanted, String::new(), problem),
        };
    }
    let reason = ended::why(&call).await;
    let login = oidc::login_hint(&call, &wanted.return_to);
    let response = page(&call, wanted, login, None, reason);
    // It is told once; with the cookie gone, no later page says that the session ended for want of activity.
    if reason.is_some() { answer::with_cookie(response, &cookie::clear()) } else { response }
}

/// `POST /sign-in`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    credentials: Result<Form<Credentials>, FormRejection>,
) -> response::Response<Body> {
    let Credentials { login, password, csrf, step_up, wanted } = credentials.map(|Form(form)| form).unwrap_or_default();
    let (password, wanted) = (Zeroizing::new(password), Wanted::from(wanted));
    if let Some(response) = forged(&call, &wanted) {
        return response;
    }
    if !call.accepts(&csrf) {
        return refused(&call, wanted, login, Problem::FormExpired);
    }
    if step_up.is_empty() {
        return match enter(&call, &login, &password, false, &wanted).await {
            Ok(response) => response,
            Err(problem) => refused(&call, wanted, login, problem),
        };
    }
    let Some((live, id)) = own_session(&call) else { return refused(&call, wanted, login, Problem::FormExpired) };
    match step_further(&call, id, &password, &wanted).await {
        Ok(response) => response,
        Err(problem) => {
            call.count_sign_in(problem.word());
            let again = self::step_up(&call, live, id, wanted.clone(), Some(problem)).await;
            with_problem(again.unwrap_or_else(|problem| refused(&call, wanted, String::new(), problem)), problem)
        }
    }
}

/// The login is the session's own: whatever password is shown here, it is nobody else's.
async fn step_further(
    call: &Call,
    id: Uuid,
    password: &str,
    wanted: &Wanted,
) -> Result<response::Response<Body>, Problem> {
    let account = half::active(call, id).await?.ok_or(Problem::Refused)?;
    enter(call, &account.login, password, true, wanted).await
}

/// Checks a password, and goes on to what else is wanted.
async fn enter(
    call: &Call,
    login: &str,
    password: &str,
    step_up: bool,
    wanted: &Wanted,
) -> Result<response::Response<Body>, Problem> {
    let typed = login.trim().to_lowercase();
    count(call, Trial::Password, &typed, &typed).await?;
    let account = call.rooms.accounts.verify(login, password, call.now).await.map_err(Problem::from)?;
    let id: Uuid = account.id.parse().map_err(|_| Problem::from(SignInError::Refused))?;
    if call.rooms.factors.of(id).await?.is_empty() {
        return half::arrive(call, &account, Shown::Password, call.now, step_up, wanted).await;
    }
    let cookie = half::put(call, id, step_up).await.map_err(|_| Problem::StoreAway)?;
    Ok(answer::with_cookie(answer::see_other(&wanted.at("/sign-in/second")), &cookie))
}

async fn step_up(
    call: &Call,
    live: &Live,
    id: Uuid,
    wanted: Wanted,
    problem: Option<Problem>,
) -> Result<response::Response<Body>, Problem> {
    let Some(account) = half::active(call, id).await? else {
        return Ok(page(call, wanted, String::new(), problem, None));
    };
    let factors = call.rooms.factors.of(id).await?;
    let step = next_step(&account, live, &factors, &wanted, call);
    if step == Step::Password && problem.is_none() && !factors.is_empty() && half::first(call, &wanted).await?.is_some()
    {
        return Ok(answer::see_other(&wanted.at("/sign-in/second")));
    }
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return Ok(call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home));
    };
    let language = call.visitor.language;
    let title = language.pick("进一步验证身份", "Prove more of who you are");
    let page = StepUpPage {
        frame: Frame { here: wanted.at("/sign-in"), back: wanted.return_to.clone(), ..call.frame(title) },
        problem: problem.map(|problem| problem.sentence(language)),
        step,
        name: live.session.name.clone(),
        now: live.session.assurance,
        wanted,
        passkeys: call.rooms.factors.has_passkeys() && factors.iter().any(|factor| factor.kind == FactorKind::Passkey),
        token: call.rooms.forms.token(&browser, call.now),
    };
    Ok(with_browser(call, &browser, frame::answer(StatusCode::OK, language, rendered(&page))))
}

fn next_step(account: &Account, live: &Live, factors: &[Factor], wanted: &Wanted, call: &Call) -> Step {
    let strong = |factor: &Factor| factor.kind != FactorKind::Mail;
    if wanted.is_met(&live.session, call.now) {
        Step::Met
    } else if wanted.least() > Shown::Passkey.reaches(account.assurance) {
        Step::Ceiling
    } else if wanted.least() > Shown::Password.reaches(account.assurance) && !factors.iter().any(strong) {
        Step::NoFactor
    } else {
        Step::Password
    }
}

/// The answer to a form that cannot have come from a page of ours.
fn forged(call: &Call, wanted: &Wanted) -> Option<response::Response<Body>> {
    let way_on = || WayOn::SignIn(wanted.return_to.to_string());
    (!call.from_here).then(|| call.failure(StatusCode::FORBIDDEN, "forged-form", way_on()))
}

fn refused(call: &Call, wanted: Wanted, login: String, problem: Problem) -> response::Response<Body> {
    call.count_sign_in(problem.word());
    with_problem(page(call, wanted, login, Some(problem), None), problem)
}

fn with_problem(mut response: response::Response<Body>, problem: Problem) -> response::Response<Body> {
    *response.status_mut() = problem.status();
    problem.add_headers(response.headers_mut());
    response
}

fn page(
    call: &Call,
    wanted: Wanted,
    login: String,
    problem: Option<Problem>,
    reason: Option<EndReason>,
) -> response::Response<Body> {
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let language = call.visitor.language;
    let title = language.pick("登录", "Sign in");
    let page = Page {
        frame: Frame { here: wanted.at("/sign-in"), back: wanted.return_to.clone(), ..call.frame(title) },
        problem: problem.map(|problem| problem.sentence(language)),
        reason: reason.map(|reason| ended::sentence(reason, language)),
        ended: call.visitor.cookie_present && call.visitor.session.is_none(),
        idle: when::span(call.rooms.session.idle, language),
        login,
        choices: choices(call, &wanted),
        wanted,
        passkeys: call.rooms.factors.has_passkeys(),
        token: call.rooms.forms.token(&browser, call.now),
    };
    with_browser(call, &browser, frame::answer(StatusCode::OK, language, rendered(&page)))
}

fn with_browser(call: &Call, browser: &Browser, response: response::Response<Body>) -> response::Response<Body> {
    if call.browser.is_some() { response } else { answer::with_cookie(response, &browser.cookie()) }
}

/// Only those that can prove what is wanted.
fn choices(call: &Call, wanted: &Wanted) -> Vec<Choice> {
    let offers = call.rooms.realms.offers(wanted.least(), wanted.max_age()).into_iter();
    let language = call.visitor.language;
    offers
        .map(|offer| Choice {
            name: language.pick(&offer.name, &offer.name_en).to_owned(),
            href: wanted.at(&format!("/sign-in/{}", offer.id)).to_string(),
        })
        .collect()
}
