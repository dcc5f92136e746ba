//! What is kept of a person, for them: shown masked, consents to be withdrawn, all of it as a file.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::frame::{self, Frame, rendered};
use super::return_to::ReturnTo;
use super::subject::as_what;
use super::{account, answer, consent, when};
use crate::domain::{GrantedRole, PlatformId};
use crate::identity::{Consent, IdentityError};
use crate::session::{Live, SessionSummary};

const PATH: &str = "/account/privacy";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    platform: String,
}

struct ConsentLine {
    platform: String,
    name: String,
    attributes: String,
    given: String,
}

struct RoleLine {
    name: String,
    about: String,
}

#[derive(Template)]
#[template(path = "privacy/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    id_number: Option<String>,
    phone: Option<String>,
    roles: Vec<RoleLine>,
    consents: Vec<ConsentLine>,
    token: String,
}

/// `GET /account/privacy`.
pub(super) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return account::sign_in(&call) };
    let (roles, consents) = match kept(&call, &live).await {
        Ok(kept) => kept,
        Err(error) => return call.identity_away(&error),
    };
    let language = call.visitor.language;
    let personal = &live.session.personal;
    let role = |role: &GrantedRole| RoleLine {
        name: role.name.clone(),
        about: format!("{} · {} · {}—{}", as_what(role.role, language), role.usc, role.valid_from, role.valid_until),
    };
    let page = Page {
        frame: call.frame(language.pick("个人信息与授权", "Personal information and consents")),
        id_number: personal.id_number.as_ref().map(|number| number.masked()),
        phone: personal.phone.as_ref().map(|phone| phone.masked()),
        roles: roles.iter().filter(|role| role.state(call.now) == "valid").map(role).collect(),
        consents: consents
            .iter()
            .filter(|consent| consent.withdrawn_at.is_none())
            .map(|given| line(&call, given))
            .collect(),
        token: call.rooms.forms.session_token(&live.key),
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

/// `POST /account/consents/withdraw`.
pub(super) async fn withdraw(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    let Ok(platform) = wish.platform.parse::<PlatformId>() else { return answer::see_other(&ReturnTo::parse(PATH)) };
    let (people, subject) = (&call.rooms.people, &live.session.subject);
    let actor = people.actor(subject);
    match people.withdraw_consent(subject, &platform, call.by(&actor), call.now).await {
        Ok(_) => answer::see_other(&ReturnTo::parse(PATH)),
        Err(error) => call.identity_away(&error),
    }
}

/// `POST /account/export`: everything that is kept of an account, in clear, for its owner. No link of another site leads
/// here, so that nobody is made to fill a folder with it.
pub(super) async fn export(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match call.signed(&wish.csrf) {
        Ok(live) => live,
        Err(answer) => return *answer,
    };
    let subject = live.session.subject.as_str();
    let sessions = match call.rooms.sessions.of_subject(subject, call.now).await {
        Ok(sessions) => sessions,
        Err(error) => return call.store_away(&error),
    };
    match exported(&call, &live, &sessions).await {
        Ok(document) => download(&document),
        Err(error) => call.identity_away(&error),
    }
}

/// What of it could not be read.
type Away = Box<dyn std::error::Error + Send + Sync>;

async fn exported(call: &Call, live: &Live, sessions: &[SessionSummary]) -> Result<Value, Away> {
    let subject = live.session.subject.as_str();
    let account = call.rooms.accounts.get(subject).await?;
    let personal = call.rooms.people.personal(subject).await?;
    let (roles, consents) = kept(call, live).await?;
    let (factors, identities) = ways_in(call, subject).await?;
    let account = account.map(|account| {
        json!({
            "id": account.id, "login": account.login, "name": account.name, "kind": account.kind,
            "assurance": account.assurance, "active": account.active, "created_at": account.created_at,
            "changed_at": account.changed_at,
        })
    });
    let roles = roles.iter().map(|role| {
        json!({
            "usc": role.usc, "name": role.name, "role": role.role, "valid_from": role.valid_from,
            "valid_until": role.valid_until, "granted_at": role.granted_at,
            "withdrawn_at": role.withdrawn.as_ref().map(|(_, at)| *at),
        })
    });
    let consents = consents.iter().map(|given| {
        json!({
            "platform": given.platform, "attributes": given.attributes, "given_at": given.given_at,
            "withdrawn_at": given.withdrawn_at,
        })
    });
    let sessions = sessions.iter().map(|summary| {
        let session = &summary.session;
        json!({
            "device": session.device, "network": session.network, "realm": session.realm,
            "begun_at": session.created_at, "last_seen": summary.last_seen,
        })
    });
    Ok(json!({
        "exported_at": call.now, "realm": live.session.realm, "account": account, "personal": personal,
        "roles": roles.collect::<Vec<_>>(), "consents": consents.collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(), "factors": factors, "identities": identities,
        "kept_after_erasure": "records of changes, in which you are a keyed hash",
    }))
}

/// What a person signs in with besides a password, and which providers vouch for them.
async fn ways_in(call: &Call, subject: &str) -> Result<(Vec<Value>, Vec<Value>), Away> {
    let factors = match subject.parse() {
        Ok(account) => call.rooms.factors.of(account).await?,
        Err(_) => Vec::new(),
    };
    let factors = factors.iter().map(|factor| {
        json!({
            "kind": factor.kind.word(), "label": factor.label, "created_at": factor.created_at, "used_at": factor.used_at,
        })
    });
    let (linked, _) = call.rooms.realms.linked(subject).await?;
    let identities = linked
        .iter()
        .map(|linked| json!({ "realm": linked.realm, "linked_at": linked.linked_at, "seen_at": linked.seen_at }));
    Ok((factors.collect(), identities.collect()))
}

async fn kept(call: &Call, live: &Live) -> Result<(Vec<GrantedRole>, Vec<Consent>), IdentityError> {
    let (people, subject) = (&call.rooms.people, live.session.subject.as_str());
    Ok((people.roles_of(subject).await?, people.consents_of(subject).await?))
}

fn line(call: &Call, given: &Consent) -> ConsentLine {
    let language = call.visitor.language;
    let table = call.rooms.routes.snapshot();
    let name = |platform: &str| {
        table.platform(platform).map(|platform| language.pick(&platform.name, &platform.name_en).to_owned())
    };
    let words: Vec<&str> = given.attributes.iter().map(|word| consent::attribute(word, language)).collect();
    ConsentLine {
        platform: given.platform.to_string(),
        name: name(given.platform.as_str()).unwrap_or_else(|| given.platform.to_string()),
        attributes: words.join(language.pick("、", ", ")),
        given: when::beijing(given.given_at),
    }
}

fn download(document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_vec_pretty(document).unwrap_or_default()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"yimen-account.json\""));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
