//! Certificates: which one a server name is shown, and what happens when their files change while the gateway runs.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::process::yimen;
use crate::support::tls::{Connection, connect};
use crate::support::until;

/// The certificate that somebody who asks for `name` is shown.
async fn shown(address: SocketAddr, name: &'static str) -> Vec<u8> {
    tokio::task::spawn_blocking(move || connect(address, name).conn.peer_certificates().unwrap()[0].to_vec())
        .await
        .unwrap()
}

fn is_served(connection: &mut Connection) -> bool {
    let mut piece = [0; 4096];
    connection.write_all(b"GET /recorder/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let read = connection.read(&mut piece).unwrap();
    piece[..read].starts_with(b"HTTP/1.1 200")
}

/// Writes a new pair; its certificate. `days`: from now until its end.
fn make(certificate: &Path, key: &Path, hosts: &[&str], valid: bool) -> Vec<u8> {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut parameters = rcgen::CertificateParams::new(hosts).unwrap();
    if !valid {
        (parameters.not_before, parameters.not_after) =
            (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 2, 1));
    }
    let signing = rcgen::KeyPair::generate().unwrap();
    let made = parameters.self_signed(&signing).unwrap();
    fs::write(key, signing.serialize_pem()).unwrap();
    fs::write(certificate, made.pem()).unwrap();
    made.der().to_vec()
}

async fn gateway() -> Gateway {
    let platform = RecordingPlatform::start();
    Gateway::with(|setup| {
        let folder = setup.folder.path().join("certs");
        fs::create_dir(&folder).unwrap();
        make(&folder.join("platforms.pem"), &folder.join("platforms.key.pem"), &["*.services.example"], true);
        make(&folder.join("tax.pem"), &folder.join("tax.key.pem"), &["tax.services.example"], true);
        setup.set("public.certificates_directory", folder.display().to_string());
        setup.filings =
            vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
    })
    .await
}

async fn becomes(gateway: &Gateway, name: &'static str, certificate: &[u8]) {
    let public = gateway.public;
    let is_it = || async { (shown(public, name).await == certificate).then_some(()) };
    until("the new certificate is shown", Duration::from_secs(15), is_it).await;
}

