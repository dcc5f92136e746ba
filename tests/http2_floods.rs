//! HTTP/2 connections that ask for work without end (RFC 9113 section 10.5): each is ended, or costs no more than an honest one,
//! and other people are served meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::http2::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Outcome, PING, RST_STREAM, SETTINGS, block,
};
use crate::support::platform::RecordingPlatform;
use crate::support::window::Window;

/// What one flood may add to the memory of the gateway.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

const REQUEST: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/recorder/"), (":authority", "localhost")];

struct Door {
    gateway: Gateway,
    platform: RecordingPlatform,
}

impl Door {
    async fn open(settings: &[(&str, i64)]) -> Self {
        let platform = RecordingPlatform::start();
        let gateway = Gateway::with(|setup| {
            settings.iter().for_each(|(key, to)| setup.set(key, *to));
            setup.filings =
                vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
        })
        .await;
        Self { gateway, platform }
    }

    /// What becomes of a connection that does this, while somebody else is served and memory stays.
    async fn bears<T: Send + 'static>(&self, flood: impl FnOnce(Connection) -> T + Send + 'static) -> T {
        let (address, certificate) = (self.gateway.public, self.gateway.folder.path().join("certificate.pem"));
        let before = self.resident_kib();
        let other = certificate.clone();
        let flooding = tokio::task::spawn_blocking(move || flood(Connection::open(address, &certificate)));
        let served = tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(address, &other);
            connection.send(&Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(&REQUEST)).bytes());
            connection.outcome(1, Duration::from_secs(5))
        });
        assert_eq!(served.await.unwrap(), Outcome::Ok, "somebody else, meanwhile");
        let ended = flooding.await.unwrap();
        let grown = self.resident_kib().saturating_sub(before);
        assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more");
        ended
    }

    fn resident_kib(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.gateway.process.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// Sends the same again and again, reading nothing, until the other side has had enough; `false`: it never had.
fn without_end(connection: &mut Connection, times: usize, bytes: impl Fn(usize) -> Vec<u8>) -> bool {
    (0..times).any(|turn| !connection.send(&bytes(turn)))
}

fn stream(turn: usize) -> u32 {
    u32::try_from(2 * turn + 1).unwrap()
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let door = Door::open(&[]).await;
    let ended = door
        .bears(|mut connection| {
            without_end(&mut connection, 20_000, |turn| {
                let head = Frame::new(HEADERS, END_HEADERS | END_STREAM, stream(turn), block(&REQUEST));
                [head.bytes(), Frame::new(RST_STREAM, 0, stream(turn), 8_u32.to_be_bytes()).bytes()].concat()
            }) || connection.outcome(1, Duration::from_secs(5)) == Outcome::Ended
        })
        .await;
    assert!(ended, "20,000 streams were opened and reset");
    let reached = door.platform.requests().len();
    assert!(reached < 2_000, "{reached} of them reached the platform");
}

#[tokio::test]
async fn a_header_that_goes_on_and_on_ends_the_connection() {
    let door = Door::open(&[]).await;
    let ended = door
        .bears(|mut connection| {
            let head = Frame::new(HEADERS, END_STREAM, 1, block(&REQUEST)).bytes();
            connection.send(&head)
                && without_end(&mut connection, 20_000, |turn| {
                    let more = block(&[(format!("x-{turn}"), "a".repeat(1000))]);
                    Frame::new(CONTINUATION, 0, 1, more).bytes()
                })
        })
        .await;
    assert!(ended, "20 MB of header were taken");
    assert!(door.platform.requests().len() <= 1, "it reached the platform");
}

#[tokio::test]
async fn a_header_whose_end_does_not_come_ends_with_the_idle_time() {
    let door = Door::open(&[("limits.keepalive_seconds", 1)]).await;
    let after = door
        .bears(|mut connection| {
            let started = Instant::now();
            connection.send(&Frame::new(HEADERS, END_STREAM, 1, block(&REQUEST)).bytes());
            let drip = Frame::new(CONTINUATION, 0, 1, []).bytes();
            while started.elapsed() < Duration::from_secs(8) && connection.send(&drip) {
                let ended = connection.next(Duration::from_millis(100)).is_err();
                if ended {
                    break;
                }
            }
            started.elapsed()
        })
        .await;
    assert!(after < Duration::from_secs(8), "{after:?}");
}

#[tokio::test]
async fn pings_settings_and_empty_data_cost_no_more_than_their_bytes() {
    let door = Door::open(&[]).await;
    let ping = |_| Frame::new(PING, 0, 0, [0; 8]).bytes().repeat(100);
    let settings = |_| Frame::new(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 9]).bytes().repeat(100);
    // Nobody reads what the gateway says to them, so its answers must not pile up: it may end the connection or stop reading.
    door.bears(move |mut connection| without_end(&mut connection, 300, ping)).await;
    door.bears(move |mut connection| without_end(&mut connection, 300, settings)).await;
    door.bears(|mut connection| {
        let post = [(":method", "POST"), (":scheme", "https"), (":path", "/recorder/"), (":authority", "localhost")];
        connection.send(&Frame::new(HEADERS, END_HEADERS, 1, block(&post)).bytes());
        without_end(&mut connection, 300, |_| Frame::new(DATA, 0, 1, []).bytes().repeat(100))
    })
    .await;
}

#[tokio::test]
async fn a_reader_who_opens_no_window_is_cut() {
    let window = Window::with(|setup: &mut Setup| setup.set("limits.body_idle_seconds", 1)).await;
    let (address, certificate) = (window.gateway.public, window.gateway.folder.path().join("certificate.pem"));
    let outcome = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address, &certificate);
        let no_window = [0, 4, 0, 0, 0, 0];
        connection.send(&Frame::new(SETTINGS, 0, 0, no_window).bytes());
        let request = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/hangzhou/small/bytes?n=5000000"),
            (":authority", "localhost"),
        ];
        connection.send(&Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(&request)).bytes());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            match connection.next(Duration::from_secs(10)) {
                Ok(Some(frame)) if frame.kind == RST_STREAM => return Outcome::Ended,
                Err(()) => return Outcome::Ended,
                _ => {}
            }
        }
        Outcome::Silence
    })
    .await
    .unwrap();
    assert_eq!(outcome, Outcome::Ended);
}
