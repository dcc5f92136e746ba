//! Sessions that are ended by somebody: on every node, with a note for the browser that lost its own.

use std::future::ready;
use std::time::Duration;

use yimen::config::{SessionConfig, SessionStoreConfig};
use yimen::domain::Timestamp;
use yimen::session::{EndReason, Lookup, SessionSummary};

use crate::support::engine::on_both_session_engines;
use crate::support::node::{Node, config};
use crate::support::redis::Redis;
use crate::support::until;

on_both_session_engines! {
    ready:
    whoever_loses_a_session_to_the_limit_is_told_so_once
    all_sessions_of_a_person_end_on_every_node_with_a_note_for_each
    one_session_is_ended_by_its_handle_and_no_other
    who_signs_out_or_rotates_leaves_no_note
}

async fn whoever_loses_a_session_to_the_limit_is_told_so_once(store: SessionStoreConfig) {
    let node = Node::idle(SessionConfig { per_subject_max: 2, ..config() }, store).await;
    let now = Timestamp::now();
    let first = node.sign_in("alice", now).await;
    for seconds in 1..3 {
        node.sign_in("alice", now.plus(Duration::from_secs(seconds))).await;
    }
    assert!(matches!(node.look_up(&first, now).await, Lookup::Absent));
    assert_eq!(node.sessions.why_ended(&first.key(), now).await, Some(EndReason::Limit));
    assert_eq!(node.sessions.why_ended(&first.key(), now).await, None);
    assert_eq!(node.sessions.of_subject("alice", now.plus(Duration::from_secs(3))).await.unwrap().len(), 2);
}

async fn all_sessions_of_a_person_end_on_every_node_with_a_note_for_each(store: SessionStoreConfig) {
    let long = SessionConfig { cache_life: Duration::from_secs(600), ..config() };
    let (here, there) = (Node::with(long.clone(), store.clone()).await, Node::with(long, store).await);
    let now = Timestamp::now();
    let (one, two, bob) =
        (here.sign_in("alice", now).await, here.sign_in("alice", now).await, here.sign_in("bob", now).await);
    assert!(there.knows(&one, now).await && there.knows(&two, now).await && there.knows(&bob, now).await);
    assert_eq!(here.sessions.end_all("alice", None, EndReason::Operator, now).await.unwrap(), 2);
    for id in [&one, &two] {
        until("the other node lets go of it", Duration::from_secs(1), || async {
            matches!(there.look_up(id, now).await, Lookup::Absent).then_some(())
        })
        .await;
        assert_eq!(there.sessions.why_ended(&id.key(), now).await, Some(EndReason::Operator));
    }
    assert!(there.knows(&bob, now).await);
    assert_eq!(there.sessions.why_ended(&bob.key(), now).await, None);
}

async fn one_session_is_ended_by_its_handle_and_no_other(store: SessionStoreConfig) {
    let node = Node::idle(config(), store).await;
    let now = Timestamp::now();
    let (one, two) = (node.sign_in("alice", now).await, node.sign_in("alice", now).await);
    let handle = node.sessions.handle(&one.key());
    assert!(handle.len() == 32 && !one.key().hex().contains(&handle), "{handle}");
    let wanted = |summary: &SessionSummary| node.sessions.handle(&summary.key) == handle;
    let mut ended = 0;
    for subject in ["bob", "alice", "alice"] {
        ended += node.sessions.end_those(subject, wanted, EndReason::Operator, now).await.unwrap();
    }
    assert_eq!(ended, 1);
    assert!(!node.knows(&one, now).await && node.knows(&two, now).await);
    assert_eq!(node.sessions.why_ended(&one.key(), now).await, Some(EndReason::Operator));
}

async fn who_signs_out_or_rotates_leaves_no_note(store: SessionStoreConfig) {
    let node = Node::idle(config(), store).await;
    let now = Timestamp::now();
    let (one, two) = (node.sign_in("alice", now).await, node.sign_in("alice", now).await);
    node.sessions.end(&one.key()).await.unwrap();
    let session = crate::support::node::session("alice", now);
    node.sessions.begin(session, Some(&two.key()), now).await.unwrap();
    for id in [&one, &two] {
        assert_eq!(node.sessions.why_ended(&id.key(), now).await, None);
    }
}

#[tokio::test]
async fn where_notices_are_lost_an_ended_session_goes_on_for_a_second_at_most() {
    let redis = Redis::start();
    let store = SessionStoreConfig::Redis(redis.config());
    let here = Node::idle(config(), store.clone()).await;
    // A node that does not follow notices at all: what it has in memory is good for a second.
    let deaf = Node::idle(SessionConfig { cache_life: Duration::from_secs(600), ..config() }, store).await;
    let now = Timestamp::now();
    let id = here.sign_in("alice", now).await;
    assert!(deaf.knows(&id, now).await);
    here.sessions.end_all("alice", None, EndReason::Operator, now).await.unwrap();
    assert!(deaf.knows(&id, now.plus(Duration::from_millis(900))).await);
    assert!(!deaf.knows(&id, now.plus(Duration::from_millis(1000))).await);
}
