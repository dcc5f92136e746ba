//! A real identity platform and a real browser: signing in with level mapping, signing out at both, and the platform's word
//! that a session ended.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::clerk::Clerk;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::oidc_provider::{OidcProvider, SECRET};
use crate::support::{free_port, until};

/// A gateway with the platform as its realm `nation`. By a key of its own, with pushed requests, if `by_key`.
async fn opened(by_key: bool) -> (Gateway, OidcProvider) {
    opened_with(by_key, Vec::new()).await
}

async fn opened_with(by_key: bool, filings: Vec<Filing>) -> (Gateway, OidcProvider) {
    let port = free_port();
    let mut setup = Setup::new();
    setup.filings = filings;
    setup.set("providers.loopback_http", true);
    let folder = setup.folder.path().to_owned();
    fs::write(folder.join("nation.secret"), SECRET).unwrap();
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    fs::write(folder.join("nation.pem"), pair.serialize_pem()).unwrap();
    let proof = if by_key {
        "client_auth = \"private_key_jwt\"\nclient_key_file = \"nation.pem\"\npar = true"
    } else {
        "client_secret_file = \"nation.secret\""
    };
    setup.more = format!(
        "[[realm]]\nid = \"nation\"\nname = \"国家身份平台\"\nname_en = \"National identity platform\"\n\
         issuer = \"http://127.0.0.1:{port}\"\nclient_id = \"yimen\"\n{proof}\n\
         levels = {{ \"urn:example:basic\" = \"L1\", \"urn:example:real-name\" = \"L3\" }}\n"
    );
    let gateway = setup.start().await;
    let key = if by_key {
        let realm = Clerk::operator(&gateway, "100000").get("/v1/realms/nation").await.has_status(200).body;
        realm["client_key"].clone()
    } else {
        Value::Null
    };
    let provider = OidcProvider::start(port, &gateway.origin, key, by_key, &folder).await;
    (gateway, provider)
}

/// From our sign-in page to the platform and back.
async fn signs_in(browser: &Browser, gateway: &Gateway, login: &str, needed: &str) {
    browser.visit(&format!("{}/sign-in?return_to=/account{needed}", gateway.origin)).await;
    browser.click("a[href^='/sign-in/nation']").await;
    browser.write("#login", login).await;
    browser.click("#enter").await;
}

#[tokio::test]
async fn a_person_signs_in_at_a_real_platform_and_out_at_both() {
    let (gateway, provider) = opened(false).await;
    let browser = Browser::open().await;
    signs_in(&browser, &gateway, "zhang", "&assurance=L3").await;
    browser.arrives_at("/account").await;
    browser.element_with_text("main", "张三").await;
    browser.element_with_text("main", "L3").await;
    browser.visit(&format!("{}/sign-out", gateway.origin)).await;
    browser.click("main form button").await;
    browser.arrives_at(&format!("{}/session/end", provider.issuer)).await; // the page leads there by itself
    browser.click("button[value=yes]").await;
    browser.arrives_at(&format!("{}/sign-out", gateway.origin)).await;
    browser.element_with_text("h1", "您已退出").await;
    // The platform has forgotten them too: it asks again.
    browser.visit(&format!("{}/sign-in/nation?return_to=/account", gateway.origin)).await;
    browser.element_with_text("#asked", "login").await;
    browser.close().await;
}

#[tokio::test]
async fn the_platforms_lower_level_is_lower_here_and_too_low_where_more_is_needed() {
    let (gateway, _provider) = opened(true).await; // by private_key_jwt and pushed requests
    let browser = Browser::open().await;
    signs_in(&browser, &gateway, "li", "").await;
    browser.arrives_at("/account").await;
    browser.element_with_text("main", "L1").await;
    browser.visit(&format!("{}/sign-in/nation?return_to=/account&assurance=L3&max_age=0", gateway.origin)).await;
    browser.element_with_text("#asked", "urn:example:real-name").await;
    browser.write("#login", "li").await;
    browser.click("#enter").await;
    browser.element_with_text("main", "国家身份平台").await;
    browser.element_with_text("main", "L3").await;
    browser.visit(&format!("{}/account", gateway.origin)).await;
    browser.element_with_text("main", "L1").await;
    browser.close().await;
}

#[tokio::test]
async fn a_person_of_l1_proves_l3_at_the_platform_and_comes_back_to_the_same_page() {
    let hall = FaultyPlatform::start(Mood::Answering);
    let route = "access = \"required\"\nassurance = \"L3\"";
    let (gateway, _provider) =
        opened_with(false, vec![Filing::of("hall", "330100").at(hall.address).path("/hall/", route)]).await;
    let browser = Browser::open().await;
    signs_in(&browser, &gateway, "wang", "").await;
    browser.arrives_at("/account").await;
    browser.element_with_text("main", "L1").await;
    browser.visit(&format!("{}/hall/form?of=7", gateway.origin)).await;
    browser.arrives_at("/sign-in").await;
    assert_eq!(hall.asked_for("/hall/form?of=7"), 0);
    browser.click("a[href^='/sign-in/nation']").await;
    browser.element_with_text("#asked", "urn:example:real-name").await;
    browser.write("#login", "wang").await;
    browser.click("#enter").await;
    browser.arrives_at("/hall/form?of=7").await;
    browser.element_with_text("body", "ok").await;
    assert_eq!(hall.asked_for("/hall/form?of=7"), 1);
    browser.visit(&format!("{}/account", gateway.origin)).await;
    browser.element_with_text("main", "L3").await;
    browser.close().await;
}

#[tokio::test]
async fn who_signs_out_at_the_platform_is_signed_out_here() {
    let (gateway, provider) = opened(false).await;
    let browser = Browser::open().await;
    signs_in(&browser, &gateway, "zhang", "").await;
    browser.arrives_at("/account").await;
    browser.visit(&format!("{}/session/end", provider.issuer)).await;
    browser.click("button[value=yes]").await;
    let told =
        || async { (gateway.metric("yimen_provider_logouts_total", "result=\"ok\"").await >= 1.0).then_some(()) };
    until("the platform tells that the session ended", Duration::from_secs(20), told).await;
    browser.visit(&format!("{}/account", gateway.origin)).await;
    browser.arrives_at("/sign-in").await;
    browser.close().await;
    let program = crate::support::citizen::Citizen::of(&gateway);
    program.send(program.request(Method::GET, "/sign-in/nation/back-channel-logout")).await.has_status(405);
}