#[tokio::test]
async fn a_server_name_is_shown_the_certificate_that_names_it() {
    let gateway = gateway().await;
    let of = |file: &str| {
        let pem = fs::read(gateway.folder.path().join(file)).unwrap();
        rustls::pki_types::pem::PemObject::from_pem_slice(&pem).map(|der: CertificateDer<'_>| der.to_vec()).unwrap()
    };
    for (name, file) in [
        ("tax.services.example", "certs/tax.pem"),
        ("pension.services.example", "certs/platforms.pem"),
        ("localhost", "certificate.pem"),
        ("of-nobody.example", "certificate.pem"),
    ] {
        assert!(shown(gateway.public, name).await == of(file), "{name} is not shown {file}");
    }
}

#[tokio::test]
async fn a_changed_file_is_shown_to_new_connections_and_old_ones_go_on() {
    let gateway = gateway().await;
    let public = gateway.public;
    let mut before = tokio::task::spawn_blocking(move || connect(public, "localhost")).await.unwrap();
    let folder = gateway.folder.path();
    let new = make(&folder.join("certificate.pem"), &folder.join("key.pem"), &["localhost"], true);
    becomes(&gateway, "localhost", &new).await;
    assert!(gateway.metric("yimen_certificate_reloads_total", "result=\"ok\"").await >= 1.0);
    let tax = make(&folder.join("certs/tax.pem"), &folder.join("certs/tax.key.pem"), &["tax.services.example"], true);
    gateway.process.signal("HUP");
    becomes(&gateway, "tax.services.example", &tax).await;
    assert!(tokio::task::spawn_blocking(move || is_served(&mut before)).await.unwrap(), "a connection from before");
}

#[tokio::test]
async fn a_wrong_certificate_is_not_shown_and_the_log_says_why() {
    let gateway = gateway().await;
    let folder = gateway.folder.path();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let before = shown(gateway.public, "localhost").await;
    let ends = gateway.metric("yimen_tls_certificate_expiry_timestamp_seconds", "").await;
    let mistakes: [(&str, &dyn Fn()); 3] = [
        ("not valid now", &|| drop(make(&certificate, &key, &["localhost"], false))),
        ("does not belong to the certificate", &|| {
            drop(make(&folder.join("other.pem"), &key, &["localhost"], true));
            drop(make(&certificate, &folder.join("other.key.pem"), &["localhost"], true));
        }),
        ("no certificate in PEM form", &|| fs::write(&certificate, "-----BEGIN NOTHING").unwrap()),
    ];
    for (count, (why, break_it)) in mistakes.iter().enumerate() {
        break_it();
        gateway.process.signal("HUP");
        let least = f64::from(u32::try_from(count).unwrap()) + 1.0;
        gateway.metric_reaches("yimen_certificate_reloads_total", "result=\"refused\"", least).await;
        let told = || async { gateway.process.errors().contains(why).then_some(()) };
        until(&format!("the log says: {why}"), Duration::from_secs(10), told).await;
        assert!(shown(gateway.public, "localhost").await == before, "after {why}");
    }
    let now = gateway.metric("yimen_tls_certificate_expiry_timestamp_seconds", "").await;
    assert!((now - ends).abs() < 1.0, "the metric speaks of what is served: {now}, not {ends}");
    let checked = yimen().arg("check").arg("--config").arg(&gateway.config).output().unwrap();
    assert!(!checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

#[tokio::test]
async fn check_names_every_wrong_pair_of_the_folder_and_a_start_leaves_them_out() {
    let mut setup = crate::support::gateway::Setup::new();
    let folder = setup.folder.path().join("certs");
    fs::create_dir(&folder).unwrap();
    make(&folder.join("old.pem"), &folder.join("old.key.pem"), &["old.example"], false);
    fs::write(folder.join("half.pem"), "").unwrap();
    setup.set("public.certificates_directory", folder.display().to_string());
    let config = setup.write();
    let checked = yimen().arg("check").arg("--config").arg(&config).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{told}");
    for part in ["public.certificates_directory", "old.pem", "half.pem"] {
        assert!(told.contains(part), "{part} missing in {told}");
    }
    let gateway = setup.start().await;
    assert!(gateway.process.errors().contains("certificate not loaded, left out"), "{}", gateway.process.errors());
}

#[tokio::test]
async fn a_caller_of_the_management_api_shows_a_certificate_where_that_is_set() {
    let authority = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap().pem(), rcgen::Issuer::new(parameters, key))
    };
    let caller = |issuer: &rcgen::Issuer<'_, rcgen::KeyPair>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["caller".to_owned()]).unwrap();
        let made = parameters.signed_by(&key, issuer).unwrap();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.der());
        let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let pem = made.pem() + &key.serialize_pem();
        (reqwest::Identity::from_pem(pem.as_bytes()).unwrap(), fingerprint)
    };
    let (ours, others) = (authority("ours"), authority("others"));
    let (named, fingerprint) = caller(&ours.1);
    let listen = SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let gateway = Gateway::with(|setup| {
        let folder = setup.folder.path().to_owned();
        fs::write(folder.join("callers.pem"), &ours.0).unwrap();
        setup.set("management.listen", listen.to_string());
        for (key, file) in [("certificate", "certificate.pem"), ("key", "key.pem"), ("client_ca", "callers.pem")] {
            setup.set(&format!("management.{key}"), folder.join(file).display().to_string());
        }
        setup.more = format!(
            "[[management.caller]]\nfingerprint = \"{fingerprint}\"\nprincipal = \"li.lei\"\nrole = \"viewer\"\n\
             division = \"330000\"\n"
        );
    })
    .await;
    let asks = |identity: Option<reqwest::Identity>| async move {
        let client = crate::support::client().tls_danger_accept_invalid_certs(true);
        let client = identity
            .map_or_else(|| crate::support::client().tls_danger_accept_invalid_certs(true), |own| client.identity(own));
        let asked = client.build().unwrap().get(format!("https://{listen}/v1/platforms")).send().await;
        asked.ok().map(|answer| answer.status().as_u16())
    };
    assert_eq!(asks(Some(named)).await, Some(200), "it speaks for somebody");
    assert_eq!(asks(Some(caller(&ours.1).0)).await, Some(401), "it is nobody's");
    assert_eq!(asks(Some(caller(&others.1).0)).await, None, "signed by somebody else");
    assert_eq!(asks(None).await, None, "no certificate");
    let plain = crate::support::client().build().unwrap().get(format!("http://{listen}/v1/platforms")).send().await;
    assert!(plain.is_err(), "no TLS");
    drop(gateway);
}
