//! What a person does at the portal, page by page.

use http::Request;

use super::desk::{Browser, Desk, ORIGIN};
use crate::domain::Timestamp;
use crate::portal::CONTENT_SECURITY_POLICY;
use crate::session::SessionId;

fn sign_ins(desk: &Desk, result: &str) -> u64 {
    desk.metrics.sign_ins.with_label_values(&[result]).get()
}

#[tokio::test]
async fn a_person_finds_an_item_picks_a_region_and_is_led_to_the_service_there() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/search?q=%E5%AD%A6%E5%8E%86").await;
    assert_eq!(page.status(), 200);
    assert!(page.text().contains("学历公证"));
    assert!(page.text().contains("href=\"/region?return_to=/s/002099001000/\""), "without a region it is asked for");
    for step in ["/region?return_to=/s/002099001000/", "/region?at=330000", "/region?at=330100", "/region?at=330106"] {
        assert_eq!(browser.get(&desk, step).await.status(), 200);
    }
    let page = browser.get(&desk, "/region?at=330106&return_to=/s/002099001000/").await;
    assert!(page.text().contains("西湖区") && page.text().contains("杭州市"));
    let (csrf, back, region) = (page.field("csrf", 0), page.field("return_to", 0), page.field("region", 0));
    let page = browser.post(&desk, "/region", &[("csrf", &csrf), ("return_to", &back), ("region", &region)]).await;
    assert_eq!((page.status(), page.location()), (303, "/s/330106/002099001000/"));
    let page = browser.get(&desk, "/search?q=002099001000").await;
    assert!(page.text().contains("href=\"/s/330106/002099001000/\""));
    assert!(page.text().contains("浙江省 杭州市 西湖区"));
}

#[tokio::test]
async fn the_region_picker_shows_every_level_without_placeholders() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/region").await;
    assert_eq!(page.text().matches("<li><a href=\"/region?at=").count(), 34, "provinces and the like");
    assert_eq!(page.fields("region"), 0, "the nation is nobody's region");
    let page = browser.get(&desk, "/region?at=110000").await;
    assert!(page.text().contains("东城区") && !page.text().contains("市辖区"));
    assert_eq!(page.fields("region"), 1);
    let page = browser.get(&desk, "/region?at=nonsense").await;
    assert!(page.text().contains("浙江省"));
}

#[tokio::test]
async fn a_region_from_elsewhere_is_not_taken() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/region?at=330106").await;
    let csrf = page.field("csrf", 0);
    let page = browser.post(&desk, "/region", &[("csrf", "made-up"), ("region", "330106")]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"));
    let page = browser.post(&desk, "/region", &[("csrf", &csrf), ("region", "999999")]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (404, "unknown-division"));
    assert!(!browser.cookies.contains_key("__Host-yimen-region"));
}

#[tokio::test]
async fn who_signs_in_comes_back_to_the_page_they_asked_for() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.sign_in(&desk, "correct horse", "/s/330106/002099001000/%3Fa%3Db%26c").await;
    assert_eq!((page.status(), page.location()), (303, "/s/330106/002099001000/?a=b&c"));
    assert!(browser.cookies.contains_key("__Host-yimen"));
    assert_eq!(sign_ins(&desk, "ok"), 1);
    let home = browser.get(&desk, "/").await;
    assert!(home.text().contains("王&#60;b&#62;小明"), "names are escaped: {}", home.text());
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.sign_in(&desk, "correct horse", "//evil.example").await;
    assert_eq!((page.status(), page.location()), (303, "/"));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_are_the_same_page() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let form = browser.get(&desk, "/sign-in?return_to=/account").await;
    let csrf = form.field("csrf", 0);
    let mut pages = Vec::new();
    for login in ["wang", "nobody"] {
        let fields = [("login", login), ("password", "wrong horse"), ("csrf", &csrf), ("return_to", "/account")];
        let page = browser.post(&desk, "/sign-in", &fields).await;
        assert_eq!(page.status(), 401);
        assert!(page.header("www-authenticate").starts_with("Session"));
        assert!(page.text().contains("账号或密码不正确"));
        assert_eq!(page.field("return_to", 0), "/account");
        assert!(page.text().contains(&format!("value=\"{login}\"")), "the login stays in its field");
        assert!(!page.text().contains("wrong horse"), "the password does not");
        pages.push(page.text().replace(login, "-"));
    }
    assert_eq!(pages[0], pages[1]);
    assert_eq!(sign_ins(&desk, "refused"), 2);
    assert!(!browser.cookies.contains_key("__Host-yimen"));
}

