//! The session store is away: nobody is signed out, nobody waits long, and it mends by itself.

use std::time::{Duration, Instant};

use yimen::config::{RedisConfig, SessionConfig, SessionStoreConfig};
use yimen::domain::{Assurance, Timestamp};
use yimen::session::{Lookup, SessionError, SessionId};

use crate::support::node::{Node, config, session};
use crate::support::redis::Redis;
use crate::support::until;

/// The longest that a request may wait for the store, whatever happens.
const WAIT_MAX: Duration = Duration::from_millis(200);

fn real() -> SessionConfig {
    SessionConfig { store_deadline: Duration::from_millis(100), ..config() }
}

async fn node(redis: &Redis) -> Node {
    Node::with(real(), SessionStoreConfig::Redis(redis.config())).await
}

async fn timed(node: &Node, id: &SessionId, needed: Assurance, now: Timestamp) -> Lookup {
    let started = Instant::now();
    let found = node.sessions.look_up(id, needed, now).await;
    assert!(started.elapsed() <= WAIT_MAX, "waited {:?}", started.elapsed());
    found
}

/// What must hold however the store went away: `alice` was confirmed at `now`, nobody has seen `stranger`'s session here.
async fn nobody_is_signed_out(node: &Node, alice: &SessionId, stranger: &SessionId, now: Timestamp) {
    let later = now.plus(Duration::from_secs(31));
    for _ in 0..20 {
        assert!(matches!(timed(node, stranger, Assurance::L1, later).await, Lookup::Unknown), "never absent");
        assert!(matches!(timed(node, alice, Assurance::L1, later).await, Lookup::Found(_)), "within the grace");
        assert!(matches!(timed(node, alice, Assurance::L3, later).await, Lookup::Unknown), "no grace from L3 up");
    }
    assert!(node.looked_up("grace") >= 20 && node.looked_up("unknown") >= 40 && node.looked_up("absent") == 0);
    let over = now.plus(Duration::from_secs(61));
    assert!(matches!(timed(node, alice, Assurance::L1, over).await, Lookup::Unknown), "the grace is over");
    let begun = node.sessions.begin(session("carol", now), None, now).await;
    assert!(matches!(begun, Err(SessionError::StoreAway)));
    assert!(matches!(node.sessions.of_subject("alice", now).await, Err(SessionError::StoreAway)));
}

