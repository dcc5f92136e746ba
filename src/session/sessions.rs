//! Sessions: begun, looked up, listed, ended.

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::{Notify, mpsc};

use super::cache::{Cached, Entry};
use super::clock::Clock;
use super::flight::{Fetched, Flights};
use super::keeping::Touch;
use super::{EndReason, Live, ProviderSession, SealKey, Session, SessionError, SessionId};
use crate::config::{SessionConfig, SessionStoreConfig};
use crate::domain::{Assurance, Timestamp};
use crate::metrics::Metrics;
use crate::store::{PutSession, SessionKey, ShortLived, StoredSession};

/// Last-seen times waiting to be written; one that finds no room is given again by the session's next request.
const TOUCHES_MAX: usize = 1024;

/// The answer of a look-up.
#[derive(Debug)]
pub enum Lookup {
    /// Signed in.
    Found(Arc<Live>),
    /// Signed out, expired, or never was.
    Absent,
    /// The store did not answer. The visitor may well be signed in: answer 503 and leave the cookie alone.
    Unknown,
}

/// A session in a person's own list.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// By which it can be ended.
    pub key: SessionKey,
    /// The record.
    pub session: Session,
    /// When it was last seen, to `touch_every`.
    pub last_seen: Timestamp,
}

/// All sessions of the installation, as this node knows them.
pub struct Sessions {
    pub(super) config: SessionConfig,
    pub(super) store: ShortLived,
    pub(super) seal: SealKey,
    /// Makes the names of sessions in lists.
    pub(super) handles: hmac::Key,
    pub(super) cached: Cached,
    flights: Flights,
    pub(super) clock: Clock,
    touches: mpsc::Sender<Touch>,
    /// Taken by `run`.
    pub(super) touched: Mutex<Option<mpsc::Receiver<Touch>>>,
    /// Woken when this node has ended sessions.
    ended: Notify,
    /// Whether a record that does not open has been logged.
    unreadable: Once,
    results: Results,
    pub(super) metrics: Arc<Metrics>,
}

/// `yimen_session_lookups_total` by result, looked up once instead of once a request.
struct Results {
    hit_local: IntCounter,
    hit_store: IntCounter,
    grace: IntCounter,
    absent: IntCounter,
    unknown: IntCounter,
}

