//! What a balancer says about the connection it hands on: the PROXY protocol of HAProxy's authors, versions 1 (a line) and 2
//! (bytes), as its specification of 2020-03-05 has them. Read before anything else, byte for byte no further than it goes.
//! Fails: `BadHeader`, for everything that is no such header; nobody else's bytes are ever taken for one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// The shortest header of all is version 1's `PROXY UNKNOWN` with its line end: so much can be read of any.
const SHORTEST: usize = 15;
/// Longest line of version 1, line end included (section 2.1).
const LINE_BYTES_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED: usize = 16;
/// Two socket addresses and what balancers add about TLS, with room to spare; the field itself would allow 64 KiB.
const PAYLOAD_BYTES_MAX: usize = 2048;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The balancer itself (a health check), or somebody it does not name: the socket's own address counts.
    Own,
    /// The visitor whom the balancer speaks for.
    Visitor(SocketAddr),
}

/// How far a header has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has at least so many bytes in all, more than were given.
    Needs(usize),
    /// It is complete, and this long.
    Done(Sender, usize),
}

/// The bytes are no PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no PROXY header of version 1 or 2; let the balancer send one, or turn public.proxy_protocol off")]
pub(super) struct BadHeader;

impl From<BadHeader> for io::Error {
    fn from(bad: BadHeader) -> Self {
        Self::new(io::ErrorKind::InvalidData, bad)
    }
}

/// Reads one header. The caller holds the deadline.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> io::Result<Sender> {
    let mut bytes = Vec::with_capacity(LINE_BYTES_MAX);
    let mut needs = SHORTEST;
    loop {
        let missing = u64::try_from(needs.saturating_sub(bytes.len())).unwrap_or(0);
        if (&mut *stream).take(missing).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match parse(&bytes)? {
            Progress::Needs(more) => needs = more,
            Progress::Done(sender, _) => return Ok(sender),
        }
    }
}

/// Looks at the first bytes of a connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Progress, BadHeader> {
    if starts_alike(bytes, LINE_START) {
        line(bytes)
    } else if starts_alike(bytes, &SIGNATURE) {
        binary(bytes)
    } else {
        Err(BadHeader)
    }
}

/// Whether one is the beginning of the other.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

fn line(bytes: &[u8]) -> Result<Progress, BadHeader> {
    let Some(end) = bytes.windows(2).take(LINE_BYTES_MAX - 1).position(|pair| pair == b"\r\n") else {
        let needs = SHORTEST.max(bytes.len() + 1);
        return if needs > LINE_BYTES_MAX { Err(BadHeader) } else { Ok(Progress::Needs(needs)) };
    };
    let text = bytes.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(BadHeader)?;
    Ok(Progress::Done(sender_of_line(text)?, end + 2))
}

/// `PROXY TCP4 source destination port port`, one space between each.
fn sender_of_line(text: &str) -> Result<Sender, BadHeader> {
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Sender::Own), // whatever follows is to be ignored
        ["PROXY", family, source, destination, from, to] => {
            let (source, _) = (address(family, source)?, address(family, destination)?);
            let (from, _) = (port(from)?, port(to)?);
            Ok(Sender::Visitor(SocketAddr::new(source, from)))
        }
        _ => Err(BadHeader),
    }
}

fn address(family: &str, text: &str) -> Result<IpAddr, BadHeader> {
    match family {
        "TCP4" => text.parse().map(IpAddr::V4).map_err(|_| BadHeader),
        "TCP6" => text.parse().map(IpAddr::V6).map_err(|_| BadHeader),
        _ => Err(BadHeader),
    }
}

/// Digits only, without leading zeros: `parse` alone would take a sign.
fn port(text: &str) -> Result<u16, BadHeader> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().map_err(|_| BadHeader) } else { Err(BadHeader) }
}

