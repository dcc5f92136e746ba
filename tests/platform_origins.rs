//! An origin for each platform: where addresses lead, how a session comes along, and what it opens.

use std::future::ready;
use std::time::Duration;

use reqwest::Method;
use yimen::config::SessionStoreConfig;
use yimen::domain::{Assurance, PlatformId, Timestamp};
use yimen::session::{Live, Lookup, Nonce, Redeemed, SessionError, SessionId};

use crate::support::citizen::SESSION_COOKIE;
use crate::support::engine::on_both_session_engines;
use crate::support::filing::Filing;
use crate::support::node::Node;
use crate::support::redis::Redis;
use crate::support::traveller::{Journey, Traveller, host, own_origins};
use crate::support::until;
use crate::support::window::{NOTARY, QUALIFICATION, Window, ZHANG};

/// Hangzhou and the ministry are not trusted, Kunming is; a ticket lives as long as `ticket_seconds` says.
async fn window() -> Window {
    Window::with(|setup| {
        own_origins(setup);
        let signed_in = "access = \"required\"\nassurance = \"L1\"";
        setup.filings = vec![
            Filing::of("ministry", "100000")
                .untrusted()
                .item(NOTARY, signed_in)
                .item(QUALIFICATION, "access = \"optional\""),
            Filing::of("hangzhou", "330100")
                .untrusted()
                .item(NOTARY, signed_in)
                .path("/hangzhou/", "access = \"optional\""),
            Filing::of("kunming", "530100").path("/kunming/", "access = \"optional\""),
        ];
    })
    .await
}

fn notary(rest: &str) -> String {
    format!("/s/330106/{NOTARY}/{rest}")
}

/// Signed in at the portal, and by a hand-over at Hangzhou.
async fn at_hangzhou(window: &Window) -> Traveller {
    let traveller = Traveller::of(&window.gateway);
    traveller.visit_signing_in(&traveller.at_portal(&notary("")), ZHANG).await.answer.has_status(200);
    traveller
}

fn subject(answer: &crate::support::citizen::Answer) -> String {
    answer.json()["assertion"]["claims"]["sub"].as_str().unwrap_or_default().to_owned()
}

/// The step of a journey that carried the ticket.
fn ticket_of(journey: &Journey) -> &str {
    journey.steps.iter().find(|(url, _)| url.path() == "/.yimen/ticket").unwrap().0.as_str()
}

#[tokio::test]
async fn a_platform_that_is_not_trusted_answers_at_its_own_origin_only() {
    let window = window().await;
    let traveller = Traveller::of(&window.gateway);
    let open = format!("/s/330106/{QUALIFICATION}/a?b=c%20d");
    let (portal, own) = (traveller.at_portal(&open), traveller.at("ministry", &open));
    traveller.step(&portal).await.leads_to(303, &own);
    let program = traveller.get(&portal).await;
    program.is_problem(421, "other-origin");
    assert_eq!(program.json()["address"], own);
    let form = traveller.request(Method::POST, &portal).header("accept", "text/html").body("a=b");
    let page = traveller.send(form).await;
    page.has_status(421);
    assert!(page.body.contains(&format!("href=\"{own}\"")), "no way on: {}", page.body);
    traveller.get(&own).await.came_from("ministry");
    // Another platform's address on this one's host leads on to where it belongs, a trusted one's back to the portal.
    traveller.step(&traveller.at("hangzhou", &open)).await.leads_to(303, &own);
    let trusted = traveller.at_portal("/kunming/x");
    traveller.get(&trusted).await.came_from("kunming");
    for id in ["kunming", "hangzhou"] {
        traveller.step(&traveller.at(id, "/kunming/x")).await.leads_to(303, &trusted);
    }
    let anywhere = format!("/s/{QUALIFICATION}/");
    traveller.step(&traveller.at("ministry", &anywhere)).await.leads_to(307, &traveller.at_portal(&anywhere));
}

