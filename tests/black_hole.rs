//! Ten platforms, one of them a black hole: its own callers are told at its deadline, then at once; nobody else notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::support::citizen::{Answer, Citizen};
use crate::support::faulty::{FaultyPlatform, Mood, Unreachable};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::until;

const FIRST_BYTE: Duration = Duration::from_millis(500);
const OTHERS: usize = 9;
const HEALTHY: &str = "yimen_upstream_healthy";

async fn gateway(dead: SocketAddr, others: &FaultyPlatform) -> Gateway {
    Gateway::with(|setup| {
        let deadlines = format!(
            "access = \"open\"\n[route.deadlines]\nconnect_ms = {0}\nfirst_byte_ms = {0}",
            FIRST_BYTE.as_millis()
        );
        setup.filings = (0..OTHERS)
            .map(|n| {
                let path = format!("/other-{n}/");
                Filing::of(&format!("other-{n}"), "330000").at(others.address).path(&path, "access = \"open\"")
            })
            .collect();
        setup.filings.push(Filing::of("dead", "330000").at(dead).path("/dead/", &deadlines));
    })
    .await
}

/// People at the nine others, until they are told to stop; each wants nothing but 200.
struct Crowd {
    stop: Arc<AtomicBool>,
    people: Vec<JoinHandle<usize>>,
    served: Arc<AtomicUsize>,
}

impl Crowd {
    fn at(gateway: &Gateway) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let people = (0..OTHERS).map(|n| {
            let (citizen, stop, served) = (Citizen::of(gateway), Arc::clone(&stop), Arc::clone(&served));
            tokio::spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::SeqCst) {
                    citizen.get(&format!("/other-{n}/")).await.has_status(200);
                    count += 1;
                    served.fetch_add(1, Ordering::SeqCst);
                }
                count
            })
        });
        Self { people: people.collect(), stop, served }
    }

    async fn goes_home(self) {
        self.stop.store(true, Ordering::SeqCst);
        for person in self.people {
            assert!(person.await.expect("everybody had 200") > 0);
        }
    }
}

/// Many ask the dead platform at one moment.
async fn all_ask(gateway: &Gateway, count: usize) -> Vec<Answer> {
    let citizen = Arc::new(Citizen::of(gateway));
    let asked = (0..count).map(|_| {
        let citizen = Arc::clone(&citizen);
        tokio::spawn(async move { citizen.get("/dead/").await })
    });
    let mut answers = Vec::new();
    for answer in asked.collect::<Vec<_>>() {
        answers.push(answer.await.unwrap());
    }
    answers
}

async fn is_told_at_the_deadline_and_then_at_once(gateway: &Gateway) {
    let crowd = Crowd::at(gateway);
    for answer in all_ask(gateway, 30).await {
        answer.is_problem(504, "platform-timeout");
        assert!(answer.took >= FIRST_BYTE && answer.took < 6 * FIRST_BYTE, "{:?}", answer.took);
    }
    let start = Instant::now();
    for answer in all_ask(gateway, 30).await {
        answer.is_problem(503, "no-instance");
        assert_eq!(answer.header("retry-after"), "10");
    }
    assert!(start.elapsed() < FIRST_BYTE, "nobody waits for a breaker that is open: {:?}", start.elapsed());
    let before = crowd.served.load(Ordering::SeqCst);
    let more = || async { (crowd.served.load(Ordering::SeqCst) > before + OTHERS).then_some(()) };
    until("the others go on", Duration::from_secs(10), more).await;
    crowd.goes_home().await;
    assert_eq!(gateway.metric(HEALTHY, "platform=\"dead\"").await, 0.0);
    assert_eq!(gateway.metric(HEALTHY, "platform=\"other").await, OTHERS as f64);
}

#[tokio::test]
async fn a_silent_platform_costs_its_callers_a_deadline_and_the_others_nothing_and_one_trial_brings_it_back() {
    let (dead, others) = (FaultyPlatform::start(Mood::Silent), FaultyPlatform::start(Mood::Answering));
    let gateway = gateway(dead.address, &others).await;
    is_told_at_the_deadline_and_then_at_once(&gateway).await;
    let received = dead.received();
    dead.becomes(Mood::Answering);
    let citizen = Citizen::of(&gateway);
    let trial = || async { Some(citizen.get("/dead/").await).filter(|answer| answer.status == 200) };
    until("one trial closes the breaker", Duration::from_secs(15), trial).await;
    assert_eq!(dead.received(), received + 1, "nobody but the trial came to it");
    for answer in all_ask(&gateway, 10).await {
        answer.has_status(200);
    }
    assert_eq!(gateway.metric(HEALTHY, "platform=\"dead\"").await, 1.0);
}

#[tokio::test]
async fn a_platform_that_takes_no_connection_is_the_same_to_its_callers() {
    let (dead, others) = (Unreachable::start(), FaultyPlatform::start(Mood::Answering));
    let gateway = gateway(dead.address, &others).await;
    is_told_at_the_deadline_and_then_at_once(&gateway).await;
    assert!(gateway.metric("yimen_upstream_requests_total", "result=\"timeout\"").await >= 30.0);
}