#[tokio::test]
async fn a_form_that_is_too_old_or_without_its_cookie_asks_to_try_again() {
    let (mut desk, mut browser) = (Desk::open().await, Browser::default());
    let csrf = browser.get(&desk, "/sign-in").await.field("csrf", 0);
    let start = desk.now;
    desk.now = Timestamp::from_millis(start.millis() + 3_601_000);
    let fields = [("login", "wang"), ("password", "correct horse"), ("csrf", &csrf), ("return_to", "/account")];
    let page = browser.post(&desk, "/sign-in", &fields).await;
    assert_eq!(page.status(), 400);
    assert!(page.text().contains("页面停留时间过长") && page.text().contains("value=\"wang\""));
    let csrf = page.field("csrf", 0);
    let fields = [("login", "wang"), ("password", "correct horse"), ("csrf", &csrf), ("return_to", "/account")];
    let page = Browser::default().post(&desk, "/sign-in", &fields).await;
    assert_eq!(page.status(), 400, "another browser's token");
    let page = browser.post(&desk, "/sign-in", &fields).await;
    assert_eq!((page.status(), page.location()), (303, "/account"), "the fresh form of the answer works");
    assert_eq!(sign_ins(&desk, "expired_form"), 2);
}

#[tokio::test]
async fn a_form_from_another_site_is_refused() {
    let desk = Desk::open().await;
    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let mut browser = Browser { headers: vec![header], ..Browser::default() };
        let page = browser.sign_in(&desk, "correct horse", "/").await;
        assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"), "{header:?}");
    }
    let headers = vec![("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
    let mut browser = Browser { headers, ..Browser::default() };
    assert_eq!(browser.sign_in(&desk, "correct horse", "/").await.status(), 303);
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, "correct horse", "/").await;
    let mut thief = Browser { cookies: browser.cookies.clone(), ..Browser::default() };
    browser.sign_in(&desk, "correct horse", "/").await;
    assert_ne!(thief.cookies["__Host-yimen"], browser.cookies["__Host-yimen"]);
    assert_eq!(thief.get(&desk, "/account").await.status(), 401);
    assert_eq!(browser.get(&desk, "/account").await.text().matches("203.0.113.0/24").count(), 1);
}

#[tokio::test]
async fn a_form_opened_in_two_tabs_works_in_both() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, "correct horse", "/").await;
    let (first, second) = (browser.get(&desk, "/sign-in").await, browser.get(&desk, "/sign-in").await);
    for tab in [first, second] {
        let csrf = tab.field("csrf", 0);
        let fields = [("login", "wang"), ("password", "correct horse"), ("csrf", &csrf), ("return_to", "/account")];
        assert_eq!(browser.post(&desk, "/sign-in", &fields).await.status(), 303);
    }
}