impl Sessions {
    /// Sessions in this store, sealed with this key. A Redis that is away does not stop the start; a file that cannot be
    /// opened does. `run` must run beside it: without it revocations elsewhere are seen by the next store call only.
    pub async fn open(
        config: SessionConfig,
        store: SessionStoreConfig,
        seal: SealKey,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, SessionError> {
        let store = ShortLived::open(store, config.store_deadline, seal.names(), metrics.clone())?;
        store.prepare().await.map_err(SessionError::Store)?; // with its cause: this is for whoever starts the gateway
        let (touches, touched) = mpsc::channel(TOUCHES_MAX);
        let result = |word| metrics.session_lookups.with_label_values(&[word]);
        let results = Results {
            hit_local: result("hit_local"),
            hit_store: result("hit_store"),
            grace: result("grace"),
            absent: result("absent"),
            unknown: result("unknown"),
        };
        let (cached, flights, clock) = (Cached::new(&config), Flights::default(), Clock::new());
        let handles = hmac::Key::new(hmac::HMAC_SHA256, &seal.derive(b"session handles"));
        let (touched, unreadable) = (Mutex::new(Some(touched)), Once::new());
        Ok(Arc::new(Self {
            config,
            store,
            seal,
            handles,
            cached,
            flights,
            clock,
            touches,
            touched,
            ended: Notify::new(),
            unreadable,
            results,
            metrics,
        }))
    }

    /// The store, for one-time values and counters of rooms that share it.
    pub fn store(&self) -> &ShortLived {
        &self.store
    }

    /// The longest that any session lasts.
    pub fn longest(&self) -> Duration {
        self.config.absolute
    }

    /// Waits until this node has ended sessions, for whoever tells others of it; what ended since the last call counts.
    pub async fn some_ended(&self) {
        self.ended.notified().await;
    }

    /// Whether the end of a session on another node is heard at once. While not, a session is used for a second at most
    /// before the store is asked again.
    pub fn hears_notices(&self) -> bool {
        self.cached.hears()
    }

    /// The session behind `id`, if this node may use it without asking the store. Waits for nothing, allocates nothing.
    pub fn cached(&self, id: &SessionId, now: Timestamp) -> Option<Arc<Live>> {
        let now = self.clock.at(now);
        let entry = self.cached.get(&id.key())?;
        self.usable(&entry, now).then(|| self.found(&entry, now, &self.results.hit_local))
    }

    /// The session behind `id`, its idle time restarted. `needed` is what the route asks for: from L3 up a session is not
    /// used any longer than `cache_life` when the store is away. Waits no longer than `store_deadline`.
    pub async fn look_up(&self, id: &SessionId, needed: Assurance, now: Timestamp) -> Lookup {
        self.look_up_key(id.key(), needed, now).await
    }

    pub(super) async fn look_up_key(&self, key: SessionKey, needed: Assurance, now: Timestamp) -> Lookup {
        let now = self.clock.at(now);
        let known = self.cached.get(&key);
        if let Some(entry) = known.as_ref().filter(|entry| self.usable(entry, now)) {
            return Lookup::Found(self.found(entry, now, &self.results.hit_local));
        }
        let over = known.as_ref().is_some_and(|entry| now >= entry.live.session.ends_at);
        if over || self.cached.is_gone(&key) {
            return self.gone();
        }
        // In a box: the way to the store is rare, and every request's future would have room for it.
        match Box::pin(self.flights.join(key, || self.fetch(key, known.clone(), now))).await {
            Fetched::Here(entry) => Lookup::Found(self.found(&entry, now, &self.results.hit_store)),
            Fetched::Gone => self.gone(),
            Fetched::Away => self.without_store(known.as_ref(), needed, now),
        }
    }

    /// Begins a session; `replaces` (rotation) dies in the same step, as do the subject's oldest above the limit. Where the
    /// person stays the same, clients that the replaced session has signed on to go on with the new one.
    pub async fn begin(
        &self,
        session: Session,
        replaces: Option<&SessionKey>,
        now: Timestamp,
    ) -> Result<SessionId, SessionError> {
        self.put(session, replaces, false, now).await
    }

    /// A session under a new id, changed: its person has proven more, or acts for somebody else. `Gone`: it has ended meanwhile,
    /// here or on another node, and does not come back by this.
    pub async fn go_on(&self, session: Session, from: &SessionKey, now: Timestamp) -> Result<SessionId, SessionError> {
        self.put(session, Some(from), true, now).await
    }

    async fn put(
        &self,
        mut session: Session,
        replaces: Option<&SessionKey>,
        goes_on: bool,
        now: Timestamp,
    ) -> Result<SessionId, SessionError> {
        let now = self.clock.at(now);
        let id = SessionId::random().ok_or(SessionError::NoRandomness)?;
        let key = id.key();
        session.ends_at = session.ends_at.min(now.plus(self.config.absolute));
        let value = self.seal.seal(&key, &session).ok_or(SessionError::NoRandomness)?;
        let labels: Vec<_> = session.providers.iter().flat_map(ProviderSession::labels).collect();
        let carries = match replaces {
            Some(replaced) if session.parent.is_none() => Box::pin(self.is_of_same(replaced, &session, now)).await,
            _ => false,
        };
        let put = PutSession {
            key: &key,
            subject: &session.subject,
            value: &value,
            parent: session.parent.as_ref(),
            labels: if session.parent.is_none() { &labels } else { &[] },
            replaces,
            carries,
            goes_on,
            begun_at: now,
            expires_at: self.forgotten_at(now, &session),
            ends_at: session.ends_at,
            per_subject_max: self.config.per_subject_max.max(1),
        };
        let ended = self.store.put_session(put).await?;
        replaces.inspect(|replaced| self.cached.ended(replaced));
        self.note_ended(&ended.all, "replaced");
        self.metrics.sessions_begun.inc();
        self.cached.put(key, Arc::new(Entry::new(Arc::new(Live { key, session }), now, now, now)));
        for above in &ended.above_limit {
            self.leave_note(above, EndReason::Limit, now).await;
        }
        Ok(id)
    }

    /// Ends a session and its children, everywhere. When the store is away nobody knows whether it ended, and this node no
    /// longer uses it before the store has said so.
    pub async fn end(&self, key: &SessionKey) -> Result<(), SessionError> {
        self.cached.forget(key);
        let ended = self.store.delete(key).await?;
        self.cached.ended(key);
        self.note_ended(&ended, "signed_out");
        Ok(())
    }

    /// The sessions of a subject that have not ended, oldest first; records that cannot be read are left out.
    pub async fn of_subject(&self, subject: &str, now: Timestamp) -> Result<Vec<SessionSummary>, SessionError> {
        let now = self.clock.at(now);
        let stored = self.store.of_subject(subject, now).await?;
        let readable = stored.into_iter().filter_map(|(key, stored)| {
            let last_seen = self.cached.get(&key).map_or(stored.seen, |entry| entry.seen().max(stored.seen));
            let session = self.opened(&key, &stored)?;
            (!self.is_over(&session, last_seen, now)).then_some(SessionSummary { key, session, last_seen })
        });
        Ok(readable.collect())
    }

    /// Ends the session here that rests on this session at a provider; returns how many ended, children included.
    pub async fn end_by_sid(&self, realm: &str, sid: &str, now: Timestamp) -> Result<usize, SessionError> {
        self.end_labelled(&ProviderSession::by_sid(realm, sid), now).await
    }

    /// Ends all sessions here of this person at a provider; returns how many ended, children included.
    pub async fn end_by_sub(&self, realm: &str, sub: &str, now: Timestamp) -> Result<usize, SessionError> {
        self.end_labelled(&ProviderSession::by_sub(realm, sub), now).await
    }

    async fn end_labelled(&self, label: &[u8], now: Timestamp) -> Result<usize, SessionError> {
        let ended = self.store.delete_labelled(label).await?;
        self.note_ended(&ended, EndReason::Provider.word());
        for key in &ended {
            self.leave_note(key, EndReason::Provider, now).await;
        }
        Ok(ended.len())
    }

    /// Whether a session is of the same person as another one. A store that does not answer says no; the next call to it fails.
    async fn is_of_same(&self, key: &SessionKey, other: &Session, now: Timestamp) -> bool {
        let whose = |session: &Session| {
            let acts_for = session.represented.as_ref().map(|represented| represented.id);
            (session.realm.clone(), session.subject.clone(), acts_for)
        };
        let same = |session: &Session| whose(session) == whose(other);
        if let Some(entry) = self.cached.get(key) {
            return same(&entry.live.session);
        }
        let stored = self.store.session(key, now).await.ok().flatten();
        stored.and_then(|stored| self.opened(key, &stored)).is_some_and(|session| same(&session))
    }

    fn usable(&self, entry: &Entry, now: Timestamp) -> bool {
        self.cached.is_fresh(entry, now) && !self.is_over(&entry.live.session, entry.seen(), now)
    }

    fn is_over(&self, session: &Session, seen: Timestamp, now: Timestamp) -> bool {
        now >= session.ends_at || now.since(seen) >= self.config.idle
    }

    /// When the store may forget an untouched session. Last-seen is written late by up to `touch_every`, so it keeps it
    /// that much longer; the rule itself is `is_over`.
    pub(super) fn forgotten_at(&self, seen: Timestamp, session: &Session) -> Timestamp {
        seen.plus(self.config.idle).plus(self.config.touch_every).min(session.ends_at)
    }

    /// Notes the use of a session, and gives its last-seen time to be written when that is due.
    fn found(&self, entry: &Arc<Entry>, now: Timestamp, result: &IntCounter) -> Arc<Live> {
        let written_before = entry.written();
        if entry.saw(now, self.config.touch_every) {
            let touch = Touch { entry: entry.clone(), seen: now, written_before };
            if let Err(refused) = self.touches.try_send(touch) {
                refused.into_inner().put_back();
            }
        }
        result.inc();
        entry.live.clone()
    }

    fn gone(&self) -> Lookup {
        self.results.absent.inc();
        Lookup::Absent
    }

    /// The store did not answer: who was confirmed a moment ago goes on for a while, everybody else has to wait.
    fn without_store(&self, known: Option<&Arc<Entry>>, needed: Assurance, now: Timestamp) -> Lookup {
        let life = if needed >= Assurance::L3 { self.config.cache_life } else { self.config.grace };
        let trusted = |entry: &&Arc<Entry>| {
            now.since(entry.confirmed) < life && !self.is_over(&entry.live.session, entry.seen(), now)
        };
        // Looked for again: it may have ended while we waited.
        match known.filter(trusted).filter(|entry| !self.cached.is_gone(&entry.live.key)) {
            Some(entry) => Lookup::Found(self.found(entry, now, &self.results.grace)),
            None => {
                self.results.unknown.inc();
                Lookup::Unknown
            }
        }
    }

    /// Asks the store and remembers what it says. A session whose record has not changed stays the same `Live`.
    async fn fetch(&self, key: SessionKey, known: Option<Arc<Entry>>, now: Timestamp) -> Fetched {
        let stored = match self.store.session(&key, now).await {
            Ok(stored) => stored,
            Err(_) => return Fetched::Away, // the guard has logged and counted the cause
        };
        let Some((session, stored)) = stored.and_then(|stored| Some((self.opened(&key, &stored)?, stored))) else {
            self.cached.absent(&key);
            return Fetched::Gone;
        };
        // Another node's clock may be ahead; the future is no reason to live longer.
        let stored_seen = stored.seen.min(now);
        let seen = known.as_ref().map_or(stored_seen, |entry| entry.seen().max(stored_seen));
        if self.is_over(&session, seen, now) {
            self.cached.absent(&key);
            return Fetched::Gone;
        }
        let written = known.as_ref().map_or(stored_seen, |entry| entry.written().max(stored_seen));
        let same = known.map(|entry| entry.live.clone()).filter(|live| live.session == session);
        let live = same.unwrap_or_else(|| Arc::new(Live { key, session }));
        let entry = Arc::new(Entry::new(live, now, seen, written));
        if self.cached.put(key, entry.clone()) { Fetched::Here(entry) } else { Fetched::Gone }
    }

    /// The record, or `None` for one that does not open under this key: a fault, or somebody's hand in the store.
    fn opened(&self, key: &SessionKey, stored: &StoredSession) -> Option<Session> {
        let session = self.seal.open(key, &stored.value);
        if session.is_none() {
            // Once: after a change of the seal key it would be every session.
            self.unreadable.call_once(|| {
                tracing::error!(
                    "a session record does not open and counts as none; was the session key file changed, or the store?"
                );
            });
        }
        session
    }

    pub(super) fn note_ended(&self, keys: &[SessionKey], reason: &str) {
        keys.iter().for_each(|key| self.cached.ended(key));
        if !keys.is_empty() {
            self.ended.notify_one();
        }
        self.metrics.sessions_ended.with_label_values(&[reason]).inc_by(keys.len() as u64);
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sessions").field("store", &self.store).finish_non_exhaustive()
    }
}
