//! Nothing that names a person or opens a session lies anywhere in clear: after a day's work at the gateway its stores, logs and
//! metrics are searched for every identity number, phone, password and session id that was used.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::citizen::{Citizen, SESSION_COOKIE};
use crate::support::clerk::{Clerk, on_machine};
use crate::support::filing::Filing;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;
use crate::support::window::{Window, ZHANG};

const COMPANY: &str = "914403001922038216";
const ID_NUMBER: &str = "440305188506150039";
const PHONE: &str = "13987654321";
const WRONG_PASSWORD: &str = "five-lame-horses-5";
const NEW_PASSWORD: &str = "six-new-horses-6";

/// Everything that was used and must be found nowhere, with a name for the failure.
#[derive(Default)]
struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    fn add(&mut self, what: &str, text: &str) {
        self.0.push((what.to_owned(), text.as_bytes().to_vec()));
    }

    /// A session id, as the cookie has it and as the bytes that it stands for.
    fn add_session(&mut self, citizen: &Citizen) {
        let id = citizen.cookie(SESSION_COOKIE).unwrap();
        self.add("a session id", &id);
        self.0.push(("a session id's bytes".to_owned(), URL_SAFE_NO_PAD.decode(&id).unwrap()));
    }

    /// What of it lies in these bytes.
    fn found_in<'a>(&'a self, place: &str, hay: &[u8]) -> Vec<(String, &'a str)> {
        let there = |needle: &[u8]| hay.windows(needle.len()).any(|part| part == needle);
        self.0.iter().filter(|(_, needle)| there(needle)).map(|(what, _)| (place.to_owned(), what.as_str())).collect()
    }
}

/// All bytes of the files of a folder whose names begin so: a database with its journal.
fn files(folder: &Path, beginning: &str) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(beginning));
    let all: Vec<u8> = wanted.flat_map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!all.is_empty(), "no {beginning} in {}", folder.display());
    all
}

