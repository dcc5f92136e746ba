//! The OpenID Provider's addresses through the whole gateway: what a person sees when a client asks for the wrong thing, and what
//! another site cannot do to a person.

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, LOCATION};

use crate::support::citizen::{Answer, SESSION_COOKIE};
use crate::support::filing::Filing;
use crate::support::issuer::{self, LEFT, form_of, request};
use crate::support::window::{Window, ZHANG};

async fn window() -> Window {
    let hall = Filing::of("hall", "330100").client(&issuer::client("hall", ""));
    let away = Filing::of("closed", "530100").state("suspended", "for review").client(&issuer::client("closed", ""));
    Window::with(|setup| setup.filings.extend([hall, away])).await
}

fn asked(change: &[(&str, Option<&str>)]) -> String {
    format!("/oidc/authorize?{}", String::from_utf8(request(change)).unwrap())
}

#[track_caller]
fn is_page(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.header("yimen-error")), (status, code), "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/html") && !answer.headers.contains_key(LOCATION));
    assert!(!answer.body.contains("evil.example"), "{}", answer.body);
}

#[tokio::test]
async fn discovery_names_every_address_on_this_origin() {
    let window = window().await;
    let citizen = window.citizen();
    let openid = citizen.get("/.well-known/openid-configuration").await;
    let oauth = citizen.get("/.well-known/oauth-authorization-server").await;
    assert_eq!((openid.status, &openid.json()), (200, &oauth.json()));
    let document = openid.json();
    assert_eq!(document["issuer"], window.gateway.origin.as_str());
    for (name, value) in document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint")) {
        let path = value.as_str().unwrap().strip_prefix(&window.gateway.origin).unwrap();
        let status = citizen.get(path).await.status;
        assert_ne!(status, 404, "{name} leads nowhere");
    }
    assert_eq!(document["response_types_supported"], serde_json::json!(["code"]));
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}

#[tokio::test]
async fn a_bad_client_or_redirect_uri_is_a_page_and_no_redirect() {
    let window = window().await;
    for citizen in [window.citizen(), window.signed_in().await] {
        let visit = async |change: &[(&str, Option<&str>)]| citizen.visit(&asked(change)).await;
        is_page(&visit(&[("client_id", Some("nobody"))]).await, 400, "unknown-client");
        is_page(&visit(&[("client_id", Some("closed"))]).await, 403, "client-not-served");
        is_page(&visit(&[("redirect_uri", Some("https://evil.example/"))]).await, 400, "address-not-filed");
        let twice = format!("{}&redirect_uri=https://evil.example/", asked(&[]));
        is_page(&citizen.visit(&twice).await, 400, "bad-request");
        is_page(&citizen.visit("/oidc/authorize?resume=made-up").await, 400, "request-over");
        let away = format!(
            "/oidc/logout?{}",
            form_of(&[("client_id", "hall"), ("post_logout_redirect_uri", "https://evil.example/")])
        );
        is_page(&citizen.visit(&away).await, 400, "address-not-filed");
        let hinted =
            format!("/oidc/logout?{}", form_of(&[("id_token_hint", "a.b.c"), ("post_logout_redirect_uri", LEFT)]));
        is_page(&citizen.visit(&hinted).await, 400, "bad-hint");
        let signed_in = citizen.cookie(SESSION_COOKIE).is_some();
        assert_eq!(citizen.visit("/account").await.status, if signed_in { 200 } else { 303 }, "nobody was signed out");
    }
}

#[tokio::test]
async fn a_person_signs_in_for_a_client_and_goes_back_by_a_page_that_no_form_policy_holds() {
    let window = window().await;
    let citizen = window.citizen();
    let sent = citizen.visit(&asked(&[("login_hint", Some("zhang")), ("ui_locales", Some("en"))])).await;
    sent.has_status(303);
    let to = sent.header("location");
    assert!(to.starts_with("/sign-in?return_to=/oidc/authorize%3Fresume%3D") && !to.contains("zhang"), "{to}");
    let form = citizen.visit(to).await;
    assert!(form.body.contains("lang=\"en\"") && form.field("login") == "zhang", "{}", form.body);
    let back = form.field("return_to");
    let done = citizen.try_sign_in(ZHANG.0, ZHANG.1, &back).await;
    done.leads_to(303, &back);
    let page = citizen.visit(&back).await;
    page.has_status(200);
    let address = page.header("refresh").strip_prefix("0;url=").unwrap();
    assert!(address.starts_with(issuer::BACK) && address.contains("code="), "{address}");
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    let again = citizen.visit(&asked(&[("prompt", Some("none"))])).await;
    assert!(again.header("location").starts_with(issuer::BACK), "signed in already: {:?}", again.headers);
}

#[tokio::test]
async fn a_request_as_a_form_of_another_site_is_asked_again_with_the_person_s_cookie() {
    let window = window().await;
    let citizen = window.signed_in().await;
    let stranger = window.citizen(); // a browser sends no cookie along with another site's form
    let form = String::from_utf8(request(&[])).unwrap();
    let post =
        stranger.request(Method::POST, "/oidc/authorize").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let post = post.header("origin", "https://hall.example.gov").header("sec-fetch-site", "cross-site").body(form);
    let sent = stranger.send(post).await;
    sent.has_status(303);
    let back = citizen.visit(sent.header("location")).await;
    assert!(back.header("location").contains("code="), "{:?}", back.headers);
}

#[tokio::test]
async fn another_site_signs_nobody_out() {
    let window = window().await;
    let citizen = window.signed_in().await;
    let question = citizen.visit("/oidc/logout?client_id=hall").await;
    question.has_status(200);
    let (csrf, kept) = (question.field("csrf"), question.field("kept"));
    let forged = citizen.submit("/oidc/logout", &[("csrf", "AAAA"), ("kept", &kept)]).await;
    is_page(&forged, 403, "forged-form");
    let elsewhere = citizen.request(Method::POST, "/oidc/logout").header("origin", "https://evil.example");
    let elsewhere =
        elsewhere.header("sec-fetch-site", "cross-site").form(&[("csrf", csrf.as_str()), ("kept", kept.as_str())]);
    is_page(&citizen.send(elsewhere).await, 403, "forged-form");
    is_page(&citizen.submit("/oidc/logout", &[("csrf", &csrf), ("kept", "made-up")]).await, 400, "request-over");
    citizen.visit("/account").await.has_status(200);
    citizen.submit("/oidc/logout", &[("csrf", &csrf), ("kept", &kept)]).await.leads_to(303, "/sign-out");
    assert!(citizen.cookie(SESSION_COOKIE).is_none());
}

#[tokio::test]
async fn two_session_cookies_are_refused() {
    let window = window().await;
    let citizen = window.signed_in().await;
    let id = citizen.cookie(SESSION_COOKIE).unwrap();
    citizen.set_cookie("other", &format!("x; {SESSION_COOKIE}={id}"));
    is_page(&citizen.visit(&asked(&[])).await, 400, "bad-cookie");
}
