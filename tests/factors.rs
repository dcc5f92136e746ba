//! Assurance and what raises it: factors, step-up, and what nobody can do with them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use uuid::Uuid;
use yimen::domain::Timestamp;
use yimen::store::{Durable, FactorKind, FactorRow, StoreError};

use crate::support::citizen::{Citizen, SESSION_COOKIE};
use crate::support::engine::{Engine, on_both};
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::redis::Redis;
use crate::support::totp::next_code;
use crate::support::until;
use crate::support::window::{Window, ZHANG};

const STRICT: &str = "/hangzhou/strict/";
/// Asks for L2, proven in the last minute.
const RECENT: &str = "/hangzhou/recent/";

#[tokio::test]
async fn a_page_that_asks_for_more_leads_to_step_up_and_back() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    citizen.get(STRICT).await.is_problem(401, "assurance-too-low");
    let page = format!("{STRICT}form?a=b");
    let step_up = "/sign-in?return_to=/hangzhou/strict/form%3Fa%3Db&assurance=L3";
    citizen.visit(&page).await.leads_to(303, step_up);
    let told = citizen.visit(step_up).await;
    assert!(told.body.contains("id=\"step-up\""), "{}", told.body);
    let before = citizen.cookie(SESSION_COOKIE).unwrap();
    let secret = citizen.sets_an_app().await;
    citizen.visit(step_up).await.leads_to(303, &step_up.replace("/sign-in?", "/sign-in/second?"));
    citizen.shows_code(&next_code(&secret), &page, "L3").await.leads_to(303, &page);
    assert_ne!(citizen.cookie(SESSION_COOKIE).unwrap(), before, "the id is the same after step-up");
    let claims = citizen.get(&page).await.came_from("hangzhou").json()["assertion"]["claims"].clone();
    assert_eq!((claims["acr"].as_str(), claims["amr"].as_array().map(Vec::len)), (Some("L3"), Some(3)), "{claims}");
    let thief = window.citizen();
    thief.set_cookie(SESSION_COOKIE, &before);
    thief.get(&page).await.is_problem(401, "sign-in-needed");
}

#[tokio::test]
async fn a_program_is_told_what_to_prove_and_how_recently() {
    let window = Window::with(|setup| {
        let hangzhou = setup.filings.iter_mut().find(|filing| filing.id == "hangzhou").unwrap();
        let rules = "access = \"required\"\nassurance = \"L3\"\nmax_age_minutes = 5";
        *hangzhou = hangzhou.clone().path("/hangzhou/both/", rules);
    })
    .await;
    let refused = window.signed_in().await.get("/hangzhou/both/").await;
    refused.is_problem(401, "assurance-too-low");
    let challenge = refused.header("www-authenticate");
    for part in ["error=\"insufficient_user_authentication\"", "acr_values=\"L3\"", "max_age=\"300\""] {
        assert!(challenge.contains(part), "{challenge}");
    }
    let way = refused.json()["sign_in"].as_str().unwrap().to_owned();
    assert!(way.ends_with("/sign-in?return_to=/hangzhou/both/&assurance=L3&max_age=300"), "{way}");
}

#[tokio::test]
async fn what_was_sent_without_a_session_is_not_lost_silently() {
    let window = Window::open().await;
    for citizen in [window.citizen(), window.signed_in().await] {
        let sent =
            citizen.request(Method::POST, STRICT).header("accept", "text/html").header("sec-fetch-mode", "navigate");
        let answer = citizen.send(sent.form(&[("identity", "110105194912310021")])).await;
        assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
        assert!(answer.header("cache-control").contains("no-store"));
        assert!(
            answer.body.contains("没有发送给办事平台") && answer.body.contains("target=\"_blank\""),
            "{}",
            answer.body
        );
        assert!(answer.body.contains("/sign-in?return_to=/&#38;assurance=L3"), "{}", answer.body);
        assert!(!answer.body.contains("110105194912310021"), "what was sent stands on the page");
    }
}

#[tokio::test]
async fn an_old_proof_is_not_refreshed_by_a_weaker_one() {
    let window = Window::with(|setup| {
        let hangzhou = setup.filings.iter_mut().find(|filing| filing.id == "hangzhou").unwrap();
        *hangzhou = hangzhou.clone().path(RECENT, "access = \"required\"\nassurance = \"L2\"\nmax_age_minutes = 1");
    })
    .await;
    let citizen = window.signed_in().await;
    citizen.get(RECENT).await.came_from("hangzhou");
    assert_eq!(citizen.get(STRICT).await.status, 401, "fresh, and not enough");
}

