//! The waiting room before a platform that is full: people come in in the order in which they came, and nobody else comes by it.

use tokio::task::JoinHandle;

use crate::support::citizen::{Answer, Citizen};
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;

const TICKET: &str = "__Host-yimen-turn-hanging";

/// A gateway before a platform that takes one request at a time, and has it.
struct Full {
    gateway: Gateway,
    hanging: FaultyPlatform,
    under_way: JoinHandle<Answer>,
}

impl Full {
    async fn open(room_max: i64) -> Self {
        let hanging = FaultyPlatform::start(Mood::Silent);
        let gateway = Gateway::with(|setup| {
            setup.set("limits.waiting_room_max", room_max);
            let filing = Filing::of("hanging", "330000").with("inflight_max = 1").at(hanging.address);
            setup.filings = vec![filing.path("/hanging/", "access = \"open\"")];
        })
        .await;
        let first = Citizen::of(&gateway);
        let under_way = tokio::spawn(async move { first.get("/hanging/").await });
        gateway.metric_reaches("yimen_platform_inflight_requests", "platform=\"hanging\"", 1.0).await;
        Self { gateway, hanging, under_way }
    }

    /// Somebody who opens the page and has to wait behind so many.
    async fn waits_behind(&self, ahead: usize) -> Citizen {
        let citizen = Citizen::of(&self.gateway);
        is_in_line(&citizen.visit("/hanging/").await, ahead);
        citizen
    }

    /// The one request under way is answered, and so are all that follow.
    async fn opens(&mut self) {
        self.hanging.becomes(Mood::Answering);
        (&mut self.under_way).await.unwrap().has_status(200);
        let free = || async {
            (self.gateway.metric("yimen_platform_inflight_requests", "platform=\"hanging\"").await < 1.0).then_some(())
        };
        crate::support::until("the place is free", std::time::Duration::from_secs(5), free).await;
    }

    async fn outcome(&self, word: &str) -> f64 {
        self.gateway.metric("yimen_waiting_room_total", &format!("outcome=\"{word}\"")).await
    }
}

/// The page of the waiting room, which asks again by itself.
#[track_caller]
fn is_in_line(page: &Answer, ahead: usize) {
    page.has_status(503);
    assert_eq!(page.header("yimen-error"), "waiting-room");
    assert_eq!((page.header("retry-after"), page.header("refresh")), ("3", "3"));
    assert!(page.body.contains("您正在排队"), "{}", page.body);
    assert!(page.body.contains(&format!("<strong>{ahead}</strong>")), "not behind {ahead}: {}", page.body);
    let cookie = page.header("set-cookie");
    assert!(cookie.starts_with(TICKET) && cookie.contains("; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(page.header("cache-control"), "no-store");
}

#[tokio::test]
async fn people_come_in_in_the_order_in_which_they_came() {
    let mut full = Full::open(100).await;
    let (first, second, third) = (full.waits_behind(0).await, full.waits_behind(1).await, full.waits_behind(2).await);
    let ticket = first.cookie(TICKET).unwrap();
    is_in_line(&first.visit("/hanging/").await, 0);
    assert_eq!(first.cookie(TICKET).unwrap(), ticket, "asking again changes nothing");
    assert_eq!(full.gateway.metric("yimen_waiting_room_people", "platform=\"hanging\"").await, 3.0);

    full.opens().await;
    is_in_line(&third.visit("/hanging/").await, 2);
    is_in_line(&Citizen::of(&full.gateway).visit("/hanging/").await, 3);
    is_in_line(&second.visit("/hanging/").await, 1);
    first.visit("/hanging/").await.has_status(200);
    second.visit("/hanging/").await.has_status(200);
    third.visit("/hanging/").await.has_status(200);
    assert_eq!((full.outcome("entered").await, full.outcome("admitted").await), (4.0, 3.0));
    assert_eq!(full.gateway.metric("yimen_waiting_room_people", "platform=\"hanging\"").await, 1.0);
}

#[tokio::test]
async fn no_ticket_but_ones_own_unused_one_gets_anybody_ahead() {
    let mut full = Full::open(100).await;
    let (first, _second) = (full.waits_behind(0).await, full.waits_behind(1).await);
    let used = first.cookie(TICKET).unwrap();
    let forger = Citizen::of(&full.gateway);
    for forged in [format!("B{}", &used[1..]), "A".repeat(64), used[..40].to_owned(), String::from("x")] {
        forger.set_cookie(TICKET, &forged);
        let page = forger.visit("/hanging/").await;
        assert_eq!(page.header("yimen-error"), "waiting-room");
        assert!(!page.body.contains("<strong>0</strong>"), "{}", page.body);
    }
    full.opens().await;
    first.visit("/hanging/").await.has_status(200);
    first.set_cookie(TICKET, &used);
    let again = first.visit("/hanging/").await;
    assert_eq!(again.header("yimen-error"), "waiting-room", "a ticket is good once");
    assert_ne!(first.cookie(TICKET).unwrap(), used);
}

#[tokio::test]
async fn programs_are_told_at_once_and_platforms_see_no_ticket() {
    let mut full = Full::open(100).await;
    let program = Citizen::of(&full.gateway);
    let refused = program.get("/hanging/").await;
    refused.is_problem(503, "platform-busy");
    assert_eq!((refused.header("retry-after"), refused.header("set-cookie")), ("5", ""));
    let framed = program.request(reqwest::Method::GET, "/hanging/").header("accept", "text/html");
    let framed = program.send(framed.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe")).await;
    assert_eq!(framed.header("yimen-error"), "platform-busy", "a page within another one");
    let person = full.waits_behind(0).await;
    full.opens().await;
    program.get("/hanging/").await.has_status(200);
    person.visit("/hanging/").await.has_status(200);
}

#[tokio::test]
async fn a_room_has_an_end() {
    let full = Full::open(2).await;
    let (_first, _second) = (full.waits_behind(0).await, full.waits_behind(1).await);
    for _ in 0..20 {
        let page = Citizen::of(&full.gateway).visit("/hanging/").await;
        page.has_status(503);
        assert_eq!((page.header("yimen-error"), page.header("set-cookie")), ("platform-busy", ""));
    }
    assert_eq!(full.gateway.metric("yimen_waiting_room_people", "platform=\"hanging\"").await, 2.0);
    assert_eq!(full.outcome("full").await, 20.0);
    full.under_way.abort();
}
