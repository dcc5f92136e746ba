//! Whom a person acts for, what of them goes to platforms, and how operators end it: the whole way, by the real program.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::citizen::{Citizen, SESSION_COOKIE};
use crate::support::clerk::{Clerk, on_machine};
use crate::support::engine::{Engine, on_both};
use crate::support::filing::Filing;
use crate::support::postgres::Postgres;
use crate::support::traveller::{Traveller, own_origins};
use crate::support::until;
use crate::support::window::{NOTARY, Window, ZHANG};

/// A company of Shenzhen.
const COMPANY: &str = "914403001922038216";
const ID_NUMBER: &str = "110105189912310015";
const PHONE: &str = "13812341234";

/// Platforms that ask for kinds of subjects, and for attributes; the clinic belongs to a company.
fn filings() -> Vec<Filing> {
    let of = |subject: &str| format!("access = \"required\"\nsubject = \"{subject}\"");
    vec![
        Filing::of("tax", "100000")
            .with("attributes = [\"name\"]")
            .path("/tax/company/", &of("legal"))
            .path("/tax/agent/", &of("agent"))
            .path("/tax/person/", &of("natural"))
            .path("/tax/anybody/", "access = \"required\""),
        Filing::of("court", "100000")
            .with("attributes = [\"name\", \"actor\", \"id_number\"]")
            .path("/court/", "access = \"required\""),
        Filing::of("clinic", "330100")
            .owned_by(COMPANY)
            .with("attributes = [\"name\", \"id_number\"]")
            .path("/clinic/", "access = \"required\""),
    ]
}

async fn open(engine: &Engine) -> Window {
    Window::with(|setup| {
        setup.set("stores.register", engine.url());
        setup.filings = filings();
    })
    .await
}

on_both! {
    open:
    an_agent_acts_for_a_company_and_the_platform_hears_of_the_company
    who_acts_is_told_where_it_is_filed_and_the_same_person_has_one_name
    a_role_is_granted_by_operators_of_its_division_and_ends_with_the_sessions_that_act_in_it
    a_platform_of_others_gets_nothing_before_the_person_agrees
    an_operator_ends_sessions_and_the_browser_is_told
    an_erased_account_opens_nothing
}

/// What the machine's command said; it must have worked.
fn told(window: &Window, words: &[&str]) -> String {
    let done = on_machine(&window.gateway, words);
    assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Lets Zhang act for the company; the id of the role.
fn granted(window: &Window, role: &str) -> String {
    let words = [
        "account",
        "role",
        "grant",
        ZHANG.0,
        "--usc",
        COMPANY,
        "--name",
        "示例公司",
        "--role",
        role,
        "--until",
        "2099-12-31",
    ];
    let said = told(window, &words);
    said.split(' ').nth(1).unwrap().to_owned()
}

/// Keeps Zhang's identity number and phone.
fn known(window: &Window) {
    let file = |name: &str, text: &str| {
        let path = window.gateway.folder.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path.display().to_string()
    };
    let (number, phone) = (file("number", ID_NUMBER), file("phone", PHONE));
    let said = told(window, &["account", "personal", ZHANG.0, "--id-number-file", &number, "--phone-file", &phone]);
    assert!(said.contains("110105********0015") && said.contains("138****1234"), "{said}");
}

/// Goes on as the role, or as `self`, by the page, and comes back to `return_to`.
async fn switch(citizen: &Citizen, subject: &str, return_to: &str) {
    let csrf = citizen.visit("/account/subject").await.has_status(200).field("csrf");
    let fields = [("csrf", csrf.as_str()), ("subject", subject), ("return_to", return_to)];
    citizen.submit("/account/subject", &fields).await.leads_to(303, return_to);
}

/// Another process ended the session: the gateway hears of it within a second.
async fn is_signed_out(citizen: &Citizen) {
    let gone = || async { (citizen.get("/account").await.status == 401).then_some(()) };
    until("the session has ended", Duration::from_secs(1), gone).await;
}

async fn claims(citizen: &Citizen, path: &str) -> Value {
    let answer = citizen.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["assertion"]["status"], "verified", "{}", answer.body);
    answer.json()["assertion"]["claims"].clone()
}

