//! A person's own factors: shown on the account page, set and removed here. Whoever changes them has proven who they are in the last
//! ten minutes, with a factor if the account has one, since then every sign-in asks for it. What is being set lies aside, for this
//! session only; a factor counts once it has shown that it works.

mod qr;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::call::Call;
use super::failure::WayOn;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use super::sign_in::{Problem, count, own_session};
use super::{account, answer, arrival, when};
use crate::domain::Assurance;
use crate::identity::{
    Factor, FactorError, FactorKind, IdentityError, Login, MESSAGE_LIFE, Password, TotpSecret, Trial,
};
use crate::portal::language::Language;
use crate::session::{EndReason, Live, SessionError, SessionId, SessionKey, cookie};

const PAGE: &str = "/account";
/// How long ago the person may have proven who they are to change what they sign in with (ASVS 5.0, 7.5.1).
const FRESH: Duration = Duration::from_secs(600);
const SETTING: &str = "factor";
/// Time to take the telephone out and read a code.
const SETTING_LIFE: Duration = Duration::from_secs(900);

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    /// `totp`, `address`, `passkey`: begin; `set-…`: what has been begun; `codes`; `remove`; `password`.
    wish: String,
    factor: String,
    address: String,
    aside: String,
    code: String,
    answer: String,
    label: String,
    password: String,
}

/// What is being set, for one session.
#[derive(Serialize, Deserialize)]
struct Setting<T> {
    session: SessionKey,
    what: T,
}

#[derive(Serialize, Deserialize)]
struct Address {
    sms: bool,
    address: String,
    code: String,
}

/// A secret as people take it over.
pub(super) struct Secret {
    pub(super) qr: String,
    pub(super) uri: String,
    pub(super) groups: String,
}

/// As an authenticator app reads it: by its camera, by a link, by hand.
pub(super) fn secret_shown(login: &str, secret: &TotpSecret) -> Secret {
    let uri = secret.uri("一门 Yimen", login);
    let letters: Vec<char> = secret.base32().chars().collect();
    let groups = letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ");
    Secret { qr: qr::svg(&uri), uri: uri.to_string(), groups }
}

/// The part of the account page that is about factors.
pub(super) struct Part {
    pub(super) factors: Vec<Line>,
    pub(super) codes: u64,
    pub(super) passkeys: bool,
    pub(super) messages: bool,
}

/// One factor on it.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) label: String,
    pub(super) set: String,
    pub(super) used: String,
}

impl Part {
    /// `Ok(None)`: the account is of another realm, where its factors are.
    pub(super) async fn of(call: &Call) -> Result<Option<Self>, FactorError> {
        let Some((_, account)) = own_session(call) else { return Ok(None) };
        let all = &call.rooms.factors;
        let factors = all.of(account).await?;
        let line = |factor: Factor| Line {
            kind: kind_name(factor.kind, call.visitor.language),
            set: when::beijing(factor.created_at),
            used: when::beijing(factor.used_at),
            id: factor.id,
            label: factor.label,
        };
        Ok(Some(Self {
            codes: if factors.is_empty() { 0 } else { all.recovery_codes(account).await? },
            factors: factors.into_iter().map(line).collect(),
            passkeys: all.has_passkeys(),
            messages: all.sends(),
        }))
    }
}

fn kind_name(kind: FactorKind, language: Language) -> &'static str {
    match kind {
        FactorKind::Totp => language.pick("动态验证码（验证器应用）", "Codes by an authenticator app"),
        FactorKind::Passkey => language.pick("通行密钥", "Passkey"),
        FactorKind::Sms => language.pick("短信验证码", "Codes by short message"),
        FactorKind::Mail => language.pick("邮件验证码", "Codes by e-mail"),
    }
}

#[derive(Template)]
#[template(path = "factors/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    problem: Option<String>,
    shown: Shown,
    aside: String,
    token: String,
}

impl Page {
    /// How long a code that was sent is good.
    fn message_minutes(&self) -> u64 {
        MESSAGE_LIFE.as_secs() / 60
    }
}

/// What the page shows.
enum Shown {
    Totp(Secret),
    Address,
    #[cfg_attr(not(feature = "passkey"), allow(dead_code, reason = "only passkeys use it"))]
    Passkey(String),
    Codes(Vec<String>),
}

