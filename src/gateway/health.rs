//! Health checks: asks each instance of the platforms that filed `health` now and then, off every request's way.
//! Shape: one task looks four times a second at what is due and starts at most 32 checks at a time; a check that finds no room
//! waits its turn, so a thousand dead instances are checked late rather than all at once. The first checks of a table are
//! spread over the first interval. Each check is one GET over a connection of its own, any 2xx is good; or a connection alone.
//! Instances of the same address and check, in one filing or in many, are checked once and share the result.
//! Fails: a check that fails is a result. It feeds what `Standing::pick` reads and the metric `yimen_upstream_healthy`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::checked::Checked;
use super::instance::Instance;
use super::standing::{Standing, Standings};
use super::tls_peer::for_checks;
use crate::domain::Timestamp;
use crate::routing::{HealthCheck, LiveTable, PlatformState, Probe, RouteTable};

/// How often it looks at what is due: a quarter of the shortest interval that a filing can name.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Checks at a time: enough for 320 instances that all run into a deadline of a second every ten seconds.
const AT_A_TIME: usize = 32;

/// The checks of one node.
pub struct HealthChecks {
    pub(super) routes: Arc<LiveTable>,
    pub(super) standings: Arc<Standings>,
}

/// One address that is checked, for all instances that have it.
struct Target {
    checked: Arc<Checked>,
    check: HealthCheck,
    of: Vec<(Arc<Standing>, Arc<Instance>)>,
    due: Instant,
    under_way: bool,
}

/// When a target is due, and whether its check is under way.
type Turn = (Instant, bool);

impl HealthChecks {
    /// Checks until `stopped` says so.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut table = self.routes.snapshot();
        let mut targets = self.targets(&table, &HashMap::new());
        let mut lost = self.routes.instances().lost();
        let mut running = JoinSet::new();
        while tokio::time::timeout(LOOK_EVERY, stopped.wait_for(|stop| *stop)).await.is_err() {
            while let Some(done) = running.try_join_next() {
                if let Some(target) = done.ok().and_then(|checked: Arc<Checked>| targets.get_mut(&place(&checked))) {
                    target.under_way = false;
                }
            }
            let newest = self.routes.snapshot();
            if !Arc::ptr_eq(&newest, &table) {
                let turns = targets.iter().map(|(place, target)| (*place, (target.due, target.under_way))).collect();
                targets = self.targets(&newest, &turns);
                table = newest;
            }
            let newly = self.routes.instances().lost();
            if !Arc::ptr_eq(&newly, &lost) {
                self.standings.lose(&newly);
                lost = newly;
            }
            let now = Instant::now();
            let due = targets.values_mut().filter(|target| !target.under_way && target.due <= now);
            for target in due.take(AT_A_TIME.saturating_sub(running.len())) {
                target.under_way = true;
                target.due = now + Duration::from_secs(target.check.every_s.into());
                running.spawn(target.check_once());
            }
        }
    }

    /// What a table asks for; an address that was checked before keeps its turn.
    fn targets(&self, table: &RouteTable, before: &HashMap<usize, Turn>) -> HashMap<usize, Target> {
        let active = table.platforms().filter(|(_, platform)| platform.state == PlatformState::Active);
        let mut targets: HashMap<usize, Target> = HashMap::new();
        for (platform, check) in active.filter_map(|(_, platform)| Some((platform, platform.health.as_ref()?))) {
            let standing = self.standings.of(platform);
            for instance in standing.instances() {
                let Some(checked) = &instance.checked else { continue };
                let place = place(checked);
                let spread =
                    Duration::from_millis(u64::try_from(targets.len()).unwrap_or(0) * 37 % 1000) * check.every_s;
                let target = targets.entry(place).or_insert_with(|| {
                    let (due, under_way) = before.get(&place).copied().unwrap_or((Instant::now() + spread, false));
                    Target { checked: checked.clone(), check: check.clone(), of: Vec::new(), due, under_way }
                });
                target.of.push((Arc::clone(&standing), Arc::clone(instance)));
            }
        }
        targets
    }
}

/// The same for all instances that share a check, and only for them as long as one of them is there.
fn place(checked: &Arc<Checked>) -> usize {
    Arc::as_ptr(checked).addr()
}

impl Target {
    /// Checks once and notes the result for all whose address it is.
    fn check_once(&self) -> impl Future<Output = Arc<Checked>> + Send + use<> {
        let (checked, check, of) = (Arc::clone(&self.checked), self.check.clone(), self.of.clone());
        async move {
            let Some((_, first)) = of.first() else { return checked };
            let good = is_good(first, &check).await;
            of.iter().for_each(|(standing, _)| standing.counters.checked(good));
            if checked.note(good) {
                tracing::warn!(
                    address = first.address(),
                    up = good,
                    "health checks changed their mind about an instance"
                );
                of.iter().for_each(|(standing, instance)| standing.show(instance, Timestamp::now()));
            }
            checked
        }
    }
}

/// One check. The name to look up and the TLS handshake count for the deadline as well.
async fn is_good(instance: &Instance, check: &HealthCheck) -> bool {
    let deadline = Duration::from_millis(check.timeout_ms.into());
    let asked = async {
        match &check.probe {
            Probe::Http(path) => {
                let (client, url) = client(instance, path).await?;
                let answer = client.get(url).header("user-agent", "yimen-health").send().await.ok()?;
                Some(answer.status().is_success())
            }
            Probe::Tcp => Some(TcpStream::connect(instance.socket_address().await?).await.is_ok()),
        }
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