#[tokio::test]
async fn no_page_of_the_portal_is_shown_on_a_platforms_host() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    for path in
        ["/", "/sign-in", "/sign-out", "/account", "/region", "/.well-known/jwks.json", "/handover", "/.yimen/x"]
    {
        let url = traveller.at("hangzhou", path);
        traveller.get(&url).await.has_status(if path == "/.yimen/x" { 400 } else { 404 });
        let page = traveller.step(&url).await;
        page.has_status(404);
        let home = format!("href=\"{}/\"", window.gateway.origin);
        assert!(page.body.contains(&home) && !page.body.contains("href=\"/"), "{path}: {}", page.body);
    }
    traveller.get(&traveller.at("nobody", &notary(""))).await.is_problem(421, "unknown-host");
    traveller.get(&traveller.at("yimen", "/account")).await.has_status(404);
}

#[tokio::test]
async fn a_person_signs_in_once_and_comes_by_a_ticket_nobody_keeps() {
    let window = window().await;
    let traveller = Traveller::of(&window.gateway);
    let asked = notary("apply?step=2&name=%E5%BC%A0");
    let journey = traveller.visit_signing_in(&traveller.at_portal(&asked), ZHANG).await;
    assert_eq!(journey.url.as_str(), traveller.at("hangzhou", &asked));
    assert!(journey.answer.body.contains("id=\"assertion-status\">verified"), "{}", journey.answer.body);
    let answer = traveller.get(&traveller.at("hangzhou", &asked)).await;
    answer.came_from("hangzhou");
    assert_eq!(answer.json()["assertion"]["claims"]["aud"], "hangzhou");
    assert!(!format!("{:?}", answer.json()["headers"]).contains("__Host-yimen"), "{}", answer.body);

    let passed = |path: &str| journey.steps.iter().filter(|(url, _)| url.path() == path).collect::<Vec<_>>();
    for (url, step) in passed("/handover").into_iter().skip(1).chain(passed("/.yimen/ticket")) {
        assert_eq!(
            (step.header("referrer-policy"), step.header("cache-control")),
            ("no-referrer", "no-store"),
            "{url}"
        );
    }
    let (_, redeemed) = passed("/.yimen/ticket")[0];
    let lines: Vec<_> = redeemed.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let child = lines.iter().find(|line| line.starts_with(&format!("{SESSION_COOKIE}="))).unwrap();
    assert!(child.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{child}");
    let main = traveller.cookie("127.0.0.1", SESSION_COOKIE).unwrap();
    assert_ne!(
        traveller.cookie(&host("hangzhou"), SESSION_COOKIE).unwrap(),
        main,
        "the portal's session left its host"
    );

    // A second platform needs no second sign-in, and knows the person by another name.
    let elsewhere = traveller.visit(&traveller.at_portal(&format!("/s/530102/{NOTARY}/"))).await;
    assert_eq!(elsewhere.url.host_str(), Some(host("ministry").as_str()));
    let other = traveller.get(elsewhere.url.as_str()).await;
    other.came_from("ministry");
    assert_ne!(subject(&other), subject(&answer));

    let ticket = ticket_of(&journey).split("ticket=").nth(1).unwrap().split('&').next().unwrap();
    // The line of the last request stands behind those of all before it.
    let written = until("the access log is written", Duration::from_secs(5), || async {
        let output = window.gateway.process.output();
        output.contains("\"platform\":\"ministry\"").then_some(output)
    })
    .await;
    let written = written + &window.gateway.process.errors();
    assert!(written.contains("\"platform\":\"hangzhou\"") && !written.contains(ticket), "the ticket is in a log");
}

#[tokio::test]
async fn a_child_session_says_of_a_person_what_their_own_session_would() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    let claims = |answer: crate::support::citizen::Answer| {
        let claims = &answer.json()["assertion"]["claims"];
        ["sub", "sid", "acr", "auth_time", "amr"].map(|name| claims[name].clone())
    };
    let first = claims(traveller.get(&traveller.at("hangzhou", &notary(""))).await);
    assert!(first[0].as_str().is_some_and(|subject| subject.len() >= 16), "{first:?}");
    traveller.forget(&host("hangzhou"));
    traveller.visit(&traveller.at_portal(&notary(""))).await.answer.has_status(200);
    assert_eq!(claims(traveller.get(&traveller.at("hangzhou", &notary(""))).await), first, "another child");

    // The same platform, mounted on the portal's origin: the session itself introduces the person.
    let Window { gateway, platforms } = window;
    let settings = std::fs::read_to_string(&gateway.config).unwrap();
    let shared = settings.lines().filter(|line| !line.starts_with("platform_domain")).collect::<Vec<_>>().join("\n");
    std::fs::write(&gateway.config, shared).unwrap();
    let gateway = gateway.restarted().await;
    let answer = traveller.get(&traveller.at_portal(&notary(""))).await;
    answer.came_from("hangzhou");
    assert_eq!(claims(answer), first);
    drop((gateway, platforms));
}

