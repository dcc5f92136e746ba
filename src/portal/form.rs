//! Proof that a form was filled in on a page of ours (ASVS 5.0, 3.5.1). Three checks, each enough against most attacks: the
//! cookies are SameSite=Lax, `Origin` and `Sec-Fetch-Site` must be ours where a browser sends them, and the form carries a token.
//! Signed-out forms are bound to a random cookie of the browser for 60 minutes; signed-in ones to the session, as long as it
//! lives. Tokens are compared in constant time.

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{COOKIE, ORIGIN};

use super::cookies;
use crate::domain::Timestamp;
use crate::session::SessionKey;

const COOKIE_NAME: &str = "__Host-yimen-form";
/// A form left open for longer asks to be sent again.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// The random value that ties signed-out forms to one browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Browser([u8; 32]);

impl Browser {
    /// `None`: no cookie yet, or one we never set.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes);
        let value = cookies::value(cookies, COOKIE_NAME)?;
        URL_SAFE_NO_PAD.decode(value).ok()?.try_into().ok().map(Self)
    }

    /// A new one. `None`: the system gave no random numbers.
    pub(super) fn random() -> Option<Self> {
        let mut value = [0; 32];
        rand::fill(&mut value).ok()?;
        Some(Self(value))
    }

    /// `Set-Cookie`; it goes when the browser is closed.
    pub(super) fn cookie(&self) -> String {
        cookies::set(COOKIE_NAME, &URL_SAFE_NO_PAD.encode(self.0), None)
    }
}

/// The key of all tokens.
#[derive(Debug)]
pub(super) struct Forms(Key);

impl Forms {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Key::new(HMAC_SHA256, key))
    }

    /// Token for a form of somebody who is not signed in: `{issued}.{tag}`.
    pub(super) fn token(&self, browser: &Browser, now: Timestamp) -> String {
        let issued = now.seconds().to_string();
        let tag = hmac::sign(&self.0, &signed_out(browser, &issued));
        format!("{issued}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether the token is ours, for this browser and not older than 60 minutes.
    pub(super) fn accepts(&self, token: &str, browser: Option<&Browser>, now: Timestamp) -> bool {
        let (Some(browser), Some((issued, tag))) = (browser, token.split_once('.')) else { return false };
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else { return false };
        let genuine = hmac::verify(&self.0, &signed_out(browser, issued), &tag).is_ok();
        let issued = issued.parse::<u64>().unwrap_or(0);
        let in_time = issued <= now.seconds() && now.seconds() - issued <= LIFE.as_secs();
        genuine && in_time
    }

    /// Token for a form of somebody who is signed in.
    pub(super) fn session_token(&self, session: &SessionKey) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &bound(b"form", session)))
    }

    /// Whether the token was made for this session.
    pub(super) fn accepts_for(&self, token: &str, session: &SessionKey) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        hmac::verify(&self.0, &bound(b"form", session), &tag).is_ok()
    }

    /// Says that somebody has signed in to this account with this device.
    pub(super) fn known_tag(&self, device: &str, login: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &known(device, login)))
    }

    /// Whether the tag says so.
    pub(super) fn knows(&self, tag: &str, device: &str, login: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(tag).unwrap_or_default();
        hmac::verify(&self.0, &known(device, login), &tag).is_ok()
    }
}

/// `device` has a fixed length.
fn known(device: &str, login: &str) -> Vec<u8> {
    [b"device\0", device.as_bytes(), login.trim().to_lowercase().as_bytes()].concat()
}

/// The kinds of input have different lengths and first words, so that none can pass for the other.
fn signed_out(browser: &Browser, issued: &str) -> Vec<u8> {
    [b"browser\0", &browser.0[..], issued.as_bytes()].concat()
}

fn bound(what: &[u8; 4], session: &SessionKey) -> Vec<u8> {
    [b"session\0", &what[..], b"\0", &session.bytes()[..]].concat()
}

/// Whether a form can have come from a page of ours, as far as the browser says. Older browsers say nothing; then the token
/// decides alone.
pub(super) fn from_here(headers: &HeaderMap, origin: &str) -> bool {
    let own_origin = headers.get_all(ORIGIN).iter().all(|sent| sent.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
    // `none`: the person themselves, by reloading or from a bookmark.
    let own_site = headers.get_all("sec-fetch-site").iter().all(|site| site == "same-origin" || site == "none");
    own_origin && own_site
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((1_795_428_900 + seconds) * 1000)
    }

    #[test]
    fn a_token_holds_for_an_hour_in_one_browser() {
        let forms = Forms::new(&[1; 32]);
        let (mine, other) = (Browser([2; 32]), Browser([3; 32]));
        let token = forms.token(&mine, at(100));
        assert!(forms.accepts(&token, Some(&mine), at(100)));
        assert!(forms.accepts(&token, Some(&mine), at(3700)));
        assert!(!forms.accepts(&token, Some(&mine), at(3701)), "too old");
        assert!(!forms.accepts(&token, Some(&mine), at(99)), "from the future");
        assert!(!forms.accepts(&token, Some(&other), at(100)), "another browser");
        assert!(!forms.accepts(&token, None, at(100)), "no cookie");
        assert!(!Forms::new(&[9; 32]).accepts(&token, Some(&mine), at(100)), "another gateway");
    }

    #[test]
    fn the_time_of_a_token_cannot_be_changed() {
        let forms = Forms::new(&[1; 32]);
        let mine = Browser([2; 32]);
        let token = forms.token(&mine, at(0));
        let (_, tag) = token.split_once('.').unwrap();
        assert!(!forms.accepts(&format!("{}.{tag}", at(7200).seconds()), Some(&mine), at(7200)));
    }

    #[test]
    fn the_cookie_leads_back_to_the_browser() {
        let browser = Browser::random().unwrap();
        let cookie = browser.cookie();
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookie.split(';').next().unwrap()).unwrap());
        assert_eq!(Browser::of(&headers), Some(browser));
        headers.insert(COOKIE, HeaderValue::from_static("__Host-yimen-form=short"));
        assert_eq!(Browser::of(&headers), None);
    }

    #[test]
    fn other_sites_are_told_by_what_the_browser_says() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect::<HeaderMap>()
        };
        let from_here = |pairs: &[_]| from_here(&headers(pairs), "https://one.example:8443");
        assert!(from_here(&[]));
        assert!(from_here(&[("origin", "https://one.example:8443"), ("sec-fetch-site", "same-origin")]));
        assert!(from_here(&[("sec-fetch-site", "none")]));
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://one.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!from_here(&[foreign]), "{foreign:?}");
        }
    }

    proptest! {
        #[test]
        fn no_made_up_token_is_accepted(token in r"[0-9]{0,12}\.[A-Za-z0-9_-]{0,50}|.{0,60}") {
            prop_assert!(!Forms::new(&[1; 32]).accepts(&token, Some(&Browser([2; 32])), at(0)));
        }
    }
}
