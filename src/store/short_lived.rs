//! Short-lived state behind one face: what is sent to SQLite or to Redis, and under which guard.
//! Every operation is atomic in the store, so that two nodes, or twenty requests, cannot both win.

use std::sync::Arc;
use std::time::Duration;

use super::guard::{Guard, PROBE_EVERY};
use super::keys::Tag;
use super::redis::RedisStore;
use super::sqlite::SqliteStore;
use super::{AwayReason, NameKey, SessionKey, StoreError};
use crate::config::SessionStoreConfig;
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// Patience with what takes longer than a call may and holds up no request: opening a file and its tables, cleaning it.
const BESIDE_MAX: Duration = Duration::from_secs(5);

/// A session to be put.
#[derive(Clone, Copy)]
pub struct PutSession<'a> {
    /// Where it will be found.
    pub key: &'a SessionKey,
    /// Whose it is, in clear; the store learns a keyed hash.
    pub subject: &'a str,
    /// The sealed record.
    pub value: &'a [u8],
    /// The session it is a child of: it ends with that one, and is neither listed nor counted under the subject.
    pub parent: Option<&'a SessionKey>,
    /// Names under which it can be ended besides, in clear; the store learns keyed hashes. A child has none of its own.
    pub labels: &'a [Vec<u8>],
    /// The session that ends in the same step (rotation), with its children.
    pub replaces: Option<&'a SessionKey>,
    /// Whether the replaced session's sign-ons go over to this one: it is the same person, with another id.
    pub carries: bool,
    /// Whether this is the replaced session itself under another id, which begins only while that one is there: one that ended
    /// while its person proved more must not come back.
    pub goes_on: bool,
    /// Now.
    pub begun_at: Timestamp,
    /// When the store may forget it if nobody touches it.
    pub expires_at: Timestamp,
    /// When the store may forget it whatever happens.
    pub ends_at: Timestamp,
    /// Sessions this subject may have at a time, this one included; the oldest end.
    pub per_subject_max: usize,
}

/// What putting a session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// All sessions that ended, with those below them.
    pub all: Vec<SessionKey>,
    /// Those of them that had to make room for the new one.
    pub above_limit: Vec<SessionKey>,
}

/// A client of the OpenID Provider that a session signs on to.
#[derive(Clone, Copy)]
pub struct PutSignOn<'a> {
    /// The session; with its end the sign-on ends.
    pub parent: &'a SessionKey,
    /// Which client, in clear; the store learns a keyed hash.
    pub client: &'a str,
    /// Where it will be found.
    pub key: &'a SessionKey,
    /// The sealed record.
    pub value: &'a [u8],
    /// When the store may forget it: the absolute end of the session.
    pub ends_at: Timestamp,
}

/// A session as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// The sealed record.
    pub value: Vec<u8>,
    /// When it was last seen, as far as anybody wrote it.
    pub seen: Timestamp,
}

/// What a follower of notices hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// From now on every notice is heard; some may have been missed before.
    Following,
    /// Notices may be missed from now on.
    Lost,
    /// This session has ended.
    Ended(SessionKey),
}

/// Sessions, one-time values and rate counters, in SQLite or Redis. Made without a connection: the store may be away when
/// the gateway starts, and clients must be born inside the runtime that uses them.
#[derive(Clone, Debug)]
pub struct ShortLived {
    guard: Arc<Guard>,
    names: Arc<NameKey>,
    engine: Engine,
}

/// A closed set: Sentinel and Cluster become forms of `Redis`.
#[derive(Clone, Debug)]
enum Engine {
    Sqlite(Arc<SqliteStore>),
    Redis(Arc<RedisStore>),
}

/// The same call on whichever engine is configured, under the guard.
macro_rules! call {
    ($store:expr, $op:literal, $engine:ident => $work:expr) => {
        match &$store.engine {
            Engine::Sqlite($engine) => $store.guard.call($op, $work).await,
            Engine::Redis($engine) => $store.guard.call($op, $work).await,
        }
    };
}

