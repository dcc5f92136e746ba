//! The authority's word that a certificate is not revoked, shown together with it (OCSP, RFC 6960; stapled, RFC 6066 section
//! 8). Somebody else fetches it, such as `openssl ocsp`; here it is read from `NAME.ocsp` beside `NAME.pem` and believed only
//! when it is about this certificate, in date, and signed by its issuer or by whom the issuer has appointed. Browsers would
//! refuse a wrong one, and the site with it, so it is left out then.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::ExtendedKeyUsage;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_ocsp::{BasicOcspResponse, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus, SingleResponse};

use crate::domain::Timestamp;

/// A response with a chain of its own has some KiB.
const BYTES_MAX: u64 = 64 * 1024;
/// Clocks of an authority and of this machine may differ by so much.
const CLOCK_SKEW: Duration = Duration::from_secs(300);
/// id-pkix-ocsp-basic, RFC 6960 section 4.2.1.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// id-kp-OCSPSigning, section 4.2.2.2.
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const OID_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const OID_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// What is stapled to one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staple {
    /// There is no file.
    Absent,
    /// It is shown, until then.
    Shown(Timestamp),
    /// There is a file, and it is not shown: why.
    Ignored(String),
}

/// Why a response is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum StapleError {
    #[error("{path}: {cause}; check that this user may read it")]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("{path}: no successful OCSP response in DER form; fetch it anew, for instance by `openssl ocsp -respout`")]
    Shape { path: PathBuf },
    #[error("{path}: nobody can tell who signed it; put the issuer's certificate behind the own one in {chain}")]
    NoIssuer { path: PathBuf, chain: PathBuf },
    #[error("{path}: it speaks of another certificate; fetch it anew for the one beside it")]
    Other { path: PathBuf },
    #[error(
        "{path}: not signed by the issuer of the certificate; fetch it from the address that the certificate names"
    )]
    Unsigned { path: PathBuf },
    #[error("{path}: the authority does not call the certificate good; replace the certificate")]
    NotGood { path: PathBuf },
    #[error("{path}: not in date now; fetch it anew, and do so daily")]
    NotInDate { path: PathBuf },
}

/// The response beside `certificate` and when it ends; `Ok(None)`: there is none.
pub(super) fn staple(
    certificate: &Path,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Option<(Vec<u8>, Timestamp)>, StapleError> {
    let path = file(certificate);
    let response = match fs::metadata(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Ok(known) if known.len() > BYTES_MAX => return Err(StapleError::Shape { path }),
        _ => fs::read(&path).map_err(|cause| StapleError::Unreadable { path: path.clone(), cause })?,
    };
    let basic = basic(&response).ok_or_else(|| StapleError::Shape { path: path.clone() })?;
    let parsed = |der: Option<&CertificateDer<'_>>| Certificate::from_der(der?).ok();
    let leaf = parsed(chain.first());
    let is_issuer = |one: &Certificate| {
        leaf.as_ref().is_some_and(|leaf| leaf.tbs_certificate.issuer == one.tbs_certificate.subject)
    };
    let issuer = chain.iter().filter_map(|der| parsed(Some(der))).find(is_issuer);
    let (Some(leaf), Some(issuer)) = (&leaf, &issuer) else {
        return Err(StapleError::NoIssuer { path, chain: certificate.to_owned() });
    };
    let Some(single) = basic.tbs_response_data.responses.iter().find(|one| is_about(one, leaf, issuer)) else {
        return Err(StapleError::Other { path });
    };
    if !is_signed(&basic, issuer) {
        return Err(StapleError::Unsigned { path });
    }
    if !matches!(single.cert_status, CertStatus::Good(_)) {
        return Err(StapleError::NotGood { path });
    }
    // Without an end (section 2.4: newer information is available all the time) nobody could say how long to show it.
    match single.next_update.as_ref().map(moment) {
        Some(end) if moment(&single.this_update) <= now.plus(CLOCK_SKEW) && now < end => Ok(Some((response, end))),
        _ => Err(StapleError::NotInDate { path }),
    }
}

/// Where the response of a certificate lies.
pub(super) fn file(certificate: &Path) -> PathBuf {
    certificate.with_extension("ocsp")
}

fn basic(response: &[u8]) -> Option<BasicOcspResponse> {
    let response = OcspResponse::from_der(response).ok()?;
    let bytes = response.response_bytes.filter(|bytes| bytes.response_type == BASIC)?;
    let successful = response.response_status == OcspResponseStatus::Successful;
    successful.then(|| BasicOcspResponse::from_der(bytes.response.as_bytes()).ok()).flatten()
}

/// By serial number, and hash of the issuer's name and key (section 4.1.1).
fn is_about(single: &SingleResponse, leaf: &Certificate, issuer: &Certificate) -> bool {
    let id = &single.cert_id;
    let hash: &Algorithm = match id.hash_algorithm.oid {
        OID_SHA1 => &SHA1_FOR_LEGACY_USE_ONLY, // no signature rests on it
        OID_SHA256 => &SHA256,
        _ => return false,
    };
    let Ok(name) = issuer.tbs_certificate.subject.to_der() else { return false };
    let key = issuer.tbs_certificate.subject_public_key_info.subject_public_key.raw_bytes();
    id.serial_number == leaf.tbs_certificate.serial_number
        && id.issuer_name_hash.as_bytes() == digest(hash, &name).as_ref()
        && id.issuer_key_hash.as_bytes() == digest(hash, key).as_ref()
}

/// By the issuer, or by one whom the issuer has appointed in a certificate (section 4.2.2.2).
fn is_signed(basic: &BasicOcspResponse, issuer: &Certificate) -> bool {
    let Ok(said) = basic.tbs_response_data.to_der() else { return false };
    let by = |certificate: &Certificate| {
        let key = &certificate.tbs_certificate.subject_public_key_info;
        verifies(key, &basic.signature_algorithm, &said, basic.signature.raw_bytes())
    };
    let appointed = |one: &&Certificate| {
        let usage = one.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
        let may = usage.is_some_and(|(_, usage)| usage.0.contains(&OCSP_SIGNING));
        let key = &issuer.tbs_certificate.subject_public_key_info;
        let said = one.tbs_certificate.to_der();
        may && said.is_ok_and(|said| verifies(key, &one.signature_algorithm, &said, one.signature.raw_bytes()))
    };
    by(issuer) || basic.certs.iter().flatten().filter(appointed).any(by)
}

/// With the signatures that TLS itself knows.
fn verifies(
    key: &SubjectPublicKeyInfoOwned,
    algorithm: &AlgorithmIdentifierOwned,
    said: &[u8],
    signature: &[u8],
) -> bool {
    let (Some(of_key), Some(of_signature)) = (identifier(&key.algorithm), identifier(algorithm)) else { return false };
    let known = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    known.iter().any(|one| {
        *one.public_key_alg_id() == *of_key
            && *one.signature_alg_id() == *of_signature
            && one.verify_signature(key.subject_public_key.raw_bytes(), said, signature).is_ok()
    })
}

/// The inside of the sequence, as the TLS library writes it.
fn identifier(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let der = algorithm.to_der().ok()?;
    let (head, inside) = der.split_at_checked(2)?; // shorter than 128 bytes, so its length is one of them
    (head.get(1).copied().map(usize::from) == Some(inside.len())).then(|| inside.to_vec())
}

fn moment(time: &OcspGeneralizedTime) -> Timestamp {
    Timestamp::from_millis(0).plus(time.0.to_unix_duration())
}
