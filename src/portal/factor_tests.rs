//! What a person does with more than a password, and what nobody can do with it.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::desk::{Browser, Desk, Page};
use super::return_to::ReturnTo;
use crate::domain::Assurance;
use crate::identity::TotpSecret;
use crate::session::Session;

const SESSION: &str = "__Host-yimen";
const HALF: &str = "__Host-yimen-half";
const PASSWORD: &str = "correct horse";

fn later(desk: &mut Desk, seconds: u64) {
    desk.now = desk.now.plus(Duration::from_secs(seconds));
}

/// The secret on a page that shows one.
fn secret_on(page: &Page) -> TotpSecret {
    let text = page.text().split("<code id=\"secret\">").nth(1).unwrap_or_else(|| panic!("no secret: {}", page.text()));
    TotpSecret::parse(text.split('<').next().unwrap()).unwrap()
}

async fn wish(browser: &mut Browser, desk: &Desk, wish: &str, more: &[(&str, &str)]) -> Page {
    let csrf = browser.get(desk, "/account").await.field("csrf", 0);
    let fields = [&[("csrf", csrf.as_str()), ("wish", wish)][..], more].concat();
    browser.post(desk, "/account/factors", &fields).await
}

/// Sets an authenticator app, and gives its secret and the recovery codes.
async fn enrol(browser: &mut Browser, desk: &Desk) -> (TotpSecret, Vec<String>) {
    let page = wish(browser, desk, "totp", &[]).await;
    let secret = secret_on(&page);
    let aside = page.field("aside", 0);
    let done = wish(browser, desk, "set-totp", &[("aside", &aside), ("code", &secret.shown_at(desk.now))]).await;
    let codes =
        done.text().split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    (secret, codes)
}

/// A desk, and a person with an authenticator app who is signed out.
async fn with_app() -> (Desk, TotpSecret, Vec<String>) {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    let (secret, codes) = enrol(&mut browser, &desk).await;
    assert_eq!(codes.len(), 10);
    later(&mut desk, 60);
    (desk, secret, codes)
}

async fn show(browser: &mut Browser, desk: &Desk, by: &str, code: &str) -> Page {
    let page = browser.get(desk, "/sign-in/second?return_to=/account").await;
    let csrf = page.field("csrf", 0);
    let fields = [("csrf", csrf.as_str()), ("by", by), ("code", code), ("return_to", "/account")];
    browser.post(desk, "/sign-in/second", &fields).await
}

