//! The same as `framing`, by HTTP/2: frames and fields that no client library would send, in front of a platform that reads
//! strictly. In the cases `@` stands for the path of the case's own, and `forged` marks what may never arrive.

use std::time::Duration;

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::http2::{Connection, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Outcome, block};
use crate::support::strict::StrictPlatform;

type Fields = Vec<(&'static [u8], &'static [u8])>;

/// One request: its fields, its body, its trailers.
struct Case {
    what: &'static str,
    fields: Fields,
    body: Option<&'static [u8]>,
    trailers: Option<Fields>,
}

const USUAL: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"https"), (b":path", b"@"), (b":authority", b"localhost")];

/// A usual request with these fields more.
fn with(what: &'static str, more: &[(&'static [u8], &'static [u8])]) -> Case {
    Case { what, fields: [&USUAL, more].concat(), body: None, trailers: None }
}

/// A usual request with one pseudo field said differently, or not at all.
fn pseudo(what: &'static str, name: &'static [u8], value: Option<&'static [u8]>) -> Case {
    let others = USUAL.into_iter().filter(|(known, _)| *known != name);
    Case { what, fields: others.chain(value.map(|value| (name, value))).collect(), body: None, trailers: None }
}

fn body(what: &'static str, length: &'static [u8], body: &'static [u8]) -> Case {
    let mut case = pseudo(what, b":method", Some(b"POST"));
    case.fields.push((b"content-length", length));
    Case { body: Some(body), ..case }
}

fn trailers(what: &'static str, trailers: Fields) -> Case {
    let case = pseudo(what, b":method", Some(b"POST"));
    Case { body: Some(b"12345"), trailers: Some(trailers), ..case }
}

fn cases() -> Vec<Case> {
    vec![
        with("a name in capitals", &[(b"X-Capital", b"forged")]),
        with("a name with a colon", &[(b"x:y", b"forged")]),
        with("a name with a space", &[(b"x y", b"forged")]),
        with("an empty name", &[(b"", b"forged")]),
        with("a name with a line end", &[(b"x\r\nyimen-assertion: forged\r\ny", b"1")]),
        with("a value with a line end", &[(b"x", b"1\r\nyimen-assertion: forged")]),
        with("a value with a line feed", &[(b"x", b"1\nyimen-assertion: forged")]),
        with("a value with NUL", &[(b"x", b"1\0forged")]),
        with("connection", &[(b"connection", b"forged")]),
        with("keep-alive", &[(b"keep-alive", b"forged")]),
        with("proxy-connection", &[(b"proxy-connection", b"forged")]),
        with("transfer-encoding", &[(b"transfer-encoding", b"chunked")]),
        with("an upgrade", &[(b"upgrade", b"forged")]),
        with("te other than trailers", &[(b"te", b"forged")]),
        with("a pseudo field after others", &[(b"x", b"1"), (b":path", b"/strict/hidden")]),
        with("the path twice", &[(b":path", b"/strict/hidden")]),
        with("the authority twice", &[(b":authority", b"forged.example")]),
        with("a pseudo field nobody knows", &[(b":forged", b"1")]),
        with("a status", &[(b":status", b"200")]),
        with("another Host than the authority", &[(b"host", b"forged.example")]),
        with("two hosts", &[(b"host", b"localhost"), (b"host", b"forged.example")]),
        with("the same Host again", &[(b"host", b"localhost")]),
        with("an assertion", &[(b"yimen-assertion", b"forged")]),
        with("an assertion by underscore", &[(b"yimen_assertion", b"forged")]),
        with("a forwarded address", &[(b"x-forwarded-for", b"forged")]),
        with("a client certificate", &[(b"client-cert", b"forged")]),
        with("an underscore", &[(b"any_thing", b"forged")]),
        with("two lengths", &[(b"content-length", b"0"), (b"content-length", b"5")]),
        with("a length that is none", &[(b"content-length", b"-5")]),
        pseudo("no method", b":method", None),
        pseudo("no scheme", b":scheme", None),
        pseudo("no path", b":path", None),
        pseudo("an empty path", b":path", Some(b"")),
        pseudo("a path without its slash", b":path", Some(b"strict/hidden")),
        pseudo("a path with a space", b":path", Some(b"@ HTTP/1.1\r\nyimen-assertion: forged")),
        pseudo("a path that climbs", b":path", Some(b"@/../hidden")),
        pseudo("an encoded slash", b":path", Some(b"@%2fhidden")),
        pseudo("a path with a fragment", b":path", Some(b"@#hidden")),
        pseudo("no authority", b":authority", None),
        pseudo("a user in the authority", b":authority", Some(b"forged@localhost")),
        pseudo("a path in the authority", b":authority", Some(b"localhost/forged")),
        pseudo("an authority that is not ours", b":authority", Some(b"forged.example")),
        pseudo("a method with a space", b":method", Some(b"GET /strict/hidden HTTP/1.1\r\nx:")),
        pseudo("a tunnel", b":method", Some(b"CONNECT")),
        pseudo("TRACE", b":method", Some(b"TRACE")),
        body("a length over the body", b"9", b"12345"),
        body("a length under the body", b"3", b"12345"),
        body("a length as a list", b"5, 5", b"12345"),
        body("a length with leading zeros", b"0005", b"12345"),
        trailers("an assertion in the trailers", vec![(b"yimen-assertion", b"forged")]),
        trailers("an assertion by underscore in the trailers", vec![(b"yimen_assertion", b"forged")]),
        trailers("a length in the trailers", vec![(b"content-length", b"7")]),
        trailers("a pseudo field in the trailers", vec![(b":path", b"/strict/hidden")]),
    ]
}

