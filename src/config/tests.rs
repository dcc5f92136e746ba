//! The settings file as a whole: what it takes, and every mistake told once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const SMALLEST: &str = "[public]\nlisten = \"127.0.0.1:8443\"\nhosts = [\"localhost\"]\norigin = \"https://localhost:8443\"\n\
    certificate = \"c.pem\"\nkey = \"k.pem\"\n[data]\ndirectory = \"/var/lib/yimen\"\n[routes]\ndirectory = \"routes\"\n";

fn told(text: &str) -> Vec<String> {
    read("yimen.toml", text.to_owned(), Path::new("/etc/yimen")).1.iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_file_works_and_relative_paths_count_from_its_folder() {
    let (config, mistakes) = read("yimen.toml", SMALLEST.to_owned(), Path::new("/etc/yimen"));
    let config = config.unwrap();
    assert!(mistakes.is_empty(), "{mistakes:?}");
    assert_eq!(config.routes_directory, PathBuf::from("/etc/yimen/routes"));
    assert_eq!(config.session.idle, Duration::from_secs(900));
    assert_eq!(config.stores.sessions, SessionStoreConfig::Sqlite("/var/lib/yimen/sessions.db".into()));
}

#[test]
fn the_commented_example_is_right_and_names_every_default() {
    let example = include_str!("../../deploy/yimen.toml");
    assert!(read("yimen.toml", example.to_owned(), Path::new("/etc/yimen")).1.is_empty());
    let uncommented = example.replace("\n# ", "\n").replacen("plaintext = false", "", 1);
    let uncommented = uncommented.lines().skip(3).collect::<Vec<_>>().join("\n");
    let (config, mistakes) = read("yimen.toml", uncommented, Path::new("/etc/yimen"));
    let other_engine = |key: &str| key.starts_with("stores.redis") || key.starts_with("stores.register_");
    let told: Vec<_> = mistakes.iter().filter(|mistake| !other_engine(&mistake.key)).collect();
    assert!(told.is_empty(), "{told:?}");
    assert!(config.is_some());
}

#[test]
fn every_mistake_is_told_at_once() {
    let told =
        told("[public]\nlisten = 1\n[session]\nidle_minute = 3\n[stores]\nsessions = \"redis://:pw@h\"\n[nonsense]\n");
    for part in [
        "public.listen",
        "public.hosts",
        "public.origin",
        "public.certificate",
        "public.key",
        "data.directory",
        "routes.directory",
        "session.idle_minute",
        "stores.sessions",
        "nonsense",
    ] {
        assert!(told.iter().any(|line| line.contains(part)), "{part} missing in {told:#?}");
    }
    assert!(told.iter().any(|line| line.contains("did you mean `idle_minutes`?")), "{told:#?}");
}

#[test]
fn a_wrong_address_of_the_listener_is_told_once() {
    for wrong in ["\"nowhere\"", "[]", "[\"nowhere\"]"] {
        let told = told(&SMALLEST.replacen("listen = \"127.0.0.1:8443\"", &format!("listen = {wrong}"), 1));
        assert_eq!(told.len(), 1, "{told:#?}");
    }
}

#[test]
fn the_portal_is_no_host_of_a_platform() {
    let told = told(
        &SMALLEST
            .replace("[data]", "platform_domain = \"example.gov\"\n[data]")
            .replace("[\"localhost\"]", "[\"localhost\", \"zwfw.example.gov\"]"),
    );
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("public.platform_domain") && told[0].contains("zwfw.example.gov"), "{told:#?}");
}

#[test]
fn an_open_management_listener_needs_tls() {
    let open = format!("{SMALLEST}[management]\nlisten = \"0.0.0.0:8444\"\n");
    assert!(told(&open)[0].contains("management.certificate"), "{:#?}", told(&open));
    let with_tls = format!("{open}certificate = \"c\"\nkey = \"k\"\n");
    let mistakes = told(&with_tls);
    assert!(mistakes.len() == 1 && mistakes[0].contains("management.client_ca"), "{mistakes:#?}");
    assert!(told(&format!("{with_tls}client_ca = \"a\"\n")).is_empty());
    assert!(told(&format!("{with_tls}operators_two_factors = false\n")).is_empty());
    assert!(told(&format!("{open}certificate = \"c\"\n")).iter().any(|line| line.contains("management.key")));
}

#[test]
fn callers_by_certificate_need_an_authority_and_somebody_each_speaks_for() {
    let caller = |more: &str| {
        let tls = "certificate = \"c\"\nkey = \"k\"\n";
        let who = "fingerprint = \"FINGERPRINT\"\nprincipal = \"li.lei\"\ndivision = \"330000\"\n";
        let who = who.replace("FINGERPRINT", &"0f".repeat(32));
        format!("{SMALLEST}[management]\n{tls}{more}[[management.caller]]\n{who}")
    };
    let ca = "client_ca = \"a\"\n";
    assert!(told(&format!("{}role = \"operator\"\n", caller(ca))).is_empty());
    let mistakes = told(&format!("{}role = \"viewer\"\nscope = \"review\"\n", caller("")));
    for part in ["management.client_ca", "management.caller[0].scope"] {
        assert!(mistakes.iter().any(|line| line.contains(part)), "{part} missing in {mistakes:#?}");
    }
    let mistakes = told(&format!("{}role = \"platform\"\n", caller(ca)));
    assert!(mistakes[0].contains("management.caller[0].platform"), "{mistakes:#?}");
}

#[test]
fn proxy_headers_need_somebody_trusted_and_redirects_an_https_origin() {
    let with = |line: &str| told(&SMALLEST.replacen("[public]\n", &format!("[public]\n{line}\n"), 1));
    let mistakes = with("proxy_protocol = true");
    assert!(mistakes.len() == 1 && mistakes[0].contains("public.proxy_protocol"), "{mistakes:#?}");
    assert!(with("proxy_protocol = true\ntrusted_proxies = \"10.0.0.0/8\"").is_empty());
    assert!(with("redirect_listen = [\"0.0.0.0:80\", \"[::]:80\"]").is_empty());
    let plain =
        SMALLEST.replace("https:", "http:").replacen("[public]\n", "[public]\nredirect_listen = \"0.0.0.0:80\"\n", 1);
    let mistakes = told(&plain);
    assert!(mistakes.len() == 1 && mistakes[0].contains("public.redirect_listen"), "{mistakes:#?}");
}

#[test]
fn idle_longer_than_absolute_is_refused() {
    let told = told(&format!("{SMALLEST}[session]\nidle_minutes = 90\nabsolute_hours = 1\n"));
    assert!(told[0].contains("session.idle_minutes"), "{told:#?}");
}
