//! What is told of a filing, and what a routes directory makes.

use std::fs;
use std::path::{Path, PathBuf};

use super::load::data;
use super::*;
use crate::domain::{Assurance, Timestamp};
use crate::routing::{Access, Answer, PlatformState, Verdict};
use crate::written::{Document, Mistakes};

const PORTAL: &str = "127.0.0.1";

/// A good filing, to be spoilt in one place each.
const GOOD: &str = r#"[platform]
id = "xihu-test"
name = "西湖区"
name_en = "Xihu"
owner = "11330106990000076T"
division = "330106"
function = "f"
scope = "s"
approving_body = "b"
approved_on = "2026-03-01"
funding = "m"
filing_number = "n"
valid_until = "2027-02-28"
contact = "c"
state = "approved"

[[upstream]]
address = "127.0.0.1:9108"

[[route]]
items = ["002099029000"]
"#;

fn routes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("routes")
}

fn portal() -> Vec<String> {
    vec![PORTAL.to_owned()]
}

fn on(date: &str) -> Timestamp {
    let time: jiff::Timestamp = format!("{date}T12:00:00+08:00").parse().unwrap();
    Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap())
}

fn read(text: &str) -> (Option<Filing>, Vec<String>) {
    let (divisions, items) = data(&routes()).unwrap();
    let portal_hosts = portal();
    let tls_directory = routes().join("tls");
    let portal_hosts = &portal_hosts;
    let known = Known {
        divisions: &divisions,
        items: &items,
        portal_hosts,
        tls_directory: &tls_directory,
        platform_domain: None,
        addresses: &AddressPolicy::everything(),
    };
    let document = Document::parse("f.toml", text.to_owned()).unwrap();
    let mistakes = Mistakes::default();
    let filing = Filing::read(&document, &mistakes, &known, Form::File);
    (filing, mistakes.into_sorted().iter().map(ToString::to_string).collect())
}

