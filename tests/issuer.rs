//! The OpenID Provider by its own rules: what it gives, and everything that it must not. The real engine on a real store; the time is
//! the test's.

use std::sync::Arc;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use yimen::config::SessionStoreConfig;
use yimen::domain::Assurance;
use yimen::issuer::{Farewell, Refused, Step};
use yimen::session::Live;

use crate::support::engine::on_both_session_engines;
use crate::support::filing::Filing;
use crate::support::issuer::{
    BACK, LEFT, ORIGIN, Provider, SECRET, Told, VERIFIER, answer_in, client, code_form, filings, form_of, parts_of,
    request,
};
use crate::support::redis::Redis;

/// The provider that the cases on both engines are about.
async fn on(store: SessionStoreConfig) -> Provider {
    Provider::on(store).await
}

on_both_session_engines! {
    on:
    of_twenty_who_redeem_a_code_at_once_one_wins
    a_code_is_good_once_and_its_second_use_ends_what_the_first_gave
    of_twenty_who_refresh_at_once_one_wins_at_most_and_the_grant_ends
    a_refresh_token_is_good_once_and_its_second_use_ends_the_family
    tokens_end_with_the_session
    an_assertion_is_good_once
    a_pushed_request_is_good_once_and_for_its_client_only
}

async fn of_twenty_who_redeem_a_code_at_once_one_wins(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let code = provider.code(&live, "hall").await;
    let told = join_all((0..20).map(|_| provider.redeem("hall", &code))).await;
    let won: Vec<&Told> = told.iter().filter(|told| told.status == 200).collect();
    assert_eq!(won.len(), 1, "of twenty");
    told.iter().filter(|told| told.status != 200).for_each(|told| told.is(400, "invalid_grant"));
    assert!(!provider.opens(&won[0].text("access_token")).await, "one of the twenty is a thief");
    assert_eq!(provider.metrics.issuer_tokens.with_label_values(&["code", "invalid_grant"]).get(), 19);
}

async fn a_code_is_good_once_and_its_second_use_ends_what_the_first_gave(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let code = provider.code(&live, "hall.app").await;
    let tokens = provider.redeem("hall.app", &code).await;
    assert_eq!(tokens.status, 200, "{tokens:?}");
    assert!(provider.opens(&tokens.text("access_token")).await);
    provider.passes(31);
    provider.redeem("hall.app", &code).await.is(400, "invalid_grant");
    assert!(!provider.opens(&tokens.text("access_token")).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    provider.token("hall.app", &form).await.is(400, "invalid_grant");
}

async fn of_twenty_who_refresh_at_once_one_wins_at_most_and_the_grant_ends(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    let refresh = tokens.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let told = join_all((0..20).map(|_| provider.token("hall.app", &form))).await;
    assert!(told.iter().filter(|told| told.status == 200).count() <= 1);
    for won in told.iter().filter(|told| told.status == 200) {
        assert!(!provider.opens(&won.text("access_token")).await, "a thief may have won");
    }
    assert!(!provider.opens(&tokens.text("access_token")).await);
}

async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_family(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let first = provider.tokens(&live, "hall.app").await;
    let refreshed = async |token: &str| {
        provider.token("hall.app", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    };
    let second = refreshed(&first.text("refresh_token")).await;
    assert_eq!(second.status, 200, "{second:?}");
    let (before, after) = (parts_of(&first.text("id_token")).1, parts_of(&second.text("id_token")).1);
    for same in ["sub", "sid", "auth_time", "acr", "aud"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    let third = refreshed(&second.text("refresh_token")).await;
    assert_eq!(third.status, 200);
    refreshed(&first.text("refresh_token")).await.is(400, "invalid_grant");
    refreshed(&third.text("refresh_token")).await.is(400, "invalid_grant");
    for tokens in [&first, &second, &third] {
        assert!(!provider.opens(&tokens.text("access_token")).await);
    }
}

async fn tokens_end_with_the_session(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    let code = provider.code(&live, "hall").await;
    assert!(provider.opens(&tokens.text("access_token")).await);
    provider.sessions.end(&live.key).await.unwrap();
    assert!(!provider.opens(&tokens.text("access_token")).await);
    provider.redeem("hall", &code).await.is(400, "invalid_grant");
    let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    provider.token("hall.app", &form).await.is(400, "invalid_grant");
    let asked = provider.call("introspect", "hall", &[("token", &tokens.text("access_token"))]).await;
    assert_eq!(asked.body, json!({ "active": false }));
}

async fn a_pushed_request_is_good_once_and_for_its_client_only(provider: Provider) {
    let live = provider.signed_in("wang").await;
    let pairs: Vec<(String, String)> = serde_pairs(&request(&[("client_id", Some("hall.pushing"))]));
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let push = async || provider.call("par", "hall.pushing", &pairs).await;
    let pushed = push().await;
    assert_eq!((pushed.status, pushed.body["expires_in"].as_u64()), (201, Some(60)), "{pushed:?}");
    let asked = async |client: &str, uri: &str| {
        let asked = form_of(&[("client_id", client), ("request_uri", uri)]);
        provider.issuer.authorize(asked.as_bytes(), Some(&live), provider.now()).await
    };
    let step = asked("hall.pushing", &pushed.text("request_uri")).await.unwrap();
    let answer = answer_in(&step);
    assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("a state", ORIGIN));
    assert_eq!(provider.redeem("hall.pushing", &answer["code"]).await.status, 200);
    assert_eq!(asked("hall.pushing", &pushed.text("request_uri")).await, Err(Refused::Over), "used");
    assert_eq!(asked("hall", &push().await.text("request_uri")).await, Err(Refused::Over), "another client's");
    let late = push().await.text("request_uri");
    let unpushed = provider.answered(Some(&live), &[("client_id", Some("hall.pushing"))]).await;
    assert_eq!(unpushed["error"], "invalid_request", "this client has to push");
    assert_ne!(late, pushed.text("request_uri"));
    provider.call_with("par", None, &pairs).await.is(401, "invalid_client");
    let bad: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| if *name == "redirect_uri" { (*name, "https://evil.example/") } else { (*name, *value) })
        .collect();
    provider.call("par", "hall.pushing", &bad).await.is(400, "invalid_request");
}

fn serde_pairs(form: &[u8]) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("form:?{}", std::str::from_utf8(form).unwrap())).unwrap();
    url.query_pairs().into_owned().collect()
}

