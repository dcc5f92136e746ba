//! What a node remembers of sessions, and how it learns that one has ended elsewhere.

use std::sync::Arc;
use std::time::Duration;

use yimen::config::{SessionConfig, SessionStoreConfig};
use yimen::domain::{Assurance, Timestamp};
use yimen::session::Lookup;

use crate::support::node::{Node, config};
use crate::support::redis::Redis;
use crate::support::until;

fn patient() -> SessionConfig {
    SessionConfig { cache_life: Duration::from_secs(600), ..config() }
}

#[tokio::test]
async fn a_session_is_read_once_for_its_cache_life_and_stays_the_same() {
    let redis = Redis::start();
    let store = SessionStoreConfig::Redis(redis.config());
    let now = Timestamp::now();
    let id = Node::idle(config(), store.clone()).await.sign_in("alice", now).await;
    let node = Node::on(store).await;
    let Lookup::Found(first) = node.look_up(&id, now).await else { panic!("not found") };
    for _ in 0..50 {
        assert!(node.knows(&id, now).await);
    }
    assert_eq!((node.calls("get"), node.looked_up("hit_store"), node.looked_up("hit_local")), (1, 1, 50));
    let Lookup::Found(later) = node.look_up(&id, now.plus(Duration::from_secs(31))).await else { panic!("not found") };
    assert_eq!(node.calls("get"), 2);
    assert!(Arc::ptr_eq(&first, &later), "an unchanged session stays the same `Live`");
    assert!(Arc::ptr_eq(&first, &node.sessions.cached(&id, now).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn look_ups_that_come_together_make_one_call() {
    let redis = Redis::start();
    let store = SessionStoreConfig::Redis(redis.config());
    let now = Timestamp::now();
    let id = Node::idle(config(), store.clone()).await.sign_in("alice", now).await;
    let node = Node::on(store).await;
    redis.cut(); // so that the first call is still under way when the last look-up comes
    let look_ups = (0..50).map(|_| {
        let (sessions, id) = (node.sessions.clone(), id.clone());
        tokio::spawn(async move { sessions.look_up(&id, Assurance::L1, now).await })
    });
    let look_ups: Vec<_> = look_ups.collect();
    tokio::time::sleep(Duration::from_millis(200)).await; // they have nothing to show for their arrival
    redis.restore();
    for look_up in look_ups {
        assert!(matches!(look_up.await.unwrap(), Lookup::Found(_)));
    }
    assert_eq!(node.calls("get"), 1);
}

#[tokio::test]
async fn an_unknown_cookie_asks_the_store_once_a_second() {
    let redis = Redis::start();
    let node = Node::on(SessionStoreConfig::Redis(redis.config())).await;
    let (id, now) = (yimen::session::SessionId::random().unwrap(), Timestamp::now());
    for _ in 0..20 {
        assert!(matches!(node.look_up(&id, now).await, Lookup::Absent));
    }
    assert_eq!((node.calls("get"), node.looked_up("absent")), (1, 20));
}

async fn an_end_is_seen_within_a_second(store: SessionStoreConfig) {
    let (here, there) = (Node::with(patient(), store.clone()).await, Node::with(patient(), store).await);
    let now = Timestamp::now();
    let id = here.sign_in("alice", now).await;
    assert!(there.knows(&id, now).await);
    here.sessions.end(&id.key()).await.unwrap();
    until("the other node lets go of it", Duration::from_secs(1), || async {
        matches!(there.look_up(&id, now).await, Lookup::Absent).then_some(())
    })
    .await;
    assert_eq!(there.calls("get"), 1, "it learned of it by the notice, not by asking");
}

#[tokio::test]
async fn an_end_is_seen_by_another_node_within_a_second_through_redis() {
    let redis = Redis::start();
    an_end_is_seen_within_a_second(SessionStoreConfig::Redis(redis.config())).await;
}

#[tokio::test]
async fn an_end_is_seen_by_another_process_within_a_second_through_the_file() {
    let folder = tempfile::tempdir().unwrap();
    an_end_is_seen_within_a_second(SessionStoreConfig::Sqlite(folder.path().join("sessions.db"))).await;
}

#[tokio::test]
async fn after_a_gap_nothing_cached_is_used_without_asking() {
    let redis = Redis::start();
    let store = SessionStoreConfig::Redis(redis.config());
    let node = Node::with(patient(), store).await;
    let now = Timestamp::now();
    let (alice, bob) = (node.sign_in("alice", now).await, node.sign_in("bob", now).await);
    assert!(node.knows(&alice, now).await && node.knows(&bob, now).await);
    assert_eq!(node.calls("get"), 0);
    // The notice connection alone breaks, and alice's session ends where nobody is told.
    redis.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    redis.ask(&["DEL", &format!("yimen:session:{}", alice.key().hex())]);
    until("the gap is counted", Duration::from_secs(2), || async {
        (node.metrics.notice_gaps.get() == 1).then_some(())
    })
    .await;
    until("notices are heard again", Duration::from_secs(2), || async { node.sessions.hears_notices().then_some(()) })
        .await;
    assert!(matches!(node.look_up(&alice, now).await, Lookup::Absent));
    assert!(node.knows(&bob, now).await);
    assert_eq!(node.calls("get"), 2);
}

#[tokio::test]
async fn a_notice_connection_that_dies_without_a_word_is_found_out() {
    let redis = Redis::start();
    let node = Node::with(patient(), SessionStoreConfig::Redis(redis.config())).await;
    redis.cut();
    until("the gap is seen", Duration::from_secs(3), || async { (!node.sessions.hears_notices()).then_some(()) }).await;
    redis.restore();
    until("and ends", Duration::from_secs(5), || async { node.sessions.hears_notices().then_some(()) }).await;
}