fn binary(bytes: &[u8]) -> Result<Progress, BadHeader> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(Progress::Needs(FIXED)) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > PAYLOAD_BYTES_MAX {
        return Err(BadHeader);
    }
    let Some(payload) = rest.get(..length) else { return Ok(Progress::Needs(FIXED + length)) };
    let sender = match (command, family) {
        (0x20, _) | (0x21, 0x00) => Sender::Own, // LOCAL, or of no family
        (0x21, 0x11) => Sender::Visitor(ipv4(payload).ok_or(BadHeader)?),
        (0x21, 0x21) => Sender::Visitor(ipv6(payload).ok_or(BadHeader)?),
        _ => return Err(BadHeader), // neither version 2 nor TCP
    };
    Ok(Progress::Done(sender, FIXED + length))
}

/// Source and destination address, source and destination port; what else was added follows.
fn ipv4(payload: &[u8]) -> Option<SocketAddr> {
    let (addresses, ports) = payload.split_first_chunk::<8>()?;
    let [a, b, c, d, ..] = *addresses;
    Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), source_port(ports)?))
}

fn ipv6(payload: &[u8]) -> Option<SocketAddr> {
    let (source, rest) = payload.split_first_chunk::<16>()?;
    let (_destination, ports) = rest.split_first_chunk::<16>()?;
    Some(SocketAddr::new(Ipv6Addr::from(*source).into(), source_port(ports)?))
}

