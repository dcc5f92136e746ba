//! One platform's requests under way have a cap of their own.

use std::sync::Arc;

use crate::support::citizen::Citizen;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;

const INFLIGHT: &str = "yimen_platform_inflight_requests";

/// A gateway before a platform that hangs, with `cap` written into its filing, and one that answers.
async fn gateway(hanging: &FaultyPlatform, cap: &str, limit: i64) -> Gateway {
    let healthy = RecordingPlatform::start();
    Gateway::with(|setup| {
        setup.set("limits.platform_inflight_max", limit);
        setup.filings = vec![
            Filing::of("hanging", "330000").with(cap).at(hanging.address).path("/hanging/", "access = \"open\""),
            Filing::of("healthy", "330000").at(healthy.address).path("/healthy/", "access = \"open\""),
        ];
    })
    .await
}

/// Sends `count` requests that will hang, and waits until the gateway has them all under way.
async fn hang(gateway: &Gateway, citizen: &Arc<Citizen>, count: u32) -> Vec<tokio::task::JoinHandle<u16>> {
    let ask = |citizen: Arc<Citizen>| async move { citizen.get("/hanging/").await.status };
    let asked = (0..count).map(|_| tokio::spawn(ask(Arc::clone(citizen)))).collect();
    gateway.metric_reaches(INFLIGHT, "platform=\"hanging\"", count.into()).await;
    asked
}

#[tokio::test]
async fn a_platform_at_its_cap_answers_503_at_once_and_others_do_not_notice() {
    let hanging = FaultyPlatform::start(Mood::Silent);
    let gateway = gateway(&hanging, "inflight_max = 2", 1000).await;
    let citizen = Arc::new(Citizen::of(&gateway));
    let under_way = hang(&gateway, &citizen, 2).await;
    let refused = citizen.get("/hanging/").await;
    refused.is_problem(503, "platform-busy");
    assert_eq!(refused.header("retry-after"), "5");
    let page = citizen.visit("/hanging/").await;
    page.has_status(503);
    assert!(page.body.contains("您正在排队"), "{}", page.body);
    citizen.get("/healthy/").await.has_status(200);
    assert_eq!(hanging.received(), 2, "what is refused never reaches it");
    hanging.becomes(Mood::Answering);
    for asked in under_way {
        assert_eq!(asked.await.unwrap(), 200);
    }
    citizen.get("/hanging/").await.has_status(200);
    for code in ["platform-busy", "waiting-room"] {
        assert!(gateway.metric("yimen_http_refusals_total", code).await >= 1.0, "{code}");
    }
    assert_eq!(gateway.metric(INFLIGHT, "platform=\"hanging\"").await, 0.0, "every place was given back");
}

#[tokio::test]
async fn a_filing_that_names_no_cap_has_that_of_the_settings() {
    let hanging = FaultyPlatform::start(Mood::Silent);
    let gateway = gateway(&hanging, "", 1).await;
    let citizen = Arc::new(Citizen::of(&gateway));
    let under_way = hang(&gateway, &citizen, 1).await;
    citizen.get("/hanging/").await.is_problem(503, "platform-busy");
    hanging.becomes(Mood::Answering);
    for asked in under_way {
        assert_eq!(asked.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_visitor_who_leaves_gives_the_place_back() {
    let hanging = FaultyPlatform::start(Mood::Silent);
    let gateway = gateway(&hanging, "inflight_max = 1", 1000).await;
    let citizen = Arc::new(Citizen::of_http1(&gateway));
    for asked in hang(&gateway, &citizen, 1).await {
        asked.abort(); // its connection closes
    }
    let given_back = || async { (gateway.metric(INFLIGHT, "platform=\"hanging\"").await == 0.0).then_some(()) };
    crate::support::until("the place is given back", std::time::Duration::from_secs(10), given_back).await;
    hanging.becomes(Mood::Answering);
    citizen.get("/hanging/").await.has_status(200);
}
