//! The public listener: one request from arrival to its line in the log.
//! Phases: arrive → admit → resolve → protect → forward → answer → finish; each is a file of that name, and `receive` has the first four in
//! their order.
//! Shape: pingora calls the phases; `Gateway` holds what they use, `Context` what one request carries from one to the next.
//! Cost: no lock, no store call and no signature for a request whose session is known; see `benches/`.
//! Where: each platform that is not trusted answers on an origin of its own (`origins`), where a session comes by `handover`.
//! Fails: every no is a `Refusal`, answered as a page for people and as a problem document for programs.
//! Knows: portal, issuer, session, identity, routing, audit, metrics. It never sees `registry`: they meet in `LiveTable`.

mod access_log;
mod addresses;
mod admit;
mod answer;
mod arrive;
mod breaker;
mod bulkhead;
mod canary;
mod checked;
mod connection;
mod context;
mod fault;
mod fields;
mod finish;
mod forward;
mod framing;
mod handover;
mod health;
mod host;
mod inside;
mod jar;
mod origins;
mod path;
mod policy;
mod protect;
mod queue;
mod rate;
mod receive;
mod redirect;
mod refusal;
mod resolve;
mod retry;
mod siblings;
mod standing;
mod tls_peer;
mod used;
mod waiting_room;

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::SET_COOKIE;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::HttpPeer;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session as Downstream};
use pingora::{Error, ErrorSource, ErrorType};
use prometheus::Histogram;

use self::access_log::AccessLog;
use self::answer::Asker;
use self::arrive::RequestIds;
use self::connection::{Part, Watch};
use self::context::{Context, Inflight};
use self::fault::Fault;
use self::origins::Ground;
use self::queue::Queues;
use self::rate::Rates;
use self::receive::Step;
use self::refusal::{Needed, Refusal};
use self::standing::{Counters, Standings};
use self::waiting_room::Tickets;
use crate::config::{AddressPolicy, LimitsConfig, LogConfig, Network, RatePolicy};
use crate::domain::{DivisionCode, Timestamp, Zone};
use crate::identity::{Assertions, People};
use crate::metrics::Metrics;
use crate::portal::Portal;
use crate::routing::LiveTable;
use crate::session::Sessions;
use crate::usage::Usage;

pub use self::connection::{ClientCertificates, ConnectionLimits, Front};
pub use self::health::HealthChecks;
pub use self::host::canonical as canonical_host;
pub use self::origins::Origins;
pub use self::path::{BadPath, canonical as canonical_path};
pub use self::policy::{Fate, fate as header_fate};
pub use self::redirect::Redirect;
pub use self::used::KeepsUsage;

/// What the gateway is built of.
pub struct GatewayParts {
    /// The table in force.
    pub routes: Arc<LiveTable>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Signed identities for platforms.
    pub assertions: Arc<Assertions>,
    /// For whom people act, and what they let go.
    pub people: Arc<People>,
    /// The division whose government runs this gateway.
    pub authority: DivisionCode,
    /// How much each platform is used.
    pub usage: Arc<Usage>,
    /// Pages answered in process.
    pub portal: Arc<Portal>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// What one request may take.
    pub limits: LimitsConfig,
    /// How often somebody may ask.
    pub rates: Vec<RatePolicy>,
    /// Network that the listener faces.
    pub zone: Zone,
    /// Hops whose forwarded address is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where names of instances may lead.
    pub addresses: Arc<AddressPolicy>,
    /// Access log.
    pub log: LogConfig,
    /// Whether people reach us by TLS (here or at a balancer), so that HSTS means something.
    pub https: bool,
    /// Seals the tickets of waiting rooms; the same on every node.
    pub waiting_key: [u8; 32],
    /// An origin for each platform, where `platform_domain` is set.
    pub origins: Option<Origins>,
}

/// The application behind the public listener.
pub struct Gateway {
    parts: GatewayParts,
    ids: RequestIds,
    standings: Arc<Standings>,
    queues: Queues,
    tickets: Tickets,
    rates: Option<Rates>,
    nobody: Counters,
    access_log: AccessLog,
    phases: Phases,
}

/// Handles of `yimen_http_request_phase_seconds`, looked up once.
struct Phases {
    policy: Histogram,
    session: Histogram,
    connect: Histogram,
    first_byte: Histogram,
}

