//! Consent: before something of a person goes to a platform outside the authority that runs the gateway, its browser sees once
//! what goes to whom and why. What was agreed to is exactly what stood on the page: a filing that asks for more meanwhile is
//! shown anew.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query};
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;

use super::call::Call;
use super::failure::WayOn;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use super::{Language, account, answer};
use crate::routing::Platform;
use crate::session::Session;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    csrf: String,
    platform: String,
    /// The attributes that stood on the page.
    attributes: String,
    return_to: String,
}

/// An attribute and what would go.
struct Line {
    name: &'static str,
    value: String,
}

#[derive(Template)]
#[template(path = "consent/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    platform: String,
    name: String,
    owner: String,
    function: String,
    lines: Vec<Line>,
    attributes: String,
    return_to: ReturnTo,
    token: String,
}

/// `GET /consent?platform=&return_to=`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> response::Response<Body> {
    page(&call, &asked.map(|Query(asked)| asked).unwrap_or_default())
}

/// `POST /consent`.
pub(super) async fn give(
    Extension(call): Extension<Arc<Call>>,
    asked: Result<Form<Asked>, FormRejection>,
) -> response::Response<Body> {
    let asked = asked.map(|Form(asked)| asked).unwrap_or_default();
    let live = match call.signed(&asked.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    let Some(platform) = found(&call, &asked.platform) else { return unknown(&call) };
    if platform.attributes.join(" ") != asked.attributes {
        return page(&call, &asked);
    }
    let subject = &live.session.subject;
    let actor = call.rooms.people.actor(subject);
    let given = call.rooms.people.give_consent(subject, &platform.id, &platform.attributes, call.by(&actor), call.now);
    match given.await {
        Ok(()) => answer::see_other(&ReturnTo::parse(&asked.return_to)),
        Err(error) => call.identity_away(&error),
    }
}

fn page(call: &Call, asked: &Asked) -> response::Response<Body> {
    let Some(live) = &call.visitor.session else { return account::sign_in(call) };
    let Some(platform) = found(call, &asked.platform) else { return unknown(call) };
    let language = call.visitor.language;
    let page = Page {
        frame: call.frame(language.pick("提供个人信息的授权", "Consent to share personal information")),
        platform: platform.id.to_string(),
        name: language.pick(&platform.name, &platform.name_en).to_owned(),
        owner: platform.owner.map_or_else(String::new, |owner| owner.to_string()),
        function: platform.function.to_string(),
        lines: platform.attributes.iter().map(|word| line(word, &live.session, language)).collect(),
        attributes: platform.attributes.join(" "),
        return_to: ReturnTo::parse(&asked.return_to),
        token: call.rooms.forms.session_token(&live.key),
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

fn found(call: &Call, id: &str) -> Option<Arc<Platform>> {
    call.rooms.routes.snapshot().platform(id).filter(|platform| !platform.attributes.is_empty()).cloned()
}

fn unknown(call: &Call) -> response::Response<Body> {
    call.failure(StatusCode::NOT_FOUND, "no-such-platform", WayOn::Home)
}

fn line(word: &str, session: &Session, language: Language) -> Line {
    let none = || language.pick("（未登记）", "(not known)").to_owned();
    let personal = &session.personal;
    let value = match word {
        "name" => session.name.clone(),
        "id_number" => personal.id_number.as_ref().map_or_else(none, |number| number.masked()),
        "phone" => personal.phone.as_ref().map_or_else(none, |phone| phone.masked()),
        "actor" => {
            language.pick("您代表单位办事时的本人身份", "who you are when you act for an organisation").to_owned()
        }
        _ => none(),
    };
    Line { name: attribute(word, language), value }
}

/// An attribute in words.
pub(super) fn attribute(word: &str, language: Language) -> &'static str {
    match word {
        "name" => language.pick("姓名", "Name"),
        "id_number" => language.pick("公民身份号码", "Identity number"),
        "phone" => language.pick("手机号码", "Mobile phone"),
        "actor" => language.pick("经办人身份", "Who acts"),
        _ => language.pick("其他", "Other"),
    }
}
