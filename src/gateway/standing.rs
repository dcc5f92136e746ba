//! How each platform stands at run time: its instances, their breakers, its counters. It outlives route tables: a platform
//! that is filed anew keeps the breakers of the addresses it keeps.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use http::{HeaderValue, Method};
use parking_lot::Mutex;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};
use prometheus::{Histogram, IntCounter, IntGauge, IntGaugeVec};

use super::breaker::Breaker;
use super::bulkhead::Bulkhead;
use super::checked::{Checked, Checks};
use super::kept::{Kept, KeptMax};
use super::retry::Budget;
use super::tls_peer::TlsPeer;
use super::waiting_room::{Room, Seen};
use crate::config::{AddressPolicy, LimitsConfig};
use crate::domain::{PlatformId, Timestamp};
use crate::metrics::Metrics;
use crate::routing::{Canary, InstanceName, LiveTable, Platform, Upstream};
use crate::usage::Totals;

/// Platforms with metric series of their own; the rest share `_overflow` (Prometheus servers suffer from more).
const PLATFORM_SERIES_MAX: usize = 2000;
const OVERFLOW: &str = "_overflow";
/// A name is looked up again after this long: the usual order of a DNS entry's life.
const NAME_LIFE: Duration = Duration::from_secs(30);
/// Streams of one connection: what HTTP/2 servers allow as a rule.
const HTTP2_STREAMS: usize = 100;
/// Bytes of an answer on their way: the size that nginx and Envoy's guide for edges have.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
const HTTP2_PING: Duration = Duration::from_secs(10);
const NAME_DEADLINE: Duration = Duration::from_secs(1);

/// All platforms that were asked for since the start.
pub(crate) struct Standings {
    all: DashMap<PlatformId, Arc<Standing>, RandomState>,
    metrics: Arc<Metrics>,
    /// Requests at a time of a platform whose filing names no figure.
    inflight_max: u32,
    /// People in the waiting room of one platform.
    room_max: usize,
    addresses: Arc<AddressPolicy>,
    routes: Arc<LiveTable>,
    checks: Checks,
    kept_max: KeptMax,
}

/// One platform.
pub(crate) struct Standing {
    platform: Arc<Platform>,
    instances: Vec<Arc<Instance>>,
    /// Indexes of `instances`, each as often as its weight.
    turns: Vec<usize>,
    /// The same for those on trial.
    canary_turns: Vec<usize>,
    next: AtomicUsize,
    pub(crate) served_by: HeaderValue,
    /// Requests that may be under way at a time.
    pub(crate) inflight_max: i64,
    pub(crate) counters: Arc<Counters>,
    routes: Arc<LiveTable>,
}

/// One address of a platform.
pub(crate) struct Instance {
    upstream: Upstream,
    /// Goes on when the filing changes and the address stays.
    pub(crate) breaker: Arc<Breaker>,
    /// Connections to it that wait for a request; they go on like the breaker.
    pub(crate) kept: Arc<Kept>,
    /// What its checks say, shared by all instances of the same address and check; `None`: nobody checks it.
    pub(crate) checked: Option<Arc<Checked>>,
    /// Whether it once said that it was alive and says so no more.
    lost: AtomicBool,
    tls: Option<TlsPeer>,
    addresses: Arc<AddressPolicy>,
    /// The address when it is filed as numbers; names are looked up now and then.
    fixed: Option<SocketAddr>,
    resolved: Mutex<Option<(SocketAddr, Instant)>>,
}

/// Handles of a platform's series, looked up once.
pub(crate) struct Counters {
    label: String,
    metrics: Arc<Metrics>,
    requests: [[OnceLock<Series>; CLASSES.len()]; METHODS.len()],
    checks_passed: OnceLock<Series>,
    checks_failed: OnceLock<Series>,
    pub(crate) duration: Histogram,
    pub(crate) upstream_ok: IntCounter,
    pub(crate) bulkhead: Bulkhead,
    pub(crate) budget: Budget,
    pub(crate) room: Room,
}