#[tokio::test]
async fn a_ticket_works_once_in_one_browser_for_one_platform() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    let page = traveller.at("hangzhou", &notary(""));

    // Used: by the journey that brought us here.
    traveller.forget(&host("hangzhou"));
    let journey = traveller.visit(&page).await;
    let again = traveller.step(ticket_of(&journey)).await;
    again.leads_to(303, &notary("")); // the second of two tabs: it has its session already
    traveller.forget(&host("hangzhou"));
    let again = traveller.step(ticket_of(&journey)).await;
    again.has_status(403);
    assert_eq!(again.header("yimen-error"), "ticket-refused");
    assert!(again.body.contains(&format!("href=\"{}\"", notary(""))), "no way on: {}", again.body);

    let fresh_ticket = async || {
        traveller.forget(&host("hangzhou"));
        let handover = traveller.step(&page).await.header("location").to_owned();
        traveller.step(&handover).await.header("location").to_owned()
    };
    // Another browser, with a nonce of its own and without: nobody is signed in there by somebody else's ticket.
    let ticket = fresh_ticket().await;
    let other = Traveller::of(&window.gateway);
    other.step(&page).await.has_status(303);
    other.step(&ticket).await.has_status(403);
    assert_eq!(other.cookie(&host("hangzhou"), SESSION_COOKIE), None);
    traveller.step(&ticket).await.has_status(403); // whoever shows it takes it

    // Another platform, even one whose host has the same nonce.
    let ticket = fresh_ticket().await;
    let nonce = traveller.cookie(&host("hangzhou"), "__Host-yimen-nonce").unwrap();
    traveller.set_cookie(&host("ministry"), "__Host-yimen-nonce", &nonce);
    let elsewhere = traveller.step(&ticket.replace(&host("hangzhou"), &host("ministry"))).await;
    elsewhere.has_status(403);
    assert_eq!(traveller.cookie(&host("ministry"), SESSION_COOKIE), None);

    // A ticket is for people on their way, not for scripts, frames or heads.
    let ticket = fresh_ticket().await;
    traveller.get(&ticket).await.is_problem(400, "handover-refused");
    let frame = traveller.request(Method::GET, &ticket).header("sec-fetch-mode", "navigate");
    traveller.send(frame.header("sec-fetch-dest", "iframe")).await.has_status(400);
    traveller.step(&ticket).await.has_status(303);
}

#[tokio::test]
async fn an_old_ticket_is_refused_and_the_way_on_gets_another() {
    let window = Window::with(|setup| {
        own_origins(setup);
        setup.set("public.ticket_seconds", 1);
        let rules = "access = \"required\"\nassurance = \"L2\"";
        setup.filings = vec![Filing::of("hangzhou", "330100").untrusted().item(NOTARY, rules)];
    })
    .await;
    let traveller = at_hangzhou(&window).await;
    traveller.forget(&host("hangzhou"));
    let handover = traveller.step(&traveller.at("hangzhou", &notary(""))).await.header("location").to_owned();
    let ticket = traveller.step(&handover).await.header("location").to_owned();
    tokio::time::sleep(Duration::from_millis(1100)).await; // there is nothing to wait for but the end of its second
    traveller.step(&ticket).await.has_status(403);
    let on = traveller.visit(&traveller.at("hangzhou", &notary(""))).await;
    assert!(on.answer.body.contains("verified"), "{}", on.answer.body);
}

