//! Requests that nobody's browser sends. Raw bytes, on a listener without TLS so that every byte is ours.

use std::time::Duration;

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::raw::{Raw, say};

struct Door {
    gateway: Gateway,
    platform: RecordingPlatform,
}

impl Door {
    async fn open() -> Self {
        let platform = RecordingPlatform::start();
        let gateway = Gateway::with(|setup| {
            setup.plaintext();
            let more = "access = \"open\"\nbody_bytes_max = 1000";
            setup.filings = vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", more)];
        })
        .await;
        Self { gateway, platform }
    }

    async fn says(&self, bytes: impl Into<Vec<u8>>) -> Raw {
        let (address, bytes) = (self.gateway.public, bytes.into());
        tokio::task::spawn_blocking(move || say(address, &bytes, Duration::from_secs(3))).await.unwrap()
    }
}

impl Door {
    /// Whether that many requests were counted as malformed or refused, now or in a moment.
    async fn has_counted(&self, least: usize) -> bool {
        for _ in 0..25 {
            let malformed = self.gateway.metric("yimen_http_malformed_total", "").await;
            let refused = self.gateway.metric("yimen_http_refusals_total", "").await;
            if malformed + refused >= least as f64 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }
}

fn get(target: &str) -> String {
    with(target, "")
}

fn with(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{headers}Connection: close\r\n\r\n"
    )
}

fn post(headers: &str) -> String {
    format!("POST /recorder/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{headers}\r\n")
}

#[tokio::test]
async fn each_bad_request_is_refused_with_its_reason_and_reaches_nobody() {
    let door = Door::open().await;
    let long = "a".repeat(8200);
    let many: String = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large: String = (0..5).map(|number| format!("X-{number}: {}\r\n", "a".repeat(7000))).collect();
    let cases: Vec<(&str, String, u16, &str)> = vec![
        ("an encoded slash", get("/recorder/a%2fb"), 400, "bad-path"),
        ("an encoded backslash", get("/recorder/a%5cb"), 400, "bad-path"),
        ("a backslash", get("/recorder/a\\b"), 400, "bad-path"),
        ("an encoded NUL", get("/recorder/a%00b"), 400, "bad-path"),
        ("a path parameter", get("/recorder/a;b/c"), 400, "bad-path"),
        ("an empty segment", get("/recorder//a"), 400, "bad-path"),
        ("a dot segment", get("/recorder/./a"), 400, "bad-path"),
        ("a climb", get("/recorder/../a"), 400, "bad-path"),
        ("an encoded climb", get("/recorder/%2e%2e/a"), 400, "bad-path"),
        ("a climb encoded by half", get("/recorder/.%2e/a"), 400, "bad-path"),
        ("overlong UTF-8", get("/recorder/%c0%af"), 400, "bad-path"),
        ("half a character", get("/recorder/%e6%9d"), 400, "bad-path"),
        ("a percent sign alone", get("/recorder/100%"), 400, "bad-path"),
        ("no hex digits", get("/recorder/%zz"), 400, "bad-path"),
        ("an address over 8 KiB", get(&format!("/recorder/{long}")), 414, "url-too-long"),
        ("101 header lines", with("/recorder/", &many), 431, "headers-too-large"),
        ("35 KB of header", with("/recorder/", &large), 431, "headers-too-large"),
        ("no Host", "GET /recorder/ HTTP/1.1\r\nAccept: application/json\r\n\r\n".to_owned(), 400, "bad-host"),
        ("an empty Host", get("/recorder/").replace("Host: 127.0.0.1", "Host:"), 400, "bad-host"),
        (
            "a Host that is not ours",
            get("/recorder/").replace("Host: 127.0.0.1", "Host: evil.example"),
            421,
            "unknown-host",
        ),
        ("a list as length", post("Content-Length: 5, 5\r\n") + "12345", 400, "bad-length"),
        ("the length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n") + "12345", 400, "bad-length"),
        ("a length of 2^63", post("Content-Length: 9223372036854775808\r\n"), 400, "bad-length"),
        ("a body over the limit", post("Content-Length: 1001\r\n"), 413, "body-too-large"),
        ("a method nobody filed", get("/recorder/").replace("GET ", "BREW "), 405, "method-not-allowed"),
    ];
    let mut odd = Vec::new();
    for (what, bytes, status, code) in &cases {
        let answer = door.says(bytes.as_str()).await;
        let found = (answer.status(), answer.header("yimen-error").unwrap_or_default().to_owned());
        if found != (*status, (*code).to_owned()) {
            odd.push(format!("{what}: {found:?} instead of {status} {code}"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
    for (what, bytes, ..) in cases.iter().filter(|(_, _, _, code)| *code == "bad-length") {
        assert!(door.says(bytes.as_str()).await.closed, "{what}: framing is in doubt and the connection stayed open");
    }
    assert_eq!(door.platform.requests(), [] as [String; 0], "something reached the platform");
    let paths = cases.iter().filter(|(.., code)| *code == "bad-path").count();
    assert_eq!(door.gateway.metric("yimen_http_refusals_total", "bad-path").await, paths as f64);
}

#[tokio::test]
async fn what_is_no_http_is_refused_closed_and_counted() {
    let door = Door::open().await;
    let cases = [
        ("no request line", "hello\r\n\r\n".to_owned()),
        ("a Host with a path", with("/recorder/", "").replace("Host: 127.0.0.1", "Host: 127.0.0.1/x")),
        ("a Host with a user", with("/recorder/", "").replace("Host: 127.0.0.1", "Host: a@127.0.0.1")),
        ("two hosts", with("/recorder/", "Host: 127.0.0.1\r\n")),
        ("a space before the colon", with("/recorder/", "X-A : 1\r\n")),
        ("a folded line", with("/recorder/", "X-A: 1\r\n 2\r\n")),
        ("differing lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n") + "123456"),
        ("a length with a sign", post("Content-Length: +5\r\n") + "12345"),
        ("chunked by HTTP/1.0", post("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n"),
        ("a coding after chunked", post("Transfer-Encoding: chunked, identity\r\n") + "0\r\n\r\n"),
        ("a tunnel", "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n".to_owned()),
    ];
    let mut odd = Vec::new();
    for (number, (what, bytes)) in cases.iter().enumerate() {
        let answer = door.says(bytes.as_str()).await;
        if !matches!(answer.status(), 400 | 405) || !answer.closed {
            odd.push(format!("{what}: closed: {}, answer: {}", answer.closed, answer.text));
        }
        if !door.has_counted(number + 1 - odd.len()).await {
            odd.push(format!("{what}: not counted"));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
    assert_eq!(door.platform.requests(), [] as [String; 0], "something reached the platform");
}

#[tokio::test]
async fn a_second_request_hidden_in_a_body_reaches_nobody() {
    let door = Door::open().await;
    let hidden = "GET /recorder/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let cases = [
        post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden,
        post("Transfer-Encoding: identity, chunked\r\n") + "0\r\n\r\n" + hidden,
        with("/recorder/", "Upgrade: foo\r\n").replace("Connection: close", "Connection: upgrade") + hidden,
    ];
    for bytes in &cases {
        door.says(bytes.as_str()).await;
    }
    let reached: Vec<_> = door.platform.requests().into_iter().filter(|request| request.contains("hidden")).collect();
    assert_eq!(reached, [] as [String; 0]);
}
