//! The second page: a code by time, a code that is sent, a recovery code; or the way to a passkey. Nobody comes here without a right
//! password, and every try is counted for the account.

use std::sync::Arc;

use askama::Template;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::half::{self, First};
use super::{Problem, Wanted, WantedFields, answer, count, forged, recovery, with_browser, with_problem};
use crate::identity::{Factor, FactorKind, MESSAGE_LIFE, Shown, Trial};
use crate::portal::call::Call;
use crate::portal::failure::WayOn;
use crate::portal::form::Browser;
use crate::portal::frame::{self, Frame, rendered};
use crate::session::SessionId;

const SENT: &str = "sent code";

/// A code on its way, as it lies aside.
#[derive(Serialize, Deserialize)]
struct Sent {
    account: Uuid,
    sms: bool,
    code: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::portal) struct Code {
    code: String,
    /// `totp`, `sent`, `recovery`: which kind it is; `send`: send one to the factor `factor`.
    by: String,
    sent: String,
    factor: String,
    csrf: String,
    #[serde(flatten)]
    wanted: WantedFields,
}

#[derive(Template)]
#[template(path = "sign_in/second.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<String>,
    wanted: Wanted,
    totp: bool,
    messages: Vec<Factor>,
    passkeys: bool,
    recovery: bool,
    sent: String,
    token: String,
}

/// `GET /sign-in/second`.
pub(in crate::portal) async fn show(
    Extension(call): Extension<Arc<Call>>,
    wanted: Result<Query<WantedFields>, QueryRejection>,
) -> response::Response<Body> {
    let wanted = Wanted::from(wanted.map(|Query(fields)| fields).unwrap_or_default());
    match half::first(&call, &wanted).await {
        Ok(Some(first)) => page(&call, &first, wanted, String::new(), None).await,
        Ok(None) => answer::see_other(&wanted.at("/sign-in")),
        Err(problem) => super::refused(&call, wanted, String::new(), problem),
    }
}

/// `POST /sign-in/second`.
pub(in crate::portal) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    form: Result<Form<Code>, FormRejection>,
) -> response::Response<Body> {
    let mut form = form.map(|Form(form)| form).unwrap_or_default();
    let wanted = Wanted::from(std::mem::take(&mut form.wanted));
    if let Some(response) = forged(&call, &wanted) {
        return response;
    }
    let first = match half::first(&call, &wanted).await {
        Ok(Some(first)) if call.accepts(&form.csrf) => first,
        Ok(Some(_)) => return super::refused(&call, wanted, String::new(), Problem::FormExpired),
        Ok(None) => return super::refused(&call, wanted, String::new(), Problem::HalfGone),
        Err(problem) => return super::refused(&call, wanted, String::new(), problem),
    };
    match checked(&call, &first, &form, &wanted).await {
        Ok(response) => response,
        Err(Problem::HalfGone) => super::refused(&call, wanted, String::new(), Problem::HalfGone),
        Err(problem) => {
            call.count_sign_in(problem.word());
            with_problem(page(&call, &first, wanted, form.sent, Some(problem)).await, problem)
        }
    }
}

async fn checked(
    call: &Call,
    first: &First,
    form: &Code,
    wanted: &Wanted,
) -> Result<response::Response<Body>, Problem> {
    let (factors, account) = (&call.rooms.factors, first.id);
    if form.by == "send" {
        count(call, Trial::Message, &first.account.login, &first.account.id).await?;
        let language = call.visitor.language.tag();
        let (kind, code) = factors.send(account, &form.factor, language, call.now).await?.ok_or(Problem::NotSent)?;
        let sent = Sent { account, sms: kind == FactorKind::Sms, code: code.to_string() };
        let id = call.rooms.sessions.put_aside(SENT, &sent, MESSAGE_LIFE, call.now).await;
        let id = id.map_err(|_| Problem::StoreAway)?.encoded();
        return Ok(page(call, first, wanted.clone(), id, None).await);
    }
    count(call, Trial::Second, &first.account.login, &first.account.id).await?;
    let shown = match form.by.as_str() {
        "recovery" => {
            if !factors.take_recovery_code(account, &form.code).await? {
                return Err(Problem::WrongCode);
            }
            first.take(call).await?;
            return recovery::begin(call, account).await;
        }
        "sent" => sent(call, account, form).await?,
        _ if factors.check_totp(account, &form.code, call.now).await? => Shown::Totp,
        _ => return Err(Problem::WrongCode),
    };
    first.take(call).await?;
    half::arrive(call, &first.account, shown, first.at, first.step_up, wanted).await
}

/// What a code that was sent shows; it is taken when it is right.
async fn sent(call: &Call, account: Uuid, form: &Code) -> Result<Shown, Problem> {
    let id = SessionId::parse(&form.sent).ok_or(Problem::WrongCode)?;
    let sessions = &call.rooms.sessions;
    let sent: Option<Sent> = sessions.aside(SENT, &id, call.now).await.map_err(|_| Problem::StoreAway)?;
    let typed: String = form.code.chars().filter(char::is_ascii_digit).collect();
    let right = |sent: &Sent| {
        sent.account == account && verify_slices_are_equal(sent.code.as_bytes(), typed.as_bytes()).is_ok()
    };
    if !sent.is_some_and(|sent| right(&sent)) {
        return Err(Problem::WrongCode);
    }
    let taken: Option<Sent> = sessions.take_aside(SENT, &id, call.now).await.map_err(|_| Problem::StoreAway)?;
    let sent = taken.ok_or(Problem::WrongCode)?;
    Ok(if sent.sms { Shown::Sms } else { Shown::Mail })
}

async fn page(
    call: &Call,
    first: &First,
    wanted: Wanted,
    sent: String,
    problem: Option<Problem>,
) -> response::Response<Body> {
    let all = &call.rooms.factors;
    let (Ok(factors), Ok(codes)) = (all.of(first.id).await, all.recovery_codes(first.id).await) else {
        return super::refused(call, wanted, String::new(), Problem::StoreAway);
    };
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let has = |kind| factors.iter().any(|factor| factor.kind == kind);
    let (totp, passkeys) = (has(FactorKind::Totp), has(FactorKind::Passkey) && all.has_passkeys());
    let sendable = |factor: &Factor| matches!(factor.kind, FactorKind::Sms | FactorKind::Mail) && all.sends();
    let language = call.visitor.language;
    let title = language.pick("第二步验证", "Second step");
    let page = Page {
        frame: Frame { here: wanted.at("/sign-in/second"), back: wanted.return_to.clone(), ..call.frame(title) },
        problem: problem.map(|problem| problem.sentence(language)),
        wanted,
        totp,
        messages: factors.into_iter().filter(sendable).collect(),
        passkeys,
        recovery: codes > 0,
        sent,
        token: call.rooms.forms.token(&browser, call.now),
    };
    with_browser(call, &browser, frame::answer(StatusCode::OK, language, rendered(&page)))
}
