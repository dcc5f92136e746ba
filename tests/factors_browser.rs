//! Step-up, an authenticator app and a passkey, by a real browser.

use crate::support::browser::Browser;
use crate::support::totp::{code_now, next_code};
use crate::support::window::{Window, ZHANG};

/// A window whose portal has a name: passkeys belong to names.
async fn window() -> (Window, String) {
    let window = Window::with(|setup| {
        let origin = format!("https://localhost:{}", setup.public.port());
        setup.set("public.origin", origin);
    })
    .await;
    let origin = window.gateway.origin.clone();
    (window, origin)
}

async fn signs_in(browser: &Browser) {
    browser.write("input[name=login]", ZHANG.0).await;
    browser.write("input[name=password]", ZHANG.1).await;
    browser.enter("input[name=password]").await;
}

#[tokio::test]
async fn a_person_steps_up_by_an_app_and_comes_back_to_the_same_page() {
    let (_window, origin) = window().await;
    let browser = Browser::open().await;
    let page = "/hangzhou/strict/form?step=2";
    browser.visit(&format!("{origin}{page}")).await;
    browser.arrives_at("/sign-in?").await;
    signs_in(&browser).await;
    browser.element_with_text("#step-up", "L3").await;
    browser.click("main a.button[href='/account']").await;
    browser.click("#add-totp").await;
    let secret = browser.text("#secret").await;
    browser.write("#code", &code_now(&secret)).await;
    browser.enter("#code").await;
    browser.element_with_text("#codes", "-").await;
    browser.visit(&format!("{origin}{page}")).await;
    browser.arrives_at("/sign-in/second").await;
    browser.write("#code", &next_code(&secret)).await;
    browser.enter("#code").await;
    browser.arrives_at(page).await;
    assert_eq!(browser.text("#assertion-status").await, "verified");
    browser.close().await;
}

#[tokio::test]
async fn a_person_sets_a_passkey_and_signs_in_with_nothing_else() {
    let (_window, origin) = window().await;
    let browser = Browser::open().await;
    browser.has_an_authenticator().await;
    browser.visit(&format!("{origin}/account")).await;
    signs_in(&browser).await;
    browser.click("#add-passkey").await;
    browser.click("#passkey button").await;
    browser.element_with_text("#codes", "-").await;
    browser.visit(&format!("{origin}/sign-out")).await;
    browser.click("main button").await;
    browser.element_with_text("h1", "您已退出").await; // a page opened meanwhile would break it off
    let page = "/hangzhou/strict/form?step=2";
    browser.visit(&format!("{origin}{page}")).await;
    browser.arrives_at("/sign-in?").await;
    browser.click("main a[href*='/sign-in/passkey']").await;
    browser.click("#passkey button").await;
    browser.arrives_at(page).await;
    assert_eq!(browser.text("#assertion-status").await, "verified");
    browser.close().await;
}