async fn an_agent_acts_for_a_company_and_the_platform_hears_of_the_company(window: Window) {
    let citizen = window.signed_in().await;
    let own = claims(&citizen, "/tax/person/").await;
    assert_eq!((&own["subject_type"], own["name"].as_str()), (&json!("natural"), Some(ZHANG.0)));

    let refused = citizen.get("/tax/company/x?y=1").await;
    let problem = refused.is_problem(403, "wrong-subject").json();
    assert_eq!(problem["subject"], "legal");
    let page = "/account/subject?needs=legal&return_to=/tax/company/x%3Fy%3D1";
    assert_eq!(problem["address"], page);
    citizen.visit("/tax/company/x?y=1").await.leads_to(303, page);

    let role = granted(&window, "agent");
    let offered = citizen.visit(page).await;
    assert!(offered.body.contains("id=\"needs\"") && offered.body.contains("示例公司"), "{}", offered.body);
    let fields =
        [("csrf", offered.field("csrf")), ("subject", role.clone()), ("return_to", "/tax/company/x?y=1".into())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    citizen.submit("/account/subject", &fields).await.leads_to(303, "/tax/company/x?y=1");

    let acting = claims(&citizen, "/tax/company/x?y=1").await;
    assert_eq!(acting["represented"], json!({ "usc": COMPANY, "name": "示例公司", "role": "agent" }));
    assert_eq!(acting["subject_type"], "agent");
    assert_ne!(acting["sub"], own["sub"]);
    assert_ne!(acting["sid"], own["sid"]);
    for personal in ["name", "id_number", "phone", "act"] {
        assert_eq!(acting[personal], Value::Null, "{personal} of the agent: {acting}");
    }
    citizen.get("/tax/agent/").await.came_from("tax");
    citizen.get("/tax/person/").await.is_problem(403, "wrong-subject");

    switch(&citizen, "self", "/").await;
    assert_eq!(claims(&citizen, "/tax/anybody/").await["sub"], own["sub"], "themselves again, by the same name");
    assert_eq!(window.gateway.metric("yimen_subject_switches_total", "ok").await, 2.0);
}

async fn who_acts_is_told_where_it_is_filed_and_the_same_person_has_one_name(window: Window) {
    known(&window);
    let role = granted(&window, "legal_representative");
    let citizen = window.signed_in().await;
    let own = claims(&citizen, "/court/").await;
    assert_eq!((&own["id_number"], &own["phone"], &own["act"]), (&json!(ID_NUMBER), &Value::Null, &Value::Null));
    switch(&citizen, &role, "/court/").await;
    let acting = claims(&citizen, "/court/").await;
    assert_eq!((&acting["subject_type"], &acting["id_number"]), (&json!("legal"), &Value::Null));
    assert_eq!(acting["act"], json!({ "sub": own["sub"], "name": own["name"], "id_number": ID_NUMBER }));
    citizen.get("/tax/company/").await.came_from("tax");
    citizen.get("/tax/agent/").await.is_problem(403, "wrong-subject");
}

async fn a_role_is_granted_by_operators_of_its_division_and_ends_with_the_sessions_that_act_in_it(window: Window) {
    let citizen = window.signed_in().await;
    let wanted =
        json!({ "login": ZHANG.0, "usc": COMPANY, "name": "示例公司", "role": "agent", "valid_until": "2099-12-31" });
    let grant = async |clerk: &Clerk, body: Value| clerk.call("POST /v1/roles", &[], Some(body)).await;
    let shenzhen = Clerk::operator(&window.gateway, "440300");
    let hangzhou = Clerk::operator(&window.gateway, "330100");
    let viewer = Clerk::of(&window.gateway, "--role viewer --division 100000 --principal v");
    grant(&hangzhou, wanted.clone()).await.refused(403, "forbidden");
    grant(&viewer, wanted.clone()).await.refused(403, "forbidden");
    let mistyped = json!({ "login": ZHANG.0, "usc": "914403001922038217", "name": "", "role": "boss" });
    let wrongs = grant(&shenzhen, mistyped).await.refused(422, "invalid-body");
    assert_eq!(wrongs.wrongs(), ["/role", "/usc", "/valid_until"]);
    let past =
        json!({ "login": ZHANG.0, "usc": COMPANY, "name": "示例公司", "role": "agent", "valid_until": "2000-01-01" });
    grant(&shenzhen, past).await.refused(422, "invalid-body");
    let nobody =
        json!({ "login": "nobody", "usc": COMPANY, "name": "示例公司", "role": "agent", "valid_until": "2099-12-31" });
    grant(&shenzhen, nobody).await.refused(404, "not-found");
    let tried = shenzhen.call("POST /v1/roles?dry_run=true", &[], Some(wanted.clone())).await.has_status(200);
    assert_eq!(tried.body["id"], Value::Null);

    // It takes two: who proposed it does not approve it, and until somebody else has, nobody acts in it.
    let proposed = grant(&shenzhen, wanted).await.has_status(202);
    let proposal = format!("/v1/proposals/{}", proposed.body["id"].as_str().unwrap());
    assert_eq!((proposed.header("location"), &proposed.body["state"]), (proposal.as_str(), &json!("open")));
    assert_eq!(proposed.body["object"]["login"], ZHANG.0);
    assert_eq!(shenzhen.get("/v1/roles").await.body["entries"], json!([]));
    shenzhen.approves(&proposed).await.refused(403, "self-review");
    hangzhou.approves(&proposed).await.refused(404, "not-found");
    viewer.approves(&proposed).await.refused(404, "not-found");
    let guangdong = Clerk::operator(&window.gateway, "440000");
    let tried = format!("POST {proposal}/approve?dry_run=true");
    guangdong.call(&tried, &[], None).await.has_status(200);
    assert_eq!(shenzhen.get("/v1/roles").await.body["entries"], json!([]), "it was only tried");
    let decided = guangdong.approves(&proposed).await.has_status(200);
    guangdong.approves(&proposed).await.refused(409, "proposal-decided");
    let made = &decided.body["made"];
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made["state"], &made["granted_by"], &made["approved_by"]),
        (&json!("valid"), &json!("operator.440300"), &json!("operator.440000"))
    );
    assert_eq!(shenzhen.get("/v1/roles").await.body["entries"].as_array().unwrap().len(), 1, "the tried one is none");
    assert_eq!(hangzhou.get("/v1/roles").await.body["entries"], json!([]));
    let withdraw = format!("POST /v1/roles/{id}/withdraw");
    hangzhou.call(&withdraw, &[], None).await.refused(404, "not-found");

    switch(&citizen, &id, "/tax/company/").await;
    citizen.get("/tax/company/").await.came_from("tax");
    let ended = shenzhen.call(&withdraw, &[], None).await.has_status(200);
    assert_eq!((&ended.body["state"], &ended.body["withdrawn_by"]), (&json!("withdrawn"), &json!("operator.440300")));
    citizen.get("/tax/company/").await.is_problem(401, "sign-in-needed");
    let page = citizen.visit("/sign-in").await;
    assert!(page.body.contains("id=\"reason\"") && page.body.contains("收回了权限"), "{}", page.body);
}

