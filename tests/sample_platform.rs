//! Sample platforms say truly what reached them: every other test leans on that.

use std::time::Duration;

use reqwest::header::{ACCEPT, LOCATION, SET_COOKIE};
use serde_json::Value;

use crate::support::gateway::Setup;
use crate::support::platform::SamplePlatforms;
use crate::support::{client, free_port, until};

async fn platforms(setup: &Setup) -> SamplePlatforms {
    let nobody = format!("https://127.0.0.1:{}", free_port());
    SamplePlatforms::start(&["ministry", "hangzhou"], &nobody, &setup.certificate_file(), setup.folder.path()).await
}

async fn get(platforms: &SamplePlatforms, path: &str) -> reqwest::Response {
    let client = client().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    client.get(format!("http://{}{path}", platforms.at("hangzhou"))).send().await.unwrap()
}

#[tokio::test]
async fn a_page_shows_every_header_line_as_it_came() {
    let setup = Setup::new();
    let platforms = platforms(&setup).await;
    let client = client().build().unwrap();
    let request = client.get(format!("http://{}/a/b?c=d%20e", platforms.at("ministry")));
    let request = request.header("x-twice", "1").header("x-twice", "2").header("yimen_assertion", "forged");
    let seen: Value = request.header(ACCEPT, "application/json").send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&seen["platform"], &seen["path"], &seen["query"]),
        (&"ministry".into(), &"/a/b".into(), &"c=d%20e".into())
    );
    assert_eq!(seen["assertion"]["status"], "absent");
    let lines: Vec<_> = seen["headers"].as_array().unwrap().iter().map(|line| (&line[0], &line[1])).collect();
    for line in [("x-twice", "1"), ("x-twice", "2"), ("yimen_assertion", "forged")] {
        assert!(lines.contains(&(&line.0.into(), &line.1.into())), "{line:?} not in {lines:?}");
    }
}

#[tokio::test]
async fn an_assertion_that_cannot_be_checked_is_refused_within_the_deadline() {
    let setup = Setup::new();
    let platforms = platforms(&setup).await;
    let client = client().timeout(Duration::from_secs(10)).build().unwrap();
    let request = client.get(format!("http://{}/", platforms.at("hangzhou"))).header("yimen-assertion", "a.b.c");
    let page = request.header(ACCEPT, "text/html").send().await.unwrap().text().await.unwrap();
    assert!(page.contains(r#"<strong id="assertion-status">refused</strong>"#), "{page}");
    assert!(page.contains(r#"<code id="assertion-sub"></code>"#), "{page}");
}

#[tokio::test]
async fn special_paths_do_what_they_say() {
    let setup = Setup::new();
    let platforms = platforms(&setup).await;
    assert_eq!(get(&platforms, "/x/bytes?n=100001").await.bytes().await.unwrap().len(), 100_001);
    assert_eq!(get(&platforms, "/x/status?code=418").await.status(), 418);
    assert_eq!(get(&platforms, "/x/redirect?to=%2Fy%3Fz").await.headers()[LOCATION], "/y?z");
    assert_eq!(get(&platforms, "/x/cookies").await.headers().get_all(SET_COOKIE).iter().count(), 2);
    let address = platforms.at("hangzhou");
    let reset = client().build().unwrap().get(format!("http://{address}/reset")).send().await;
    assert!(reset.is_err(), "{reset:?}");
}

#[tokio::test]
async fn it_ends_with_the_pipe_of_whoever_started_it() {
    let setup = Setup::new();
    let mut platforms = platforms(&setup).await;
    platforms.process.close_input();
    let process = std::sync::Mutex::new(platforms.process);
    let ended = || async { process.lock().unwrap().ended() };
    assert!(until("it ends", Duration::from_secs(5), ended).await.success());
}
