//! What a visitor meets at the public listener, and what reaches the platform behind it.

use std::io::Write;
use std::process::{Command, Stdio};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use reqwest::header::{ACCEPT, SET_COOKIE};
use tokio_tungstenite::tungstenite::Message;

use crate::support::citizen::{Answer, Citizen, SESSION_COOKIE};
use crate::support::client;
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::platform::RecordingPlatform;
use crate::support::process::tool;
use crate::support::window::{NOTARY, QUALIFICATION, UNFILED, Window};

/// Names of headers that a sample platform may see; everything else would be a leak or an invention.
const FORWARDED: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "forwarded",
    "host",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "yimen-assertion",
];

fn seen(answer: &Answer) -> Vec<(String, String)> {
    let lines = answer.json()["headers"].as_array().unwrap().clone();
    lines.iter().map(|line| (line[0].as_str().unwrap().to_owned(), line[1].as_str().unwrap().to_owned())).collect()
}

fn seen_header(answer: &Answer, name: &str) -> Option<String> {
    let mut found = seen(answer).into_iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    let first = found.next();
    assert_eq!(found.next(), None, "{name} reached the platform twice");
    first
}

#[tokio::test]
async fn a_navigation_is_sent_to_sign_in_and_knows_the_way_back() {
    let window = Window::open().await;
    let path = format!("/s/330106/{NOTARY}/apply?step=2");
    let answer = window.citizen().visit(&path).await;
    answer.has_status(303);
    let location = answer.header("location");
    let (page, return_to) = location.split_once("?return_to=").unwrap();
    assert!(page == "/sign-in" || page == format!("{}/sign-in", window.gateway.origin), "{location}");
    assert_eq!(percent_encoding::percent_decode_str(return_to).decode_utf8().unwrap(), path);
    assert!(answer.header("cache-control").contains("no-store"), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_program_without_a_session_gets_a_reason_and_no_redirect() {
    let window = Window::open().await;
    let answer = window.citizen().get(&format!("/s/330106/{NOTARY}/")).await;
    answer.is_problem(401, "sign-in-needed");
    assert!(answer.headers.contains_key("www-authenticate"), "{:?}", answer.headers);
    assert_eq!(answer.headers.get(SET_COOKIE), None, "a program that is refused gets no cookie");
}

#[tokio::test]
async fn an_identity_that_a_visitor_writes_never_reaches_a_platform() {
    let window = Window::open().await;
    for (version, citizen) in [("h1", Citizen::of_http1(&window.gateway)), ("h2", window.citizen())] {
        let mut request = citizen.request(Method::GET, &format!("/s/330106/{QUALIFICATION}/"));
        for name in ["Yimen-Assertion", "yimen_assertion", "YIMEN_Assertion", "yimen-subject", "yimen_subject"] {
            request = request.header(name, "forged");
        }
        let answer = citizen.send(request.header(ACCEPT, "application/json")).await;
        answer.came_from("ministry");
        let leaks: Vec<_> = seen(&answer).into_iter().filter(|(_, value)| value == "forged").collect();
        assert_eq!(leaks, [], "over {version}");
        assert_eq!(answer.json()["assertion"]["status"], "absent");
    }
}

#[tokio::test]
async fn connection_cannot_nominate_the_assertion_away() {
    let window = Window::open().await;
    let citizen = Citizen::of_http1(&window.gateway);
    let signed_in = window.signed_in().await;
    citizen.set_cookie(SESSION_COOKIE, &signed_in.cookie(SESSION_COOKIE).unwrap());
    let request = citizen.request(Method::GET, &format!("/s/330106/{NOTARY}/"));
    let request = request.header("connection", "close, yimen-assertion, x-request-id");
    let answer = citizen.send(request.header(ACCEPT, "application/json")).await;
    answer.came_from("hangzhou");
    assert_eq!(answer.json()["assertion"]["status"], "verified");
    assert_eq!(seen_header(&answer, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn where_a_request_came_from_is_ours_to_say() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let mut request = citizen.request(Method::GET, "/hangzhou/page").header(ACCEPT, "application/json");
    let forged = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x_forwarded_for", "6.6.6.6"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6;host=evil.example"),
    ];
    for (name, value) in forged {
        request = request.header(name, value);
    }
    let answer = citizen.send(request).await;
    answer.came_from("hangzhou");
    assert_eq!(seen_header(&answer, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(seen_header(&answer, "x-forwarded-proto").as_deref(), Some("https"));
    let all = format!("{:?}", seen(&answer));
    assert!(!all.contains("6.6.6.6") && !all.contains("evil.example"), "{all}");
    let unknown: Vec<_> = seen(&answer).into_iter().filter(|(name, _)| !FORWARDED.contains(&name.as_str())).collect();
    assert_eq!(unknown, [], "headers that nobody asked for");
}

#[tokio::test]
async fn a_platform_never_sees_our_cookies_and_always_its_own() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    citizen.set_cookie("yimen.hangzhou.theirs", "kept"); // `theirs` to the platform, see mounted.rs
    citizen.set_cookie("yimen.ministry.sid", "another's");
    let answer = citizen.get(&format!("/s/330106/{NOTARY}/")).await;
    answer.came_from("hangzhou");
    assert_eq!(answer.json()["assertion"]["status"], "verified");
    assert_eq!(seen_header(&answer, "cookie").as_deref(), Some("theirs=kept"));
}

#[tokio::test]
async fn the_nearest_platform_answers_and_the_answer_says_which() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    for (division, platform, level) in [("330106", "hangzhou", "city"), ("530102", "ministry", "nation")] {
        let answer = citizen.get(&format!("/s/{division}/{NOTARY}/")).await;
        answer.came_from(platform);
        assert_eq!(answer.header("yimen-served-by"), format!("{platform}; level={level}"));
    }
}

#[tokio::test]
async fn two_platforms_know_one_person_by_two_names() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    let mut subjects = Vec::new();
    for division in ["330106", "530102", "330106"] {
        let answer = citizen.get(&format!("/s/{division}/{NOTARY}/")).await;
        subjects.push(answer.json()["assertion"]["claims"]["sub"].as_str().unwrap().to_owned());
    }
    assert_ne!(subjects[0], subjects[1]);
    assert_eq!(subjects[0], subjects[2]);
}

#[tokio::test]
async fn what_is_not_there_is_said_plainly() {
    let window = Window::open().await;
    let citizen = window.citizen();
    for (path, status, code) in [
        ("/nowhere/".to_owned(), 404, "no-route"),
        (format!("/s/330106/{UNFILED}/"), 404, "not-handled"),
        ("/s/330106/999999999999/".to_owned(), 404, "unknown-item"),
        (format!("/s/999999/{NOTARY}/"), 404, "unknown-division"),
        ("/hangzhou/old/page".to_owned(), 410, "gone"),
        ("/hangzhou/closed/page".to_owned(), 503, "maintenance"),
        ("/kunming/page".to_owned(), 503, "suspended"),
    ] {
        citizen.get(&path).await.is_problem(status, code);
        let page = citizen.visit(&path).await;
        page.has_status(status);
        assert_eq!(page.header("yimen-error"), code);
        assert!(page.header("content-type").starts_with("text/html"), "{path}: {:?}", page.headers);
        assert!(page.body.contains("href=\"/"), "{path}: a page without a way on: {}", page.body);
    }
    assert_eq!(citizen.get("/hangzhou/closed/page").await.header("retry-after"), "600");
    assert!(citizen.visit("/hangzhou/old/page").await.body.contains("moved to the county halls"));
}

#[tokio::test]
async fn a_service_address_without_a_division_leads_to_the_persons_region() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let nowhere_yet = citizen.visit(&format!("/s/{NOTARY}/apply?a=b")).await;
    nowhere_yet.has_status(307);
    assert!(nowhere_yet.header("location").contains("/region"), "{:?}", nowhere_yet.headers);
    citizen.set_cookie("__Host-yimen-region", "330106");
    citizen.visit(&format!("/s/{NOTARY}/apply?a=b")).await.leads_to(307, &format!("/s/330106/{NOTARY}/apply?a=b"));
}

