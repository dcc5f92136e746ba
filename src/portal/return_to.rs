//! Where a person goes back to: a path on this origin, or home. Never another site (ASVS 5.0, 3.7.2).

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::domain::{DivisionCode, ItemCode};

/// All but unreserved characters and the slash, so that it comes out of a query as it went in.
const IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?');

/// A path of ours with its query: one `/` at the start, no empty or dot segment, no backslash, nothing but visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    pub(super) fn home() -> Self {
        Self("/".to_owned())
    }

    /// The text if it is such a path, else home.
    pub(super) fn parse(text: &str) -> Self {
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let inside = path.strip_prefix('/');
        let plain = inside.is_some_and(|inside| {
            let mut segments = inside.split('/').peekable();
            let mut good = true;
            while let Some(segment) = segments.next() {
                let last = segments.peek().is_none();
                good &= !matches!(segment, "." | "..") && (last || !segment.is_empty());
            }
            good
        });
        let visible = text.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && byte != b'\\');
        if plain && visible { Self(text.to_owned()) } else { Self::home() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As the value of a query parameter.
    pub(super) fn in_query(&self) -> String {
        utf8_percent_encode(&self.0, IN_QUERY).to_string()
    }

    /// The same, in `region` if it is a service address: who picks another region wants the item there.
    pub(super) fn within(self, region: DivisionCode) -> Self {
        let Some(rest) = self.0.strip_prefix("/s/") else { return self };
        let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
        let second = below.split(['/', '?', '#']).next().unwrap_or_default();
        if ItemCode::from_bytes(second.as_bytes()).is_some() && DivisionCode::from_digits(first.as_bytes()).is_some() {
            Self(format!("/s/{region}/{below}"))
        } else if first.parse::<ItemCode>().is_ok() {
            Self(format!("/s/{region}/{rest}"))
        } else {
            self
        }
    }
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_of_ours_is_kept() {
        for path in ["/", "/account", "/s/330106/002099001000/", "/a?b=c&d=//e", "/a/?x=%2f%2f", "/%E9%97%A8", "/a#b"] {
            assert_eq!(ReturnTo::parse(path).as_str(), path);
        }
    }

    #[test]
    fn everything_else_leads_home() {
        for bad in [
            "",
            "account",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "/a//b",
            "/\t/evil.example",
            " /a",
            "/a b",
            "/a\r\nSet-Cookie: x=y",
            "/./a",
            "/.//evil.example",
            "/a/..",
            "/门",
            "?a",
        ] {
            assert_eq!(ReturnTo::parse(bad), ReturnTo::home(), "{bad:?} passed");
        }
    }

    #[test]
    fn a_service_address_follows_the_person_to_another_region() {
        let region: DivisionCode = "330106".parse().unwrap();
        for (from, to) in [
            ("/s/002099001000/", "/s/330106/002099001000/"),
            ("/s/002099001000/form?a=b", "/s/330106/002099001000/form?a=b"),
            ("/s/530000/002099001000/form", "/s/330106/002099001000/form"),
            ("/s/530000/002099001000", "/s/330106/002099001000"),
            ("/s/530000/", "/s/530000/"),
            ("/account", "/account"),
            ("/", "/"),
        ] {
            assert_eq!(ReturnTo::parse(from).within(region).as_str(), to);
        }
    }

    proptest! {
        #[test]
        fn a_browser_never_leaves_the_origin(text in r"[/\\.?#@:a-z\t\n %]{0,12}|.{0,12}") {
            let kept = ReturnTo::parse(&text);
            let base = reqwest::Url::parse("https://one.example/sign-in").unwrap();
            let gone = base.join(kept.as_str()).unwrap();
            prop_assert_eq!(gone.origin(), base.origin());
            prop_assert!(http::HeaderValue::from_str(kept.as_str()).is_ok());
            prop_assert!(kept == ReturnTo::home() || kept.as_str() == text);
        }

        #[test]
        fn it_comes_out_of_a_query_as_it_went_in(text in "/[!-~]{0,30}") {
            let kept = ReturnTo::parse(&text);
            let url = format!("https://one.example/sign-in?return_to={}&x=1", kept.in_query());
            let url = reqwest::Url::parse(&url).unwrap();
            let back = url.query_pairs().find(|(key, _)| key == "return_to").unwrap().1.into_owned();
            prop_assert_eq!(back, kept.as_str());
        }
    }
}