async fn session(browser: &Browser, desk: &Desk) -> Session {
    let sessions = &desk.sessions;
    let id = crate::session::SessionId::parse(&browser.cookies[SESSION]).unwrap();
    match sessions.look_up(&id, Assurance::L1, desk.now).await {
        crate::session::Lookup::Found(live) => live.session.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_password_alone_proves_l2_at_most_and_no_l3() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    assert_eq!(session(&browser, &desk).await.assurance, Assurance::L2);
    let page = browser.get(&desk, "/sign-in?return_to=/account&assurance=L3").await;
    assert!(page.text().contains("id=\"step-up\"") && !page.text().contains("type=\"password\""), "{}", page.text());
}

#[tokio::test]
async fn who_has_an_app_is_asked_for_its_code_and_each_code_is_good_once() {
    let (mut desk, secret, _) = with_app().await;
    let mut browser = Browser::default();
    let page = browser.sign_in(&desk, PASSWORD, "/account").await;
    assert_eq!(page.location(), "/sign-in/second?return_to=/account");
    let code = secret.shown_at(desk.now);
    assert_eq!(show(&mut browser, &desk, "totp", "000000").await.status(), 401);
    let page = show(&mut browser, &desk, "totp", &code).await;
    assert_eq!((page.status(), page.location()), (303, "/account"));
    assert_eq!(session(&browser, &desk).await.methods, ["pwd", "otp", "mfa"]);
    assert!(!browser.cookies.contains_key(HALF), "the half-done sign-in is over");
    let mut other = Browser::default();
    other.sign_in(&desk, PASSWORD, "/account").await;
    assert_eq!(show(&mut other, &desk, "totp", &code).await.status(), 401, "the code was used");
    later(&mut desk, 30);
    assert_eq!(show(&mut other, &desk, "totp", &secret.shown_at(desk.now)).await.status(), 303);
}

#[tokio::test]
async fn of_twenty_who_show_one_code_one_is_let_in() {
    let (desk, secret, _) = with_app().await;
    let code = secret.shown_at(desk.now);
    let (mut browsers, mut forms) = (Vec::new(), Vec::new());
    let known = Browser::default();
    for _ in 0..20 {
        let mut browser = Browser { cookies: known.cookies.clone(), ..Browser::default() };
        browser.sign_in(&desk, PASSWORD, "/").await;
        forms.push(browser.get(&desk, "/sign-in/second").await.field("csrf", 0));
        browsers.push(browser);
    }
    let tries = browsers.iter_mut().zip(&forms).map(|(browser, csrf)| {
        let fields = [("csrf", csrf.clone()), ("by", "totp".to_owned()), ("code", code.clone())];
        let desk = &desk;
        async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.post(desk, "/sign-in/second", &fields).await.status()
        }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_half_done_sign_in_is_no_session() {
    let (desk, secret, _) = with_app().await;
    let mut browser = Browser::default();
    browser.sign_in(&desk, PASSWORD, "/account").await;
    assert!(!browser.cookies.contains_key(SESSION));
    let half = browser.cookies[HALF].clone();
    let mut thief = Browser::default();
    thief.cookies.insert(SESSION.to_owned(), half.clone());
    assert_ne!(thief.get(&desk, "/account").await.status(), 200, "the half-done sign-in opened the account");
    thief.cookies.remove(SESSION);
    thief.cookies.insert(HALF.to_owned(), half);
    assert_ne!(thief.get(&desk, "/account").await.status(), 200);
    assert_ne!(thief.get(&desk, "/sign-in/recovery").await.status(), 200, "nor is it a recovery");
    show(&mut browser, &desk, "totp", &secret.shown_at(desk.now)).await;
    assert_eq!(thief.get(&desk, "/sign-in/second").await.location(), "/sign-in?return_to=/", "taken once");
}

#[tokio::test]
async fn a_half_done_sign_in_ends_after_ten_minutes() {
    let (mut desk, secret, _) = with_app().await;
    let mut browser = Browser::default();
    browser.sign_in(&desk, PASSWORD, "/account").await;
    let csrf = browser.get(&desk, "/sign-in/second").await.field("csrf", 0);
    later(&mut desk, 601);
    let code = secret.shown_at(desk.now);
    let page = browser.post(&desk, "/sign-in/second", &[("csrf", &csrf), ("by", "totp"), ("code", &code)]).await;
    assert_eq!(page.status(), 400);
    assert!(!browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn guessing_codes_is_slowed_and_begins_no_further_tries_by_beginning_anew() {
    let (mut desk, secret, _) = with_app().await;
    let mut tried = 0;
    let refused = loop {
        let mut browser = Browser::default(); // a new flow each time
        browser.sign_in(&desk, PASSWORD, "/account").await;
        let page = show(&mut browser, &desk, "totp", "123456").await;
        if page.status() == 429 {
            break page;
        }
        tried += 1;
        assert!(tried <= 5, "{tried} guesses");
    };
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&wait) && refused.text().contains("没有被锁定"), "{wait}");
    let mut browser = Browser::default();
    browser.sign_in(&desk, PASSWORD, "/account").await;
    let right = secret.shown_at(desk.now);
    assert_eq!(show(&mut browser, &desk, "totp", &right).await.status(), 429, "not even checked");
    later(&mut desk, 30);
    let right = secret.shown_at(desk.now);
    assert_eq!(show(&mut browser, &desk, "totp", &right).await.status(), 303, "and nobody is locked out");
}

#[tokio::test]
async fn strangers_who_guess_do_not_keep_the_owner_out() {
    let (mut desk, mut owner) = (Desk::open().await, Browser::default());
    owner.sign_in(&desk, PASSWORD, "/").await;
    owner.cookies.remove(SESSION); // signed out; the device stays known
    let mut waits = Vec::new();
    for _ in 0..200 {
        let mut stranger = Browser::default();
        let page = stranger.sign_in(&desk, "wrong horse", "/").await;
        if page.status() == 429 {
            let wait: u64 = page.header("retry-after").parse().unwrap();
            waits.push(wait);
            later(&mut desk, wait);
        }
    }
    assert!(waits.is_sorted() && waits.last() > waits.first(), "the wait grows: {waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 900), "{waits:?}");
    let mut stranger = Browser::default();
    while stranger.sign_in(&desk, "wrong horse", "/").await.status() != 429 {}
    assert_eq!(owner.sign_in(&desk, PASSWORD, "/").await.status(), 303);
    stranger.cookies.insert("__Host-yimen-known".to_owned(), owner.cookies["__Host-yimen-known"].replace('.', ".x"));
    assert_eq!(stranger.sign_in(&desk, PASSWORD, "/").await.status(), 429, "a made-up device");
}

#[tokio::test]
async fn an_unknown_account_is_slowed_like_a_known_one() {
    let desk = Desk::open().await;
    let mut answers = Vec::new();
    for login in ["wang", "nobody"] {
        let mut statuses = Vec::new();
        for _ in 0..25 {
            let mut browser = Browser::default();
            let csrf = browser.get(&desk, "/sign-in").await.field("csrf", 0);
            let fields = [("login", login), ("password", "wrong horse"), ("csrf", csrf.as_str())];
            statuses.push(browser.post(&desk, "/sign-in", &fields).await.status());
        }
        answers.push(statuses);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].contains(&429));
}

#[tokio::test]
async fn a_recovery_code_sets_a_factor_and_nothing_else_and_is_good_once() {
    let (mut desk, old, codes) = with_app().await;
    let mut elsewhere = Browser::default();
    elsewhere.sign_in(&desk, PASSWORD, "/").await;
    assert_eq!(show(&mut elsewhere, &desk, "totp", &old.shown_at(desk.now)).await.status(), 303);
    let mut browser = Browser::default();
    browser.sign_in(&desk, PASSWORD, "/").await;
    let page = show(&mut browser, &desk, "recovery", &codes[3].to_lowercase()).await;
    assert_eq!((page.status(), page.location()), (303, "/sign-in/recovery?return_to=/"));
    assert!(!browser.cookies.contains_key(SESSION), "recovery is no sign-in");
    assert_ne!(browser.get(&desk, "/account").await.status(), 200);
    let page = browser.get(&desk, "/sign-in/recovery").await;
    let (secret, csrf) = (secret_on(&page), page.field("csrf", 0));
    let code = secret.shown_at(desk.now);
    let page = browser.post(&desk, "/sign-in/recovery", &[("csrf", &csrf), ("code", &code)]).await;
    assert!(page.text().contains("id=\"recovered\""), "{}", page.text());
    assert_ne!(elsewhere.get(&desk, "/account").await.status(), 200, "all sessions have ended");
    later(&mut desk, 60);
    browser.sign_in(&desk, PASSWORD, "/").await;
    assert_eq!(show(&mut browser, &desk, "totp", &old.shown_at(desk.now)).await.status(), 401, "the old app is out");
    assert_eq!(show(&mut browser, &desk, "recovery", &codes[3]).await.status(), 401, "the code is used");
    assert_eq!(show(&mut browser, &desk, "totp", &secret.shown_at(desk.now)).await.status(), 303);
}

#[tokio::test]
async fn proving_more_changes_the_session_id_and_keeps_the_person() {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    let (secret, _) = enrol(&mut browser, &desk).await;
    let before = session(&browser, &desk).await;
    let mut thief = Browser { cookies: browser.cookies.clone(), ..Browser::default() };
    later(&mut desk, 60);
    let page = browser.get(&desk, "/sign-in?return_to=/account&assurance=L2&max_age=30").await;
    let csrf = page.field("csrf", 0);
    let fields = [("csrf", csrf.as_str()), ("step_up", "yes"), ("password", PASSWORD), ("return_to", "/account")];
    let page = browser.post(&desk, "/sign-in", &[&fields[..], &[("max_age", "30")]].concat()).await;
    assert_eq!(page.location(), "/sign-in/second?return_to=/account&max_age=30");
    assert_eq!(browser.cookies[SESSION], thief.cookies[SESSION], "not before all is shown");
    let page = show(&mut browser, &desk, "totp", &secret.shown_at(desk.now)).await;
    assert_eq!((page.status(), page.location()), (303, "/account"));
    assert_ne!(browser.cookies[SESSION], thief.cookies[SESSION]);
    assert_ne!(thief.get(&desk, "/account").await.status(), 200, "the old id is dead");
    let after = session(&browser, &desk).await;
    assert_eq!((after.subject, after.created_at, after.ends_at), (before.subject, before.created_at, before.ends_at));
    assert_eq!(after.methods, ["pwd", "otp", "mfa"]);
    let other = browser.get(&desk, "/sign-in?return_to=/account&assurance=L4").await;
    assert!(other.text().contains("政务服务大厅"), "what nothing reaches is said: {}", other.text());
}

#[tokio::test]
async fn nobody_steps_up_as_somebody_else() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    desk.add("li", "battery staple").await;
    let page = browser.get(&desk, "/sign-in?return_to=/account&max_age=0").await;
    let csrf = page.field("csrf", 0);
    let before = browser.cookies[SESSION].clone();
    let fields = [("csrf", csrf.as_str()), ("step_up", "yes"), ("login", "li"), ("password", "battery staple")];
    let page = browser.post(&desk, "/sign-in", &[&fields[..], &[("max_age", "0")]].concat()).await;
    assert_eq!(page.status(), 401, "another person's password is a wrong one");
    assert_eq!(browser.cookies[SESSION], before);
    let fields = [("csrf", csrf.as_str()), ("login", "li"), ("password", "battery staple"), ("other", "yes")];
    assert_eq!(browser.post(&desk, "/sign-in", &fields).await.status(), 303);
    assert_ne!(browser.cookies[SESSION], before, "a session of their own");
    let li = session(&browser, &desk).await;
    assert_eq!((li.name.as_str(), li.proofs.len()), ("li", 1), "nothing of the other person's is left in it");
}

#[tokio::test]
async fn an_id_that_was_put_in_the_browser_before_signs_nobody_in() {
    let desk = Desk::open().await;
    let mut attacker = Browser::default();
    attacker.sign_in(&desk, PASSWORD, "/").await;
    let planted = attacker.cookies[SESSION].clone();
    for value in [planted.clone(), "A".repeat(43)] {
        let mut victim = Browser::default();
        victim.cookies.insert(SESSION.to_owned(), value.clone());
        victim.sign_in(&desk, PASSWORD, "/").await;
        assert_ne!(victim.cookies[SESSION], value);
    }
    assert_ne!(attacker.get(&desk, "/account").await.status(), 200, "the planted session has ended");
}

#[tokio::test]
async fn a_second_step_of_another_site_is_refused() {
    let (desk, secret, _) = with_app().await;
    let mut browser = Browser::default();
    browser.sign_in(&desk, PASSWORD, "/").await;
    let csrf = browser.get(&desk, "/sign-in/second").await.field("csrf", 0);
    let code = secret.shown_at(desk.now);
    let fields = [("csrf", csrf.as_str()), ("by", "totp"), ("code", code.as_str())];
    browser.headers = vec![("origin", "https://evil.example")];
    assert_eq!(browser.post(&desk, "/sign-in/second", &fields).await.header("yimen-error"), "forged-form");
    browser.headers = Vec::new();
    let made_up = [("csrf", "made-up"), ("by", "totp"), ("code", code.as_str())];
    assert_eq!(browser.post(&desk, "/sign-in/second", &made_up).await.status(), 400);
    assert_eq!(browser.post(&desk, "/sign-in/second", &fields).await.status(), 303);
}

#[tokio::test]
async fn a_code_by_short_message_is_a_second_step() {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    let page = wish(&mut browser, &desk, "address", &[("address", "138 0013 8000")]).await;
    let aside = page.field("aside", 0);
    let wrong = wish(&mut browser, &desk, "set-address", &[("aside", &aside), ("code", "000000")]).await;
    assert_eq!(wrong.status(), 401);
    let code = desk.last_code("13800138000");
    wish(&mut browser, &desk, "set-address", &[("aside", &aside), ("code", &code)]).await;
    let account = browser.get(&desk, "/account").await;
    assert!(account.text().contains("138****8000") && !account.text().contains("13800138000"));
    later(&mut desk, 60);
    browser.sign_in(&desk, PASSWORD, "/account").await;
    let page = browser.get(&desk, "/sign-in/second").await;
    let (csrf, factor) = (page.field("csrf", 0), page.field("factor", 0));
    let page = browser.post(&desk, "/sign-in/second", &[("csrf", &csrf), ("by", "send"), ("factor", &factor)]).await;
    let (sent, code) = (page.field("sent", 0), desk.last_code("13800138000"));
    let fields = [("csrf", csrf.as_str()), ("by", "sent"), ("sent", sent.as_str()), ("code", code.as_str())];
    assert_eq!(browser.post(&desk, "/sign-in/second", &fields).await.status(), 303);
    assert_eq!(session(&browser, &desk).await.methods, ["pwd", "sms", "mfa"]);
}

#[tokio::test]
async fn factors_are_changed_by_who_has_just_proven_who_they_are() {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    enrol(&mut browser, &desk).await;
    later(&mut desk, 601);
    let factor = browser.get(&desk, "/account").await.field("factor", 0);
    let page = wish(&mut browser, &desk, "remove", &[("factor", &factor)]).await;
    assert_eq!(page.location(), "/sign-in?return_to=/account&max_age=600");
    assert_eq!(browser.get(&desk, "/account").await.fields("factor"), 1);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_changes_this_ones_id() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    let mut elsewhere = Browser::default();
    elsewhere.sign_in(&desk, PASSWORD, "/").await;
    let before = browser.cookies[SESSION].clone();
    let short = wish(&mut browser, &desk, "password", &[("password", "short")]).await;
    assert_eq!(short.header("yimen-error"), "bad-password");
    let page = wish(&mut browser, &desk, "password", &[("password", "battery staple")]).await;
    assert_eq!((page.status(), page.location()), (303, "/account"));
    assert_ne!(browser.cookies[SESSION], before);
    assert_eq!(browser.get(&desk, "/account").await.status(), 200);
    assert_ne!(elsewhere.get(&desk, "/account").await.status(), 200);
    assert_eq!(Browser::default().sign_in(&desk, PASSWORD, "/").await.status(), 401);
    assert_eq!(Browser::default().sign_in(&desk, "battery staple", "/").await.status(), 303);
}

#[tokio::test]
async fn who_steps_up_does_not_go_on_with_what_somebody_else_began() {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    let (secret, _) = enrol(&mut browser, &desk).await;
    desk.add("li", "battery staple").await;
    let mut li = Browser::default();
    let csrf = li.get(&desk, "/sign-in").await.field("csrf", 0);
    li.post(&desk, "/sign-in", &[("login", "li"), ("password", "battery staple"), ("csrf", &csrf)]).await;
    enrol(&mut li, &desk).await;
    let csrf = browser.get(&desk, "/sign-in?other=yes").await.field("csrf", 0);
    let fields = [("login", "li"), ("password", "battery staple"), ("csrf", csrf.as_str()), ("other", "yes")];
    browser.post(&desk, "/sign-in", &fields).await;
    assert!(browser.cookies.contains_key(HALF), "li is half signed in");
    later(&mut desk, 60);
    let page = browser.get(&desk, "/sign-in/second?return_to=/account&assurance=L2").await;
    let (csrf, code) = (page.field("csrf", 0), secret.shown_at(desk.now));
    let fields = [("csrf", csrf.as_str()), ("by", "totp"), ("code", code.as_str()), ("assurance", "L2")];
    assert_eq!(browser.post(&desk, "/sign-in/second", &fields).await.status(), 303);
    assert_ne!(session(&browser, &desk).await.name, "li");
}

#[tokio::test]
async fn a_removed_factor_is_asked_for_no_more() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, PASSWORD, "/").await;
    enrol(&mut browser, &desk).await;
    let factor = browser.get(&desk, "/account").await.field("factor", 0);
    wish(&mut browser, &desk, "remove", &[("factor", &factor)]).await;
    assert_eq!(browser.get(&desk, "/account").await.fields("factor"), 0);
    assert_eq!(Browser::default().sign_in(&desk, PASSWORD, "/account").await.location(), "/account");
}

