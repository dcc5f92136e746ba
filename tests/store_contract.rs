//! What every short-lived store must do, on SQLite and on Redis: the same cases.

use std::sync::Arc;
use std::time::Duration;

use yimen::config::SessionStoreConfig;
use yimen::domain::Timestamp;
use yimen::metrics::Metrics;
use yimen::store::{NameKey, Notice, PutSession, PutSignOn, SessionKey, ShortLived, StoreError};

use crate::support::engine::on_both_session_engines;
use crate::support::redis::Redis;
use crate::support::until;

const HOUR: Duration = Duration::from_secs(3600);

async fn open(config: SessionStoreConfig) -> ShortLived {
    let metrics = Arc::new(Metrics::new().unwrap());
    ShortLived::open(config, Duration::from_secs(5), NameKey::new(&[5; 32]), metrics).unwrap()
}

on_both_session_engines! {
    open:
    a_session_is_there_until_it_is_deleted
    a_session_is_forgotten_at_its_expiry
    rotation_ends_the_old_one_in_the_same_step
    a_session_goes_on_under_another_id_only_while_it_is_there
    the_oldest_end_above_the_limit
    twenty_at_once_keep_to_the_limit
    a_touch_moves_forward_only_and_brings_nothing_back
    children_end_with_their_parent_and_cannot_begin_after_it
    all_of_a_subject_end_but_one
    all_with_a_label_end_and_no_others
    of_twenty_who_take_one_wins
    a_one_time_value_is_kept_once_and_not_for_ever
    a_one_time_value_can_be_looked_at_without_taking_it
    a_counter_counts_to_its_window_and_starts_again
    a_meter_lets_a_burst_through_and_then_one_an_interval
    a_follower_hears_of_every_end
    a_sign_on_ends_with_its_session_and_is_told_once
    sign_ons_go_over_to_the_session_that_replaces_theirs
}

