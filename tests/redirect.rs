//! Port 80: our hosts are sent on to https, everybody else is told no, and nobody is sent elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::free_port;
use crate::support::gateway::Gateway;

async fn gateway() -> (Gateway, SocketAddr) {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gateway = Gateway::with(|setup| {
        setup.set("public.redirect_listen", listen.to_string());
        setup.set("public.hosts", ["zwfw.example.gov", "127.0.0.1"].into_iter().collect::<toml_edit::Array>());
        setup.set("limits.header_seconds", 1);
    })
    .await;
    (gateway, listen)
}

/// What is said until the connection ends.
async fn answer(address: SocketAddr, request: String) -> String {
    let ask = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer); // a reset behind the answer changes nothing
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

fn location(answer: &str) -> Option<String> {
    answer.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("location: ").map(str::to_owned))
}

#[tokio::test]
async fn our_hosts_are_sent_to_the_same_address_of_the_origin() {
    let (gateway, listen) = gateway().await;
    for (method, host, target) in [
        ("GET", "zwfw.example.gov", "/s/330106/002099006000/?a=b&c=%20d"),
        ("POST", "ZWFW.example.gov:80", "/sign-in"),
        ("GET", "127.0.0.1", "/"),
        ("HEAD", "127.0.0.1", "/?//elsewhere.example/"),
    ] {
        let told = answer(listen, format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(told.starts_with("HTTP/1.1 308"), "{told}");
        assert_eq!(location(&told), Some(format!("{}{target}", gateway.origin)), "{told}");
        assert!(told.to_ascii_lowercase().contains("connection: close"), "{told}");
    }
}

#[tokio::test]
async fn nobody_is_sent_elsewhere() {
    let (gateway, listen) = gateway().await;
    let strange: [(&str, &str, u16); 9] = [
        ("GET / HTTP/1.1", "elsewhere.example", 404),
        ("GET / HTTP/1.1", "zwfw.example.gov.elsewhere.example", 404),
        ("GET / HTTP/1.1", "zwfw.example.gov@elsewhere.example", 400),
        ("GET //elsewhere.example/ HTTP/1.1", "127.0.0.1", 400),
        ("GET /\\elsewhere.example HTTP/1.1", "127.0.0.1", 400),
        ("GET /%0d%0aLocation:%20https://elsewhere.example/ HTTP/1.1", "127.0.0.1", 400),
        ("GET http://elsewhere.example/ HTTP/1.1", "127.0.0.1", 400),
        ("CONNECT elsewhere.example:443 HTTP/1.1", "elsewhere.example:443", 405),
        ("GET .elsewhere.example/ HTTP/1.1", "127.0.0.1", 400),
    ];
    for (line, host, status) in strange {
        let told = answer(listen, format!("{line}\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(
            location(&told).filter(|to| !to.starts_with(&format!("{}/", gateway.origin))),
            None,
            "{line} {told}"
        );
        assert!(told.is_empty() || told.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {told}");
    }
    let told = answer(listen, "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n".to_owned()).await;
    assert!(told.contains("urn:yimen:problem:no-route"), "{told}");
    assert!(gateway.metric("yimen_http_refusals_total", "code=\"no-route\"").await >= 1.0);
}

#[tokio::test]
async fn a_slow_header_is_cut_and_a_long_one_refused() {
    let (gateway, listen) = gateway().await;
    let started = Instant::now();
    let told = answer(listen, "GET / HTTP/1.1\r\nHost: 127.0".to_owned()).await;
    let after = started.elapsed();
    assert!(
        told.is_empty() && after > Duration::from_millis(800) && after < Duration::from_secs(5),
        "{after:?} {told}"
    );
    gateway.metric_reaches("yimen_connections_cut_total", "reason=\"head\"", 1.0).await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "x".repeat(10_000));
    let told = answer(listen, long).await;
    assert!(told.starts_with("HTTP/1.1 414"), "{told}");
}
