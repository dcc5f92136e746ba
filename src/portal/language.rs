//! Chinese or English: what the person chose, else what the browser asks for, else Chinese.

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};

use super::cookies;

const COOKIE_NAME: &str = "__Host-yimen-lang";
/// A choice is kept for a year.
pub(super) const CHOICE_LIFE_S: u32 = 365 * 24 * 60 * 60;

/// Language of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 简体中文.
    Chinese,
    /// English.
    English,
}

impl Language {
    /// The language for this visitor, from the cookie of their choice or `Accept-Language`.
    pub fn of(headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
        let chosen = cookies::value(cookies, COOKIE_NAME).and_then(Self::from_word);
        let asked = || headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        chosen.unwrap_or_else(|| Self::from_accept_language(asked().unwrap_or_default()))
    }

    /// Whether the visitor has chosen one on a page of ours.
    pub(super) fn is_chosen(headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
        cookies::value(cookies, COOKIE_NAME).and_then(Self::from_word).is_some()
    }

    /// By RFC 9110 section 12.5.4: the language of ours with the highest weight, the first one of equals. Chinese when nothing
    /// is asked for or anything will do; English when only other languages are.
    pub fn from_accept_language(text: &str) -> Self {
        let mut best: Option<(Self, f32)> = None;
        let mut only_others = false;
        for range in text.split(',').filter(|range| !range.trim().is_empty()) {
            let (tag, weight) = weighed(range);
            match Self::from_tag(tag) {
                _ if weight <= 0.0 => {}
                Some(language) if best.is_none_or(|(_, highest)| weight > highest) => best = Some((language, weight)),
                Some(_) => {}
                None => only_others = true,
            }
        }
        best.map_or(if only_others { Self::English } else { Self::Chinese }, |(language, _)| language)
    }

    fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next().unwrap_or_default();
        match primary {
            "*" => Some(Self::Chinese),
            _ if primary.eq_ignore_ascii_case("zh") => Some(Self::Chinese),
            _ if primary.eq_ignore_ascii_case("en") => Some(Self::English),
            _ => None,
        }
    }

    /// From `lang=` and the cookie.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Chinese, Self::English].into_iter().find(|language| language.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        self.pick("zh", "en")
    }

    /// The `lang` attribute and `Content-Language`.
    pub(super) fn tag(self) -> &'static str {
        self.pick("zh-CN", "en")
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Chinese => Self::English,
            Self::English => Self::Chinese,
        }
    }

    /// The text of the two that is in this language.
    pub(super) fn pick<'a>(self, chinese: &'a str, english: &'a str) -> &'a str {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
    }

    /// `Set-Cookie` for somebody who chose it.
    pub(super) fn choice(self) -> String {
        cookies::set(COOKIE_NAME, self.word(), Some(CHOICE_LIFE_S))
    }
}

/// A language range and its weight, 0 to 1; 0 when the weight does not read.
fn weighed(range: &str) -> (&str, f32) {
    let (tag, parameter) = range.split_once(';').map_or((range, None), |(tag, rest)| (tag, Some(rest.trim())));
    let weight = match parameter.map(|text| text.strip_prefix("q=").or_else(|| text.strip_prefix("Q="))) {
        None => Some(1.0),
        Some(text) => text.and_then(|text| text.trim().parse().ok()).filter(|weight| (0.0..=1.0).contains(weight)),
    };
    (tag.trim(), weight.unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wanted_most_is_shown() {
        for (asked, shown) in [
            ("", Language::Chinese),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.8", Language::English),
            ("fr,en;q=0.3,zh;q=0.7", Language::Chinese),
            ("fr-CA, de", Language::English),
            ("*", Language::Chinese),
            ("en;q=0, *;q=0.1", Language::Chinese),
            ("EN", Language::English),
            ("zh;q=nonsense,en;q=0.1", Language::English),
            ("eng", Language::English),
        ] {
            assert_eq!(Language::from_accept_language(asked), shown, "{asked}");
        }
    }

    #[test]
    fn a_choice_outweighs_the_browser() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("zh-CN"));
        headers.insert(COOKIE, HeaderValue::from_static("a=1; __Host-yimen-lang=en"));
        assert_eq!(Language::of(&headers), Language::English);
        headers.insert(COOKIE, HeaderValue::from_static("__Host-yimen-lang=fr"));
        assert_eq!(Language::of(&headers), Language::Chinese);
    }

    proptest! {
        #[test]
        fn the_heavier_of_two_wins(chinese in 1_u32..1000, english in 1_u32..1000, swap: bool) {
            let (first, second) = (format!("zh-Hans;q={:.3}", f64::from(chinese) / 1000.0), format!("en-US;q={:.3}", f64::from(english) / 1000.0));
            let text = if swap { format!("{second}, {first}") } else { format!("{first}, {second}") };
            let shown = Language::from_accept_language(&text);
            if chinese.abs_diff(english) > 1 {
                prop_assert_eq!(shown == Language::Chinese, chinese > english, "{}", text);
            }
        }

        #[test]
        fn no_header_makes_it_fail(text in ".*") {
            Language::from_accept_language(&text);
        }
    }
}