impl Gateway {
    /// Opens the access log. `Err`: its file cannot be written.
    pub fn new(parts: GatewayParts) -> io::Result<Self> {
        let standings = Arc::new(Standings::new(
            parts.metrics.clone(),
            &parts.limits,
            parts.addresses.clone(),
            parts.routes.clone(),
        ));
        let phase = |name| parts.metrics.phase_duration.with_label_values(&[name]);
        let phases = Phases {
            policy: phase("policy"),
            session: phase("session"),
            connect: phase("connect"),
            first_byte: phase("first_byte"),
        };
        let dropped = parts.metrics.log_lines_dropped.clone();
        let access_log = AccessLog::open(parts.log.access_file.as_deref(), dropped)?;
        let queues = Queues::new(&parts.limits, &parts.metrics);
        let rates = Rates::of(&parts.rates, &parts.sessions, &parts.metrics);
        Ok(Self {
            queues,
            tickets: Tickets::new(parts.waiting_key),
            rates,
            ids: RequestIds::new(),
            nobody: standings.none(),
            standings,
            access_log,
            phases,
            parts,
        })
    }

    /// The health checks of what this gateway forwards to, to be run in the background.
    pub fn health_checks(&self) -> HealthChecks {
        let (routes, standings) = (self.parts.routes.clone(), self.standings.clone());
        HealthChecks { routes, standings }
    }

    /// What keeps the use of platforms, to be run in the background.
    pub fn keeps_usage(&self) -> KeepsUsage {
        KeepsUsage { standings: self.standings.clone(), usage: self.parts.usage.clone() }
    }

    async fn refuse(&self, downstream: &mut Downstream, ctx: &mut Context, refusal: Refusal) -> pingora::Result<()> {
        let (_, code) = refusal.status_and_code();
        self.parts.metrics.refusals.with_label_values(&[code]).inc();
        let header = downstream.req_header();
        let target = header.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut asker = Asker::of(&header.method, &header.headers, target);
        asker.needed = ctx.visit.as_ref().and_then(|visit| visit.route()).map(Needed::of);
        let asked =
            self.parts.origins.as_ref().map(|origins| origins.asked(header)).filter(|asked| asked.own.is_some());
        if let Some(asked) = &asked {
            asker.portal = asked.origins.shared().to_owned();
            let to_sign_in = refusal.asks_to_sign_in();
            let visit = ctx.visit.as_ref().filter(|visit| to_sign_in && visit.ground == Ground::Own);
            let way = visit.and_then(|visit| {
                handover::needed(Some(asked), &visit.platform.id, target, &header.method, &header.headers)
            });
            if let Some(way) = way {
                let sent = handover::send(downstream, ctx, &way, self.parts.https).await;
                ctx.refusal = Some(refusal);
                return sent;
            }
            asker.navigation &= !to_sign_in;
            asker.entrance = visit.map(|_| handover::entrance(header.uri.path()));
        }
        let answered = answer::refuse(downstream, &refusal, &asker, ctx.request_id.as_str(), self.parts.https).await;
        ctx.refusal = Some(refusal);
        answered
    }
}

