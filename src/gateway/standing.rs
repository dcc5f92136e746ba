//! How each platform stands at run time: its instances, their breakers, its counters. It outlives route tables: a platform
//! that is filed anew keeps the breakers of the addresses it keeps.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use http::HeaderValue;

use super::checked::Checks;
use super::counters::{Counters, OVERFLOW};
use super::instance::Instance;
use super::kept::{Kept, KeptMax};
use crate::config::{AddressPolicy, LimitsConfig};
use crate::domain::{PlatformId, Timestamp};
use crate::metrics::Metrics;
use crate::routing::{Canary, InstanceName, LiveTable, Platform};
use crate::usage::Totals;

/// Platforms with metric series of their own; the rest share `_overflow` (Prometheus servers suffer from more).
const PLATFORM_SERIES_MAX: usize = 2000;
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
            let same = known.filter(|known| known.upstream == *upstream && known.is_checked_by(checked.as_ref()));
            let weight = usize::from(upstream.weight).clamp(1, 100);
            let turns = if upstream.canary { &mut canary_turns } else { &mut turns };
            turns.extend(std::iter::repeat_n(instances.len(), weight));
            let made = || {
                let breaker = known.map(|known| known.breaker.clone()).unwrap_or_default();
                let kept = known.map_or_else(|| Arc::new(Kept::new(all.kept_max.clone())), |known| known.kept.clone());
                let instance =
                    Instance::new(upstream, (breaker, kept), checked.clone(), &platform.id, all.addresses.clone());
                instance.lose(all.routes.instances().lost().contains(&(platform.id.clone(), upstream.address.clone())));
                Arc::new(instance)
            };
            instances.push(same.cloned().unwrap_or_else(made));
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
