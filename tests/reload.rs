//! SIGHUP: filings are read anew by the rule of a start, and a table in force is not lost to a mistake.

use std::fs;
use std::time::Duration;

use crate::support::citizen::Citizen;
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::until;

fn filing(id: &str, platform: &RecordingPlatform) -> Filing {
    Filing::of(id, "330000").at(platform.address).path(&format!("/{id}/"), "access = \"open\"")
}

async fn gateway(ids: &[&str], platform: &RecordingPlatform) -> Gateway {
    Gateway::with(|setup| setup.filings = ids.iter().map(|id| filing(id, platform)).collect()).await
}

async fn hangs_up(gateway: &Gateway, result: &str, least: f64) {
    gateway.process.signal("HUP");
    gateway.metric_reaches("yimen_route_table_reloads_total", &format!("result=\"{result}\""), least).await;
}

#[tokio::test]
async fn a_filing_added_is_served_and_one_with_a_mistake_goes_on_as_before() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&["first", "second"], &platform).await;
    let citizen = Citizen::of(&gateway);
    let folder = gateway.folder.path().join("routes/platforms");
    filing("third", &platform).write(&folder);
    citizen.get("/third/").await.is_problem(404, "no-route");
    hangs_up(&gateway, "ok", 1.0).await;
    citizen.get("/third/").await.has_status(200);
    citizen.get("/first/").await.has_status(200);
    fs::write(folder.join("second.toml"), "[platform]\nid = 7\n").unwrap();
    hangs_up(&gateway, "mistakes", 1.0).await;
    citizen.get("/second/").await.has_status(200);
    citizen.get("/third/").await.has_status(200);
    assert!((gateway.metric("yimen_filings_kept", "").await - 1.0).abs() < 0.5);
    let errors = gateway.process.errors();
    assert!(errors.contains("second.toml") && errors.contains("last good version"), "{errors}");
    fs::write(folder.join("fourth.toml"), "[platform]\nid = 7\n").unwrap();
    hangs_up(&gateway, "mistakes", 2.0).await;
    citizen.get("/second/").await.has_status(200);
    assert!((gateway.metric("yimen_filings_kept", "").await - 1.0).abs() < 0.5, "a new one has no earlier version");
    fs::remove_file(folder.join("fourth.toml")).unwrap();
    fs::remove_file(folder.join("second.toml")).unwrap();
    hangs_up(&gateway, "ok", 2.0).await;
    citizen.get("/second/").await.is_problem(404, "no-route");
    assert!((gateway.metric("yimen_route_table_revision", "").await - 5.0).abs() < 0.5);
    assert!(gateway.metric("yimen_filings_rejected", "").await + gateway.metric("yimen_filings_kept", "").await < 0.5);
}

#[tokio::test]
async fn a_filing_that_wants_a_place_of_another_keeps_the_place_it_had() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&["first", "second"], &platform).await;
    let citizen = Citizen::of(&gateway);
    let folder = gateway.folder.path().join("routes/platforms");
    let greedy = Filing::of("second", "330000").at(platform.address).path("/first/", "access = \"open\"");
    greedy.path("/more/", "access = \"open\"").write(&folder);
    hangs_up(&gateway, "mistakes", 1.0).await;
    citizen.get("/second/").await.has_status(200);
    citizen.get("/first/").await.has_status(200);
    citizen.get("/more/").await.is_problem(404, "no-route");
    assert!((gateway.metric("yimen_filings_kept", "").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn an_empty_or_sharply_shrunken_set_is_refused_and_half_is_not() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&["first", "second", "third", "fourth"], &platform).await;
    let citizen = Citizen::of(&gateway);
    let folder = gateway.folder.path().join("routes/platforms");
    let away = gateway.folder.path().join("away");
    fs::rename(&folder, &away).unwrap();
    hangs_up(&gateway, "refused", 1.0).await;
    fs::create_dir(&folder).unwrap();
    hangs_up(&gateway, "refused", 2.0).await;
    filing("fourth", &platform).write(&folder);
    hangs_up(&gateway, "refused", 3.0).await;
    let told = || async { gateway.process.errors().contains("fewer than half").then_some(()) };
    until("the log says why", Duration::from_secs(10), told).await;
    citizen.get("/first/").await.has_status(200);
    assert!((gateway.metric("yimen_route_table_revision", "").await - 1.0).abs() < 0.5);
    filing("third", &platform).write(&folder);
    hangs_up(&gateway, "ok", 1.0).await;
    citizen.get("/first/").await.is_problem(404, "no-route");
    citizen.get("/fourth/").await.has_status(200);
}