/// A client that shows who it is by a key.
struct Keyed {
    pair: KeyPair,
}

impl Keyed {
    fn new() -> Self {
        Self { pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    fn filings(&self) -> Vec<Filing> {
        let private = EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes()).unwrap();
        let public = jsonwebtoken::jwk::Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        let public = serde_json::to_value(&public).unwrap();
        let key = format!(
            "client_id = \"keyed\"\nredirect_uris = [\"{BACK}\"]\ntoken_endpoint_auth_method = \"private_key_jwt\"\n\
             jwks = {{ keys = [{{ kty = \"EC\", kid = \"k1\", crv = \"P-256\", x = {}, y = {} }}] }}\n",
            public["x"], public["y"]
        );
        let mut all = filings();
        all.push(Filing::of("keyed", "330100").client(&key));
        all
    }

    fn claims(provider: &Provider) -> Value {
        let now = provider.now().seconds();
        json!({ "iss": "keyed", "sub": "keyed", "aud": ORIGIN, "jti": "a name", "iat": now, "exp": now + 60 })
    }

    fn signed(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &EncodingKey::from_ec_pem(self.pair.serialize_pem().as_bytes()).unwrap()).unwrap()
    }

    fn header() -> Header {
        Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::ES256) }
    }
}

/// What the token endpoint says to an assertion; the code behind it is no good, which is told only to a client that it knows.
async fn shown(provider: &Provider, assertion: &str) -> Told {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let form = [("client_id", "keyed"), ("client_assertion", assertion), ("client_assertion_type", kind)];
    let form: Vec<_> = form.into_iter().chain(code_form("no code")).collect();
    provider.call_with("token", None, &form).await
}

async fn an_assertion_is_good_once(provider: Provider) {
    let keyed = Keyed::new();
    provider.files(&keyed.filings());
    let assertion = keyed.signed(&Keyed::header(), &Keyed::claims(&provider));
    shown(&provider, &assertion).await.is(400, "invalid_grant");
    shown(&provider, &assertion).await.is(401, "invalid_client");
    for audience in [json!(format!("{ORIGIN}/oidc/token")), json!([ORIGIN, "https://other.example"])] {
        let mut claims = Keyed::claims(&provider);
        claims["aud"] = audience.clone();
        claims["jti"] = json!(audience.to_string());
        shown(&provider, &keyed.signed(&Keyed::header(), &claims)).await.is(400, "invalid_grant");
    }
}

/// An assertion that is changed in one way shows nothing.
async fn is_refused(change: impl Fn(&Provider, &mut Header, &mut Value)) {
    let provider = Provider::open().await;
    let keyed = Keyed::new();
    provider.files(&keyed.filings());
    let (mut header, mut claims) = (Keyed::header(), Keyed::claims(&provider));
    change(&provider, &mut header, &mut claims);
    shown(&provider, &keyed.signed(&header, &claims)).await.is(401, "invalid_client");
}

#[tokio::test]
async fn an_assertion_of_another_type_shows_nothing() {
    is_refused(|_, header, _| header.typ = Some("logout+jwt".to_owned())).await;
    is_refused(|_, header, _| header.typ = Some("yimen-assertion+jwt".to_owned())).await;
}

#[tokio::test]
async fn an_assertion_without_aud_iss_sub_exp_or_jti_shows_nothing() {
    for claim in ["aud", "iss", "sub", "exp", "jti"] {
        is_refused(|_, _, claims| drop(claims.as_object_mut().unwrap().remove(claim))).await;
    }
}

#[tokio::test]
async fn an_assertion_for_or_of_somebody_else_shows_nothing() {
    is_refused(|_, _, claims| claims["aud"] = json!("https://other.example")).await;
    is_refused(|_, _, claims| claims["iss"] = json!("hall")).await;
    is_refused(|_, _, claims| claims["sub"] = json!("hall")).await;
}

#[tokio::test]
async fn an_assertion_out_of_its_time_shows_nothing() {
    is_refused(|provider, _, claims| claims["exp"] = json!(provider.now().seconds() - 60)).await;
    is_refused(|provider, _, claims| claims["exp"] = json!(provider.now().seconds() + 3600)).await;
    is_refused(|provider, _, claims| claims["nbf"] = json!(provider.now().seconds() + 120)).await;
    is_refused(|provider, _, claims| claims["iat"] = json!(provider.now().seconds() + 120)).await;
}

#[tokio::test]
async fn an_assertion_that_brings_or_names_its_own_key_shows_nothing() {
    is_refused(|_, header, _| header.kid = Some("../../k1".to_owned())).await;
    let provider = Provider::open().await;
    let (keyed, thief) = (Keyed::new(), Keyed::new());
    provider.files(&keyed.filings());
    let mut header = Keyed::header();
    let private = EncodingKey::from_ec_pem(thief.pair.serialize_pem().as_bytes()).unwrap();
    header.jwk = Some(jsonwebtoken::jwk::Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap());
    header.jku = Some("https://evil.example/jwks.json".to_owned());
    shown(&provider, &thief.signed(&header, &Keyed::claims(&provider))).await.is(401, "invalid_client");
}

