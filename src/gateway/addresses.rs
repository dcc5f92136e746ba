//! Addresses in a platform's answer that only we can reach: `Location`, `Content-Location` and `Refresh` with the platform's
//! own upstream address become paths on the origin that the visitor asked, which is where the same path leads to the platform.
//! Other addresses are the platform's business. Cost: nothing where no such field is there.

use crate::routing::Upstream;

/// `http://10.0.0.1:8080/a?b` of an instance → `/a?b`; `None`: it is somebody else's address, or a path already.
pub(crate) fn local(address: &str, upstreams: &[Upstream]) -> Option<String> {
    let (scheme, rest) = address.split_once("//")?;
    let default_port = match scheme {
        "" => "",
        _ if scheme.eq_ignore_ascii_case("http:") => ":80",
        _ if scheme.eq_ignore_ascii_case("https:") => ":443",
        _ => return None,
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let named = |upstream: &Upstream| {
        let known = &*upstream.address;
        let same = |written: &str| authority.eq_ignore_ascii_case(written);
        same(known) || known.strip_suffix(default_port).is_some_and(|host| !default_port.is_empty() && same(host))
    };
    if !upstreams.iter().any(named) {
        return None;
    }
    Some(match target.as_bytes() {
        // Two slashes in front would name another host; behind a dot they are part of the path (RFC 3986 section 5.2.4).
        [b'/' | b'\\', b'/' | b'\\', ..] | [b'\\', ..] => format!("/.{}", target.replace('\\', "%5C")),
        [b'/', ..] => target.to_owned(),
        _ => format!("/{target}"),
    })
}

/// The same within `5; url=…`.
pub(crate) fn local_refresh(refresh: &str, upstreams: &[Upstream]) -> Option<String> {
    let at = refresh.to_ascii_lowercase().find("url=")?;
    let (before, address) = refresh.split_at_checked(at + "url=".len())?;
    let bare = address.trim().trim_matches(['"', '\'']);
    Some(format!("{before}{}", local(bare, upstreams)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams() -> [Upstream; 2] {
        ["10.0.0.1:8080", "platform.internal:80"].map(|address| Upstream {
            address: address.into(),
            weight: 1,
            canary: false,
            tls: false,
            server_name: "".into(),
            http2: false,
            trust: None,
        })
    }

    #[test]
    fn an_address_of_the_platform_itself_becomes_a_path() {
        for (address, path) in [
            ("http://10.0.0.1:8080/a?b#c", "/a?b#c"),
            ("HTTP://10.0.0.1:8080", "/"),
            ("//10.0.0.1:8080/a", "/a"),
            ("http://Platform.internal/a", "/a"),
            ("http://platform.internal:80?a", "/?a"),
            ("http://10.0.0.1:8080//evil.example/", "/.//evil.example/"),
            ("http://10.0.0.1:8080/\\evil.example/", "/./%5Cevil.example/"),
            ("http://10.0.0.1:8080\\evil.example/", "/.%5Cevil.example/"),
        ] {
            assert_eq!(local(address, &upstreams()).as_deref(), Some(path), "{address}");
        }
    }

    #[test]
    fn any_other_address_stays_as_it_is() {
        for address in [
            "/a",
            "a//b",
            "https://elsewhere.example/a",
            "http://10.0.0.1:8081/",
            "http://10.0.0.1:8080@evil.example/",
            "https://platform.internal/",
            "ftp://10.0.0.1:8080/",
            "javascript://10.0.0.1:8080/",
            "",
        ] {
            assert_eq!(local(address, &upstreams()), None, "{address}");
        }
    }

    #[test]
    fn a_refresh_keeps_its_seconds() {
        assert_eq!(local_refresh("5; URL='http://10.0.0.1:8080/a'", &upstreams()).as_deref(), Some("5; URL=/a"));
        assert_eq!(local_refresh("5", &upstreams()), None);
        assert_eq!(local_refresh("0;url=/a", &upstreams()), None);
    }
}
