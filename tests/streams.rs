//! Bodies of any size go through in flat memory, both ways.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::header::{ACCEPT, CONTENT_LENGTH};
use reqwest::{Body, Method};

use crate::support::citizen::Citizen;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::raw::say;
use crate::support::window::Window;

const SIZE: usize = 100 * 1024 * 1024;
/// What memory may grow by while 100 MiB go through: buffers of a few connections, not the body.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

fn memory_stayed_flat(before: u64, window: &Window) {
    let (_, highest) = window.gateway.process.resident_kib();
    let growth = highest.saturating_sub(before);
    assert!(growth < GROWTH_KIB_MAX, "memory grew by {growth} KiB, from {before} to {highest}");
}

#[tokio::test]
async fn a_large_answer_streams_down_in_flat_memory() {
    let window = Window::open().await;
    for citizen in [Citizen::of_http1(&window.gateway), window.citizen()] {
        citizen.get("/hangzhou/page").await.came_from("hangzhou");
        let (_, before) = window.gateway.process.resident_kib();
        let answer = citizen.request(Method::GET, &format!("/hangzhou/bytes?n={SIZE}")).send().await.unwrap();
        let mut pieces = answer.bytes_stream();
        let mut received = 0;
        while let Some(piece) = pieces.next().await {
            received += piece.unwrap().len();
        }
        assert_eq!(received, SIZE);
        memory_stayed_flat(before, &window);
    }
}

#[tokio::test]
async fn a_large_upload_streams_up_in_flat_memory() {
    let window = Window::open().await;
    let piece = Bytes::from((0..=255_u8).cycle().take(64 * 1024).collect::<Vec<u8>>());
    let mut digest = Context::new(&SHA256);
    (0..SIZE / piece.len()).for_each(|_| digest.update(&piece));
    let expected: String = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    for citizen in [Citizen::of_http1(&window.gateway), window.citizen()] {
        citizen.get("/hangzhou/page").await.came_from("hangzhou");
        let (_, before) = window.gateway.process.resident_kib();
        let pieces = stream::iter(std::iter::repeat_n(Ok::<_, std::fmt::Error>(piece.clone()), SIZE / piece.len()));
        let request = citizen.request(Method::POST, "/hangzhou/upload").header(CONTENT_LENGTH, SIZE);
        let answer = citizen.send(request.body(Body::wrap_stream(pieces))).await;
        answer.has_status(200);
        assert_eq!(
            (answer.json()["bytes"].as_u64(), answer.json()["sha256"].as_str()),
            (Some(SIZE as u64), Some(&*expected))
        );
        memory_stayed_flat(before, &window);
    }
}

#[tokio::test]
async fn a_wish_to_upgrade_frees_no_body_from_the_limit() {
    let silent = FaultyPlatform::start(Mood::Silent);
    let gateway = Gateway::with(|setup| {
        setup.plaintext();
        let more = "access = \"open\"\nwebsocket = true\nbody_bytes_max = 1000";
        setup.filings = vec![Filing::of("silent", "330000").at(silent.address).path("/silent/", more)];
    })
    .await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked";
    for method in ["GET", "POST"] {
        let head = format!("{method} /silent/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}\r\n\r\n");
        let said = format!("{head}44d\r\n{}\r\n0\r\n\r\n", "x".repeat(0x44d));
        let answer = say(gateway.public, said.as_bytes(), Duration::from_millis(300));
        assert_eq!(
            (answer.status(), answer.header("yimen-error")),
            (413, Some("body-too-large")),
            "{method} {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_body_over_the_routes_limit_is_refused_whether_it_says_its_length_or_not() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let told = citizen.request(Method::POST, "/hangzhou/small/upload").body(vec![b'.'; 1001]);
    citizen.send(told.header(ACCEPT, "application/json")).await.is_problem(413, "body-too-large");
    let pieces = stream::iter(std::iter::repeat_n(Ok::<_, std::fmt::Error>(Bytes::from_static(&[b'.'; 100])), 11));
    let untold = citizen.request(Method::POST, "/hangzhou/small/upload").body(Body::wrap_stream(pieces));
    citizen.send(untold.header(ACCEPT, "application/json")).await.is_problem(413, "body-too-large");
    let fitting = citizen.request(Method::POST, "/hangzhou/small/upload").body(vec![b'.'; 1000]);
    assert_eq!(citizen.send(fitting).await.json()["bytes"], 1000);
}