/// Two nodes share sessions; on one of them a person steps up.
#[tokio::test]
async fn the_id_before_a_step_up_is_dead_on_another_node() {
    let redis = Redis::start();
    let shared = tempfile::tempdir().unwrap();
    let node = |setup: &mut Setup| {
        setup.set("stores.sessions", redis.config().url);
        setup.set("session.key_file", shared.path().join("session.key").display().to_string());
    };
    let here = Window::with(node).await;
    let there = Window::with(node).await;
    let citizen = here.signed_in().await;
    let old = citizen.cookie(SESSION_COOKIE).unwrap();
    let copy = there.citizen();
    copy.set_cookie(SESSION_COOKIE, &old);
    copy.get("/s/330106/002099001000/").await.came_from("hangzhou");
    let secret = citizen.sets_an_app().await;
    citizen.shows_code(&next_code(&secret), "/account", "L3").await.leads_to(303, "/account");
    let gone = || async { (copy.get("/s/330106/002099001000/").await.status == 401).then_some(()) };
    until("the other node has heard of it", Duration::from_secs(2), gone).await;
    let new = there.citizen();
    new.set_cookie(SESSION_COOKIE, &citizen.cookie(SESSION_COOKIE).unwrap());
    new.get(STRICT).await.came_from("hangzhou");
}

/// One person, two apps that show the same: of twenty requests with one code one is let in, whatever keeps the sessions.
async fn twenty_with_one_code(window: Window) {
    let owner = window.signed_in().await;
    let secret = owner.sets_an_app().await;
    let citizen = window.citizen();
    citizen.try_sign_in(ZHANG.0, ZHANG.1, "/account").await.leads_to(303, "/sign-in/second?return_to=/account");
    let csrf = citizen.visit("/sign-in/second").await.field("csrf");
    let code = next_code(&secret);
    let try_it = || {
        let request = citizen.request(Method::POST, "/sign-in/second").header("accept", "text/html");
        citizen.send(request.form(&[("csrf", csrf.as_str()), ("by", "totp"), ("code", code.as_str())]))
    };
    let answers = futures_util::future::join_all((0..20).map(|_| try_it())).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 303 | 400 | 401 | 429)), "{statuses:?}");
}

#[tokio::test]
async fn a_code_shown_twenty_times_at_once_lets_one_in_with_sessions_in_sqlite() {
    twenty_with_one_code(Window::open().await).await;
}

#[tokio::test]
async fn a_code_shown_twenty_times_at_once_lets_one_in_with_sessions_in_redis() {
    let redis = Redis::start();
    twenty_with_one_code(Window::with(|setup| setup.set("stores.sessions", redis.config().url)).await).await;
}

#[tokio::test]
async fn too_many_tries_are_told_with_the_time_to_wait_on_every_node() {
    let redis = Redis::start();
    let shared = tempfile::tempdir().unwrap();
    let node = |setup: &mut Setup| {
        setup.set("stores.sessions", redis.config().url);
        setup.set("session.key_file", shared.path().join("session.key").display().to_string());
        setup.set("sign_in.account_tries", 5);
        setup.set("session.store_deadline_ms", 1000); // on a busy machine 100 ms pass, and then nobody may try
        setup.filings = Vec::new();
    };
    let nodes = [Gateway::with(node).await, Gateway::with(node).await];
    let mut statuses = Vec::new();
    for turn in 0..8 {
        let answer = Citizen::of(&nodes[turn % 2]).try_sign_in("anybody", "a wrong password", "/").await;
        if answer.status == 429 {
            assert!((1..=15).contains(&answer.header("retry-after").parse::<u64>().unwrap()));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
}

#[tokio::test]
async fn codes_go_out_through_a_signed_hook_once_and_without_a_second_try() {
    let hook = Hook::start();
    let secret = b"0123456789abcdef0123456789abcdef";
    let window = Window::with(|setup| {
        let file = setup.folder.path().join("hook.secret");
        std::fs::write(&file, secret).unwrap();
        setup.set("sign_in.code_hook", format!("http://{}/codes", hook.address));
        setup.set("sign_in.code_hook_secret_file", file.display().to_string());
    })
    .await;
    let citizen = window.signed_in().await;
    let csrf = citizen.visit("/account").await.field("csrf");
    let wish = [("csrf", csrf.as_str()), ("wish", "address"), ("address", "13800138000")];
    let page = citizen.submit("/account/factors", &wish).await;
    page.has_status(200);
    let (signature, body) = hook.received();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let tag = aws_lc_rs::hmac::sign(&key, &body);
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, format!("sha256={tag}"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((body["channel"].as_str(), body["address"].as_str()), (Some("sms"), Some("13800138000")));
    hook.refuses();
    let refused = citizen.submit("/account/factors", &wish).await;
    assert!(refused.status >= 400, "{}", refused.status);
    assert_eq!(hook.count(), 2, "a refused hook is not asked again");
    let log = window.gateway.process.errors();
    assert!(!log.contains("13800138000") && !log.contains(body["code"].as_str().unwrap()), "{log}");
}

/// Whoever sends short messages.
struct Hook {
    address: std::net::SocketAddr,
    state: Arc<Mutex<Told>>,
}

/// Whether it refuses, and what it was sent: signature and body.
type Told = (bool, Vec<(String, Vec<u8>)>);

impl Hook {
    fn start() -> Self {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let hook = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
        let state = hook.state.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (mut received, mut piece) = (Vec::new(), [0; 4096]);
                let (head, length) = loop {
                    let read = stream.read(&mut piece).unwrap();
                    received.extend_from_slice(&piece[..read]);
                    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let head = String::from_utf8_lossy(&received[..end]).to_ascii_lowercase();
                    let length: usize =
                        head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
                    if received.len() >= end + 4 + length {
                        break (head, length);
                    }
                };
                let signature = head.split("yimen-signature: ").nth(1).unwrap().lines().next().unwrap().to_owned();
                let body = received[received.len() - length..].to_vec();
                let mut state = state.lock().unwrap();
                state.1.push((signature, body));
                let status = if state.0 { "503 Service Unavailable" } else { "200 OK" };
                write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            }
        });
        hook
    }

    fn refuses(&self) {
        self.state.lock().unwrap().0 = true;
    }

    fn count(&self) -> usize {
        self.state.lock().unwrap().1.len()
    }

    fn received(&self) -> (String, Vec<u8>) {
        self.state.lock().unwrap().1.last().unwrap().clone()
    }
}