#[tokio::test]
async fn an_assertion_by_another_algorithm_shows_nothing() {
    let provider = Provider::open().await;
    let keyed = Keyed::new();
    provider.files(&keyed.filings());
    let claims = Keyed::claims(&provider);
    let public = keyed.pair.public_key_pem();
    let header = Header { kid: Some("k1".to_owned()), ..Header::new(Algorithm::HS256) };
    for secret in [public.as_bytes(), SECRET.as_bytes(), b""] {
        let forged = encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        shown(&provider, &forged).await.is(401, "invalid_client");
    }
    shown(&provider, &unsigned(&claims)).await.is(401, "invalid_client");
}

/// A token with algorithm `none`.
fn unsigned(claims: &Value) -> String {
    use base64::Engine;
    let coded = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.", coded(json!({ "alg": "none", "typ": "JWT", "kid": "k1" }).to_string()), coded(claims.to_string()))
}

#[tokio::test]
async fn a_client_shows_itself_in_the_one_way_that_it_has_filed() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let post = |client: &'static str, secret: &'static str| {
        let shown = [("client_id", client), ("client_secret", secret)];
        shown.into_iter().chain(code_form("no code")).collect::<Vec<_>>()
    };
    provider.call_with("token", None, &post("hall.post", SECRET)).await.is(400, "invalid_grant");
    provider.call_with("token", None, &post("hall.post", "another")).await.is(401, "invalid_client");
    provider.call_with("token", None, &post("hall", SECRET)).await.is(401, "invalid_client");
    provider.call_with("token", None, &code_form("no code")).await.is(401, "invalid_client");
    provider.token("hall.post", &code_form("no code")).await.is(401, "invalid_client");
    provider.token("nobody", &code_form("no code")).await.is(401, "invalid_client");
    provider.token("closed", &code_form("no code")).await.is(401, "invalid_client");
    provider.token("hall", &post("hall", SECRET)).await.is(400, "invalid_request");
    let refused = provider.call_with("token", Some("Basic !".to_owned()), &code_form("no code")).await;
    refused.is(401, "invalid_client");
    assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    let code = provider.code(&live, "hall.post").await;
    let form: Vec<(&str, &str)> =
        [("client_id", "hall.post"), ("client_secret", SECRET)].into_iter().chain(code_form(&code)).collect();
    assert_eq!(provider.call_with("token", None, &form).await.status, 200);
}

/// A redirect address that is not byte by byte a filed one: nobody is sent there.
async fn nobody_is_sent_to(address: &str) {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    for session in [None, Some(&live)] {
        let asked = provider.asks(session, &[("redirect_uri", Some(address))]).await;
        assert_eq!(asked, Err(Refused::AddressNotFiled), "{address}");
        let wrong = provider.asks(session, &[("redirect_uri", Some(address)), ("response_type", Some("token"))]).await;
        assert_eq!(wrong, Err(Refused::AddressNotFiled), "{address}: an error is no reason to send anybody there");
    }
}

macro_rules! redirect_uris {
    ($($name:ident: $address:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            nobody_is_sent_to($address).await;
        })*
    };
}

redirect_uris! {
    a_redirect_uri_of_another_path_is_refused: "https://hall.example.gov/callback/next";
    a_redirect_uri_with_a_trailing_slash_is_refused: "https://hall.example.gov/callback/";
    a_redirect_uri_with_an_added_query_is_refused: "https://hall.example.gov/callback?next=1";
    a_redirect_uri_with_a_longer_query_is_refused: "https://hall.example.gov/other?tenant=1&next=2";
    a_redirect_uri_with_another_query_is_refused: "https://hall.example.gov/other?tenant=2";
    a_redirect_uri_with_a_fragment_is_refused: "https://hall.example.gov/callback#x";
    a_redirect_uri_with_userinfo_is_refused: "https://hall.example.gov@evil.example/callback";
    a_redirect_uri_with_user_is_refused: "https://user@hall.example.gov/callback";
    a_redirect_uri_of_another_port_is_refused: "https://hall.example.gov:8443/callback";
    a_redirect_uri_with_the_default_port_is_refused: "https://hall.example.gov:443/callback";
    a_redirect_uri_in_other_case_is_refused: "https://hall.example.gov/Callback";
    a_redirect_uri_with_a_host_in_other_case_is_refused: "https://HALL.example.gov/callback";
    a_redirect_uri_with_encoded_dots_is_refused: "https://hall.example.gov/x/%2e%2e/callback";
    a_redirect_uri_with_dots_is_refused: "https://hall.example.gov/x/../callback";
    a_redirect_uri_with_a_backslash_is_refused: "https://hall.example.gov\\@evil.example/callback";
    a_redirect_uri_of_another_scheme_is_refused: "http://hall.example.gov/callback";
    a_redirect_uri_that_only_begins_alike_is_refused: "https://hall.example.gov.evil.example/callback";
}

#[tokio::test]
async fn without_a_client_or_a_redirect_uri_nobody_is_sent_anywhere() {
    let provider = Provider::open().await;
    assert_eq!(provider.asks(None, &[("client_id", None)]).await, Err(Refused::UnknownClient));
    assert_eq!(provider.asks(None, &[("client_id", Some("nobody"))]).await, Err(Refused::UnknownClient));
    assert_eq!(provider.asks(None, &[("client_id", Some("hall.nobody"))]).await, Err(Refused::UnknownClient));
    assert_eq!(provider.asks(None, &[("client_id", Some("closed"))]).await, Err(Refused::ClientNotServed));
    assert_eq!(provider.asks(None, &[("redirect_uri", None)]).await, Err(Refused::AddressNotFiled));
    let twice = [request(&[]), b"&redirect_uri=https://evil.example/".to_vec()].concat();
    assert_eq!(provider.issuer.authorize(&twice, None, provider.now()).await, Err(Refused::Unreadable));
}