#[test]
fn the_known_tricks_lead_home() {
    for trick in [
        "//evil.example",
        "///evil.example",
        "////evil.example/",
        "https://evil.example",
        "https:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\u{0}//evil.example",
        " //evil.example",
        "/%5c/../..//evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/x/..//evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "@evil.example",
        "evil.example",
        "?//evil.example",
        "#//evil.example",
        "/\u{ff0f}evil.example",
        "/\u{200b}/evil.example",
        "",
        "/a//b",
    ] {
        let kept = ReturnTo::parse(trick);
        let base = reqwest::Url::parse("https://one.example/sign-in").unwrap();
        assert_eq!(base.join(kept.as_str()).unwrap().origin(), base.origin(), "{trick}");
        assert_eq!(kept.as_str(), "/", "{trick}");
    }
}

proptest! {
    /// Whatever is asked for, each page of the sign-in leads on within this origin, and to the page asked for in the end.
    #[test]
    fn no_page_of_the_flow_leads_away(
        to in r"[/\\.?#@:%a-z0-9\t\n &=]{0,16}", assurance in "L[0-5]|[a-z]{0,3}", max_age in "[0-9]{0,12}|-1|x",
    ) {
        use super::sign_in::{Wanted, WantedFields};
        let wanted = Wanted::from(WantedFields { return_to: to.clone(), assurance, max_age, other: String::new() });
        let base = reqwest::Url::parse("https://one.example/sign-in").unwrap();
        let next = base.join(wanted.at("/sign-in/second").as_str()).unwrap();
        prop_assert_eq!(next.origin(), base.origin());
        prop_assert_eq!(next.path(), "/sign-in/second");
        let names: BTreeSet<String> = next.query_pairs().map(|(name, _)| name.into_owned()).collect();
        prop_assert!(names.is_subset(&["return_to", "assurance", "max_age"].map(str::to_owned).into()), "{:?}", names);
        let back = next.query_pairs().find(|(name, _)| name == "return_to").unwrap().1.into_owned();
        prop_assert_eq!(ReturnTo::parse(&to).to_string(), back);
    }
}
