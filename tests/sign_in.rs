//! Signing in, being signed in, signing out.

use std::collections::BTreeSet;

use crate::support::citizen::SESSION_COOKIE;
use crate::support::window::{NOTARY, Window, ZHANG};

#[tokio::test]
async fn a_person_signs_in_and_comes_back_to_the_page_asked_for() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let asked = format!("/s/330106/{NOTARY}/apply?step=2&name=%E5%BC%A0");
    citizen.visit(&asked).await.has_status(303);
    let back = citizen.try_sign_in(ZHANG.0, ZHANG.1, &asked).await;
    back.leads_to(303, &asked);
    let answer = citizen.get(&asked).await;
    answer.came_from("hangzhou");
    let claims = answer.json()["assertion"]["claims"].clone();
    assert_eq!((claims["acr"].as_str(), claims["aud"].as_str()), (Some("L2"), Some("hangzhou")));
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!(life <= 60, "an assertion lives {life} s");
    assert!(!answer.body.contains(ZHANG.0), "the login reached the platform");
}

#[tokio::test]
async fn the_session_cookie_can_only_be_ours() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let answer = citizen.try_sign_in(ZHANG.0, ZHANG.1, "/").await;
    let mut cookies = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let line = cookies.find(|line| line.starts_with(&format!("{SESSION_COOKIE}="))).unwrap();
    let attributes: BTreeSet<String> = line.split(';').skip(1).map(|part| part.trim().to_ascii_lowercase()).collect();
    for needed in ["secure", "httponly", "samesite=lax", "path=/"] {
        assert!(attributes.contains(needed), "{needed} is missing in {attributes:?}");
    }
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("domain")), "{attributes:?}");
    assert_eq!(citizen.cookie(SESSION_COOKIE).unwrap().len(), 43, "256 bits in base64url");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_alike() {
    let window = Window::open().await;
    let mut pages = Vec::new();
    for login in [ZHANG.0, "nobody-of-that-name"] {
        let citizen = window.citizen();
        let answer = citizen.try_sign_in(login, "a wrong password", "/account").await;
        answer.has_status(401);
        assert_eq!(citizen.cookie(SESSION_COOKIE), None);
        assert!(!answer.body.contains("a wrong password"), "the password came back");
        assert_eq!(answer.field("login"), login, "the login is kept in its field");
        assert_eq!(answer.field("return_to"), "/account");
        let csrf = answer.field("csrf");
        pages.push(without_request_id(&answer.body).replace(&csrf, "CSRF").replace(login, "LOGIN"));
    }
    assert_eq!(pages[0], pages[1]);
}

/// The page without what must differ from one request to the next.
fn without_request_id(page: &str) -> String {
    let looks_like_id = |word: &&str| word.len() == 36 && word.matches('-').count() == 4;
    let words = page.split(|c: char| !(c.is_ascii_hexdigit() || c == '-')).filter(looks_like_id);
    words.fold(page.to_owned(), |page, id| page.replace(id, "ID"))
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_in() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let page = citizen.visit("/sign-in?return_to=/").await;
    let fields =
        |csrf: &str| format!("login={}&password={}&csrf={csrf}&return_to=/", ZHANG.0, ZHANG.1.replace(' ', "+"));
    let post = |origin: &str, csrf: &str| {
        let request =
            citizen.request(reqwest::Method::POST, "/sign-in").header("origin", origin).header("accept", "text/html");
        request.header("content-type", "application/x-www-form-urlencoded").body(fields(csrf))
    };
    for (origin, csrf) in [
        (window.gateway.origin.as_str(), "forged"),
        (window.gateway.origin.as_str(), ""),
        ("https://evil.example", page.field("csrf").as_str()),
        ("null", page.field("csrf").as_str()),
    ] {
        let answer = citizen.send(post(origin, csrf)).await;
        assert!((400..500).contains(&answer.status), "{origin} {csrf}: {}", answer.status);
        assert_eq!(citizen.cookie(SESSION_COOKIE), None, "{origin} {csrf}");
    }
    citizen.sign_in(ZHANG.0, ZHANG.1).await;
}