#[tokio::test]
async fn a_suspended_platform_s_clients_get_nothing_and_its_tokens_open_nothing() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "archive").await;
    let suspended = Filing::of("archive", "530100").state("suspended", "for review").client(&client("archive", ""));
    provider.files(&[suspended]);
    assert!(!provider.opens(&tokens.text("access_token")).await);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    provider.token("archive", &form).await.is(401, "invalid_client");
    assert_eq!(provider.asks(Some(&live), &[("client_id", Some("archive"))]).await, Err(Refused::ClientNotServed));
}

/// What an error says that goes back to the client.
async fn error_of(change: &[(&str, Option<&str>)]) -> String {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let answer = provider.answered(Some(&live), change).await;
    assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("a state", ORIGIN), "{answer:?}");
    assert!(!answer.contains_key("code"), "{answer:?}");
    answer["error"].clone()
}

#[tokio::test]
async fn pkce_cannot_be_left_out() {
    assert_eq!(error_of(&[("code_challenge", None)]).await, "invalid_request");
    assert_eq!(error_of(&[("code_challenge", None), ("code_challenge_method", None)]).await, "invalid_request");
}

#[tokio::test]
async fn pkce_cannot_be_made_plain() {
    assert_eq!(error_of(&[("code_challenge_method", Some("plain"))]).await, "invalid_request");
    assert_eq!(error_of(&[("code_challenge_method", None)]).await, "invalid_request");
    assert_eq!(error_of(&[("code_challenge", Some("short"))]).await, "invalid_request");
}

#[tokio::test]
async fn a_code_without_its_verifier_or_with_another_gives_nothing_and_is_used_up() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let another = "x".repeat(43);
    for verifier in [None, Some(another.as_str()), Some(crate::support::issuer::CHALLENGE)] {
        let code = provider.code(&live, "hall").await;
        let mut form = vec![("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", BACK)];
        form.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        provider.token("hall", &form).await.is(400, "invalid_grant");
        provider.redeem("hall", &code).await.is(400, "invalid_grant");
    }
}

#[tokio::test]
async fn a_code_of_another_client_or_redirect_uri_gives_nothing() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let code = provider.code(&live, "hall").await;
    provider.redeem("archive", &code).await.is(400, "invalid_grant");
    provider.redeem("hall", &code).await.is(400, "invalid_grant");
    let code = provider.code(&live, "hall").await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "https://hall.example.gov/other?tenant=1"),
        ("code_verifier", VERIFIER),
    ];
    provider.token("hall", &form).await.is(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_lives_for_sixty_seconds() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let (in_time, late) = (provider.code(&live, "hall").await, provider.code(&live, "hall").await);
    provider.passes(59);
    assert_eq!(provider.redeem("hall", &in_time).await.status, 200);
    provider.passes(1);
    provider.redeem("hall", &late).await.is(400, "invalid_grant");
}

#[tokio::test]
async fn a_made_up_code_or_token_is_told_from_one_that_is_over_and_ends_nothing() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    let refresh = tokens.text("refresh_token");
    let changed = |text: &str| text.chars().rev().collect::<String>();
    provider.redeem("hall.app", &changed(&refresh)).await.is(400, "invalid_grant");
    provider.redeem("hall.app", &refresh).await.is(400, "invalid_grant");
    for garbage in ["", ".", "é", &"A".repeat(86), &"A".repeat(5000)] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", garbage)];
        let told = provider.token("hall.app", &form).await;
        assert_eq!(told.status, 400, "{garbage}");
        assert!(!provider.opens(&format!("x{}", garbage.replace('é', "e"))).await);
    }
    assert!(provider.opens(&tokens.text("access_token")).await, "a guess has ended somebody's grant");
}

#[tokio::test]
async fn a_refresh_token_of_another_client_gives_nothing() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
    provider.token("archive", &form).await.is(400, "invalid_grant");
    provider.token("hall", &form).await.is(400, "unauthorized_client");
    assert!(!provider.opens(&tokens.text("access_token")).await, "shown by a stranger, so stolen");
}

#[tokio::test]
async fn a_family_ends_with_the_absolute_end_of_its_session() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let mut refresh = provider.tokens(&live, "hall.app").await.text("refresh_token");
    for _ in 0..11 {
        provider.passes(3600);
        let told = provider.token("hall.app", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
        assert_eq!(told.status, 200, "{told:?}");
        refresh = told.text("refresh_token");
    }
    provider.passes(3540);
    let told = provider.token("hall.app", &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    assert_eq!(told.body["expires_in"], 60, "an access token outlives the session: {told:?}");
    provider.passes(60);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &told.text("refresh_token"))];
    provider.token("hall.app", &form).await.is(400, "invalid_grant");
    assert!(!provider.opens(&told.text("access_token")).await);
}

#[tokio::test]
async fn a_client_learns_what_its_platform_has_filed_and_under_a_name_of_its_own() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let (hall, app) = (provider.tokens(&live, "hall").await, provider.tokens(&live, "hall.app").await);
    let archive = provider.tokens(&live, "archive").await;
    let claims = |told: &Told| parts_of(&told.text("id_token"));
    let ((header, hall_claims), (_, app_claims), (_, archive_claims)) = (claims(&hall), claims(&app), claims(&archive));
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("ES256"), Some("JWT")));
    assert_eq!(hall_claims["iss"], ORIGIN);
    assert_eq!(hall_claims["aud"], "hall");
    assert_eq!(hall_claims["nonce"], "n-1");
    assert_eq!(hall_claims["acr"], "L2");
    assert_eq!(hall_claims["auth_time"], live.session.authenticated_at.seconds());
    assert_eq!(hall_claims["sub"], app_claims["sub"], "one platform, one name");
    assert_ne!(hall_claims["sub"], archive_claims["sub"], "two platforms could compare whom they serve");
    assert_ne!(hall_claims["sid"], app_claims["sid"], "each client has its own sid");
    let info = async |told: &Told| {
        provider.call_with("userinfo", Some(format!("Bearer {}", told.text("access_token"))), &[]).await.body
    };
    assert_eq!(info(&hall).await["name"], live.session.name);
    assert_eq!(info(&hall).await["sub"], hall_claims["sub"]);
    assert_eq!(info(&archive).await["name"], Value::Null, "the archive has not filed that it needs names");
    assert!(!archive.body.to_string().contains(&live.session.subject));
    let again = provider.tokens(&live, "hall").await;
    assert_eq!(claims(&again).1["sid"], hall_claims["sid"], "one sign-on for one client and session");
}