#[tokio::test]
async fn secrets_of_factors_are_nowhere_in_clear() {
    let window = Window::with(|setup| {
        let file = setup.folder.path().join("codes").display().to_string();
        setup.set("sign_in.code_file", file);
    })
    .await;
    let citizen = window.signed_in().await;
    let secret = citizen.sets_an_app().await;
    let csrf = citizen.visit("/account").await.field("csrf");
    let wish = [("csrf", csrf.as_str()), ("wish", "address"), ("address", "13800138000")];
    let page = citizen.submit("/account/factors", &wish).await;
    let sent = std::fs::read_to_string(window.gateway.folder.path().join("codes")).unwrap();
    let sent: serde_json::Value = serde_json::from_str(sent.lines().last().unwrap()).unwrap();
    let (aside, code) = (page.field("aside"), sent["code"].as_str().unwrap().to_owned());
    let wish = [("csrf", csrf.as_str()), ("wish", "set-address"), ("aside", &aside), ("code", &code)];
    citizen.submit("/account/factors", &wish).await.leads_to(303, "/account");
    let data = window.gateway.folder.path().join("data");
    let secret: String = secret.chars().filter(|letter| !letter.is_whitespace()).collect();
    for file in std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        for clear in [secret.as_str(), "13800138000", ZHANG.1] {
            let found = bytes.windows(clear.len()).any(|part| part == clear.as_bytes());
            assert!(!found, "{clear} lies in clear in {}", file.display());
        }
    }
    let log = window.gateway.process.errors() + &window.gateway.process.output();
    assert!(!log.contains(&secret) && !log.contains("13800138000"), "{log}");
}

#[tokio::test]
async fn a_recovery_code_from_a_window_is_good_once_for_one_account() {
    let window = Window::open().await;
    window.signed_in().await.sets_an_app().await;
    let mut command = crate::support::process::yimen();
    let done =
        command.args(["account", "recovery-code", ZHANG.0, "--config"]).arg(&window.gateway.config).output().unwrap();
    let code = String::from_utf8(done.stdout).unwrap().trim().to_owned();
    assert_eq!(code.len(), 19, "{}", String::from_utf8_lossy(&done.stderr));
    for (turn, status) in [(0, 303), (1, 401)] {
        let citizen = window.citizen();
        citizen.try_sign_in(ZHANG.0, ZHANG.1, "/").await;
        let csrf = citizen.visit("/sign-in/second").await.field("csrf");
        let answer = citizen.submit("/sign-in/second", &[("csrf", &csrf), ("by", "recovery"), ("code", &code)]).await;
        assert_eq!(answer.status, status, "turn {turn}");
        assert_eq!(citizen.cookie(SESSION_COOKIE), None);
    }
}

