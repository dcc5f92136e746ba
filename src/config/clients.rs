//! Who may call where callers show certificates: those whom one of the named authorities has signed.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::certificate::{CertificateError, chain};

/// Asks every caller for a certificate of an authority in `file` (PEM, one or more).
pub fn clients_signed_by(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let bad = || CertificateError::Shape { path: file.to_owned(), what: "certificate of an authority" };
    let mut authorities = RootCertStore::empty();
    for authority in chain(file)? {
        authorities.add(authority).map_err(|_| bad())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build();
    verifier.map(|verifier| verifier as Arc<dyn ClientCertVerifier>).map_err(|_| bad())
}
