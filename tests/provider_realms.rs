//! Signing in by a provider, and everything that a hostile one may try: each lie is refused with a page that leads on, and
//! nobody is signed in.

use std::fs;

use serde_json::{Value, json};

use crate::support::citizen::{Answer, Citizen, SESSION_COOKIE};
use crate::support::clerk::Clerk;
use crate::support::engine::{Engine, on_both};
use crate::support::gateway::{Gateway, Setup};
use crate::support::provider::{CLIENT_SECRET, Provider, Sign, Token, now};
use crate::support::redis::Redis;
use crate::support::until;

/// A gateway with one provider realm.
struct Town {
    gateway: Gateway,
    provider: Provider,
}

impl Town {
    async fn open() -> Self {
        Self::with(|_| {}, "").await
    }

    async fn with(change: impl FnOnce(&mut Setup), more: &str) -> Self {
        let provider = Provider::start().await;
        let realm = provider.realm("nation", more);
        let gateway = Gateway::with(|setup| {
            accepts(setup, &realm);
            change(setup);
        })
        .await;
        Self { gateway, provider }
    }

    fn citizen(&self) -> Citizen {
        Citizen::of(&self.gateway)
    }

    /// Goes to the provider; its address.
    async fn departs(&self, citizen: &Citizen, query: &str) -> String {
        let answer = citizen.visit(&format!("/sign-in/nation?{query}")).await;
        answer.has_status(303).header("location").to_owned()
    }

    /// Goes there, says yes, and comes back.
    async fn signs_in(&self, citizen: &Citizen) -> Answer {
        let address = self.departs(citizen, "return_to=/account").await;
        citizen.visit(&self.provider.approve(&address)).await
    }

    /// Nobody is signed in, and the page leads on.
    async fn refuses(&self, status: u16, code: &str) {
        let citizen = self.citizen();
        let answer = self.signs_in(&citizen).await;
        refused(&answer, &citizen, status, code);
    }
}

fn accepts(setup: &mut Setup, realm: &str) {
    fs::write(setup.folder.path().join("provider.secret"), format!("{CLIENT_SECRET}\n")).unwrap();
    setup.set("providers.loopback_http", true);
    setup.more.push_str(realm);
}

#[track_caller]
fn refused(answer: &Answer, citizen: &Citizen, status: u16, code: &str) {
    answer.has_status(status);
    assert_eq!(answer.header("yimen-error"), code);
    assert!(answer.body.contains("/sign-in?return_to="), "the page leads nowhere: {}", answer.body);
    assert_eq!(citizen.cookie(SESSION_COOKIE), None, "somebody was signed in");
}

#[tokio::test]
async fn a_person_signs_in_by_a_provider_and_gets_the_level_of_its_table() {
    let town = Town::open().await;
    let citizen = town.citizen();
    assert!(
        citizen.visit("/sign-in?return_to=/account").await.body.contains("href=\"/sign-in/nation?return_to=/account\"")
    );
    town.signs_in(&citizen).await.leads_to(303, "/account");
    let page = citizen.visit("/account").await;
    page.has_status(200);
    assert!(page.body.contains("<dd>L3</dd>") && page.body.contains("李雷"), "{}", page.body);
    assert_eq!(town.gateway.metric("yimen_provider_sign_ins_total", "result=\"ok\"").await, 1.0);
}

#[tokio::test]
async fn a_word_that_the_table_does_not_have_is_l1() {
    let town = Town::open().await;
    town.provider.bends(|token| token.claims["acr"] = json!("urn:example:everything"));
    let citizen = town.citizen();
    town.signs_in(&citizen).await.leads_to(303, "/account");
    let page = citizen.visit("/account").await.body;
    assert!(page.contains("<dd>L1</dd>"), "{page}");
}

#[tokio::test]
async fn the_provider_is_asked_for_the_level_that_the_route_needs_and_must_reach_it() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account&assurance=L3&max_age=300").await;
    assert!(
        address.contains("acr_values=urn%3Aexample%3Areal-name&") || address.ends_with("urn%3Aexample%3Areal-name")
    );
    assert!(address.contains("max_age=300"), "{address}");
    town.provider.bends(|token| token.claims["acr"] = json!("urn:example:basic"));
    let answer = citizen.visit(&town.provider.approve(&address)).await;
    refused(&answer, &citizen, 403, "level-not-reached");
    assert!(answer.body.contains("身份平台"), "the provider is not named: {}", answer.body);
    assert!(answer.body.contains("return_to=/account"), "the way back is lost: {}", answer.body);
}