#[tokio::test]
async fn a_form_sent_without_a_session_can_be_sent_again_after_signing_in_aside() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    traveller.forget(&host("hangzhou"));
    let page = traveller.at("hangzhou", &notary("apply"));
    let form = || traveller.request(Method::POST, &page).header("accept", "text/html").form(&[("a", "b")]);
    let refused = traveller.send(form()).await;
    refused.has_status(401);
    let link = refused.body.split("href=\"").find(|rest| rest.starts_with("/.yimen/enter?to="));
    let link = link.unwrap_or_else(|| panic!("no way in: {}", refused.body)).split('"').next().unwrap();
    let journey = traveller.visit(&traveller.at("hangzhou", link)).await;
    assert!(journey.answer.body.contains("verified"), "{}", journey.answer.body);
    traveller.send(form()).await.has_status(200);
}

#[tokio::test]
async fn a_page_that_asks_for_more_leads_to_step_up_on_the_portals_origin() {
    let window = Window::with(|setup| {
        own_origins(setup);
        let (ordinary, strict) = (
            "access = \"required\"\nassurance = \"L1\"",
            "access = \"required\"\nassurance = \"L3\"\nmax_age_minutes = 5",
        );
        let hangzhou = Filing::of("hangzhou", "330100").untrusted().item(NOTARY, ordinary);
        setup.filings = vec![hangzhou.item(QUALIFICATION, strict)];
    })
    .await;
    let traveller = at_hangzhou(&window).await;
    let strict = format!("/s/330106/{QUALIFICATION}/");
    let journey = traveller.visit(&traveller.at("hangzhou", &strict)).await;
    assert_eq!((journey.url.host_str(), journey.url.path()), (Some("127.0.0.1"), "/sign-in"));
    let asked: Vec<(String, String)> = journey.url.query_pairs().into_owned().collect();
    let of = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap();
    assert!(of("return_to").starts_with("/handover?platform=hangzhou&"), "{asked:?}");
    assert_eq!((of("assurance"), of("max_age")), ("L3", "300"));
    assert!(journey.answer.body.contains("id=\"step-up\""), "{}", journey.answer.body);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_every_platform() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    traveller.visit(&traveller.at_portal(&format!("/s/530102/{NOTARY}/"))).await.answer.has_status(200);
    let account = traveller.step(&traveller.at_portal("/account")).await;
    let csrf = account.field("csrf");
    let form = traveller.request(Method::POST, &traveller.at_portal("/sign-out")).form(&[("csrf", &csrf)]);
    traveller.send(form.header("origin", &window.gateway.origin).header("accept", "text/html")).await.has_status(303);
    for (platform, division) in [("hangzhou", "330106"), ("ministry", "530102")] {
        assert!(traveller.cookie(&host(platform), SESSION_COOKIE).is_some());
        let page = traveller.at(platform, &format!("/s/{division}/{NOTARY}/"));
        traveller.get(&page).await.is_problem(401, "sign-in-needed");
        let journey = traveller.visit(&page).await;
        assert_eq!(journey.url.path(), "/sign-in");
    }
}

#[tokio::test]
async fn a_session_opens_its_own_origin_and_nothing_else() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    let child = traveller.cookie(&host("hangzhou"), SESSION_COOKIE).unwrap();
    let main = traveller.cookie("127.0.0.1", SESSION_COOKIE).unwrap();
    let stranger = Traveller::of(&window.gateway);
    stranger.set_cookie(&host("ministry"), SESSION_COOKIE, &child);
    stranger.set_cookie("127.0.0.1", SESSION_COOKIE, &child);
    let item = format!("/s/530102/{NOTARY}/");
    stranger.get(&stranger.at("ministry", &item)).await.is_problem(401, "sign-in-needed");
    let optional = stranger.get(&stranger.at("ministry", &format!("/s/330106/{QUALIFICATION}/"))).await;
    optional.came_from("ministry");
    assert_eq!(optional.json()["assertion"]["status"], "absent");
    stranger.get(&stranger.at_portal("/account")).await.is_problem(401, "sign-in-needed");
    let trusted = stranger.get(&stranger.at_portal("/kunming/x")).await;
    trusted.came_from("kunming");
    assert_eq!(trusted.json()["assertion"]["status"], "absent");
    stranger.set_cookie(&host("hangzhou"), SESSION_COOKIE, &main);
    stranger.get(&stranger.at("hangzhou", &notary(""))).await.is_problem(401, "sign-in-needed");
    stranger.set_cookie(&host("hangzhou"), SESSION_COOKIE, &child);
    stranger.get(&stranger.at("hangzhou", &notary(""))).await.came_from("hangzhou"); // the kit does send it
}

