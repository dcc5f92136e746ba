//! What one request carries from phase to phase.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;
use prometheus::IntGauge;

use super::arrive::RequestId;
use super::bulkhead::Place;
use super::instance::Instance;
use super::origins::Ground;
use super::rate::Quota;
use super::refusal::Refusal;
use crate::domain::{Level, Timestamp};
use crate::routing::{Platform, Route};
use crate::session::Live;

/// One request, from arrival to its line in the log.
#[allow(unreachable_pub, reason = "named by the public trait impl, reached by nobody")]
pub struct Context {
    pub(crate) arrived: Instant,
    pub(crate) now: Timestamp,
    pub(crate) request_id: RequestId,
    pub(crate) client: Option<IpAddr>,
    pub(crate) visit: Option<Visit>,
    /// Why the gateway itself answered, for the log and the metric.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) body_bytes: u64,
    /// Instances tried, the last one in use.
    pub(crate) tried: Vec<Arc<Instance>>,
    /// The same instance may be tried once more, over a connection of its own.
    pub(crate) again: bool,
    /// When the request was handed to an instance; `None` from its answer on.
    pub(crate) forwarded: Option<Instant>,
    pub(crate) inflight: Option<Inflight>,
}

/// Where a request goes, and as whom: as the table said when the request came, even if another is published meanwhile.
pub(crate) struct Visit {
    pub(crate) platform: Arc<Platform>,
    pub(crate) route_index: usize,
    pub(crate) level: Level,
    pub(crate) standing: Place,
    pub(crate) session: Option<Arc<Live>>,
    pub(crate) assertion: Option<HeaderValue>,
    /// How the visitor stands with the tightest rate policy.
    pub(crate) quota: Option<Box<Quota>>,
    /// Whose origin it is answered on.
    pub(crate) ground: Ground,
    pub(crate) upgrade: bool,
    /// It asks for a division in which the platform tries a new version.
    pub(crate) canary_division: bool,
    /// It goes to the new version.
    pub(crate) canary: bool,
    /// Nothing follows the head.
    pub(crate) bodiless: bool,
}

/// Counts a request as being worked on until it is dropped.
pub(crate) struct Inflight(IntGauge);

impl Inflight {
    pub(crate) fn enter(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Inflight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Visit {
    pub(crate) fn route(&self) -> Option<&Route> {
        self.platform.routes.get(self.route_index)
    }
}

impl Context {
    pub(crate) fn new(request_id: RequestId) -> Self {
        Self {
            arrived: Instant::now(),
            now: Timestamp::now(),
            request_id,
            client: None,
            visit: None,
            refusal: None,
            body_bytes: 0,
            tried: Vec::new(),
            again: false,
            forwarded: None,
            inflight: None,
        }
    }
}