#[tokio::test]
async fn a_realm_that_cannot_reach_the_level_is_not_offered() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let offered =
        async |query: &str| citizen.visit(&format!("/sign-in?{query}")).await.body.contains("/sign-in/nation");
    assert!(offered("return_to=/account").await && offered("assurance=L3").await);
    assert!(!offered("assurance=L4").await);
    let answer = citizen.visit("/sign-in/nation?assurance=L4").await;
    refused(&answer, &citizen, 404, "no-realm");
    refused(&citizen.visit("/sign-in/nowhere").await, &citizen, 404, "no-realm");
}

async fn the_same_person_is_the_same_subject_and_another_is_another(town: Town) {
    let subject = async |sub: &'static str| {
        town.provider.bends(move |token| {
            token.claims["sub"] = json!(sub);
            token.claims["name"] = json!("name");
        });
        let citizen = town.citizen();
        town.signs_in(&citizen).await.leads_to(303, "/account");
        let page = citizen.visit("/account").await.body;
        page.matches("class=\"session\"").count()
    };
    assert_eq!((subject("one").await, subject("one").await, subject("two").await), (1, 2, 1));
}

/// Each lie in a token is refused for what it is, and nobody is signed in.
macro_rules! lies_in_tokens {
    ($($name:ident: $reason:literal, $bend:expr;)*) => { $(
        #[tokio::test]
        async fn $name() {
            let town = Town::open().await;
            let bend: fn(&mut Token) = $bend;
            town.provider.bends(bend);
            town.refuses(502, "provider-untrusted").await;
            let told = town.gateway.process.errors();
            assert!(told.contains($reason), "refused for another reason: {told}");
        }
    )* };
}

fn without(token: &mut Token, claim: &str) {
    token.claims.as_object_mut().unwrap().remove(claim).unwrap();
}

lies_in_tokens! {
    a_token_of_another_issuer_is_refused: "its issuer is another",
        |token| token.claims["iss"] = json!("https://evil.example");
    a_token_without_an_issuer_is_refused: "its issuer is another", |token| without(token, "iss");
    a_token_for_another_client_is_refused: "not this client alone", |token| token.claims["aud"] = json!("somebody");
    a_token_for_others_besides_is_refused: "not this client alone",
        |token| token.claims["aud"] = json!(["yimen", "somebody"]);
    a_token_without_an_audience_is_refused: "not this client alone", |token| without(token, "aud");
    a_token_for_another_authorized_party_is_refused: "authorized party", |token| token.claims["azp"] = json!("somebody");
    a_token_with_another_nonce_is_refused: "its nonce", |token| token.claims["nonce"] = json!("another");
    a_token_without_a_nonce_is_refused: "its nonce", |token| without(token, "nonce");
    a_token_without_an_end_is_refused: "no exp", |token| without(token, "exp");
    a_token_without_a_time_of_issue_is_refused: "no iat", |token| without(token, "iat");
    a_token_without_a_subject_is_refused: "no sub", |token| without(token, "sub");
    a_token_without_auth_time_is_refused: "no auth_time", |token| without(token, "auth_time");
    a_token_from_the_future_is_refused: "from the future", |token| token.claims["iat"] = json!(now() + 3600);
    a_token_that_is_not_valid_yet_is_refused: "from the future", |token| token.claims["nbf"] = json!(now() + 3600);
    a_token_that_has_expired_is_refused: "has expired", |token| token.claims["exp"] = json!(now() - 3600);
    a_token_that_was_issued_long_ago_is_refused: "too long ago", |token| token.claims["iat"] = json!(now() - 3600);
    a_proof_longer_ago_than_asked_is_refused: "longer ago than max_age",
        |token| token.claims["auth_time"] = json!(now() - 48 * 3600);
    a_token_for_another_access_token_is_refused: "at_hash",
        |token| token.claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA");
    a_token_about_a_logout_signs_nobody_in: "about an event",
        |token| token.claims["events"] = json!({ crate::support::provider::LOGOUT_EVENT: {} });
    a_token_of_no_algorithm_is_refused: "its algorithm", |token| {
        token.header["alg"] = json!("none");
        token.sign = Sign::None;
    };
    an_hmac_with_the_public_key_is_refused: "its algorithm", |token| {
        token.header["alg"] = json!("HS256");
        token.sign = Sign::Confused;
    };
    an_algorithm_that_the_settings_do_not_allow_is_refused: "its algorithm", |token| token.header["alg"] = json!("ES384");
    a_token_signed_by_another_key_is_refused: "its signature", |token| token.sign = Sign::Other;
    a_token_of_an_unknown_key_is_refused: "a key that is not in its key set",
        |token| token.header["kid"] = json!("second");
    a_key_name_that_is_a_path_is_refused: "a key that is not in its key set",
        |token| token.header["kid"] = json!("../../../../dev/null");
    a_key_name_that_is_a_statement_is_refused: "a key that is not in its key set",
        |token| token.header["kid"] = json!("first' UNION SELECT 'x");
    a_key_that_the_token_brings_along_is_refused: "its signature", |token| {
        token.header["jwk"] = json!({"kty": "oct", "k": "AAAA"});
        token.header["jku"] = json!("https://evil.example/jwks");
        token.header.as_object_mut().unwrap().remove("kid");
        token.sign = Sign::Other;
    };
    a_token_of_another_type_is_refused: "its type", |token| token.header["typ"] = json!("at+jwt");
    a_logout_token_is_no_id_token: "its type", |token| token.header["typ"] = json!("logout+jwt");
    a_header_that_demands_the_unknown_is_refused: "demands what we do not know",
        |token| token.header["crit"] = json!(["b64"]);
}

