//! Where instances may be: a filing must not turn the gateway against its own machine, its own listeners or the service that
//! hands a cloud machine its credentials (OWASP: server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Network;

/// Services that hand a machine its credentials and lie in no link-local network: Amazon's by IPv6, Alibaba's.
const METADATA: [IpAddr; 2] =
    [IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200))];

/// Which addresses instances may have.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<Network>,
    own: Vec<SocketAddr>,
    everything: bool,
}

impl AddressPolicy {
    /// `allowed`: networks that are let through although they would be refused, our own listeners excepted. `own`: everything
    /// that the gateway listens on.
    pub fn new(allowed: Vec<Network>, own: Vec<SocketAddr>) -> Self {
        Self { allowed, own, everything: false }
    }

    /// Refuses nothing: for looking at filings without a node's settings.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// `Err`: why an instance may not be at `host` (no brackets) and `port`. Of names only those that are always this machine
    /// are known here; the address behind a name is judged when it is connected to.
    pub(crate) fn admits(&self, host: &str, port: u16) -> Result<(), &'static str> {
        match host.parse::<IpAddr>() {
            _ if self.everything => Ok(()),
            Ok(address) => self.admits_address(address, port),
            Err(_) if host == "localhost" || host.ends_with(".localhost") => {
                self.admits_address(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
            }
            Err(_) if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                Err("numbers that are no address in four parts are read differently by different systems")
            }
            Err(_) => Ok(()),
        }
    }

    /// The same for an address.
    pub fn admits_address(&self, address: IpAddr, port: u16) -> Result<(), &'static str> {
        let address = address.to_canonical(); // an IPv4 address in IPv6 clothes is that IPv4 address
        let listens = |own: &SocketAddr| {
            own.port() == port
                && (own.ip().to_canonical() == address || own.ip().is_unspecified() && address.is_loopback())
        };
        if self.everything {
            return Ok(());
        }
        if self.own.iter().any(listens) {
            return Err("the gateway itself listens there");
        }
        match refused(address) {
            Some(why) if !self.allowed.iter().any(|network| network.contains(address)) => Err(why),
            _ => Ok(()),
        }
    }
}

fn refused(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    };
    match address {
        _ if address.is_loopback() => Some("loopback is the gateway's own machine"),
        _ if address.is_unspecified() => Some("it is no address of anybody"),
        _ if address.is_multicast() => Some("it is an address of many"),
        IpAddr::V4(four) if four.is_broadcast() || four.octets().first() == Some(&0) => {
            Some("it is no address of one machine")
        }
        _ if link_local => Some("link-local addresses are this network's own, credentials of the machine among them"),
        _ if METADATA.contains(&address) => Some("it hands out the machine's credentials"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filing_reaches_no_address_of_the_gateway_s_own_machine() {
        let policy = AddressPolicy::new(Vec::new(), vec!["10.0.0.5:443".parse().unwrap()]);
        for bad in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "localhost",
            "a.localhost",
            "2130706433",
            "127.1",
        ] {
            assert!(policy.admits(bad, 8080).is_err(), "{bad} passed");
        }
        assert!(policy.admits("10.0.0.5", 443).is_err());
        for good in ["10.0.0.5", "192.168.1.1", "fd00::1", "203.0.113.9", "hall.hangzhou.example.gov"] {
            assert_eq!(policy.admits(good, 8080), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_network_that_is_allowed_is_let_through_and_our_own_listeners_are_not() {
        let own = vec!["0.0.0.0:8443".parse().unwrap()];
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()], own);
        assert_eq!(policy.admits("127.0.0.1", 9101), Ok(()));
        assert!(policy.admits("127.0.0.1", 8443).is_err());
        assert!(policy.admits("::1", 9101).is_err());
    }
}
