//! The session cookie: read, set, cleared, and taken off before a platform sees the request.
//! Cost: one pass over the header, no allocation but where something is taken off. A `Cookie` header is split at `;` as
//! browsers make it (RFC 6265 section 4.2.1) and as strictly as it is read by us; quotes mean nothing.

use std::borrow::Cow;

use super::SessionId;

/// `__Host-`: the browser takes it from this host only, over TLS only, for all paths, and no sub-domain can set it.
pub const NAME: &str = "__Host-yimen";

const ATTRIBUTES: &str = "; Path=/; Secure; HttpOnly; SameSite=Lax";

/// What the request's `Cookie` headers say.
#[derive(Debug)]
pub enum CookieRead {
    /// No session cookie.
    None,
    /// One, well formed. Whether there is such a session is another question.
    One(SessionId),
    /// Two of them, or one that is no id: not ours, or somebody plays with it.
    Bad,
}

/// Reads the session cookie from the values of all `Cookie` headers (HTTP/2 may send several, RFC 9113 section 8.2.3).
pub fn read<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> CookieRead {
    let mut cookies = headers.into_iter().flat_map(pieces).filter(|piece| name(piece) == NAME.as_bytes());
    match (cookies.next(), cookies.next()) {
        (None, _) => CookieRead::None,
        (Some(cookie), None) => id(cookie).map_or(CookieRead::Bad, CookieRead::One),
        (Some(_), Some(_)) => CookieRead::Bad,
    }
}

/// The `Set-Cookie` value that gives the browser this session, until it is closed: idle and absolute end are ours to keep.
pub fn set(id: &SessionId) -> String {
    format!("{NAME}={}{ATTRIBUTES}", id.encoded())
}

/// The `Set-Cookie` value that takes the session from the browser.
pub fn clear() -> String {
    format!("{NAME}={ATTRIBUTES}; Max-Age=0")
}

/// What is left of a `Cookie` header for the platform: every cookie in order, byte for byte, but those of the gateway (name
/// beginning with `__Host-yimen`, in any case). Empty when none is left; leave the header out then.
pub fn strip(header: &[u8]) -> Cow<'_, [u8]> {
    if !pieces(header).any(is_ours) {
        return Cow::Borrowed(header);
    }
    let mut left = Vec::with_capacity(header.len());
    for piece in pieces(header).filter(|piece| !is_ours(piece) && !piece.is_empty()) {
        if !left.is_empty() {
            left.extend_from_slice(b"; ");
        }
        left.extend_from_slice(piece);
    }
    Cow::Owned(left)
}

/// Whether a `Set-Cookie` value would set a cookie of the gateway, which no platform may.
pub fn sets_ours(set_cookie: &[u8]) -> bool {
    let cookie = set_cookie.trim_ascii();
    // A cookie without a name is sent back as its value alone (draft-ietf-httpbis-rfc6265bis section 5.8.3).
    is_ours(cookie.strip_prefix(b"=").unwrap_or(cookie).trim_ascii())
}

fn pieces(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Up to the first `=`; a piece without one is all name here, as some readers take it.
fn name(piece: &[u8]) -> &[u8] {
    piece.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

fn is_ours(piece: &[u8]) -> bool {
    name(piece).get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME.as_bytes()))
}

fn id(cookie: &[u8]) -> Option<SessionId> {
    let at = cookie.iter().position(|byte| *byte == b'=')?;
    SessionId::parse(std::str::from_utf8(cookie.get(at + 1..)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cookie_of(id: &SessionId) -> String {
        format!("{NAME}={}", id.encoded())
    }

    #[test]
    fn one_cookie_is_read_wherever_it_stands() {
        let id = SessionId::random().unwrap();
        let ours = cookie_of(&id);
        for headers in [
            vec![ours.clone()],
            vec![format!("a=1; {ours}; b=2")],
            vec!["a=1".into(), format!("b=2;{ours}")],
            vec![format!("__host-yimen=x; {ours}; __Host-yimen-region=330106")],
        ] {
            match read(headers.iter().map(String::as_bytes)) {
                CookieRead::One(read) => assert_eq!(read.key(), id.key()),
                other => panic!("{headers:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_cookie_is_none_and_two_or_a_broken_one_are_bad() {
        let ours = cookie_of(&SessionId::random().unwrap());
        assert!(matches!(read([]), CookieRead::None));
        assert!(matches!(read([b"a=1; __Host-yimen2=x".as_slice()]), CookieRead::None));
        for bad in
            [format!("{ours}; {ours}"), format!("{ours}x"), format!("{NAME}="), NAME.into(), format!("{NAME}=\"x\"")]
        {
            assert!(matches!(read([bad.as_bytes()]), CookieRead::Bad), "{bad}");
        }
        assert!(matches!(read([ours.as_bytes(), ours.as_bytes()]), CookieRead::Bad), "two headers");
    }

    #[test]
    fn set_and_clear_carry_the_attributes_that_the_prefix_demands() {
        let id = SessionId::random().unwrap();
        assert_eq!(set(&id), format!("__Host-yimen={}; Path=/; Secure; HttpOnly; SameSite=Lax", id.encoded()));
        assert_eq!(clear(), "__Host-yimen=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn a_header_without_our_cookies_is_not_copied() {
        assert!(matches!(strip(b"a=1;b=2 ;; c"), Cow::Borrowed(b"a=1;b=2 ;; c")));
        assert!(strip(b"__HOST-YIMEN-x=1;__Host-yimen = 2").is_empty());
        assert_eq!(strip(b"a=1; __host-Yimen=x; b=2").as_ref(), b"a=1; b=2");
    }

    #[test]
    fn a_platform_that_sets_our_cookie_is_found_out() {
        for ours in [
            "__Host-yimen=x",
            " __HOST-yimen-a = 1; Path=/",
            "__Host-yimen; Secure",
            "=__Host-yimen=x",
            " = __Host-yimen",
        ] {
            assert!(sets_ours(ours.as_bytes()), "{ours}");
        }
        assert!(!sets_ours(b"a=__Host-yimen; Path=/"));
    }

    fn any_cookie() -> impl Strategy<Value = (bool, String)> {
        let theirs = "[a-zA-Z_-]{1,12}=[ -:<-~]{0,20}"
            .prop_filter("ours", |cookie| !cookie.to_ascii_lowercase().starts_with("__host-yimen"));
        let ours = ("__(h|H)ost-(y|Y)(i|I)men", "[-a-z]{0,5}", "=[ -:<-~]{0,20}");
        prop_oneof![
            theirs.prop_map(|cookie| (false, cookie.trim().to_owned())),
            ours.prop_map(|(name, more, value)| (true, format!("{name}{more}{value}").trim().to_owned())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_left_is_exactly_the_other_cookies_in_order(cookies in prop::collection::vec(any_cookie(), 0..12)) {
            let join = |cookies: Vec<&str>| cookies.join("; ");
            let header = join(cookies.iter().map(|(_, cookie)| cookie.as_str()).collect());
            let others = join(cookies.iter().filter(|(ours, _)| !ours).map(|(_, cookie)| cookie.as_str()).collect());
            prop_assert_eq!(String::from_utf8(strip(header.as_bytes()).into_owned()).unwrap(), others);
        }

        #[test]
        fn no_bytes_make_a_gateway_cookie_pass(header in "([ ;=\t]|__Host-yimen|__host-YIMEN|a|[\\x00-\\x7f]){0,20}") {
            let left = strip(header.as_bytes()).into_owned();
            prop_assert!(!pieces(&left).any(is_ours));
        }
    }
}
