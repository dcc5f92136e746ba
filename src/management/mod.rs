//! The management listener: the API that platforms, operators and auditors call.
//! Shape: request ──▶ door (who, right, parameters, media type, precondition, repetition) ──▶ operation ──▶ register, tokens,
//! leases. One table of operations makes both the router and `/openapi.json`; `/docs` is that document for people.
//! Fails: RFC 9457 problem documents that name everything that is wrong; a caller's mistake is never a 5xx, and a store that
//! did not answer is 503, never "no".
//! Knows: registry, session, identity, routing, metrics.

mod answer;
mod call;
mod caller;
mod conditions;
mod cursor;
mod docs;
mod door;
mod fault;
mod filings;
mod in_force;
mod merge;
mod nodes;
mod openapi;
mod operation;
mod parameters;
mod people;
mod proposals;
mod realms;
mod reports;
mod reservations;
mod schema;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::header::CONTENT_TYPE;
use uuid::Uuid;

use self::caller::Callers;
pub use self::caller::PeerCertificate;
use self::fault::Fault;
use self::operation::Operation;
use crate::config::CertificateCaller;
use crate::identity::{Accounts, People, Realms, Tokens};
use crate::metrics::Metrics;
use crate::problem::{MEDIA_TYPE, Problem};
use crate::registry::{Answered, Leases, Register};
use crate::session::Sessions;

/// What the management API works with.
#[derive(Debug)]
pub struct ManagementParts {
    /// The register.
    pub register: Arc<Register>,
    /// API tokens.
    pub tokens: Tokens,
    /// Provider realms.
    pub realms: Arc<Realms>,
    /// Answers to calls that are repeated.
    pub answered: Answered,
    /// What instances say of themselves.
    pub leases: Leases,
    /// Built-in accounts.
    pub accounts: Arc<Accounts>,
    /// For whom people act.
    pub people: Arc<People>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Client certificates, and for whom they speak.
    pub certificates: Vec<CertificateCaller>,
    /// Whether operators must show a token and a certificate.
    pub operators_two_factors: bool,
    /// What happened.
    pub metrics: Arc<Metrics>,
}

/// Why the management API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// Our own description of the API.
    #[error("the description of the management API cannot be written: {0}; report it with the version of this program")]
    Document(String),
}

/// What operations work with.
#[derive(Clone)]
struct Management {
    register: Arc<Register>,
    tokens: Tokens,
    realms: Arc<Realms>,
    answered: Answered,
    leases: Leases,
    accounts: Arc<Accounts>,
    people: Arc<People>,
    sessions: Arc<Sessions>,
    callers: Callers,
    metrics: Arc<Metrics>,
}

/// Everything that the API can do.
fn operations() -> Vec<Operation> {
    let rooms = [
        filings::operations(),
        reservations::operations(),
        in_force::operations(),
        nodes::operations(),
        reports::operations(),
        tokens::operations(),
        people::operations(),
        proposals::operations(),
        realms::operations(),
    ];
    rooms.into_iter().flatten().collect()
}

/// The router of the API.
pub fn router(parts: ManagementParts) -> Result<Router, ManagementError> {
    let ManagementParts {
        register,
        tokens,
        realms,
        answered,
        leases,
        accounts,
        people,
        sessions,
        certificates,
        operators_two_factors,
        metrics,
    } = parts;
    let callers = Callers::new(tokens.clone(), &certificates, operators_two_factors);
    let management =
        Management { register, tokens, realms, answered, leases, accounts, people, sessions, callers, metrics };
    let operations = operations();
    let document = openapi::document(&operations);
    let json = document.to_json().map_err(|cause| ManagementError::Document(cause.to_string()))?;
    let page = docs::page(&operations).map_err(|cause| ManagementError::Document(cause.to_string()))?;
    let mut by_path: BTreeMap<&'static str, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_path.entry(operation.path).or_default().push(operation);
    }
    let start = Router::new()
        .route("/openapi.json", get(fixed("application/json", json)).fallback(only_get))
        .route("/docs", get(docs_answer(page)).fallback(only_get));
    let routed = by_path.into_iter().fold(start, |router, (path, operations)| {
        let operations: Arc<[Operation]> = operations.into();
        let management = management.clone();
        let handler = move |path: RawPathParams, request: Request| {
            door::answer(management.clone(), operations.clone(), path, request)
        };
        router.route(path, any(handler))
    });
    Ok(routed.fallback(|| refused(Fault::NoResource)))
}

type Fixed = std::future::Ready<Response>;

fn fixed(media_type: &'static str, body: String) -> impl Fn() -> Fixed + Clone + Send + Sync + 'static {
    let body: Arc<str> = body.into();
    move || std::future::ready(([(CONTENT_TYPE, media_type)], body.to_string()).into_response())
}

fn docs_answer(page: String) -> impl Fn() -> Fixed + Clone + Send + Sync + 'static {
    let page: Arc<str> = page.into();
    move || {
        let fields =
            [(CONTENT_TYPE, "text/html; charset=utf-8"), (http::header::CONTENT_SECURITY_POLICY, docs::POLICY)];
        std::future::ready((fields, page.to_string()).into_response())
    }
}

async fn only_get() -> Response {
    refused(Fault::Method { allow: "GET, HEAD".to_owned() }).await
}

async fn refused(fault: Fault) -> Response {
    let request_id = Uuid::now_v7().simple().to_string();
    let mut response = fault.respond(&request_id);
    door::finished(&mut response, &request_id);
    response
}

/// Every reason code of the API, and its title.
pub fn codes() -> &'static [(&'static str, &'static str)] {
    &fault::TITLES
}

/// The problem document of a request whose body the listener could not read.
pub fn unreadable(status: http::StatusCode) -> (&'static str, Vec<u8>) {
    let (code, detail) = match status.as_u16() {
        413 => ("body-too-large", "a body has 1 MiB at most; send less, a platform in parts"),
        408 => ("body-too-slow", "the body did not come within 10 s; send it again"),
        _ => ("body-broken", "the body broke off; send it again"),
    };
    let title = fault::TITLES.iter().find(|(known, _)| *known == code).map_or("Refused", |(_, title)| title);
    (MEDIA_TYPE, Problem::new(status.as_u16(), code, title, detail.to_owned(), "").body())
}