#[tokio::test]
async fn a_key_that_is_changed_while_somebody_signs_in_is_found() {
    let town = Town::open().await;
    town.signs_in(&town.citizen()).await.leads_to(303, "/account");
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account").await;
    town.provider.rotates_its_key("second");
    citizen.visit(&town.provider.approve(&address)).await.leads_to(303, "/account");
    // A second unknown key within half a minute is not looked for: made-up names cost the provider nothing.
    let looked = town.provider.asked("/jwks");
    town.provider.bends(|token| token.header["kid"] = json!("third"));
    for _ in 0..3 {
        town.refuses(502, "provider-untrusted").await;
    }
    assert_eq!(town.provider.asked("/jwks"), looked);
}

#[tokio::test]
async fn a_provider_that_hangs_costs_one_deadline() {
    let town = Town::open().await;
    town.provider.lies(|lies| lies.hangs = true);
    let citizen = town.citizen();
    let answer = town.signs_in(&citizen).await;
    refused(&answer, &citizen, 503, "provider-away");
    assert!(answer.took.as_secs() < 5, "{:?}", answer.took);
    assert!(answer.body.contains("身份平台"), "the provider is not named: {}", answer.body);
}

#[tokio::test]
async fn a_key_set_of_five_megabytes_is_not_read() {
    let town = Town::open().await;
    town.provider.lies(|lies| lies.jwks = Some(format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(5 * 1024 * 1024))));
    town.refuses(502, "provider-untrusted").await;
}

#[tokio::test]
async fn garbage_in_place_of_tokens_is_refused() {
    let town = Town::open().await;
    for garbage in ["<html>", "[]", "{\"id_token\": 7}", "{\"id_token\": \"a.b.c\"}", "{}", "\u{0}"] {
        town.provider.lies(|lies| lies.token_answer = Some(garbage.to_owned()));
        town.refuses(502, "provider-untrusted").await;
    }
}

#[tokio::test]
async fn user_information_of_somebody_else_is_refused() {
    let town = Town::open().await;
    town.provider.lies(|lies| lies.userinfo_sub = Some("person-2".to_owned()));
    town.refuses(502, "provider-untrusted").await;
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_a_mix_up_and_refused() {
    let town = Town::open().await;
    for iss in ["https://evil.example", ""] {
        town.provider.lies(|lies| lies.iss = Some(iss.to_owned()));
        town.refuses(502, "provider-untrusted").await;
    }
    assert_eq!(town.provider.asked("/token"), 0, "the code was shown");
}

#[tokio::test]
async fn an_answer_at_another_realms_address_is_a_mix_up_and_refused() {
    let other = Provider::start().await;
    let realm = other.realm("other", "");
    let town = Town::with(|setup| setup.more.push_str(&realm), "").await;
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account").await;
    let back = town.provider.approve(&address).replace("/sign-in/nation/", "/sign-in/other/");
    refused(&citizen.visit(&back).await, &citizen, 502, "provider-untrusted");
    assert_eq!(other.asked("/token"), 0, "the code was shown to the other provider");
}

#[tokio::test]
async fn a_provider_without_pkce_or_of_another_name_is_refused() {
    for lie in [
        json!({ "code_challenge_methods_supported": ["plain"] }),
        json!({ "issuer": "https://evil.example" }),
        json!({ "token_endpoint": "http://example.com/token" }),
    ] {
        let town = Town::open().await;
        town.provider.lies(|lies| lies.metadata = lie);
        let citizen = town.citizen();
        refused(&citizen.visit("/sign-in/nation?return_to=/account").await, &citizen, 502, "provider-untrusted");
    }
}

#[tokio::test]
async fn a_state_is_taken_once() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account").await;
    let back = town.provider.approve(&address);
    let names: Vec<String> = transaction_cookies(&citizen);
    let value = citizen.cookie(&names[0]).unwrap();
    citizen.visit(&back).await.leads_to(303, "/account");
    assert_eq!(transaction_cookies(&citizen), Vec::<String>::new(), "its cookie is gone");
    let session = citizen.cookie(SESSION_COOKIE);
    citizen.set_cookie(&names[0], &value); // even with the cookie put back
    let again = citizen.visit(&back).await;
    assert_eq!((again.status, again.header("yimen-error")), (400, "sign-in-over"));
    assert!(again.body.contains("href=\"/\""), "a page with a way on: {}", again.body);
    assert_eq!(citizen.cookie(SESSION_COOKIE), session, "who is signed in stays so");
    assert_eq!(town.provider.asked("/token"), 1);
}

