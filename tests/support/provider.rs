//! An identity provider in the test's own process that does what is right until it is told to lie: its tokens can be bent, its
//! keys changed, its answers delayed or replaced. The person at it is the test itself, by `approve`.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use serde_json::{Value, json};

pub const CLIENT_ID: &str = "yimen";
pub const CLIENT_SECRET: &str = "a secret: with / and é";
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A token before it is signed.
pub struct Token {
    pub header: Value,
    pub claims: Value,
    pub sign: Sign,
}

/// How a token is signed.
pub enum Sign {
    /// By the provider's key.
    Own,
    /// By a key that nobody published.
    Other,
    /// Not at all.
    None,
    /// By HMAC with the published key as its secret: algorithm confusion.
    Confused,
}

type Bend = Box<dyn Fn(&mut Token) + Send>;

/// What the provider is told to do.
#[derive(Default)]
pub struct Lies {
    /// Changes metadata.
    pub metadata: Value,
    /// Takes the place of the key set.
    pub jwks: Option<String>,
    /// Takes the place of the token endpoint's answer.
    pub token_answer: Option<String>,
    /// The token endpoint answers nothing.
    pub hangs: bool,
    /// Everything answers 503.
    pub away: bool,
    /// `sub` of the user information.
    pub userinfo_sub: Option<String>,
    /// Put into the redirect in place of the issuer; empty: left out.
    pub iss: Option<String>,
    bend: Option<Bend>,
}

struct Key {
    kid: String,
    pair: EcdsaKeyPair,
}

impl Key {
    fn new(kid: &str) -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        Self { kid: kid.to_owned(), pair }
    }

    fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn jwk(&self) -> Value {
        let part = |range| URL_SAFE_NO_PAD.encode(&self.point()[range]);
        json!({
            "kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256",
            "x": part(1..33), "y": part(33..65),
        })
    }
}

/// What a code was given for.
struct Granted {
    nonce: Value,
    challenge: String,
    redirect_uri: String,
}

struct Inner {
    issuer: String,
    key: Mutex<Key>,
    lies: Mutex<Lies>,
    codes: Mutex<HashMap<String, Granted>>,
    pushed: Mutex<HashMap<String, HashMap<String, String>>>,
    /// Requests by path.
    asked: Mutex<Vec<String>>,
}

/// The provider.
pub struct Provider {
    pub issuer: String,
    inner: Arc<Inner>,
}

impl Provider {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            issuer: issuer.clone(),
            key: Mutex::new(Key::new("first")),
            lies: Mutex::default(),
            codes: Mutex::default(),
            pushed: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(jwks))
            .route("/token", post(token))
            .route("/me", get(userinfo).post(userinfo))
            .route("/par", post(push))
            .with_state(inner.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { issuer, inner }
    }

    /// The realm as a table of the settings. `more`: further lines.
    pub fn realm(&self, id: &str, more: &str) -> String {
        format!(
            "[[realm]]\nid = \"{id}\"\nname = \"身份平台\"\nname_en = \"Identity platform\"\nissuer = \"{}\"\n\
             client_id = \"{CLIENT_ID}\"\nclient_secret_file = \"provider.secret\"\ndeadline_ms = 1000\n\
             levels = {{ \"urn:example:basic\" = \"L1\", \"urn:example:real-name\" = \"L3\" }}\n{more}\n",
            self.issuer
        )
    }

    /// Tells it to lie.
    pub fn lies(&self, change: impl FnOnce(&mut Lies)) {
        change(&mut self.inner.lies.lock().unwrap());
    }

    /// Bends every token from now on.
    pub fn bends(&self, bend: impl Fn(&mut Token) + Send + 'static) {
        self.lies(|lies| lies.bend = Some(Box::new(bend)));
    }

    /// Signs with a new key, and publishes it alone.
    pub fn rotates_its_key(&self, kid: &str) {
        *self.inner.key.lock().unwrap() = Key::new(kid);
    }

    /// How often a path was asked.
    pub fn asked(&self, path: &str) -> usize {
        self.inner.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// The person says yes at the address to which the gateway sent them; the path of the gateway to which they go back.
    pub fn approve(&self, address: &str) -> String {
        let url = Url::parse(address).unwrap();
        assert!(address.starts_with(&self.issuer), "sent elsewhere: {address}");
        let mut query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        if let Some(pushed) = query.get("request_uri") {
            assert_eq!(query.len(), 2, "what was pushed is not in the address: {address}");
            query = self.inner.pushed.lock().unwrap().remove(pushed).expect("a request that was pushed");
        }
        assert_eq!((&*query["response_type"], &*query["code_challenge_method"]), ("code", "S256"));
        let code = format!("code-{}", &query["state"][..10]);
        let granted = Granted {
            nonce: query.get("nonce").map_or(Value::Null, |nonce| json!(nonce)),
            challenge: query["code_challenge"].clone(),
            redirect_uri: query["redirect_uri"].clone(),
        };
        self.inner.codes.lock().unwrap().insert(code.clone(), granted);
        let mut back = Url::parse(&query["redirect_uri"]).unwrap();
        back.query_pairs_mut().append_pair("code", &code).append_pair("state", &query["state"]);
        let iss = self.inner.lies.lock().unwrap().iss.clone().unwrap_or_else(|| self.issuer.clone());
        if !iss.is_empty() {
            back.query_pairs_mut().append_pair("iss", &iss);
        }
        format!("{}?{}", back.path(), back.query().unwrap())
    }

    /// A logout token for the session `session-1` of this gateway, bent by `bend`.
    pub fn logout_token(&self, bend: impl FnOnce(&mut Token)) -> String {
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now(), "exp": now() + 120, "jti": uuid::Uuid::now_v7().to_string(), "sid": "session-1",
            "events": { LOGOUT_EVENT: {} },
        });
        let header = json!({ "alg": "ES256", "typ": "logout+jwt", "kid": self.inner.key.lock().unwrap().kid });
        let mut token = Token { header, claims, sign: Sign::Own };
        bend(&mut token);
        signed(&self.inner, &token)
    }
}

