//! How long a session lives and what ends it, with times given.

use std::time::Duration;

use yimen::config::{SessionConfig, SessionStoreConfig};
use yimen::domain::Timestamp;
use yimen::session::{EndReason, SessionError, SessionKey};

use crate::support::node::{Node, config, session};
use crate::support::redis::Redis;
use crate::support::until;

const MINUTE: Duration = Duration::from_secs(60);

struct Place {
    _folder: tempfile::TempDir,
    store: SessionStoreConfig,
}

fn sqlite() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = SessionStoreConfig::Sqlite(folder.path().join("sessions.db"));
    Place { _folder: folder, store }
}

/// A node that runs nothing in the background: what it does depends on the times given alone.
async fn node(place: &Place) -> Node {
    Node::idle(config(), place.store.clone()).await
}

#[tokio::test]
async fn rotation_leaves_only_the_new_session() {
    let place = sqlite();
    let (node, other) = (node(&place).await, node(&place).await);
    let now = Timestamp::now();
    let old = node.sign_in("alice", now).await;
    let new = node.sessions.begin(session("alice", now), Some(&old.key()), now).await.unwrap();
    for node in [&node, &other] {
        assert!(!node.knows(&old, now).await && node.knows(&new, now).await);
    }
    assert_eq!(node.metrics.sessions_ended.with_label_values(&["replaced"]).get(), 1);
}

