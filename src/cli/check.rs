//! `yimen check`: every mistake of settings, certificate and filings at once.

use std::fs;
use std::path::Path;

use super::Outcome;
use super::arguments::Format;
use crate::config::{self, CertificateError, Certificates, Config, RealmConfig, Staple, clients_signed_by};
use crate::domain::Timestamp;
use crate::registry::{self, Rules};
use crate::routing::{Action, Matches, Route, RouteTable};
use crate::written::{Mistake, Severity};

pub(crate) fn check(path: &Path, strict: bool, format: Format) -> Outcome {
    let name = path.display().to_string();
    let mistakes = match fs::read_to_string(path) {
        Ok(text) => all(&name, text, path.parent().unwrap_or(Path::new("."))),
        Err(cause) => vec![fault(&name, "(file)", &cause.to_string(), "a readable file with settings")],
    };
    let errors = mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count();
    let warnings = mistakes.len() - errors;
    let status = match (errors, warnings) {
        (0, 0) => 0,
        (0, _) if strict => 2,
        (0, _) => 0,
        _ => 1,
    };
    let text = match format {
        Format::Json => json(&mistakes, errors, warnings),
        Format::Text => {
            let lines: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
            format!("{lines}{errors} errors, {warnings} warnings\n")
        }
    };
    Outcome { text, complaint: String::new(), status }
}

fn json(mistakes: &[Mistake], errors: usize, warnings: usize) -> String {
    let report = serde_json::json!({ "errors": errors, "warnings": warnings, "mistakes": mistakes });
    format!("{report:#}\n")
}

fn all(name: &str, text: String, folder: &Path) -> Vec<Mistake> {
    let (config, mut mistakes) = config::read(name, text, folder);
    if let Some(config) = config {
        mistakes.extend(certificates(name, &config));
        mistakes.extend(realm_secrets(name, &config));
        let public = &config.public;
        let domain = public.platform_domain.as_ref();
        let rules = Rules::of(&config);
        match rules.and_then(|rules| registry::load_by(&rules, &config.routes_directory, Timestamp::now())) {
            Ok(loaded) => {
                mistakes.extend(loaded.mistakes);
                mistakes.extend(uncovered(name, &config, &loaded.table));
                mistakes.extend(shared_origin(name, &config, &loaded.table));
                let trusted = domain.map(|domain| registry::trusted(&config.routes_directory, domain));
                mistakes.extend(trusted.and_then(Result::ok).into_iter().flatten());
            }
            Err(cause) => {
                mistakes.push(fault(name, "routes.directory", &cause.to_string(), "divisions, items and filings"));
            }
        }
    }
    mistakes
}

/// Secrets and keys of realms that this user cannot read: nobody could sign in by them.
fn realm_secrets(name: &str, config: &Config) -> Vec<Mistake> {
    let unread = |realm: &RealmConfig| {
        let path = realm.client.file();
        let cause = fs::File::open(path).err()?;
        let got = format!("{}: {cause}", path.display());
        Some(fault(name, "realm", &got, &format!("a file that can be read, for realm {}", realm.id)))
    };
    config.providers.realms.iter().filter_map(unread).collect()
}

fn certificates(name: &str, config: &Config) -> Vec<Mistake> {
    let public = config.public.tls.as_ref().map(|tls| Certificates::mistakes(tls, Timestamp::now()));
    let (of_default, of_folder) = public.unwrap_or_default();
    let management = config.management.tls.as_ref().map(|tls| {
        let certificate = Certificates::mistakes(&tls.certificates, Timestamp::now()).0;
        (certificate, tls.client_ca.as_deref().and_then(|file| clients_signed_by(file).err()))
    });
    let (of_management, of_clients) = management.unwrap_or_default();
    let told = |key, mistake: CertificateError| {
        fault(name, key, &mistake.to_string(), "a certificate valid today, and its key")
    };
    let of_folder = of_folder.into_iter().map(|mistake| told("public.certificates_directory", mistake));
    let one = [
        ("public.certificate", of_default),
        ("management.certificate", of_management),
        ("management.client_ca", of_clients),
        ("public.client_ca", config.public.client_ca.as_deref().and_then(|file| clients_signed_by(file).err())),
    ];
    one.into_iter()
        .filter_map(|(key, mistake)| Some(told(key, mistake?)))
        .chain(of_folder)
        .chain(staples(name, config))
        .collect()
}

