//! Certificates: which one a server name is shown, and what happens when their files change while the gateway runs.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768;
use rustls::pki_types::CertificateDer;

use crate::support::clerk::{on_machine, told};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::process::{tool, yimen};
use crate::support::tls::{Connection, connect, connect_by};
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

/// The tree of dependencies has ring too, which has no such exchange and would be used if the frame came first.
#[tokio::test]
async fn keys_are_exchanged_by_aws_lc_also_with_who_wants_them_safe_from_quantum_computers() {
    let gateway = gateway().await;
    let public = gateway.public;
    let group = tokio::task::spawn_blocking(move || {
        let connection = connect_by(public, "localhost", X25519MLKEM768);
        connection.conn.negotiated_key_exchange_group().unwrap().name()
    });
    assert_eq!(group.await.unwrap(), NamedGroup::X25519MLKEM768);
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

/// Who signs callers' certificates: its own certificate (PEM), and what it signs with.
fn authority(name: &str) -> (String, rcgen::Issuer<'static, rcgen::KeyPair>) {
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    (parameters.self_signed(&key).unwrap().pem(), rcgen::Issuer::new(parameters, key))
}

/// A caller's certificate with its key, and its fingerprint.
fn caller(issuer: &rcgen::Issuer<'_, rcgen::KeyPair>) -> (reqwest::Identity, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["caller".to_owned()]).unwrap();
    let made = parameters.signed_by(&key, issuer).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, made.der());
    let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let pem = made.pem() + &key.serialize_pem();
    (reqwest::Identity::from_pem(pem.as_bytes()).unwrap(), fingerprint)
}

fn named(fingerprint: &str, principal: &str, role: &str) -> String {
    format!(
        "[[management.caller]]\nfingerprint = \"{fingerprint}\"\nprincipal = \"{principal}\"\nrole = \"{role}\"\n\
         division = \"330000\"\n"
    )
}

/// A gateway whose management listener asks for certificates of this authority, and where it listens.
async fn gateway_that_asks(authority: &str, callers: String, more: &[&str]) -> (Gateway, SocketAddr) {
    let listen = SocketAddr::from(([127, 0, 0, 1], crate::support::free_port()));
    let gateway = Gateway::with(|setup| {
        let folder = setup.folder.path().to_owned();
        fs::write(folder.join("callers.pem"), authority).unwrap();
        setup.set("management.listen", listen.to_string());
        for (key, file) in [("certificate", "certificate.pem"), ("key", "key.pem"), ("client_ca", "callers.pem")] {
            setup.set(&format!("management.{key}"), folder.join(file).display().to_string());
        }
        for key in more {
            setup.set(key, true);
        }
        setup.more = callers;
    })
    .await;
    (gateway, listen)
}

/// The answer to a call; `None` where no connection comes about.
async fn asks(listen: SocketAddr, own: Option<reqwest::Identity>, token: Option<&str>) -> Option<(u16, String)> {
    let client = crate::support::client().tls_danger_accept_invalid_certs(true);
    let client = match own {
        Some(own) => client.identity(own),
        None => client,
    };
    let mut asked = client.build().unwrap().get(format!("https://{listen}/v1/platforms"));
    if let Some(token) = token {
        asked = asked.bearer_auth(token);
    }
    let answer = asked.send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.unwrap()))
}

#[tokio::test]
async fn a_caller_of_the_management_api_shows_a_certificate_where_that_is_set() {
    let (ours, others) = (authority("ours"), authority("others"));
    let (known, fingerprint) = caller(&ours.1);
    let (gateway, listen) = gateway_that_asks(&ours.0, named(&fingerprint, "li.lei", "viewer"), &[]).await;
    let status = async |own| asks(listen, own, None).await.map(|(status, _)| status);
    assert_eq!(status(Some(known)).await, Some(200), "it speaks for somebody");
    assert_eq!(status(Some(caller(&ours.1).0)).await, Some(401), "it is nobody's");
    assert_eq!(status(Some(caller(&others.1).0)).await, None, "signed by somebody else");
    assert_eq!(status(None).await, None, "no certificate");
    let plain = crate::support::client().build().unwrap().get(format!("http://{listen}/v1/platforms")).send().await;
    assert!(plain.is_err(), "no TLS");
    drop(gateway);
}