fn key(number: u8) -> SessionKey {
    SessionKey::new([number; 32])
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn put<'a>(key: &'a SessionKey, subject: &'a str, now: Timestamp) -> PutSession<'a> {
    PutSession {
        key,
        subject,
        value: b"sealed",
        parent: None,
        labels: &[],
        replaces: None,
        carries: false,
        goes_on: false,
        begun_at: now,
        expires_at: now.plus(HOUR),
        ends_at: now.plus(2 * HOUR),
        per_subject_max: 3,
    }
}

async fn there(store: &ShortLived, key: &SessionKey) -> bool {
    store.session(key, now()).await.unwrap().is_some()
}

async fn listed(store: &ShortLived, subject: &str) -> Vec<SessionKey> {
    store.of_subject(subject, now()).await.unwrap().into_iter().map(|(key, _)| key).collect()
}

async fn a_session_is_there_until_it_is_deleted(store: ShortLived) {
    let begun = now();
    assert!(!there(&store, &key(1)).await);
    assert_eq!(store.put_session(put(&key(1), "alice", begun)).await.unwrap().all, []);
    let stored = store.session(&key(1), now()).await.unwrap().unwrap();
    assert_eq!((stored.value.as_slice(), stored.seen), (b"sealed".as_slice(), begun));
    assert_eq!(listed(&store, "alice").await, [key(1)]);
    assert_eq!(listed(&store, "bob").await, []);
    assert_eq!(store.delete(&key(1)).await.unwrap(), [key(1)]);
    assert!(!there(&store, &key(1)).await);
    assert_eq!(listed(&store, "alice").await, []);
    assert_eq!(store.delete(&key(1)).await.unwrap(), [], "a second time there is nothing to end");
}

async fn a_session_is_forgotten_at_its_expiry(store: ShortLived) {
    let begun = now();
    let short = Duration::from_millis(300);
    store.put_session(PutSession { expires_at: begun.plus(short), ..put(&key(1), "alice", begun) }).await.unwrap();
    store.put_session(PutSession { ends_at: begun.plus(short), ..put(&key(2), "alice", begun) }).await.unwrap();
    store.put_session(put(&key(3), "alice", begun)).await.unwrap();
    until("both expire", Duration::from_secs(5), || async {
        (!there(&store, &key(1)).await && !there(&store, &key(2)).await).then_some(())
    })
    .await;
    assert_eq!(listed(&store, "alice").await, [key(3)]);
    assert_eq!(store.put_session(put(&key(4), "alice", now())).await.unwrap().all, [], "the expired do not count");
    store.clean(now()).await.unwrap();
    assert!(there(&store, &key(3)).await);
}

async fn rotation_ends_the_old_one_in_the_same_step(store: ShortLived) {
    store.put_session(put(&key(1), "alice", now())).await.unwrap();
    let ended =
        store.put_session(PutSession { replaces: Some(&key(1)), ..put(&key(2), "alice", now()) }).await.unwrap();
    assert_eq!((ended.all, ended.above_limit), (vec![key(1)], vec![]));
    assert!(!there(&store, &key(1)).await && there(&store, &key(2)).await);
    assert_eq!(listed(&store, "alice").await, [key(2)]);
    let ended = store.put_session(PutSession { replaces: Some(&key(1)), ..put(&key(3), "bob", now()) }).await.unwrap();
    assert_eq!(ended.all, [], "what is gone already does not stop a sign-in");
}

async fn a_session_goes_on_under_another_id_only_while_it_is_there(store: ShortLived) {
    let store = &store;
    let goes_on = |to: SessionKey, from: SessionKey| async move {
        store.put_session(PutSession { replaces: Some(&from), goes_on: true, ..put(&to, "alice", now()) }).await
    };
    store.put_session(put(&key(1), "alice", now())).await.unwrap();
    assert_eq!(goes_on(key(2), key(1)).await.unwrap().all, [key(1)]);
    store.delete(&key(2)).await.unwrap();
    let late = goes_on(key(3), key(2)).await;
    assert!(matches!(late, Err(StoreError::SessionGone)), "{late:?}");
    assert!(!there(store, &key(3)).await);
}

async fn the_oldest_end_above_the_limit(store: ShortLived) {
    let begun = now();
    for number in 1..=3 {
        let at = begun.plus(Duration::from_millis(number.into()));
        store.put_session(put(&key(number), "alice", at)).await.unwrap();
    }
    let later = begun.plus(Duration::from_millis(9));
    assert_eq!(store.put_session(put(&key(4), "alice", later)).await.unwrap().all, [key(1)]);
    assert_eq!(store.put_session(put(&key(5), "bob", later)).await.unwrap().all, [], "another subject");
    // By this node's clock the new session is the oldest; it is kept all the same.
    assert_eq!(store.put_session(put(&key(6), "alice", begun)).await.unwrap().above_limit, [key(2)]);
    assert!(there(&store, &key(6)).await);
    let parent = key(4);
    store.put_session(PutSession { parent: Some(&parent), ..put(&key(9), "alice", later) }).await.unwrap();
    let rotated =
        store.put_session(PutSession { replaces: Some(&parent), ..put(&key(7), "alice", later) }).await.unwrap();
    assert_eq!(rotated.all.len(), 2, "a child goes along");
    assert_eq!(rotated.above_limit, [], "who rotates makes room for themselves");
}

async fn twenty_at_once_keep_to_the_limit(store: ShortLived) {
    let puts = (1..=20).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.put_session(put(&key(number), "alice", now())).await.unwrap().all.len() })
    });
    let mut ended = 0;
    for put in puts.collect::<Vec<_>>() {
        ended += put.await.unwrap();
    }
    assert_eq!((ended, listed(&store, "alice").await.len()), (17, 3));
}

