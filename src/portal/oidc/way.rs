//! The way of a browser that a client has sent here, and back.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::RawQuery;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY, REFRESH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::super::answer;
use super::super::call::Call;
use super::super::frame::{self, Frame, rendered};
use super::super::language::Language;
use super::super::return_to::ReturnTo;
use super::{Response, asked, refused, session};
use crate::issuer::{Refused, SignIn, Step};

#[derive(Template)]
#[template(path = "oidc/go_on.html", config = "src/portal/askama.toml")]
struct GoOn<'a> {
    frame: Frame,
    address: &'a str,
}

/// `/oidc/authorize`.
pub(in crate::portal) async fn authorize(
    Extension(call): Extension<Arc<Call>>,
    method: Method,
    headers: HeaderMap,
    query: RawQuery,
    body: Bytes,
) -> Response {
    let asked = asked(&method, query, &body);
    if method == Method::POST {
        return match call.rooms.issuer.authorize_again(&asked) {
            Ok(step) => shown(&call, &headers, step),
            Err(why) => refused(&call, why),
        };
    }
    let session = match session(&call, &headers).await {
        Ok(session) => session,
        Err(page) => return *page,
    };
    match call.rooms.issuer.authorize(&asked, session.as_ref(), call.now).await {
        Ok(step) => shown(&call, &headers, step),
        Err(why) => refused(&call, why),
    }
}

fn shown(call: &Call, headers: &HeaderMap, step: Step) -> Response {
    match step {
        Step::Client { address, by_page: false } => sent(call, &address),
        Step::Client { address, by_page: true } => page(call, &address),
        Step::SignIn(wanted) => sign_in(call, headers, &wanted),
        Step::Consent { platform, back } => {
            let back = ReturnTo::parse(&back);
            answer::see_other(&ReturnTo::parse(&format!("/consent?platform={platform}&return_to={}", back.in_query())))
        }
        Step::Again(target) => answer::see_other(&ReturnTo::parse(&target)),
    }
}

/// 303 to an address that is filed. Nobody is told where from.
pub(super) fn sent(call: &Call, address: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(address) else { return refused(call, Refused::Internal) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The same by a page that goes on by itself: Chromium lets a form of ours end on our own origin only, redirects included.
pub(super) fn page(call: &Call, address: &str) -> Response {
    let Ok(refresh) = HeaderValue::from_str(&format!("0;url={address}")) else {
        return refused(call, Refused::Internal);
    };
    let language = call.visitor.language;
    let frame = Frame::bare(language.pick("正在返回", "Going back"), language);
    let mut response = frame::answer(StatusCode::OK, language, rendered(&GoOn { frame, address }));
    response.headers_mut().insert(REFRESH, refresh);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn sign_in(call: &Call, headers: &HeaderMap, wanted: &SignIn) -> Response {
    let mut target = format!("/sign-in?return_to={}", ReturnTo::parse(&wanted.back).in_query());
    if let Some(assurance) = wanted.assurance {
        target.push_str(&format!("&assurance={assurance}"));
    }
    if let Some(seconds) = wanted.max_age_s {
        target.push_str(&format!("&max_age={seconds}"));
    }
    let response = answer::see_other(&ReturnTo::parse(&target));
    // The client's word for the language counts as long as the person has chosen none.
    match &wanted.ui_locales {
        Some(locales) if !Language::is_chosen(headers) => {
            let language = Language::from_accept_language(&locales.replace(' ', ","));
            if language == call.visitor.language { response } else { answer::with_cookie(response, &language.choice()) }
        }
        _ => response,
    }
}
