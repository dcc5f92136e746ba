//! Whose certificates are believed where callers show some: those that one of the named authorities has signed.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder as Builder, VerifierBuilderError, WebPkiClientVerifier};

use super::certificate::{CertificateError, chain};

/// Asks every caller for a certificate of an authority in `file` (PEM, one or more).
pub fn clients_signed_by(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    verifier(file, Builder::build)
}

/// Asks every caller for one, and lets those pass who have none.
pub fn clients_with_certificates(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    verifier(file, |builder| builder.allow_unauthenticated().build())
}

fn verifier(
    file: &Path,
    built: impl FnOnce(Builder) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError>,
) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
    let bad = || CertificateError::Shape { path: file.to_owned(), what: "certificate of an authority" };
    let mut authorities = RootCertStore::empty();
    for authority in chain(file)? {
        authorities.add(authority).map_err(|_| bad())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    built(WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)).map_err(|_| bad())
}