async fn a_touch_moves_forward_only_and_brings_nothing_back(store: ShortLived) {
    let begun = now();
    let later = begun.plus(Duration::from_secs(60));
    store.put_session(put(&key(1), "alice", begun)).await.unwrap();
    assert!(store.touch(&key(1), later, later.plus(HOUR)).await.unwrap());
    assert!(store.touch(&key(1), begun, begun.plus(HOUR)).await.unwrap());
    assert_eq!(store.session(&key(1), now()).await.unwrap().unwrap().seen, later);
    store.delete(&key(1)).await.unwrap();
    assert!(!store.touch(&key(1), later, later.plus(HOUR)).await.unwrap());
    assert!(!there(&store, &key(1)).await);
}

async fn children_end_with_their_parent_and_cannot_begin_after_it(store: ShortLived) {
    let parent = key(1);
    let store = &store;
    let child = |child| async move {
        store.put_session(PutSession { parent: Some(&parent), ..put(&key(child), "alice", now()) }).await
    };
    store.put_session(put(&parent, "alice", now())).await.unwrap();
    child(11).await.unwrap();
    child(12).await.unwrap();
    assert_eq!(listed(store, "alice").await, [key(1)], "children are not listed");
    assert_eq!(store.delete(&key(11)).await.unwrap(), [key(11)], "a child ends alone");
    let mut ended = store.delete(&key(1)).await.unwrap();
    ended.sort();
    assert_eq!(ended, [key(1), key(12)]);
    assert!(!there(store, &key(12)).await);
    let late = child(13).await;
    assert!(matches!(late, Err(StoreError::ParentGone)), "{late:?}");
    assert!(!there(store, &key(13)).await);
}

async fn all_of_a_subject_end_but_one(store: ShortLived) {
    for number in 1..=3 {
        store.put_session(put(&key(number), "alice", now())).await.unwrap();
    }
    store.put_session(put(&key(4), "bob", now())).await.unwrap();
    let mut ended = store.delete_of_subject("alice", Some(&key(2))).await.unwrap();
    ended.sort();
    assert_eq!(ended, [key(1), key(3)]);
    assert_eq!((listed(&store, "alice").await, listed(&store, "bob").await), (vec![key(2)], vec![key(4)]));
    assert_eq!(store.delete_of_subject("alice", None).await.unwrap(), [key(2)]);
}

async fn all_with_a_label_end_and_no_others(store: ShortLived) {
    let (realm_one, realm_two) = (b"one\0sid".to_vec(), b"two\0sid".to_vec());
    for (number, labels) in [(1, vec![realm_one.clone()]), (2, vec![realm_two.clone(), b"two\0sub".to_vec()])] {
        store.put_session(PutSession { labels: &labels, ..put(&key(number), "alice", now()) }).await.unwrap();
    }
    let (child, parent) = (key(11), key(1));
    store.put_session(PutSession { parent: Some(&parent), ..put(&child, "alice", now()) }).await.unwrap();
    assert_eq!(store.delete_labelled(b"three\0sid").await.unwrap(), []);
    let mut ended = store.delete_labelled(&realm_one).await.unwrap();
    ended.sort();
    assert_eq!(ended, [key(1), key(11)], "with its children");
    assert_eq!(listed(&store, "alice").await, [key(2)]);
    // A rotation takes the label along, and the old session leaves it.
    let labels = [realm_two.clone()];
    let (old, new) = (key(2), key(3));
    let rotated = PutSession { labels: &labels, replaces: Some(&old), ..put(&new, "alice", now()) };
    store.put_session(rotated).await.unwrap();
    assert_eq!(store.delete_labelled(b"two\0sub").await.unwrap(), [], "what ended is in no index");
    assert_eq!(store.delete_labelled(&realm_two).await.unwrap(), [key(3)]);
    assert_eq!(store.delete_labelled(&realm_two).await.unwrap(), []);
}

async fn of_twenty_who_take_one_wins(store: ShortLived) {
    assert!(store.put_once(b"ticket", b"value", HOUR, now()).await.unwrap());
    let takes = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.take(b"ticket", now()).await.unwrap() })
    });
    let mut taken = Vec::new();
    for take in takes.collect::<Vec<_>>() {
        taken.extend(take.await.unwrap());
    }
    assert_eq!(taken, [b"value"]);
}

