//! One canonical form of a host: lower case, digits, dots and hyphens, or an IPv6 address in brackets; the port apart.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Splits a `Host` value or authority into canonical host name and port text (with its colon, or empty).
/// `None`: user information, other characters, an empty name or a port that is no number.
/// Cost: one look at each byte; it is on every request's way.
pub fn canonical(value: &str) -> Option<(Cow<'_, str>, &str)> {
    let (name, port) = value.split_at_checked(name_length(value))?;
    let good = if name.starts_with('[') { is_ipv6(name) } else { is_name(name) };
    (good && port_is_good(port)).then(|| (lower(name), port))
}

/// How much of a `Host` value is the name: all before the colon of the port.
pub(crate) fn name_length(value: &str) -> usize {
    let bytes = value.as_bytes();
    let port = match value.starts_with('[') {
        true => bytes.iter().position(|byte| *byte == b']').map(|end| end + 1),
        false => bytes.iter().position(|byte| *byte == b':'),
    };
    port.unwrap_or(bytes.len())
}

fn is_ipv6(name: &str) -> bool {
    name.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

/// Labels of letters, digits and hyphens with one dot between each two.
fn is_name(name: &str) -> bool {
    let mut before = b'.';
    let good = name.bytes().all(|byte| {
        let good = byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'.' && before != b'.');
        before = byte;
        good
    });
    good && before != b'.' && name.len() <= 253
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
