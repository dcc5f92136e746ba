//! Sign-in: the form, the check, the new session. Wrong password, unknown account and disabled account are one page (401); a form
//! older than 60 minutes or without its cookie is the same page with another sentence (400); a full queue or a store that does
//! not answer is the same page again (503 with Retry-After), and the cookie of a session that may be alive is left alone.

mod problem;

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use self::problem::Problem;
use super::call::Call;
use super::failure::WayOn;
use super::form::Browser;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use super::{answer, arrival, oidc, when};
use crate::domain::Proof;
use crate::identity::Account;
use crate::session::{Person, cookie};

/// Where the identity comes from, for records.
const REALM: &str = "accounts";
/// RFC 8176 name of a password.
const METHOD: &str = "pwd";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Way {
    return_to: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    login: String,
    password: String,
    csrf: String,
    return_to: String,
}

#[derive(Template)]
#[template(path = "sign_in/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<&'static str>,
    ended: bool,
    idle: String,
    login: String,
    return_to: ReturnTo,
    token: String,
}

/// `GET /sign-in?return_to=`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    way: Result<Query<Way>, QueryRejection>,
) -> response::Response<Body> {
    let return_to = way.map(|Query(way)| ReturnTo::parse(&way.return_to)).unwrap_or_else(|_| ReturnTo::home());
    let login = oidc::login_hint(&call, &return_to);
    page(&call, return_to, login, None)
}

/// `POST /sign-in`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    credentials: Result<Form<Credentials>, FormRejection>,
) -> response::Response<Body> {
    let Credentials { login, password, csrf, return_to } = credentials.map(|Form(form)| form).unwrap_or_default();
    let (password, return_to) = (Zeroizing::new(password), ReturnTo::parse(&return_to));
    if !call.from_here {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::SignIn(return_to.to_string()));
    }
    if !call.accepts(&csrf) {
        return refused(&call, return_to, login, Problem::FormExpired);
    }
    let account = match call.rooms.accounts.verify(&login, &password, call.now).await {
        Ok(account) => account,
        Err(error) => return refused(&call, return_to, login, error.into()),
    };
    let (person, proof) = proven(&call, account);
    match arrival::begin(&call, person, proof).await {
        Ok(id) => {
            call.count_sign_in("ok");
            answer::with_cookie(answer::see_other(&return_to), &cookie::set(&id))
        }
        Err(_) => refused(&call, return_to, login, Problem::StoreAway),
    }
}

/// What a password proves of the account's owner.
fn proven(call: &Call, account: Account) -> (Person, Proof) {
    let proof = Proof { assurance: account.assurance, methods: vec![METHOD.to_owned()], at: call.now };
    (Person { subject: account.id, kind: account.kind, realm: REALM.to_owned(), name: account.name }, proof)
}

fn refused(call: &Call, return_to: ReturnTo, login: String, problem: Problem) -> response::Response<Body> {
    call.count_sign_in(problem.word());
    let mut response = page(call, return_to, login, Some(problem));
    *response.status_mut() = problem.status();
    problem.add_headers(response.headers_mut());
    response
}

fn page(call: &Call, return_to: ReturnTo, login: String, problem: Option<Problem>) -> response::Response<Body> {
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let language = call.visitor.language;
    let here = ReturnTo::parse(&format!("/sign-in?return_to={}", return_to.in_query()));
    let page = Page {
        frame: Frame { here, back: return_to.clone(), ..call.frame(language.pick("登录", "Sign in")) },
        problem: problem.map(|problem| problem.sentence(language)),
        ended: call.visitor.cookie_present && call.visitor.session.is_none(),
        idle: when::span(call.rooms.session.idle, language),
        login,
        return_to,
        token: call.rooms.forms.token(&browser, call.now),
    };
    let response = frame::answer(StatusCode::OK, language, rendered(&page));
    if call.browser.is_some() { response } else { answer::with_cookie(response, &browser.cookie()) }
}
