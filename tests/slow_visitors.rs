//! Visitors who are slow, silent or many, in raw bytes: each is cut at its own limit, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::platform::RecordingPlatform;
use crate::support::window::Window;

const REQUEST: &[u8] = b"GET /recorder/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

async fn gateway(plaintext: bool, settings: &[(&str, i64)]) -> Gateway {
    before(&RecordingPlatform::start(), plaintext, settings).await
}

async fn before(platform: &RecordingPlatform, plaintext: bool, settings: &[(&str, i64)]) -> Gateway {
    Gateway::with(|setup| {
        if plaintext {
            setup.plaintext();
        }
        settings.iter().for_each(|(key, to)| setup.set(key, *to));
        setup.filings =
            vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
    })
    .await
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a byte every `pause` after `head` until the other side has had enough; what it said, and after how long.
fn drips(address: SocketAddr, head: &[u8], pause: Duration) -> (String, Duration) {
    let mut stream = connect(address);
    stream.write_all(head).unwrap();
    stream.set_read_timeout(Some(pause)).unwrap();
    let (started, mut answer, mut piece) = (Instant::now(), Vec::new(), [0; 4096]);
    while started.elapsed() < Duration::from_secs(30) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if stream.write_all(b"x").is_err() {
                    break;
                }
            }
            Err(_) => break, // reset
        }
    }
    (String::from_utf8_lossy(&answer).into_owned(), started.elapsed())
}

