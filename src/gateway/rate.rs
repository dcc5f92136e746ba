//! How often somebody may ask. Each policy is a GCRA (the leaky bucket as a meter, ATM Forum TM 4.1 section 4.4.2): one number
//! for each who is counted, the moment at which all that was asked for so far will have been earned.
//! Cost: without policies one branch; a policy of this node one look into a bounded cache and one atomic exchange; a shared one a
//! call of the store, within its deadline. Bounded: so many meters a policy, idle ones are forgotten.
//! Fails: over the limit 429 with `RateLimit`, `RateLimit-Policy` and `Retry-After`; store away: as the policy says.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use http::HeaderValue;
use moka::sync::Cache;
use prometheus::IntCounter;

use super::context::Visit;
use super::refusal::Refusal;
use crate::config::{RateKey, RatePolicy, WhenAway};
use crate::domain::Timestamp;
use crate::metrics::Metrics;
use crate::session::Sessions;

/// Who was not seen for long is forgotten first: a hundred thousand is a city's evening on one node, in some 10 MiB.
const METERS_MAX: u64 = 100_000;

/// All policies.
pub(crate) struct Rates {
    policies: Vec<Policy>,
    sessions: Arc<Sessions>,
}

struct Policy {
    rule: RatePolicy,
    interval_us: u64,
    tolerance_us: u64,
    meters: Cache<u64, Arc<AtomicU64>, RandomState>,
    keys: RandomState,
    limited: IntCounter,
}

/// How a visitor stands with the tightest policy (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    policy: Box<str>,
    requests: u32,
    per_s: u64,
    remaining: u64,
    /// Seconds until all of it is there again, or, when refused, until one more may come.
    pub(crate) reset_s: u64,
}

impl Quota {
    /// `RateLimit-Policy`.
    pub(crate) fn policy_field(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\";q={};w={}", self.policy, self.requests, self.per_s)).ok()
    }

    /// `RateLimit`.
    pub(crate) fn field(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("\"{}\";r={};t={}", self.policy, self.remaining, self.reset_s)).ok()
    }
}

/// What a request is counted under.
pub(crate) struct Asks<'a> {
    pub(crate) client: Option<IpAddr>,
    pub(crate) path: &'a str,
    pub(crate) now: Timestamp,
}

impl Rates {
    /// `None` without policies.
    pub(crate) fn of(rules: &[RatePolicy], sessions: &Arc<Sessions>, metrics: &Metrics) -> Option<Self> {
        let policies: Vec<Policy> = rules.iter().map(|rule| Policy::new(rule, metrics)).collect();
        (!policies.is_empty()).then(|| Self { policies, sessions: sessions.clone() })
    }

    /// Counts the request for every policy that may be asked now: those by person once the session is known, the others
    /// before that, so that a flood costs the session store nothing.
    pub(crate) async fn count(&self, visit: &mut Visit, asks: &Asks<'_>, known: bool) -> Result<(), Refusal> {
        for policy in &self.policies {
            let applies = policy.rule.platforms.is_empty() || policy.rule.platforms.contains(&visit.platform.id);
            if !applies || (policy.rule.by == RateKey::Person) != known {
                continue;
            }
            let Some(key) = policy.key(visit, asks) else { continue };
            let quota = policy.count(&self.sessions, &key, asks.now).await?;
            if quota.as_ref().is_some_and(|new| visit.quota.as_ref().is_none_or(|old| new.remaining < old.remaining)) {
                visit.quota = quota.map(Box::new);
            }
        }
        Ok(())
    }
}

impl Policy {
    fn new(rule: &RatePolicy, metrics: &Metrics) -> Self {
        let per_us = u64::try_from(rule.per.as_micros()).unwrap_or(u64::MAX);
        let interval_us = (per_us / u64::from(rule.requests)).max(1);
        let tolerance_us = interval_us.saturating_mul(rule.burst.into());
        let idle = Duration::from_micros(tolerance_us).max(Duration::from_secs(1)); // a meter is full again by then
        Self {
            meters: Cache::builder()
                .max_capacity(METERS_MAX)
                .time_to_idle(idle)
                .build_with_hasher(RandomState::default()),
            keys: RandomState::default(),
            limited: metrics.rate_limited.with_label_values(&[&*rule.name]),
            rule: rule.clone(),
            interval_us,
            tolerance_us,
        }
    }

    fn key(&self, visit: &Visit, asks: &Asks<'_>) -> Option<Vec<u8>> {
        Some(match self.rule.by {
            RateKey::Address => network(asks.client?),
            RateKey::Person => visit.session.as_ref()?.session.subject.as_bytes().to_vec(),
            RateKey::Platform => visit.platform.id.as_str().as_bytes().to_vec(),
            RateKey::Item => item(asks.path)?.as_bytes().to_vec(),
        })
    }

