//! A gateway at the end of what it takes: who is refused first, and who last.

use std::sync::Arc;

use reqwest::Method;
use tokio::task::JoinHandle;

use crate::support::citizen::{Answer, Citizen, SESSION_COOKIE};
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::window::ZHANG;

const UNDER_WAY: &str = "yimen_platform_inflight_requests";

/// A gateway for twenty requests at a time before a platform that hangs.
struct Crowd {
    gateway: Gateway,
    under_way: Vec<JoinHandle<Answer>>,
}

fn asks(citizen: &Citizen, method: Method) -> reqwest::RequestBuilder {
    citizen.request(method, "/hanging/").header("accept", "application/json")
}

impl Crowd {
    /// One more of this person's requests, which hangs.
    async fn enters(&mut self, citizen: &Arc<Citizen>, method: Method) {
        let citizen = Arc::clone(citizen);
        self.under_way.push(tokio::spawn(async move { citizen.send(asks(&citizen, method)).await }));
        let count = u32::try_from(self.under_way.len()).unwrap();
        self.gateway.metric_reaches(UNDER_WAY, "platform=\"hanging\"", count.into()).await;
    }

    async fn shed(&self) -> [f64; 4] {
        let mut shed = [0.0; 4];
        for (count, priority) in shed.iter_mut().zip(["asset", "anonymous", "signed_in", "submitting"]) {
            *count = self.gateway.metric("yimen_shed_total", &format!("priority=\"{priority}\"")).await;
        }
        shed
    }
}

#[tokio::test]
async fn assets_are_shed_first_and_people_in_the_middle_of_a_case_last() {
    let hanging = FaultyPlatform::start(Mood::Silent);
    let gateway = Gateway::with(|setup| {
        setup.set("limits.inflight_max", 20);
        setup.filings =
            vec![Filing::of("hanging", "330000").at(hanging.address).path("/hanging/", "access = \"optional\"")];
    })
    .await;
    gateway.add_account(ZHANG.0, ZHANG.1, "L3");
    let (stranger, person) = (Arc::new(Citizen::of(&gateway)), Arc::new(Citizen::of(&gateway)));
    person.sign_in(ZHANG.0, ZHANG.1).await;
    let mut crowd = Crowd { gateway, under_way: Vec::new() };

    for _ in 0..16 {
        crowd.enters(&stranger, Method::GET).await;
    }
    let asset = person.send(asks(&person, Method::GET).header("sec-fetch-dest", "image")).await;
    asset.is_problem(503, "overloaded");
    assert_eq!(asset.header("retry-after"), "5");
    for _ in 0..2 {
        crowd.enters(&stranger, Method::GET).await;
    }
    stranger.get("/hanging/").await.is_problem(503, "overloaded");
    let pretender = Citizen::of(&crowd.gateway);
    pretender.set_cookie(SESSION_COOKIE, &"A".repeat(43));
    pretender.get("/hanging/").await.is_problem(503, "overloaded");
    crowd.enters(&person, Method::GET).await;
    person.get("/hanging/").await.is_problem(503, "overloaded");
    crowd.enters(&person, Method::POST).await;
    person.send(asks(&person, Method::POST)).await.is_problem(503, "overloaded");

    assert_eq!(crowd.shed().await, [1.0, 2.0, 1.0, 1.0]);
    assert_eq!(hanging.received(), 20, "what is refused never reaches it");
    hanging.becomes(Mood::Answering);
    for asked in std::mem::take(&mut crowd.under_way) {
        asked.await.unwrap().has_status(200);
    }
    stranger.get("/hanging/").await.has_status(200);
}
