//! The region picker: a walk down the tree by links, and a form at the end of it.

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
use super::form::Browser;
use super::frame::{self, Frame, rendered};
use super::language::CHOICE_LIFE_S;
use super::return_to::ReturnTo;
use super::{answer, cookies};
use crate::domain::DivisionCode;
use crate::routing::Division;

const COOKIE_NAME: &str = "__Host-yimen-region";

/// The region that a person chose, from `Cookie` header values. Only its form is checked: the division may be gone.
pub fn region_of<'a>(cookie_headers: impl IntoIterator<Item = &'a [u8]>) -> Option<DivisionCode> {
    cookies::value(cookie_headers, COOKIE_NAME)?.parse().ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    at: String,
    return_to: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    region: String,
    return_to: String,
    csrf: String,
}

struct Step {
    code: DivisionCode,
    name: String,
    href: String,
    here: bool,
}

#[derive(Template)]
#[template(path = "region/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    trail: Vec<Step>,
    choice: Option<Step>,
    below: Vec<Step>,
    return_to: ReturnTo,
    token: String,
}

/// `GET /region?at=&return_to=`: what lies below `at`, the nation when it is missing or unknown.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    place: Result<Query<Place>, QueryRejection>,
) -> response::Response<Body> {
    let place = place.map(|Query(place)| place).unwrap_or_default();
    let divisions = &call.rooms.divisions;
    let at = place.at.parse().ok().filter(|code| divisions.find(*code).is_some()).unwrap_or(DivisionCode::NATION);
    let return_to = ReturnTo::parse(&place.return_to);
    let step = |division: &Division| Step {
        code: division.code,
        name: division.name.to_string(),
        href: format!("/region?at={}&return_to={}", division.code, return_to.in_query()),
        here: division.code == at,
    };
    let Some(browser) = call.browser.or_else(Browser::random) else {
        return call.failure(StatusCode::INTERNAL_SERVER_ERROR, "internal", WayOn::Home);
    };
    let page = Page {
        frame: Frame {
            back: return_to.clone(),
            ..call.frame(call.visitor.language.pick("选择地区", "Choose a region"))
        },
        trail: divisions.trail(at).into_iter().map(step).collect(),
        // The nation is nobody's region: it would hide every platform below it.
        choice: divisions.find(at).filter(|division| division.code != DivisionCode::NATION).map(step),
        below: divisions.children(at).into_iter().map(step).collect(),
        token: call.rooms.forms.token(&browser, call.now),
        return_to,
    };
    let response = frame::answer(StatusCode::OK, call.visitor.language, rendered(&page));
    if call.browser.is_some() { response } else { answer::with_cookie(response, &browser.cookie()) }
}

/// `POST /region`: keeps the choice for a year and goes back, to the same item in the new region if it was one.
pub(super) async fn choose(
    Extension(call): Extension<Arc<Call>>,
    choice: Result<Form<Choice>, FormRejection>,
) -> response::Response<Body> {
    let choice = choice.map(|Form(choice)| choice).unwrap_or_default();
    let return_to = ReturnTo::parse(&choice.return_to);
    let again = || WayOn::Region(return_to.to_string());
    if !call.accepts(&choice.csrf) {
        return call.failure(StatusCode::FORBIDDEN, "forged-form", again());
    }
    let known = |code: &DivisionCode| call.rooms.divisions.find(*code).is_some();
    match choice.region.parse().ok().filter(known) {
        Some(region) => {
            let response = answer::see_other(&return_to.within(region));
            answer::with_cookie(response, &cookies::set(COOKIE_NAME, &choice.region, Some(CHOICE_LIFE_S)))
        }
        None => call.failure(StatusCode::NOT_FOUND, "unknown-division", again()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_from_its_cookie() {
        assert_eq!(region_of([&b"a=1; __Host-yimen-region=330106"[..]]), "330106".parse().ok());
        for bad in ["", "__Host-yimen-region=", "__Host-yimen-region=+33010", "__Host-yimen-region=../admin"] {
            assert_eq!(region_of([bad.as_bytes()]), None, "{bad}");
        }
    }
}