#[tokio::test]
async fn a_program_is_told_and_never_sent_around() {
    let window = window().await;
    let traveller = Traveller::of(&window.gateway);
    let refused = traveller.get(&traveller.at("hangzhou", &notary("a?b"))).await;
    refused.is_problem(401, "sign-in-needed");
    let sign_in = refused.json()["sign_in"].as_str().unwrap().to_owned();
    assert!(sign_in.starts_with(&format!("{}/sign-in?", window.gateway.origin)), "{sign_in}");
    let journey = traveller.visit_signing_in(&sign_in, ZHANG).await;
    assert_eq!(journey.url.as_str(), traveller.at("hangzhou", &notary("a?b")));
}

#[tokio::test]
async fn a_page_for_strangers_too_knows_who_comes_from_the_portal() {
    let window = window().await;
    let stranger = Traveller::of(&window.gateway);
    let journey = stranger.visit(&stranger.at_portal("/hangzhou/x")).await;
    assert_eq!(journey.url.as_str(), stranger.at("hangzhou", "/hangzhou/x"));
    assert_eq!(journey.steps.len(), 1, "a stranger goes straight there");
    let known = Traveller::of(&window.gateway);
    known.visit_signing_in(&known.at_portal("/account"), ZHANG).await.answer.has_status(200);
    let journey = known.visit(&known.at_portal("/hangzhou/x?y")).await;
    assert_eq!(journey.url.as_str(), known.at("hangzhou", "/hangzhou/x?y"));
    assert!(journey.answer.body.contains("verified"), "{}", journey.answer.body);
    // A session that has ended meanwhile makes a stranger, not a sign-in.
    known.set_cookie("127.0.0.1", SESSION_COOKIE, &SessionId::random().unwrap().encoded());
    known.forget(&host("hangzhou"));
    let journey = known.visit(&known.at_portal("/hangzhou/x")).await;
    assert_eq!(journey.url.as_str(), known.at("hangzhou", "/hangzhou/x"));
    assert!(journey.answer.body.contains("absent"), "{}", journey.answer.body);
}