fn transaction_cookies(citizen: &Citizen) -> Vec<String> {
    citizen.cookie_names().into_iter().filter(|name| name.starts_with("__Host-yimen-tx-")).collect()
}

#[tokio::test]
async fn the_state_of_another_browser_signs_nobody_in() {
    let town = Town::open().await;
    let (attacker, victim) = (town.citizen(), town.citizen());
    let address = town.departs(&attacker, "return_to=/account").await;
    let back = town.provider.approve(&address);
    town.departs(&victim, "return_to=/account").await; // has a sign-in of their own under way
    refused(&victim.visit(&back).await, &victim, 400, "sign-in-over");
    let own = transaction_cookies(&victim);
    victim.set_cookie(&transaction_cookies(&attacker)[0], &victim.cookie(&own[0]).unwrap());
    refused(&victim.visit(&back).await, &victim, 400, "sign-in-over");
    assert_eq!(town.provider.asked("/token"), 0, "the code was shown");
}

#[tokio::test]
async fn an_unknown_or_missing_state_is_a_page_with_a_way_on() {
    let town = Town::open().await;
    let citizen = town.citizen();
    for query in ["", "?code=x", "?code=x&state=unknown", "?error=access_denied", "?state=a&state=b"] {
        let answer = citizen.visit(&format!("/sign-in/nation/callback{query}")).await;
        refused(&answer, &citizen, 400, "sign-in-over");
    }
}

#[tokio::test]
async fn who_goes_back_at_the_provider_can_choose_again() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account").await;
    let back = town.provider.approve(&address).replace("code=", "error=access_denied&x=");
    let answer = citizen.visit(&back).await;
    refused(&answer, &citizen, 403, "provider-refused");
    assert!(answer.body.contains("return_to=/account"), "{}", answer.body);
}

#[tokio::test]
async fn each_tab_has_its_sign_in_and_the_oldest_of_too_many_goes() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let mut backs = Vec::new();
    for tab in 0..6 {
        let address = town.departs(&citizen, &format!("return_to=/search?q={tab}")).await;
        backs.push(town.provider.approve(&address));
    }
    assert_eq!(transaction_cookies(&citizen).len(), 5);
    let mut ended = Vec::new();
    for (tab, back) in backs.iter().enumerate() {
        let answer = citizen.visit(back).await;
        match answer.status {
            303 => assert_eq!(answer.header("location"), format!("/search?q={tab}")),
            _ => ended.push(answer.header("yimen-error").to_owned()),
        }
    }
    assert_eq!(ended, ["sign-in-over"], "five tabs came back to their own pages");
}

#[tokio::test]
async fn a_script_in_the_background_gets_no_cookie_and_no_redirect() {
    let town = Town::open().await;
    let citizen = town.citizen();
    let request = citizen.request(reqwest::Method::GET, "/sign-in/nation").header("sec-fetch-mode", "cors");
    let answer = citizen.send(request).await;
    assert_eq!((answer.status, answer.headers.get("set-cookie")), (400, None));
}

#[tokio::test]
async fn a_provider_that_is_away_is_named_and_live_sessions_go_on() {
    let town = Town::open().await;
    let early = town.citizen();
    town.signs_in(&early).await.leads_to(303, "/account");
    town.provider.lies(|lies| lies.away = true);
    early.visit("/account").await.has_status(200);
    let late = town.citizen();
    let answer = town.signs_in(&late).await;
    refused(&answer, &late, 503, "provider-away");
    assert!(answer.body.contains("身份平台"), "{}", answer.body);
    town.provider.lies(|lies| lies.away = false);
    town.signs_in(&late).await.leads_to(303, "/account");
}