#[tokio::test]
async fn a_session_that_ended_on_another_node_does_not_go_on_here() {
    let place = sqlite();
    let (node, other) = (node(&place).await, node(&place).await);
    let now = Timestamp::now();
    let id = node.sign_in("alice", now).await;
    assert!(node.knows(&id, now).await, "and keeps it in memory");
    other.sessions.end_all("alice", None, EndReason::Operator, now).await.unwrap();
    let proven_meanwhile = node.sessions.go_on(session("alice", now), &id.key(), now).await;
    assert!(matches!(proven_meanwhile, Err(SessionError::Gone)), "{:?}", proven_meanwhile.err());
    assert_eq!(node.sessions.of_subject("alice", now).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_session_ends_after_its_idle_time_also_where_it_is_cached() {
    let place = sqlite();
    let node = Node::with(SessionConfig { cache_life: 60 * MINUTE, ..config() }, place.store.clone()).await;
    let almost = 15 * MINUTE - Duration::from_millis(1);
    let now = Timestamp::now();
    let id = node.sign_in("alice", now).await;
    assert!(node.knows(&id, now.plus(almost)).await, "a request restarts the time");
    assert!(node.knows(&id, now.plus(2 * almost)).await);
    assert_eq!(node.calls("get"), 0, "all of it from memory");
    assert!(!node.knows(&id, now.plus(2 * almost + 15 * MINUTE)).await);
}

#[tokio::test]
async fn a_session_ends_at_its_absolute_end_however_busy_it_is() {
    let place = sqlite();
    let node = Node::on(place.store.clone()).await;
    let now = Timestamp::now();
    let mut record = session("alice", now);
    record.ends_at = now.plus(100 * 60 * MINUTE); // more than the settings allow
    let id = node.sessions.begin(record, None, now).await.unwrap();
    for requests in 1..72 {
        assert!(node.knows(&id, now.plus(requests * 10 * MINUTE)).await, "after {requests} requests");
        until("last-seen is written", Duration::from_secs(5), || async {
            (node.calls("touch") == u64::from(requests)).then_some(())
        })
        .await;
    }
    assert!(!node.knows(&id, now.plus(720 * MINUTE)).await);
}

#[tokio::test]
async fn a_clock_that_jumps_back_lengthens_nothing() {
    let place = sqlite();
    let node = node(&place).await;
    let now = Timestamp::now();
    let id = node.sign_in("alice", now).await;
    let end = now.plus(15 * MINUTE);
    assert!(!node.knows(&id, end).await);
    let other = node.sign_in("alice", now).await; // the clock is back; this one begins at the end of the other
    assert!(!node.knows(&id, now).await);
    assert!(node.knows(&other, end.plus(14 * MINUTE)).await);
}

#[tokio::test]
async fn last_seen_is_written_once_a_minute_and_counts_on_other_nodes() {
    let place = sqlite();
    let node = Node::on(place.store.clone()).await;
    let now = Timestamp::now();
    let id = node.sign_in("alice", now).await;
    for tens in 0..100 {
        assert!(node.knows(&id, now.plus(Duration::from_secs(10 * tens))).await);
        // Minutes pass faster here than a busy disk writes, and what nobody wrote down for 16 of them is forgotten.
        let due = tens / 6;
        until("the minute's write", Duration::from_secs(5), || async { (node.calls("touch") >= due).then_some(()) })
            .await;
    }
    let last = now.plus(Duration::from_secs(990));
    let other = self::node(&place).await;
    until("the last is written", Duration::from_secs(5), || async {
        let list = other.sessions.of_subject("alice", now).await.unwrap();
        (last.since(list[0].last_seen) < MINUTE).then_some(())
    })
    .await;
    assert!(node.calls("touch") <= 17, "{} writes in 990 seconds", node.calls("touch"));
    assert!(other.knows(&id, now.plus(20 * MINUTE)).await, "the other node knows that it was used after 15 minutes");
}

#[tokio::test]
async fn a_person_sees_and_ends_their_own_sessions() {
    let place = sqlite();
    let node = node(&place).await;
    let now = Timestamp::now();
    let (first, second) = (node.sign_in("alice", now).await, node.sign_in("alice", now).await);
    let third = node.sign_in("alice", now).await;
    let stranger = node.sign_in("bob", now).await;
    let keys = |list: Vec<yimen::session::SessionSummary>| list.iter().map(|one| one.key).collect::<Vec<SessionKey>>();
    assert_eq!(keys(node.sessions.of_subject("alice", now).await.unwrap()), [first.key(), second.key(), third.key()]);

    node.sessions.end(&first.key()).await.unwrap();
    assert!(!node.knows(&first, now).await);
    assert_eq!(node.sessions.end_all("alice", Some(&second.key()), EndReason::Elsewhere, now).await.unwrap(), 1);
    assert!(node.knows(&second, now).await && !node.knows(&third, now).await && node.knows(&stranger, now).await);
    assert_eq!(node.metrics.sessions_ended.with_label_values(&["signed_out"]).get(), 1);
    assert_eq!(node.metrics.sessions_ended.with_label_values(&["elsewhere"]).get(), 1);
    assert!(
        node.sessions.of_subject("alice", now.plus(16 * MINUTE)).await.unwrap().is_empty(),
        "idle ones are not listed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_sign_ins_at_once_keep_to_the_limit() {
    let redis = Redis::start();
    let node =
        Node::idle(SessionConfig { per_subject_max: 5, ..config() }, SessionStoreConfig::Redis(redis.config())).await;
    let now = Timestamp::now();
    let begins = (0..20).map(|_| {
        let sessions = node.sessions.clone();
        tokio::spawn(async move { sessions.begin(session("alice", now), None, now).await.unwrap() })
    });
    let mut alive = 0;
    for begin in begins.collect::<Vec<_>>() {
        alive += u32::from(node.knows(&begin.await.unwrap(), now).await);
    }
    assert!(alive >= 5, "{alive}");
    assert_eq!(node.sessions.of_subject("alice", now).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_record_put_in_anothers_place_opens_nothing() {
    let redis = Redis::start();
    let node = Node::idle(config(), SessionStoreConfig::Redis(redis.config())).await;
    let now = Timestamp::now();
    let (alice, bob) = (node.sign_in("alice", now).await, node.sign_in("bob", now).await);
    let place = |id: &yimen::session::SessionId| format!("yimen:session:{}", id.key().hex());
    assert_eq!(redis.ask(&["COPY", &place(&bob), &place(&alice), "REPLACE"]).trim(), "1");
    let fresh = Node::idle(config(), SessionStoreConfig::Redis(redis.config())).await;
    assert!(!fresh.knows(&alice, now).await);
    assert!(fresh.knows(&bob, now).await);
}

#[tokio::test]
async fn a_copy_of_redis_shows_no_id_subject_or_name() {
    let redis = Redis::start();
    let node = Node::idle(config(), SessionStoreConfig::Redis(redis.config())).await;
    leave_traces(&node).await.assert_absent_from(&redis.image());
}

#[tokio::test]
async fn a_copy_of_the_sqlite_files_shows_no_id_subject_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::idle(config(), SessionStoreConfig::Sqlite(folder.path().join("sessions.db"))).await;
    let traces = leave_traces(&node).await;
    let files = std::fs::read_dir(folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    traces.assert_absent_from(&files.collect::<Vec<_>>().concat());
}

struct Traces {
    secrets: Vec<Vec<u8>>,
    hash: Vec<u8>,
    hash_hex: String,
}

async fn leave_traces(node: &Node) -> Traces {
    let now = Timestamp::now();
    let id = node.sign_in("subject-of-alice", now).await;
    node.sessions.store().put_once(b"ticket-of-alice", b"sealed", MINUTE, now).await.unwrap();
    node.sessions.store().count(b"login-of-alice", MINUTE, now).await.unwrap();
    let secrets =
        ["subject-of-alice", "ticket-of-alice", "login-of-alice", "Li Lei the Citizen", "203.0.113", &id.encoded()];
    Traces {
        secrets: secrets.iter().map(|text| text.as_bytes().to_vec()).collect(),
        hash: id.key().bytes().to_vec(),
        hash_hex: id.key().hex(),
    }
}

impl Traces {
    fn assert_absent_from(&self, image: &[u8]) {
        let holds = |wanted: &[u8]| image.windows(wanted.len()).any(|part| part == wanted);
        assert!(holds(&self.hash) || holds(self.hash_hex.as_bytes()), "the image holds the session at all");
        for secret in &self.secrets {
            assert!(!holds(secret), "{}", String::from_utf8_lossy(secret));
        }
    }
}