const CONTINUE: bool = false;
const ANSWERED: bool = true;

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.ids.next())
    }

    /// None: the frame's compression module would look at every request for nothing.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<()> {
        ctx.inflight = Some(Inflight::enter(&self.parts.metrics.inflight));
        let limits = &self.parts.limits;
        if downstream.is_http2() || limits.rate_bytes_min == 0 {
            downstream.set_write_timeout(Some(limits.body_idle)); // else the guard's least rate cuts sooner, and costs no timer
        }
        downstream.set_total_drain_timeout(Some(limits.body_idle));
        if downstream.get_keepalive().is_some() {
            downstream.set_keepalive(Some(0)); // no limit of the frame's own, and no timer for it: the guard ends idle connections
        }
        enter(downstream, Part::Answer);
        Ok(())
    }

    async fn request_filter(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<bool> {
        let received = AssertUnwindSafe(self.receive(downstream, ctx)).catch_unwind().await;
        let step = received.unwrap_or_else(|_| {
            self.parts.metrics.panics.inc();
            Err(Refusal::Internal)
        });
        match step {
            Ok(Step::Forward) => return Ok(CONTINUE),
            Ok(Step::Inside) => {
                // In boxes of their own, so that the way of every proxied request stays small in memory.
                if let Err(refusal) = Box::pin(inside::answer(&self.parts, downstream, ctx)).await? {
                    Box::pin(self.refuse(downstream, ctx, refusal)).await?;
                }
            }
            Ok(Step::Handover) => {
                if let Err(refusal) = Box::pin(handover::answer(&self.parts, downstream, ctx)).await? {
                    Box::pin(self.refuse(downstream, ctx, refusal)).await?;
                }
            }
            Ok(Step::Redirect(location)) => {
                let id = ctx.request_id;
                Box::pin(answer::redirect(downstream, 307, &location, id.as_str(), self.parts.https)).await?;
            }
            Err(refusal) => Box::pin(self.refuse(downstream, ctx, refusal)).await?,
        }
        Ok(ANSWERED)
    }

    async fn request_body_filter(
        &self,
        downstream: &mut Downstream,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        if end {
            enter(downstream, Part::Answer);
        }
        let Some(visit) = &ctx.visit else { return Ok(()) };
        ctx.body_bytes += body.as_ref().map_or(0, |chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let limit = visit.route().map_or(0, |route| route.body_bytes_max);
        if ctx.body_bytes > limit && !visit.upgrade {
            ctx.refusal = Some(Refusal::BodyTooLarge);
            return Error::e_explain(ErrorType::HTTPStatus(413), "body over the route's limit");
        }
        Ok(())
    }

    async fn upstream_peer(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<Box<HttpPeer>> {
        match forward::peer(ctx).await {
            Ok(peer) => {
                if ctx.tried.len() > 1 {
                    ctx.forwarded = Some(Instant::now());
                }
                Ok(peer)
            }
            Err(refusal) => {
                let mut error = Error::explain(ErrorType::HTTPStatus(503), "no instance");
                let unknown_name = refusal == Refusal::ConnectFailed;
                error.set_retry(unknown_name && self.after_fault(downstream, ctx, Fault::Connect));
                // After a failed try the failure is the better answer than "none left".
                ctx.refusal.get_or_insert(refusal);
                Err(error)
            }
        }
    }

    async fn connected_to_upstream(
        &self,
        _downstream: &mut Downstream,
        reused: bool,
        _peer: &HttpPeer,
        #[cfg(unix)] _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        if !reused && let Some(forwarded) = ctx.forwarded {
            self.phases.connect.observe(forwarded.elapsed().as_secs_f64());
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        downstream: &mut Downstream,
        _peer: &HttpPeer,
        ctx: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let fault = Fault::of_connect(&error);
        if fault == Fault::Untrusted
            && let (Some(visit), Some(instance)) = (&ctx.visit, ctx.tried.last())
        {
            // The TLS library's words, with the name that was asked for: nobody finds the wrong certificate without them.
            let cause = error.context.as_ref().map(|context| context.as_str()).unwrap_or_default();
            tracing::warn!(platform = %visit.platform.id, address = instance.address(), cause, "no TLS with an instance");
        }
        let retry = self.after_fault(downstream, ctx, fault);
        error.set_retry(retry);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        downstream: &mut Downstream,
        mut error: Box<Error>,
        ctx: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        let fault = Fault::of(&error, reused).filter(|_| ctx.forwarded.is_some()); // else the answer had begun
        let retry = fault.is_some_and(|fault| self.after_fault(downstream, ctx, fault));
        error.set_retry(retry);
        error
    }

    async fn upstream_request_filter(
        &self,
        downstream: &mut Downstream,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        (ctx.refusal, ctx.body_bytes) = (None, 0); // of an earlier try
        let proto = if self.parts.https { "https" } else { "http" };
        match &ctx.visit {
            Some(visit) => forward::dress(request, visit, ctx, Watch::of(downstream.digest()), proto),
            None => Ok(()),
        }
    }

    async fn response_filter(
        &self,
        _downstream: &mut Downstream,
        answer: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        let (Some(visit), Some(instance)) = (&ctx.visit, ctx.tried.last()) else { return Ok(()) };
        if !framing::is_clear(answer) {
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "answer with two meanings").into_up());
        }
        if let Some(forwarded) = ctx.forwarded.take() {
            self.phases.first_byte.observe(forwarded.elapsed().as_secs_f64());
        }
        visit.standing.counters.upstream_ok.inc();
        if instance.breaker.answered(Timestamp::now) {
            visit.standing.show(instance, Timestamp::now());
        }
        answer::dress(answer, visit, ctx, self.parts.https);
        Ok(())
    }

    /// Trailers may say no more than header fields may.
    fn upstream_response_trailer_filter(
        &self,
        _downstream: &mut Downstream,
        trailers: &mut HeaderMap,
        _ctx: &mut Context,
    ) -> pingora::Result<()> {
        answer::drop_what_is_ours(trailers);
        trailers.remove(SET_COOKIE); // no browser keeps one from there, and it would pass by what settles cookies
        Ok(())
    }

    fn response_body_filter(
        &self,
        downstream: &mut Downstream,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<Option<Duration>> {
        let rate = self.parts.limits.rate_bytes_min;
        if rate > 0
            && downstream.is_http2()
            && let Some(chunk) = body
        {
            // The guard cuts a connection on which all waits for the visitor; this ends one stream among others.
            downstream.set_write_timeout(Some(connection::time_to_read(chunk.len(), rate)));
        }
        let Some(visit) = ctx.visit.as_ref().filter(|_| !end) else { return Ok(None) };
        let total = visit.route().map_or(u32::MAX, |route| route.deadlines.total_ms);
        if !visit.upgrade && ctx.arrived.elapsed() > Duration::from_millis(total.into()) {
            return Error::e_explain(ErrorType::ReadTimedout, "total deadline of the route");
        }
        Ok(None)
    }

    async fn fail_to_proxy(&self, downstream: &mut Downstream, error: &Error, ctx: &mut Context) -> FailToProxy {
        let cut = Watch::of(downstream.digest()).is_some_and(Watch::was_cut);
        let refusal = ctx.refusal.take().unwrap_or_else(|| if cut { Refusal::BodyTimeout } else { refusal_of(error) });
        let (status, code) = refusal.status_and_code();
        // The frame's own words name addresses and header text, so only the kind of error goes into the log.
        tracing::info!(
            request_id = ctx.request_id.as_str(),
            code,
            kind = error.etype().as_str(),
            "request not answered by a platform"
        );
        let visitor_left = !cut
            && *error.esource() == ErrorSource::Downstream
            && matches!(error.etype(), ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed);
        if visitor_left || downstream.response_written().is_some() {
            // Too late for an answer: the connection ends, so that half a body is not taken for a whole one.
            ctx.refusal = Some(refusal);
            return FailToProxy { error_code: if visitor_left { 0 } else { status }, can_reuse_downstream: false };
        }
        downstream.set_keepalive(None);
        if let Err(fault) = self.refuse(downstream, ctx, refusal).await {
            tracing::debug!(kind = fault.etype().as_str(), "visitor left before the answer");
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    /// The frame would log addresses, paths and queries; `fail_to_proxy` and the access log say what may be said.
    fn suppress_error_log(&self, _downstream: &Downstream, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _downstream: &Downstream,
        _ctx: &Context,
        _error: &Error,
        _context: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn logging(&self, downstream: &mut Downstream, _error: Option<&Error>, ctx: &mut Context) {
        let ended = finish::finish(downstream, ctx, &self.nobody, Some(&self.access_log), self.parts.log.access);
        // What still comes on a connection that is about to be closed is the rest of a body, not another request.
        if downstream.get_keepalive().is_some()
            && let Some(watch) = Watch::of(downstream.digest())
        {
            watch.answered(ended);
        }
    }
}

/// Tells the connection which part of the conversation follows.
fn enter(downstream: &Downstream, part: Part) {
    if let Some(watch) = Watch::of(downstream.digest()) {
        watch.enter(part);
    }
}

fn refusal_of(error: &Error) -> Refusal {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(413)) => Refusal::BodyTooLarge,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Refusal::BodyTimeout,
        (ErrorSource::Downstream, _) => Refusal::BadRequest,
        (_, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => Refusal::PlatformTimeout,
        (ErrorSource::Upstream, ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 | ErrorType::H2Error) => {
            Refusal::PlatformGarbled
        }
        (ErrorSource::Upstream, _) => Refusal::PlatformReset,
        _ => Refusal::Internal,
    }
}

/// Everything but unreserved characters and the slash: the target comes back byte for byte out of a query.
const RETURN_TO: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

fn return_to(target: &str) -> String {
    utf8_percent_encode(target, RETURN_TO).to_string()
}