#[tokio::test]
async fn assurance_that_is_too_low_is_told_with_the_way_up() {
    let window = Window::open().await;
    let citizen = window.signed_in_surely().await; // L3
    citizen.get("/hangzhou/strict/").await.came_from("hangzhou");
    let refused = citizen.get("/hangzhou/certified/").await;
    refused.is_problem(401, "assurance-too-low"); // RFC 9470 section 3: the way up is another sign-in
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("L4"), "{challenge}");
}

#[tokio::test]
async fn every_answer_of_ours_carries_the_security_headers() {
    let window = Window::open().await;
    let citizen = window.citizen();
    for path in ["/", "/sign-in", "/nowhere/", "/hangzhou/page"] {
        let answer = citizen.visit(path).await;
        let header = |name: &str| answer.header(name).to_owned();
        assert!(header("strict-transport-security").contains("max-age="), "{path}: {:?}", answer.headers);
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!((header("server"), header("x-powered-by")), (String::new(), String::new()), "{path}");
    }
    let policy = citizen.visit("/").await.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn a_failing_platform_is_named_and_its_neighbours_are_not_harmed() {
    let garbage = RecordingPlatform::answering(b"this is no HTTP\r\n\r\n");
    let closed = std::net::SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let window = Window::with(|setup| {
        let open = "access = \"open\"";
        setup.filings.push(Filing::of("garbled", "330000").at(garbage.address).path("/garbled/", open));
        setup.filings.push(Filing::of("unreachable", "330000").at(closed).path("/unreachable/", open));
    })
    .await;
    let citizen = window.citizen();
    citizen.get("/unreachable/").await.is_problem(502, "connect-failed");
    citizen.get("/garbled/").await.is_problem(502, "platform-garbled");
    citizen.get("/hangzhou/reset").await.is_problem(502, "platform-reset");
    citizen.get("/hangzhou/hasty/slow?ms=5000").await.is_problem(504, "platform-timeout");
    citizen.get("/hangzhou/page").await.came_from("hangzhou");
    let own = citizen.get("/hangzhou/status?code=502").await;
    assert_eq!((own.status, own.header("yimen-error")), (502, ""), "a platform's own failure is its own");
}

#[tokio::test]
async fn the_request_line_goes_on_byte_for_byte_as_it_was_matched() {
    let platform = RecordingPlatform::start();
    let window = Window::with(|setup| {
        setup
            .filings
            .push(Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\""));
    })
    .await;
    window.citizen().get("/recorder/%E6%9D%AD%E5%B7%9E?q=a+b&c=%2F").await.has_status(200);
    let request = platform.the_request();
    assert!(request.starts_with("GET /recorder/%E6%9D%AD%E5%B7%9E?q=a+b&c=%2F HTTP/1.1\r\n"), "{request}");
    let hosts = request.lines().filter(|line| line.to_ascii_lowercase().starts_with("host:")).count();
    assert_eq!(hosts, 1, "{request}");
}

