//! The steady state of a signed-in request: cookie header → session in memory, and the header the platform gets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench that cannot be set up ends")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use yimen::config::{SessionConfig, SessionStoreConfig};
use yimen::domain::{Assurance, Proof, SubjectKind, Timestamp};
use yimen::metrics::Metrics;
use yimen::session::cookie::{self, CookieRead};
use yimen::session::{Person, Place, SealKey, Session, Sessions};

fn cookie_to_session(bench: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let (sessions, header) = runtime.block_on(async {
        let store = SessionStoreConfig::Sqlite(folder.path().join("sessions.db"));
        let metrics = Arc::new(Metrics::new().unwrap());
        let sessions = Sessions::open(config(), store, SealKey::new([1; 32]).unwrap(), metrics).await.unwrap();
        let id = sessions.begin(alice(now), None, now).await.unwrap();
        // Without notices a session is used for a second only, so the notices are followed.
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let running = sessions.clone();
        let run = tokio::spawn(async move { running.run(stopped).await });
        while !sessions.hears_notices() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::mem::forget((stop, run)); // for as long as the bench runs
        let later = Timestamp::now().plus(Duration::from_millis(5));
        sessions.look_up(&id, Assurance::L1, later).await;
        (sessions, format!("theme=dark; {}; lang=zh", cookie::set(&id).split(';').next().unwrap()))
    });
    let at = Timestamp::now().plus(Duration::from_millis(10));
    bench.bench_function("cookie header to cached session", |bench| {
        bench.iter(|| match cookie::read([black_box(header.as_bytes())]) {
            CookieRead::One(id) => assert!(sessions.cached(&id, at).is_some()),
            _ => panic!("no cookie"),
        });
    });
    bench.bench_function("cookie strip, ours among three", |bench| {
        bench.iter(|| cookie::strip(black_box(header.as_bytes())).len());
    });
    bench.bench_function("cookie strip, nothing of ours", |bench| {
        bench.iter(|| cookie::strip(black_box(b"theme=dark; lang=zh; region=330106")).len());
    });
}

fn config() -> SessionConfig {
    SessionConfig {
        idle: Duration::from_secs(15 * 60),
        absolute: Duration::from_secs(12 * 3600),
        cache_life: Duration::from_secs(600), // longer than the bench
        grace: Duration::from_secs(60),
        touch_every: Duration::from_secs(60),
        store_deadline: Duration::from_secs(1),
        cached_max: 100_000,
        per_subject_max: 20,
        key_file: "not-read".into(),
    }
}

fn alice(now: Timestamp) -> Session {
    let person =
        Person { subject: "alice".into(), kind: SubjectKind::Natural, realm: "accounts".into(), name: "Alice".into() };
    let proof = Proof { assurance: Assurance::L2, methods: vec!["pwd".into()], at: now };
    let place = Place { device: "Firefox".into(), network: "203.0.113.0/24".into() };
    Session::begun(person, proof, place, now.plus(Duration::from_secs(12 * 3600)))
}

criterion_group!(benches, cookie_to_session);
criterion_main!(benches);