/// Who changes what is theirs.
struct Owner {
    session: SessionKey,
    account: Uuid,
    login: String,
    #[cfg_attr(not(feature = "passkey"), allow(dead_code, reason = "only passkeys use it"))]
    name: String,
}

/// Why a wish was not carried out.
enum Fault {
    Problem(Problem),
    /// With the page on which to try again.
    Again(Problem, Shown, String),
    TooMany,
    BadAddress,
}

impl From<FactorError> for Fault {
    fn from(error: FactorError) -> Self {
        if matches!(error, FactorError::TooMany) { Self::TooMany } else { Self::Problem(error.into()) }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// `POST /account/factors`.
pub(super) async fn submit(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let mut wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let password = Zeroizing::new(std::mem::take(&mut wish.password));
    let Some((live, account)) = own_session(&call) else {
        return call.failure(StatusCode::UNAUTHORIZED, "sign-in-needed", WayOn::SignIn(PAGE.to_owned()));
    };
    if !call.from_here || !call.rooms.forms.accepts_for(&wish.csrf, &live.key) {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", WayOn::Home);
    }
    if !live.session.proves(Assurance::L1, Some(FRESH), call.now) {
        let again = format!("/sign-in?return_to={PAGE}&max_age={}", FRESH.as_secs());
        return answer::see_other(&ReturnTo::parse(&again));
    }
    let login = match call.rooms.accounts.active(account).await {
        Ok(Some(account)) => account.login,
        Ok(None) => return call.failure(StatusCode::UNAUTHORIZED, "sign-in-needed", WayOn::SignIn(PAGE.to_owned())),
        Err(error) => return fault(&call, Problem::from(FactorError::from(error)).into()),
    };
    if wish.wish == "password" {
        return new_password(&call, live, &login, password).await;
    }
    let owner = Owner { session: live.key, account, login, name: live.session.name.clone() };
    carry_out(&call, &owner, wish).await.unwrap_or_else(|error| fault(&call, error))
}

/// A new password ends all other sessions (ASVS 5.0, 7.4.3), and this one goes on under a new id.
async fn new_password(call: &Call, live: &Live, login: &str, password: Zeroizing<String>) -> response::Response<Body> {
    let changed = async {
        let login: Login = login.parse()?;
        call.rooms.accounts.set_password(&login, Password::new(password.to_string())?, call.now).await
    };
    let refused = |code| call.failure(StatusCode::BAD_REQUEST, code, WayOn::Home);
    match changed.await {
        Ok(_) => {}
        Err(IdentityError::BadPassword) => return refused("bad-password"),
        Err(IdentityError::BreachedPassword) => return refused("breached-password"),
        Err(IdentityError::Busy) => return fault(call, Problem::Busy.into()),
        Err(error) => {
            tracing::warn!(%error, request_id = call.visitor.request_id, "a password was not changed");
            return fault(call, Problem::StoreAway.into());
        }
    }
    let (subject, reason) = (&live.session.subject, EndReason::Credentials);
    let ended = call.rooms.sessions.end_all(subject, Some(&live.key), reason, call.now).await;
    match (ended, arrival::renew(call, live, live.session.clone()).await) {
        (Ok(_), Ok(id)) => answer::with_cookie(answer::see_other(&ReturnTo::parse(PAGE)), &cookie::set(&id)),
        (Ok(_), Err(SessionError::Gone)) => account::sign_in(call),
        _ => fault(call, Problem::StoreAway.into()),
    }
}

async fn carry_out(call: &Call, owner: &Owner, wish: Wish) -> Result<response::Response<Body>, Fault> {
    let factors = &call.rooms.factors;
    match wish.wish.as_str() {
        "totp" => {
            let secret = TotpSecret::random().map_err(FactorError::from)?;
            let aside = put(call, owner, secret.base32().to_string()).await?;
            Ok(page(call, owner, Shown::Totp(secret_shown(&owner.login, &secret)), aside, None))
        }
        "set-totp" => {
            let secret: String = aside(call, owner, &wish.aside).await?;
            let secret = TotpSecret::parse(&secret).ok_or(Problem::HalfGone)?;
            count(call, Trial::Second, &owner.login, &owner.account.to_string()).await?;
            if !factors.set_totp(owner.account, &secret, &wish.code, call.now).await? {
                return Err(again(Shown::Totp(secret_shown(&owner.login, &secret)), wish.aside));
            }
            take::<String>(call, &wish.aside).await;
            set(call, owner, FactorKind::Totp).await
        }
        "address" => {
            let (sms, address) = address(&wish.address).ok_or(Fault::BadAddress)?;
            count(call, Trial::Message, &owner.login, &owner.account.to_string()).await?;
            let language = call.visitor.language.tag();
            let code = factors.send_to(kind_of(sms), &address, language, call.now).await?;
            let aside = put(call, owner, Address { sms, address, code: code.to_string() }).await?;
            Ok(page(call, owner, Shown::Address, aside, None))
        }
        "set-address" => {
            let known: Address = aside(call, owner, &wish.aside).await?;
            count(call, Trial::Second, &owner.login, &owner.account.to_string()).await?;
            let typed: String = wish.code.chars().filter(char::is_ascii_digit).collect();
            if verify_slices_are_equal(known.code.as_bytes(), typed.as_bytes()).is_err() {
                return Err(again(Shown::Address, wish.aside));
            }
            if !take::<Address>(call, &wish.aside).await {
                return Err(Problem::HalfGone.into());
            }
            factors.set_address(owner.account, kind_of(known.sms), &known.address, call.now).await?;
            set(call, owner, kind_of(known.sms)).await
        }
        "codes" if !factors.of(owner.account).await?.is_empty() => new_codes(call, owner).await,
        "remove" => {
            let all = factors.of(owner.account).await?;
            let kind = all.iter().find(|factor| factor.id == wish.factor).map(|factor| factor.kind);
            if factors.remove(owner.account, &wish.factor).await?
                && let Some(kind) = kind
            {
                call.rooms.metrics.factors_changed.with_label_values(&[kind.word(), "removed"]).inc();
            }
            Ok(answer::see_other(&ReturnTo::parse(PAGE)))
        }
        #[cfg(feature = "passkey")]
        "passkey" => {
            let (options, setting) = factors.begin_passkey(owner.account, &owner.login, &owner.name).await?;
            let aside = put(call, owner, setting).await?;
            Ok(page(call, owner, Shown::Passkey(options.to_string()), aside, None))
        }
        #[cfg(feature = "passkey")]
        "set-passkey" => {
            let setting: crate::identity::Setting = aside(call, owner, &wish.aside).await?;
            if !take::<crate::identity::Setting>(call, &wish.aside).await {
                return Err(Problem::HalfGone.into());
            }
            let label = if wish.label.trim().is_empty() { call.device.as_str() } else { wish.label.trim() };
            factors.set_passkey(owner.account, &setting, &wish.answer, label, call.now).await?;
            set(call, owner, FactorKind::Passkey).await
        }
        _ => Ok(answer::see_other(&ReturnTo::parse(PAGE))),
    }
}

/// A factor is set: with the first one come recovery codes, which are shown this once.
async fn set(call: &Call, owner: &Owner, kind: FactorKind) -> Result<response::Response<Body>, Fault> {
    call.rooms.metrics.factors_changed.with_label_values(&[kind.word(), "set"]).inc();
    if call.rooms.factors.recovery_codes(owner.account).await? == 0 {
        return new_codes(call, owner).await;
    }
    Ok(answer::see_other(&ReturnTo::parse(PAGE)))
}

async fn new_codes(call: &Call, owner: &Owner) -> Result<response::Response<Body>, Fault> {
    let codes = call.rooms.factors.new_recovery_codes(owner.account).await?;
    call.rooms.metrics.factors_changed.with_label_values(&["codes", "set"]).inc();
    Ok(page(call, owner, Shown::Codes(codes), String::new(), None))
}

async fn put<T: Serialize>(call: &Call, owner: &Owner, what: T) -> Result<String, Fault> {
    let setting = Setting { session: owner.session, what };
    let put = call.rooms.sessions.put_aside(SETTING, &setting, SETTING_LIFE, call.now).await;
    Ok(put.map_err(|_| Problem::StoreAway)?.encoded())
}

async fn aside<T: serde::de::DeserializeOwned>(call: &Call, owner: &Owner, text: &str) -> Result<T, Fault> {
    let id = SessionId::parse(text).ok_or(Problem::HalfGone)?;
    let found: Option<Setting<T>> =
        call.rooms.sessions.aside(SETTING, &id, call.now).await.map_err(|_| Problem::StoreAway)?;
    Ok(found.filter(|setting| setting.session == owner.session).ok_or(Problem::HalfGone)?.what)
}

async fn take<T: serde::de::DeserializeOwned>(call: &Call, text: &str) -> bool {
    let Some(id) = SessionId::parse(text) else { return false };
    call.rooms.sessions.take_aside::<Setting<T>>(SETTING, &id, call.now).await.is_ok_and(|taken| taken.is_some())
}

fn again(shown: Shown, aside: String) -> Fault {
    Fault::Again(Problem::WrongCode, shown, aside)
}

fn kind_of(sms: bool) -> FactorKind {
    if sms { FactorKind::Sms } else { FactorKind::Mail }
}

/// A telephone number (E.164, or a mainland mobile) or a mailbox, by its look; the code that comes back decides.
fn address(text: &str) -> Option<(bool, String)> {
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    if let Some((name, host)) = text.split_once('@') {
        let shaped = !name.is_empty() && host.contains('.') && text.len() <= 254 && text.is_ascii();
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'\\,;:()[]".contains(&byte));
        return (shaped && plain && !host.contains('@')).then_some((false, text));
    }
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let number = digits.strip_prefix('+').unwrap_or(&digits);
    ((8..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())).then_some((true, digits))
}

fn fault(call: &Call, fault: Fault) -> response::Response<Body> {
    let (problem, page) = match fault {
        Fault::TooMany => return call.failure(StatusCode::CONFLICT, "factors-too-many", WayOn::Home),
        Fault::BadAddress => return call.failure(StatusCode::BAD_REQUEST, "bad-code-address", WayOn::Home),
        Fault::Problem(problem @ (Problem::TooMany(_) | Problem::StoreAway | Problem::Busy)) => {
            return call.not_tried(problem);
        }
        Fault::Problem(_) => return call.failure(StatusCode::BAD_REQUEST, "factor-not-set", WayOn::Home),
        Fault::Again(problem, shown, aside) => {
            let Some((live, account)) = own_session(call) else {
                return call.failure(StatusCode::UNAUTHORIZED, "sign-in-needed", WayOn::SignIn(PAGE.to_owned()));
            };
            let owner = Owner { session: live.key, account, login: String::new(), name: String::new() };
            (problem, again_page(call, &owner, shown, aside, problem))
        }
    };
    let mut page = page;
    *page.status_mut() = problem.status();
    problem.add_headers(page.headers_mut());
    page
}

fn again_page(call: &Call, owner: &Owner, shown: Shown, aside: String, problem: Problem) -> response::Response<Body> {
    page(call, owner, shown, aside, Some(problem))
}

fn page(call: &Call, owner: &Owner, shown: Shown, aside: String, problem: Option<Problem>) -> response::Response<Body> {
    let language = call.visitor.language;
    let title = match &shown {
        Shown::Totp(_) => language.pick("设置验证器应用", "Set up an authenticator app"),
        Shown::Address => language.pick("输入收到的验证码", "Enter the code you received"),
        Shown::Passkey(_) => language.pick("设置通行密钥", "Set up a passkey"),
        Shown::Codes(_) => language.pick("恢复码", "Recovery codes"),
    };
    let page = Page {
        frame: Frame { here: ReturnTo::parse(PAGE), back: ReturnTo::parse(PAGE), ..call.frame(title) },
        problem: problem.map(|problem| problem.sentence(language)),
        shown,
        aside,
        token: call.rooms.forms.session_token(&owner.session),
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephones_and_mailboxes_are_told_apart() {
        assert_eq!(address("138 0013 8000"), Some((true, "13800138000".to_owned())));
        assert_eq!(address("+86-138-0013-8000"), Some((true, "+8613800138000".to_owned())));
        assert_eq!(address("wang@example.gov"), Some((false, "wang@example.gov".to_owned())));
        for bad in ["", "1234567", "x".repeat(20).as_str(), "a@b", "a@b@c.d", "a b@c.d<x>", "1380013800x", "a@b.c\u{0}"]
        {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