/// A platform's own count, which the report of use needs of every platform, and the series that it shares with others if it has
/// none of its own in the metrics.
struct Series {
    own: IntCounter,
    shared: Option<IntCounter>,
}

impl Series {
    fn inc(&self) {
        self.own.inc();
        if let Some(shared) = &self.shared {
            shared.inc();
        }
    }
}

const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl Standings {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        limits: &LimitsConfig,
        addresses: Arc<AddressPolicy>,
        routes: Arc<LiveTable>,
    ) -> Self {
        let (inflight_max, room_max) = (limits.platform_inflight_max, limits.waiting_room_max);
        let (all, checks) = (DashMap::with_hasher(RandomState::default()), Checks::default());
        let kept_max = KeptMax::new(limits.upstream_pool);
        Self { all, metrics, inflight_max, room_max, addresses, routes, checks, kept_max }
    }

    /// The standing of a platform as filed now.
    pub(crate) fn of(&self, platform: &Arc<Platform>) -> Arc<Standing> {
        if let Some(known) = self.all.get(&platform.id)
            && Arc::ptr_eq(&known.platform, platform)
        {
            return known.clone();
        }
        let label = if self.all.len() < PLATFORM_SERIES_MAX { platform.id.as_str() } else { OVERFLOW };
        let made = |before: &[Arc<Instance>], counters| Arc::new(Standing::new(platform, before, counters, self));
        let mut entry = self
            .all
            .entry(platform.id.clone())
            .or_insert_with(|| made(&[], Arc::new(Counters::new(label, &self.metrics, self.room_max))));
        if !Arc::ptr_eq(&entry.platform, platform) {
            *entry = made(&entry.instances, entry.counters.clone());
        }
        entry.clone()
    }

    /// Takes over whose lease is lost.
    pub(crate) fn lose(&self, lost: &HashSet<InstanceName>) {
        for standing in &self.all {
            for instance in &standing.instances {
                if instance.lose(lost.contains(&standing.name_of(instance))) {
                    tracing::warn!(
                        platform = %standing.platform.id,
                        address = instance.address(),
                        lost = instance.is_lost(),
                        "an instance's lease was lost, or is held again"
                    );
                    standing.show(instance, Timestamp::now());
                }
            }
        }
    }

    /// What each platform that was asked for has been asked since the start.
    pub(crate) fn totals(&self) -> Vec<(PlatformId, Totals)> {
        self.all.iter().map(|entry| (entry.key().clone(), entry.counters.totals())).collect()
    }

    /// Counters for requests that no platform was found for.
    pub(crate) fn none(&self) -> Counters {
        Counters::new("none", &self.metrics, 0)
    }
}

impl Standing {
    fn new(platform: &Arc<Platform>, before: &[Arc<Instance>], counters: Arc<Counters>, all: &Standings) -> Self {
        let inflight_max = all.inflight_max;
        let mut instances = Vec::new();
        let (mut turns, mut canary_turns) = (Vec::new(), Vec::new());
        for upstream in &platform.upstreams {
            let checked = platform.health.as_ref().map(|check| all.checks.of(upstream, check));
            let known = before.iter().find(|instance| instance.upstream.is_same_place(upstream));
            let kept = known.filter(|known| known.upstream == *upstream && known.is_checked_by(checked.as_ref()));
            let weight = usize::from(upstream.weight).clamp(1, 100);
            let turns = if upstream.canary { &mut canary_turns } else { &mut turns };
            turns.extend(std::iter::repeat_n(instances.len(), weight));
            let made = || {
                let breaker = known.map(|known| known.breaker.clone()).unwrap_or_default();
                let kept = known.map_or_else(|| Arc::new(Kept::new(all.kept_max.clone())), |known| known.kept.clone());
                Arc::new(Instance::new(upstream, (breaker, kept), checked.clone(), platform, all))
            };
            instances.push(kept.cloned().unwrap_or_else(made));
        }
        instances.iter().for_each(|instance| counters.healthy(instance));
        let served_by = HeaderValue::from_str(&format!("{}; level={}", platform.id, platform.level));
        Self {
            platform: platform.clone(),
            instances,
            turns,
            canary_turns,
            next: AtomicUsize::new(0),
            served_by: served_by.unwrap_or(HeaderValue::from_static("-")), // ids are DNS labels
            inflight_max: platform.inflight_max.unwrap_or(inflight_max).into(),
            counters,
            routes: all.routes.clone(),
        }
    }