async fn a_one_time_value_can_be_looked_at_without_taking_it(store: ShortLived) {
    assert_eq!(store.kept(b"aside", now()).await.unwrap(), None);
    assert!(store.put_once(b"aside", b"value", HOUR, now()).await.unwrap());
    for _ in 0..2 {
        assert_eq!(store.kept(b"aside", now()).await.unwrap().as_deref(), Some(&b"value"[..]));
    }
    assert_eq!(store.take(b"aside", now()).await.unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.kept(b"aside", now()).await.unwrap(), None);
}

async fn a_one_time_value_is_kept_once_and_not_for_ever(store: ShortLived) {
    let short = Duration::from_millis(300);
    assert!(store.put_once(b"code", b"one", short, now()).await.unwrap());
    assert!(!store.put_once(b"code", b"two", short, now()).await.unwrap(), "the name is taken");
    until("the name is free again", Duration::from_secs(5), || async {
        store.put_once(b"code", b"three", short, now()).await.unwrap().then_some(())
    })
    .await;
    until("it expires untaken", Duration::from_secs(5), || async {
        store.put_once(b"code", b"four", HOUR, now()).await.unwrap().then_some(())
    })
    .await;
    assert_eq!(store.take(b"code", now()).await.unwrap().unwrap(), b"four");
    assert_eq!(store.take(b"code", now()).await.unwrap(), None);
}

async fn a_counter_counts_to_its_window_and_starts_again(store: ShortLived) {
    let window = Duration::from_millis(400);
    let first = store.count(b"alice", window, now()).await.unwrap();
    let second = store.count(b"alice", window, now()).await.unwrap();
    assert_eq!((first, second), (1, 2));
    assert_eq!(store.count(b"bob", window, now()).await.unwrap(), 1);
    until("the window ends", Duration::from_secs(5), || async {
        tokio::time::sleep(window / 4).await;
        (store.count(b"alice", window, now()).await.unwrap() == 1).then_some(())
    })
    .await;
}

async fn a_meter_lets_a_burst_through_and_then_one_an_interval(store: ShortLived) {
    let (interval, burst) = (300_000, 3 * 300_000);
    let store = &store;
    let ask = |name: &'static [u8]| async move { store.meter(name, interval, burst, now()).await.unwrap() };
    let mut passed = 0;
    for _ in 0..6 {
        passed += usize::from(ask(b"alice").await.is_ok());
    }
    assert_eq!(passed, 3, "a burst at once and no more");
    let ahead = ask(b"alice").await.unwrap_err();
    assert!(ahead > burst - interval && ahead <= burst, "{ahead} microseconds are spoken for");
    assert!(ask(b"bob").await.is_ok(), "everybody has a meter of their own");
    until("one more is earned", Duration::from_secs(5), || async { ask(b"alice").await.ok() }).await;
    assert!(ask(b"alice").await.is_err(), "and only one");
}

async fn a_follower_hears_of_every_end(store: ShortLived) {
    let (told, mut heard) = tokio::sync::mpsc::channel(16);
    let follower = store.clone();
    let follow = tokio::spawn(async move { follower.follow(|notice| told.try_send(notice).unwrap()).await });
    assert_eq!(heard.recv().await, Some(Notice::Following));
    store.put_session(put(&key(1), "alice", now())).await.unwrap();
    store.put_session(PutSession { replaces: Some(&key(1)), ..put(&key(2), "alice", now()) }).await.unwrap();
    assert_eq!(heard.recv().await, Some(Notice::Ended(key(1))));
    store.delete(&key(2)).await.unwrap();
    assert_eq!(heard.recv().await, Some(Notice::Ended(key(2))));
    store.delete(&key(9)).await.unwrap();
    assert_eq!(heard.recv().await, Some(Notice::Ended(key(9))), "another node may still hold what the store has lost");
    follow.abort();
}

