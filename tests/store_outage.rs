//! Redis goes away: people who are signed in go on for a while, nobody is signed out, nobody waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::SET_COOKIE;

use crate::support::citizen::{Answer, Citizen, SESSION_COOKIE};
use crate::support::redis::Redis;
use crate::support::until;
use crate::support::window::{NOTARY, QUALIFICATION, Window, ZHANG};

/// The most that a request may wait for the store, with what the gateway and the platform take themselves.
const WAIT_MAX: Duration = Duration::from_millis(200);
/// The grace of these tests: long enough to see it, short enough to see its end.
const GRACE: Duration = Duration::from_secs(4);
/// How long a node uses a session without asking the store again.
const CACHE_LIFE: Duration = Duration::from_secs(1);

async fn window(redis: &Redis) -> Window {
    Window::with(|setup| {
        setup.set("stores.sessions", redis.config().url);
        setup.set("session.cache_seconds", i64::try_from(CACHE_LIFE.as_secs()).unwrap());
        setup.set("session.grace_seconds", i64::try_from(GRACE.as_secs()).unwrap());
    })
    .await
}

fn notary() -> String {
    format!("/s/330106/{NOTARY}/")
}

/// Asks without a pause until told to stop; every answer.
fn load(citizen: Arc<Citizen>, path: String, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<Answer>> {
    tokio::spawn(async move {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            answers.push(citizen.get(&path).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        answers
    })
}

/// What happens between the store's going and its coming back, however it goes.
async fn outage(mut redis: Redis, goes: impl FnOnce(&mut Redis), comes_back: impl FnOnce(&mut Redis)) {
    let window = window(&redis).await;
    let citizen = Arc::new(window.signed_in().await);
    citizen.get(&notary()).await.came_from("hangzhou");

    let stop = Arc::new(AtomicBool::new(false));
    let signed_in: Vec<_> = (0..8).map(|_| load(Arc::clone(&citizen), notary(), Arc::clone(&stop))).collect();
    let open_to_all = format!("/s/330106/{QUALIFICATION}/");
    let public = load(Arc::new(window.citizen()), open_to_all, Arc::clone(&stop));
    let gone_at = Instant::now();
    tokio::task::block_in_place(|| goes(&mut redis));

    // Within the grace everything goes on; after it the store's absence is told, never a sign-out.
    let refused = || async { (citizen.get(&notary()).await.status == 503).then_some(()) };
    until("the grace ends", Duration::from_secs(15), refused).await;
    // Counted from the store's last word, which is at most the life of the cache old.
    assert!(gone_at.elapsed() + CACHE_LIFE >= GRACE, "people were refused after {:?}", gone_at.elapsed());
    let told = citizen.get(&notary()).await;
    told.is_problem(503, "session-store-away");
    assert_ne!(told.header("retry-after"), "");
    citizen.visit(&notary()).await.has_status(503); // a page is not sent to sign-in either

    tokio::task::block_in_place(|| comes_back(&mut redis));
    let served = || async { (citizen.get(&notary()).await.status == 200).then_some(()) };
    until("it recovers without a restart", Duration::from_secs(10), served).await;
    stop.store(true, Ordering::Relaxed);

    let mut statuses = BTreeMap::new();
    for load in signed_in {
        for answer in load.await.unwrap() {
            *statuses.entry(answer.status).or_insert(0) += 1;
            assert_eq!(answer.headers.get(SET_COOKIE), None, "a cookie was touched while the store was away");
            assert!(answer.took < WAIT_MAX, "a request waited {:?} ({})", answer.took, answer.status);
        }
    }
    assert!(statuses.keys().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    assert!(statuses[&200] > 100, "people within the grace went on: {statuses:?}");
    assert!(public.await.unwrap().iter().all(|answer| answer.status == 200), "a route open to everybody was harmed");
    assert!(citizen.cookie(SESSION_COOKIE).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_under_load_signs_nobody_out_and_makes_nobody_wait() {
    outage(Redis::start(), Redis::stop, Redis::restart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_that_accepts_and_never_answers_makes_nobody_wait_either() {
    outage(Redis::start(), |redis| redis.cut(), |redis| redis.restore()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_surely_enough_on_the_word_of_a_cache() {
    let mut redis = Redis::start();
    let window = window(&redis).await;
    let citizen = window.signed_in_surely().await; // L3
    citizen.get("/hangzhou/strict/").await.came_from("hangzhou");
    tokio::task::block_in_place(|| redis.stop());
    // Its cached session is one second old at most; after that a route that asks for L3 asks the store, grace or not.
    let refused = || async { (citizen.get("/hangzhou/strict/").await.status == 503).then_some(()) };
    until("the strict route refuses", Duration::from_secs(3), refused).await;
    citizen.get("/hangzhou/strict/").await.is_problem(503, "session-store-away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_at_the_start_the_open_routes_are_served() {
    let mut redis = Redis::start();
    let url = redis.config().url;
    tokio::task::block_in_place(|| redis.stop());
    let window = Window::with(|setup| setup.set("stores.sessions", url)).await;
    let citizen = window.citizen();
    citizen.get("/hangzhou/small/").await.came_from("hangzhou");
    citizen.visit("/").await.has_status(200);
    let page = citizen.try_sign_in(ZHANG.0, ZHANG.1, "/").await;
    assert_eq!((page.status, page.header("retry-after").is_empty()), (503, false), "{}", page.body);
    tokio::task::block_in_place(|| redis.restart());
    let signed_in = || async { (citizen.try_sign_in(ZHANG.0, ZHANG.1, "/").await.status == 303).then_some(()) };
    until("people can sign in", Duration::from_secs(10), signed_in).await;
}
