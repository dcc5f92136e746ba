//! The certificate that a visitor showed, kept with the connection for its requests.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use pingora::listeners::TlsAccept;
use pingora::protocols::Digest;
use pingora::protocols::tls::TlsRef;
use prometheus::IntCounter;

use crate::domain::ClientCertificate;

/// Looks at each handshake when it is done: the TLS library has verified by then what it let pass.
pub struct ClientCertificates(IntCounter);

impl ClientCertificates {
    /// Counts those who show one.
    pub fn new(counter: IntCounter) -> Self {
        Self(counter)
    }
}

#[async_trait]
impl TlsAccept for ClientCertificates {
    async fn handshake_complete_callback(&self, tls: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let known = parsed(tls.peer_certificate_der()?)?;
        self.0.inc();
        Some(Arc::new(known))
    }
}

/// What the visitor of this connection has shown.
pub(crate) fn client_certificate(digest: Option<&Digest>) -> Option<&ClientCertificate> {
    digest?.ssl_digest.as_ref()?.extension.get()
}

fn parsed(der: &[u8]) -> Option<ClientCertificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(ClientCertificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
        sha256: digest(&SHA256, der).as_ref().try_into().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_who_holds_it_and_who_says_so() {
        let mut parameters = rcgen::CertificateParams::new(vec!["li.example".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "某某公司");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Li");
        parameters.serial_number = Some(vec![0x0a, 0xff].into());
        let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let known = parsed(made.der()).unwrap();
        assert_eq!((known.subject.as_str(), known.serial.as_str()), ("O=某某公司, CN=Li", "0aff"));
        assert_eq!((&known.issuer, known.sha256.as_slice()), (&known.subject, digest(&SHA256, made.der()).as_ref()));
        assert_eq!(parsed(b"no certificate"), None);
    }
}
