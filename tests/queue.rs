//! A platform at its cap: who waits for a place, who is refused at once, and how a wait ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::support::citizen::{Answer, Citizen};
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::window::ZHANG;

const WAITING: &str = "yimen_platform_waiting_requests";

/// A gateway before a platform that takes one request at a time and hangs; a stranger's request has the place.
struct Full {
    gateway: Gateway,
    hanging: FaultyPlatform,
    person: Arc<Citizen>,
    under_way: JoinHandle<Answer>,
}

impl Full {
    async fn open(wait_ms: i64, queue_max: i64) -> Self {
        let hanging = FaultyPlatform::start(Mood::Silent);
        let gateway = Gateway::with(|setup| {
            setup.set("limits.queue_wait_ms", wait_ms);
            setup.set("limits.platform_queue_max", queue_max);
            let filing = Filing::of("hanging", "330000").with("inflight_max = 1").at(hanging.address);
            setup.filings = vec![filing.path("/hanging/", "access = \"optional\"")];
        })
        .await;
        gateway.add_account(ZHANG.0, ZHANG.1, "L3");
        let person = Arc::new(Citizen::of(&gateway));
        person.sign_in(ZHANG.0, ZHANG.1).await;
        let stranger = Citizen::of(&gateway);
        let under_way = tokio::spawn(async move { stranger.get("/hanging/").await });
        gateway.metric_reaches("yimen_platform_inflight_requests", "platform=\"hanging\"", 1.0).await;
        Self { gateway, hanging, person, under_way }
    }

    /// The signed-in person asks, and the gateway lets the request wait.
    async fn waits(&self, method: Method, waiting: f64) -> JoinHandle<Answer> {
        let person = Arc::clone(&self.person);
        let asked = tokio::spawn(async move {
            let request = person.request(method, "/hanging/").header("accept", "application/json");
            person.send(request).await
        });
        self.gateway.metric_reaches(WAITING, "platform=\"hanging\"", waiting).await;
        asked
    }

    async fn shed(&self, priority: &str) -> f64 {
        self.gateway.metric("yimen_shed_total", &format!("priority=\"{priority}\"")).await
    }
}

#[tokio::test]
async fn people_who_are_signed_in_wait_while_assets_and_strangers_are_refused_at_once() {
    let full = Full::open(20_000, 100).await;
    let waiting = full.waits(Method::GET, 1.0).await;
    let start = Instant::now();
    Citizen::of(&full.gateway).get("/hanging/").await.is_problem(503, "platform-busy");
    let asset = full.person.request(Method::GET, "/hanging/").header("sec-fetch-dest", "image");
    let asset = full.person.send(asset.header("accept", "application/json")).await;
    asset.is_problem(503, "platform-busy");
    assert_eq!(asset.header("retry-after"), "5");
    assert!(start.elapsed() < Duration::from_secs(5), "at once");
    full.hanging.becomes(Mood::Answering);
    assert_eq!(full.under_way.await.unwrap().status, 200);
    waiting.await.unwrap().has_status(200);
    let gateway = &full.gateway;
    assert_eq!(gateway.metric(WAITING, "").await, 0.0);
    assert_eq!(gateway.metric("yimen_platform_inflight_requests", "platform=\"hanging\"").await, 0.0);
    assert_eq!(gateway.metric("yimen_queue_wait_seconds_count", "").await, 1.0);
    let shed = gateway.metric("yimen_shed_total", "priority=\"a").await;
    assert_eq!(shed, 2.0, "an asset and an anonymous one");
}

#[tokio::test]
async fn a_wait_has_an_end_and_the_last_of_the_queue_is_for_people_in_the_middle_of_a_case() {
    let full = Full::open(2000, 4).await;
    let mut waiting = Vec::new();
    for number in 1..=3 {
        waiting.push(full.waits(Method::GET, f64::from(number)).await);
    }
    let start = Instant::now();
    full.person.get("/hanging/").await.is_problem(503, "platform-busy");
    assert!(start.elapsed() < Duration::from_millis(1500), "the queue is full for one who reads");
    waiting.push(full.waits(Method::POST, 4.0).await);
    for asked in waiting {
        let answer = asked.await.unwrap();
        answer.is_problem(503, "platform-busy");
        assert!(
            answer.took >= Duration::from_millis(1900) && answer.took < Duration::from_secs(8),
            "{:?}",
            answer.took
        );
    }
    assert_eq!((full.shed("signed_in").await, full.shed("submitting").await), (4.0, 1.0));
    assert_eq!(full.hanging.received(), 1, "what was refused never reached it");
    full.under_way.abort();
}