#[tokio::test]
async fn a_name_is_given_only_when_it_is_asked_for() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let name = async |change: &[(&str, Option<&str>)]| {
        let code = provider.answered(Some(&live), change).await["code"].clone();
        let told = provider.redeem("hall", &code).await;
        let shown = format!("Bearer {}", told.text("access_token"));
        provider.call_with("userinfo", Some(shown), &[]).await.body["name"].clone()
    };
    assert_eq!(name(&[("scope", Some("openid"))]).await, Value::Null);
    assert_eq!(name(&[("scope", Some("openid profile"))]).await, live.session.name);
    let claims = json!({ "userinfo": { "name": { "essential": true } } }).to_string();
    assert_eq!(name(&[("scope", Some("openid")), ("claims", Some(&claims))]).await, live.session.name);
}

#[tokio::test]
async fn userinfo_takes_a_token_in_the_field_or_the_form_and_in_nothing_else() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let token = provider.tokens(&live, "hall").await.text("access_token");
    let in_form = provider.call_with("userinfo", None, &[("access_token", &token)]).await;
    assert_eq!(in_form.status, 200, "{in_form:?}");
    let shown = Some(format!("Bearer {token}"));
    provider.call_with("userinfo", shown, &[("access_token", &token)]).await.is(400, "invalid_request");
    provider.call_with("userinfo", None, &[]).await.is(401, "invalid_token");
    provider.call_with("userinfo", Some(format!("Basic {token}")), &[]).await.is(401, "invalid_token");
    let wrong = provider.call_with("userinfo", Some("Bearer x".to_owned()), &[]).await;
    assert!(wrong.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
    provider.passes(300);
    assert!(!provider.opens(&token).await, "an access token lives for five minutes");
}

#[tokio::test]
async fn introspection_answers_programs_of_the_same_platform_only() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    for token in ["access_token", "refresh_token"] {
        let asked = async |client| provider.call("introspect", client, &[("token", &tokens.text(token))]).await.body;
        let told = asked("hall").await;
        assert_eq!(
            (&told["active"], &told["client_id"], &told["aud"]),
            (&json!(true), &json!("hall.app"), &json!("hall"))
        );
        assert_eq!(asked("archive").await, json!({ "active": false }), "another platform's token");
    }
    let unknown = provider.call("introspect", "hall", &[("token", "x")]).await;
    assert_eq!(unknown.body, json!({ "active": false }));
    provider.call_with("introspect", None, &[("token", "x")]).await.is(401, "invalid_client");
}

#[tokio::test]
async fn a_revoked_token_ends_with_everything_of_its_grant() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    for revoked in ["access_token", "refresh_token"] {
        let tokens = provider.tokens(&live, "hall.app").await;
        provider.call("revoke", "archive", &[("token", &tokens.text(revoked))]).await.is(400, "invalid_grant");
        assert!(provider.opens(&tokens.text("access_token")).await);
        assert_eq!(provider.call("revoke", "hall.app", &[("token", &tokens.text(revoked))]).await.status, 200);
        assert!(!provider.opens(&tokens.text("access_token")).await);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &tokens.text("refresh_token"))];
        provider.token("hall.app", &form).await.is(400, "invalid_grant");
        assert_eq!(provider.call("revoke", "hall.app", &[("token", &tokens.text(revoked))]).await.status, 200, "twice");
    }
    assert_eq!(provider.call("revoke", "hall.app", &[("token", "x")]).await.status, 200);
}

/// What the sign-in page is asked for.
fn sign_in(step: &Step) -> (Option<Assurance>, Option<u64>, String) {
    let Step::SignIn(wanted) = step else { panic!("not to sign-in: {step:?}") };
    let resume = wanted.back.strip_prefix("/oidc/authorize?").unwrap().to_owned();
    (wanted.assurance, wanted.max_age_s, resume)
}

async fn resumed(provider: &Provider, live: Option<&Arc<Live>>, resume: &str) -> Result<Step, Refused> {
    provider.issuer.authorize(resume.as_bytes(), live, provider.now()).await
}

#[tokio::test]
async fn somebody_unknown_signs_in_and_comes_back() {
    let provider = Provider::open().await;
    let (assurance, max_age, resume) = sign_in(&provider.asks(None, &[]).await.unwrap());
    assert_eq!((assurance, max_age), (None, None));
    assert!(!resume.contains("a%20state") && !resume.contains("hall"), "{resume}");
    let again = resumed(&provider, None, &resume).await.unwrap();
    assert!(matches!(again, Step::SignIn(_)), "not signed in");
    provider.passes(20);
    let live = provider.signed_in("wang").await;
    for _ in 0..2 {
        let step = resumed(&provider, Some(&live), &resume).await.unwrap();
        assert!(matches!(step, Step::Client { by_page: true, .. }), "out of a form of ours");
        assert_eq!(provider.redeem("hall", &answer_in(&step)["code"]).await.status, 200, "a page can be loaded again");
    }
    let changed = resume.replace("resume=", "resume=A");
    assert_eq!(resumed(&provider, Some(&live), &changed).await, Err(Refused::Over));
    provider.passes(3600);
    assert_eq!(resumed(&provider, Some(&live), &resume).await, Err(Refused::Over), "too old");
}