    /// The next instance in turn that its breaker admits and that was not tried for this request. With `canary` one of those on
    /// trial, or another if none of them is fit.
    pub(crate) fn pick(&self, tried: &[Arc<Instance>], now: Timestamp, canary: bool) -> Option<Arc<Instance>> {
        if let [only] = self.instances.as_slice() {
            return (tried.is_empty() && !only.is_out() && only.breaker.admits(now)).then(|| only.clone());
        }
        let panics = self.panics();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |turns: &'_ Vec<usize>, step: usize| turns.get(start.wrapping_add(step) % turns.len()).copied();
        let on_trial =
            (0..if canary { self.canary_turns.len() } else { 0 }).filter_map(|step| in_turn(&self.canary_turns, step));
        let others = (0..self.turns.len()).filter_map(|step| in_turn(&self.turns, step));
        on_trial
            .chain(others)
            .filter_map(|index| self.instances.get(index))
            .filter(|instance| if panics { !instance.is_lost() } else { !instance.is_out() })
            .find(|instance| !tried.iter().any(|other| Arc::ptr_eq(other, instance)) && instance.breaker.admits(now))
            .cloned()
    }

    /// Whether an instance that was not tried for this request answers as far as we know.
    pub(crate) fn has_other(&self, tried: &[Arc<Instance>]) -> bool {
        let untried = |instance: &&Arc<Instance>| !tried.iter().any(|other| Arc::ptr_eq(other, instance));
        self.instances.iter().filter(untried).any(|instance| instance.is_up())
    }

    /// Whether the checks say so much that they are not believed: more than half of the instances down (Envoy's panic
    /// threshold, 50 %). A check that fails everywhere is rather a path that moved, and the few instances left would break
    /// under the load of all. So requests go to all of them, and each one's breaker, which knows real requests, decides. What
    /// breakers say is believed always: sent to instances known to swallow requests, people would wait for a deadline each.
    /// So is a lease that is lost: nobody but the instance itself held it.
    /// One instance never panics: whether to believe its check is for its owner to say in the filing.
    fn panics(&self) -> bool {
        let down = self.instances.iter().filter(|instance| instance.is_down()).count();
        self.instances.len() > 1 && down * 2 > self.instances.len()
    }

    /// Whether some instance may still be asked: closed breaker and not down, or one whose trial is due is left to `pick`.
    pub(crate) fn is_healthy(&self) -> bool {
        self.instances.iter().any(|instance| instance.is_up() && !instance.upstream.canary)
    }

    /// Whether all its instances are asked by HTTP/1.1.
    pub(crate) fn is_http1(&self) -> bool {
        !self.instances.iter().any(|instance| instance.upstream.http2)
    }

    /// Who is sent to instances on trial.
    pub(crate) fn canary(&self) -> Option<&Canary> {
        self.platform.canary.as_ref()
    }

    pub(crate) fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// Shows in the metric and the API whether an instance is asked.
    pub(crate) fn show(&self, instance: &Instance, now: Timestamp) {
        self.counters.healthy(instance);
        let (down, breaker_open) = (instance.is_down(), instance.breaker.is_open());
        self.routes.instances().find(self.name_of(instance), down, breaker_open, now);
    }

    fn name_of(&self, instance: &Instance) -> InstanceName {
        (self.platform.id.clone(), instance.upstream.address.clone())
    }
}

