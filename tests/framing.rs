//! Requests that two parsers could read in two ways, in front of a platform that reads strictly: each is refused, or arrives as
//! exactly one request with one meaning, and none brings an identity of the visitor's own making.
//! In the cases `@` stands for an address of the case's own, `forged` marks what may never arrive, and so does `/hidden`.

use std::time::Duration;

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::raw::{Raw, say};
use crate::support::strict::{Arrived, StrictPlatform, StrictRequest};

const HIDDEN: &str = "GET /strict/hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// What is odd about a request, and its bytes.
type Case = (String, Vec<u8>);

fn case(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    (what.into(), bytes.into())
}

fn request_lines() -> Vec<Case> {
    let lines: [(&str, &[u8]); 33] = [
        ("a version in small letters", b"GET @ http/1.1"),
        ("version 1.2", b"GET @ HTTP/1.2"),
        ("version 2.0", b"GET @ HTTP/2.0"),
        ("version 0.9", b"GET @ HTTP/0.9"),
        ("version 1.10", b"GET @ HTTP/1.10"),
        ("version 11", b"GET @ HTTP/11"),
        ("no version", b"GET @"),
        ("two spaces", b"GET  @ HTTP/1.1"),
        ("tabs", b"GET\t@\tHTTP/1.1"),
        ("a space at the end", b"GET @ HTTP/1.1 "),
        ("a space before", b" GET @ HTTP/1.1"),
        ("an empty line before", b"\r\nGET @ HTTP/1.1"),
        ("a line feed before", b"\nGET @ HTTP/1.1"),
        ("a method of two words", b"GET GET @ HTTP/1.1"),
        ("a method in small letters", b"get @ HTTP/1.1"),
        ("a method with a colon", b"GE:T @ HTTP/1.1"),
        ("a method with NUL", b"GE\0T @ HTTP/1.1"),
        ("TRACE", b"TRACE @ HTTP/1.1"),
        ("TRACK", b"TRACK @ HTTP/1.1"),
        ("CONNECT to an address", b"CONNECT @ HTTP/1.1"),
        ("CONNECT to a host", b"CONNECT 127.0.0.1:80 HTTP/1.1"),
        ("HTTP/2's first line", b"PRI * HTTP/2.0"),
        ("an asterisk", b"GET * HTTP/1.1"),
        ("an authority", b"GET 127.0.0.1 HTTP/1.1"),
        ("no target", b"GET  HTTP/1.1"),
        ("a target without its slash", b"GET strict/1 HTTP/1.1"),
        ("only a query", b"GET ?strict HTTP/1.1"),
        ("another host in the target", b"GET http://other.example@ HTTP/1.1"),
        ("a user in the target", b"GET http://forged:forged@127.0.0.1/strict/ HTTP/1.1"),
        ("a target with a fragment", b"GET @#/strict/hidden HTTP/1.1"),
        ("a target with another scheme", b"GET ftp://127.0.0.1@ HTTP/1.1"),
        ("a target with one slash", b"GET http:/127.0.0.1@ HTTP/1.1"),
        ("the absolute form", b"GET http://127.0.0.1@ HTTP/1.1"),
    ];
    let with_host = |line: &[u8]| [line, b"\r\nHost: 127.0.0.1\r\n\r\n"].concat();
    lines.iter().map(|(what, line)| case(*what, with_host(line))).collect()
}

