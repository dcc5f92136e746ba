//! What a person does with whom they act for, and with what is kept of them.

use super::desk::{Browser, Desk, MACHINE};
use crate::domain::{Assurance, Personal, PlatformId, SubjectKind};
use crate::session::{CookieRead, EndReason, Live, Lookup, cookie};

const ID_NUMBER: &str = "110105189912310015";
const PHONE: &str = "13812341234";
const COMPANY: &str = "示例&#60;b&#62;公司";

async fn live(desk: &Desk, browser: &Browser) -> Option<std::sync::Arc<Live>> {
    let cookies = format!("__Host-yimen={}", browser.cookies.get("__Host-yimen")?);
    let CookieRead::One(id) = cookie::read([cookies.as_bytes()]) else { return None };
    match desk.sessions.look_up(&id, Assurance::L1, desk.now).await {
        Lookup::Found(live) => Some(live),
        _ => None,
    }
}

async fn signed_in(desk: &Desk) -> Browser {
    let mut browser = Browser::default();
    browser.sign_in(desk, "correct horse", "/").await;
    browser
}

async fn known(desk: &Desk) {
    let personal = Personal { id_number: ID_NUMBER.parse().ok(), phone: PHONE.parse().ok() };
    desk.people.set_personal(&desk.wang().await, &personal, MACHINE, desk.now).await.unwrap();
}

#[tokio::test]
async fn a_person_goes_on_for_a_company_and_for_themselves_again() {
    let desk = Desk::open().await;
    let role = desk.grant("2099-12-31").await;
    let mut browser = signed_in(&desk).await;
    let before = browser.cookies.clone();
    let page = browser.get(&desk, "/search?q=a").await;
    assert!(page.text().contains("<select id=\"subject\"") && page.text().contains(COMPANY), "{}", page.text());
    let (csrf, back) = (page.field("csrf", 0), page.field("return_to", 0));
    let fields = |csrf: &str, subject: &str| {
        [("csrf", csrf.to_owned()), ("subject", subject.to_owned()), ("return_to", back.clone())]
    };
    let send = fields(&csrf, &role);
    let send: Vec<(&str, &str)> = send.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = browser.post(&desk, "/account/subject", &send).await;
    assert_eq!((page.status(), page.location()), (303, "/search?q=a"));
    let acting = live(&desk, &browser).await.unwrap();
    assert_eq!(acting.session.acts_as(), SubjectKind::Agent);
    assert_eq!(acting.session.represented.as_ref().unwrap().usc.as_str(), "914403001922038216");
    assert_ne!(browser.cookies["__Host-yimen"], before["__Host-yimen"], "the id is another");
    let old = Browser { cookies: before, ..Browser::default() };
    assert!(live(&desk, &old).await.is_none(), "the old one opens nothing");
    let page = browser.get(&desk, "/account/subject").await;
    assert!(page.text().contains(&format!("<strong id=\"acting\">{COMPANY}</strong>")), "{}", page.text());

    let csrf = page.field("csrf", 0);
    let send = [("csrf", csrf.as_str()), ("subject", "self"), ("return_to", "//evil.example/")];
    let page = browser.post(&desk, "/account/subject", &send).await;
    assert_eq!((page.status(), page.location()), (303, "/"));
    let own = live(&desk, &browser).await.unwrap();
    assert_eq!((own.session.acts_as(), own.session.represented.clone()), (SubjectKind::Natural, None));
    assert_eq!(own.session.ends_at, acting.session.ends_at, "switching makes no session live longer");
    assert_eq!(desk.metrics.subject_switches.with_label_values(&["ok"]).get(), 2);
}

#[tokio::test]
async fn nobody_acts_in_a_role_that_is_over_withdrawn_or_somebody_elses() {
    let mut desk = Desk::open().await;
    let withdrawn = desk.grant("2099-12-31").await;
    let today = desk.now.day().to_string();
    let over = desk.grant(&today).await;
    let mut browser = signed_in(&desk).await;
    desk.people.withdraw_role(withdrawn.parse().unwrap(), MACHINE, desk.now).await.unwrap();
    let foreign = uuid::Uuid::now_v7().to_string();
    let csrf = browser.get(&desk, "/account/subject").await.field("csrf", 0);
    for role in [&withdrawn, &foreign, "", "SELF", "' OR 1=1"] {
        let page = browser.post(&desk, "/account/subject", &[("csrf", &csrf), ("subject", role)]).await;
        assert_eq!((page.status(), page.header("yimen-error")), (403, "role-refused"), "{role}");
    }
    desk.now = desk.now.plus(std::time::Duration::from_secs(26 * 3600));
    let mut browser = signed_in(&desk).await;
    let csrf = browser.get(&desk, "/account/subject").await.field("csrf", 0);
    let page = browser.post(&desk, "/account/subject", &[("csrf", &csrf), ("subject", &over)]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (403, "role-refused"));
    assert!(live(&desk, &browser).await.unwrap().session.represented.is_none());
    assert_eq!(desk.metrics.subject_switches.with_label_values(&["refused"]).get(), 6);
}

