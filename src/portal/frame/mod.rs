//! What all pages share: head, bar with region, language and sign-out, style, and the headers they are sent with.
//! The style stands in the page, allowed by its hash: one request less, and a failure page of any host needs nothing else.

use askama::Template;
use axum::body::Body;
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY as POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use super::language::Language;
use super::return_to::ReturnTo;
use crate::domain::Represented;

const STYLE: &str = include_str!("page.css");
/// The one script: browsers show passkeys to nothing else.
const PASSKEY_SCRIPT: &str = include_str!("../sign_in/passkey.js");

/// `Content-Security-Policy` of every page of ours: nothing from elsewhere, in nobody's frame, the one style and the one script by
/// their hashes. Chromium holds redirects after a form against `form-action` too: whoever lets a form end on another origin must
/// name it here.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-OAq2jzQrrwxLGHHlTsZt5n9BRx6ABFsPeC9BtePbqC4='; script-src 'sha256-v883Loqn3HjW88BA//j/Zx3KxycBUYMwmue/pUgEa9g='; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Who looks at the page, for its bar.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Nobody is signed in.
    Nobody,
    /// There is a session cookie, and what it leads to was not asked or not answered; the account page finds out.
    Unknown,
    /// This person.
    Somebody(Person),
}

/// A person who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: String,
    /// For the forms of the bar.
    pub(super) token: String,
    /// The legal person they act for, if they do.
    pub(super) acting: Option<Represented>,
    /// Those they may act for.
    pub(super) roles: Vec<Represented>,
}

impl Person {
    pub(super) fn acts_as(&self, role: &Represented) -> bool {
        self.acting.as_ref().is_some_and(|acting| acting.id == role.id)
    }
}

/// The frame of a page.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) language: Language,
    pub(super) title: String,
    pub(super) who: Who,
    /// Name of the chosen region.
    pub(super) region: Option<String>,
    /// Whether to offer choosing one when there is none.
    pub(super) offers_region: bool,
    /// This page.
    pub(super) here: ReturnTo,
    /// Where to come back to from sign-in and region.
    pub(super) back: ReturnTo,
    /// Origin of the portal, for a page on another one; empty on its own.
    pub(super) portal: String,
}

impl Frame {
    /// A frame that knows nothing of the visitor but their language.
    pub(super) fn bare(title: &str, language: Language) -> Self {
        Self {
            language,
            title: title.to_owned(),
            who: Who::Unknown,
            region: None,
            offers_region: false,
            here: ReturnTo::home(),
            back: ReturnTo::home(),
            portal: String::new(),
        }
    }

    /// The text of the two that is in the page's language.
    pub(super) fn say<'a>(&self, chinese: &'a str, english: &'a str) -> &'a str {
        self.language.pick(chinese, english)
    }

    pub(super) fn person(&self) -> Option<&Person> {
        if let Who::Somebody(person) = &self.who { Some(person) } else { None }
    }

    pub(super) fn nobody(&self) -> bool {
        matches!(self.who, Who::Nobody)
    }

    pub(super) fn passkey_script(&self) -> &'static str {
        PASSKEY_SCRIPT
    }

    pub(super) fn style(&self) -> &'static str {
        STYLE
    }

    pub(super) fn in_other_language(&self) -> String {
        let joint = if self.here.as_str().contains('?') { '&' } else { '?' };
        format!("{}{joint}lang={}", self.here, self.language.other().word())
    }
}

/// The text of a template. Ours cannot fail: they only write into memory.
pub(super) fn rendered(page: &impl Template) -> String {
    page.render().unwrap_or_default()
}

/// A page as an answer that no cache keeps.
pub(super) fn answer(status: StatusCode, language: Language, page: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(page));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With `no-referrer` browsers would send `Origin: null` with our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn the_policy_allows_the_style_of_the_page() {
        let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "page.css changed: write sha256-{hash}");
    }

    #[test]
    fn the_policy_allows_the_one_script_which_cannot_end_its_element() {
        let hash = STANDARD.encode(digest(&SHA256, PASSKEY_SCRIPT.as_bytes()));
        assert!(
            CONTENT_SECURITY_POLICY.contains(&format!("script-src 'sha256-{hash}'")),
            "passkey.js changed: write sha256-{hash}"
        );
        assert!(!PASSKEY_SCRIPT.contains("</"));
    }

    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<'));
    }

    /// Relative luminance and contrast, WCAG 2.2.
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let number = u32::from_str_radix(colour.trim_start_matches('#'), 16).unwrap().to_be_bytes();
            let part = |place: usize| f64::from(number[place]) / 255.0;
            let linear =
                |value: f64| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(part(1)) + 0.7152 * linear(part(2)) + 0.0722 * linear(part(3))
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_its_ground() {
        for (text, ground) in [
            ("#1b1f24", "#f4f6f8"),
            ("#1b1f24", "#fdf0ef"),
            ("#0b4a8f", "#f4f6f8"),
            ("#0b4a8f", "#e8eff7"),
            ("#4c5661", "#f4f6f8"),
            ("#ffffff", "#0b4a8f"),
            ("#062f5d", "#e8eff7"),
        ] {
            assert!(STYLE.contains(text) || text == "#ffffff", "{text} is gone from page.css");
            let contrast = contrast(text, ground);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
        }
    }
}
