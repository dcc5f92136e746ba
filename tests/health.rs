//! Health checks take an instance out and bring it back, without a request; where they speak against most, they are not believed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::citizen::Citizen;
use crate::support::clerk::Clerk;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::until;

const HEALTHY: &str = "yimen_upstream_healthy";

async fn gateway(instances: &[&FaultyPlatform]) -> Gateway {
    Gateway::with(|setup| {
        let filing = Filing::of("checked", "330000")
            .with("health = { path = \"/health\", every_s = 1, timeout_ms = 300 }")
            .path("/checked/", "access = \"open\"\n[route.deadlines]\nfirst_byte_ms = 5000");
        setup.filings = vec![instances.iter().fold(filing, |filing, instance| filing.at(instance.address))];
    })
    .await
}

async fn is_shown(gateway: &Gateway, address: SocketAddr, healthy: f64) {
    let label = address.to_string();
    let shown = || async { (gateway.metric(HEALTHY, &label).await == healthy).then_some(()) };
    until(&format!("{address} is shown as {healthy}"), Duration::from_secs(10), shown).await;
}

#[tokio::test]
async fn an_instance_that_fails_its_checks_gets_no_request_and_comes_back_after_two_good_ones() {
    let (good, bad) = (FaultyPlatform::start(Mood::Answering), FaultyPlatform::start(Mood::Answering));
    let third = FaultyPlatform::start(Mood::Answering);
    let gateway = gateway(&[&good, &bad, &third]).await;
    gateway.metric_reaches("yimen_health_checks_total", "result=\"ok\"", 3.0).await;
    bad.becomes(Mood::Silent);
    is_shown(&gateway, bad.address, 0.0).await;
    let citizen = Citizen::of(&gateway);
    let start = Instant::now();
    for _ in 0..20 {
        citizen.get("/checked/").await.has_status(200);
    }
    assert!(start.elapsed() < Duration::from_secs(4), "nobody waited for the silent one");
    assert!(gateway.metric("yimen_health_checks_total", "result=\"failed\"").await >= 3.0);
    bad.becomes(Mood::Answering);
    is_shown(&gateway, bad.address, 1.0).await;
    assert_eq!(gateway.metric("yimen_upstream_requests_total", "result=\"timeout\"").await, 0.0);
}

#[tokio::test]
async fn checks_that_speak_against_most_instances_are_not_believed() {
    let instances = [(); 3].map(|()| FaultyPlatform::start(Mood::NoHealth));
    let [first, second, third] = &instances;
    let gateway = gateway(&[first, second, third]).await;
    for instance in &instances {
        is_shown(&gateway, instance.address, 0.0).await;
    }
    let citizen = Citizen::of(&gateway);
    for _ in 0..12 {
        citizen.get("/checked/").await.has_status(200);
    }
    for instance in &instances {
        assert!(instance.asked_for("/checked/") >= 3, "spread over all of them");
    }
}

#[tokio::test]
async fn the_check_of_an_only_instance_is_believed_and_says_503_at_once() {
    let only = FaultyPlatform::start(Mood::NoHealth);
    let gateway = gateway(&[&only]).await;
    is_shown(&gateway, only.address, 0.0).await;
    let citizen = Citizen::of(&gateway);
    citizen.get("/checked/").await.is_problem(503, "no-instance");
    assert_eq!(only.asked_for("/checked/"), 0);
    only.becomes(Mood::Answering);
    is_shown(&gateway, only.address, 1.0).await;
    citizen.get("/checked/").await.has_status(200);
}

#[tokio::test]
async fn one_address_is_checked_once_for_all_who_have_it_and_its_state_outlives_an_edit() {
    let shared = FaultyPlatform::start(Mood::NoHealth);
    let filing = |id: &str, path: &str| {
        Filing::of(id, "330000")
            .with("health = { path = \"/health\", every_s = 1, timeout_ms = 300 }")
            .at(shared.address)
            .path(path, "access = \"open\"")
    };
    let gateway = Gateway::with(|setup| {
        setup.filings = vec![filing("first", "/first/"), filing("second", "/second/")];
    })
    .await;
    let citizen = Citizen::of(&gateway);
    for path in ["/first/", "/second/"] {
        let refused = || async { (citizen.get(path).await.status == 503).then_some(()) };
        until(&format!("{path} is out"), Duration::from_secs(10), refused).await;
    }
    let failed = async |id: &str| gateway.metric("yimen_health_checks_total", &format!("platform=\"{id}\"")).await;
    assert_eq!(failed("first").await, failed("second").await, "one check says it of both");
    let instances = async |id: &str| {
        let path = format!("/v1/platforms/{id}/instances");
        Clerk::operator(&gateway, "100000").get(&path).await.has_status(200).body["entries"][0]["health"].clone()
    };
    assert_eq!(instances("second").await["state"], "down");
    let before = shared.asked_for("/first/");
    let revision = gateway.metric("yimen_route_table_revision", "").await;
    filing("first", "/first/").each("weight = 7\n").write(&gateway.folder.path().join("routes/platforms"));
    gateway.process.signal("HUP");
    let edited = || async { (gateway.metric("yimen_route_table_revision", "").await > revision).then_some(()) };
    until("the edit is in force", Duration::from_secs(10), edited).await;
    assert_eq!(citizen.get("/first/").await.status, 503, "nobody was asked anew before it was well");
    assert_eq!(shared.asked_for("/first/"), before);
}

#[tokio::test]
async fn a_check_may_be_a_connection_alone() {
    let (first, second) = (FaultyPlatform::start(Mood::Silent), FaultyPlatform::start(Mood::Silent));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = nobody.local_addr().unwrap();
    drop(nobody);
    let gateway = Gateway::with(|setup| {
        let filing = Filing::of("connected", "330000").with("health = { tcp = true, every_s = 1, timeout_ms = 300 }");
        let instances = [first.address, second.address, closed];
        let filing = instances.into_iter().fold(filing, Filing::at);
        setup.filings = vec![filing.path("/connected/", "access = \"open\"")];
    })
    .await;
    is_shown(&gateway, closed, 0.0).await;
    is_shown(&gateway, first.address, 1.0).await;
    assert_eq!(first.asked_for("/health"), 0);
}
