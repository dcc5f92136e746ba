//! Which header fields a visitor may send on, decided by normalised name (`_` is `-`, any case), on every route.
//! Cost: one look at the first two letters of each name. Knows: nothing.

/// What becomes of a field that came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it is.
    Keep,
    /// Only we may say this: identity, forwarding, rewriting, client certificates.
    Drop,
}

/// Fields that only the gateway, or nobody, may set. Lower case, with hyphens.
const RESERVED: [&str; 16] = [
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "true-client-ip",
    "x-request-id",
    "x-original-url",
    "x-original-uri",
    "x-original-method",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-ssl-cert",
    "ssl-client-cert",
    "proxy",
];

/// Beginnings of names that only the gateway may set.
const RESERVED_BEGINNINGS: [&str; 7] = [
    "yimen-",
    "x-yimen-",
    "x-forwarded-",
    "client-cert", // RFC 9440
    "x-client-cert",
    "x-ssl-client",
    "x-original-host",
];

/// The fate of a field by its name in lower case, as HTTP/1 and HTTP/2 parsers hand it over.
pub fn fate(name: &str) -> Fate {
    // Most names begin with other letters than every reserved one; a test holds this to the lists.
    if !matches!(
        name.as_bytes(),
        [b'c', b'l', ..] | [b'f', b'o', ..] | [b'p' | b't', b'r', ..] | [b's', b's', ..] | [b'x' | b'y', ..]
    ) {
        return Fate::Keep;
    }
    let is = |reserved: &&str| same(name, reserved);
    let begins = |beginning: &&str| name.get(..beginning.len()).is_some_and(|start| same(start, beginning));
    let reserved = RESERVED.iter().any(is) || RESERVED_BEGINNINGS.iter().any(begins);
    if reserved { Fate::Drop } else { Fate::Keep }
}

fn same(name: &str, reserved: &str) -> bool {
    let normal = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == reserved.len() && name.bytes().map(normal).eq(reserved.bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn identity_and_forwarding_fields_are_ours_alone() {
        for name in [
            "yimen-assertion",
            "yimen_assertion",
            "yimen_served-by",
            "x-forwarded-for",
            "x_forwarded_for",
            "forwarded",
            "x-request-id",
            "x-http-method-override",
            "x-original-url",
            "x-real-ip",
            "proxy",
            "x-client-cert-hash",
            "client-cert-chain",
        ] {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for name in [
            "host",
            "accept",
            "cookie",
            "content-length",
            "cache-control",
            "authorization",
            "x-requested-with",
            "x-csrf-token",
            "user-agent",
            "yimeng",
            "x",
        ] {
            assert_eq!(fate(name), Fate::Keep, "{name}");
        }
    }

    #[test]
    fn every_name_on_the_lists_is_dropped() {
        for name in RESERVED {
            assert_eq!(fate(name), Fate::Drop, "{name}");
        }
        for beginning in RESERVED_BEGINNINGS {
            assert_eq!(fate(&format!("{beginning}a")), Fate::Drop, "{beginning}");
        }
    }

    proptest! {
        #[test]
        fn no_disguise_of_our_prefix_gets_through(name in "[yY][iI][mM][eE][nN][_-][a-zA-Z0-9_-]{0,20}") {
            prop_assert_eq!(fate(&name.to_ascii_lowercase()), Fate::Drop);
        }
    }
}