#[tokio::test]
async fn an_operator_shows_a_token_and_a_certificate_of_the_same_person() {
    let ours = authority("ours");
    let [(li, of_li), (wang, of_wang), (viewer, of_viewer)] = [(); 3].map(|()| caller(&ours.1));
    let callers = [
        named(&of_li, "li.lei", "operator"),
        named(&of_wang, "wang.wu", "operator"),
        named(&of_viewer, "li.lei", "viewer"),
    ];
    let (gateway, listen) = gateway_that_asks(&ours.0, callers.concat(), &["management.operators_two_factors"]).await;
    let token = |role: &str| {
        let words = format!("token issue --role {role} --division 330000 --principal li.lei");
        let issued = on_machine(&gateway, &words.split(' ').collect::<Vec<_>>());
        String::from_utf8(issued.stdout).unwrap().trim().to_owned()
    };
    let (operator, auditor) = (token("operator"), token("auditor"));
    let status = async |own: &reqwest::Identity, token| asks(listen, Some(own.clone()), token).await.unwrap();
    assert_eq!(status(&li, Some(&operator)).await.0, 200, "both, of one person");
    for (own, token, why) in [
        (&li, None, "a certificate alone"),
        (&wang, Some(operator.as_str()), "somebody else's certificate"),
        (&viewer, Some(operator.as_str()), "a certificate for another role"),
        (&caller(&ours.1).0, Some(operator.as_str()), "nobody's certificate"),
    ] {
        let (status, problem) = status(own, token).await;
        assert_eq!(status, 401, "{why}");
        assert!(problem.contains("second-factor-needed") && problem.contains("li.lei") || token.is_none(), "{problem}");
    }
    assert_eq!(status(&wang, Some(&auditor)).await.0, 200, "other roles have one");
}

/// An authority of a test with the tools that authorities use, in a folder of its own.
struct Authority(std::path::PathBuf);

impl Authority {
    fn new(folder: &Path) -> Self {
        let authority = Self(folder.join("authority"));
        fs::create_dir(&authority.0).unwrap();
        authority.openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Test-CA");
        authority
    }

