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
use super::provider::Needs;
use super::return_to::ReturnTo;
use super::{answer, arrival, when};
use crate::domain::Proof;
use crate::identity::Account;
use crate::session::{Person, cookie};

/// Where the identity comes from, for records.
const REALM: &str = "accounts";
/// RFC 8176 name of a password.
const METHOD: &str = "pwd";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Credentials {
    login: String,
    password: String,
    csrf: String,
    #[serde(flatten)]
    needs: Needs,
}

/// A provider that can prove what is needed.
struct Choice {
    name: String,
    href: String,
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
    needs: Needs,
    choices: Vec<Choice>,
    token: String,
}

/// `GET /sign-in?return_to=&assurance=&max_age=`: shows only those realms that can prove what is needed.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    needs: Result<Query<Needs>, QueryRejection>,
) -> response::Response<Body> {
    page(&call, needs.map(|Query(needs)| needs).unwrap_or_default(), String::new(), None)
}

/// `POST /sign-in`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    credentials: Result<Form<Credentials>, FormRejection>,
) -> response::Response<Body> {
    let Credentials { login, password, csrf, needs } = credentials.map(|Form(form)| form).unwrap_or_default();
    let (password, return_to) = (Zeroizing::new(password), needs.return_to());
    if !call.from_here {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::SignIn(return_to.to_string()));
    }
    if !call.accepts(&csrf) {
        return refused(&call, needs, login, Problem::FormExpired);
    }
    let account = match call.rooms.accounts.verify(&login, &password, call.now).await {
        Ok(account) => account,
        Err(error) => return refused(&call, needs, login, error.into()),
    };
    let (person, proof) = proven(&call, account);
    match arrival::begin(&call, person, proof).await {
        Ok(id) => {
            call.count_sign_in("ok");
            answer::with_cookie(answer::see_other(&return_to), &cookie::set(&id))
        }
        Err(_) => refused(&call, needs, login, Problem::StoreAway),
    }
}

/// What a password proves of the account's owner.
fn proven(call: &Call, account: Account) -> (Person, Proof) {
    let proof = Proof { assurance: account.assurance, methods: vec![METHOD.to_owned()], at: call.now };
    (Person { subject: account.id, kind: account.kind, realm: REALM.to_owned(), name: account.name }, proof)
}

fn refused(call: &Call, needs: Needs, login: String, problem: Problem) -> response::Response<Body> {
    call.count_sign_in(problem.word());
    let mut response = page(call, needs, login, Some(problem));
    *response.status_mut() = problem.status();
    problem.add_headers(response.headers_mut());
    response
}

fn page(call: &Call, needs: Needs, login: String, problem: Option<Problem>) -> response::Response<Body> {
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let language = call.visitor.language;
    let (return_to, here) = (needs.return_to(), ReturnTo::parse(&format!("/sign-in?{}", needs.query())));
    let page = Page {
        frame: Frame { here, back: return_to.clone(), ..call.frame(language.pick("登录", "Sign in")) },
        problem: problem.map(|problem| problem.sentence(language)),
        ended: call.visitor.cookie_present && call.visitor.session.is_none(),
        idle: when::span(call.rooms.session.idle, language),
        login,
        return_to,
        choices: choices(call, &needs),
        needs,
        token: call.rooms.forms.token(&browser, call.now),
    };
    let response = frame::answer(StatusCode::OK, language, rendered(&page));
    if call.browser.is_some() { response } else { answer::with_cookie(response, &browser.cookie()) }
}

fn choices(call: &Call, needs: &Needs) -> Vec<Choice> {
    let offers = call.rooms.realms.offers(needs.assurance(), needs.max_age()).into_iter();
    let language = call.visitor.language;
    offers
        .map(|offer| Choice {
            name: language.pick(&offer.name, &offer.name_en).to_owned(),
            href: format!("/sign-in/{}?{}", offer.id, needs.query()),
        })
        .collect()
}
