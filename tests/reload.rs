//! SIGHUP: files are taken over into the register anew, and what is in force is not lost to a mistake.

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
async fn a_filing_added_is_served_and_one_with_a_mistake_goes_on_as_it_was() {
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
    assert!((gateway.metric("yimen_filings_rejected", "").await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn an_empty_or_sharply_shrunken_set_is_refused_and_a_fifth_is_not() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&["first", "second", "third", "fourth", "fifth"], &platform).await;
    let citizen = Citizen::of(&gateway);
    let folder = gateway.folder.path().join("routes/platforms");
    let away = gateway.folder.path().join("away");
    fs::rename(&folder, &away).unwrap();
    hangs_up(&gateway, "refused", 1.0).await;
    fs::create_dir(&folder).unwrap();
    hangs_up(&gateway, "refused", 2.0).await;
    for name in ["third", "fourth", "fifth"] {
        filing(name, &platform).write(&folder);
    }
    hangs_up(&gateway, "refused", 3.0).await;
    let told = || async { gateway.process.errors().contains("3 of 5 filings").then_some(()) };
    until("the log says why", Duration::from_secs(10), told).await;
    citizen.get("/first/").await.has_status(200);
    filing("second", &platform).write(&folder);
    hangs_up(&gateway, "ok", 1.0).await;
    citizen.get("/first/").await.has_status(410);
    citizen.get("/fourth/").await.has_status(200);
}