#[tokio::test]
async fn what_is_no_longer_filed_is_refused_to_who_comes_back_from_signing_in() {
    let provider = Provider::open().await;
    let (_, _, resume) = sign_in(&provider.asks(None, &[]).await.unwrap());
    let live = provider.signed_in("wang").await;
    provider.files(&[
        Filing::of("hall", "330100").client(&client("hall", "").replace(BACK, "https://hall.example.gov/new"))
    ]);
    assert_eq!(resumed(&provider, Some(&live), &resume).await, Err(Refused::AddressNotFiled));
}

#[tokio::test]
async fn prompt_none_shows_nobody_a_page() {
    let provider = Provider::open().await;
    let none = ("prompt", Some("none"));
    assert_eq!(provider.answered(None, &[none]).await["error"], "login_required");
    let live = provider.signed_in("wang").await;
    assert!(provider.answered(Some(&live), &[none]).await.contains_key("code"));
    provider.passes(100);
    assert_eq!(provider.answered(Some(&live), &[none, ("max_age", Some("60"))]).await["error"], "login_required");
    let higher = provider.answered(Some(&live), &[none, ("acr_values", Some("L3"))]).await;
    assert_eq!(higher["error"], "interaction_required");
    assert_eq!(error_of(&[("prompt", Some("none login"))]).await, "invalid_request");
}

#[tokio::test]
async fn prompt_login_wants_a_proof_that_is_younger_than_the_request() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let (_, max_age, resume) = sign_in(&provider.asks(Some(&live), &[("prompt", Some("login"))]).await.unwrap());
    assert_eq!(max_age, Some(0));
    provider.passes(5);
    assert!(matches!(resumed(&provider, Some(&live), &resume).await.unwrap(), Step::SignIn(_)), "the old proof");
    let fresh = provider.proven("wang", Assurance::L2, Some(&live)).await;
    let answer = answer_in(&resumed(&provider, Some(&fresh), &resume).await.unwrap());
    let told = provider.redeem("hall", &answer["code"]).await;
    assert_eq!(parts_of(&told.text("id_token")).1["auth_time"], fresh.session.authenticated_at.seconds());
}

#[tokio::test]
async fn max_age_1_sends_to_sign_in_and_max_age_10000_does_not() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    provider.passes(30);
    let (_, max_age, resume) = sign_in(&provider.asks(Some(&live), &[("max_age", Some("1"))]).await.unwrap());
    assert_eq!(max_age, Some(1));
    assert!(provider.answered(Some(&live), &[("max_age", Some("10000"))]).await.contains_key("code"));
    provider.passes(10);
    let fresh = provider.proven("wang", Assurance::L2, Some(&live)).await;
    provider.passes(5);
    let step = resumed(&provider, Some(&fresh), &resume).await.unwrap();
    assert!(answer_in(&step).contains_key("code"), "proven since the client asked, however slow the browser was");
    assert_eq!(error_of(&[("max_age", Some("+1"))]).await, "invalid_request");
    assert_eq!(error_of(&[("max_age", Some("soon"))]).await, "invalid_request");
}

#[tokio::test]
async fn a_client_that_needs_more_gets_it_by_step_up() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let essential = json!({ "id_token": { "acr": { "essential": true, "values": ["L3", "L4"] } } }).to_string();
    for change in
        [("acr_values", Some("L3")), ("acr_values", Some("L4 L3 urn:other")), ("claims", Some(essential.as_str()))]
    {
        let (assurance, _, resume) = sign_in(&provider.asks(Some(&live), &[change]).await.unwrap());
        assert_eq!(assurance, Some(Assurance::L3), "{change:?}");
        assert!(matches!(resumed(&provider, Some(&live), &resume).await.unwrap(), Step::SignIn(_)));
        let higher = provider.proven("wang", Assurance::L3, None).await;
        let told = provider
            .redeem("hall", &answer_in(&resumed(&provider, Some(&higher), &resume).await.unwrap())["code"])
            .await;
        assert_eq!(parts_of(&told.text("id_token")).1["acr"], "L3");
    }
    assert!(provider.answered(Some(&live), &[("acr_values", Some("urn:other L1"))]).await.contains_key("code"));
    let other = json!({ "id_token": { "acr": { "essential": true, "value": "urn:other" } } }).to_string();
    assert_eq!(error_of(&[("claims", Some(&other))]).await, "unmet_authentication_requirements");
    assert_eq!(error_of(&[("claims", Some("no json"))]).await, "invalid_request");
}

#[tokio::test]
async fn who_cannot_prove_enough_is_not_sent_in_circles() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let mut step = provider.asks(Some(&live), &[("acr_values", Some("L4"))]).await.unwrap();
    for _ in 0..10 {
        if let Step::Client { .. } = step {
            break;
        }
        step = resumed(&provider, Some(&live), &sign_in(&step).2).await.unwrap();
    }
    assert_eq!(answer_in(&step)["error"], "unmet_authentication_requirements");
}

#[tokio::test]
async fn a_request_object_and_other_response_types_are_refused_cleanly() {
    for (change, error) in [
        (("request", Some("eyJhbGciOiJub25lIn0.e30.")), "request_not_supported"),
        (("request_uri", Some("https://hall.example.gov/request.jwt")), "request_uri_not_supported"),
        (("response_type", None), "invalid_request"),
        (("response_type", Some("token")), "unsupported_response_type"),
        (("response_type", Some("code id_token")), "unsupported_response_type"),
        (("response_mode", Some("fragment")), "invalid_request"),
        (("scope", Some("profile")), "invalid_scope"),
        (("scope", None), "invalid_scope"),
    ] {
        assert_eq!(error_of(&[change]).await, error, "{change:?}");
    }
}

