//! Requests without a body go to platforms by the gateway's own short way, all others by the frame's. A `TE` field, which goes no
//! further than the gateway, makes a request go by the frame's: neither platforms nor visitors may notice a difference.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, TE};

use crate::support::citizen::Citizen;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::raw::say;
use crate::support::until;

/// An answer in the pieces in which it comes, and whether the connection ends after it.
type Case = (&'static str, &'static [&'static [u8]], bool);

const KEPT: bool = false;
const CLOSED: bool = true;

const CASES: [Case; 24] = [
    ("a length", &[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"], KEPT),
    ("a length, and a close", &[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"], CLOSED),
    ("a close that is told", &[b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"], CLOSED),
    ("a time to live", &[b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nab"], KEPT),
    ("nothing, told", &[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], KEPT),
    ("a body later than its head", &[b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"ab", b"cd"], KEPT),
    ("a head in pieces", &[b"HTTP/1.1 200 O", b"K\r\nContent-", b"Length: 2\r\n\r\na", b"b"], KEPT),
    ("chunks", &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"], KEPT),
    (
        "chunks in pieces",
        &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na", b"b\r\n", b"1\r\nc\r\n0\r", b"\n\r\n"],
        KEPT,
    ),
    ("trailers", &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"], KEPT),
    ("a body that the end ends", &[b"HTTP/1.1 200 OK\r\nX-A: b\r\n\r\nab", b"cd"], CLOSED),
    ("HTTP/1.0", &[b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab"], CLOSED),
    ("HTTP/1.0 without a length", &[b"HTTP/1.0 200 OK\r\n\r\nab", b"cd"], CLOSED),
    ("no content", &[b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"], KEPT),
    ("not modified", &[b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n"], KEPT),
    ("not found", &[b"HTTP/1.1 404 Nothing Here\r\nContent-Length: 2\r\n\r\nno"], KEPT),
    (
        "a hint before",
        &[b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"],
        KEPT,
    ),
    (
        "hints in pieces",
        &[
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
            b"a",
        ],
        KEPT,
    ),
    (
        "another protocol",
        &[b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\0"],
        KEPT,
    ),
    (
        "what only we may say",
        &[b"HTTP/1.1 200 OK\r\nServer: x\r\nYimen-Served-By: me\r\nSet-Cookie: __Host-yimen=x; Path=/\r\nSet-Cookie: a=b\r\n\
          Content-Length: 1\r\n\r\na"],
        KEPT,
    ),
    ("an answer and a half", &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-"], KEPT),
    ("a body cut short", &[b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", b"cd"], CLOSED),
    ("a head cut short", &[b"HTTP/1.1 200 OK\r\nContent-Le"], CLOSED),
    ("nothing at all", &[], CLOSED),
];

const WAYS: [&str; 2] = ["short", "frame"];

/// A platform that answers `/case-{n}-{way}/` with the case of that number, and notes what it was asked.
struct Scripted {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scripted = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = Arc::clone(&scripted.heads);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&heads);
                thread::spawn(move || serve(stream, &heads));
            }
        });
        scripted
    }

    /// What came since the last call, each head with its fields in order of their names.
    fn asked(&self) -> Vec<String> {
        let heads = std::mem::take(&mut *self.heads.lock().unwrap());
        heads.iter().map(|head| comparable(head)).collect()
    }
}

#[allow(clippy::disallowed_methods, reason = "a thread of its own, which only this connection waits for")]
fn serve(mut stream: TcpStream, heads: &Mutex<Vec<String>>) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
            received.extend_from_slice(&piece[..read]);
            continue;
        };
        let head = String::from_utf8(received.drain(..end + 4).collect()).unwrap();
        let number: usize = head.split("/case-").nth(1)?.split('-').next()?.parse().ok()?;
        let (_, pieces, closes) = CASES[number];
        let (bodiless, pieces) = (without_body(pieces), pieces.iter().copied());
        let pieces: Vec<&[u8]> = if head.starts_with("HEAD ") { vec![&bodiless] } else { pieces.collect() };
        heads.lock().unwrap().push(head);
        for (n, piece) in pieces.into_iter().enumerate() {
            if n > 0 {
                thread::sleep(Duration::from_millis(20)); // so that it is read for itself
            }
            stream.write_all(piece).ok()?;
        }
        if closes {
            return None;
        }
    }
}

/// An answer up to the end of its last head, as is right for HEAD.
fn without_body(pieces: &[&[u8]]) -> Vec<u8> {
    let (whole, mut end) = (pieces.concat(), 0);
    while let Some(length) = whole[end..].windows(4).position(|four| four == b"\r\n\r\n") {
        let interim = whole[end..].starts_with(b"HTTP/1.1 1");
        end += length + 4;
        if !interim {
            return whole[..end].to_vec();
        }
    }
    whole
}

/// A text without what must differ: the way's name and the request's id; its lines in order but for the first.
fn comparable(text: &str) -> String {
    let text = WAYS.iter().fold(text.to_owned(), |text, way| text.replace(&format!("-{way}"), ""));
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("x-request-id: ")).collect();
    lines[1..].sort_unstable();
    lines.join("\n")
}

async fn gateway(platform: &Scripted, plaintext: bool) -> Gateway {
    Gateway::with(|setup| {
        setup.set("runtime.threads", 1); // each keeps connections of its own
        if plaintext {
            setup.plaintext();
        }
        let filing = |(number, way): (usize, &str)| {
            let id = format!("case-{number}-{way}");
            Filing::of(&id, "330000").at(platform.address).path(&format!("/{id}/"), "access = \"open\"")
        };
        let all = (0..CASES.len()).flat_map(|number| WAYS.map(|way| (number, way)));
        setup.filings = all.map(filing).collect();
    })
    .await
}

/// What the visitor sees of case `number` by one of the ways.
async fn seen(citizen: &Citizen, method: &Method, number: usize, way: &str) -> String {
    let asked =
        citizen.request(method.clone(), &format!("/case-{number}-{way}/a?b=c")).header(ACCEPT, "application/json");
    let asked = if way == "frame" { asked.header(TE, "trailers") } else { asked };
    let Ok(answer) = asked.send().await else { return "no answer".to_owned() };
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let fields = answer.headers().iter().map(|(name, value)| format!("{name}: {value:?}"));
    let fields = fields.filter(|field| !field.starts_with("date: ")).collect::<Vec<_>>().join("\n");
    let head = comparable(&format!("{} {:?}\n{fields}", answer.status(), answer.version()));
    let body = answer.bytes().await.map_or_else(|_| "broken off".to_owned(), |body| format!("{body:?}"));
    format!("{head}\n{body}").replace(&id, "").replace(&format!("-{way}"), "")
}

#[tokio::test]
async fn neither_platforms_nor_visitors_can_tell_one_way_from_the_other() {
    let platform = Scripted::start();
    let gateway = gateway(&platform, false).await;
    let mut answered = 0;
    for citizen in [Citizen::of_http1(&gateway), Citizen::of(&gateway)] {
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            for (number, (what, ..)) in CASES.iter().enumerate() {
                let short = (seen(&citizen, &method, number, "short").await, platform.asked());
                let frame = (seen(&citizen, &method, number, "frame").await, platform.asked());
                assert_eq!(short, frame, "{method} {what}");
                answered += usize::from(short.0.starts_with("200"));
            }
        }
    }
    assert!(answered > 8 * 15, "{answered} were answered well");
}

#[tokio::test]
async fn hints_are_passed_on_and_connections_stay_open_by_both_ways() {
    let platform = Scripted::start();
    let gateway = gateway(&platform, true).await;
    let number = |what| CASES.iter().position(|case| case.0 == what).unwrap();
    for (way, field) in [("short", ""), ("frame", "TE: trailers\r\n")] {
        let ask = |what| {
            let line = format!("GET /case-{}-{way}/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{field}\r\n", number(what));
            say(gateway.public, line.as_bytes(), Duration::from_millis(300))
        };
        let hinted = ask("a hint before");
        assert_eq!(hinted.status(), 103, "{way}: {hinted:?}");
        assert!(hinted.text.contains("HTTP/1.1 200 OK\r\n") && hinted.text.ends_with("\r\na"), "{way}: {hinted:?}");
        for what in ["a length, and a close", "a close that is told", "a body that the end ends", "HTTP/1.0"] {
            let answer = ask(what);
            assert_eq!((answer.status(), answer.closed), (200, false), "{way}, {what}: {answer:?}");
        }
        assert!(ask("a body cut short").closed, "{way}");
    }
}

#[tokio::test]
async fn the_short_way_keeps_connections_and_uses_them_again() {
    let platform = Scripted::start();
    let gateway = gateway(&platform, false).await;
    let citizen = Citizen::of(&gateway);
    for _ in 0..20 {
        citizen.get("/case-0-short/").await.has_status(200);
    }
    assert_eq!(gateway.metric("yimen_http_request_phase_seconds_count", "phase=\"connect\"").await, 1.0);
}

#[tokio::test]
async fn a_visitor_who_leaves_ends_the_request_by_either_way_and_protocol() {
    const INFLIGHT: &str = "yimen_platform_inflight_requests";
    let silent = FaultyPlatform::start(Mood::Silent);
    let gateway = Gateway::with(|setup| {
        let filing = Filing::of("silent", "330000").at(silent.address);
        setup.filings = vec![filing.path("/silent/", "access = \"open\"")];
    })
    .await;
    for citizen in [Citizen::of_http1(&gateway), Citizen::of(&gateway)] {
        for te in ["", "trailers"] {
            let asked = citizen.request(Method::GET, "/silent/");
            let asked = tokio::spawn(if te.is_empty() { asked } else { asked.header(TE, te) }.send());
            gateway.metric_reaches(INFLIGHT, "platform=\"silent\"", 1.0).await;
            asked.abort();
            let ended = || async { (gateway.metric(INFLIGHT, "").await == 0.0).then_some(()) };
            until("the request is ended", Duration::from_secs(10), ended).await;
        }
    }
}
