//! A person who comes to the gateway with a client that keeps cookies, or a program without any.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, RequestBuilder};
use serde_json::Value;

use super::client;
use super::gateway::Gateway;
use super::totp::code_now;

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "__Host-yimen";

/// Somebody with cookies of their own.
#[derive(Debug)]
pub struct Citizen {
    client: Client,
    base: String,
    origin: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
    pub took: Duration,
}

impl Citizen {
    /// Over HTTP/2 where TLS offers it.
    pub fn of(gateway: &Gateway) -> Self {
        Self::by(gateway, client())
    }

    /// Over HTTP/1.1.
    pub fn of_http1(gateway: &Gateway) -> Self {
        Self::by(gateway, client().http1_only())
    }

    fn by(gateway: &Gateway, client: reqwest::ClientBuilder) -> Self {
        let authority = std::fs::read(gateway.folder.path().join("certificate.pem")).unwrap();
        let client = client.tls_certs_only([Certificate::from_pem(&authority).unwrap()]).redirect(Policy::none());
        let scheme = if gateway.plaintext { "http" } else { "https" };
        Self {
            client: client.timeout(Duration::from_secs(60)).build().unwrap(),
            base: format!("{scheme}://{}", gateway.public),
            origin: gateway.origin.clone(),
            cookies: Mutex::default(),
        }
    }

    /// A request with this citizen's cookies, to be completed and given to `send`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { request } else { request.header(COOKIE, pairs.join("; ")) }
    }

    /// Sends it, keeps the cookies of the answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let start = Instant::now();
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned();
        let answer = Answer { status, headers, body, took: start.elapsed() };
        self.keep(&answer);
        answer
    }

    fn keep(&self, answer: &Answer) {
        let mut cookies = self.cookies.lock().unwrap();
        for line in answer.headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.to_ascii_lowercase().contains("max-age=0") || value.is_empty() {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// A program asks for JSON.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header(ACCEPT, "application/json")).await
    }

    /// A person opens a page.
    pub async fn visit(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path).header(ACCEPT, "text/html").header("sec-fetch-mode", "navigate");
        self.send(request.header("sec-fetch-dest", "document")).await
    }

    /// A person sends a form.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).header(ACCEPT, "text/html").header("origin", &self.origin);
        self.send(request.header("sec-fetch-site", "same-origin").form(fields)).await
    }

    /// Fills the sign-in form that a visit to `return_to` leads to.
    pub async fn try_sign_in(&self, login: &str, password: &str, return_to: &str) -> Answer {
        let encoded: String =
            percent_encoding::utf8_percent_encode(return_to, percent_encoding::NON_ALPHANUMERIC).collect();
        let path = format!("/sign-in?return_to={encoded}");
        let page = self.visit(&path).await;
        page.has_status(200);
        let csrf = page.field("csrf");
        self.submit(&path, &[("login", login), ("password", password), ("csrf", &csrf), ("return_to", return_to)]).await
    }

    /// Signs in; panics when refused.
    pub async fn sign_in(&self, login: &str, password: &str) {
        self.try_sign_in(login, password, "/").await.leads_to(303, "/");
        assert!(self.cookie(SESSION_COOKIE).is_some(), "no session cookie after sign-in");
    }

    /// Sets an authenticator app on the account page, and returns its secret.
    pub async fn sets_an_app(&self) -> String {
        let csrf = self.visit("/account").await.field("csrf");
        let page = self.submit("/account/factors", &[("csrf", &csrf), ("wish", "totp")]).await;
        page.has_status(200);
        let secret = page.body.split("<code id=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let (aside, code) = (page.field("aside"), code_now(&secret));
        let fields = [("csrf", csrf.as_str()), ("wish", "set-totp"), ("aside", &aside), ("code", &code)];
        self.submit("/account/factors", &fields).await.has_status(200);
        secret
    }

    /// Shows a code on the second page, for a page that asks for `assurance`.
    pub async fn shows_code(&self, code: &str, return_to: &str, assurance: &str) -> Answer {
        let csrf = self.visit("/sign-in/second").await.field("csrf");
        let fields = [("csrf", csrf.as_str()), ("by", "totp"), ("code", code), ("return_to", return_to)];
        self.submit("/sign-in/second", &[&fields[..], &[("assurance", assurance)]].concat()).await
    }

    /// The value of a cookie this citizen has.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// The names of all cookies this citizen has.
    pub fn cookie_names(&self) -> Vec<String> {
        self.cookies.lock().unwrap().keys().cloned().collect()
    }

    /// Puts a cookie in by hand.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.body))
    }

    #[track_caller]
    pub fn has_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{} {}", self.header("yimen-error"), self.body);
        self
    }

    /// A refusal of the gateway in the form for programs.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> &Self {
        self.has_status(status);
        assert_eq!((self.header("yimen-error"), self.header("content-type")), (code, "application/problem+json"));
        let problem = self.json();
        assert_eq!((problem["code"].as_str(), problem["status"].as_u64()), (Some(code), Some(status.into())));
        assert_eq!(problem["type"], format!("urn:yimen:problem:{code}"));
        assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
        self
    }

    /// A redirect within the gateway.
    #[track_caller]
    pub fn leads_to(&self, status: u16, location: &str) -> &Self {
        self.has_status(status);
        assert_eq!(self.headers.get(LOCATION).map(|to| to.to_str().unwrap()), Some(location));
        self
    }

    /// Answered by a platform, and by this one.
    #[track_caller]
    pub fn came_from(&self, platform: &str) -> &Self {
        assert_eq!(self.header("yimen-error"), "", "the gateway failed: {}", self.body);
        assert_eq!(self.status, 200, "{}", self.body);
        assert_eq!(self.json()["platform"], platform);
        assert!(self.header("yimen-served-by").starts_with(platform), "{:?}", self.headers);
        self
    }

    /// The value of a form field on the page.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let tags = self.body.split('<').filter_map(|tag| tag.strip_prefix("input")?.split('>').next());
        let tag = tags.clone().find(|tag| tag.contains(&format!("name=\"{name}\"")));
        let tag = tag.unwrap_or_else(|| panic!("no field {name} on the page: {}", self.body));
        let value = tag.split_once("value=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
        value.replace("&#38;", "&")
    }
}
