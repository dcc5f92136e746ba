//! Whom we believe to be an instance, and who we are to it. Read from files when the filing was read; here they are bytes.

use std::fmt;

use zeroize::Zeroizing;

/// What a TLS connection to an instance is checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Certificates of the authorities that may vouch for the instance, DER; never empty, and nobody else's count.
    pub authorities: Box<[Vec<u8>]>,
    /// What we show when the instance asks who we are.
    pub identity: Option<ClientIdentity>,
}

/// Our certificate for an instance, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Chain, leaf first, DER; never empty.
    pub chain: Box<[Vec<u8>]>,
    /// Private key, DER; never shown.
    pub key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientIdentity({} certificates)", self.chain.len())
    }
}
