//! The metrics listener: Prometheus page, liveness, readiness.
//! Liveness: the event loop turns. Readiness: a table is live and the listeners are bound; a store that is away makes the
//! node degraded, never unready, since it would take all nodes out at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::metrics::Metrics;

#[derive(Clone)]
struct Ops {
    metrics: Arc<Metrics>,
    standing: Arc<Standing>,
}

/// Where the process is between its start and its end.
#[derive(Default)]
pub(crate) struct Standing {
    /// All listeners accept connections.
    pub(crate) serving: AtomicBool,
    /// It was asked to end.
    pub(crate) draining: AtomicBool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// What works in a lesser way: `starting`, `draining`, `session_store`, `filings`, `register`,
    /// `register_refused`.
    degraded: Vec<&'static str>,
}

pub(crate) fn router(metrics: Arc<Metrics>, standing: Arc<Standing>) -> Router {
    Router::new()
        .route("/metrics", get(page))
        .route("/live", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .with_state(Ops { metrics, standing })
}

async fn page(State(ops): State<Ops>) -> Response {
    match ops.metrics.page() {
        Ok((media_type, page)) => ([(CONTENT_TYPE, media_type)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn ready(State(ops): State<Ops>) -> Response {
    let serving = ops.standing.serving.load(Ordering::Acquire);
    let draining = ops.standing.draining.load(Ordering::Acquire);
    let ready = serving && !draining;
    let all = [
        ("starting", !serving),
        ("draining", draining),
        ("session_store", ops.metrics.store_up.get() == 0),
        ("filings", ops.metrics.filings_rejected.get() + ops.metrics.filings_quarantined.get() > 0),
        ("register", ops.metrics.register_up.get() == 0),
        ("register_refused", ops.metrics.register_refused.get() > 0),
    ];
    let degraded = all.into_iter().filter_map(|(what, is)| is.then_some(what)).collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, degraded })).into_response()
}
