//! The management listener: what platforms, operators and auditors call. In this slice it reads: platforms in force and why
//! an address is answered as it is. Loopback by default; anywhere else a bearer token from a file is asked for.
//! Fails: RFC 9457 problem documents. Knows: registry, session, identity, routing, audit, metrics.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use crate::problem::{MEDIA_TYPE, Problem};
use crate::routing::LiveTable;

/// What the management API works with.
#[derive(Debug)]
pub struct ManagementParts {
    /// The table in force.
    pub routes: Arc<LiveTable>,
    /// File with the token that callers must show.
    pub token_file: Option<PathBuf>,
}

/// Why the management API cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ManagementError {
    /// The token file.
    #[error(
        "management token {path}: {cause}; write at least 32 characters into the file, readable for this user only"
    )]
    Token {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

#[derive(Clone)]
struct Management {
    routes: Arc<LiveTable>,
    token: Option<Arc<str>>,
}

/// The routes of the API.
pub fn router(parts: ManagementParts) -> Result<Router, ManagementError> {
    let token = parts.token_file.map(token).transpose()?;
    let state = Management { routes: parts.routes, token };
    Ok(Router::new()
        .route("/v1/platforms", get(platforms))
        .route("/v1/probe", get(probe))
        .fallback(|| async {
            problem(
                StatusCode::NOT_FOUND,
                "no-route",
                "No such resource",
                "See README.md for the resources of this API.",
            )
        })
        .layer(middleware::from_fn_with_state(state.clone(), authorise))
        .with_state(state))
}

fn token(path: PathBuf) -> Result<Arc<str>, ManagementError> {
    let bad = |cause: String| ManagementError::Token { path: path.clone(), cause };
    let text = std::fs::read_to_string(&path).map_err(|cause| bad(cause.to_string()))?;
    let token = text.trim();
    if token.len() < 32 { Err(bad("it is too short".to_owned())) } else { Ok(token.into()) }
}

async fn authorise(State(management): State<Management>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let admitted = match (&management.token, shown) {
        (None, _) => true,
        (Some(token), Some(shown)) => verify_slices_are_equal(token.as_bytes(), shown.as_bytes()).is_ok(),
        (Some(_), None) => false,
    };
    if admitted {
        return next.run(request).await;
    }
    problem(
        StatusCode::UNAUTHORIZED,
        "token-needed",
        "Token needed",
        "Send `Authorization: Bearer` with the token of this node.",
    )
}

#[derive(Serialize)]
struct PlatformView {
    id: String,
    name: String,
    division: String,
    level: &'static str,
    state: &'static str,
    routes: usize,
    upstreams: Vec<String>,
}

async fn platforms(State(management): State<Management>) -> Response {
    let table = management.routes.snapshot();
    let view: Vec<PlatformView> = table
        .platforms()
        .map(|(_, platform)| PlatformView {
            id: platform.id.to_string(),
            name: platform.name.to_string(),
            division: platform.division.to_string(),
            level: platform.level.word(),
            state: platform.state.word(),
            routes: platform.routes.len(),
            upstreams: platform.upstreams.iter().map(|upstream| upstream.address.to_string()).collect(),
        })
        .collect();
    Json(serde_json::json!({ "revision": table.revision(), "platforms": view })).into_response()
}

#[derive(Deserialize)]
struct ProbeQuery {
    method: Option<String>,
    host: String,
    path: String,
}

async fn probe(State(management): State<Management>, Query(query): Query<ProbeQuery>) -> Response {
    let method = query.method.as_deref().unwrap_or("GET");
    Json(management.routes.snapshot().explain(method, &query.host, &query.path)).into_response()
}

fn problem(status: StatusCode, code: &str, title: &str, detail: &str) -> Response {
    let body = Problem::new(status.as_u16(), code, title, detail.to_owned(), "").body();
    (status, [(CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}