fn told(window: &Window, words: &[&str]) -> String {
    let done = on_machine(&window.gateway, words);
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

fn filings() -> Vec<Filing> {
    vec![
        Filing::of("tax", "100000")
            .with("attributes = [\"name\", \"id_number\", \"phone\"]")
            .path("/tax/", "access = \"required\""),
        Filing::of("clinic", "330100")
            .owned_by(COMPANY)
            .with("attributes = [\"name\", \"id_number\", \"phone\"]")
            .path("/clinic/", "access = \"required\""),
    ]
}

async fn form(citizen: &Citizen, page: &str, path: &str, fields: &[(&str, &str)]) {
    let csrf = citizen.visit(page).await.has_status(200).field("csrf");
    let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    let answer = citizen.submit(path, &fields).await;
    assert!(matches!(answer.status, 200 | 303), "{path}: {} {}", answer.status, answer.body);
}

/// A day at the gateway: everything that touches what must not be seen. What the commands said is searched too.
async fn day(window: &Window, needles: &mut Needles) -> String {
    let file = |name: &str, text: &str| {
        let path = window.gateway.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    for (what, text) in [
        ("an identity number", ID_NUMBER),
        ("a phone", PHONE),
        ("a password", ZHANG.1),
        ("a wrong password", WRONG_PASSWORD),
        ("a new password", NEW_PASSWORD),
    ] {
        needles.add(what, text);
    }
    let (number, phone) = (file("number", ID_NUMBER), file("phone", PHONE));
    let mut said = told(window, &["account", "personal", ZHANG.0, "--id-number-file", &number, "--phone-file", &phone]);
    let wrong = on_machine(&window.gateway, &["account", "personal", ZHANG.0, "--phone-file", &number]);
    said += &String::from_utf8_lossy(&wrong.stderr); // a number that is no phone is not quoted
    let grant = ["account", "role", "grant", ZHANG.0, "--usc", COMPANY, "--name", "示例公司", "--until", "2099-12-31"];
    let role = told(window, &grant).split(' ').nth(1).unwrap().to_owned();

    window.citizen().try_sign_in(ZHANG.0, WRONG_PASSWORD, "/").await.has_status(401);
    let (citizen, other) = (window.signed_in().await, window.signed_in().await);
    needles.add_session(&citizen);
    needles.add_session(&other);
    let answer = citizen.get("/tax/").await;
    assert_eq!(answer.json()["assertion"]["claims"]["id_number"], ID_NUMBER, "the platform has what it was granted");
    citizen.get("/clinic/").await.is_problem(403, "consent-needed");
    let attributes = citizen.visit("/consent?platform=clinic").await.field("attributes");
    form(&citizen, "/consent?platform=clinic", "/consent", &[("platform", "clinic"), ("attributes", &attributes)])
        .await;
    assert_eq!(citizen.get("/clinic/").await.json()["assertion"]["claims"]["phone"], PHONE);
    form(&citizen, "/account/subject", "/account/subject", &[("subject", &role)]).await;
    needles.add_session(&citizen);
    citizen.get("/tax/").await.came_from("tax");
    form(&citizen, "/account/privacy", "/account/export", &[]).await;
    citizen.get(&format!("/tax/?id={ID_NUMBER}&phone={PHONE}")).await.came_from("tax");
    form(&citizen, "/account/erase", "/account/erase", &[("password", ZHANG.1)]).await;

    window.gateway.add_account("li", NEW_PASSWORD, "L2");
    said += &told(window, &["account", "personal", "li", "--id-number-file", &number, "--phone-file", &phone]);
    let li = window.citizen();
    li.sign_in("li", NEW_PASSWORD).await;
    needles.add_session(&li);
    let clerk = Clerk::operator(&window.gateway, "100000");
    let whose = serde_json::json!({ "login": "li" });
    said += &clerk.call("POST /v1/sessions/list", &[], Some(whose.clone())).await.has_status(200).body.to_string();
    clerk.call("POST /v1/sessions/end", &[], Some(whose)).await.has_status(200);
    li.get("/tax/").await.is_problem(401, "sign-in-needed");
    said += &told(window, &["key", "rotate-vault"]);
    said += &told(window, &["key", "reseal-vault"]);
    li.sign_in("li", NEW_PASSWORD).await;
    needles.add_session(&li);
    said
}

/// Logs and metrics of the gateway, and what its commands said.
async fn spoken(window: &Window, said: &str) -> Vec<(&'static str, Vec<u8>)> {
    let process = &window.gateway.process;
    vec![
        ("log", process.errors().into_bytes()),
        ("access log", process.output().into_bytes()),
        ("metrics", window.gateway.metrics_page().await.into_bytes()),
        ("commands", said.as_bytes().to_vec()),
    ]
}

fn all_found<'a>(needles: &'a Needles, places: &[(&str, Vec<u8>)]) -> Vec<(String, &'a str)> {
    assert!(places.iter().all(|(place, hay)| *place == "log" || !hay.is_empty()), "a place is empty");
    places.iter().flat_map(|(place, hay)| needles.found_in(place, hay)).collect()
}

#[tokio::test]
async fn nothing_that_must_not_be_seen_lies_in_redis_postgresql_logs_or_metrics() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let window = Window::with(|setup| {
        setup.set("stores.register", postgres.url());
        setup.set("stores.sessions", redis.config().url);
        setup.set("log.access", "all");
        setup.filings = filings();
    })
    .await;
    let mut needles = Needles::default();
    let said = day(&window, &mut needles).await;
    let look = async || {
        let mut places = spoken(&window, &said).await;
        places.extend([("redis", redis.image()), ("postgresql", postgres.dump())]);
        places
    };
    let places = look().await;
    assert_eq!(all_found(&needles, &places), [], "searched for {} things", needles.0.len());

    // The search finds what is there: a number in each store, and in what is said.
    redis.ask(&["SET", "planted", ID_NUMBER]);
    postgres.ask(&format!("UPDATE account SET name = '{PHONE}'"));
    let mut places = look().await;
    places.iter_mut().filter(|(place, _)| *place == "log").for_each(|(_, hay)| hay.extend(NEW_PASSWORD.as_bytes()));
    let mut found = all_found(&needles, &places);
    found.sort();
    let expected = [("log", "a new password"), ("postgresql", "a phone"), ("redis", "an identity number")];
    assert_eq!(found, expected.map(|(place, what)| (place.to_owned(), what)));
}

#[tokio::test]
async fn nothing_that_must_not_be_seen_lies_in_the_embedded_stores() {
    let window = Window::with(|setup| setup.filings = filings()).await;
    let mut needles = Needles::default();
    let said = day(&window, &mut needles).await;
    let data = window.gateway.folder.path().join("data");
    let look = async || {
        let mut places = spoken(&window, &said).await;
        places.extend([("sessions", files(&data, "sessions.db")), ("register", files(&data, "register.db"))]);
        places
    };
    let places = look().await;
    assert_eq!(all_found(&needles, &places), [], "searched for {} things", needles.0.len());

    window.gateway.add_account(PHONE, "seven-brown-horses-7", "L1"); // a login may be anything, and lies in clear
    let found =
        all_found(&needles, &look().await).iter().map(|(place, what)| format!("{place}: {what}")).collect::<Vec<_>>();
    assert_eq!(found, ["register: a phone"]);
}
