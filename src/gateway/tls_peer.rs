//! How the frame is told whom to believe at an instance. Certificates are always verified, name and all: the frame verifies
//! by default, nothing here can switch it off, and a name is always there (without one it would not).
//! The frame's pool knows connections by address and name, not by authority; so each platform with another trust has a
//! group of its own, and nobody is given a connection that was checked against somebody else's authority.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::domain::PlatformId;
use crate::routing::{Trust, Upstream};

/// Set in the group of second tries, which share no connection with first ones.
pub(crate) const RETRIES: u64 = 1;

/// The TLS of one instance.
pub(crate) struct TlsPeer {
    authorities: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
    group: u64,
}

impl TlsPeer {
    /// `None`: the instance speaks no TLS.
    pub(crate) fn of(upstream: &Upstream, platform: &PlatformId) -> Option<Self> {
        let trust = upstream.trust.as_deref();
        let identity = trust.and_then(|trust| trust.identity.as_ref());
        upstream.tls.then(|| Self {
            authorities: trust.map(|trust| trust.authorities.iter().map(|der| parsed(der)).collect()),
            identity: identity.map(|known| Arc::new(CertKey::new(known.chain.to_vec(), known.key.to_vec()))),
            group: group(trust, platform),
        })
    }

    pub(crate) fn tell(&self, peer: &mut HttpPeer) {
        peer.options.ca.clone_from(&self.authorities);
        peer.client_cert_key.clone_from(&self.identity);
        peer.group_key = self.group;
    }
}

/// The filing was read with the same parser, so no certificate fails here.
fn parsed(der: &[u8]) -> WrappedX509 {
    WrappedX509::new(der.to_vec(), parse_x509)
}

fn group(trust: Option<&Trust>, platform: &PlatformId) -> u64 {
    let mut hasher = DefaultHasher::new();
    platform.hash(&mut hasher);
    if let Some(trust) = trust {
        trust.authorities.hash(&mut hasher);
        trust.identity.as_ref().map(|identity| &identity.chain).hash(&mut hasher);
    }
    hasher.finish() & !RETRIES
}

/// The same for the health checks' client; `None` when the TLS library refuses it.
pub(crate) fn for_checks(trust: &Trust, http2: bool) -> Option<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for der in &trust.authorities {
        roots.add(CertificateDer::from_slice(der)).ok()?;
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let mut config = match &trust.identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = identity.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            let key = PrivateKeyDer::try_from(identity.key.to_vec()).ok()?;
            config.with_client_auth_cert(chain, key).ok()?
        }
    };
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Some(config)
}
