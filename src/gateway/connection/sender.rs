//! What platforms are told about where a request comes from. A connection's visitor stays the same, so it is made once for all
//! requests of it; behind a trusted proxy that speaks for many it is made for each.

use std::net::IpAddr;

use http::HeaderValue;

use crate::gateway::fields::value;

/// The visitor's side of a connection, as header fields.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Option<IpAddr>,
    /// `Forwarded` (RFC 7239).
    pub(crate) forwarded: HeaderValue,
    /// `X-Forwarded-For`.
    pub(crate) address: HeaderValue,
}

impl Sender {
    pub(crate) fn new(client: Option<IpAddr>, proto: &str) -> pingora::Result<Self> {
        let address = client.map_or_else(|| "unknown".to_owned(), |client| client.to_string());
        let forwarded = match client {
            Some(IpAddr::V6(_)) => format!("for=\"[{address}]\";proto={proto}"), // RFC 7239 section 6
            _ => format!("for={address};proto={proto}"),
        };
        Ok(Self { client, forwarded: value(forwarded)?, address: value(address)? })
    }

    pub(super) fn is(&self, client: Option<IpAddr>) -> bool {
        self.client == client
    }
}