#[tokio::test]
async fn cleaning_removes_expired_rows_from_the_file_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(SessionStoreConfig::Sqlite(folder.path().join("s.db"))).await;
    let (begun, soon) = (now(), Duration::from_secs(1));
    for number in 0..200u32 {
        store.put_once(&number.to_be_bytes(), b"v", soon, begun).await.unwrap();
        store.count(&number.to_be_bytes(), soon, begun).await.unwrap();
    }
    assert_eq!(store.clean(begun).await.unwrap(), 0, "nothing has expired");
    assert_eq!(store.clean(begun.plus(2 * soon)).await.unwrap(), 400);
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let redis = Redis::start();
    let metrics = Arc::new(Metrics::new().unwrap());
    let mut bad = redis.config();
    bad.url = "127.0.0.1:6379".into();
    let opened = ShortLived::open(
        SessionStoreConfig::Redis(bad),
        Duration::from_millis(100),
        NameKey::new(&[5; 32]),
        metrics.clone(),
    );
    assert!(matches!(opened, Err(StoreError::Settings(_))));
    let file = SessionStoreConfig::Sqlite("/proc/no/such/folder/s.db".into());
    let opened = ShortLived::open(file, Duration::from_millis(100), NameKey::new(&[5; 32]), metrics);
    assert!(opened.unwrap_err().to_string().contains("/proc/no/such/folder/s.db cannot be used"));
}

fn sign_on<'a>(parent: &'a SessionKey, client: &'a str, key: &'a SessionKey, value: &'a [u8]) -> PutSignOn<'a> {
    PutSignOn { parent, client, key, value, ends_at: now().plus(HOUR) }
}

async fn a_sign_on_ends_with_its_session_and_is_told_once(store: ShortLived) {
    store.put_session(put(&key(1), "alice", now())).await.unwrap();
    let put_on =
        async |client, number, value| store.sign_on(sign_on(&key(1), client, &key(number), value), now()).await;
    assert_eq!(put_on("hall", 11, b"a").await.unwrap(), b"a");
    assert_eq!(put_on("hall", 12, b"b").await.unwrap(), b"a", "one for each client");
    assert_eq!(put_on("archive", 13, b"c").await.unwrap(), b"c");
    assert_eq!(store.signed_on(&key(11), now()).await.unwrap(), Some(key(1)));
    assert_eq!(store.signed_on(&key(12), now()).await.unwrap(), None);
    assert_eq!(store.sign_offs(10, now()).await.unwrap(), Vec::<Vec<u8>>::new());
    store.delete(&key(1)).await.unwrap();
    assert_eq!(store.signed_on(&key(11), now()).await.unwrap(), None);
    assert!(matches!(put_on("hall", 14, b"d").await, Err(StoreError::ParentGone)));
    let takers = (0..20).map(|_| store.sign_offs(1, now()));
    let taken: Vec<Vec<Vec<u8>>> = futures_util::future::try_join_all(takers).await.unwrap();
    let mut told: Vec<Vec<u8>> = taken.into_iter().flatten().collect();
    told.sort();
    assert_eq!(told, [b"a", b"c"], "each once, whoever comes");
}

async fn sign_ons_go_over_to_the_session_that_replaces_theirs(store: ShortLived) {
    store.put_session(put(&key(1), "alice", now())).await.unwrap();
    store.sign_on(sign_on(&key(1), "hall", &key(11), b"a"), now()).await.unwrap();
    let (one, two) = (key(1), key(2));
    let replacing = PutSession { replaces: Some(&one), carries: true, ..put(&two, "alice", now()) };
    store.put_session(replacing).await.unwrap();
    assert_eq!(store.signed_on(&key(11), now()).await.unwrap(), Some(key(2)));
    assert_eq!(store.sign_on(sign_on(&key(2), "hall", &key(12), b"b"), now()).await.unwrap(), b"a");
    assert!(store.sign_offs(10, now()).await.unwrap().is_empty());
    store.put_session(PutSession { replaces: Some(&key(2)), ..put(&key(3), "bob", now()) }).await.unwrap();
    assert_eq!(store.sign_offs(10, now()).await.unwrap(), [b"a"]);
}
