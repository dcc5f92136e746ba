//! The first step: who calls, and the id under which the log knows the request.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use http::HeaderValue;
use pingora::http::RequestHeader;

use crate::config::Network;

/// Makes request ids: 16 hex digits of this process, 16 counting up. Unique, not secret.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: [u8; 16],
    next: AtomicU64,
}

/// A request's id as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestId([u8; 32]);

impl RequestIds {
    /// Begins at a random place, so that two processes never count alike.
    pub(crate) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids of two processes may meet; nothing but a search in the log depends on them.
        let process = rand::fill(&mut seed).map_or(0, |()| u64::from_be_bytes(seed));
        Self { process: hex(process), next: AtomicU64::new(1) }
    }

    pub(crate) fn next(&self) -> RequestId {
        let mut text = [0; 32];
        let (process, count) = text.split_at_mut(16);
        process.copy_from_slice(&self.process);
        count.copy_from_slice(&hex(self.next.fetch_add(1, Ordering::Relaxed)));
        RequestId(text)
    }
}

/// 16 digits, with zeros in front.
fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (place, byte) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        place.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default() // hex digits only
    }

    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or(HeaderValue::from_static("-")) // hex digits only
    }
}

/// The address of the person's side: the socket's, or, behind trusted hops, the last address that no trusted hop
/// wrote into `X-Forwarded-For` (entries further left are the caller's own words).
pub(crate) fn client(peer: Option<IpAddr>, header: &RequestHeader, trusted: &[Network]) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if trusted.is_empty() || !is_trusted(client) {
        return Some(client);
    }
    let fields: Vec<&str> =
        header.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    for hop in fields.iter().rev().flat_map(|field| field.rsplit(',')) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    Some(client)
}

/// The network around an address that is kept and shown instead of the address: /24, or /48.
pub(crate) fn network(client: Option<IpAddr>) -> String {
    match client {
        Some(address @ IpAddr::V4(_)) => Network::of(address, 24).to_string(),
        Some(address @ IpAddr::V6(_)) => Network::of(address, 48).to_string(),
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut header = RequestHeader::build("GET", b"/", None).unwrap();
        for value in forwarded {
            header.append_header("X-Forwarded-For", *value).unwrap();
        }
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(Some(peer.parse().unwrap()), &header, &trusted).unwrap().to_string()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_hops() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.0.0.7"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "198.51.100.1"], &["10.0.0.0/8"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["nonsense"], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn request_ids_differ_and_have_32_hex_digits() {
        let ids = RequestIds::new();
        let (one, two) = (ids.next(), ids.next());
        assert_ne!(one.as_str(), two.as_str());
        assert_eq!(&hex(0x0123_4567_89ab_cdef), b"0123456789abcdef");
        assert!(one.as_str().len() == 32 && one.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