impl ShortLived {
    /// A store that connects with its first call. `deadline` bounds every call, connection setup included (100 ms).
    /// Fails only for what no waiting would mend: a folder that cannot be written, an address that is none.
    pub fn open(
        config: SessionStoreConfig,
        deadline: Duration,
        names: NameKey,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let (engine, probe_max) = match config {
            SessionStoreConfig::Sqlite(path) => (Engine::Sqlite(Arc::new(SqliteStore::new(&path)?)), BESIDE_MAX),
            SessionStoreConfig::Redis(config) => {
                (Engine::Redis(Arc::new(RedisStore::new(config, deadline)?)), deadline)
            }
        };
        Ok(Self { guard: Arc::new(Guard::new(deadline, probe_max, metrics)), names: Arc::new(names), engine })
    }

    /// Opens the file of an SQLite store and brings its tables up to date; does nothing for Redis, which may be away.
    pub async fn prepare(&self) -> Result<(), StoreError> {
        let Engine::Sqlite(engine) = &self.engine else { return Ok(()) };
        let late = |_| Err(StoreError::away(AwayReason::Timeout, "opening of the session store's file"));
        tokio::time::timeout(BESIDE_MAX, engine.probe()).await.unwrap_or_else(late)
    }

    /// Puts a session, ends the one it replaces and the oldest ones above the subject's limit, all in one step.
    /// `ParentGone` when its parent has ended, `SessionGone` when the session that goes on has.
    pub async fn put_session(&self, put: PutSession<'_>) -> Result<Ended, StoreError> {
        self.mend();
        let subject = self.names.subject(put.subject);
        let labels: Vec<Tag> = put.labels.iter().map(|label| self.names.label(label)).collect();
        call!(self, "put", engine => engine.put_session(&put, &subject, &labels))
    }

    /// The session behind `key`; `None` when there is none.
    pub async fn session(&self, key: &SessionKey, now: Timestamp) -> Result<Option<StoredSession>, StoreError> {
        self.mend();
        call!(self, "get", engine => engine.session(key, now))
    }

    /// Notes that a session was seen; never moves back. `false` when there is no such session, which is not made again.
    pub async fn touch(&self, key: &SessionKey, seen: Timestamp, expires_at: Timestamp) -> Result<bool, StoreError> {
        self.mend();
        call!(self, "touch", engine => engine.touch(key, seen, expires_at))
    }

    /// Ends a session and its children. Returns the keys of those that were there.
    pub async fn delete(&self, key: &SessionKey) -> Result<Vec<SessionKey>, StoreError> {
        self.mend();
        call!(self, "delete", engine => engine.delete(key))
    }

    /// The sessions of a subject, oldest first; children are not among them.
    pub async fn of_subject(
        &self,
        subject: &str,
        now: Timestamp,
    ) -> Result<Vec<(SessionKey, StoredSession)>, StoreError> {
        self.mend();
        let subject = self.names.subject(subject);
        call!(self, "list", engine => engine.of_subject(&subject, now))
    }

    /// Ends all sessions of a subject but `keep`, with their children. Returns the keys of those that ended.
    pub async fn delete_of_subject(
        &self,
        subject: &str,
        keep: Option<&SessionKey>,
    ) -> Result<Vec<SessionKey>, StoreError> {
        self.mend();
        let subject = self.names.subject(subject);
        call!(self, "delete_all", engine => engine.delete_of_subject(&subject, keep))
    }

    /// Ends all sessions that were put with this label, with their children. Returns the keys of those that ended.
    pub async fn delete_labelled(&self, label: &[u8]) -> Result<Vec<SessionKey>, StoreError> {
        self.mend();
        let label = self.names.label(label);
        call!(self, "delete_labelled", engine => engine.delete_labelled(&label))
    }

    /// Keeps a value to be taken once within `life`. `false` when one of this name is kept already.
    pub async fn put_once(
        &self,
        name: &[u8],
        value: &[u8],
        life: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.mend();
        let tag = self.names.once(name);
        call!(self, "put_once", engine => engine.put_once(&tag, value, life, now))
    }