#[tokio::test]
async fn a_websocket_goes_through_to_a_route_that_allows_it() {
    let window = Window::with(Setup::plaintext).await;
    let address = format!("ws://{}/hangzhou/echo", window.gateway.public);
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    for text in ["你好", "again"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn prometheus_accepts_the_metrics_page_without_a_warning() {
    let promtool = tool("promtool", "prometheus");
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    citizen.get(&format!("/s/330106/{NOTARY}/")).await.came_from("hangzhou");
    citizen.get("/nowhere/").await.has_status(404);
    let page = window.gateway.metrics_page().await;
    let mut check = Command::new(promtool);
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = check.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && words.trim().is_empty(), "{words}\n{page}");
    assert!(page.contains("yimen_http_requests_total{code=\"2xx\",method=\"GET\",platform=\"hangzhou\"} 1"), "{page}");
}

#[tokio::test]
async fn liveness_and_readiness_are_told_to_operators_only() {
    let window = Window::open().await;
    let client = client().build().unwrap();
    for path in ["/live", "/ready"] {
        let answer = client.get(format!("http://{}{path}", window.gateway.metrics)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        window.citizen().get(path).await.is_problem(404, "no-route");
    }
    window.citizen().get("/metrics").await.is_problem(404, "no-route");
}

#[tokio::test]
async fn an_unknown_host_is_refused() {
    let gateway = Gateway::with(|_| {}).await;
    let citizen = Citizen::of_http1(&gateway);
    let request = citizen.request(Method::GET, "/").header("host", "evil.example");
    let answer = citizen.send(request.header(ACCEPT, "application/json")).await;
    answer.is_problem(421, "unknown-host");
    assert_eq!(answer.headers.get(SET_COOKIE), None);
}