#[test]
fn the_sample_filings_load_without_a_mistake_or_warning() {
    let loaded = load(&routes(), &portal(), on("2026-06-01")).unwrap();
    assert_eq!(loaded.mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!((loaded.filings_ok, loaded.filings_rejected), (16, 0));
}

#[test]
fn the_sample_filings_tell_the_story_of_the_nearest_platform() {
    let table = load(&routes(), &portal(), on("2026-06-01")).unwrap().table;
    let asked = |path: &str| match table.find(PORTAL, path) {
        Answer::Route(found) => {
            (found.platform.id.to_string(), found.level.word(), found.route.access, found.route.assurance)
        }
        other => panic!("{path}: {other:?}"),
    };
    let (required, optional, open) = (Access::Required, Access::Optional, Access::Open);
    assert_eq!(asked("/s/330106/002099006000/"), ("hangzhou".into(), "city", required, Assurance::L2));
    assert_eq!(asked("/s/330106/002099027000/"), ("zhejiang".into(), "province", optional, Assurance::L1));
    assert_eq!(asked("/s/330106/002099040000/"), ("mohrss".into(), "nation", open, Assurance::L1));
    assert_eq!(asked("/s/530000/002099006000/"), ("mohrss".into(), "nation", required, Assurance::L2));
    assert_eq!(asked("/s/530102/002099006000/").0, "mohrss");
    assert_eq!(asked("/weather/330106").0, "cma");
    assert_eq!(asked("/").0, "yimen");
    let verdict = |path: &str| table.explain("GET", PORTAL, path).verdict;
    assert_eq!(verdict("/beijing/old-permits/7"), Verdict::Gone);
    assert_eq!(verdict("/zhejiang/hall"), Verdict::Retired);
    assert_eq!(verdict("/guangdong/tax-tools"), Verdict::Maintenance);
    assert_eq!(verdict("/s/441900003/002099020000"), Verdict::Suspended);
    assert_eq!(
        table.explain("GET", PORTAL, "/s/441900003/002099007000").chosen.unwrap().platform.as_str(),
        "guangdong"
    );
    assert_eq!(table.explain("POST", PORTAL, "/s/441900003/002099007000").verdict, Verdict::Suspended);
}

#[test]
fn the_filing_explained_in_the_readme_is_a_good_one() {
    let readme = fs::read_to_string(routes().join("README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let (filing, told) = read(example);
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(filing.unwrap().platform.routes.len(), 2);
}

#[test]
fn a_good_filing_gets_the_safe_defaults() {
    let (filing, told) = read(GOOD);
    assert_eq!(told, Vec::<String>::new());
    let platform = filing.unwrap().platform;
    let route = &platform.routes[0];
    assert_eq!((route.access, route.assurance, route.websocket), (Access::Required, Assurance::L3, false));
    assert_eq!((route.body_bytes_max, route.deadlines.connect_ms), (10 << 20, 1000));
    assert_eq!(
        (&*platform.upstreams[0].server_name, platform.upstreams[0].tls, platform.trusted),
        ("127.0.0.1", false, false)
    );
}

#[test]
fn each_mistake_is_told_where_it_stands_with_a_way_on() {
    let spoilt = [
        ("owner = \"11330106990000076T\"", "owner = \"11330106990000076U\"", "f.toml:5:9: platform.owner", "mistyped"),
        ("division = \"330106\"", "division = \"330107\"", "f.toml:6:12: platform.division", "look it up"),
        ("division = \"330106\"", "division = \"110100\"", "f.toml:6:12: platform.division", "110000 北京市"),
        ("state = \"approved\"", "state = \"aproved\"", "f.toml:15:9: platform.state", "suspended or retired"),
        (
            "valid_until = \"2027-02-28\"",
            "valid_until = \"2025-02-28\"",
            "f.toml:13:15: platform.valid_until",
            "2026-03-01",
        ),
        ("valid_until = \"2027-02-28\"", "valid_until = \"2027-02-30\"", "f.toml:13:15: platform.valid_until", "day"),
        ("filing_number = \"n\"\n", "", "f.toml:1:2: platform.filing_number: got nothing", "draft"),
        ("contact = \"c\"", "contact = \"\"", "f.toml:14:11: platform.contact", "1 to 500 characters"),
        ("contact = \"c\"", "contact = \"c\"\ninflight_max = 0", "f.toml:15:16: platform.inflight_max", "1 to 1000000"),
        (
            "contact = \"c\"",
            "contact = \"c\"\nhealth = { path = \"up\" }",
            "f.toml:15:19: platform.health.path",
            "slash",
        ),
        (
            "contact = \"c\"",
            "contact = \"c\"\nhealth = { path = \"/up\", evry_s = 3 }",
            "f.toml:15:35: platform.health.evry_s",
            "did you mean `every_s`?",
        ),
        (
            "contact = \"c\"",
            "contact = \"c\"\nhealth = { path = \"/up\", every_s = 1, timeout_ms = 1500 }",
            "f.toml:15:52: platform.health.timeout_ms",
            "at most 1000 ms",
        ),
        ("9108\"", "9108\"\ntls = true\nca = \"../ca.pem\"", "f.toml:20:6: upstream[0].ca", "no path"),
        ("9108\"", "9108\"\ntls = true\nca = \"none.pem\"", "f.toml:20:6: upstream[0].ca", "tls/xihu-test/none.pem"),
        ("9108\"", "9108\"\ncanary = true", "f.toml:1:2: platform.canary: got nothing", "canary = true"),
        ("127.0.0.1:9108", "127.0.0.1", "f.toml:18:11: upstream[0].address", "host:port"),
        ("[[upstream]]\naddress = \"127.0.0.1:9108\"\n", "", "f.toml:1:1: upstream: got nothing", "[[upstream]]"),
        ("[\"002099029000\"]", "[\"002099029999\"]", "f.toml:21:10: route[0].items[0]", "items.csv"),
        ("[\"002099029000\"]", "[]", "f.toml:21:9: route[0].items", "at least one"),
        ("items = [\"002099029000\"]", "access = \"open\"", "f.toml:20:1: route[0].items", "either `items` or `path`"),
        ("items = ", "divisions = [\"330105\"]\nitems = ", "f.toml:21:14: route[0].divisions[0]", "330106 西湖区"),
        ("items = [\"002099029000\"]", "path = \"open\"", "f.toml:21:8: route[0].path", "begin it with a slash"),
        ("items = [\"002099029000\"]", "path = \"/a/../b\"", "f.toml:21:8: route[0].path", "leave out"),
        ("items = [\"002099029000\"]", "path = \"/a%2fb\"", "f.toml:21:8: route[0].path", "nothing with %"),
        ("items = [\"002099029000\"]", "path = \"/s/330106\"", "f.toml:21:8: route[0].path", "first segment"),
        ("items = [\"002099029000\"]", "path = \"/account/x\"", "f.toml:21:8: route[0].path", "first segment"),
        (
            "items = ",
            "action = \"gone\"\nitems = ",
            "f.toml:20:1: route[0].notice: got nothing",
            "what people should do",
        ),
        ("items = ", "acess = \"open\"\nitems = ", "f.toml:21:9: route[0].acess", "did you mean `access`?"),
    ];
    for (good, bad, place, way_on) in spoilt {
        let (filing, told) = read(&GOOD.replacen(good, bad, 1));
        assert!(filing.is_none(), "{bad} passed");
        assert_eq!(told.len(), 1, "{bad}: {told:#?}");
        assert!(told[0].starts_with(place) && told[0].contains(way_on), "{bad}: {}", told[0]);
    }
}

#[test]
fn what_works_but_should_be_looked_at_is_a_warning() {
    let odd = [
        ("002099029000", "002099019000", "item handled at level county, the level of 西湖区"),
        ("items = ", "assurance = \"L1\"\nitems = ", "access = \"required\" with L3"),
        ("items = ", "access = \"open\"\nitems = ", "access = \"required\" with L3"),
        ("items = [\"002099029000\"]", "path = \"/open\"", "a platform that is trusted"),
    ];
    for (good, bad, expected) in odd {
        let (filing, told) = read(&GOOD.replacen(good, bad, 1));
        assert!(filing.is_some(), "{bad}: {told:#?}");
        assert!(told.len() == 1 && told[0].contains("warning: ") && told[0].contains(expected), "{bad}: {told:#?}");
    }
}

#[test]
fn all_mistakes_of_a_filing_are_told_at_once() {
    let text = GOOD.replace("xihu-test", "X").replace("9108", "0").replace("002099029000", "002099029999");
    let second = "\n[[upstream]]\naddress = \"b\"\n\n[[route]]\npath = \"c\"\n";
    let (filing, told) = read(&(text + second));
    assert!(filing.is_none());
    let keys: Vec<&str> = told.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(
        keys,
        ["platform.id", "upstream[0].address", "route[0].items[0]", "upstream[1].address", "route[1].path"],
        "{told:#?}"
    );
}

#[test]
fn a_filing_is_served_through_its_last_day_in_china_and_drafts_never() {
    let day = |text: &str| text.parse::<jiff::civil::Date>().unwrap();
    let state =
        |text: &str, today: &str| read(text).0.unwrap().in_force(day(today)).map(|platform| platform.state.word());
    assert_eq!(state(GOOD, "2027-02-28"), Some("active"));
    assert_eq!(state(GOOD, "2027-03-01"), Some("expired"));
    let as_state = |word: &str| GOOD.replace("\"approved\"", &format!("\"{word}\""));
    assert_eq!(state(&as_state("suspended"), "2027-01-01"), Some("suspended"));
    assert_eq!(state(&as_state("retired"), "2027-01-01"), Some("retired"));
    assert_eq!(state(&as_state("draft"), "2027-01-01"), None);
    assert_eq!(state(&as_state("submitted"), "2027-01-01"), None);
}

#[test]
fn a_bad_filing_is_left_out_and_named_and_the_others_load() {
    let directory = directory_with(&[
        ("good.toml", GOOD.to_owned()),
        ("bad.toml", GOOD.replace("xihu-test", "bad-test").replace("330106\"", "999999\"")),
        ("same-id.toml", GOOD.replace("002099029000", "002099034000")),
        ("taken.toml", GOOD.replace("xihu-test", "later").replace("2026-03-01", "2026-03-02")),
        ("yimen.toml", GOOD.replace("xihu-test", "yimen").replace("002099029000", "002099005000")),
        ("syntax.toml", "[platform".to_owned()),
    ]);
    let loaded = load(directory.path(), &portal(), on("2026-06-01")).unwrap();
    assert_eq!((loaded.filings_ok, loaded.filings_rejected), (1, 5));
    let told: Vec<String> = loaded.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].contains("bad.toml:6:12: platform.division"), "{}", told[0]);
    assert!(
        told[1].contains("same-id.toml:2:6: platform.id") && told[1].contains("good.toml has it already"),
        "{}",
        told[1]
    );
    assert!(told[2].contains("syntax.toml:1:"), "{}", told[2]);
    assert!(
        told[3].contains("taken.toml:21:9: route[0].items") && told[3].contains("belongs to platform xihu-test"),
        "{}",
        told[3]
    );
    assert!(told[4].contains("yimen.toml:2:6: platform.id") && told[4].contains("the gateway itself"), "{}", told[4]);
    assert!(loaded.table.platform("xihu-test").is_some());
}

#[test]
fn a_missing_data_file_is_named_with_what_a_routes_directory_holds() {
    let directory = tempfile::tempdir().unwrap();
    let error = load(directory.path(), &portal(), on("2026-06-01")).unwrap_err().to_string();
    assert!(error.contains("streets.csv.gz cannot be read") && error.contains("name a routes directory"), "{error}");
}

#[test]
fn a_written_sample_register_loads_as_the_one_made_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let written = sample::write(5000, &routes(), directory.path()).unwrap();
    assert_eq!(written.routes, 5000);
    let loaded = load(directory.path(), &portal(), on("2026-06-01")).unwrap();
    assert_eq!(loaded.mistakes, []);
    assert_eq!((loaded.filings_ok, loaded.table.item_routes()), (written.filings, 5000));
    for made in sample::platforms(5000, &loaded.divisions, &loaded.items) {
        assert_eq!(**loaded.table.platform(made.id.as_str()).unwrap(), made);
        assert_eq!(made.state, PlatformState::Active);
    }
}

