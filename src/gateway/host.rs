//! One canonical form of a host: lower case, digits, dots and hyphens, or an IPv6 address in brackets; the port apart.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Splits a `Host` value or authority into canonical host name and port text (with its colon, or empty).
/// `None`: user information, other characters, an empty name or a port that is no number.
pub fn canonical(value: &str) -> Option<(Cow<'_, str>, &str)> {
    let (name, port) = split(value)?;
    if !port_is_good(port) {
        return None;
    }
    if let Some(inner) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        inner.parse::<Ipv6Addr>().ok()?;
        return Some((lower(name), port));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let shaped = !name.is_empty() && name.len() <= 253 && name.bytes().all(good);
    let dotted = name.starts_with('.') || name.ends_with('.') || name.as_bytes().windows(2).any(|pair| pair == b"..");
    (shaped && !dotted).then(|| (lower(name), port))
}

fn split(value: &str) -> Option<(&str, &str)> {
    let colon = match value.rfind(']') {
        Some(end) => value.get(end..)?.find(':').map(|at| at + end),
        None => value.find(':'),
    };
    value.split_at_checked(colon.unwrap_or(value.len()))
}

fn port_is_good(port: &str) -> bool {
    match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for (value, name, port) in [
            ("zwfw.example.gov", "zwfw.example.gov", ""),
            ("ZWFW.Example.gov:8443", "zwfw.example.gov", ":8443"),
            ("127.0.0.1:1", "127.0.0.1", ":1"),
            ("[::1]:8443", "[::1]", ":8443"),
            ("[2001:DB8::1]", "[2001:db8::1]", ""),
        ] {
            assert_eq!(canonical(value), Some((Cow::Borrowed(name), port)), "{value}");
        }
    }

    #[test]
    fn odd_hosts_are_refused() {
        for value in [
            "", ":80", "a@b", "a b", "a/b", "a_b", "a\\b", "a:b", "a:99999", "a:+80", "a::1", "[::1", "[zz]", "[::1]x",
            ".a", "a.", "a..b", "a,b", "a:80:80", "a:",
        ] {
            assert_eq!(canonical(value), None, "{value} passed");
        }
    }
}
