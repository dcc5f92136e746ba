//! One certificate and its key, as the public listener shows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::staple::{Staple, staple};
use super::used::TlsFiles;
use crate::domain::Timestamp;

/// A chain and its key, checked against each other.
#[derive(Clone, Debug)]
pub struct Served {
    /// What the TLS library shows and signs with.
    pub certified: Arc<rustls::sign::CertifiedKey>,
    /// End of validity of the leaf.
    pub not_after: Timestamp,
    /// DNS names of the leaf (RFC 5280 section 4.2.1.6), lower case; `*.` in front of a wildcard.
    pub names: Vec<String>,
    /// What is stapled to it.
    pub staple: Staple,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file could not be read.
    #[error("{path}: {cause}; check the path and that this user may read it")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// It is no PEM, or holds something else.
    #[error("{path}: no {what} in PEM form found; the file must begin with -----BEGIN")]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Certificate or private key.
        what: &'static str,
    },
    /// Certificate and key are of different pairs, or of an unknown kind.
    #[error("{path}: the key does not belong to the certificate ({cause}); install both of the same order")]
    Mismatch {
        /// The key file.
        path: PathBuf,
        /// The TLS library's word.
        cause: rustls::Error,
    },
    /// The certificate's days are over, or not begun.
    #[error("{path}: not valid now (from {from} to {until}); install a current certificate")]
    NotValidNow {
        /// The certificate file.
        path: PathBuf,
        /// First moment.
        from: String,
        /// Last moment.
        until: String,
    },
}

/// Reads and checks chain and key: readable, of one pair, valid at `now`. A response of the authority that is not good to be
/// stapled is no `Err`: the certificate is shown without.
pub fn served(files: &TlsFiles, now: Timestamp) -> Result<Served, CertificateError> {
    let chain = chain(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?)
        .map_err(|_| CertificateError::Shape { path: files.key.clone(), what: "private key" })?;
    let (not_after, names) = leaf(&files.certificate, &chain, now)?;
    let (response, staple) = match staple(&files.certificate, &chain, now) {
        Ok(None) => (None, Staple::Absent),
        Ok(Some((response, until))) => (Some(response), Staple::Shown(until)),
        Err(why) => (None, Staple::Ignored(why.to_string())),
    };
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let mut certified = rustls::sign::CertifiedKey::from_der(chain, key, &provider)
        .map_err(|cause| CertificateError::Mismatch { path: files.key.clone(), cause })?;
    certified.ocsp = response;
    Ok(Served { certified: Arc::new(certified), not_after, names, staple })
}

fn bytes(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|cause| CertificateError::Unreadable { path: path.to_owned(), cause })
}

/// The certificates of a file, one at least.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let shape = || CertificateError::Shape { path: path.to_owned(), what: "certificate" };
    let pem = bytes(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| shape())?;
    if chain.is_empty() { Err(shape()) } else { Ok(chain) }
}

/// End of validity and names of the first certificate of a chain.
fn leaf(
    path: &Path,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<(Timestamp, Vec<String>), CertificateError> {
    let shape = || CertificateError::Shape { path: path.to_owned(), what: "certificate" };
    let leaf = chain.first().ok_or_else(shape)?;
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|_| shape())?;
    let (from, until) = (parsed.validity().not_before, parsed.validity().not_after);
    let moment = |time: i64| Timestamp::from_millis(u64::try_from(time).unwrap_or(0).saturating_mul(1000));
    if now < moment(from.timestamp()) || now > moment(until.timestamp()) {
        let (from, until) = (from.to_string(), until.to_string());
        return Err(CertificateError::NotValidNow { path: path.to_owned(), from, until });
    }
    Ok((moment(until.timestamp()), names(&parsed)))
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = leaf.subject_alternative_name() else { return Vec::new() };
    let dns = alternatives.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    dns.collect()
}