#[tokio::test]
async fn requests_are_pushed_where_the_settings_or_the_provider_want_it() {
    let town = Town::with(|_| {}, "par = true").await;
    let citizen = town.citizen();
    let address = town.departs(&citizen, "return_to=/account").await;
    assert!(!address.contains("code_challenge") && !address.contains("state="), "{address}");
    citizen.visit(&town.provider.approve(&address)).await.leads_to(303, "/account");
    assert_eq!(town.provider.asked("/par"), 1);
    let town = Town::open().await;
    town.provider.lies(|lies| lies.metadata = json!({ "require_pushed_authorization_requests": true }));
    town.signs_in(&town.citizen()).await.leads_to(303, "/account");
    assert_eq!(town.provider.asked("/par"), 1);
}

/// A platform that trades a code for user information, without a signed token.
fn adapter(provider: &Provider, more: &str) -> String {
    let issuer = &provider.issuer;
    format!(
        "[[realm]]\nid = \"city\"\nname = \"市平台\"\nname_en = \"City\"\nkind = \"code-userinfo\"\nissuer = \"{issuer}\"\n\
         client_id = \"yimen\"\nclient_secret_file = \"provider.secret\"\nauthorize_url = \"{issuer}/auth\"\n\
         token_url = \"{issuer}/token\"\nuserinfo_url = \"{issuer}/me\"\nsubject_pointer = \"/data/user/id\"\n\
         name_pointer = \"/data/user/real_name\"\nlevel_pointer = \"/data/level\"\nlevels = {{ 2 = \"L2\" }}\n{more}\n"
    )
}

#[tokio::test]
async fn a_platform_that_is_not_quite_openid_connect_is_read_by_its_field_mapping() {
    for more in ["", "client_auth = \"client_secret_post\"\nuserinfo_token = \"form\""] {
        let provider = Provider::start().await;
        let realm = adapter(&provider, more);
        let gateway = Gateway::with(|setup| accepts(setup, &realm)).await;
        let citizen = Citizen::of(&gateway);
        let fresh = citizen.visit("/sign-in?return_to=/account&max_age=300").await.body;
        assert!(!fresh.contains("/sign-in/city"), "it never asks again, so it proves nothing fresh");
        let address =
            citizen.visit("/sign-in/city?return_to=/account&assurance=L2").await.header("location").to_owned();
        citizen.visit(&provider.approve(&address)).await.leads_to(303, "/account");
        let page = citizen.visit("/account").await.body;
        assert!(page.contains("韩梅梅") && page.contains("<dd>L2</dd>"), "{page}");
    }
}

#[tokio::test]
async fn user_information_without_a_subject_signs_nobody_in() {
    let provider = Provider::start().await;
    let realm = adapter(&provider, "").replace("/data/user/id", "/data/user/number");
    let gateway = Gateway::with(|setup| accepts(setup, &realm)).await;
    let citizen = Citizen::of(&gateway);
    let address = citizen.visit("/sign-in/city?return_to=/account").await.header("location").to_owned();
    refused(&citizen.visit(&provider.approve(&address)).await, &citizen, 502, "provider-untrusted");
}

// The word of a provider that a session ended.

async fn tells(town: &Town, token: &str) -> Answer {
    let program = town.citizen();
    let request = program.request(reqwest::Method::POST, "/sign-in/nation/back-channel-logout");
    let answer = program.send(request.form(&[("logout_token", token)])).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    answer
}

async fn a_provider_ends_sessions(town: Town) {
    let (one, two) = (town.citizen(), town.citizen());
    for (citizen, sid) in [(&one, "session-1"), (&two, "session-2")] {
        town.provider.bends(move |token| token.claims["sid"] = json!(sid));
        town.signs_in(citizen).await.leads_to(303, "/account");
    }
    tells(&town, &town.provider.logout_token(|_| {})).await.has_status(200);
    one.get("/account").await.has_status(401);
    two.get("/account").await.has_status(200);
    let of_the_person = town.provider.logout_token(|token| {
        without(token, "sid");
        token.claims["sub"] = json!("person-1");
    });
    tells(&town, &of_the_person).await.has_status(200);
    two.get("/account").await.has_status(401);
    assert_eq!(town.gateway.metric("yimen_sessions_ended_total", "reason=\"provider\"").await, 2.0);
}

#[tokio::test]
async fn a_provider_ends_sessions_by_sid_and_by_sub_on_sqlite() {
    a_provider_ends_sessions(Town::open().await).await;
}

#[tokio::test]
async fn a_provider_ends_sessions_by_sid_and_by_sub_on_redis() {
    let redis = Redis::start();
    let url = format!("redis://127.0.0.1:{}/0", redis.port());
    a_provider_ends_sessions(Town::with(|setup| setup.set("stores.sessions", url), "").await).await;
}

#[tokio::test]
async fn a_logout_token_is_taken_once() {
    let town = Town::open().await;
    let token = town.provider.logout_token(|_| {});
    tells(&town, &token).await.has_status(200);
    let citizen = town.citizen();
    town.signs_in(&citizen).await.leads_to(303, "/account");
    tells(&town, &token).await.has_status(400);
    citizen.get("/account").await.has_status(200);
}

