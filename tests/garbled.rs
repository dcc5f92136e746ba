//! Answers of platforms that two readers could read in two ways: none of them reaches a visitor.

use std::time::Duration;

use reqwest::Method;

use crate::support::citizen::Citizen;
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;

/// Answers of which nothing may be passed on.
const GARBLED: [(&str, &[u8]); 19] = [
    (
        "a switch that nobody asked for",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"),
    ("one length twice", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
    ("a list of lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab"),
    ("a list of two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc"),
    ("a signed length", b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab"),
    ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab"),
    ("a length in hex", b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nab"),
    ("an empty length", b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nab"),
    ("a length beyond all", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nab"),
    ("an unknown encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    ("a false encoding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    ("chunks in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
    ("a bare CR in a value", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\rSet-Cookie: b=c\r\n\r\nab"),
    ("a NUL in a value", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\0b\r\n\r\nab"),
    ("a NUL in a name", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX\0Y: a\r\n\r\nab"),
    ("a name without end", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nnonsense\r\n\r\nab"),
    ("no status", b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nab"),
    ("no HTTP", b"220 mail.example.gov ESMTP ready\r\n\r\n"),
];

/// Bodies whose chunks break off: the head has gone out, so the connection ends instead of the body.
const BAD_CHUNKS: [(&str, &[u8]); 5] = [
    ("no number", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"),
    ("a sign", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n"),
    ("a prefix", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n"),
    ("beyond all", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n"),
    ("longer than said", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n"),
];

/// A gateway with a platform for each answer, at `/platform-{n}/`, and the platforms.
async fn gateway(answers: &[(&str, &'static [u8])]) -> (Gateway, Vec<RecordingPlatform>) {
    let platforms: Vec<_> = answers.iter().map(|(_, answer)| RecordingPlatform::answering(answer)).collect();
    let more = "access = \"open\"\n[route.deadlines]\nfirst_byte_ms = 2000";
    let gateway = Gateway::with(|setup| {
        let filing = |(n, platform): (usize, &RecordingPlatform)| {
            let id = format!("platform-{n}");
            Filing::of(&id, "330000").at(platform.address).path(&format!("/{id}/"), more)
        };
        setup.filings = platforms.iter().enumerate().map(filing).collect();
    })
    .await;
    (gateway, platforms)
}

#[tokio::test]
async fn an_answer_that_can_be_read_in_two_ways_is_502() {
    let (gateway, platforms) = gateway(&GARBLED).await;
    let citizen = Citizen::of_http1(&gateway);
    for (n, (what, _)) in GARBLED.iter().enumerate() {
        for asked in [
            citizen.request(Method::GET, &format!("/platform-{n}/")),
            citizen.request(Method::PUT, &format!("/platform-{n}/")).body("a"),
        ] {
            let answer = citizen.send(asked).await;
            assert_eq!((answer.status, answer.header("yimen-error")), (502, "platform-garbled"), "{what}: {answer:?}");
            assert_eq!(answer.header("set-cookie"), "", "{what}");
        }
        assert_eq!(platforms[n].requests().len(), 2, "{what}: asking again makes it no better");
    }
    let protocol = gateway.metric("yimen_upstream_requests_total", "result=\"protocol\"").await;
    assert_eq!(protocol, 2.0 * GARBLED.len() as f64);
}

#[tokio::test]
async fn a_body_of_bad_chunks_never_looks_whole() {
    let (gateway, _platforms) = gateway(&BAD_CHUNKS).await;
    for citizen in [Citizen::of_http1(&gateway), Citizen::of(&gateway)] {
        for (n, (what, _)) in BAD_CHUNKS.iter().enumerate() {
            let asked = citizen.request(Method::GET, &format!("/platform-{n}/")).timeout(Duration::from_secs(10));
            match asked.send().await {
                Ok(answer) if answer.status() == 502 => {}
                Ok(answer) => assert!(answer.bytes().await.is_err(), "{what} ended as a whole body"),
                Err(_) => {} // it broke off before the head
            }
        }
    }
}

#[tokio::test]
async fn a_folded_line_is_passed_on_as_one_line() {
    let folded = b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\nX-Long: a\r\n\tSet-Cookie: b=c\r\n\r\nab";
    let (gateway, _platforms) = gateway(&[("folded", folded)]).await;
    let answer = Citizen::of_http1(&gateway).get("/platform-0/").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "ab", "2"));
    assert_eq!((answer.header("x-long"), answer.header("set-cookie")), ("a Set-Cookie: b=c", ""));
}

#[tokio::test]
async fn a_length_beside_chunks_is_dropped_and_an_answer_nobody_asked_for_goes_to_nobody() {
    let both = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let second = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let (gateway, platforms) = gateway(&[("both", both), ("second", second)]).await;
    let citizen = Citizen::of_http1(&gateway);
    let answer = citizen.get("/platform-0/").await;
    assert_eq!((answer.status, answer.body.as_str(), answer.header("content-length")), (200, "ab", ""));
    for asked in 1..=5 {
        let answer = citizen.get("/platform-1/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ab"), "request {asked}");
    }
    assert_eq!(platforms[1].requests().len(), 5);
}
