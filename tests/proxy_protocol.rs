//! Balancers that speak the PROXY protocol: whom they name is the visitor, for every limit and for the platform; nobody else's
//! word counts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::tls;

const REQUEST: &[u8] = b"GET /recorder/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const LINE: &[u8] = b"PROXY TCP4 198.51.100.7 203.0.113.1 51234 443\r\n";

async fn gateway(platform: &RecordingPlatform, trusted: &str, plaintext: bool) -> Gateway {
    Gateway::with(|setup| {
        if plaintext {
            setup.plaintext();
        }
        setup.set("public.proxy_protocol", true);
        setup.set("public.trusted_proxies", trusted);
        setup.set("limits.header_seconds", 1);
        setup.set("limits.connections_per_address_max", 2);
        setup.filings =
            vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
    })
    .await
}

/// Version 2 for an IPv6 visitor, with a field of no meaning behind the addresses.
fn binary(visitor: &str) -> Vec<u8> {
    let visitor: std::net::Ipv6Addr = visitor.parse().unwrap();
    let payload = [&visitor.octets()[..], &visitor.octets(), &[0, 80, 1, 187, 0x04, 0, 1, 0]].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x21"[..], &u16::try_from(payload.len()).unwrap().to_be_bytes(), &payload].concat()
}

fn connect(address: SocketAddr, header: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(header).unwrap();
    stream
}

fn asks(stream: &mut (impl Read + Write)) -> String {
    let mut piece = [0; 4096];
    if stream.write_all(REQUEST).is_err() {
        return String::new();
    }
    let read = stream.read(&mut piece).unwrap_or(0); // reset counts as closed
    String::from_utf8_lossy(&piece[..read]).into_owned()
}

fn forwarded_for(request: &str) -> String {
    let field =
        request.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-forwarded-for: ").map(str::to_owned));
    field.unwrap_or_else(|| panic!("no X-Forwarded-For in {request}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn the_visitor_whom_a_balancer_names_is_the_one_the_platform_hears_of() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&platform, "127.0.0.0/8", true).await;
    let address = gateway.public;
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec();
    let headers =
        [LINE.to_vec(), binary("2001:db8::7"), b"PROXY UNKNOWN\r\n".to_vec(), local, b"PROXY UNKNOWN a b\r\n".to_vec()];
    blocking(move || {
        for header in headers {
            let answer = asks(&mut connect(address, &header));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    })
    .await;
    let seen: Vec<String> = platform.requests().iter().map(|request| forwarded_for(request)).collect();
    assert_eq!(seen, ["198.51.100.7", "2001:db8::7", "127.0.0.1", "127.0.0.1", "127.0.0.1"]);
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&platform, "127.0.0.0/8", false).await;
    let address = gateway.public;
    let answers = blocking(move || {
        [LINE.to_vec(), binary("2001:db8::7")]
            .map(|header| asks(&mut tls::over(connect(address, &header), "localhost")))
    })
    .await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    let seen: Vec<String> = platform.requests().iter().map(|request| forwarded_for(request)).collect();
    assert_eq!(seen, ["198.51.100.7", "2001:db8::7"]);
}

#[tokio::test]
async fn seats_are_counted_for_the_visitor_and_not_for_the_balancer() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&platform, "127.0.0.0/8", true).await;
    let address = gateway.public;
    let (held, third, others) = blocking(move || {
        let mut held = [connect(address, LINE), connect(address, LINE)];
        assert!(held.iter_mut().all(|stream| asks(stream).starts_with("HTTP/1.1 200")));
        let third = asks(&mut connect(address, LINE));
        let others: Vec<String> =
            (1..6).map(|host| asks(&mut connect(address, &binary(&format!("2001:db8:{host}::1"))))).collect();
        (held, third, others)
    })
    .await;
    assert_eq!(third, "", "a third of one visitor");
    assert!(others.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{others:?}");
    assert!(gateway.metric("yimen_connections_refused_total", "reason=\"address\"").await >= 1.0);
    drop(held);
}

#[tokio::test]
async fn a_balancer_without_the_header_is_closed_and_one_that_is_slow_is_cut() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&platform, "127.0.0.0/8", true).await;
    let address = gateway.public;
    let (without, after) = blocking(move || {
        let without = asks(&mut connect(address, b""));
        let started = Instant::now();
        let mut slow = connect(address, b"PROXY TCP4 198.5");
        assert_eq!(slow.read(&mut [0; 64]).unwrap_or(0), 0, "cut without a word");
        (without, started.elapsed())
    })
    .await;
    assert_eq!(without, "");
    assert!(after > Duration::from_millis(800) && after < Duration::from_secs(5), "{after:?}");
    gateway.metric_reaches("yimen_http_malformed_total", "", 1.0).await;
    gateway.metric_reaches("yimen_connections_cut_total", "reason=\"head\"", 1.0).await;
    assert!(platform.requests().is_empty());
}

#[tokio::test]
async fn the_header_of_somebody_untrusted_is_no_http() {
    let platform = RecordingPlatform::start();
    let gateway = gateway(&platform, "10.0.0.0/8", true).await;
    let address = gateway.public;
    let (with, without) = blocking(move || {
        let with = [LINE.to_vec(), binary("2001:db8::7")].map(|header| asks(&mut connect(address, &header)));
        (with, asks(&mut connect(address, b"")))
    })
    .await;
    assert!(with.iter().all(|answer| !answer.starts_with("HTTP/1.1 200")), "{with:?}");
    assert!(without.starts_with("HTTP/1.1 200"), "{without}");
    assert_eq!(platform.requests().len(), 1, "only the one without a header");
}