#[tokio::test]
async fn what_a_client_may_leave_out_or_add_changes_nothing() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    for change in [
        &[("nonce", None)][..],
        &[("state", None)],
        &[("display", Some("page"))],
        &[("display", Some("popup"))],
        &[("unheard_of", Some("1"))],
        &[("ui_locales", Some("en fr"))],
        &[("claims_locales", Some("zh-CN"))],
        &[("login_hint", Some("wang"))],
        &[("prompt", Some("consent"))],
        &[("scope", Some("phone profile openid email address unheard_of"))],
        &[("response_mode", Some("query"))],
    ] {
        let answer = provider.answered(Some(&live), change).await;
        let told = provider.redeem("hall", &answer["code"]).await;
        assert_eq!(told.status, 200, "{change:?}: {told:?}");
        let nonce = &parts_of(&told.text("id_token")).1["nonce"];
        assert_eq!(nonce.is_null(), change[0].0 == "nonce", "{change:?}");
    }
}

#[tokio::test]
async fn an_id_token_hint_names_the_person_who_is_meant() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let hint = provider.tokens(&live, "hall").await.text("id_token");
    provider.passes(3600);
    let none = ("prompt", Some("none"));
    let live = provider.signed_in("wang").await;
    let meant = provider.answered(Some(&live), &[none, ("id_token_hint", Some(&hint))]).await;
    assert!(meant.contains_key("code"), "an expired hint is a good one: {meant:?}");
    let other = provider.signed_in("li").await;
    let answer = provider.answered(Some(&other), &[none, ("id_token_hint", Some(&hint))]).await;
    assert_eq!(answer["error"], "login_required");
}

/// A hint that is changed in one way.
async fn hint_is_refused(change: impl Fn(&str) -> String) {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let good = provider.tokens(&live, "hall").await.text("id_token");
    let hint = change(&good);
    let answer = provider.answered(Some(&live), &[("prompt", Some("none")), ("id_token_hint", Some(&hint))]).await;
    assert_eq!(answer["error"], "invalid_request");
    let asked = form_of(&[("id_token_hint", &hint), ("post_logout_redirect_uri", LEFT)]);
    let farewell = provider.issuer.farewell(asked.as_bytes(), Some(&live), provider.now()).await;
    assert_eq!(farewell, Err(Refused::BadHint));
}

/// The same claims under another header, signed with another key.
fn again(good: &str, header: Header, change: impl Fn(&mut Value), key: &EncodingKey) -> String {
    let mut claims = parts_of(good).1;
    change(&mut claims);
    encode(&header, &claims, key).unwrap()
}

#[tokio::test]
async fn an_id_token_hint_without_signature_is_refused() {
    hint_is_refused(|good| unsigned(&parts_of(good).1)).await;
    hint_is_refused(|good| good.rsplit_once('.').unwrap().0.to_owned() + ".").await;
}

#[tokio::test]
async fn an_id_token_hint_signed_by_hmac_with_our_public_key_is_refused() {
    hint_is_refused(|good| {
        let kid = parts_of(good).0["kid"].as_str().unwrap().to_owned();
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        again(good, header, |_| (), &EncodingKey::from_secret(kid.as_bytes()))
    })
    .await;
}

#[tokio::test]
async fn an_id_token_hint_with_a_key_of_its_own_is_refused() {
    hint_is_refused(|good| {
        let thief = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let key = EncodingKey::from_ec_pem(thief.serialize_pem().as_bytes()).unwrap();
        let kid = parts_of(good).0["kid"].as_str().unwrap().to_owned();
        let mut header = Header { kid: Some(kid), ..Header::new(Algorithm::ES256) };
        header.jwk = Some(jsonwebtoken::jwk::Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap());
        again(good, header, |_| (), &key)
    })
    .await;
    hint_is_refused(|good| {
        let (header, claims) = good.split_once('.').unwrap();
        let mut header: Value = parts_of(&format!("{header}.{header}.")).0;
        header["kid"] = json!("../../../dev/null");
        use base64::Engine;
        format!("{}.{claims}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header.to_string()))
    })
    .await;
}

#[tokio::test]
async fn an_id_token_hint_lacks_nothing_and_is_of_no_other_type_though_our_own_key_signed_it() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let good = parts_of(&provider.tokens(&live, "hall").await.text("id_token")).1;
    let told = async |token_type: &str, change: &dyn Fn(&mut Value)| {
        let mut claims = good.clone();
        change(&mut claims);
        let hint = provider.keys.sign(token_type, &claims, provider.now()).unwrap();
        farewell(&provider, Some(&live), &[("id_token_hint", &hint)]).await
    };
    assert_eq!(told("JWT", &|_| ()).await, Ok(Farewell::Ends { then: None }));
    for claim in ["iss", "aud", "sub", "exp"] {
        let without = told("JWT", &|claims| drop(claims.as_object_mut().unwrap().remove(claim))).await;
        assert_eq!(without, Err(Refused::BadHint), "without {claim}");
    }
    assert_eq!(told("JWT", &|claims| claims["iss"] = json!("https://other.example")).await, Err(Refused::BadHint));
    for token_type in ["logout+jwt", "yimen-assertion+jwt", "at+jwt", "jwt"] {
        assert_eq!(told(token_type, &|_| ()).await, Err(Refused::BadHint), "{token_type}");
    }
}

#[tokio::test]
async fn neither_an_access_token_nor_another_client_s_token_is_a_hint() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let good = provider.tokens(&live, "hall").await;
    let access = good.text("access_token");
    let answer = provider.answered(Some(&live), &[("prompt", Some("none")), ("id_token_hint", Some(&access))]).await;
    assert_eq!(answer["error"], "invalid_request");
    let other = provider.tokens(&live, "hall.app").await.text("id_token");
    let answer = provider.answered(Some(&live), &[("prompt", Some("none")), ("id_token_hint", Some(&other))]).await;
    assert_eq!(answer["error"], "invalid_request", "another client's");
}

async fn farewell(provider: &Provider, live: Option<&Arc<Live>>, asked: &[(&str, &str)]) -> Result<Farewell, Refused> {
    provider.issuer.farewell(form_of(asked).as_bytes(), live, provider.now()).await
}

