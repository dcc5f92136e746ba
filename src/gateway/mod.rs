//! The public listener: one request from arrival to its line in the log.
//! Phases: arrive → admit → resolve → protect → forward → answer → finish; each is a file of that name, and `receive` has the
//! first four in their order. A request without a body goes the last three by `exchange`, over connections of `kept`; any other by
//! the frame's own way.
//! Shape: pingora calls (`phases`); `Gateway` holds what it needs, `Context` what one request carries from one call to the next.
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
mod counters;
mod exchange;
mod fault;
mod fields;
mod finish;
mod forward;
mod framing;
mod handover;
mod health;
mod host;
mod inside;
mod instance;
mod jar;
mod kept;
mod origins;
mod path;
mod phases;
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
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::connectors::TransportConnector;
use pingora::proxy::Session as Downstream;
use prometheus::Histogram;

use self::access_log::AccessLog;
use self::answer::Asker;
use self::arrive::RequestIds;
use self::connection::{Part, Watch};
use self::context::Context;
use self::counters::Counters;
use self::origins::Ground;
use self::queue::Queues;
use self::rate::Rates;
use self::refusal::{Needed, Refusal};
use self::standing::Standings;
use self::waiting_room::Tickets;
use crate::config::{AddressPolicy, LimitsConfig, LogConfig, Network, RatePolicy};
use crate::domain::{DivisionCode, Zone};
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
    /// New connections to platforms by the short way.
    connector: TransportConnector,
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
            connector: TransportConnector::new(None),
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

/// Tells the connection which part of the conversation follows.
fn enter(downstream: &Downstream, part: Part) {
    if let Some(watch) = Watch::of(downstream.digest()) {
        watch.enter(part);
    }
}

/// Everything but unreserved characters and the slash: the target comes back byte for byte out of a query.
const RETURN_TO: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

fn return_to(target: &str) -> String {
    utf8_percent_encode(target, RETURN_TO).to_string()
}