async fn a_platform_of_others_gets_nothing_before_the_person_agrees(window: Window) {
    known(&window);
    let citizen = window.signed_in().await;
    let page = "/consent?platform=clinic&return_to=/clinic/";
    let refused = citizen.get("/clinic/").await;
    assert_eq!(refused.is_problem(403, "consent-needed").json()["address"], page);
    citizen.visit("/clinic/").await.leads_to(303, page);
    let asked = citizen.visit(page).await;
    assert!(asked.body.contains("110105********0015") && !asked.body.contains(ID_NUMBER), "{}", asked.body);
    let (csrf, attributes) = (asked.field("csrf"), asked.field("attributes"));
    let fields =
        [("csrf", csrf.as_str()), ("platform", "clinic"), ("attributes", &attributes), ("return_to", "/clinic/")];
    citizen.submit("/consent", &fields).await.leads_to(303, "/clinic/");
    let told = claims(&citizen, "/clinic/").await;
    assert_eq!((&told["id_number"], &told["phone"]), (&json!(ID_NUMBER), &Value::Null));

    let role = granted(&window, "agent");
    switch(&citizen, &role, "/clinic/").await;
    assert_eq!(claims(&citizen, "/clinic/").await["id_number"], Value::Null, "nothing of the agent, so nothing to ask");
    switch(&citizen, "self", "/clinic/").await;
    let csrf = citizen.visit("/account/privacy").await.field("csrf");
    citizen.submit("/account/consents/withdraw", &[("csrf", &csrf), ("platform", "clinic")]).await.has_status(303);
    citizen.get("/clinic/").await.is_problem(403, "consent-needed");
    citizen.get("/tax/person/").await.came_from("tax"); // of the same authority: nobody is asked
}