    async fn count(&self, sessions: &Sessions, key: &[u8], now: Timestamp) -> Result<Option<Quota>, Refusal> {
        let counted = if self.rule.shared {
            let name = [b"meter\0", self.rule.name.as_bytes(), b"\0", key].concat();
            match sessions.store().meter(&name, self.interval_us, self.tolerance_us, now).await {
                Ok(counted) => counted,
                Err(_) => match self.rule.when_away {
                    WhenAway::Local => self.count_here(key, now),
                    WhenAway::Allow => return Ok(None),
                    WhenAway::Refuse => return Err(Refusal::SessionStoreAway),
                },
            }
        } else {
            self.count_here(key, now)
        };
        self.judged(counted)
    }

    fn count_here(&self, key: &[u8], now: Timestamp) -> Result<u64, u64> {
        let meter = self.meters.get_with(std::hash::BuildHasher::hash_one(&self.keys, key), Arc::default);
        let now_us = now.millis().saturating_mul(1000);
        let ahead = |due: u64| due.saturating_sub(now_us);
        let spend = |due: u64| next(due, now_us, self.interval_us, self.tolerance_us);
        match meter.fetch_update(Ordering::AcqRel, Ordering::Acquire, spend) {
            Ok(before) => Ok(ahead(spend(before).unwrap_or(before))),
            Err(due) => Err(ahead(due)),
        }
    }

    /// `Ok(ahead)`: let through, with so many microseconds spoken for; `Err(ahead)`: not.
    fn judged(&self, counted: Result<u64, u64>) -> Result<Option<Quota>, Refusal> {
        let seconds = |micros: u64| micros.div_ceil(1_000_000);
        let quota = |remaining: u64, reset_s: u64| Quota {
            policy: self.rule.name.clone(),
            requests: self.rule.requests,
            per_s: self.rule.per.as_secs(),
            remaining,
            reset_s,
        };
        match counted {
            Ok(ahead) => Ok(Some(quota(self.tolerance_us.saturating_sub(ahead) / self.interval_us, seconds(ahead)))),
            Err(ahead) => {
                self.limited.inc();
                let wait = (ahead + self.interval_us).saturating_sub(self.tolerance_us);
                Err(Refusal::RateLimited(Box::new(quota(0, seconds(wait).max(1)))))
            }
        }
    }
}

/// The meter after one more request at `now`; `None` when it is one too many. A meter further ahead than it can be is from a clock
/// that was set back, and begins anew.
fn next(due: u64, now: u64, interval: u64, tolerance: u64) -> Option<u64> {
    let due = if due > now.saturating_add(tolerance) { now } else { due.max(now) };
    let next = due.saturating_add(interval);
    (next - now <= tolerance).then_some(next)
}

/// An IPv4 address, or the /64 that one IPv6 customer has (RFC 6177).
fn network(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => (u128::from(address) >> 64).to_be_bytes().to_vec(),
    }
}

/// The item of `/s/{division}/{item}/…`.
fn item(path: &str) -> Option<&str> {
    let mut segments = path.strip_prefix("/s/")?.split('/');
    segments.next();
    segments.next().filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_then_one_an_interval() {
        let (mut due, interval, tolerance) = (0, 1000, 5000);
        let mut ask = |now: u64| match next(due, now, interval, tolerance) {
            Some(next) => {
                due = next;
                true
            }
            None => false,
        };
        assert_eq!((0..10).filter(|_| ask(1_000_000)).count(), 5);
        assert!(!ask(1_000_999));
        assert!(ask(1_001_000));
        assert!(!ask(1_001_000));
        assert_eq!((0..10).filter(|_| ask(9_000_000)).count(), 5, "no more is saved than a burst");
        assert!(ask(10), "a clock that went back keeps nobody out");
    }

    #[test]
    fn the_item_of_a_service_address_is_counted() {
        assert_eq!(item("/s/330106/002099001000/x"), Some("002099001000"));
        assert_eq!((item("/s/330106/"), item("/s/330106"), item("/other/a/b")), (None, None, None));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_a_burst(interval in 1_u64..5000, burst in 1_u64..20, steps in proptest::collection::vec(0_u64..3000, 1..200)) {
            let (mut due, start) = (0, 1_000_000);
            let (mut now, mut passed) = (start, 0);
            for step in steps {
                now += step;
                if let Some(next) = next(due, now, interval, interval * burst) {
                    (due, passed) = (next, passed + 1);
                }
            }
            prop_assert!(passed <= burst + (now - start) / interval + 1);
        }
    }
}