#[tokio::test]
async fn a_forged_logout_token_ends_nothing() {
    let town = Town::open().await;
    let citizen = town.citizen();
    town.signs_in(&citizen).await.leads_to(303, "/account");
    type Lie = (&'static str, fn(&mut Token));
    let lies: Vec<Lie> = vec![
        ("another key", |token| token.sign = Sign::Other),
        ("no algorithm", |token| {
            token.header["alg"] = json!("none");
            token.sign = Sign::None;
        }),
        ("an HMAC with the public key", |token| {
            token.header["alg"] = json!("HS256");
            token.sign = Sign::Confused;
        }),
        ("another type", |token| token.header["typ"] = json!("JWT")),
        ("another issuer", |token| token.claims["iss"] = json!("https://evil.example")),
        ("another audience", |token| token.claims["aud"] = json!("somebody")),
        ("no audience", |token| without(token, "aud")),
        ("no event", |token| without(token, "events")),
        ("another event", |token| token.claims["events"] = json!({ "urn:other": {} })),
        ("a nonce", |token| token.claims["nonce"] = json!("n")),
        ("nobody", |token| without(token, "sid")),
        ("no jti", |token| without(token, "jti")),
        ("no iat", |token| without(token, "iat")),
        ("no exp", |token| without(token, "exp")),
        ("long ago", |token| token.claims["iat"] = json!(now() - 600)),
        ("the future", |token| token.claims["iat"] = json!(now() + 600)),
        ("expired", |token| token.claims["exp"] = json!(now() - 600)),
    ];
    for (what, bend) in lies {
        let answer = tells(&town, &town.provider.logout_token(bend)).await;
        assert_eq!((what, answer.status), (what, 400), "{}", answer.body);
    }
    for garbage in ["", "x", "a.b.c"] {
        tells(&town, garbage).await.has_status(400);
    }
    citizen.get("/account").await.has_status(200);
}

#[tokio::test]
async fn sign_out_leads_on_to_the_provider() {
    let town = Town::open().await;
    let citizen = town.citizen();
    town.signs_in(&citizen).await.leads_to(303, "/account");
    let csrf = citizen.visit("/sign-out").await.field("csrf");
    let out = citizen.submit("/sign-out", &[("csrf", &csrf)]).await;
    out.leads_to(303, "/sign-out?realm=nation");
    let page = citizen.visit("/sign-out?realm=nation").await.has_status(200).body.clone();
    assert!(page.contains(&format!("{}/end?client_id=yimen", town.provider.issuer)), "{page}");
    assert!(!page.contains("id_token_hint"), "no token is kept, so none can be shown");
    citizen.get("/account").await.has_status(401);
}

// Linking: both are proven.

async fn an_account_gets_an_identity_only_when_both_are_proven(town: Town) {
    town.gateway.add_account("zhang", "four brave horses 4", "L2");
    let zhang = town.citizen();
    zhang.sign_in("zhang", "four brave horses 4").await;
    let csrf = zhang.visit("/account/identities").await.has_status(200).field("csrf");
    let forged = town.citizen().submit("/account/identities/link", &[("csrf", "x"), ("realm", "nation")]).await;
    assert_eq!((forged.status, forged.header("yimen-error")), (401, "sign-in-needed"));
    zhang.submit("/account/identities/link", &[("csrf", "forged"), ("realm", "nation")]).await.has_status(403);
    let page = zhang.submit("/account/identities/link", &[("csrf", &csrf), ("realm", "nation")]).await;
    let address = link(&page);
    // Somebody else's browser cannot finish it.
    let other = town.citizen();
    other.visit(&town.provider.approve(&address)).await.has_status(400);
    let csrf = zhang.visit("/account/identities").await.field("csrf");
    let page = zhang.submit("/account/identities/link", &[("csrf", &csrf), ("realm", "nation")]).await;
    zhang.visit(&town.provider.approve(&link(&page))).await.leads_to(303, "/account/identities");
    // From now on the provider's word is as good as the password, with the provider's level.
    let again = town.citizen();
    town.signs_in(&again).await.leads_to(303, "/account");
    assert!(again.visit("/account").await.body.contains("<dd>L3</dd>"));
    assert_eq!(again.visit("/account").await.body.matches("class=\"session\"").count(), 2, "one subject");
    // Another account cannot have the same identity.
    town.gateway.add_account("wang", "five brave horses 5", "L2");
    let wang = town.citizen();
    wang.sign_in("wang", "five brave horses 5").await;
    let csrf = wang.visit("/account/identities").await.field("csrf");
    let page = wang.submit("/account/identities/link", &[("csrf", &csrf), ("realm", "nation")]).await;
    let taken = wang.visit(&town.provider.approve(&link(&page))).await;
    assert_eq!((taken.status, taken.header("yimen-error")), (409, "identity-taken"));
    // What is unlinked is somebody else.
    let page = zhang.visit("/account/identities").await;
    let (csrf, identity) = (page.field("csrf"), page.field("identity"));
    zhang.submit("/account/identities/unlink", &[("csrf", &csrf), ("identity", &identity)]).await.has_status(303);
    let stranger = town.citizen();
    town.signs_in(&stranger).await.leads_to(303, "/account");
    assert_eq!(stranger.visit("/account").await.body.matches("class=\"session\"").count(), 1);
}

#[tokio::test]
async fn an_account_with_the_providers_email_or_name_is_not_taken_over() {
    let town = Town::open().await;
    town.gateway.add_account("li@example.gov", "four brave horses 4", "L3");
    town.provider.bends(|token| {
        token.claims["email"] = json!("li@example.gov");
        token.claims["email_verified"] = json!(true);
        token.claims["preferred_username"] = json!("li@example.gov");
    });
    let owner = town.citizen();
    owner.sign_in("li@example.gov", "four brave horses 4").await;
    town.signs_in(&town.citizen()).await.leads_to(303, "/account");
    assert_eq!(
        owner.visit("/account").await.body.matches("class=\"session\"").count(),
        1,
        "still alone in the account"
    );
}

#[tokio::test]
async fn a_disabled_account_is_not_entered_by_its_identity() {
    let town = Town::open().await;
    town.gateway.add_account("zhang", "four brave horses 4", "L2");
    let zhang = town.citizen();
    zhang.sign_in("zhang", "four brave horses 4").await;
    let csrf = zhang.visit("/account/identities").await.field("csrf");
    let page = zhang.submit("/account/identities/link", &[("csrf", &csrf), ("realm", "nation")]).await;
    zhang.visit(&town.provider.approve(&link(&page))).await.leads_to(303, "/account/identities");
    let disabled = crate::support::clerk::on_machine(&town.gateway, &["account", "disable", "zhang"]);
    assert!(disabled.status.success());
    town.refuses(403, "account-disabled").await;
}

/// The address behind the page's way on.
fn link(page: &Answer) -> String {
    page.has_status(200);
    let (_, rest) = page.body.split_once("id=\"onward\" href=\"").unwrap_or_else(|| panic!("no way on: {}", page.body));
    rest.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn check_tells_of_a_secret_that_is_missing_and_of_a_provider_without_tls() {
    let town = Town::open().await;
    let told = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    let sound = told(crate::support::clerk::on_machine(&town.gateway, &["check"]));
    assert!(sound.contains("providers.loopback_http") && sound.contains("0 errors"), "{sound}");
    fs::remove_file(town.gateway.folder.path().join("provider.secret")).unwrap();
    let wanting = told(crate::support::clerk::on_machine(&town.gateway, &["check"]));
    assert!(wanting.contains("provider.secret") && wanting.contains("realm nation"), "{wanting}");
}

// Realms of the register.

fn document(provider: &Provider, id: &str) -> Value {
    json!({
        "id": id, "name": "省平台", "name_en": "Province", "issuer": provider.issuer, "client_id": "yimen",
        "client_secret_file": "province.secret", "levels": { "urn:example:real-name": "L3" },
    })
}

/// A town whose register is on this engine, with the secret that realms of the register name.
async fn on(engine: &Engine) -> Town {
    let change = |setup: &mut Setup| {
        setup.set("stores.register", engine.url());
        let secrets = setup.folder.path().join("data/realm-secrets");
        fs::create_dir_all(&secrets).unwrap();
        fs::write(secrets.join("province.secret"), CLIENT_SECRET).unwrap();
    };
    Town::with(change, "").await
}

on_both! {
    on:
    a_realm_comes_and_goes_without_a_restart
    the_same_person_is_the_same_subject_and_another_is_another
    an_account_gets_an_identity_only_when_both_are_proven
}

async fn a_realm_comes_and_goes_without_a_restart(town: Town) {
    let Town { gateway, provider } = town;
    let (nation, province) = (Clerk::operator(&gateway, "100000"), Clerk::operator(&gateway, "330000"));
    let second = Clerk::of(&gateway, "--role operator --division 100000 --principal second");
    let path = "/v1/realms/province";
    let put = format!("PUT {path}");
    province
        .call(&put, &[("if-none-match", "*")], Some(document(&provider, "province")))
        .await
        .refused(403, "forbidden");
    province.get("/v1/realms").await.refused(403, "forbidden");
    nation.call(&put, &[], Some(document(&provider, "province"))).await.refused(428, "condition-needed");
    nation
        .call(&put, &[("if-match", "*")], Some(document(&provider, "province")))
        .await
        .refused(412, "version-conflict");
    let trial = format!("{put}?dry_run=true");
    let tried = nation.call(&trial, &[("if-none-match", "*")], Some(document(&provider, "province"))).await;
    assert_eq!(tried.has_status(200).body["object"]["id"], "province");
    nation.get(path).await.refused(404, "not-found");
    for (key, wrong, pointer) in [
        ("client_secret_file", json!("../session.key"), "/client_secret_file"),
        ("issuer", json!("http://example.com"), "/issuer"),
        ("algorithms", json!(["HS256"]), "/algorithms/0"),
        ("id", json!("other"), "/id"),
        ("colour", json!("red"), "/colour"),
    ] {
        let mut document = document(&provider, "province");
        document[key] = wrong;
        let refused = nation.call(&put, &[("if-none-match", "*")], Some(document)).await.refused(422, "invalid-body");
        assert_eq!(refused.wrongs(), [pointer]);
    }
    let made =
        nation.call(&put, &[("if-none-match", "*")], Some(document(&provider, "province"))).await.has_status(202);
    nation.get(path).await.refused(404, "not-found");
    nation.approves(&made).await.refused(403, "self-review");
    province.approves(&made).await.refused(404, "not-found");
    second.approves(&made).await.has_status(200);
    let etag = nation.get(path).await.has_status(200).header("etag").to_owned();
    nation
        .call(&put, &[("if-none-match", "*")], Some(document(&provider, "province")))
        .await
        .refused(412, "version-conflict");
    let citizen = Citizen::of(&gateway);
    let page = citizen.visit("/sign-in?return_to=/account").await.body;
    assert!(page.contains("/sign-in/province?") && page.contains("省平台"), "{page}");
    let address =
        citizen.visit("/sign-in/province?return_to=/account").await.has_status(303).header("location").to_owned();
    citizen.visit(&provider.approve(&address)).await.leads_to(303, "/account");
    let mut renamed = document(&provider, "province");
    renamed["name"] = json!("新名称");
    let change = nation.call(&put, &[("if-match", &etag)], Some(renamed.clone())).await.has_status(202);
    let same = nation.call(&put, &[("if-match", &etag)], Some(renamed)).await.has_status(202);
    second.approves(&change).await.has_status(200);
    second.approves(&same).await.refused(412, "version-conflict");
    assert!(Citizen::of(&gateway).visit("/sign-in").await.body.contains("新名称"));
    nation.call(&format!("DELETE {path}"), &[("if-match", &etag)], None).await.refused(412, "version-conflict");
    nation.call(&format!("DELETE {path}"), &[("if-match", "*")], None).await.has_status(200);
    nation.get(path).await.refused(404, "not-found");
    assert!(!Citizen::of(&gateway).visit("/sign-in").await.body.contains("/sign-in/province"));
    citizen.visit("/account").await.has_status(200);
    let again =
        nation.call(&put, &[("if-none-match", "*")], Some(document(&provider, "province"))).await.has_status(202);
    second.approves(&again).await.has_status(200);
}

#[tokio::test]
async fn every_node_follows_and_the_settings_realm_is_not_the_apis() {
    let town = Town::open().await;
    let nation = Clerk::operator(&town.gateway, "100000");
    let listed = nation.get("/v1/realms").await.has_status(200).body;
    assert_eq!((&listed["entries"][0]["id"], &listed["entries"][0]["in_settings"]), (&json!("nation"), &json!(true)));
    let put =
        nation.call("PUT /v1/realms/nation", &[("if-match", "*")], Some(document(&town.provider, "nation"))).await;
    put.refused(409, "realm-in-settings");
    // Another node of the same register.
    let register = format!("sqlite:{}", town.gateway.folder.path().join("data/register.db").display());
    let other = Gateway::with(|setup| {
        setup.set("providers.loopback_http", true);
        setup.set("stores.register", register);
        setup.set("register.node", "other");
    })
    .await;
    let put = "PUT /v1/realms/province";
    let made = nation.call(put, &[("if-none-match", "*")], Some(document(&town.provider, "province"))).await;
    let second = Clerk::of(&town.gateway, "--role operator --division 100000 --principal second");
    second.approves(&made.has_status(202)).await.has_status(200);
    let follows =
        || async { Citizen::of(&other).visit("/sign-in").await.body.contains("/sign-in/province").then_some(()) };
    until("the other node offers the realm", std::time::Duration::from_secs(10), follows).await;
}