#[tokio::test]
async fn signing_out_ends_the_session_in_the_store_and_in_the_browser() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    browser.sign_in(&desk, "correct horse", "/").await;
    let before = browser.cookies.clone();
    let page = browser.post(&desk, "/sign-out", &[("csrf", "made-up")]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"));
    let csrf = browser.get(&desk, "/").await.field("csrf", 0);
    let page = browser.post(&desk, "/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!((page.status(), page.location()), (303, "/sign-out"));
    assert!(!browser.cookies.contains_key("__Host-yimen"));
    assert!(browser.get(&desk, "/sign-out").await.text().contains("您已退出"));
    let mut old = Browser { cookies: before, ..Browser::default() };
    assert_eq!(old.get(&desk, "/account").await.status(), 401, "the old cookie opens nothing");
    assert_eq!(desk.metrics.sign_outs.get(), 1);
}

#[tokio::test]
async fn a_person_sees_their_sessions_and_ends_them() {
    let desk = Desk::open().await;
    let browsers = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/144.0", "Mozilla/5.0 (iPhone) Safari/604.1", "curl/8"];
    let mut open = Vec::new();
    for user_agent in browsers {
        let mut browser = Browser { headers: vec![("user-agent", user_agent)], ..Browser::default() };
        browser.sign_in(&desk, "correct horse", "/").await;
        open.push(browser);
    }
    let page = open[0].get(&desk, "/account").await;
    for part in ["Firefox on Linux", "Safari on iPhone", "unknown device", "203.0.113.0/24", "本机"] {
        assert!(page.text().contains(part), "{part} is missing");
    }
    let csrf = page.field("csrf", 0);
    let (_, of_it) = page.text().split_once("Safari on iPhone").unwrap();
    let (_, of_it) = of_it.split_once("name=\"session\" value=\"").unwrap();
    let handle = of_it.split('"').next().unwrap().to_owned();
    let page = open[0].post(&desk, "/account/sessions/end", &[("csrf", &csrf), ("session", &handle)]).await;
    assert_eq!((page.status(), page.location()), (303, "/account?done=ended"));
    assert_eq!(open[1].get(&desk, "/account").await.status(), 401);
    assert_eq!(open[2].get(&desk, "/account").await.status(), 200);
    open[0].post(&desk, "/account/sessions/end", &[("csrf", &csrf), ("others", "yes")]).await;
    assert_eq!(open[2].get(&desk, "/account").await.status(), 401);
    let own = open[0].get(&desk, "/account").await.field("session", 0);
    let page = open[0].post(&desk, "/account/sessions/end", &[("csrf", &csrf), ("session", &own)]).await;
    assert_eq!((page.status(), page.location()), (303, "/sign-out"));
    assert!(!open[0].cookies.contains_key("__Host-yimen"));
}

#[tokio::test]
async fn a_session_cookie_without_an_answer_is_not_called_signed_out() {
    let (desk, mut unknown) = (Desk::open().await, Browser::default());
    unknown.cookies.insert("__Host-yimen".to_owned(), SessionId::random().unwrap().encoded());
    let page = unknown.get(&desk, "/").await;
    assert!(page.text().contains("href=\"/account\"") && !page.text().contains("href=\"/sign-in"));
    assert!(unknown.cookies.contains_key("__Host-yimen"), "and the cookie stays");
}

#[tokio::test]
async fn while_the_session_store_is_away_nobody_loses_a_cookie() {
    let (desk, mut browser) = (Desk::without_session_store().await, Browser::default());
    browser.cookies.insert("__Host-yimen".to_owned(), SessionId::random().unwrap().encoded());
    let before = browser.cookies["__Host-yimen"].clone();
    let page = browser.sign_in(&desk, "correct horse", "/account").await;
    assert_eq!((page.status(), page.header("retry-after")), (503, "5"));
    assert!(page.text().contains("value=\"wang\"") && page.field("return_to", 0) == "/account");
    assert_eq!(sign_ins(&desk, "store_away"), 1);
    let csrf = browser.get(&desk, "/sign-out").await.field("csrf", 0);
    let page = browser.post(&desk, "/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (503, "session-store-away"));
    assert_eq!(page.header("retry-after"), "5");
    assert_eq!(browser.cookies["__Host-yimen"], before);
}

#[tokio::test]
async fn the_language_can_be_chosen_on_every_page() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/search?q=qqq").await;
    assert!(page.text().contains("<html lang=\"zh-CN\">"));
    assert!(page.text().contains("/search?q=qqq&#38;lang=en"), "{}", page.text());
    let page = browser.get(&desk, "/search?q=qqq&lang=en").await;
    assert_eq!((page.status(), page.location()), (303, "/search?q=qqq"));
    let page = browser.get(&desk, "/search?q=qqq").await;
    assert!(page.text().contains("<html lang=\"en\">") && page.text().contains("Nothing fits"));
    assert_eq!(page.header("content-language"), "en");
}

#[tokio::test]
async fn every_page_forbids_scripts_frames_and_caches() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    for path in ["/", "/search?q=a", "/region", "/sign-in", "/sign-out", "/nowhere"] {
        let page = browser.get(&desk, path).await;
        assert_eq!(page.header("content-security-policy"), CONTENT_SECURITY_POLICY, "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert_eq!(page.header("referrer-policy"), "same-origin", "{path}");
        assert!(!page.text().contains("<script") && !page.text().contains(" style=\""), "{path}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_get_a_page_too() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/nowhere").await;
    assert_eq!((page.status(), page.header("yimen-error")), (404, "no-route"));
    let page = browser.post(&desk, "/account", &[]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (405, "method-not-allowed"));
    assert_eq!(page.header("allow"), "GET,HEAD");
    let page = browser.send(&desk, Request::head("/"), String::new()).await;
    assert_eq!((page.status(), page.text()), (200, ""));
}

#[tokio::test]
async fn what_does_not_read_as_a_form_does_no_harm() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    for path in ["/sign-in", "/region", "/sign-out", "/account/sessions/end"] {
        let request = Request::post(path).header("content-type", "application/json");
        let status = browser.send(&desk, request, "{\"login\":1}".to_owned()).await.status();
        assert!(matches!(status, 303 | 400 | 401 | 403), "{path}: {status}");
    }
    for query in ["q=%ff%fe", "q=a&q=b", "q=%3Cscript%3E", "q=%", "&&=&q"] {
        let page = browser.get(&desk, &format!("/search?{query}")).await;
        assert!(page.status() == 200 && !page.text().contains("<script>"), "{query}");
    }
}

#[tokio::test]
async fn platforms_fetch_the_key_set_and_may_keep_it() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    let page = browser.get(&desk, "/.well-known/jwks.json").await;
    assert_eq!((page.status(), page.header("cache-control")), (200, "public, max-age=300"));
    assert!(page.text().contains("\"crv\":\"P-256\"") && !page.text().contains("\"d\":"), "{}", page.text());
}