pub fn now() -> u64 {
    #[allow(clippy::disallowed_methods, reason = "the provider has a clock of its own")]
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signed(inner: &Inner, token: &Token) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encoded(&token.header), encoded(&token.claims));
    let key = inner.key.lock().unwrap();
    let by = |key: &Key| URL_SAFE_NO_PAD.encode(key.pair.sign(&SystemRandom::new(), input.as_bytes()).unwrap());
    let signature = match token.sign {
        Sign::Own => by(&key),
        Sign::Other => by(&Key::new("other")),
        Sign::None => String::new(),
        Sign::Confused => {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, key.point());
            URL_SAFE_NO_PAD.encode(hmac::sign(&secret, input.as_bytes()))
        }
    };
    format!("{input}.{signature}")
}

fn noted(inner: &Inner, path: &str) -> Option<Response> {
    inner.asked.lock().unwrap().push(path.to_owned());
    inner.lies.lock().unwrap().away.then(|| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn metadata(State(inner): State<Arc<Inner>>) -> Response {
    if let Some(away) = noted(&inner, "/metadata") {
        return away;
    }
    let issuer = &inner.issuer;
    let mut metadata = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth"), "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "userinfo_endpoint": format!("{issuer}/me"),
        "end_session_endpoint": format!("{issuer}/end"), "code_challenge_methods_supported": ["S256"],
        "pushed_authorization_request_endpoint": format!("{issuer}/par"),
        "authorization_response_iss_parameter_supported": true,
    });
    if let Value::Object(lies) = &inner.lies.lock().unwrap().metadata {
        lies.iter().for_each(|(key, lie)| metadata[key] = lie.clone());
    }
    Json(metadata).into_response()
}

async fn jwks(State(inner): State<Arc<Inner>>) -> Response {
    if let Some(away) = noted(&inner, "/jwks") {
        return away;
    }
    let lie = inner.lies.lock().unwrap().jwks.clone();
    lie.map_or_else(
        || Json(json!({ "keys": [inner.key.lock().unwrap().jwk()] })).into_response(),
        String::into_response,
    )
}

/// Whether the client proved itself by its secret, form-encoded as RFC 6749 section 2.3.1 says.
fn proven(headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
    if let Some(secret) = form.get("client_secret") {
        return form["client_id"] == CLIENT_ID && secret == CLIENT_SECRET;
    }

    let shown = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let pair = shown.and_then(|shown| String::from_utf8(STANDARD.decode(shown).unwrap()).ok()).unwrap_or_default();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    pair.split_once(':').is_some_and(|(id, secret)| decoded(id) == CLIENT_ID && decoded(secret) == CLIENT_SECRET)
}

fn refused(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

async fn push(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(away) = noted(&inner, "/par") {
        return away;
    }
    if !proven(&headers, &form) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let request_uri = format!("urn:ietf:params:oauth:request_uri:{}", form["state"]);
    inner.pushed.lock().unwrap().insert(request_uri.clone(), form);
    (StatusCode::CREATED, Json(json!({ "request_uri": request_uri, "expires_in": 60 }))).into_response()
}

async fn token(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    if let Some(away) = noted(&inner, "/token") {
        return away;
    }
    if inner.lies.lock().unwrap().hangs {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    if !proven(&headers, &form) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let granted = inner.codes.lock().unwrap().remove(&form["code"]);
    let Some(granted) = granted else { return refused(StatusCode::BAD_REQUEST, "invalid_grant") };
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    if challenge != granted.challenge || form["redirect_uri"] != granted.redirect_uri {
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    let lies = inner.lies.lock().unwrap();
    if let Some(answer) = &lies.token_answer {
        return answer.clone().into_response();
    }
    let claims = json!({
        "iss": inner.issuer, "aud": CLIENT_ID, "sub": "person-1", "sid": "session-1", "iat": now(), "exp": now() + 300,
        "nonce": granted.nonce, "auth_time": now(), "acr": "urn:example:real-name", "amr": ["pwd", "otp"],
    });
    let header = json!({ "alg": "ES256", "kid": inner.key.lock().unwrap().kid });
    let mut token = Token { header, claims, sign: Sign::Own };
    if let Some(bend) = &lies.bend {
        bend(&mut token);
    }
    let id_token = signed(&inner, &token);
    Json(json!({ "access_token": "opaque", "token_type": "Bearer", "id_token": id_token })).into_response()
}

async fn userinfo(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: String) -> Response {
    if let Some(away) = noted(&inner, "/me") {
        return away;
    }
    let shown = headers.get("authorization").is_some_and(|shown| shown == "Bearer opaque");
    if !shown && body != "access_token=opaque" {
        return refused(StatusCode::UNAUTHORIZED, "invalid_token");
    }
    let sub = inner.lies.lock().unwrap().userinfo_sub.clone().unwrap_or_else(|| "person-1".to_owned());
    let data = json!({ "user": { "id": 42, "real_name": "韩梅梅" }, "level": 2 });
    Json(json!({ "sub": sub, "name": "李雷", "data": data })).into_response()
}
