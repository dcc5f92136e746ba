//! The demo's certificate: self-signed, made at first start, kept while it is good. Never in version control.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use super::error::DemoError;
use super::files;
use super::settings::PLATFORM_DOMAIN;
use crate::domain::Timestamp;

/// Days a new certificate is good for: the longest that browsers accept of anyone (CA/Browser Forum, ballot SC-22).
const GOOD_FOR_DAYS: u32 = 397;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes `certificate.pem` and `key.pem` (0600) under `folder` unless a pair is there that is good at `now` for `address`.
pub(super) fn keep_or_make(folder: &Path, address: IpAddr, now: Timestamp) -> Result<(), DemoError> {
    files::private_folder(folder)?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    if key.is_file() && still_good(&certificate, address, now) {
        return Ok(());
    }
    let (certificate_pem, key_pem) = make(address, now).map_err(|error| DemoError::Certificate(error.to_string()))?;
    files::write(&key, 0o600, key_pem.as_bytes())?;
    files::write(&certificate, 0o644, certificate_pem.as_bytes())
}

fn still_good(certificate: &Path, address: IpAddr, now: Timestamp) -> bool {
    let Ok(pem) = std::fs::read(certificate) else { return false };
    let Ok((_, pem)) = parse_x509_pem(&pem) else { return false };
    let Ok(parsed) = pem.parse_x509() else { return false };
    let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    let in_time = parsed.validity().not_before.timestamp() <= now && now < parsed.validity().not_after.timestamp();
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let names = parsed.subject_alternative_name().ok().flatten();
    let platforms = format!("*.{PLATFORM_DOMAIN}");
    let wanted = [GeneralName::IPAddress(&octets), GeneralName::DNSName(&platforms)];
    in_time && names.is_some_and(|names| wanted.iter().all(|wanted| names.value.general_names.contains(wanted)))
}

fn make(address: IpAddr, now: Timestamp) -> Result<(String, String), rcgen::Error> {
    let platforms = format!("*.{PLATFORM_DOMAIN}");
    let mut names = ["localhost", &platforms, "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    if !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    let mut params = CertificateParams::new(names)?; // no CA: whoever trusts it trusts this one server
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let today = now.seconds() / DAY.as_secs() * DAY.as_secs();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(today).saturating_sub(DAY); // also for a clock that is a little behind
    params.not_after = epoch + Duration::from_secs(today) + DAY * GOOD_FOR_DAYS;
    let key = KeyPair::generate()?; // ECDSA P-256: every browser reads it
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::Ipv4Addr;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn pair(folder: &Path) -> (Vec<u8>, Vec<u8>) {
        (fs::read(folder.join("certificate.pem")).unwrap(), fs::read(folder.join("key.pem")).unwrap())
    }

    #[test]
    fn a_good_certificate_is_kept_and_a_worn_out_one_made_again() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("tls");
        let start = Timestamp::from_millis(1_795_000_000_000);
        keep_or_make(&folder, HOME, start).unwrap();
        let first = pair(&folder);
        let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("key.pem"), mode(".")), (0o600, 0o700));

        keep_or_make(&folder, HOME, start.plus(DAY * 396)).unwrap();
        assert_eq!(pair(&folder), first);
        keep_or_make(&folder, HOME, start.plus(DAY * 398)).unwrap();
        assert_ne!(pair(&folder), first);
    }

    #[test]
    fn another_address_gets_a_certificate_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_795_000_000_000);
        keep_or_make(folder.path(), HOME, now).unwrap();
        let first = pair(folder.path());
        keep_or_make(folder.path(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), now).unwrap();
        assert_ne!(pair(folder.path()), first);
    }
}