fn frames(number: usize, case: &Case) -> Vec<u8> {
    let path = format!("/strict/{number}");
    let place = |value: &[u8]| match value.iter().position(|byte| *byte == b'@') {
        Some(at) if value.starts_with(b"@") => [&value[..at], path.as_bytes(), &value[at + 1..]].concat(),
        _ => value.to_vec(),
    };
    let fields: Vec<_> = case.fields.iter().map(|(name, value)| (*name, place(value))).collect();
    let last = |is_last: bool| if is_last { END_STREAM } else { 0 };
    let mut frames = vec![Frame::new(HEADERS, END_HEADERS | last(case.body.is_none()), 1, block(&fields))];
    if let Some(body) = case.body {
        frames.push(Frame::new(DATA, last(case.trailers.is_none()), 1, body));
    }
    if let Some(trailers) = &case.trailers {
        frames.push(Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, block(trailers)));
    }
    frames.iter().flat_map(Frame::bytes).collect()
}

#[tokio::test]
async fn an_ambiguous_http2_request_is_refused_or_arrives_as_exactly_one_with_one_meaning() {
    let platform = StrictPlatform::start();
    let gateway = Gateway::with(|setup| {
        setup.filings = vec![Filing::of("strict", "330000").at(platform.address).path("/strict/", "access = \"open\"")];
    })
    .await;
    let cases = cases();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let (address, certificate) = (gateway.public, gateway.folder.path().join("certificate.pem"));
    let asked = cases.iter().enumerate().map(|(number, case)| {
        let (bytes, certificate) = (frames(number, case), certificate.clone());
        tokio::task::spawn_blocking(move || {
            let mut connection = Connection::open(address, &certificate);
            connection.send(&bytes);
            connection.outcome(1, Duration::from_secs(10))
        })
    });
    let mut outcomes = Vec::new();
    for outcome in asked.collect::<Vec<_>>() {
        outcomes.push(outcome.await.unwrap());
    }
    let arrived = platform.arrived();
    let mut complaints: Vec<String> = arrived.faults.iter().map(|fault| format!("the platform read {fault}")).collect();
    for (number, (case, outcome)) in cases.iter().zip(&outcomes).enumerate() {
        let own = format!("/strict/{number}");
        let reached = arrived.requests.iter().filter(|request| request.target == own).count();
        match (reached, outcome) {
            (0, Outcome::OtherStatus | Outcome::Ended) | (1, Outcome::Ok) => {}
            _ => complaints.push(format!("{}: arrived {reached} times, and its visitor saw {outcome:?}", case.what)),
        }
    }
    for request in &arrived.requests {
        let text = String::from_utf8_lossy(&request.bytes).to_ascii_lowercase();
        if ["forged", "hidden"].iter().any(|never| text.contains(never)) || !text.contains("\r\nx-request-id: ") {
            complaints.push(format!("this arrived: {text:?}"));
        }
    }
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
}