#[tokio::test]
async fn only_the_id_token_of_this_very_session_signs_out_without_a_question() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let hint = provider.tokens(&live, "hall").await.text("id_token");
    let then = ("post_logout_redirect_uri", LEFT);
    provider.passes(4000);
    let live = provider.proven("wang", Assurance::L3, Some(&live)).await;
    let ends = farewell(&provider, Some(&live), &[("id_token_hint", &hint), then, ("state", "x y")]).await;
    assert_eq!(
        ends,
        Ok(Farewell::Ends { then: Some(format!("{LEFT}?state=x%20y")) }),
        "after step-up, with an old token"
    );
    let elsewhere = provider.signed_in("wang").await;
    let asks = farewell(&provider, Some(&elsewhere), &[("id_token_hint", &hint), then]).await.unwrap();
    assert!(matches!(asks, Farewell::Asks { platform: Some(_), .. }), "another session of the same person");
    let stranger = provider.signed_in("li").await;
    assert!(matches!(
        farewell(&provider, Some(&stranger), &[("id_token_hint", &hint)]).await,
        Ok(Farewell::Asks { .. })
    ));
}

#[tokio::test]
async fn a_hint_of_a_retired_key_is_good_as_long_as_the_key_is_published() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let old = provider.tokens(&live, "hall").await.text("id_token");
    provider.passes(60); // of two keys of one second nobody could say which is the next
    yimen::identity::Keys::rotate(&provider.folder.path().join("keys"), provider.now()).unwrap();
    provider.passes(700);
    provider.keys.reload(provider.now()).unwrap();
    let new = provider.tokens(&live, "hall").await.text("id_token");
    assert_ne!(parts_of(&old).0["kid"], parts_of(&new).0["kid"], "the next key signs");
    for hint in [&old, &new] {
        let ends = farewell(&provider, Some(&live), &[("id_token_hint", hint)]).await;
        assert_eq!(ends, Ok(Farewell::Ends { then: None }));
    }
    provider.passes(24 * 3600);
    assert_eq!(farewell(&provider, None, &[("id_token_hint", &new)]).await, Ok(Farewell::Over { then: None }));
    assert_eq!(farewell(&provider, None, &[("id_token_hint", &old)]).await, Err(Refused::BadHint));
}

#[tokio::test]
async fn without_a_hint_the_person_is_asked() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let then = ("post_logout_redirect_uri", LEFT);
    for asked in [&[][..], &[("state", "x")], &[("client_id", "hall")], &[("client_id", "hall"), then, ("state", "x")]]
    {
        let Ok(Farewell::Asks { kept, .. }) = farewell(&provider, Some(&live), asked).await else {
            panic!("{asked:?}")
        };
        let after = provider.issuer.after_farewell(&kept).unwrap();
        assert_eq!(after.is_some(), asked.len() == 3, "{asked:?}: {after:?}");
        assert_eq!(provider.issuer.after_farewell(&format!("{kept}x")), Err(Refused::Over));
    }
    assert_eq!(farewell(&provider, None, &[]).await, Ok(Farewell::Over { then: None }));
}

#[tokio::test]
async fn sign_out_leads_to_no_address_that_is_not_filed() {
    let provider = Provider::open().await;
    let live = provider.signed_in("wang").await;
    let hint = provider.tokens(&live, "hall").await.text("id_token");
    for address in [
        "https://evil.example/",
        "https://hall.example.gov/bye?x=y",
        "https://hall.example.gov/bye/",
        "https://hall.example.gov/bye#x",
        "https://hall.example.gov:8443/bye",
        "https://hall.example.gov\\@evil.example/bye",
        "//evil.example",
        BACK,
    ] {
        let then = ("post_logout_redirect_uri", address);
        for asked in [&[("id_token_hint", hint.as_str()), then][..], &[("client_id", "hall"), then], &[then]] {
            for session in [Some(&live), None] {
                assert_eq!(farewell(&provider, session, asked).await, Err(Refused::AddressNotFiled), "{asked:?}");
            }
        }
    }
    let then = ("post_logout_redirect_uri", LEFT);
    assert_eq!(
        farewell(&provider, Some(&live), &[then]).await,
        Err(Refused::AddressNotFiled),
        "nobody knows whose it is"
    );
    let mixed = [("id_token_hint", hint.as_str()), ("client_id", "hall.app"), then];
    assert_eq!(farewell(&provider, Some(&live), &mixed).await, Err(Refused::BadHint));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_no_sign_out_and_no_inactive_token() {
    let redis = Redis::start();
    let provider = Provider::on(SessionStoreConfig::Redis(redis.config())).await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    redis.cut();
    let access = tokens.text("access_token");
    let shown = provider.call_with("userinfo", Some(format!("Bearer {access}")), &[]).await;
    shown.is(503, "temporarily_unavailable");
    assert_eq!(shown.headers["retry-after"], "5");
    provider.call("introspect", "hall", &[("token", &access)]).await.is(503, "temporarily_unavailable");
    assert_eq!(provider.asks(Some(&live), &[]).await, Err(Refused::Away));
    redis.restore();
}

#[tokio::test]
async fn a_copy_of_the_store_opens_nothing() {
    let redis = Redis::start();
    let provider = Provider::on(SessionStoreConfig::Redis(redis.config())).await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall.app").await;
    let code = provider.code(&live, "hall").await;
    let image = redis.image();
    let holds = |what: &str| image.windows(what.len()).any(|part| part == what.as_bytes());
    let sid = parts_of(&tokens.text("id_token")).1["sid"].as_str().unwrap().to_owned();
    for secret in
        [&code, &tokens.text("refresh_token"), &tokens.text("access_token"), &sid, &live.session.name, "hall.app"]
    {
        assert!(!holds(secret), "{secret} lies in the store");
    }
    assert!(holds("yimen:sign-on:"));
}
