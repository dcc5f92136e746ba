//! Parameters of a query or a form. Those that nobody asks for are ignored at the door; one that is there twice is refused, since two
//! readers could take two values (RFC 6749 section 3.1).

use percent_encoding::percent_decode_str;

/// Longest query or form: it must fit into an address of ours again, sealed, within another address.
const BYTES_MAX: usize = 4096;

/// Known parameters, each once.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(&'static str, String)>);

/// A known one is there twice, or is no text, or all of them are too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn read(text: &[u8], known: &[&'static str]) -> Result<Self, Unreadable> {
        Self::within(text, known, BYTES_MAX)
    }

    /// The same of a form that goes nowhere else and may hold long tokens.
    pub(super) fn long(text: &[u8], known: &[&'static str]) -> Result<Self, Unreadable> {
        Self::within(text, known, 8 * BYTES_MAX)
    }

    fn within(text: &[u8], known: &[&'static str], most: usize) -> Result<Self, Unreadable> {
        if text.len() > most {
            return Err(Unreadable);
        }
        let text = std::str::from_utf8(text).map_err(|_| Unreadable)?;
        let mut read: Vec<(&'static str, String)> = Vec::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decoded(name).and_then(|name| known.iter().find(|known| **known == name)) else {
                continue;
            };
            if read.iter().any(|(there, _)| there == name) {
                return Err(Unreadable);
            }
            read.push((name, decoded(value).ok_or(Unreadable)?));
        }
        Ok(Self(read))
    }

    /// The value; an empty one counts as left out.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// A name or value of a form: `+` is a space.
pub(super) fn decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!text.contains('\0')).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["a", "b"];

    #[test]
    fn each_known_parameter_is_there_once_and_others_are_ignored() {
        let read = Parameters::read(b"a=1+2&x=3&x=4&b=%E9%97%A8", KNOWN).unwrap();
        assert_eq!((read.get("a"), read.get("b"), read.get("x")), (Some("1 2"), Some("门"), None));
        assert_eq!(Parameters::read(b"a=&b", KNOWN).unwrap().get("a"), None);
        for bad in [&b"a=1&a=1"[..], b"a=1&%61=2", b"a=%ff", b"a=%00", b"\xff", &[b'a'; 5000]] {
            assert!(Parameters::read(bad, KNOWN).is_err(), "{:?}", String::from_utf8_lossy(bad));
        }
    }
}
