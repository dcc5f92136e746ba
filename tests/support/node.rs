//! One node's sessions, on a store of the test's choice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yimen::config::{SessionConfig, SessionStoreConfig};
use yimen::domain::{Assurance, Proof, SubjectKind, Timestamp};
use yimen::metrics::Metrics;
use yimen::session::{Lookup, Person, Place, SealKey, Session, SessionError, SessionId, Sessions};

/// A node that runs until it is dropped.
pub struct Node {
    pub sessions: Arc<Sessions>,
    pub metrics: Arc<Metrics>,
    _running: watch::Sender<bool>,
}

impl Node {
    pub async fn on(store: SessionStoreConfig) -> Self {
        Self::with(config(), store).await
    }

    pub async fn with(config: SessionConfig, store: SessionStoreConfig) -> Self {
        let node = Self::idle(config, store).await;
        let (sessions, stopped) = (node.sessions.clone(), node._running.subscribe());
        tokio::spawn(async move { sessions.run(stopped).await });
        super::until("the node hears notices", Duration::from_secs(5), || async {
            node.sessions.hears_notices().then_some(())
        })
        .await;
        node
    }

    /// A node whose store may be away: nothing is waited for.
    pub async fn idle(config: SessionConfig, store: SessionStoreConfig) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let seal = SealKey::new([9; 32]).unwrap();
        let sessions = Sessions::open(config, store, seal, metrics.clone()).await.unwrap();
        Self { sessions, metrics, _running: watch::channel(false).0 }
    }

    /// Tries again when the store did not answer in time, as a person does: a disk that is busy with other tests is no fault.
    pub async fn sign_in(&self, subject: &str, now: Timestamp) -> SessionId {
        super::until("the sign-in", Duration::from_secs(10), || async {
            match self.sessions.begin(session(subject, now), None, now).await {
                Err(SessionError::StoreAway) => None,
                begun => Some(begun.unwrap()),
            }
        })
        .await
    }

    pub async fn look_up(&self, id: &SessionId, now: Timestamp) -> Lookup {
        self.sessions.look_up(id, Assurance::L1, now).await
    }

    pub async fn knows(&self, id: &SessionId, now: Timestamp) -> bool {
        matches!(self.look_up(id, now).await, Lookup::Found(_))
    }

    pub fn looked_up(&self, result: &str) -> u64 {
        self.metrics.session_lookups.with_label_values(&[result]).get()
    }

    /// Calls of this kind that the store has had from us.
    pub fn calls(&self, op: &str) -> u64 {
        self.metrics.store_duration.with_label_values(&[op]).get_sample_count()
    }
}

/// The settings' defaults, but for a deadline that a busy machine keeps.
pub fn config() -> SessionConfig {
    SessionConfig {
        idle: Duration::from_secs(15 * 60),
        absolute: Duration::from_secs(12 * 3600),
        cache_life: Duration::from_secs(30),
        grace: Duration::from_secs(60),
        touch_every: Duration::from_secs(60),
        store_deadline: Duration::from_secs(2),
        cached_max: 10_000,
        per_subject_max: 20,
        key_file: "not-read".into(),
    }
}

pub fn session(subject: &str, now: Timestamp) -> Session {
    let person = Person {
        subject: subject.into(),
        kind: SubjectKind::Natural,
        realm: "accounts".into(),
        name: "Li Lei the Citizen".into(),
    };
    let proof = Proof { assurance: Assurance::L2, methods: vec!["pwd".into()], at: now };
    let place = Place { device: "Firefox on Linux".into(), network: "203.0.113.0/24".into() };
    Session::begun(person, proof, place, now.plus(Duration::from_secs(12 * 3600)))
}