fn source_port(ports: &[u8]) -> Option<u16> {
    let ([high, low, ..], _) = ports.split_first_chunk::<4>()?;
    Some(u16::from_be_bytes([*high, *low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn visitor(text: &str) -> Sender {
        Sender::Visitor(text.parse().unwrap())
    }

    fn version2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        header.extend(payload);
        header
    }

    #[test]
    fn a_line_names_the_visitor() {
        for (line, sender) in [
            ("PROXY TCP4 198.51.100.7 203.0.113.1 51234 443", visitor("198.51.100.7:51234")),
            ("PROXY TCP6 2001:db8::7 2001:db8::1 1 443", visitor("[2001:db8::7]:1")),
            ("PROXY UNKNOWN", Sender::Own),
            ("PROXY UNKNOWN ffff:f::1 whatever 1 2", Sender::Own),
        ] {
            let bytes = format!("{line}\r\nGET / HTTP/1.1\r\n");
            assert_eq!(parse(bytes.as_bytes()), Ok(Progress::Done(sender, line.len() + 2)), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_odd_in_any_way_is_none() {
        for line in [
            "PROXY",
            "PROXY ",
            "proxy TCP4 198.51.100.7 203.0.113.1 1 2",
            "PROXY  TCP4 198.51.100.7 203.0.113.1 1 2",
            "PROXY TCP4 198.51.100.7 203.0.113.1 1 2 ",
            "PROXY TCP4 198.51.100.7 203.0.113.1 1",
            "PROXY TCP4 198.51.100.7 203.0.113.1 1 65536",
            "PROXY TCP4 198.51.100.7 203.0.113.1 +1 2",
            "PROXY TCP4 198.51.100.7 203.0.113.1 01 2",
            "PROXY TCP4 198.51.100.7 203.0.113.1  2",
            "PROXY TCP4 198.51.100.256 203.0.113.1 1 2",
            "PROXY TCP4 2001:db8::7 2001:db8::1 1 2",
            "PROXY TCP6 198.51.100.7 203.0.113.1 1 2",
            "PROXY UDP4 198.51.100.7 203.0.113.1 1 2",
            "PROXY TCP4 198.51.100.7\t203.0.113.1 1 2",
            "PROXY TCP4 198.51.100.7 203.0.113.1 1 2\n",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(parse(format!("{line}\r\n").as_bytes()), Err(BadHeader), "{line}");
        }
        let endless = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        assert_eq!(parse(endless.as_bytes()), Err(BadHeader));
        let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LINE_BYTES_MAX - 16));
        assert_eq!(parse(longest.as_bytes()), Ok(Progress::Done(Sender::Own, LINE_BYTES_MAX)));
    }

    #[test]
    fn bytes_name_the_visitor_and_what_else_they_say_is_passed_over() {
        let v4 = [198, 51, 100, 7, 203, 0, 113, 1, 0xc8, 0x22, 1, 187];
        let (source, destination): (Ipv6Addr, Ipv6Addr) =
            ("2001:db8::7".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let v6 = [&source.octets()[..], &destination.octets()[..], &[0, 80, 1, 187][..]].concat();
        let added = [&v4[..], &[0x20, 0, 5, 1, 2, 3, 4, 5][..]].concat();
        for (header, sender) in [
            (version2(0x21, 0x11, &v4), visitor("198.51.100.7:51234")),
            (version2(0x21, 0x11, &added), visitor("198.51.100.7:51234")),
            (version2(0x21, 0x21, &v6), visitor("[2001:db8::7]:80")),
            (version2(0x20, 0x00, &[]), Sender::Own),
            (version2(0x20, 0x11, &v4), Sender::Own),
            (version2(0x21, 0x00, &[1, 2, 3]), Sender::Own),
        ] {
            let length = header.len();
            assert_eq!(parse(&[header, b"GET".to_vec()].concat()), Ok(Progress::Done(sender, length)));
        }
        for header in [
            version2(0x21, 0x11, &v4[..11]),
            version2(0x21, 0x21, &v6[..35]),
            version2(0x21, 0x12, &v4),
            version2(0x21, 0x31, &[0; 216]),
            version2(0x22, 0x11, &v4),
            version2(0x11, 0x11, &v4),
            version2(0x20, 0x00, &[0; PAYLOAD_BYTES_MAX + 1]),
        ] {
            assert_eq!(parse(&header), Err(BadHeader), "{header:?}");
        }
    }

    /// Headers, near-headers and noise.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let noise = || proptest::collection::vec(any::<u8>(), 0..300);
        let line = "PROXY (TCP4|TCP6|UNKNOWN)[ -~]{0,110}\r\n";
        prop_oneof![
            noise(),
            line.prop_map(String::into_bytes),
            (any::<u8>(), any::<u8>(), any::<u16>(), noise()).prop_map(|(command, family, length, rest)| {
                let mut header = SIGNATURE.to_vec();
                header.extend([command, family]);
                header.extend((length % 300).to_be_bytes());
                header.extend(rest);
                header
            }),
            (0x20_u8..0x22, prop_oneof![Just(0x11_u8), Just(0x21), Just(0)], noise())
                .prop_map(|(command, family, payload)| version2(command, family, &payload)),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_claim_more_than_is_there(bytes in bytes()) {
            match parse(&bytes) {
                Ok(Progress::Done(_, length)) => prop_assert!(length <= bytes.len() && length >= SHORTEST),
                Ok(Progress::Needs(needs)) => {
                    prop_assert!(needs > bytes.len() && needs <= FIXED + PAYLOAD_BYTES_MAX);
                }
                Err(BadHeader) => {}
            }
        }

        #[test]
        fn what_is_decided_stays_so_whatever_follows(bytes in bytes(), more in bytes()) {
            let whole = [bytes.clone(), more].concat();
            match parse(&bytes) {
                Ok(Progress::Needs(_)) => {}
                decided => prop_assert_eq!(decided, parse(&whole)),
            }
        }

        #[test]
        fn reading_leaves_every_byte_behind_the_header(bytes in bytes(), rest in bytes()) {
            let whole = [bytes, rest].concat();
            let mut stream = whole.as_slice();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let (Ok(sender), Ok(Progress::Done(same, length))) =
                (runtime.block_on(read(&mut stream)), parse(&whole))
            {
                prop_assert_eq!(sender, same);
                prop_assert_eq!(stream, &whole[length..]);
            }
        }

        #[test]
        fn a_line_says_who_wrote_it(source: Ipv4Addr, from: u16, source6: Ipv6Addr) {
            for (family, address) in [("TCP4", IpAddr::V4(source)), ("TCP6", IpAddr::V6(source6))] {
                let line = format!("PROXY {family} {address} {address} {from} 443\r\n");
                let expected = Sender::Visitor(SocketAddr::new(address, from));
                prop_assert_eq!(parse(line.as_bytes()), Ok(Progress::Done(expected, line.len())));
            }
        }
    }
}
