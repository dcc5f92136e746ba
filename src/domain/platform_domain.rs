//! The domain under which platforms have hosts of their own.

use std::fmt;
use std::str::FromStr;

/// Longest domain under which the longest platform id still makes a DNS name: 253 octets (RFC 1035 section 2.3.4) less 63
/// and a dot.
const OCTETS_MAX: usize = 189;

/// A DNS name in lower case, such as `services.example.gov`. Platform `hangzhou` answers at `hangzhou.services.example.gov`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformDomain(String);

impl PlatformDomain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The one label in front of the domain; `None` for the domain itself, deeper names and other hosts. `host`: lower case,
    /// without port. Whether a platform has that name is for the table to say.
    pub fn platform_of<'a>(&self, host: &'a str) -> Option<&'a str> {
        let label = host.strip_suffix(self.0.as_str())?.strip_suffix('.')?;
        (!label.is_empty() && !label.contains('.')).then_some(label)
    }

    /// Whether `host` is the domain or lies below it.
    pub fn reaches(&self, host: &str) -> bool {
        host.strip_suffix(self.0.as_str()).is_some_and(|front| front.is_empty() || front.ends_with('.'))
    }
}

/// The text is no such domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a DNS name in lower case, without port, star or dot at either end")]
pub struct BadPlatformDomain;

impl FromStr for PlatformDomain {
    type Err = BadPlatformDomain;

    fn from_str(text: &str) -> Result<Self, BadPlatformDomain> {
        let label = |label: &str| {
            let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(good)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits is the end of an address.
        let named = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()));
        let shaped = text.len() <= OCTETS_MAX && text.split('.').all(label);
        if shaped && named { Ok(Self(text.to_owned())) } else { Err(BadPlatformDomain) }
    }
}

impl fmt::Display for PlatformDomain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_the_one_label_in_front() {
        let domain: PlatformDomain = "services.example.gov".parse().unwrap();
        assert_eq!(domain.platform_of("hangzhou.services.example.gov"), Some("hangzhou"));
        for other in
            ["services.example.gov", ".services.example.gov", "a.b.services.example.gov", "xservices.example.gov", "a"]
        {
            assert_eq!(domain.platform_of(other), None, "{other}");
        }
        assert!(domain.reaches("services.example.gov") && domain.reaches("a.b.services.example.gov"));
        assert!(!domain.reaches("xservices.example.gov") && !domain.reaches("example.gov"));
    }

    #[test]
    fn what_is_no_dns_name_is_no_domain() {
        for bad in ["", ".", "a.", ".a", "a..b", "*.a", "A.b", "a:8443", "a_b", "-a", "a-", "127.0.0.1", "门.gov"] {
            assert!(bad.parse::<PlatformDomain>().is_err(), "{bad} passed");
        }
        assert!("localhost".parse::<PlatformDomain>().is_ok());
        assert!(format!("{}gov", "a.".repeat(94)).parse::<PlatformDomain>().is_err(), "191 octets");
    }
}
