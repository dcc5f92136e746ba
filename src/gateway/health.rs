//! Health checks: asks each instance of the platforms that filed `health` now and then, off every request's way.
//! Shape: one task looks four times a second at what is due and starts at most 32 checks at a time; a check that finds no room
//! waits its turn, so a thousand dead instances are checked late rather than all at once. The first checks of a table are
//! spread over the first interval. Each check is one GET over a connection of its own; any 2xx is good.
//! Fails: a check that fails is a result. It feeds what `Standing::pick` reads and the metric `yimen_upstream_healthy`.

use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounterVec;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::standing::{Instance, Standing, Standings};
use super::tls_peer::for_checks;
use crate::metrics::Metrics;
use crate::routing::{HealthCheck, LiveTable, PlatformState, RouteTable};

/// How often it looks at what is due: a quarter of the shortest interval that a filing can name.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Checks at a time: enough for 320 instances that all run into a deadline of a second every ten seconds.
const AT_A_TIME: usize = 32;

/// The checks of one node.
pub struct HealthChecks {
    pub(super) routes: Arc<LiveTable>,
    pub(super) standings: Arc<Standings>,
    pub(super) metrics: Arc<Metrics>,
}

/// One instance that is checked.
struct Target {
    standing: Arc<Standing>,
    instance: Arc<Instance>,
    check: HealthCheck,
    due: Instant,
    under_way: bool,
}

impl HealthChecks {
    /// Checks until `stopped` says so.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut table = self.routes.snapshot();
        let mut targets = self.targets(&table, Vec::new());
        let mut running = JoinSet::new();
        while tokio::time::timeout(LOOK_EVERY, stopped.wait_for(|stop| *stop)).await.is_err() {
            while let Some(done) = running.try_join_next() {
                if let Ok(instance) = done {
                    targets
                        .iter_mut()
                        .filter(|target| Arc::ptr_eq(&target.instance, &instance))
                        .for_each(Target::ended);
                }
            }
            let newest = self.routes.snapshot();
            if !Arc::ptr_eq(&newest, &table) {
                targets = self.targets(&newest, targets);
                table = newest;
            }
            let now = Instant::now();
            let due = targets.iter_mut().filter(|target| !target.under_way && target.due <= now);
            for target in due.take(AT_A_TIME.saturating_sub(running.len())) {
                target.under_way = true;
                target.due = now + Duration::from_secs(target.check.every_s.into());
                running.spawn(target.checked(self.metrics.health_checks.clone()));
            }
        }
    }

    /// What a table asks for; an instance that was checked before keeps its turn.
    fn targets(&self, table: &RouteTable, before: Vec<Target>) -> Vec<Target> {
        let active = table.platforms().filter(|(_, platform)| platform.state == PlatformState::Active);
        let mut targets: Vec<Target> = Vec::new();
        for (platform, check) in active.filter_map(|(_, platform)| Some((platform, platform.health.as_ref()?))) {
            let standing = self.standings.of(platform);
            for instance in standing.instances() {
                let kept = before.iter().find(|known| Arc::ptr_eq(&known.instance, instance));
                let spread =
                    Duration::from_millis(u64::try_from(targets.len()).unwrap_or(0) * 37 % 1000) * check.every_s;
                targets.push(Target {
                    due: kept.map_or_else(|| Instant::now() + spread, |known| known.due),
                    under_way: kept.is_some_and(|known| known.under_way),
                    standing: Arc::clone(&standing),
                    instance: Arc::clone(instance),
                    check: check.clone(),
                });
            }
        }
        targets
    }
}

impl Target {
    fn ended(&mut self) {
        self.under_way = false;
    }

    /// Checks once and notes the result; returns the instance that it was.
    fn checked(&self, results: IntCounterVec) -> impl Future<Output = Arc<Instance>> + Send + use<> {
        let (standing, instance, check) = (Arc::clone(&self.standing), Arc::clone(&self.instance), self.check.clone());
        async move {
            let good = is_good(&instance, &check).await;
            results.with_label_values(&[standing.counters.label(), if good { "ok" } else { "failed" }]).inc();
            if instance.checked.note(good) {
                standing.show(&instance);
                tracing::warn!(
                    address = instance.address(),
                    up = good,
                    "health checks changed their mind about an instance"
                );
            }
            instance
        }
    }
}

/// One check. The name to look up and the TLS handshake count for the deadline as well.
async fn is_good(instance: &Instance, check: &HealthCheck) -> bool {
    let deadline = Duration::from_millis(check.timeout_ms.into());
    let asked = async {
        let (client, url) = client(instance, &check.path).await?;
        let answer = client.get(url).header("user-agent", "yimen-health").send().await.ok()?;
        Some(answer.status().is_success())
    };
    tokio::time::timeout(deadline, asked).await.ok().flatten().unwrap_or(false)
}

/// A client for one check, as the proxy would connect: the address as resolved, the name for certificate and `Host`.
async fn client(instance: &Instance, path: &str) -> Option<(Client, Url)> {
    let address = instance.socket_address().await?;
    let upstream = instance.upstream();
    let scheme = if upstream.tls { "https" } else { "http" };
    let name = &upstream.server_name;
    let host = if name.contains(':') { format!("[{name}]") } else { name.to_string() };
    let url = Url::parse(&format!("{scheme}://{host}:{}{path}", address.port())).ok()?;
    let client = Client::builder().no_proxy().redirect(Policy::none()).pool_max_idle_per_host(0).resolve(name, address);
    let client = if upstream.http2 { client.http2_prior_knowledge() } else { client.http1_only() };
    let client = match &upstream.trust {
        Some(trust) => client.tls_backend_preconfigured(for_checks(trust, upstream.http2)?),
        None if upstream.tls => client, // with the system's authorities
        None => client.tls_certs_only([]),
    };
    Some((client.build().ok()?, url))
}