fn directory_with(filings: &[(&str, String)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["divisions.csv", "streets.csv.gz", "items.csv"] {
        fs::copy(routes().join(name), directory.path().join(name)).unwrap();
    }
    fs::create_dir(directory.path().join("platforms")).unwrap();
    for (name, text) in filings {
        fs::write(directory.path().join("platforms").join(name), text).unwrap();
    }
    directory
}

#[test]
fn a_filing_brings_its_clients_and_every_mistake_in_them_is_told() {
    let hash = "0f".repeat(32);
    let client = format!("[[client]]\nredirect_uris = [\"https://a.example/cb\"]\nsecret_sha256 = [\"{hash}\"]\n");
    let (filing, told) = read(&format!("{GOOD}{client}"));
    let filing = filing.unwrap();
    assert_eq!((&*filing.platform.clients[0].id, told.len()), ("xihu-test", 0), "{told:#?}");
    let bad = |change: &dyn Fn(&str) -> String, key: &str| {
        let (filing, told) = read(&format!("{GOOD}{}", change(&client)));
        let named =
            told.iter().any(|told| told.contains(&format!("client[0].{key}")) || told.contains(&format!("{key}:")));
        assert!(filing.is_none() && named, "{key}: {told:#?}");
    };
    let more = |line: &'static str| move |client: &str| format!("{client}{line}\n");
    bad(&more("client_id = \"xihu\""), "client_id");
    bad(&more("client_id = \"xihu-testing\""), "client_id");
    bad(&|client| client.replace("https:", "http:"), "redirect_uris");
    bad(&|client| client.replace("redirect_uris = [\"https://a.example/cb\"]", ""), "redirect_uris");
    bad(&|client| client.replace(&hash, "the secret itself"), "secret_sha256");
    bad(&|client| client.replace("secret_sha256", "secret"), "secret_sha256");
    bad(&more("token_endpoint_auth_method = \"none\""), "token_endpoint_auth_method");
    bad(&more("token_endpoint_auth_method = \"private_key_jwt\""), "jwks");
    bad(&more("scopes = [\"offline_access\"]"), "scopes");
    bad(&more("scopes = [\"email\"]"), "scopes");
    bad(&more("grant_types = [\"implicit\"]"), "grant_types");
    bad(&more("backchannel_logout_uri = \"ftp://a.example/\""), "backchannel_logout_uri");
    bad(&more("jwks = { keys = [{ kty = \"EC\", crv = \"P-256\", x = \"AA\", y = \"AA\", d = \"AA\" }] }"), "jwks");
    bad(&|client| format!("{client}{client}"), "client");
}
