//! Addresses of clients with something added to their query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but unreserved characters (RFC 3986 section 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The filed address with these parameters behind whatever query it has.
pub(super) fn with(filed: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut address = filed.to_owned();
    let mut joint = if filed.contains('?') { '&' } else { '?' };
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        address.push(joint);
        address.push_str(name);
        address.push('=');
        address.extend(utf8_percent_encode(value, VALUE));
        joint = '&';
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_is_there_stays() {
        let with = |filed| with(filed, &[("code", Some("a b")), ("state", None), ("iss", Some("https://one.example"))]);
        assert_eq!(with("https://a.example/cb"), "https://a.example/cb?code=a%20b&iss=https%3A%2F%2Fone.example");
        assert_eq!(
            with("https://a.example/cb?x=y"),
            "https://a.example/cb?x=y&code=a%20b&iss=https%3A%2F%2Fone.example"
        );
    }
}
