//! What is tried again, and what never is, at platforms that close connections at random places.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;

use crate::support::citizen::Citizen;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::free_port;
use crate::support::gateway::Gateway;

const RETRIES: &str = "yimen_upstream_retries_total";

async fn gateway(addresses: &[std::net::SocketAddr]) -> Gateway {
    Gateway::with(|setup| {
        let filing = Filing::of("faulty", "330000").path("/faulty/", "access = \"open\"");
        setup.filings = vec![addresses.iter().fold(filing, |filing, address| filing.at(*address))];
    })
    .await
}

/// How many requests the long tests send: some thousand, or what `YIMEN_TEST_REQUESTS` says (100000 takes a few minutes).
#[allow(clippy::disallowed_methods, reason = "a test has no configuration file")]
fn requests() -> usize {
    std::env::var("YIMEN_TEST_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000)
}

/// Sends that many from a crowd, each to a path of its own; the numbers of those that were answered 200 by the platform.
async fn crowd_sends(gateway: &Gateway, method: Method, count: usize) -> Vec<usize> {
    const PEOPLE: usize = 16;
    let sent = Arc::new(AtomicUsize::new(0));
    let people = (0..PEOPLE).map(|_| {
        let citizen = Citizen::of_http1(gateway);
        let (sent, method) = (Arc::clone(&sent), method.clone());
        tokio::spawn(async move {
            let (mut good, mut number) = (Vec::new(), sent.fetch_add(1, Ordering::SeqCst));
            while number < count {
                let request =
                    citizen.request(method.clone(), &format!("/faulty/{number}")).timeout(Duration::from_secs(20));
                let request = if method == Method::POST { request.body("case=1") } else { request };
                // An answer that broke off in its body ends the connection: an error here, and the right thing.
                if request.send().await.is_ok_and(|answer| answer.status() == 200) {
                    good.push(number);
                }
                number = sent.fetch_add(1, Ordering::SeqCst);
            }
            good
        })
    });
    let mut good = Vec::new();
    for person in people.collect::<Vec<_>>() {
        good.extend(person.await.unwrap());
    }
    good
}

#[tokio::test]
async fn a_post_is_never_sent_twice_wherever_connections_are_closed() {
    let platform = FaultyPlatform::start(Mood::Random);
    let gateway = gateway(&[platform.address]).await;
    let count = requests();
    let good = crowd_sends(&gateway, Method::POST, count).await;
    let targets = platform.targets();
    let twice: Vec<_> = targets.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    for number in &good {
        assert_eq!(targets.get(&format!("POST /faulty/{number} HTTP/1.1")), Some(&1), "answered, so received once");
    }
    // The others broke off, or never got there: sent into a connection that was closing.
    assert!(good.len() > count / 2, "{} of {count} answered, {} received", good.len(), platform.posts());
    assert_eq!(gateway.metric(RETRIES, "").await, 0.0, "not one was tried again");
}

#[tokio::test]
async fn a_get_that_was_cut_off_is_tried_again_within_the_budget() {
    let platform = FaultyPlatform::start(Mood::Random);
    let gateway = gateway(&[platform.address]).await;
    let count = requests();
    let good = crowd_sends(&gateway, Method::GET, count).await;
    let retried = |reason: &'static str| {
        let gateway = &gateway;
        async move { gateway.metric(RETRIES, reason).await }
    };
    let (reset, stale) = (retried("reset").await, retried("stale").await);
    assert!(reset + stale > 0.0);
    let budget = 100.0 + 10.0 + count as f64 / 10.0;
    assert!(reset + stale <= budget, "{reset} + {stale} of {count}");
    assert!(platform.received() as f64 <= count as f64 + budget, "{} received", platform.received());
    assert!(good.len() > count * 8 / 10, "{} of {count}", good.len());
}

#[tokio::test]
async fn a_platform_that_cuts_everything_off_is_asked_hardly_more_often_than_people_ask() {
    let platform = FaultyPlatform::start(Mood::Closing);
    let gateway = gateway(&[platform.address]).await;
    let citizen = Citizen::of(&gateway);
    citizen.get("/faulty/").await.is_problem(502, "platform-reset");
    assert_eq!(platform.received(), 3, "one try and two more");
    let asked = 50;
    for _ in 0..asked {
        let answer = citizen.get("/faulty/").await;
        assert!([502, 503].contains(&answer.status), "{}", answer.status);
    }
    assert!(platform.received() <= 3 + 5, "the breaker spares it: {}", platform.received());
}

#[tokio::test]
async fn what_was_not_sent_yet_goes_to_the_next_instance_whatever_it_is() {
    let platform = FaultyPlatform::start(Mood::Answering);
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gateway = gateway(&[nobody, platform.address]).await;
    let citizen = Citizen::of(&gateway);
    for _ in 0..20 {
        let post = citizen.request(Method::POST, "/faulty/").header("accept", "application/json").body("case=1");
        citizen.send(post).await.has_status(200);
    }
    assert_eq!(platform.posts(), 20);
    assert!(gateway.metric(RETRIES, "reason=\"connect\"").await >= 5.0);
    assert_eq!(gateway.metric("yimen_upstream_healthy", &nobody.to_string()).await, 0.0);
}

#[tokio::test]
async fn kept_connections_that_all_ended_at_once_cost_a_get_nothing() {
    let platform = FaultyPlatform::start(Mood::Answering);
    let gateway = gateway(&[platform.address]).await;
    let citizen = Citizen::of(&gateway);
    citizen.get("/faulty/").await.has_status(200);
    // Takes the request on the kept connection, closes; the second try comes over a new one, by then in health.
    platform.closes_once();
    citizen.get("/faulty/").await.has_status(200);
    assert_eq!(gateway.metric(RETRIES, "").await, 1.0, "stale, or reset where the frame did not use the kept one");
    platform.closes_once();
    let put = citizen.request(Method::PUT, "/faulty/").body("x".repeat(1000));
    citizen.send(put).await.has_status(200);
    assert_eq!(gateway.metric(RETRIES, "").await, 2.0);
}
