//! How often somebody may ask: by whom it is counted, what is said, and what happens while the store is away.

use crate::support::redis::Redis;
use crate::support::window::{NOTARY, QUALIFICATION, Window, ZHANG};

const BY_ADDRESS: &str =
    "[[rate]]\nname = \"visits\"\nby = \"address\"\nrequests = 3\nper_seconds = 3600\nplatforms = [\"ministry\"]\n";

fn open_to_all() -> String {
    format!("/s/330106/{QUALIFICATION}/")
}

fn notary() -> String {
    format!("/s/330106/{NOTARY}/")
}

#[tokio::test]
async fn an_address_is_told_how_much_is_left_and_then_to_wait() {
    let window = Window::with(|setup| {
        setup.set("public.trusted_proxies", ["127.0.0.0/8"].into_iter().collect::<toml_edit::Array>());
        setup.more = BY_ADDRESS.to_owned();
    })
    .await;
    let citizen = window.citizen();
    let from = |address: &str| citizen.request(reqwest::Method::GET, &open_to_all()).header("x-forwarded-for", address);
    for left in [2, 1, 0] {
        let answer = citizen.send(from("203.0.113.7")).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"visits\";q=3;w=3600");
        let said = answer.has_status(200).header("ratelimit");
        assert!(said.starts_with(&format!("\"visits\";r={left};t=")), "{said}");
    }
    let refused = citizen.send(from("203.0.113.7")).await;
    refused.is_problem(429, "rate-limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1100..=1200).contains(&wait), "a twenty-minute interval, {wait} s left of it");
    assert!(refused.header("ratelimit").starts_with("\"visits\";r=0;t="));
    citizen.send(from("203.0.113.8")).await.has_status(200);
    for host in 1..=4 {
        let neighbour = citizen.send(from(&format!("2001:db8::{host}"))).await;
        neighbour.has_status(if host <= 3 { 200 } else { 429 }); // one household, one meter
    }
    assert_eq!(window.gateway.metric("yimen_rate_limited_total", "policy=\"visits\"").await, 2.0);
    citizen.get("/").await.has_status(200); // another platform, the portal's own
}

#[tokio::test]
async fn a_person_is_counted_in_all_sessions_and_strangers_are_not() {
    let window = Window::with(|setup| {
        setup.more = "[[rate]]\nname = \"cases\"\nby = \"person\"\nrequests = 2\nper_seconds = 3600\nplatforms = [\"hangzhou\"]\n".to_owned();
    })
    .await;
    let (phone, desk) = (window.signed_in().await, window.signed_in().await);
    phone.get(&notary()).await.has_status(200);
    desk.get(&notary()).await.has_status(200);
    phone.get(&notary()).await.is_problem(429, "rate-limited");
    for _ in 0..4 {
        window.citizen().get("/hangzhou/").await.has_status(200);
    }
    let other = ("li", "a wooden boat upstream 7");
    window.gateway.add_account(other.0, other.1, "L3");
    assert_ne!(other.0, ZHANG.0);
    let citizen = window.citizen();
    citizen.sign_in(other.0, other.1).await;
    citizen.get(&notary()).await.has_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_away_a_shared_policy_does_as_it_says() {
    for (when_away, then) in [("local", 429), ("allow", 200), ("refuse", 503)] {
        let mut redis = Redis::start();
        let policy =
            BY_ADDRESS.replace("requests = 3", &format!("requests = 3\nshared = true\nwhen_away = \"{when_away}\""));
        let window = Window::with(|setup| {
            setup.set("stores.sessions", redis.config().url);
            setup.more = policy;
        })
        .await;
        let citizen = window.citizen();
        citizen.get(&open_to_all()).await.has_status(200);
        assert!(redis.ask(&["KEYS", "yimen:rate:*"]).contains("yimen:rate:"), "it is counted there");
        tokio::task::block_in_place(|| redis.stop());
        let mut last = 0;
        for _ in 0..5 {
            last = citizen.get(&open_to_all()).await.status;
        }
        assert_eq!(last, then, "{when_away}");
    }
}
