//! One canonical form of a request path, or a refusal: what is matched is, byte for byte, what is forwarded.
//! Canonical: starts with `/`; unreserved characters bare, everything else percent-encoded with capital hex; no dot
//! segments, empty segments, encoded slashes, backslashes, semicolons or NUL; decodes to UTF-8 without control characters.
//! Cost: one pass and no allocation for a path that is canonical already. Idempotent (property test). Source: RFC 3986 section 6.2.2.

use std::borrow::Cow;
use std::str;

/// Why a path has no canonical form that every server behind us would read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// No `/` at the front, or a character that has no place in a path.
    Shape,
    /// `.` or `..`, bare or encoded.
    DotSegment,
    /// `//`.
    EmptySegment,
    /// An encoded slash, backslash, semicolon or NUL, or a bare backslash or semicolon: servers disagree about them.
    Ambiguous,
    /// `%` without two hex digits, or bytes that are no UTF-8.
    Encoding,
}

/// The canonical form of `raw` (a path without query).
pub fn canonical(raw: &str) -> Result<Cow<'_, str>, BadPath> {
    let bytes = raw.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(BadPath::Shape);
    }
    let simple = bytes.iter().all(|byte| plain(*byte));
    let path = if simple { Cow::Borrowed(raw) } else { Cow::Owned(recoded(bytes)?) };
    segments(&path)?;
    Ok(path)
}

/// Bytes that stand for themselves in a path segment (RFC 3986 `pchar` without `%` and `;`), and the slash.
fn plain(byte: u8) -> bool {
    // A pattern becomes a bit test; a search in a list, for every byte of every path, does not.
    matches!(byte, b'!' | b'$' | b'&'..=b'9' | b':' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~')
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn recoded(raw: &[u8]) -> Result<String, BadPath> {
    let mut canonical = String::with_capacity(raw.len());
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'%' => {
                let (value, after) = escape(rest).ok_or(BadPath::Encoding)?;
                rest = after;
                decoded.push(value);
                encode(value, &mut canonical)?;
            }
            b'\\' | b';' => return Err(BadPath::Ambiguous),
            _ if plain(byte) => {
                decoded.push(byte);
                canonical.push(char::from(byte));
            }
            _ => return Err(BadPath::Shape),
        }
    }
    // Overlong forms, lone surrogates and half characters are no UTF-8, so one check refuses them all.
    str::from_utf8(&decoded).map_err(|_| BadPath::Encoding)?;
    Ok(canonical)
}

fn escape(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (pair, after) = rest.split_at_checked(2)?;
    let digits = str::from_utf8(pair).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((u8::from_str_radix(digits, 16).ok()?, after))
}

fn encode(value: u8, canonical: &mut String) -> Result<(), BadPath> {
    match value {
        b'/' | b'\\' | b';' | 0 => Err(BadPath::Ambiguous),
        _ if value.is_ascii_control() => Err(BadPath::Ambiguous),
        _ if unreserved(value) => {
            canonical.push(char::from(value));
            Ok(())
        }
        _ => {
            for nibble in [value >> 4, value & 15] {
                canonical.extend(char::from_digit(nibble.into(), 16).map(|digit| digit.to_ascii_uppercase()));
            }
            let at = canonical.len() - 2;
            canonical.insert(at, '%');
            Ok(())
        }
    }
}

fn segments(path: &str) -> Result<(), BadPath> {
    let odd = |pair: &[u8]| matches!(pair, [b'/', b'/' | b'.']);
    if !path.as_bytes().windows(2).any(odd) {
        return Ok(()); // nearly every path
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(BadPath::DotSegment),
            "" if segments.peek().is_some() => return Err(BadPath::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_path_has_one_form() {
        for (raw, expected) in [
            ("/", "/"),
            ("/s/330106/002099001000/", "/s/330106/002099001000/"),
            ("/%41%7e/b", "/A~/b"),
            ("/%e4%ba%8b/", "/%E4%BA%8B/"),
            ("/a%20b", "/a%20b"),
            ("/a+b=c@d:e", "/a+b=c@d:e"),
            ("/...", "/..."),
        ] {
            assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        use BadPath::*;
        for (raw, why) in [
            ("", Shape),
            ("a", Shape),
            ("*", Shape),
            ("/a b", Shape),
            ("/a\u{7}", Shape),
            ("/事", Shape),
            ("/a#b", Shape),
            ("/..", DotSegment),
            ("/a/../b", DotSegment),
            ("/./a", DotSegment),
            ("/%2e%2E/a", DotSegment),
            ("/.%2e", DotSegment),
            ("//", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a%2fb", Ambiguous),
            ("/a%5Cb", Ambiguous),
            ("/a\\b", Ambiguous),
            ("/a;b", Ambiguous),
            ("/a%3Bb", Ambiguous),
            ("/a%00", Ambiguous),
            ("/a%0d%0a", Ambiguous),
            ("/a%", Encoding),
            ("/a%4", Encoding),
            ("/a%zz", Encoding),
            ("/a%+1", Encoding),
            ("/%c0%af", Encoding),
            ("/%e0%80%af", Encoding),
            ("/%ed%a0%80", Encoding),
            ("/%ff", Encoding),
            ("/..;/admin", Ambiguous),
            ("/a/..%2f", Ambiguous),
        ] {
            assert_eq!(canonical(raw), Err(why), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn canonicalising_twice_changes_nothing_more(raw in "/([a-zA-Z0-9%./;~_-]|%[0-9a-fA-F]{2}){0,40}") {
            if let Ok(once) = canonical(&raw) {
                prop_assert_eq!(canonical(&once), Ok(once.clone()));
            }
        }

        #[test]
        fn what_passes_decodes_to_the_same_text(raw in "/([a-zA-Z0-9._~-]|%[0-9a-fA-F]{2}){0,40}") {
            if let Ok(form) = canonical(&raw) {
                let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
                let (before, after) = (decode(&raw), decode(&form));
                prop_assert!(!after.contains(&0) && !after.contains(&b'\\'));
                prop_assert_eq!(before, after);
            }
        }
    }
}