#[tokio::test]
async fn a_sibling_brings_no_cookies_but_for_a_visit() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    let page = traveller.at("hangzhou", "/hangzhou/x");
    traveller.set_cookie(&host("hangzhou"), "sid", "1");
    let ask = |method: Method, fields: &[(&str, &str)]| {
        let request = traveller.request(method, &page).header("accept", "application/json");
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let cookies = |answer: &crate::support::citizen::Answer| {
        let headers = answer.json()["headers"].as_array().unwrap().clone();
        headers.iter().any(|line| line[0] == "cookie")
    };
    for fields in [
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        [("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")],
        [("origin", "https://ministry.services.example.localhost"), ("x-some", "thing")],
    ] {
        for method in [Method::POST, Method::GET] {
            let answer = traveller.send(ask(method, &fields)).await;
            answer.came_from("hangzhou");
            assert_eq!(answer.json()["assertion"]["status"], "absent", "{fields:?}");
            assert!(!cookies(&answer), "{fields:?}: {}", answer.body);
        }
    }
    for fields in [
        vec![("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
        vec![("origin", page.strip_suffix("/hangzhou/x").unwrap())],
        vec![],
    ] {
        let answer = traveller.send(ask(Method::POST, &fields)).await;
        assert_eq!(answer.json()["assertion"]["status"], "verified", "{fields:?}");
        assert!(cookies(&answer), "{fields:?}");
    }
    let link = traveller.request(Method::GET, &page).header("sec-fetch-site", "same-site");
    let link = link.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
    let answer = traveller.send(link.header("accept", "text/html")).await;
    assert!(answer.body.contains("verified"), "{}", answer.body);
}

#[tokio::test]
async fn the_hand_over_leads_to_our_platforms_only() {
    let window = window().await;
    let traveller = at_hangzhou(&window).await;
    let mark = Nonce::random().unwrap().mark().encoded();
    let to = percent_encoding::utf8_percent_encode(&notary(""), percent_encoding::NON_ALPHANUMERIC).to_string();
    let ask = |platform: &str, mark: &str, to: &str| {
        traveller.at_portal(&format!("/handover?platform={platform}&browser={mark}&to={to}"))
    };
    let good = traveller.step(&ask("hangzhou", &mark, &to)).await;
    good.has_status(303);
    assert!(good.header("location").starts_with(&traveller.at("hangzhou", "/.yimen/ticket?ticket=")));
    for bad in [
        ask("evil.example", &mark, &to),
        ask("nobody", &mark, &to),
        ask("kunming", &mark, "%2Fkunming%2F"), // trusted: it has no origin of its own
        ask("yimen", &mark, "%2Faccount"),
        ask("ministry", &mark, "%2Fhangzhou%2F"), // another platform's page
        ask("hangzhou", &mark, "%2F%2Fevil.example%2F"),
        ask("hangzhou", &mark, "https%3A%2F%2Fevil.example%2F"),
        ask("hangzhou", &mark, "%2F.yimen%2Fticket"),
        ask("hangzhou", &mark[1..], &to),
        traveller.at_portal("/handover"),
    ] {
        let answer = traveller.step(&bad).await;
        answer.has_status(400);
        assert_eq!(answer.header("location"), "", "{bad}");
    }
    traveller.get(&ask("hangzhou", &mark, &to)).await.is_problem(400, "handover-refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_signs_nobody_out_of_a_platform() {
    let mut redis = Redis::start();
    let window = Window::with(|setup| {
        own_origins(setup);
        setup.set("stores.sessions", redis.config().url);
        let rules = "access = \"required\"\nassurance = \"L2\"";
        setup.filings = vec![Filing::of("hangzhou", "330100").untrusted().item(NOTARY, rules)];
    })
    .await;
    let traveller = at_hangzhou(&window).await;
    tokio::task::block_in_place(|| redis.stop());
    let page = traveller.at("hangzhou", &notary(""));
    traveller.get(&page).await.came_from("hangzhou"); // both sessions are known here, for the grace
    let child = traveller.cookie(&host("hangzhou"), SESSION_COOKIE);
    traveller.forget(&host("hangzhou"));
    let journey = traveller.visit(&page).await;
    assert_eq!((journey.answer.status, journey.url.path()), (503, "/handover"), "{}", journey.answer.body);
    assert_eq!(journey.answer.header("yimen-error"), "session-store-away");
    assert!(child.is_some() && traveller.cookie("127.0.0.1", SESSION_COOKIE).is_some());
}

on_both_session_engines! {
    ready:
    of_twenty_who_show_a_ticket_one_gets_the_session
    who_works_at_a_platform_is_not_idle_at_the_portal
    a_child_ends_with_its_parent_on_every_node
    a_session_has_so_many_tickets_a_minute
}

const TICKET_LIFE: Duration = Duration::from_secs(30);

fn platform(id: &str) -> PlatformId {
    id.parse().unwrap()
}

async fn live(node: &Node, id: &SessionId, now: Timestamp) -> std::sync::Arc<Live> {
    match node.look_up(id, now).await {
        Lookup::Found(live) => live,
        other => panic!("{other:?}"),
    }
}

/// A parent, and a child of it for `hangzhou`.
async fn family(node: &Node, now: Timestamp) -> (SessionId, SessionId) {
    let parent = node.sign_in("alice", now).await;
    let nonce = Nonce::random().unwrap();
    let owner = live(node, &parent, now).await;
    let issued = node.sessions.issue_ticket(&owner, &platform("hangzhou"), nonce.mark(), TICKET_LIFE, now).await;
    let ticket = issued.unwrap().unwrap();
    match node.sessions.redeem(&ticket, &platform("hangzhou"), Some(&nonce), None, now).await.unwrap() {
        Redeemed::Begun(child) => (parent, child),
        other => panic!("{other:?}"),
    }
}

async fn opens(node: &Node, child: &SessionId, id: &str, now: Timestamp) -> bool {
    let found = node.sessions.look_up_child(child, &platform(id), Assurance::L1, now).await;
    matches!(found, Lookup::Found(_))
}

async fn of_twenty_who_show_a_ticket_one_gets_the_session(store: SessionStoreConfig) {
    let node = Node::on(store).await;
    let now = Timestamp::now();
    let parent = node.sign_in("alice", now).await;
    let owner = live(&node, &parent, now).await;
    let nonce = std::sync::Arc::new(Nonce::random().unwrap());
    let issued = node.sessions.issue_ticket(&owner, &platform("hangzhou"), nonce.mark(), TICKET_LIFE, now).await;
    let ticket = issued.unwrap().unwrap().encoded();
    let tries = (0..20).map(|_| {
        let (sessions, nonce, ticket) = (node.sessions.clone(), nonce.clone(), ticket.clone());
        tokio::spawn(async move {
            let ticket = yimen::session::Ticket::parse(&ticket).unwrap();
            sessions.redeem(&ticket, &platform("hangzhou"), Some(&nonce), None, now).await.unwrap()
        })
    });
    let mut begun = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Redeemed::Begun(child) => {
                begun += 1;
                assert!(opens(&node, &child, "hangzhou", now).await && !opens(&node, &child, "ministry", now).await);
            }
            Redeemed::Refused => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(begun, 1);
}

async fn who_works_at_a_platform_is_not_idle_at_the_portal(store: SessionStoreConfig) {
    let node = Node::on(store).await;
    let now = Timestamp::now();
    let minutes = |number: u64| now.plus(Duration::from_secs(60 * number));
    let (parent, child) = family(&node, now).await;
    for (round, minute) in (1..).zip([10, 20, 30]) {
        assert!(opens(&node, &child, "hangzhou", minutes(minute)).await, "idle is 15 minutes");
        until("both last-seen times are written", Duration::from_secs(5), || async {
            (node.calls("touch") >= 2 * round).then_some(())
        })
        .await;
    }
    assert!(node.knows(&parent, minutes(40)).await, "who works at a platform is not idle at the portal");
    assert!(!opens(&node, &parent, "hangzhou", minutes(40)).await, "the portal's own session opens no platform's host");
    assert!(!opens(&node, &child, "hangzhou", minutes(12 * 60)).await, "twelve hours after sign-in it is over");
}

async fn a_child_ends_with_its_parent_on_every_node(store: SessionStoreConfig) {
    let (node, elsewhere) = (Node::on(store.clone()).await, Node::on(store).await);
    let now = Timestamp::now();
    let (parent, child) = family(&node, now).await;
    assert!(opens(&elsewhere, &child, "hangzhou", now).await);
    node.sessions.end(&parent.key()).await.unwrap();
    assert!(!opens(&node, &child, "hangzhou", now).await);
    until("the other node has heard", Duration::from_secs(5), || async {
        (!opens(&elsewhere, &child, "hangzhou", now).await).then_some(())
    })
    .await;
}

async fn a_session_has_so_many_tickets_a_minute(store: SessionStoreConfig) {
    let node = Node::on(store).await;
    let now = Timestamp::now();
    let parent = node.sign_in("alice", now).await;
    let owner = live(&node, &parent, now).await;
    let mut issued = 0;
    for _ in 0..70 {
        let mark = Nonce::random().unwrap().mark();
        match node.sessions.issue_ticket(&owner, &platform("hangzhou"), mark, TICKET_LIFE, now).await {
            Ok(ticket) => issued += usize::from(ticket.is_some()),
            Err(error) => assert!(matches!(error, SessionError::StoreAway), "{error}"), // a busy disk
        }
    }
    assert!(issued <= 60, "{issued}");
}
