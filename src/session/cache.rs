//! Sessions this node has in memory, and how far each may be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Live;
use crate::config::SessionConfig;
use crate::domain::Timestamp;
use crate::store::SessionKey;

/// How long "there is no such session" is remembered: a browser with an old cookie asks for a page and its 20 parts at once.
const ABSENT_LIFE: Duration = Duration::from_secs(1);
/// Absent sessions remembered; at 100 bytes each, a flood of invented cookies costs 1 MiB.
const ABSENT_MAX: u64 = 10_000;
/// How long an ended session is kept out: longer than any look-up that may have read it just before lasts.
const ENDED_LIFE: Duration = Duration::from_secs(10);
/// How long a confirmation counts while notices may be missed.
const UNHEARD_LIFE: Duration = Duration::from_secs(1);

/// A session in memory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) live: Arc<Live>,
    /// When the store was last asked and said it is so: the beginning of that call, not its end.
    pub(super) confirmed: Timestamp,
    /// When a request last used it, on any node as far as the store knows. Milliseconds.
    seen: AtomicU64,
    /// When that was last given to be written. Milliseconds.
    written: AtomicU64,
}

impl Entry {
    pub(super) fn new(live: Arc<Live>, confirmed: Timestamp, seen: Timestamp, written: Timestamp) -> Self {
        Self { live, confirmed, seen: AtomicU64::new(seen.millis()), written: AtomicU64::new(written.millis()) }
    }

    pub(super) fn seen(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.load(Relaxed))
    }

    pub(super) fn written(&self) -> Timestamp {
        Timestamp::from_millis(self.written.load(Relaxed))
    }

    /// Notes a request. `true` when it is time to write it down, for one caller only.
    pub(super) fn saw(&self, now: Timestamp, touch_every: Duration) -> bool {
        if now > self.seen() {
            self.seen.fetch_max(now.millis(), Relaxed);
        }
        let written = self.written.load(Relaxed);
        now.since(Timestamp::from_millis(written)) >= touch_every
            && self.written.compare_exchange(written, now.millis(), Relaxed, Relaxed).is_ok()
    }

    /// The write given by `saw` was not taken: the next request tries again.
    pub(super) fn unwritten(&self, written_before: Timestamp) {
        self.written.store(written_before.millis(), Relaxed);
    }
}

/// All sessions in memory. Every method is a look into a map: none waits.
pub(super) struct Cached {
    sessions: Cache<SessionKey, Arc<Entry>>,
    absent: Cache<SessionKey, ()>,
    ended: Cache<SessionKey, ()>,
    life: Duration,
    /// Whether every notice is heard at present.
    following: AtomicBool,
    /// What was confirmed until then may have ended unheard. Milliseconds.
    doubtful_until: AtomicU64,
}

impl Cached {
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            // An entry nobody asks for is of no use once its idle time is over.
            sessions: Cache::builder().max_capacity(config.cached_max).time_to_idle(config.idle).build(),
            absent: Cache::builder().max_capacity(ABSENT_MAX).time_to_live(ABSENT_LIFE).build(),
            // The newest always get in: an ended session that is let go too early could come back.
            ended: Cache::builder()
                .max_capacity(config.cached_max)
                .time_to_live(ENDED_LIFE.max(2 * config.store_deadline))
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            life: config.cache_life,
            following: AtomicBool::new(false),
            doubtful_until: AtomicU64::new(0),
        }
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<Arc<Entry>> {
        self.sessions.get(key)
    }

    /// Whether the entry may be used without asking the store.
    pub(super) fn is_fresh(&self, entry: &Entry, now: Timestamp) -> bool {
        let life = if self.hears() { self.life } else { self.life.min(UNHEARD_LIFE) };
        entry.confirmed.millis() > self.doubtful_until.load(SeqCst) && now.since(entry.confirmed) < life
    }

    /// Whether the key was found absent, or ended, a moment ago.
    pub(super) fn is_gone(&self, key: &SessionKey) -> bool {
        self.absent.contains_key(key) || self.ended.contains_key(key)
    }

    /// Takes a session in. `false` when it has ended meanwhile: the notice may have come while the store was being read,
    /// so this looks after it has put, and `ended` marks before it takes out; one of the two always sees the other.
    pub(super) fn put(&self, key: SessionKey, entry: Arc<Entry>) -> bool {
        self.sessions.insert(key, entry);
        let ended = self.ended.contains_key(&key);
        if ended {
            self.sessions.invalidate(&key);
        }
        !ended
    }

    pub(super) fn absent(&self, key: &SessionKey) {
        self.absent.insert(*key, ());
        self.sessions.invalidate(key);
    }

    pub(super) fn forget(&self, key: &SessionKey) {
        self.sessions.invalidate(key);
    }

    pub(super) fn ended(&self, key: &SessionKey) {
        self.ended.insert(*key, ());
        self.sessions.invalidate(key);
    }

    pub(super) fn hears(&self) -> bool {
        self.following.load(SeqCst)
    }

    /// Notices are heard from now on, but some may have been missed before: nothing confirmed until now is used again
    /// without asking the store. It stays in memory, for the grace if the store is away.
    pub(super) fn hears_again(&self, now: Timestamp) {
        self.doubtful_until.fetch_max(now.millis(), SeqCst);
        self.following.store(true, SeqCst);
    }

    /// Notices may be missed from now on. `true` when they were heard until now.
    pub(super) fn hears_nothing(&self) -> bool {
        self.following.swap(false, SeqCst)
    }
}
