//! Real programs sign people in through the gateway, knowing its address and their own credentials: openid-client on Node.js and Apache
//! with mod_auth_openidc, each its own process, and a real browser between them.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::filing::Filing;
use crate::support::free_port;
use crate::support::issuer::SECRET;
use crate::support::relying::{ApacheClient, NodeClient};
use crate::support::window::{Window, ZHANG};

/// A window whose filings have these as well.
async fn window(filings: Vec<Filing>) -> Window {
    Window::with(|setup| setup.filings.extend(filings)).await
}

fn hall(port: u16) -> Filing {
    let client = NodeClient::filed("hall", port, &format!("{}scopes = [\"profile\"]", NodeClient::secret()));
    Filing::of("hall", "330100").with("attributes = [\"name\"]").client(&client)
}

async fn hall_at(window: &Window, port: u16) -> NodeClient {
    let settings = json!({ "client_id": "hall", "port": port, "secret": SECRET, "scope": "openid profile" });
    NodeClient::start(&window.gateway, settings).await
}

async fn signs_in(browser: &Browser) {
    browser.arrives_at("/sign-in").await;
    browser.write("input[name=login]", ZHANG.0).await;
    browser.write("input[name=password]", ZHANG.1).await;
    browser.enter("input[name=password]").await;
}

#[tokio::test]
async fn openid_client_signs_in_with_discovery_only() {
    let port = free_port();
    let window = window(vec![hall(port)]).await;
    let client = hall_at(&window, port).await;
    let browser = Browser::open().await;
    browser.visit(&client.base).await;
    signs_in(&browser).await;
    browser.element_with_text("#page", "signed in").await;
    let shown = browser.text("#page").await;
    let claims: serde_json::Value = serde_json::from_str(shown.strip_prefix("signed in: ").unwrap()).unwrap();
    assert_eq!((claims["aud"].as_str(), claims["acr"].as_str()), (Some("hall"), Some("L2")), "{}", client.errors());
    assert_eq!(claims["name"], ZHANG.0, "the name is filed");
    assert_ne!(claims["sub"], ZHANG.0);
    browser.close().await;
}

#[tokio::test]
async fn openid_client_signs_in_with_a_key_and_pushed_requests_and_refreshes_introspects_and_revokes() {
    let port = free_port();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let public = serde_json::to_value(Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap()).unwrap();
    let more = format!(
        "token_endpoint_auth_method = \"private_key_jwt\"\ngrant_types = [\"authorization_code\", \"refresh_token\"]\n\
         scopes = [\"offline_access\"]\nrequire_pushed_authorization_requests = true\n\
         jwks = {{ keys = [{{ kty = \"EC\", kid = \"k1\", crv = \"P-256\", x = {}, y = {} }}] }}\n",
        public["x"], public["y"]
    );
    let filing = Filing::of("hall", "330100").client(&NodeClient::filed("hall.app", port, &more));
    let window = window(vec![filing]).await;
    let settings = json!({
        "client_id": "hall.app", "port": port, "key": pair.serialize_pem(), "scope": "openid offline_access", "push": true,
    });
    let client = NodeClient::start(&window.gateway, settings).await;
    let browser = Browser::open().await;
    browser.visit(&client.base).await;
    signs_in(&browser).await;
    browser.element_with_text("#page", "signed in").await;
    browser.visit(&format!("{}/life", client.base)).await;
    let life = browser.text("#page").await;
    assert_eq!(life, r#"{"rotated":true,"before":true,"after":false}"#, "{}", client.errors());
    browser.close().await;
}

#[tokio::test]
async fn mod_auth_openidc_signs_in_with_discovery_only() {
    let port = free_port();
    let archive = Filing::of("archive", "530100").client(&ApacheClient::filed("archive", port));
    let window = window(vec![archive]).await;
    let client = ApacheClient::start(&window.gateway, "archive", port).await;
    let browser = Browser::open().await;
    browser.visit(&format!("{}/", client.base)).await;
    signs_in(&browser).await;
    browser.element_with_text("body", "the archive").await;
    browser.visit(&format!("{}/callback?info=json", client.base)).await;
    let shown = browser.text("body").await;
    let told: serde_json::Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}\n{}", client.log()));
    assert_eq!((told["id_token"]["aud"].as_str(), told["id_token"]["acr"].as_str()), (Some("archive"), Some("L2")));
    assert_eq!(told["userinfo"]["sub"], told["id_token"]["sub"]);
    assert!(!shown.contains(ZHANG.0), "the name is not filed: {shown}");
    browser.close().await;
}

#[tokio::test]
async fn three_platforms_need_one_sign_in_and_one_sign_out_ends_them_all() {
    let (node_port, apache_port) = (free_port(), free_port());
    let archive = Filing::of("archive", "530100").client(&ApacheClient::filed("archive", apache_port));
    let window = window(vec![hall(node_port), archive]).await;
    let hall = hall_at(&window, node_port).await;
    let archive = ApacheClient::start(&window.gateway, "archive", apache_port).await;
    let browser = Browser::open().await;
    let gateway = &window.gateway;

    browser.visit(&format!("{}/hangzhou/strict/", gateway.origin)).await;
    signs_in(&browser).await;
    browser.arrives_at("/hangzhou/strict/").await;
    browser.visit(&hall.base).await;
    browser.element_with_text("#page", "signed in").await;
    browser.visit(&format!("{}/", archive.base)).await;
    browser.element_with_text("body", "the archive").await;
    assert_eq!(gateway.metric("yimen_sign_ins_total", "result=\"ok\"").await, 1.0, "one sign-in for three platforms");
    assert_eq!(gateway.metric("yimen_issuer_tokens_total", "result=\"ok\"").await, 2.0);

    browser.visit(&format!("{}/sign-out", gateway.origin)).await;
    browser.click("main form button").await;
    gateway.metric_reaches("yimen_backchannel_logouts_total", "result=\"ok\"", 2.0).await;
    browser.visit(&format!("{}/hangzhou/strict/", gateway.origin)).await;
    browser.arrives_at("/sign-in").await;
    browser.visit(&hall.base).await;
    browser.arrives_at("/sign-in").await;
    browser.visit(&format!("{}/", archive.base)).await;
    browser.arrives_at("/sign-in").await;
    browser.close().await;
}

#[tokio::test]
async fn a_client_signs_a_person_out_and_gets_them_back() {
    let port = free_port();
    let window = window(vec![hall(port)]).await;
    let client = hall_at(&window, port).await;
    let browser = Browser::open().await;
    let account = format!("{}/account", window.gateway.origin);
    browser.visit(&client.base).await;
    signs_in(&browser).await;
    browser.element_with_text("#page", "signed in").await;
    browser.visit(&format!("{}/leave", client.base)).await;
    browser.element_with_text("#page", "bye").await;
    browser.visit(&account).await;
    browser.arrives_at("/sign-in").await;

    // Without the ID token the person is asked, and comes back all the same.
    browser.visit(&client.base).await;
    signs_in(&browser).await;
    browser.element_with_text("#page", "signed in").await;
    let asked =
        format!("{}/oidc/logout?client_id=hall&post_logout_redirect_uri={}/bye", window.gateway.origin, client.base);
    browser.visit(&asked).await;
    browser.click("#sign-out").await;
    browser.element_with_text("#page", "bye").await;
    browser.visit(&account).await;
    browser.arrives_at("/sign-in").await;
    browser.close().await;
}