async fn open(engine: &Engine) -> Durable {
    Durable::of(&engine.config()).await.unwrap()
}

fn row(account: Uuid, handle: Option<&str>) -> FactorRow {
    let now = Timestamp::from_millis(1);
    FactorRow {
        id: Uuid::now_v7(),
        account,
        kind: FactorKind::Totp,
        label: "telephone".into(),
        content: "sealed".into(),
        handle: handle.map(str::to_owned),
        last_step: 7,
        created_at: now,
        used_at: now,
    }
}

on_both! {
    open:
    a_factor_is_what_was_put_and_its_handle_is_unique
    of_twenty_uses_of_a_step_one_counts
    of_twenty_uses_of_a_recovery_code_one_counts
}

async fn a_factor_is_what_was_put_and_its_handle_is_unique(durable: Durable) {
    let (wang, li) = (Uuid::now_v7(), Uuid::now_v7());
    let factor = row(wang, Some("credential"));
    durable.insert_factor(&factor).await.unwrap();
    assert_eq!(durable.factors(wang).await.unwrap(), std::slice::from_ref(&factor));
    assert!(durable.factors(li).await.unwrap().is_empty());
    let taken = durable.insert_factor(&row(li, Some("credential"))).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    assert!(!durable.remove_factor(li, factor.id).await.unwrap(), "somebody else's factor");
    assert!(durable.remove_factor(wang, factor.id).await.unwrap());
}

async fn of_twenty_uses_of_a_step_one_counts(durable: Durable) {
    let factor = row(Uuid::now_v7(), None);
    durable.insert_factor(&factor).await.unwrap();
    let now = Timestamp::from_millis(2);
    let uses = futures_util::future::join_all((0..20).map(|_| durable.use_factor(factor.id, 8, now))).await;
    assert_eq!(uses.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert!(!durable.use_factor(factor.id, 7, now).await.unwrap(), "an earlier step after a later one");
}

async fn of_twenty_uses_of_a_recovery_code_one_counts(durable: Durable) {
    let account = Uuid::now_v7();
    durable.set_recovery_codes(account, &["a".into(), "b".into()]).await.unwrap();
    let uses = futures_util::future::join_all((0..20).map(|_| durable.take_recovery_code(account, "a"))).await;
    assert_eq!(uses.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 1);
    assert_eq!(durable.recovery_codes(account).await.unwrap(), 1);
    durable.set_recovery_codes(account, &["c".into()]).await.unwrap();
    assert!(!durable.take_recovery_code(account, "b").await.unwrap(), "a code of the set before");
}

/// The flood of password checks that one thread can do nothing against; proxied requests must not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_password_checks_leaves_proxied_requests_alone() {
    let window = Window::with(|setup| {
        setup.filings = vec![Filing::of("hangzhou", "330100").path("/hangzhou/", "access = \"open\"")];
        setup.set("sign_in.network_tries_per_minute", 1_000_000);
        setup.set("sign_in.all_tries_per_second", 100_000);
    })
    .await;
    let visitor = window.citizen();
    let p99 = async |count: usize| {
        let mut took = Vec::with_capacity(count);
        for _ in 0..count {
            let answer = visitor.get("/hangzhou/").await;
            assert_eq!(answer.status, 200);
            took.push(answer.took);
        }
        took.sort();
        took[count * 99 / 100]
    };
    let calm = p99(300).await;
    let flood: Vec<_> = (0..8)
        .map(|number| {
            let (citizen, stop) = (window.citizen(), std::time::Instant::now() + Duration::from_secs(30));
            tokio::spawn(async move {
                let csrf = citizen.visit("/sign-in").await.field("csrf");
                while std::time::Instant::now() < stop {
                    let login = format!("nobody-{number}-{:?}", std::time::Instant::now())
                        .replace(|c: char| !c.is_ascii_alphanumeric(), "");
                    let fields = [("login", login.as_str()), ("password", "x"), ("csrf", csrf.as_str())];
                    citizen.submit("/sign-in", &fields).await;
                }
            })
        })
        .collect();
    window.gateway.metric_reaches("yimen_password_checks_total", "", 20.0).await;
    let flooded = p99(300).await;
    flood.iter().for_each(tokio::task::JoinHandle::abort);
    println!("p99 of proxied requests: {calm:?} calm, {flooded:?} under a flood of password checks");
    // A check of unoptimised code takes some 30 ms on one of two cores; a request behind each would show as hundreds.
    assert!(flooded < calm * 20 + Duration::from_millis(100), "{calm:?} → {flooded:?}");
}
