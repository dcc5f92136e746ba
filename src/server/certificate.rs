//! Which certificate a TLS handshake shows: one for now; by server name when platforms get origins of their own.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The certificate in force, replaced whole.
pub(crate) struct Resolver(ArcSwap<CertifiedKey>);

impl Resolver {
    pub(crate) fn new(certified: CertifiedKey) -> Self {
        Self(ArcSwap::from_pointee(certified))
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Resolver") // never the key
    }
}