impl Instance {
    fn new(
        upstream: &Upstream,
        (breaker, kept): (Arc<Breaker>, Arc<Kept>),
        checked: Option<Arc<Checked>>,
        platform: &Platform,
        all: &Standings,
    ) -> Self {
        let fixed = upstream.address.parse().ok();
        let tls = TlsPeer::of(upstream, &platform.id);
        let lost = all.routes.instances().lost().contains(&(platform.id.clone(), upstream.address.clone()));
        Self {
            upstream: upstream.clone(),
            breaker,
            kept,
            checked,
            lost: AtomicBool::new(lost),
            tls,
            addresses: all.addresses.clone(),
            fixed,
            resolved: Mutex::new(None),
        }
    }

    /// Whether its lease is lost. Returns whether that is news.
    fn lose(&self, lost: bool) -> bool {
        self.lost.swap(lost, Ordering::Relaxed) != lost
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    fn is_checked_by(&self, checked: Option<&Arc<Checked>>) -> bool {
        match (&self.checked, checked) {
            (Some(known), Some(checked)) => Arc::ptr_eq(known, checked),
            (known, checked) => known.is_none() && checked.is_none(),
        }
    }

    /// Whether its checks speak against it.
    pub(crate) fn is_down(&self) -> bool {
        self.checked.as_ref().is_some_and(|checked| checked.is_down())
    }

    /// Whether its checks or its lease speak against it.
    pub(crate) fn is_out(&self) -> bool {
        self.is_lost() || self.is_down()
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// As far as we know: neither requests nor checks nor its own silence speak against it.
    pub(crate) fn is_up(&self) -> bool {
        !self.breaker.is_open() && !self.is_out()
    }

    pub(crate) fn address(&self) -> &str {
        &self.upstream.address
    }

    /// How the frame gets to `address`.
    pub(crate) fn peer(&self, address: SocketAddr) -> Box<HttpPeer> {
        let name = if self.upstream.tls { self.upstream.server_name.to_string() } else { String::new() };
        let mut peer = Box::new(HttpPeer::new(address, self.upstream.tls, name));
        if let Some(tls) = &self.tls {
            tls.tell(&mut peer);
        }
        if self.upstream.http2 {
            speak_http2(&mut peer.options);
        }
        peer
    }

    /// Where it listens; `None` when the name cannot be looked up within a second.
    pub(crate) async fn socket_address(&self) -> Option<SocketAddr> {
        match self.fixed {
            Some(address) => Some(address),
            None => self.looked_up().await,
        }
    }

    async fn looked_up(&self) -> Option<SocketAddr> {
        let known = *self.resolved.lock();
        if let Some((address, at)) = known
            && at.elapsed() < NAME_LIFE
        {
            return Some(address);
        }
        let lookup = tokio::net::lookup_host(self.upstream.address.as_ref());
        let mut found = tokio::time::timeout(NAME_DEADLINE, lookup).await.ok()?.ok()?.peekable();
        let admitted = |address: &SocketAddr| self.addresses.admits_address(address.ip(), address.port()).is_ok();
        // A name that leads to an address no filing may have leads nowhere, not to where it led before.
        let before = known.filter(|_| found.peek().is_none()).map(|(address, _)| address);
        let address = found.find(admitted).or(before)?;
        *self.resolved.lock() = Some((address, Instant::now()));
        Some(address)
    }
}

/// The frame's own figures are one stream a connection and windows of 8 MiB, which a visitor who reads slowly would fill.
fn speak_http2(options: &mut PeerOptions) {
    options.set_http_version(2, 2);
    options.max_h2_streams = HTTP2_STREAMS;
    options.h2_stream_window_size = Some(HTTP2_STREAM_WINDOW);
    // All streams' windows together, so that visitors who do not read hold up nobody else on the connection.
    options.h2_connection_window_size = u32::try_from(HTTP2_STREAMS).ok().map(|streams| streams * HTTP2_STREAM_WINDOW);
    options.h2_ping_interval = Some(HTTP2_PING); // or a connection into a black hole would be used until TCP gives up
}

impl Counters {
    fn new(label: &str, metrics: &Arc<Metrics>, room_max: usize) -> Self {
        // A count that is a limit cannot be shared: a platform without a series of its own counts unseen.
        let count = |seen: &IntGaugeVec| {
            let unseen = (label == OVERFLOW).then(|| IntGauge::new("unseen", "unseen").ok()).flatten();
            unseen.unwrap_or_else(|| seen.with_label_values(&[label]))
        };
        let outcome = |word| metrics.waiting_room.with_label_values(&[label, word]);
        let seen = Seen {
            people: count(&metrics.waiting_room_people),
            entered: outcome("entered"),
            admitted: outcome("admitted"),
            left: outcome("left"),
            full: outcome("full"),
        };
        Self {
            bulkhead: Bulkhead::new(count(&metrics.platform_inflight), count(&metrics.platform_waiting)),
            budget: Budget::default(),
            room: Room::new(room_max, seen),
            label: label.to_owned(),
            metrics: metrics.clone(),
            requests: Default::default(),
            checks_passed: OnceLock::new(),
            checks_failed: OnceLock::new(),
            duration: metrics.request_duration.with_label_values(&[label]),
            upstream_ok: metrics.upstream_requests.with_label_values(&[label, "ok"]),
        }
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, method: &Method, status: u16) {
        let row = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let column = usize::from(status / 100).min(CLASSES.len() - 1);
        if let Some(series) = self.requests.get(row).and_then(|columns| columns.get(column)) {
            series.get_or_init(|| self.series(row, column)).inc();
        }
    }

    fn series(&self, row: usize, column: usize) -> Series {
        let labels =
            [self.label.as_str(), METHODS.get(row).unwrap_or(&"other"), CLASSES.get(column).unwrap_or(&"none")];
        self.with_own(self.metrics.requests.with_label_values(&labels))
    }

    fn with_own(&self, shown: IntCounter) -> Series {
        let own = (self.label == OVERFLOW).then(|| IntCounter::new("own", "own").ok()).flatten();
        match own {
            Some(own) => Series { own, shared: Some(shown) },
            None => Series { own: shown, shared: None },
        }
    }

    /// What was counted so far.
    fn totals(&self) -> Totals {
        let of = |classes: &[&str]| {
            let columns = (0..).zip(CLASSES).filter(|(_, class)| classes.contains(class)).map(|(column, _)| column);
            let series =
                columns.flat_map(|column: usize| self.requests.iter().filter_map(move |row| row.get(column)?.get()));
            series.map(|series| series.own.get()).sum()
        };
        let checks = |series: &OnceLock<Series>| series.get().map_or(0, |series| series.own.get());
        Totals {
            requests: of(&CLASSES),
            successes: of(&["1xx", "2xx", "3xx"]),
            failures: of(&["5xx"]),
            checks_passed: checks(&self.checks_passed),
            checks_failed: checks(&self.checks_failed),
        }
    }

    /// Counts a health check of one of its instances.
    pub(crate) fn checked(&self, good: bool) {
        let (series, word) = if good { (&self.checks_passed, "ok") } else { (&self.checks_failed, "failed") };
        series.get_or_init(|| self.check_series(word)).inc();
    }

    fn check_series(&self, word: &str) -> Series {
        self.with_own(self.metrics.health_checks.with_label_values(&[self.label.as_str(), word]))
    }

    /// Counts a request to a platform that failed.
    pub(crate) fn upstream_failed(&self, result: &str) {
        self.metrics.upstream_requests.with_label_values(&[self.label.as_str(), result]).inc();
    }

    /// Counts a request that was tried again, or was not for want of budget.
    pub(crate) fn retried(&self, reason: &str) {
        self.metrics.upstream_retries.with_label_values(&[self.label.as_str(), reason]).inc();
    }

    /// Shows whether an instance answers.
    fn healthy(&self, instance: &Instance) {
        let labels = [self.label.as_str(), instance.address()];
        self.metrics.upstream_healthy.with_label_values(&labels).set(i64::from(instance.is_up()));
    }
}