    fn openssl(&self, arguments: &str) {
        let openssl = tool("openssl", "openssl");
        let done =
            std::process::Command::new(openssl).args(arguments.split(' ')).current_dir(&self.0).output().unwrap();
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A certificate for localhost with this serial number; chain and key go where the gateway looks.
    fn certifies(&self, folder: &Path, serial: u8) {
        fs::write(self.0.join("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1").unwrap();
        self.openssl("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost");
        self.openssl(&format!(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -days 20 -extfile san -out leaf.pem"
        ));
        let chain = [fs::read(self.0.join("leaf.pem")).unwrap(), fs::read(self.0.join("ca.pem")).unwrap()].concat();
        fs::write(folder.join("certificate.pem"), chain).unwrap();
        fs::copy(self.0.join("leaf.key"), folder.join("key.pem")).unwrap();
    }

    /// Its word about the certificate, `V` valid or `R` revoked, signed by whoever is named.
    fn responds(&self, serial: u8, state: char, signer: &str) -> Vec<u8> {
        let revoked = if state == 'R' { "200101000000Z" } else { "" };
        let line = format!("{state}\t400101000000Z\t{revoked}\t{serial:02X}\tunknown\t/CN=localhost\n");
        fs::write(self.0.join("index.txt"), line).unwrap();
        self.openssl(&format!(
            "ocsp -index index.txt -CA ca.pem -issuer ca.pem -serial {serial} -rsigner {signer}.pem -rkey {signer}.key \
             -ndays 2 -respout response.der"
        ));
        fs::read(self.0.join("response.der")).unwrap()
    }
}

/// What `openssl s_client` says of the response that is stapled.
async fn stapled(address: SocketAddr) -> String {
    let openssl = tool("openssl", "openssl");
    let mut command = tokio::process::Command::new(openssl);
    command.args(["s_client", "-connect", &address.to_string(), "-servername", "localhost", "-status"]);
    let done = command.stdin(std::process::Stdio::null()).output().await.unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[tokio::test]
async fn the_authoritys_word_is_stapled_when_it_is_good_and_left_out_with_a_reason_when_it_is_not() {
    let mut kept = None;
    let gateway = Gateway::with(|setup| {
        let folder = setup.folder.path();
        let authority = Authority::new(folder);
        authority
            .openssl("req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 30 -subj /CN=Other");
        authority.certifies(folder, 7);
        fs::write(folder.join("certificate.ocsp"), authority.responds(7, 'V', "ca")).unwrap();
        kept = Some(authority);
    })
    .await;
    let (authority, file) = (kept.unwrap(), gateway.folder.path().join("certificate.ocsp"));
    let said = stapled(gateway.public).await;
    assert!(said.contains("OCSP Response Status: successful") && said.contains("Cert Status: good"), "{said}");
    let shown = || async { gateway.metric("yimen_tls_ocsp_staples", "state=\"shown\"").await };
    assert!((shown().await - 1.0).abs() < 0.1);
    let checks = || yimen().arg("check").arg("--config").arg(&gateway.config).output().unwrap().stdout;
    assert!(!String::from_utf8_lossy(&checks()).contains("ocsp"));

    let mistakes = [
        (authority.responds(8, 'V', "ca"), "speaks of another certificate"),
        (authority.responds(7, 'V', "other"), "not signed by the issuer"),
        (authority.responds(7, 'R', "ca"), "does not call the certificate good"),
        (b"no response".to_vec(), "no successful OCSP response"),
    ];
    for (response, why) in mistakes {
        fs::write(&file, response).unwrap();
        gateway.process.signal("HUP");
        let told = || async { gateway.process.errors().contains(why).then_some(()) };
        until(&format!("the log says: {why}"), Duration::from_secs(10), told).await;
        let said = stapled(gateway.public).await;
        assert!(said.contains("OCSP response: no response sent"), "{why}: {said}");
        assert!(shown().await < 0.1 && gateway.metric("yimen_tls_ocsp_staples", "state=\"ignored\"").await > 0.9);
        let checked = String::from_utf8_lossy(&checks()).into_owned();
        assert!(checked.contains(why), "{checked}");
    }
    fs::write(&file, authority.responds(7, 'V', "ca")).unwrap(); // seen without a signal
    let again = || async { (shown().await > 0.9).then_some(()) };
    until("a good one is shown again", Duration::from_secs(15), again).await;
}

#[tokio::test]
async fn a_visitor_may_show_a_certificate_of_a_known_authority_and_no_platform_hears_of_it() {
    let platform = RecordingPlatform::start();
    let authority = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap().pem(), rcgen::Issuer::new(parameters, key))
    };
    let of = |issuer: &rcgen::Issuer<'_, rcgen::KeyPair>| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["li.example".to_owned()]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "Li-whom-nobody-names");
        let pem = parameters.signed_by(&key, issuer).unwrap().pem() + &key.serialize_pem();
        reqwest::Identity::from_pem(pem.as_bytes()).unwrap()
    };
    let (ours, others) = (authority("ours"), authority("others"));
    let gateway = Gateway::with(|setup| {
        let file = setup.folder.path().join("visitors.pem");
        fs::write(&file, &ours.0).unwrap();
        setup.set("public.client_ca", file.display().to_string());
        setup.filings =
            vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
    })
    .await;
    let address = format!("https://{}/recorder/", gateway.public);
    let asks = |identity: Option<reqwest::Identity>| {
        let client = crate::support::client().tls_danger_accept_invalid_certs(true);
        let client = identity.into_iter().fold(client, |client, own| client.identity(own)).build().unwrap();
        let request = client.get(&address).header("client-cert", ":forged:").header("x-ssl-client-cert", "forged");
        async move { request.send().await.ok().map(|answer| answer.status().as_u16()) }
    };
    assert_eq!(asks(None).await, Some(200), "nobody has to");
    assert!(gateway.metric("yimen_client_certificates_total", "").await < 0.1);
    assert_eq!(asks(Some(of(&ours.1))).await, Some(200));
    gateway.metric_reaches("yimen_client_certificates_total", "", 1.0).await;
    assert_eq!(asks(Some(of(&others.1))).await, None, "signed by somebody else");
    let heard = platform.requests();
    assert_eq!(heard.len(), 2);
    for request in heard {
        let request = request.to_ascii_lowercase();
        assert!(!request.contains("client-cert") && !request.contains("nobody-names"), "{request}");
    }
}