    /// Takes a one-time value: of all who try, one gets it.
    pub async fn take(&self, name: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.mend();
        let tag = self.names.once(name);
        call!(self, "take", engine => engine.take(&tag, now))
    }

    /// A value that was put once, left where it is.
    pub async fn kept(&self, name: &[u8], now: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.mend();
        let tag = self.names.once(name);
        call!(self, "kept", engine => engine.kept(&tag, now))
    }

    /// The sign-on of this client at this session: a new one, or the one that is there. Its value. `ParentGone` when the session
    /// has ended.
    pub async fn sign_on(&self, put: PutSignOn<'_>, now: Timestamp) -> Result<Vec<u8>, StoreError> {
        self.mend();
        let client = self.names.client(put.client.as_bytes());
        call!(self, "sign_on", engine => engine.sign_on(&put, &client, now))
    }

    /// The session that a sign-on belongs to; `None` when that was ended. A session that expired idle ends no sign-on before its
    /// absolute end.
    pub async fn signed_on(&self, sign_on: &SessionKey, now: Timestamp) -> Result<Option<SessionKey>, StoreError> {
        self.mend();
        call!(self, "signed_on", engine => engine.signed_on(sign_on, now))
    }

    /// Takes up to `most` values of sign-ons whose session was ended, by any node; each goes to one caller.
    pub async fn sign_offs(&self, most: u16, now: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        self.mend();
        call!(self, "sign_offs", engine => engine.sign_offs(most, now))
    }

    /// Counts one more under `name` and returns the count, which starts again `window` after its first.
    pub async fn count(&self, name: &[u8], window: Duration, now: Timestamp) -> Result<u64, StoreError> {
        self.mend();
        let tag = self.names.rate(name);
        call!(self, "count", engine => engine.count(&tag, window, now))
    }

    /// Lets one more through under `name` unless it comes too early (GCRA): `interval_us` is earned by each, `tolerance_us` may be
    /// owed. `Ok(ahead)`: let through; `Err(ahead)`: not; `ahead` microseconds are spoken for. Redis counts by its own clock, which
    /// all nodes share.
    pub async fn meter(
        &self,
        name: &[u8],
        interval_us: u64,
        tolerance_us: u64,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        self.mend();
        let tag = self.names.rate(name);
        call!(self, "meter", engine => engine.meter(&tag, interval_us, tolerance_us, now))
    }

    /// Tells `hear` of every session that ends anywhere, until it is dropped. Has its own connection, makes it again by
    /// itself, and says when notices may have been missed.
    pub async fn follow(&self, hear: impl Fn(Notice)) {
        match &self.engine {
            Engine::Sqlite(engine) => engine.follow(&hear).await,
            Engine::Redis(engine) => engine.follow(&hear).await,
        }
    }

    /// Connects, and mends the breaker without waiting for a request, until it is dropped.
    pub async fn keep(&self) {
        self.probe().await;
        let mut ticks = tokio::time::interval(PROBE_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.mend();
        }
    }

    /// Removes one bounded batch of what has expired; returns how many rows went. Redis does so by itself. Not under the
    /// guard: nobody waits for it, so its slowness is no reason to open the breaker.
    pub async fn clean(&self, now: Timestamp) -> Result<u64, StoreError> {
        let Engine::Sqlite(engine) = &self.engine else { return Ok(0) };
        let late = |_| Err(StoreError::away(AwayReason::Timeout, "cleaning"));
        tokio::time::timeout(BESIDE_MAX, engine.clean(now)).await.unwrap_or_else(late)
    }

    /// Starts the probe that is due, beside the caller: nobody waits for it.
    fn mend(&self) {
        if self.guard.is_open() && self.guard.may_probe() {
            let store = self.clone();
            tokio::spawn(async move { store.probe().await });
        }
    }

    async fn probe(&self) {
        match &self.engine {
            Engine::Sqlite(engine) => self.guard.probe(engine.probe()).await,
            Engine::Redis(engine) => self.guard.probe(engine.probe()).await,
        }
    }
}