#[tokio::test]
async fn a_forged_form_switches_nobody() {
    let desk = Desk::open().await;
    let role = desk.grant("2099-12-31").await;
    let mut browser = signed_in(&desk).await;
    let csrf = browser.get(&desk, "/account/subject").await.field("csrf", 0);
    let other = signed_in(&desk).await.get(&desk, "/account/subject").await.field("csrf", 0);
    for forged in ["", "made-up", other.as_str()] {
        let page = browser.post(&desk, "/account/subject", &[("csrf", forged), ("subject", &role)]).await;
        assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"));
    }
    browser.headers.push(("origin", "https://evil.example"));
    let page = browser.post(&desk, "/account/subject", &[("csrf", &csrf), ("subject", &role)]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"));
    assert!(live(&desk, &browser).await.unwrap().session.represented.is_none());
}

#[tokio::test]
async fn the_browser_that_lost_its_session_is_told_why_and_once() {
    let desk = Desk::open().await;
    let (mut here, mut there) = (signed_in(&desk).await, signed_in(&desk).await);
    let csrf = here.get(&desk, "/account").await.field("csrf", 0);
    let page = here.post(&desk, "/account/sessions/end", &[("csrf", &csrf), ("others", "yes")]).await;
    assert_eq!(page.location(), "/account?done=others");
    assert!(here.get(&desk, "/account?done=others").await.text().contains("id=\"done\""));
    let page = there.get(&desk, "/sign-in").await;
    assert!(page.text().contains("您在另一台设备上结束了本机的登录"), "{}", page.text());
    assert!(!there.cookies.contains_key("__Host-yimen"), "told: the cookie is of no more use");
    assert!(!there.get(&desk, "/sign-in").await.text().contains("id=\"reason\""));
    for reason in EndReason::ALL {
        let mut browser = signed_in(&desk).await;
        let subject = desk.wang().await;
        desk.sessions.end_all(&subject, None, reason, desk.now).await.unwrap();
        let page = browser.get(&desk, "/sign-in").await;
        assert!(page.text().contains(super::ended::sentence(reason, crate::portal::Language::Chinese)), "{reason:?}");
    }
}

#[tokio::test]
async fn a_person_ends_all_their_sessions_after_being_asked_once_more() {
    let desk = Desk::open().await;
    let (mut here, there) = (signed_in(&desk).await, signed_in(&desk).await);
    let page = here.get(&desk, "/account/sessions/end-all").await;
    assert!(page.text().contains("<strong>2</strong>"), "{}", page.text());
    assert!(live(&desk, &there).await.is_some(), "asking ends nothing");
    let csrf = page.field("csrf", 0);
    let page = here.post(&desk, "/account/sessions/end-all", &[("csrf", &csrf)]).await;
    assert_eq!((page.status(), page.location()), (303, "/sign-out"));
    assert!(live(&desk, &there).await.is_none() && !here.cookies.contains_key("__Host-yimen"));
}

#[tokio::test]
async fn what_goes_to_a_platform_of_others_is_shown_masked_and_agreed_to_once() {
    let desk = Desk::open().await;
    known(&desk).await;
    let (mut browser, subject) = (signed_in(&desk).await, desk.wang().await);
    let (clinic, filed): (PlatformId, _) = ("clinic".parse().unwrap(), ["name", "id_number"].map(Box::from));
    let page = browser.get(&desk, "/consent?platform=clinic&return_to=/s/330106/002099001000/").await;
    for part in ["示例医院", "预约挂号", "914403001922038216", "110105********0015"] {
        assert!(page.text().contains(part), "{part} is missing in {}", page.text());
    }
    assert!(!page.text().contains(ID_NUMBER) && !page.text().contains("138****"), "not what was not asked for");
    let (csrf, attributes) = (page.field("csrf", 0), page.field("attributes", 0));
    let send = |attributes: &str, csrf: &str| {
        let fields = [
            ("csrf", csrf),
            ("platform", "clinic"),
            ("attributes", attributes),
            ("return_to", "/s/330106/002099001000/"),
        ];
        fields.map(|(name, value)| (name, value.to_owned()))
    };
    let given = async || desk.people.consents_to(&subject, &clinic, &filed, desk.now).await.unwrap();
    for (attributes, csrf, status) in [("name", csrf.as_str(), 200), (attributes.as_str(), "made-up", 403)] {
        let fields = send(attributes, csrf);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(browser.post(&desk, "/consent", &fields).await.status(), status);
        assert!(!given().await, "{attributes}");
    }
    let fields = send(&attributes, &csrf);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let page = browser.post(&desk, "/consent", &fields).await;
    assert_eq!((page.status(), page.location()), (303, "/s/330106/002099001000/"));
    assert!(given().await);
    let page = browser.get(&desk, "/account/privacy").await;
    assert!(page.text().contains("示例医院") && page.text().contains("138****1234"), "{}", page.text());
    let csrf = page.field("csrf", 0);
    let page = browser.post(&desk, "/account/consents/withdraw", &[("csrf", &csrf), ("platform", "clinic")]).await;
    assert_eq!(page.location(), "/account/privacy");
    assert!(!given().await);
    assert_eq!(browser.get(&desk, "/consent?platform=nowhere").await.status(), 404);
}

#[tokio::test]
async fn a_person_takes_along_everything_that_is_kept_of_them() {
    let desk = Desk::open().await;
    known(&desk).await;
    desk.grant("2099-12-31").await;
    let mut browser = signed_in(&desk).await;
    let page = browser.post(&desk, "/account/export", &[("csrf", "made-up")]).await;
    assert_eq!((page.status(), page.header("yimen-error")), (403, "forged-form"));
    let csrf = browser.get(&desk, "/account/privacy").await.field("csrf", 0);
    let page = browser.post(&desk, "/account/export", &[("csrf", &csrf)]).await;
    assert!(page.header("content-disposition").starts_with("attachment"), "{:?}", page.response.headers());
    let kept: serde_json::Value = serde_json::from_str(page.text()).unwrap();
    assert_eq!((&kept["account"]["login"], &kept["personal"]["id_number"]), (&"wang".into(), &ID_NUMBER.into()));
    assert_eq!(kept["personal"]["phone"], PHONE);
    assert_eq!(kept["roles"][0]["usc"], "914403001922038216");
    assert_eq!(kept["sessions"].as_array().unwrap().len(), 1);
    assert!(!page.text().contains("argon2"), "no hash of a password");
}

#[tokio::test]
async fn whoever_got_hold_of_a_session_cannot_guess_the_password_by_erasing() {
    let desk = Desk::open().await;
    let mut thief = signed_in(&desk).await;
    let csrf = thief.get(&desk, "/account/erase").await.field("csrf", 0);
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses
            .push(thief.post(&desk, "/account/erase", &[("csrf", &csrf), ("password", "wrong horse")]).await.status());
    }
    let checked = statuses.iter().filter(|status| **status == 403).count();
    assert!((1..=40).contains(&checked) && statuses.ends_with(&[429]), "{statuses:?}");
    let page = thief.post(&desk, "/account/erase", &[("csrf", &csrf), ("password", "correct horse")]).await;
    assert_eq!(page.status(), 429, "right or wrong, it is not looked at");
}