#[tokio::test]
async fn nobody_is_led_away_after_signing_in() {
    let window = Window::open().await;
    for evil in
        ["//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "evil"]
    {
        window.citizen().try_sign_in(ZHANG.0, ZHANG.1, evil).await.leads_to(303, "/");
    }
}

#[tokio::test]
async fn signing_in_again_changes_the_session_id_and_ends_the_old_one() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    let old = citizen.cookie(SESSION_COOKIE).unwrap();
    citizen.sign_in(ZHANG.0, ZHANG.1).await;
    assert_ne!(citizen.cookie(SESSION_COOKIE).unwrap(), old);
    let thief = window.citizen();
    thief.set_cookie(SESSION_COOKIE, &old);
    thief.get(&format!("/s/330106/{NOTARY}/")).await.is_problem(401, "sign-in-needed");
}

#[tokio::test]
async fn an_invented_session_id_is_nobody() {
    let window = Window::open().await;
    let path = format!("/s/330106/{NOTARY}/");
    let guessed = window.citizen();
    guessed.set_cookie(SESSION_COOKIE, &"A".repeat(43));
    guessed.get(&path).await.is_problem(401, "sign-in-needed");
    for value in ["short".to_owned(), "A".repeat(4000), "\"quoted\"".to_owned(), "A".repeat(44)] {
        let citizen = window.citizen();
        citizen.set_cookie(SESSION_COOKIE, &value);
        let answer = citizen.get(&path).await;
        assert!(matches!(answer.header("yimen-error"), "sign-in-needed" | "bad-cookie"), "{value}: {}", answer.status);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_for_every_copy_of_the_cookie() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    let copy = window.citizen();
    copy.set_cookie(SESSION_COOKIE, &citizen.cookie(SESSION_COOKIE).unwrap());
    let path = format!("/s/330106/{NOTARY}/");
    copy.get(&path).await.came_from("hangzhou");
    let account = citizen.visit("/account").await;
    let answer = citizen.submit("/sign-out", &[("csrf", &account.field("csrf"))]).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.status);
    assert_eq!(citizen.cookie(SESSION_COOKIE), None);
    copy.get(&path).await.is_problem(401, "sign-in-needed");
}

#[tokio::test]
async fn a_person_sees_their_sessions_and_ends_another_one() {
    let window = Window::open().await;
    let (here, elsewhere) = (window.signed_in().await, window.signed_in().await);
    let page = here.visit("/account").await;
    page.has_status(200);
    assert!(page.header("cache-control").contains("no-store"));
    for cookie in [&here, &elsewhere].map(|citizen| citizen.cookie(SESSION_COOKIE).unwrap()) {
        assert!(!page.body.contains(&cookie), "a session id on a page");
    }
    let handle = page.field("session");
    let csrf = page.field("csrf");
    here.submit("/account/sessions/end", &[("csrf", &csrf), ("session", &handle)]).await.has_status(303);
    let answers = [here.get("/account").await.status, elsewhere.get("/account").await.status];
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 1, "{answers:?}");
}

#[tokio::test]
async fn nothing_secret_is_written_to_the_log() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    window.citizen().try_sign_in(ZHANG.0, "a wrong password", "/").await.has_status(401);
    let answer = citizen.get(&format!("/s/330106/{NOTARY}/secret-path?id=110101199003070000")).await;
    answer.came_from("hangzhou");
    let subject = answer.json()["assertion"]["claims"]["sub"].as_str().unwrap().to_owned();
    let cookie = citizen.cookie(SESSION_COOKIE).unwrap();
    window.gateway.metric_reaches("yimen_http_requests_total", "hangzhou", 1.0).await;
    let log = window.gateway.process.errors() + &window.gateway.process.output();
    for secret in [&cookie, &subject, ZHANG.1, "a wrong password", "110101199003070000"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
    let metrics = window.gateway.metrics_page().await;
    assert!(!metrics.contains("secret-path") && !metrics.contains(&cookie), "{metrics}");
}