/// Whether a request on this connection is answered.
fn is_served(stream: &mut TcpStream) -> bool {
    let mut piece = [0; 4096];
    stream.write_all(REQUEST).is_ok()
        && stream.read(&mut piece).is_ok_and(|read| piece[..read].starts_with(b"HTTP/1.1 200"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn a_header_has_one_deadline_however_often_a_byte_of_it_comes() {
    let gateway = gateway(true, &[("limits.header_seconds", 1)]).await;
    let address = gateway.public;
    let dripping: Vec<_> = (0..20)
        .map(|_| {
            tokio::task::spawn_blocking(move || drips(address, b"GET / HTTP/1.1\r\nX: ", Duration::from_millis(50)))
        })
        .collect();
    assert!(blocking(move || is_served(&mut connect(address))).await, "somebody else, meanwhile");
    for drip in dripping {
        let (answer, after) = drip.await.unwrap();
        assert!(answer.is_empty(), "{answer}");
        assert!(after >= Duration::from_millis(900) && after < Duration::from_secs(5), "{after:?}");
    }
    gateway.metric_reaches("yimen_connections_cut_total", "reason=\"head\"", 20.0).await;
    assert!(gateway.metric("yimen_http_malformed_total", "").await < 1.0, "too slow is not unreadable");
    assert!(gateway.metric("yimen_connections", "").await < 3.0, "their seats are free again");
}

#[tokio::test]
async fn the_deadline_begins_anew_with_each_request_of_a_connection() {
    let gateway = gateway(true, &[("limits.header_seconds", 1)]).await;
    let address = gateway.public;
    let served = blocking(move || {
        let mut stream = connect(address);
        (0..4)
            .map(|_| {
                stream.write_all(b"GET /recorder/ HTTP/1.1\r\n").unwrap();
                let half_a_deadline = Duration::from_millis(500);
                stream.set_read_timeout(Some(half_a_deadline)).unwrap();
                assert!(stream.read(&mut [0]).is_err(), "answered before it was asked");
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                stream.write_all(b"Host: 127.0.0.1\r\n\r\n").unwrap();
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).unwrap();
                piece[..read].starts_with(b"HTTP/1.1 200")
            })
            .filter(|served| *served)
            .count()
    })
    .await;
    assert_eq!(served, 4, "two seconds of headers in all, half a second each");
}

#[tokio::test]
async fn a_body_that_drips_is_told_so_after_ten_seconds() {
    let silent = RecordingPlatform::answering(b""); // it waits for the body's end
    let gateway = before(&silent, true, &[]).await;
    let address = gateway.public;
    let head = b"POST /recorder/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n";
    let (answer, after) = blocking(move || drips(address, head, Duration::from_millis(500))).await;
    assert!(after > Duration::from_secs(9) && after < Duration::from_secs(14), "{after:?}");
    assert!(answer.contains("body-timeout"), "{answer}");
    gateway.metric_reaches("yimen_connections_cut_total", "reason=\"body\"", 1.0).await;
}

#[tokio::test]
async fn many_small_bodies_that_each_take_a_while_are_not_one_slow_body() {
    let window = Window::with(Setup::plaintext).await;
    let address = window.gateway.public;
    let answered = blocking(move || {
        let mut stream = connect(address);
        let ask = |_: &usize| {
            stream
                .write_all(b"POST /hangzhou/small/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nab")
                .unwrap();
            let a_while = Duration::from_millis(800);
            stream.set_read_timeout(Some(a_while)).unwrap();
            let early = stream.read(&mut [0; 4096]);
            assert!(early.is_err(), "answered without its body: {early:?}");
            stream.write_all(b"cd").unwrap();
            let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                answer.extend_from_slice(&piece[..read]);
                stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap(); // its last piece is followed by silence
            }
            answer.starts_with(b"HTTP/1.1 200")
        };
        (0..13).take_while(ask).count()
    })
    .await;
    assert_eq!(answered, 13, "more than ten seconds of waiting in all");
}

#[tokio::test]
async fn where_no_rate_is_asked_for_a_body_may_pause() {
    let window = Window::with(|setup| {
        setup.plaintext();
        setup.set("limits.rate_bytes_min", 0);
    })
    .await;
    let address = window.gateway.public;
    let answer = blocking(move || {
        let mut stream = connect(address);
        stream
            .write_all(b"POST /hangzhou/small/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nab")
            .unwrap();
        let longer_than_a_window = Duration::from_secs(11);
        stream.set_read_timeout(Some(longer_than_a_window)).unwrap();
        assert!(stream.read(&mut [0; 64]).is_err(), "cut, or answered without its body");
        stream.write_all(b"cd").unwrap();
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).unwrap();
        String::from_utf8_lossy(&piece[..read]).into_owned()
    })
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_a_busy_one_is_not() {
    let gateway = gateway(true, &[("limits.keepalive_seconds", 1), ("limits.keepalive_requests", 1_000_000)]).await;
    let address = gateway.public;
    let (busy, idle_for) = blocking(move || {
        let mut stream = connect(address);
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(2500) {
            if !is_served(&mut stream) {
                return (false, Duration::ZERO);
            }
        }
        let quiet = Instant::now();
        assert_eq!(stream.read(&mut [0; 64]).unwrap(), 0, "closed without a word");
        (true, quiet.elapsed())
    })
    .await;
    assert!(busy, "a connection in use outlives the idle time");
    assert!(idle_for > Duration::from_millis(800) && idle_for < Duration::from_secs(4), "{idle_for:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let gateway = gateway(false, &[("limits.handshake_seconds", 1)]).await;
    let address = gateway.public;
    let after = blocking(move || {
        let started = Instant::now();
        let mut stream = connect(address);
        stream.write_all(&[22, 3, 1]).unwrap(); // the first bytes of a handshake record, and no more
        let _ = stream.read(&mut [0; 64]); // an alert, or nothing
        started.elapsed()
    })
    .await;
    assert!(after >= Duration::from_millis(900) && after < Duration::from_secs(5), "{after:?}");
    gateway.metric_reaches("yimen_connections_cut_total", "reason=\"handshake\"", 1.0).await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let gateway = gateway(true, &[("limits.connections_per_address_max", 3)]).await;
    let address = gateway.public;
    let held = blocking(move || {
        let mut held: Vec<TcpStream> = (0..3).map(|_| connect(address)).collect();
        assert!(held.iter_mut().all(is_served));
        assert!(!is_served(&mut connect(address)), "a fourth");
        held
    })
    .await;
    assert!(gateway.metric("yimen_connections_refused_total", "reason=\"address\"").await >= 1.0);
    drop(held);
    let seat_free = || async { blocking(move || is_served(&mut connect(address))).await.then_some(()) };
    crate::support::until("a seat is free again", Duration::from_secs(5), seat_free).await;
}
