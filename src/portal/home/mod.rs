//! The start page: search over service items, the person's region, and the way to each item.

use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::{Extension, response};
use http::StatusCode;
use serde::Deserialize;

use super::call::Call;
use super::frame::{self, Frame, rendered};
use super::language::Language;
use super::return_to::ReturnTo;
use crate::domain::{Assurance, DivisionCode, ItemCode};
use crate::routing::Item;

/// Results of a search: more would not be read.
const HITS_MAX: usize = 30;
/// Items listed without a search: two screens.
const CATALOGUE_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    q: String,
}

struct Region {
    code: DivisionCode,
    trail: String,
}

struct Hit {
    href: String,
    name: String,
    department: String,
    assurance: Assurance,
    code: ItemCode,
}

impl Hit {
    fn new(item: &Item, region: Option<&Region>, language: Language) -> Self {
        let address = |region: &Region| format!("/s/{}/{}/", region.code, item.code);
        let ask = || format!("/region?return_to={}", ReturnTo::parse(&format!("/s/{}/", item.code)).in_query());
        Self {
            href: region.map_or_else(ask, address),
            name: language.pick(&item.name_zh, &item.name_en).to_owned(),
            department: language.pick(&item.department_zh, &item.department_en).to_owned(),
            assurance: item.assurance,
            code: item.code,
        }
    }
}

#[derive(Template)]
#[template(path = "home/page.html", config = "src/portal/askama.toml")]
struct Page {
    frame: Frame,
    query: String,
    region: Option<Region>,
    searched: bool,
    hits: Vec<Hit>,
    most: usize,
    catalogue: Vec<Hit>,
    more: usize,
}

/// `GET /` and `GET /search?q=`.
pub(super) async fn show(
    Extension(call): Extension<Arc<Call>>,
    search: Result<Query<Search>, QueryRejection>,
) -> response::Response<Body> {
    let query = search.map(|Query(search)| search.q).unwrap_or_default();
    let language = call.visitor.language;
    let (divisions, items) = (&call.rooms.divisions, &call.rooms.items);
    let region = call.region().map(|code| {
        let names: Vec<&str> = divisions.trail(code).into_iter().skip(1).map(|division| &*division.name).collect();
        Region { code, trail: names.join(" ") }
    });
    let hit = |item: &Item| Hit::new(item, region.as_ref(), language);
    let hits: Vec<Hit> = items.search(&query, HITS_MAX).into_iter().map(hit).collect();
    let catalogue: Vec<Hit> = items.iter().take(CATALOGUE_MAX).map(hit).collect();
    let page = Page {
        frame: call.frame(language.pick("首页", "Home")),
        searched: !query.trim().is_empty(),
        more: items.iter().len().saturating_sub(CATALOGUE_MAX),
        query,
        hits,
        most: HITS_MAX,
        catalogue,
        region,
    };
    frame::answer(StatusCode::OK, language, rendered(&page))
}