async fn it_mends(node: &Node, alice: &SessionId, stranger: &SessionId, now: Timestamp) {
    let later = now.plus(Duration::from_secs(62));
    until("the store is used again", Duration::from_secs(5), || async {
        matches!(timed(node, stranger, Assurance::L1, later).await, Lookup::Found(_)).then_some(())
    })
    .await;
    assert!(matches!(timed(node, alice, Assurance::L3, later).await, Lookup::Found(_)));
    assert_eq!(node.metrics.store_up.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_signs_nobody_out_and_is_used_again_when_it_is_back() {
    let mut redis = Redis::start();
    let (node, elsewhere) = (node(&redis).await, node(&redis).await);
    let now = Timestamp::now();
    let (alice, stranger) = (node.sign_in("alice", now).await, elsewhere.sign_in("bob", now).await);
    redis.stop();
    nobody_is_signed_out(&node, &alice, &stranger, now).await;
    assert_eq!(node.metrics.store_up.get(), 0);
    redis.restart();
    it_mends(&node, &alice, &stranger, now).await;
    until("the gap is over", Duration::from_secs(5), || async { node.sessions.hears_notices().then_some(()) }).await;
    assert_eq!(node.metrics.notice_gaps.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_swallows_everything_signs_nobody_out_and_is_used_again_when_it_is_back() {
    let redis = Redis::start();
    let (node, elsewhere) = (node(&redis).await, node(&redis).await);
    let now = Timestamp::now();
    let (alice, stranger) = (node.sign_in("alice", now).await, elsewhere.sign_in("bob", now).await);
    redis.cut();
    nobody_is_signed_out(&node, &alice, &stranger, now).await;
    redis.restore();
    it_mends(&node, &alice, &stranger, now).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_the_requests_one_deadline_and_then_nothing() {
    let redis = Redis::start();
    let node = node(&redis).await;
    redis.cut();
    let now = Timestamp::now();
    until("the breaker opens", Duration::from_secs(2), || async {
        timed(&node, &SessionId::random().unwrap(), Assurance::L1, now).await;
        let broken = node.metrics.store_errors.with_label_values(&["get", "breaker"]).get();
        (broken > 0).then_some(())
    })
    .await;
    let started = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(timed(&node, &SessionId::random().unwrap(), Assurance::L1, now).await, Lookup::Unknown));
    }
    assert!(started.elapsed() < Duration::from_secs(1), "1000 look-ups took {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_back_empty_has_signed_everybody_out() {
    let mut redis = Redis::start();
    let node = node(&redis).await;
    let now = Timestamp::now();
    let alice = node.sign_in("alice", now).await;
    redis.restart_empty();
    until("it is asked again", Duration::from_secs(5), || async {
        matches!(timed(&node, &alice, Assurance::L1, now).await, Lookup::Absent).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_does_not_stop_the_start() {
    let mut redis = Redis::start();
    redis.stop();
    let store = SessionStoreConfig::Redis(redis.config());
    let node = Node::idle(real(), store).await;
    let now = Timestamp::now();
    assert!(matches!(timed(&node, &SessionId::random().unwrap(), Assurance::L1, now).await, Lookup::Unknown));
    redis.restart();
    // Nothing runs in the background here: requests alone get the probe going.
    until("a session begins", Duration::from_secs(5), || async {
        node.sessions.begin(session("alice", now), None, now).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_refuses_to_write_does_not_stop_the_reading() {
    let redis = Redis::start();
    let (node, elsewhere) = (node(&redis).await, node(&redis).await);
    let now = Timestamp::now();
    let id = elsewhere.sign_in("alice", now).await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let begun = node.sessions.begin(session("bob", now), None, now).await;
    assert!(matches!(begun, Err(SessionError::StoreAway)));
    assert!(node.metrics.store_errors.with_label_values(&["put", "answer"]).get() > 0);
    assert!(matches!(timed(&node, &id, Assurance::L1, now).await, Lookup::Found(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_and_password_come_from_settings_and_file_and_a_new_password_counts_at_once() {
    let redis = Redis::with(&["--user", "yimen", "on", ">secret", "~yimen:*", "&yimen:*", "+@all"]);
    let file = redis.folder().join("password");
    std::fs::write(&file, "wrong\n").unwrap();
    let settings = RedisConfig { user: Some("yimen".into()), password_file: Some(file.clone()), ..redis.config() };
    let node = Node::idle(real(), SessionStoreConfig::Redis(settings)).await;
    let now = Timestamp::now();
    assert!(matches!(node.look_up(&SessionId::random().unwrap(), now).await, Lookup::Unknown));
    std::fs::write(&file, "secret\n").unwrap();
    until("the right password is taken", Duration::from_secs(5), || async {
        node.sessions.begin(session("alice", now), None, now).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_only_a_server_of_our_authority_is_believed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // another test did it
    let certificates = tempfile::tempdir().unwrap();
    let path = |name: &str| certificates.path().join(name);
    for (name, host) in [("ours", "127.0.0.1"), ("theirs", "127.0.0.1")] {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        std::fs::write(path(&format!("{name}.pem")), made.cert.pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    let port = crate::support::free_port();
    let [certificate, key] = ["ours.pem", "ours.key"].map(|name| path(name).display().to_string());
    let redis = Redis::with(
        &[
            ["--tls-port", &port.to_string(), "--tls-auth-clients", "no"].as_slice(),
            ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &certificate].as_slice(),
        ]
        .concat(),
    );
    let url = format!("rediss://127.0.0.1:{port}/0");
    let trusting = |name: &str| RedisConfig { url: url.clone(), ca_file: Some(path(name)), ..redis.config() };
    let now = Timestamp::now();
    let ours = Node::with(config(), SessionStoreConfig::Redis(trusting("ours.pem"))).await;
    let id = ours.sign_in("alice", now).await;
    assert!(ours.knows(&id, now).await);
    let theirs = Node::idle(config(), SessionStoreConfig::Redis(trusting("theirs.pem"))).await;
    assert!(matches!(theirs.look_up(&id, now).await, Lookup::Unknown));
}
