//! Authority and client certificate of a filing's instances. A filing names files by name only; they lie in
//! `tls/{platform}/` of the routes directory, so that no filing can use the key of another platform or of the gateway.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::words::FileName;
use crate::routing::{ClientIdentity, Trust};
use crate::written::Fields;

const FILES_MAX: usize = 100_000; // of all platforms together
const FILE_BYTES_MAX: u64 = 256 * 1024; // a hundred certificates and more

/// How the files of all platforms look: differs when one was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles(Vec<(PathBuf, Option<SystemTime>, u64)>);

impl TlsFiles {
    /// As they are now in `tls/` of a routes directory; none where that cannot be read. Blocks on files.
    pub fn of(directory: &Path) -> Self {
        let within = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = within(directory.join("tls")).flat_map(within).take(FILES_MAX);
        let looks = |path: PathBuf| {
            let known = fs::metadata(&path).ok()?;
            Some((path, known.modified().ok(), known.len()))
        };
        let mut all: Vec<_> = files.filter_map(looks).collect();
        all.sort();
        Self(all)
    }
}

/// Reads `ca`, `client_certificate` and `client_key`; `None` when there are none, or something about them is wrong.
pub(super) fn read(fields: &Fields<'_>, folder: Option<&Path>) -> Option<Arc<Trust>> {
    let name = |key, expected| fields.parsed::<FileName>(key, expected).map(|name| name.0);
    let ca = name("ca", "the name of a file with certificates of authorities (PEM)");
    let certificate = name("client_certificate", "the name of a file with our certificate chain (PEM)");
    let key = name("client_key", "the name of a file with its private key (PEM)");
    for (key, with) in
        [("client_certificate", "client_key"), ("client_key", "client_certificate"), ("ca", "client_key")]
    {
        if fields.has(with) && !fields.has(key) {
            let hint = Some(format!("write `{key} = \"….pem\"`, a file in tls/ and the platform's id"));
            fields.mistake(&fields.spot(key), format!("a file, as `{with}` names one"), hint);
        }
    }
    let folder = folder?;
    let authorities = ca.and_then(|name| noted(fields, "ca", authorities(&folder.join(name))))?;
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let read = identity(&folder.join(certificate), &folder.join(key));
            Some(noted(fields, "client_certificate", read)?)
        }
        _ => None,
    };
    Some(Arc::new(Trust { authorities, identity }))
}

/// A file's fault as a mistake of the key that names it.
fn noted<T>(fields: &Fields<'_>, key: &'static str, read: Result<T, String>) -> Option<T> {
    read.map_err(|why| fields.mistake(&fields.spot(key), "a file that can be used", Some(why))).ok()
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|cause| format!("{}: {cause}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let none = || format!("{}: no certificate in PEM form found", path.display());
    let pem = bytes(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| none())?;
    // The frame would panic at a certificate that does not parse.
    let parses = |der: &CertificateDer<'_>| x509_parser::parse_x509_certificate(der).is_ok();
    if found.is_empty() || !found.iter().all(parses) { Err(none()) } else { Ok(found) }
}

fn owned(certificates: &[CertificateDer<'_>]) -> Box<[Vec<u8>]> {
    certificates.iter().map(|der| der.to_vec()).collect()
}

fn authorities(path: &Path) -> Result<Box<[Vec<u8>]>, String> {
    let found = certificates(path)?;
    let mut roots = rustls::RootCertStore::empty();
    for der in &found {
        roots.add(der.clone()).map_err(|cause| format!("{}: no authority ({cause})", path.display()))?;
    }
    Ok(owned(&found))
}

fn identity(certificate: &Path, key: &Path) -> Result<ClientIdentity, String> {
    let chain = certificates(certificate)?;
    let none = |_| format!("{}: no private key in PEM form found", key.display());
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(none)?;
    let der = Zeroizing::new(private.secret_der().to_vec());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    rustls::sign::CertifiedKey::from_der(chain.clone(), private, &provider)
        .map_err(|cause| format!("{}: it does not belong to the certificate ({cause})", key.display()))?;
    // The frame tells the kind of key from its bytes.
    PrivateKeyDer::try_from(der.as_slice()).map_err(|_| format!("{}: write it as PKCS#8", key.display()))?;
    Ok(ClientIdentity { chain: owned(&chain), key: der })
}
