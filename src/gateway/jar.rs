//! Platforms that are mounted by path share an origin, and so one jar of cookies. Each finds its own there and no other's:
//! a cookie `sid` of platform `hangzhou` is called `yimen.hangzhou.sid` in the browser, is sent below the platform's mount
//! only, and is `sid` again when the platform reads it. Everything else in the jar, the gateway's cookies first, stays here.
//! No platform says `Domain`, on its own host neither: such a cookie would reach its siblings and the portal.
//! Limits, also in the README: a script reads its platform's cookies under the long name, and a cookie that a script sets reaches no platform
//! unless it bears that name; `__Host-` and `__Secure-` are part of the name and no promise to the browser any more.
//! Cost: nothing where neither `Cookie` nor `Set-Cookie` is there. Source: RFC 6265 sections 4.1 and 5.2.

use crate::domain::PlatformId;
use crate::routing::{Matches, Route};

/// What platforms' cookies on the portal's origin begin with. An id has no dot, so the name ends where the next one stands.
const MARK: &str = "yimen.";

/// What is left of a `Cookie` field for the platform: its own cookies, by the names it gave them. Empty when it has none.
pub(crate) fn own_cookies(field: &[u8], platform: &PlatformId) -> Vec<u8> {
    let mut left = Vec::new();
    for cookie in field.split(|byte| *byte == b';').filter_map(|piece| own(piece.trim_ascii(), platform)) {
        if !left.is_empty() {
            left.extend_from_slice(b"; ");
        }
        left.extend_from_slice(cookie);
    }
    left
}

fn own<'a>(cookie: &'a [u8], platform: &PlatformId) -> Option<&'a [u8]> {
    cookie.strip_prefix(MARK.as_bytes())?.strip_prefix(platform.as_str().as_bytes())?.strip_prefix(b".")
}

/// A platform's `Set-Cookie` as its browser may have it on a host of the platform's own: without `Domain`.
pub(crate) fn for_own_host(set_cookie: &[u8]) -> Vec<u8> {
    let mut pieces = set_cookie.split(|byte| *byte == b';');
    let mut kept = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces.filter(|piece| !is(piece, b"domain")) {
        kept.push(b';');
        kept.extend_from_slice(piece);
    }
    kept
}

/// The same for the shared origin: under the platform's name, without `Domain`, not beyond `mount`.
pub(crate) fn for_shared_origin(set_cookie: &[u8], platform: &PlatformId, mount: &str) -> Vec<u8> {
    let (cookie, attributes) = match set_cookie.iter().position(|byte| *byte == b';') {
        Some(end) => set_cookie.split_at_checked(end).unwrap_or((set_cookie, b"")),
        None => (set_cookie, b"".as_slice()),
    };
    let mut path = mount.as_bytes();
    let mut kept = [MARK.as_bytes(), platform.as_str().as_bytes(), b".", cookie.trim_ascii()].concat();
    for piece in attributes.split(|byte| *byte == b';').skip(1) {
        if is(piece, b"path") {
            path = within(piece, mount); // the last one counts
        } else if !is(piece, b"domain") {
            kept.push(b';');
            kept.extend_from_slice(piece);
        }
    }
    kept.extend_from_slice(b"; Path=");
    kept.extend_from_slice(path);
    kept
}

/// Where on the shared origin the platform of a route answers: below the route's path, or below all service addresses.
pub(crate) fn mount(route: &Route) -> &str {
    match &route.matches {
        Matches::Items { .. } => "/s",
        Matches::Path { path, .. } => match path.trim_end_matches('/') {
            "" => "/",
            path => path,
        },
    }
}

fn is(attribute: &[u8], name: &[u8]) -> bool {
    let written = attribute.split(|byte| *byte == b'=').next().unwrap_or_default();
    written.trim_ascii().eq_ignore_ascii_case(name)
}

/// The path asked for where it lies below the mount, else the mount.
fn within<'a>(attribute: &'a [u8], mount: &'a str) -> &'a [u8] {
    let asked = attribute.iter().position(|byte| *byte == b'=').and_then(|at| attribute.get(at + 1..));
    let asked = asked.unwrap_or_default().trim_ascii();
    let below = asked.strip_prefix(mount.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    if mount == "/" && asked.starts_with(b"/") || below { asked } else { mount.as_bytes() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> PlatformId {
        text.parse().unwrap()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn shared(set_cookie: &str) -> String {
        text(for_shared_origin(set_cookie.as_bytes(), &id("hangzhou"), "/hangzhou"))
    }

    #[test]
    fn a_cookie_goes_out_under_the_platforms_name_and_below_its_mount() {
        for (set, becomes) in [
            ("sid=1", "yimen.hangzhou.sid=1; Path=/hangzhou"),
            ("sid=1; Path=/; HttpOnly", "yimen.hangzhou.sid=1; HttpOnly; Path=/hangzhou"),
            ("sid=1; path=/hangzhou/app; Secure", "yimen.hangzhou.sid=1; Secure; Path=/hangzhou/app"),
            ("sid=1; Path=/hangzhouer", "yimen.hangzhou.sid=1; Path=/hangzhou"),
            ("sid=1; Path=/hangzhou/a; Path=/other", "yimen.hangzhou.sid=1; Path=/hangzhou"),
            ("sid=1; DOMAIN = example.gov; Domain=.gov; Max-Age=5", "yimen.hangzhou.sid=1; Max-Age=5; Path=/hangzhou"),
            ("__Host-yimen=x; Path=/", "yimen.hangzhou.__Host-yimen=x; Path=/hangzhou"),
            ("=__Host-yimen=x", "yimen.hangzhou.=__Host-yimen=x; Path=/hangzhou"),
            ("yimen.moj.sid=1", "yimen.hangzhou.yimen.moj.sid=1; Path=/hangzhou"),
        ] {
            assert_eq!(shared(set), becomes);
        }
    }

    #[test]
    fn only_its_own_come_back_by_their_own_names() {
        let field = b"__Host-yimen=x; yimen.moj.sid=2;yimen.hangzhou.sid=1; sid=3; yimen.hangzhou.a=b=c; yimen.hangzhouer.sid=4";
        assert_eq!(text(own_cookies(field, &id("hangzhou"))), "sid=1; a=b=c");
        assert_eq!(text(own_cookies(field, &id("shenzhen"))), "");
    }

    #[test]
    fn on_its_own_host_a_cookie_loses_its_domain_only() {
        let kept = for_own_host(b"__Host-sid=1; Path=/; domain=example.gov; Secure;Domain");
        assert_eq!(text(kept), "__Host-sid=1; Path=/; Secure");
        assert_eq!(text(for_own_host(b"a=domain")), "a=domain");
    }

    proptest! {
        #[test]
        fn no_platform_reads_what_another_set(set in "[ -~]{0,40}") {
            let browser = text(for_shared_origin(set.as_bytes(), &id("aaa"), "/a"));
            let kept = browser.split(';').next().unwrap().to_owned();
            prop_assert!(own_cookies(kept.as_bytes(), &id("bbb")).is_empty());
            let sent = set.split(';').next().unwrap().trim().to_owned();
            prop_assert_eq!(text(own_cookies(kept.as_bytes(), &id("aaa"))), sent);
        }
    }
}