/// Responses of authorities that would not be shown. The certificates are, so it is a warning.
fn staples(name: &str, config: &Config) -> Vec<Mistake> {
    let tls = config.public.tls.as_ref();
    let Some((certificates, _)) = tls.and_then(|tls| Certificates::load(tls, Timestamp::now()).ok()) else {
        return Vec::new();
    };
    let ignored =
        certificates.staples().filter_map(|staple| if let Staple::Ignored(why) = staple { Some(why) } else { None });
    let expected = "an OCSP response that is good for the certificate beside it";
    let told =
        |why: &String| Mistake { severity: Severity::Warning, ..fault(name, "public.certificate", why, expected) };
    ignored.map(told).collect()
}

/// Platforms have hosts below `platform_domain`, and browsers refuse one that no certificate names.
fn uncovered(name: &str, config: &Config, table: &RouteTable) -> Option<Mistake> {
    let (domain, tls) = (config.public.platform_domain.as_ref()?, config.public.tls.as_ref()?);
    let (certificates, _) = Certificates::load(tls, Timestamp::now()).ok()?;
    if certificates.cover(&format!("*.{domain}")) {
        return None;
    }
    let filed = table.platforms().map(|(_, platform)| platform).filter(|platform| !platform.trusted);
    let hosts =
        filed.filter(|platform| platform.id.as_str() != "yimen").map(|platform| format!("{}.{domain}", platform.id));
    let missing: Vec<String> = hosts.filter(|host| !certificates.cover(host)).collect();
    let (got, severity) = match missing.first() {
        Some(host) => (format!("no certificate for {host} and {} more", missing.len() - 1), Severity::Error),
        None => (format!("no certificate for *.{domain}"), Severity::Warning), // the next platform has none
    };
    let expected =
        format!("a certificate that names *.{domain}, as public.certificate or in public.certificates_directory");
    Some(Mistake { severity, ..fault(name, "public.platform_domain", &got, &expected) })
}

/// Platforms do not trust one another, so an origin that several of them share is worth a look.
fn shared_origin(name: &str, config: &Config, table: &RouteTable) -> Option<Mistake> {
    if config.public.platform_domain.is_some() {
        return None; // then `registry::trusted` names each that shares it
    }
    let shares =
        |route: &Route| route.action == Action::Proxy && !matches!(route.matches, Matches::Path { host: Some(_), .. });
    let ids = table.platforms().filter(|(_, platform)| platform.routes.iter().any(shares));
    let ids: Vec<&str> = ids.map(|(_, platform)| platform.id.as_str()).collect();
    let (first, more) = (ids.first()?, ids.len() - 1);
    let got = format!("none, and {first} and {more} more share the portal's origin");
    let expected = "a domain below which each platform has an origin of its own, such as services.example.gov";
    let hint =
        "on one origin a script of one platform can act as the person at another; isolation of cookies is all there is";
    let told = fault(name, "public.platform_domain", &got, expected);
    Some(Mistake { severity: Severity::Warning, hint: Some(hint.to_owned()), ..told })
}

fn fault(file: &str, key: &str, got: &str, expected: &str) -> Mistake {
    Mistake {
        file: file.into(),
        line: 1,
        column: 1,
        key: key.to_owned(),
        pointer: String::new(),
        got: got.to_owned(),
        expected: expected.to_owned(),
        hint: None,
        severity: Severity::Error,
    }
}
