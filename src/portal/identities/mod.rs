//! A person's identities at providers: which are linked, linking one more, taking one away. Linking needs both proven: signed
//! in here, not long ago, and signed in there. It begins with a form of ours, so that no other site can link its identity to
//! somebody's account.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::{Extension, response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::call::Call;
use super::frame::{self, Frame, rendered};
use super::provider::{departing, stopped};
use super::return_to::ReturnTo;
use super::{answer, when};
use crate::domain::Assurance;
use crate::identity::{Linked, Wanted};
use crate::session::Live;

const PATH: &str = "/account/identities";
/// Who changes how an account can be entered proves who they are again, if that is longer ago (ASVS 5.0, 7.5.1).
const FRESH: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    csrf: String,
    realm: String,
    identity: String,
}

struct Entry {
    identity: String,
    realm: String,
    linked: String,
    seen: String,
}

struct Choice {
    id: String,
    name: String,
}

#[derive(Template)]
#[template(path = "identities/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    entries: Vec<Entry>,
    /// Whether they can be taken away.
    spare: bool,
    choices: Vec<Choice>,
    token: String,
    /// On the way to a provider: a page of ours leads there by a link, since a form may not end on another origin.
    onward: Option<(String, String)>,
}

/// `GET /account/identities`.
pub(super) async fn show(Extension(call): Extension<Arc<Call>>) -> response::Response<Body> {
    let Some(live) = call.visitor.session.clone() else { return sign_in() };
    match call.rooms.realms.linked(&live.session.subject).await {
        Ok((linked, spare)) => page(&call, &live, linked, spare, None),
        Err(error) => stopped(&call, "", &error, PATH),
    }
}

/// `POST /account/identities/link`: on the way to the provider that is to be linked.
pub(super) async fn link(
    Extension(call): Extension<Arc<Call>>,
    headers: HeaderMap,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match allowed(&call, &wish) {
        Ok(live) => live,
        Err(response) => return *response,
    };
    let wanted = Wanted {
        assurance: Assurance::L1,
        max_age: None,
        return_to: PATH.to_owned(),
        link_to: Some(live.session.subject.clone()),
    };
    match call.rooms.realms.begin(&wish.realm, wanted, call.now).await {
        Ok(departure) => {
            let offer = call.rooms.realms.offer(&wish.realm);
            let name = offer.map(|offer| call.visitor.language.pick(&offer.name, &offer.name_en).to_owned());
            let onward = Some((name.unwrap_or_default(), departure.address.clone()));
            departing(page(&call, &live, Vec::new(), false, onward), &departure, &headers)
        }
        Err(error) => stopped(&call, &wish.realm, &error, PATH),
    }
}

/// `POST /account/identities/unlink`.
pub(super) async fn unlink(
    Extension(call): Extension<Arc<Call>>,
    wish: Result<Form<Wish>, FormRejection>,
) -> response::Response<Body> {
    let wish = wish.map(|Form(wish)| wish).unwrap_or_default();
    let live = match allowed(&call, &wish) {
        Ok(live) => live,
        Err(response) => return *response,
    };
    match call.rooms.realms.unlink(&live.session.subject, &wish.identity).await {
        Ok(_) => answer::see_other(&ReturnTo::parse(PATH)),
        Err(error) => stopped(&call, "", &error, PATH),
    }
}

/// The session of somebody who filled in a form of ours and proved not long ago who they are.
fn allowed(call: &Call, wish: &Wish) -> Result<Arc<Live>, Box<response::Response<Body>>> {
    if call.visitor.session.is_none() {
        return Err(Box::new(sign_in())); // and back here, not to the account
    }
    let live = call.signed(&wish.csrf)?;
    if !live.session.proves(Assurance::L1, Some(FRESH), call.now) {
        let again = format!("/sign-in?return_to={PATH}&max_age={}", FRESH.as_secs());
        return Err(Box::new(answer::see_other(&ReturnTo::parse(&again))));
    }
    Ok(live)
}

fn page(
    call: &Call,
    live: &Live,
    linked: Vec<Linked>,
    spare: bool,
    onward: Option<(String, String)>,
) -> response::Response<Body> {
    let language = call.visitor.language;
    let name = |realm: &str| {
        let offer = call.rooms.realms.offer(realm);
        offer.map_or_else(|| realm.to_owned(), |offer| language.pick(&offer.name, &offer.name_en).to_owned())
    };
    let offers = call.rooms.realms.offers(Assurance::L1, None).into_iter();
    let page = Page {
        frame: Frame {
            here: ReturnTo::parse(PATH), ..call.frame(language.pick("关联的身份", "Linked identities"))
        },
        choices: offers
            .map(|offer| Choice {
                name: language.pick(&offer.name, &offer.name_en).to_owned(),
                id: offer.id.to_string(),
            })
            .collect(),
        entries: linked
            .into_iter()
            .map(|linked| Entry {
                realm: name(&linked.realm),
                identity: linked.identity,
                linked: when::beijing(linked.linked_at),
                seen: when::beijing(linked.seen_at),
            })
            .collect(),
        spare,
        token: call.rooms.forms.session_token(&live.key),
        onward,
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}

/// The gateway lets only signed-in people in here; should it not, nobody sees anything.
fn sign_in() -> response::Response<Body> {
    answer::see_other(&ReturnTo::parse("/sign-in?return_to=/account/identities"))
}