#[tokio::test]
async fn an_account_is_erased_by_its_owner_with_the_password_and_its_sessions_end() {
    let desk = Desk::open().await;
    known(&desk).await;
    let role = desk.grant("2099-12-31").await;
    let (mut here, there, subject) = (signed_in(&desk).await, signed_in(&desk).await, desk.wang().await);
    let csrf = here.get(&desk, "/account/erase").await.field("csrf", 0);
    for (csrf, password, status) in [(csrf.as_str(), "wrong horse", 403), ("made-up", "correct horse", 403)] {
        let page = here.post(&desk, "/account/erase", &[("csrf", csrf), ("password", password)]).await;
        assert_eq!(page.status(), status);
        assert!(desk.accounts.get(&subject).await.unwrap().is_some());
    }
    let page = here.post(&desk, "/account/erase", &[("csrf", &csrf), ("password", "correct horse")]).await;
    assert!(page.status() == 200 && page.text().contains("id=\"erased\""), "{}", page.text());
    assert!(!here.cookies.contains_key("__Host-yimen") && live(&desk, &there).await.is_none());
    assert!(desk.accounts.get(&subject).await.unwrap().is_none());
    assert_eq!(desk.people.personal(&subject).await.unwrap(), Personal::default());
    assert!(desk.people.role(role.parse().unwrap()).await.unwrap().is_none());
    assert_eq!(here.sign_in(&desk, "correct horse", "/").await.status(), 401);
}

#[tokio::test]
async fn pages_of_a_person_are_shown_to_nobody_else() {
    let (desk, mut browser) = (Desk::open().await, Browser::default());
    for path in [
        "/account/subject",
        "/account/privacy",
        "/account/erase",
        "/account/sessions/end-all",
        "/consent?platform=clinic",
    ] {
        assert_eq!(browser.get(&desk, path).await.status(), 303, "{path}");
    }
    for path in ["/account/subject", "/account/export", "/account/erase", "/account/consents/withdraw", "/consent"] {
        assert_eq!(browser.post(&desk, path, &[]).await.status(), 303, "{path}");
    }
}