fn paths() -> Vec<Case> {
    let ends: [&[u8]; 34] = [
        b"/a%2fhidden",
        b"/a%2Fhidden",
        b"/a%5chidden",
        b"/a\\hidden",
        b"/a%00",
        b"/a\0b",
        b"/a;x=1/b",
        b"/a;",
        b"/a%3bx",
        b"//a",
        b"/./a",
        b"/../hidden",
        b"/%2e%2e/hidden",
        b"/.%2e/hidden",
        b"/%2e/a",
        b"/a/..",
        b"/a/.",
        b"/%c0%af",
        b"/%e0%80%af",
        b"/%f0%80%80%af",
        b"/%c0%ae%c0%ae/hidden",
        b"/%e6%9d",
        b"/%",
        b"/%2",
        b"/%zz",
        b"/%u002f",
        b"/%25%32%66",
        b"/a\tb",
        b"/a%0d%0aX:%20forged",
        b"/a\x7fb",
        b"/a\xffb",
        b"/\xe6\x9d\xad",
        b"/a\"<>b",
        b"/a|^{}b",
    ];
    ends.iter()
        .map(|end| {
            let line = [b"GET @", *end, b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"].concat();
            case(format!("the path {}", end.escape_ascii()), line)
        })
        .collect()
}

fn hosts() -> Vec<Case> {
    let fields: [&str; 20] = [
        "",
        "Host:\r\n",
        "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        "Host: 127.0.0.1\r\nhost: other.example\r\n",
        "Host: 127.0.0.1, 127.0.0.1\r\n",
        "Host: 127.0.0.1/forged\r\n",
        "Host: forged@127.0.0.1\r\n",
        "Host: 127.0.0.1:forged\r\n",
        "Host: 127.0.0.1:99999\r\n",
        "Host: 127.0.0.1:\r\n",
        "Host: 127.0.0.1 forged\r\n",
        "Host: 127.0.0.1\tforged\r\n",
        "Host: 127.0.0.1.\r\n",
        "Host: 127.0.0.1#\r\n",
        "Host: [::1\r\n",
        "Host: localhost_\r\n",
        "Host : 127.0.0.1\r\n",
        " Host: 127.0.0.1\r\n",
        "Host:\r\n 127.0.0.1\r\n",
        "Host: LocalHost\r\n",
    ];
    fields.iter().map(|fields| case(format!("{fields:?}"), format!("GET @ HTTP/1.1\r\n{fields}\r\n"))).collect()
}

fn lengths() -> Vec<Case> {
    let fields: [&[u8]; 26] = [
        b"Content-Length: 5, 5",
        b"Content-Length: 5,5",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 0\r\nContent-Length: 5",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 0x5",
        b"Content-Length: 5.0",
        b"Content-Length: 5e0",
        b"Content-Length: 5 5",
        b"Content-Length: 00005",
        b"Content-Length: 9223372036854775808",
        b"Content-Length: 18446744073709551621",
        b"Content-Length:",
        b"Content-Length: 5;",
        b"Content-Length: \xef\xbc\x95",
        b"Content-Length:\r\n 5",
        b"Content_Length: 5",
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b"\rContent-Length: 5",
        b"X: a\nContent-Length: 5",
        b"Content-Length: \x0b5",
        b"Content-Length: 5\r",
        b"Connection: content-length\r\nContent-Length: 5",
    ];
    let request = |fields: &[u8]| [b"POST @ HTTP/1.1\r\nHost: 127.0.0.1\r\n", fields, b"\r\n\r\n12345"].concat();
    let mut cases: Vec<Case> =
        fields.iter().map(|fields| case(fields.escape_ascii().to_string(), request(fields))).collect();
    cases.push(case(
        "a body of a request without one",
        format!("GET @ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()),
    ));
    cases
}

fn codings() -> Vec<Case> {
    let fields: [&[u8]; 27] = [
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked;q=1",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked\x0b",
        b"Transfer-Encoding: CHUNKED",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding : chunked",
        b"Transfer_Encoding: chunked",
        b"X: x\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: \"chunked\"",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding: , chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding\0: chunked",
        b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked",
        b"TE: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: chunked\r\nContent-Length: forged",
    ];
    let request = |fields: &[u8]| {
        let body = format!("0\r\n\r\n{HIDDEN}");
        [b"POST @ HTTP/1.1\r\nHost: 127.0.0.1\r\n", fields, b"\r\n\r\n", body.as_bytes()].concat()
    };
    let mut cases: Vec<Case> =
        fields.iter().map(|fields| case(fields.escape_ascii().to_string(), request(fields))).collect();
    cases.push(case(
        "chunks of HTTP/1.0",
        "POST @ HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ));
    cases
}

fn chunks() -> Vec<Case> {
    let bodies: [&str; 27] = [
        "+5\r\n12345\r\n0\r\n\r\n",
        "-5\r\n12345\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "5 \r\n12345\r\n0\r\n\r\n",
        "5\t\r\n12345\r\n0\r\n\r\n",
        "5;a=b\r\n12345\r\n0\r\n\r\n",
        "5;a\n12345\r\n0\r\n\r\n\r\n0\r\n\r\n",
        "5;a=\"\r\n\"\r\n12345\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\n12345\r\n0\r\n\r\n",
        "10000000000000005\r\n12345\r\n0\r\n\r\n",
        "5\n12345\r\n0\r\n\r\n",
        "5\r\n12345\n0\r\n\r\n",
        "5\r\n123450\r\n\r\n",
        "5\r\n1234567\r\n0\r\n\r\n",
        "\r\n12345\r\n0\r\n\r\n",
        "5\0\r\n12345\r\n0\r\n\r\n",
        "1_0\r\n12345\r\n0\r\n\r\n",
        "00000005\r\n12345\r\n0\r\n\r\n",
        "5\r\n12345\r\n0\r\nYimen-Assertion: forged\r\n\r\n",
        "5\r\n12345\r\n0\r\nyimen_assertion: forged\r\n\r\n",
        "5\r\n12345\r\n0\r\nContent-Length: 7\r\n\r\n",
        "5\r\n12345\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
        "5\r\n12345\r\n0\r\nHost: other.example\r\n\r\n",
        "5\r\n12345\r\n0\n\n",
        "5\r\n12345\r\n0\r\nforged\r\n\r\n",
        "5\r\n12345\r\n0;\r\n\r\n",
    ];
    bodies
        .iter()
        .map(|body| {
            let head = "POST @ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
            case(format!("the chunks {body:?}"), format!("{head}{body}"))
        })
        .collect()
}

fn field_lines() -> Vec<Case> {
    let fields: [&[u8]; 46] = [
        b"X : forged",
        b"X\t: forged",
        b"forged",
        b": forged",
        b"X: a\r\n forged",
        b"X: a\r\n\tforged",
        b"X\0: forged",
        b"X: a\0forged",
        b"X: a\rforged",
        b"X: a\nYimen-Assertion: forged",
        b"\xe4\xbd\xa0: forged",
        b"\"X\": forged",
        b"(X): forged",
        b"X Y: forged",
        b"X@: forged",
        b"Yimen-Assertion: forged",
        b"yimen_assertion: forged",
        b"YIMEN-ASSERTION: forged",
        b"Yimen-Assertion : forged",
        b"yImEn-anything: forged",
        b"X-Yimen-Subject: forged",
        b"X_Yimen_Subject: forged",
        b"X-Forwarded-For: forged",
        b"X_Forwarded_For: forged",
        b"X-Forwarded-Host: forged",
        b"X-Forwarded-User: forged",
        b"Forwarded: for=forged",
        b"X-Real-IP: forged",
        b"X-Original-URL: /forged",
        b"X-Rewrite-URL: /forged",
        b"X-HTTP-Method-Override: forged",
        b"X-HTTP-Method: forged",
        b"X-Method-Override: forged",
        b"X-Request-Id: forged",
        b"Proxy: forged",
        b"Client-Cert: :forged:",
        b"Client-Cert-Chain: :forged:",
        b"SSL-Client-Cert: forged",
        b"X-Client-Cert: forged",
        b"X-SSL-Client-S-DN: forged",
        b"Any_Thing: forged",
        b"Connection: Yimen-Assertion, X-Request-Id, Forwarded, X-Forwarded-For",
        b"Connection: Host",
        b"Connection: close, Cookie",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: forged",
        b"Connection: Upgrade\r\nUpgrade: websocket, forged",
    ];
    let request = |fields: &[u8]| [b"GET @ HTTP/1.1\r\nHost: 127.0.0.1\r\n", fields, b"\r\n\r\n"].concat();
    let mut cases: Vec<Case> =
        fields.iter().map(|fields| case(fields.escape_ascii().to_string(), request(fields))).collect();
    let many: String = (0..101).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large: String = (0..5).map(|number| format!("X-{number}: {}\r\n", "a".repeat(7000))).collect();
    cases.push(case("101 fields", format!("GET @ HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n")));
    cases.push(case("35 KB of fields", format!("GET @ HTTP/1.1\r\nHost: 127.0.0.1\r\n{large}\r\n")));
    cases.push(case("line feeds alone", "GET @ HTTP/1.1\nHost: 127.0.0.1\n\n"));
    cases.push(case("carriage returns alone", "GET @ HTTP/1.1\rHost: 127.0.0.1\r\r"));
    let foreign = format!("GET @ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n{HIDDEN}");
    cases.push(case("an upgrade to something else", foreign));
    cases
}

fn all() -> Vec<Case> {
    [request_lines(), paths(), hosts(), lengths(), codings(), chunks(), field_lines()].concat()
}

/// `/strict/17` for the seventeenth case, in place of its `@`.
fn placed(number: usize, bytes: &[u8]) -> Vec<u8> {
    let address = format!("/strict/{number}");
    let pieces: Vec<&[u8]> = bytes.splitn(2, |byte| *byte == b'@').collect();
    pieces.join(address.as_bytes())
}

fn is_at(request: &StrictRequest, number: usize) -> bool {
    let rest = request.target.strip_prefix(&format!("/strict/{number}"));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// What is wrong with how a case went; `None`: nothing.
fn complaint(number: usize, what: &str, raw: &Raw, arrived: &Arrived) -> Option<String> {
    let reached = arrived.requests.iter().filter(|request| is_at(request, number)).count();
    let refused = raw.status() >= 400 || (raw.text.is_empty() && raw.closed);
    match reached {
        0 if refused => None,
        0 => Some(format!("{what}: did not arrive and was not refused: {raw:?}")),
        1 if raw.status() == 200 => None,
        1 => Some(format!("{what}: arrived, and its visitor was told {raw:?}")),
        more => Some(format!("{what}: arrived {more} times")),
    }
}

#[tokio::test]
async fn an_ambiguous_request_is_refused_or_arrives_as_exactly_one_with_one_meaning() {
    let platform = StrictPlatform::start();
    let gateway = Gateway::with(|setup| {
        setup.plaintext();
        setup.set("limits.connections_per_address_max", 1000);
        setup.filings = vec![Filing::of("strict", "330000").at(platform.address).path("/strict/", "access = \"open\"")];
    })
    .await;
    let cases = all();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let address = gateway.public;
    let asked = cases.iter().enumerate().map(|(number, (_, bytes))| {
        let bytes = placed(number, bytes);
        tokio::task::spawn_blocking(move || say(address, &bytes, Duration::from_millis(500)))
    });
    let mut raws = Vec::new();
    for answer in asked.collect::<Vec<_>>() {
        raws.push(answer.await.unwrap());
    }
    let arrived = platform.arrived();
    let judged = cases.iter().zip(&raws).enumerate();
    let mut complaints: Vec<String> =
        judged.filter_map(|(number, ((what, _), raw))| complaint(number, what, raw, &arrived)).collect();
    complaints.extend(arrived.faults.iter().map(|fault| format!("the platform read {fault}")));
    for request in &arrived.requests {
        let text = String::from_utf8_lossy(&request.bytes).to_ascii_lowercase();
        let names_with_underscores = request.fields.iter().any(|(name, _)| name.contains('_'));
        let ours_is_there = request.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-request-id"));
        if text.contains("forged") || request.target.contains("hidden") || names_with_underscores || !ours_is_there {
            complaints.push(format!("this arrived: {text:?}"));
        }
    }
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), cases.len(), complaints.join("\n"));
}