async fn an_operator_ends_sessions_and_the_browser_is_told(window: Window) {
    let (one, two) = (window.signed_in().await, window.signed_in().await);
    let nation = Clerk::operator(&window.gateway, "100000");
    let province = Clerk::operator(&window.gateway, "330000");
    let whose = json!({ "login": ZHANG.0 });
    let list = async |clerk: &Clerk| clerk.call("POST /v1/sessions/list", &[], Some(whose.clone())).await;
    list(&province).await.refused(403, "forbidden");
    let entries = list(&nation).await.has_status(200).body["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 2, "{entries}");
    let first = json!({ "login": ZHANG.0, "session": entries[0]["id"] });
    let end = async |body: &Value| nation.call("POST /v1/sessions/end", &[], Some(body.clone())).await;
    assert_eq!(end(&first).await.has_status(200).body["ended"], 1);
    end(&first).await.refused(404, "not-found");
    let statuses = [one.get("/account").await.status, two.get("/account").await.status];
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 1, "{statuses:?}");

    let said = told(&window, &["session", "list", "--login", ZHANG.0]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(
        told(&window, &["session", "end", "--login", ZHANG.0]),
        format!("1 sessions of account {} ended\n", ZHANG.0)
    );
    for citizen in [&one, &two] {
        is_signed_out(citizen).await;
        let page = citizen.visit("/sign-in").await;
        assert!(page.body.contains("管理人员结束了本次登录"), "{}", page.body);
    }
    let log = window.gateway.process.errors() + &window.gateway.process.output();
    assert!(!log.contains(ZHANG.0), "a login in the log: {log}");
}

async fn an_erased_account_opens_nothing(window: Window) {
    known(&window);
    let citizen = window.signed_in().await;
    let said = told(&window, &["account", "erase", ZHANG.0]);
    assert!(said.contains("1 sessions ended"), "{said}");
    is_signed_out(&citizen).await;
    assert!(citizen.visit("/sign-in").await.body.contains("该账户已注销"));
    assert_eq!(window.citizen().try_sign_in(ZHANG.0, ZHANG.1, "/").await.status, 401);
    let again = on_machine(&window.gateway, &["account", "erase", ZHANG.0]);
    assert!(!again.status.success());
}

#[tokio::test]
async fn a_role_that_ends_while_a_session_acts_in_it_is_acted_in_no_longer() {
    let postgres = Postgres::start();
    let window = Window::with(|setup| {
        setup.set("stores.register", postgres.url());
        setup.filings = filings();
    })
    .await;
    let (role, citizen) = (granted(&window, "agent"), window.signed_in().await);
    switch(&citizen, &role, "/tax/company/").await;
    postgres.ask("UPDATE subject_role SET valid_until = '2020-01-01'"); // no notice, no session ended: what the store says counts
    citizen.get("/tax/company/").await.is_problem(403, "role-ended");
    let page = "/account/subject?ended=yes&return_to=/tax/company/";
    citizen.visit("/tax/company/").await.leads_to(303, page);
    assert!(citizen.visit(page).await.body.contains("role=\"alert\""));
    switch(&citizen, "self", "/").await;
    citizen.get("/tax/person/").await.came_from("tax");
    let csrf = citizen.visit("/account/subject").await.field("csrf");
    let refused = citizen.submit("/account/subject", &[("csrf", &csrf), ("subject", &role)]).await;
    assert_eq!((refused.status, refused.header("yimen-error")), (403, "role-refused"));
    let actions = postgres.ask(
        "SELECT actor, action, object FROM record WHERE action IN ('switch-subject', 'grant-role') ORDER BY sequence",
    );
    let lines: Vec<&str> = actions.lines().collect();
    assert_eq!(lines.len(), 3, "{actions}");
    assert!(lines[0].starts_with("machine|grant-role|account:") && lines[2].ends_with(" self"), "{actions}");
    assert!(lines[1].contains(COMPANY) && !actions.contains(ZHANG.0), "{actions}");
}

#[tokio::test]
async fn two_cookies_of_one_name_are_refused_at_the_edge() {
    let window = Window::open().await;
    let citizen = window.signed_in().await;
    let cookie = citizen.cookie(SESSION_COOKIE).unwrap();
    let (path, double) =
        (format!("/s/330106/{NOTARY}/"), format!("{SESSION_COOKIE}={cookie}; {SESSION_COOKIE}={cookie}"));
    let nobody = window.citizen();
    let request = nobody.request(Method::GET, &path).header(ACCEPT, "application/json").header("cookie", double);
    nobody.send(request).await.is_problem(400, "bad-cookie");
    let request = nobody.request(Method::GET, &path).header(ACCEPT, "application/json");
    let request = request
        .header("cookie", format!("{SESSION_COOKIE}={cookie}"))
        .header("cookie", format!("a=b; {SESSION_COOKIE}={cookie}"));
    nobody.send(request).await.is_problem(400, "bad-cookie");
    citizen.get(&path).await.came_from("hangzhou");
}

#[tokio::test]
async fn whoever_is_another_subject_at_a_platforms_own_origin_switches_at_the_portal_and_comes_back() {
    let window = Window::with(|setup| {
        own_origins(setup);
        setup.filings = vec![
            Filing::of("hangzhou", "330100")
                .untrusted()
                .item(NOTARY, "access = \"required\"\nassurance = \"L1\"\nsubject = \"legal\""),
        ];
    })
    .await;
    let (role, traveller) = (granted(&window, "agent"), Traveller::of(&window.gateway));
    let target = format!("/s/330106/{NOTARY}/");
    let journey = traveller.visit_signing_in(&traveller.at_portal(&target), ZHANG).await;
    assert_eq!((journey.url.path(), journey.url.port()), ("/account/subject", Some(window.gateway.public.port())));
    assert!(journey.url.query().unwrap().contains("needs=legal"), "{}", journey.url);
    let fields =
        [("csrf", journey.answer.field("csrf")), ("subject", role), ("return_to", journey.answer.field("return_to"))];
    let form = traveller.request(Method::POST, &traveller.at_portal("/account/subject")).header(ACCEPT, "text/html");
    let form = form.header("origin", &window.gateway.origin).header("sec-fetch-site", "same-origin");
    let switched = traveller.send(form.form(&fields)).await;
    switched.has_status(303);
    assert!(switched.header("location").starts_with("/handover?platform=hangzhou&"), "{:?}", switched.headers);
    let there = traveller.visit(&traveller.at_portal(switched.header("location"))).await;
    assert_eq!(there.answer.status, 200, "{}", there.answer.body);
    let told = traveller.get(&traveller.at("hangzhou", &target)).await.json();
    assert_eq!(told["assertion"]["claims"]["represented"]["usc"], COMPANY);
}

#[tokio::test]
async fn a_person_switches_to_a_company_and_back_and_ends_another_session_in_a_real_browser() {
    let window = Window::with(|setup| setup.filings = filings()).await;
    granted(&window, "agent");
    let browser = Browser::open().await;
    let at = |path: &str| format!("{}{path}", window.gateway.origin);
    let signs_in = async |browser: &Browser| {
        browser.write("input[name=login]", ZHANG.0).await;
        browser.write("input[name=password]", ZHANG.1).await;
        browser.enter("input[name=password]").await;
    };
    browser.visit(&at("/tax/company/")).await;
    browser.arrives_at("/sign-in").await;
    signs_in(&browser).await;
    browser.arrives_at("/account/subject").await;
    browser.element_with_text("#needs", "法人").await;
    browser.click("#subjects button:not(.second)").await;
    browser.arrives_at("/tax/company/").await;
    assert_eq!(browser.text("#assertion-status").await, "verified");
    browser.element_with_text("body", COMPANY).await;
    let company = browser.text("#assertion-sub").await;

    browser.visit(&at("/search")).await;
    browser.element_with_text("#acting", "示例公司").await;
    browser.click("#subject option[value=self]").await;
    browser.click("#switch").await;
    browser.element_with_text("#who", ZHANG.0).await;
    browser.visit(&at("/tax/person/")).await;
    assert_ne!(browser.text("#assertion-sub").await, company);

    let other = window.signed_in().await;
    other.get("/account").await.has_status(200);
    browser.visit(&at("/account")).await;
    browser.click("#sessions ~ ul li:not(:has(.tag)) form button").await;
    browser.element_with_text("#done", "已结束该设备的登录").await;
    other.get("/account").await.is_problem(401, "sign-in-needed");
    assert!(other.visit("/sign-in").await.body.contains("您在另一台设备上结束了本机的登录"));
    browser.element_with_text("#who", ZHANG.0).await;
    browser.close().await;
}
