//! Networks in CIDR form (RFC 4632).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u32,
    v4: bool,
}

impl Network {
    /// The network of `prefix` bits around `address`; an IPv4 address in IPv6 clothes counts as IPv4.
    pub fn of(address: IpAddr, prefix: u32) -> Self {
        let (bits, v4) = bits_of(address);
        Self { bits: bits & mask(prefix), prefix, v4 }
    }

    /// Whether the address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let (bits, v4) = bits_of(address);
        v4 == self.v4 && bits & mask(self.prefix) == self.bits
    }
}

/// Left-aligned bits, so that one mask serves both families.
fn bits_of(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, true),
        IpAddr::V6(v6) => (v6.to_bits(), false),
    }
}

fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0)
}

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write an address with a prefix length, such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct BadNetwork(pub String);

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| bad())?;
        if prefix > longest { Err(bad()) } else { Ok(Self::of(address, prefix)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = if self.v4 {
            IpAddr::V4(u32::try_from(self.bits >> 96).unwrap_or_default().into())
        } else {
            IpAddr::V6(self.bits.into())
        };
        write!(out, "{address}/{}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_in_both_families() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()), "IPv4 in IPv6 clothes");
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("a00::1".parse().unwrap()), "same bits, other family");
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        assert_eq!(Network::of("203.0.113.77".parse().unwrap(), 24).to_string(), "203.0.113.0/24");
        assert_eq!(Network::of("2001:db8:1:2::9".parse().unwrap(), 48).to_string(), "2001:db8:1::/48");
        for bad in ["10.0.0.0/33", "10.0.0", "::/129", "10.0.0.0/-1", ""] {
            assert!(bad.parse::<Network>().is_err(), "{bad} passed");
        }
    }
}
