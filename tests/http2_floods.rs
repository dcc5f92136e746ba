//! HTTP/2 connections that ask for work without end (RFC 9113 section 10.5): each is ended, or costs no more than an honest one,
//! and other people are served meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::http2::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Outcome, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block,
};
use crate::support::platform::RecordingPlatform;
use crate::support::window::Window;

/// What one flood may add to the memory of the gateway.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

const REQUEST: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/recorder/"), (":authority", "localhost")];

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":path", "/recorder/"), (":authority", "localhost")];

struct Door {
    gateway: Gateway,
    platform: RecordingPlatform,
}

impl Door {
    async fn open(settings: &[(&str, i64)]) -> Self {
        Self::before(RecordingPlatform::start(), settings).await
    }

    async fn before(platform: RecordingPlatform, settings: &[(&str, i64)]) -> Self {
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

    /// The same, where the platform serves nobody else meanwhile.
    async fn bears_alone<T: Send + 'static>(&self, flood: impl FnOnce(Connection) -> T + Send + 'static) -> T {
        let (address, certificate) = (self.gateway.public, self.gateway.folder.path().join("certificate.pem"));
        tokio::task::spawn_blocking(move || flood(Connection::open(address, &certificate))).await.unwrap()
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

/// Sends a piece ten times a second until the other side has had enough; how long that took.
fn drips(connection: &mut Connection, pieces: impl IntoIterator<Item = Vec<u8>>, pause: Duration) -> Duration {
    let started = Instant::now();
    for piece in pieces {
        if started.elapsed() > Duration::from_secs(20) || !connection.send(&piece) || connection.ended_within(pause) {
            break;
        }
    }
    started.elapsed()
}

const A_TENTH: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_header_whose_end_does_not_come_is_cut_at_its_deadline() {
    let door = Door::open(&[("limits.header_seconds", 1)]).await;
    let frames = |connection: &mut Connection| {
        connection.send(&Frame::new(HEADERS, END_STREAM, 1, block(&REQUEST)).bytes());
        drips(connection, std::iter::repeat_with(|| Frame::new(CONTINUATION, 0, 1, []).bytes()), A_TENTH)
    };
    let bytes = |connection: &mut Connection| {
        let head = Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(&REQUEST)).bytes();
        drips(connection, head.into_iter().map(|byte| vec![byte]), A_TENTH)
    };
    let further = |connection: &mut Connection| {
        connection.send(&Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(&REQUEST)).bytes());
        assert_eq!(connection.outcome(1, Duration::from_secs(5)), Outcome::Ok);
        drips(connection, std::iter::repeat_n(vec![0], 8), A_TENTH * 3)
    };
    let slow: [fn(&mut Connection) -> Duration; 3] = [frames, bytes, further];
    for drip in slow {
        let after = door.bears(move |mut connection| drip(&mut connection)).await;
        assert!(after > Duration::from_millis(800) && after < Duration::from_secs(5), "{after:?}");
    }
    door.gateway.metric_reaches("yimen_connections_cut_total", "reason=\"head\"", 3.0).await;
}

#[tokio::test]
async fn headers_that_each_come_in_time_are_not_one_slow_header() {
    let door = Door::open(&[("limits.header_seconds", 1)]).await;
    let answered = door
        .bears(|mut connection| {
            let ask = |turn: &usize| {
                let head = Frame::new(HEADERS, END_HEADERS | END_STREAM, stream(*turn), block(&REQUEST)).bytes();
                let (first, rest) = head.split_at(20);
                connection.send(first);
                assert!(!connection.ended_within(Duration::from_millis(500)), "cut");
                connection.send(rest);
                connection.outcome(stream(*turn), Duration::from_secs(5)) == Outcome::Ok
            };
            (0..5).take_while(ask).count()
        })
        .await;
    assert_eq!(answered, 5);
}

#[tokio::test]
async fn a_body_that_drips_is_cut_and_its_platform_is_not_blamed() {
    let silent = RecordingPlatform::answering(b""); // it waits for the body's end
    let door = Door::before(silent, &[]).await;
    let after = door
        .bears_alone(|mut connection| {
            connection.send(&Frame::new(HEADERS, END_HEADERS, 1, block(&POST)).bytes());
            let drip = std::iter::repeat_with(|| Frame::new(DATA, 0, 1, *b"x").bytes());
            drips(&mut connection, drip, Duration::from_millis(500))
        })
        .await;
    assert!(after > Duration::from_secs(9) && after < Duration::from_secs(14), "{after:?}");
    door.gateway.metric_reaches("yimen_connections_cut_total", "reason=\"body\"", 1.0).await;
    door.gateway.metric_reaches("yimen_http_refusals_total", "code=\"body-timeout\"", 1.0).await;
    assert!(door.gateway.metric("yimen_upstream_requests_total", "result=\"reset\"").await < 1.0);
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
        connection.send(&Frame::new(HEADERS, END_HEADERS, 1, block(&POST)).bytes());
        without_end(&mut connection, 300, |_| Frame::new(DATA, 0, 1, []).bytes().repeat(100))
    })
    .await;
}

/// Asks for five million bytes with a window of this size and does what it does; how long it took until the end.
async fn reads(window: u32, then: fn(&mut Connection) -> Duration) -> Duration {
    let wide = Window::open().await;
    let (address, certificate) = (wide.gateway.public, wide.gateway.folder.path().join("certificate.pem"));
    let after = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address, &certificate);
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        connection.send(&Frame::new(SETTINGS, 0, 0, settings).bytes());
        let request = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/hangzhou/small/bytes?n=5000000"),
            (":authority", "localhost"),
        ];
        connection.send(&Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(&request)).bytes());
        then(&mut connection)
    })
    .await
    .unwrap();
    wide.gateway.metric_reaches("yimen_connections_cut_total", "reason=\"answer\"", 1.0).await;
    after
}

#[tokio::test]
async fn a_reader_who_opens_no_window_is_cut() {
    let after = reads(0, |connection| drips(connection, std::iter::repeat_n(Vec::new(), 200), A_TENTH)).await;
    assert!(after > Duration::from_secs(9) && after < Duration::from_secs(14), "{after:?}");
}

#[tokio::test]
async fn a_reader_who_opens_its_window_byte_by_byte_is_cut() {
    let after = reads(1000, |connection| {
        let byte = || Frame::new(WINDOW_UPDATE, 0, 1, 1_u32.to_be_bytes()).bytes();
        drips(connection, std::iter::repeat_with(byte), Duration::from_millis(500))
    })
    .await;
    assert!(after > Duration::from_secs(9) && after < Duration::from_secs(14), "{after:?}");
}
