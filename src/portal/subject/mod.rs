//! Switching: a person goes on for a legal person that they may act for, or for themselves again. The session gets a new id and
//! the old one ends in the same step, so that no page of the one subject goes on as the other; the switch is in the record
//! before it is made. A role that has ended and a role of somebody else are one answer.

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
use super::{Language, account, answer, arrival};
use crate::domain::{Represented, SubjectKind, SubjectRole};
use crate::identity::IdentityError;
use crate::session::{Live, Session, SessionError, SessionId, cookie};

/// The value of the form for the person themselves.
pub(super) const SELF: &str = "self";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Way {
    return_to: String,
    /// The kind of subject that a service asks for.
    needs: String,
    /// `yes`: the role that the session acts in has ended.
    ended: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    /// Id of a role, or `self`.
    subject: String,
    return_to: String,
}

/// Somebody to go on as.
struct Choice {
    value: String,
    name: String,
    about: String,
    current: bool,
    /// Whether it is what the service asks for.
    fits: bool,
}

#[derive(Template)]
#[template(path = "subject/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    needs: Option<&'static str>,
    ended: bool,
    choices: Vec<Choice>,
    return_to: ReturnTo,
    token: String,
}

/// `GET /account/subject?return_to=`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    way: Result<Query<Way>, QueryRejection>,
) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return account::sign_in(&call) };
    let way = way.map(|Query(way)| way).unwrap_or_default();
    let roles = match call.rooms.people.represents(&live.session.subject, call.now).await {
        Ok(roles) => roles,
        Err(error) => return call.identity_away(&error),
    };
    let language = call.visitor.language;
    let needs = way.needs.parse::<SubjectKind>().ok();
    let return_to = ReturnTo::parse(&way.return_to);
    let page = Page {
        frame: Frame { back: return_to.clone(), ..call.frame(language.pick("切换办事身份", "Switch subject")) },
        needs: needs.map(|needs| whom(needs, language)),
        ended: way.ended == "yes",
        choices: choices(&live.session, &roles, needs, language),
        return_to,
        token: call.rooms.forms.session_token(&live.key),
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

/// `POST /account/subject`: from the page, or from the bar of any page.
pub(super) async fn switch(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    let counted = |result: &str| call.rooms.metrics.subject_switches.with_label_values(&[result]).inc();
    match switched(&call, &live, &wish.subject).await {
        Ok(Some(id)) => {
            counted("ok");
            let back = ReturnTo::parse(&wish.return_to);
            answer::with_cookie(answer::see_other(&back), &cookie::set(&id))
        }
        Ok(None) => {
            counted("refused");
            call.failure(StatusCode::FORBIDDEN, "role-refused", WayOn::Address("/account/subject".to_owned()))
        }
        Err(response) => *response,
    }
}

/// The id of the session that goes on; `None` when the person may not act so.
async fn switched(call: &Call, live: &Live, wanted: &str) -> Result<Option<SessionId>, Box<response::Response<Body>>> {
    let away = |error: &IdentityError| Box::new(call.identity_away(error));
    let (people, subject) = (&call.rooms.people, live.session.subject.as_str());
    let roles = people.represents(subject, call.now).await.map_err(|error| away(&error))?;
    let represented = match wanted {
        SELF => None,
        id => match roles.iter().find(|role| role.id.to_string() == id) {
            Some(role) => Some(role.clone()),
            None => return Ok(None),
        },
    };
    let about = represented.as_ref().map_or_else(|| SELF.to_owned(), |role| format!("{} {}", role.role, role.usc));
    call.recorded("switch-subject", subject, &about).await.map_err(|error| away(&error))?;
    let session = Session { represented, roles, ..live.session.clone() };
    match arrival::renew(call, live, session).await {
        Ok(id) => Ok(Some(id)),
        Err(SessionError::Gone) => Err(Box::new(account::sign_in(call))),
        Err(error) => Err(Box::new(call.store_away(&error))),
    }
}

fn choices(session: &Session, roles: &[Represented], needs: Option<SubjectKind>, language: Language) -> Vec<Choice> {
    let current = session.represented.as_ref().map(|represented| represented.id);
    let fits = |kind: SubjectKind| needs.is_none_or(|needs| kind.is_served_as(needs));
    let own = Choice {
        value: SELF.to_owned(),
        name: session.name.clone(),
        about: language.pick("本人", "yourself").to_owned(),
        current: current.is_none(),
        fits: fits(session.kind),
    };
    let acting = roles.iter().map(|role| Choice {
        value: role.id.to_string(),
        name: role.name.clone(),
        about: format!(
            "{} · {} · {} {}",
            as_what(role.role, language),
            role.usc,
            language.pick("有效期至", "until"),
            role.valid_until
        ),
        current: current == Some(role.id),
        fits: fits(role.role.kind()),
    });
    std::iter::once(own).chain(acting).collect()
}

/// What a person is to a legal person, in words.
pub(super) fn as_what(role: SubjectRole, language: Language) -> &'static str {
    match role {
        SubjectRole::LegalRepresentative => language.pick("法定代表人", "legal representative"),
        SubjectRole::Agent => language.pick("经办人", "agent"),
    }
}

fn whom(kind: SubjectKind, language: Language) -> &'static str {
    match kind {
        SubjectKind::Natural => language.pick("个人", "natural persons"),
        SubjectKind::Legal => language.pick("法人", "legal persons"),
        SubjectKind::Agent => language.pick("法人的经办人", "agents of legal persons"),
    }
}