#[tokio::test]
async fn check_says_which_platforms_no_certificate_names() {
    let mut setup = crate::support::gateway::Setup::new();
    setup.set("public.platform_domain", "services.example");
    let platform = RecordingPlatform::start();
    setup.filings = ["tax", "pension"]
        .map(|id| {
            Filing::of(id, "330000").untrusted().at(platform.address).path(&format!("/{id}/"), "access = \"open\"")
        })
        .into();
    let folder = setup.folder.path().join("certs");
    fs::create_dir(&folder).unwrap();
    setup.set("public.certificates_directory", folder.display().to_string());
    let config = setup.write();
    let told = || {
        let checked = yimen().arg("check").arg("--config").arg(&config).output().unwrap();
        (checked.status.code(), String::from_utf8_lossy(&checked.stdout).into_owned())
    };
    let shows = |hosts: &[&str]| drop(make(&folder.join("p.pem"), &folder.join("p.key.pem"), hosts, true));
    let (status, text) = told();
    assert!(status == Some(1) && text.contains("no certificate for") && text.contains("and 1 more"), "{text}");
    shows(&["tax.services.example"]);
    let (status, text) = told();
    assert!(status == Some(1) && text.contains("no certificate for pension.services.example and 0 more"), "{text}");
    shows(&["tax.services.example", "pension.services.example"]);
    let (status, text) = told();
    assert!(status == Some(0) && text.contains("no certificate for *.services.example"), "{text}");
    shows(&["*.services.example"]);
    assert!(!told().1.contains("no certificate"), "{}", told().1);
}

#[tokio::test]
async fn a_token_that_came_through_a_certificate_ends_when_the_settings_name_it_no_more() {
    let ours = authority("ours");
    let [(li, of_li), (wang, of_wang)] = [(); 2].map(|()| caller(&ours.1));
    let (first, second) = (named(&of_li, "li.lei", "operator"), named(&of_wang, "wang.wu", "operator"));
    let (gateway, listen) = gateway_that_asks(&ours.0, [first.as_str(), &second].concat(), &[]).await;
    let issue = async |token: Option<&str>, principal: &str, division: &str| {
        let client = crate::support::client().tls_danger_accept_invalid_certs(true).identity(li.clone());
        let body = format!("{{\"principal\":\"{principal}\",\"role\":\"operator\",\"division\":\"{division}\"}}");
        let call = client.build().unwrap().post(format!("https://{listen}/v1/tokens")).body(body);
        let call = call.header("content-type", "application/json");
        let call = if let Some(token) = token { call.bearer_auth(token) } else { call };
        told(call).await
    };
    let token = issue(None, "city", "330100").await.has_status(201).body["token"].as_str().unwrap().to_owned();
    let below =
        issue(Some(&token), "county", "330106").await.has_status(201).body["token"].as_str().unwrap().to_owned();
    // A name of the settings is not given out below, whoever first asks for it.
    issue(Some(&token), "Wang.Wu", "330106").await.refused(409, "principal-taken");
    let status = async |token: &str| asks(listen, Some(wang.clone()), Some(token)).await.unwrap().0;
    assert_eq!((status(&token).await, status(&below).await), (200, 200));
    let settings = fs::read_to_string(&gateway.config).unwrap();
    fs::write(&gateway.config, settings.replace(&first, "")).unwrap();
    let gateway = gateway.restarted().await;
    assert_eq!((status(&token).await, status(&below).await), (401, 401), "both came through it");
    drop(gateway);
}
