//! Whoever works at the management API of a gateway, with a token of their own.

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use super::gateway::Gateway;
use super::process::yimen;
use super::{client, until};

/// The owner of the test's platforms: a code with right check characters.
pub const OWNER: &str = "11330200990000201X";

/// Somebody with a token.
#[derive(Debug)]
pub struct Clerk {
    pub token: String,
    pub server: String,
    http: reqwest::Client,
}

/// An answer of the API.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Told {
    #[track_caller]
    pub fn has_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    /// Status and reason code of a refusal.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{:#}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-request-id"), self.body["request_id"].as_str().unwrap());
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What is wrong, by pointer or parameter.
    pub fn wrongs(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().unwrap().iter();
        errors.map(|error| error["pointer"].as_str().or(error["parameter"].as_str()).unwrap()).collect()
    }
}

/// The management address of a gateway.
pub fn server(gateway: &Gateway) -> String {
    let settings: toml_edit::DocumentMut = std::fs::read_to_string(&gateway.config).unwrap().parse().unwrap();
    format!("http://{}", settings["management"]["listen"].as_str().unwrap())
}

/// `yimen …` of this gateway's machine.
pub fn on_machine(gateway: &Gateway, words: &[&str]) -> Output {
    yimen().args(words).arg("--config").arg(&gateway.config).output().unwrap()
}

impl Clerk {
    /// With a token issued on the machine: `--role`, `--division` and what else is in `words`.
    pub fn of(gateway: &Gateway, words: &str) -> Self {
        let words: Vec<&str> = ["token", "issue"].into_iter().chain(words.split(' ')).collect();
        let issued = on_machine(gateway, &words);
        assert!(issued.status.success(), "{}", String::from_utf8_lossy(&issued.stderr));
        Self::with_token(gateway, String::from_utf8(issued.stdout).unwrap().trim())
    }

    pub fn with_token(gateway: &Gateway, token: &str) -> Self {
        Self { token: token.to_owned(), server: server(gateway), http: client().build().unwrap() }
    }

    /// An operator of a division, who is nobody else.
    pub fn operator(gateway: &Gateway, division: &str) -> Self {
        Self::of(gateway, &format!("--role operator --division {division} --principal operator.{division}"))
    }

    /// A platform that files itself.
    pub fn platform(gateway: &Gateway, id: &str, division: &str) -> Self {
        Self::of(gateway, &format!("--role platform --division {division} --platform {id}"))
    }

    /// A call: method and path, header fields, body.
    pub async fn call(&self, what: &str, fields: &[(&str, &str)], body: Option<Value>) -> Told {
        let (method, path) = what.split_once(' ').unwrap();
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.server));
        request = request.bearer_auth(&self.token).timeout(Duration::from_secs(20));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            let media_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            request = request.header("content-type", media_type).body(body.to_string());
        }
        told(request).await
    }

    pub async fn get(&self, path: &str) -> Told {
        self.call(&format!("GET {path}"), &[], None).await
    }

    /// A step on the way of a filing as it is now; who cannot read it names a version that it might have.
    pub async fn step(&self, id: &str, action: &str, body: Option<Value>) -> Told {
        let read = self.get(&format!("/v1/filings/{id}")).await;
        let tag = if read.status == 200 { read.header("etag") } else { "\"2\"" };
        self.call(&format!("POST /v1/filings/{id}/{action}"), &[("if-match", tag)], body).await
    }

    /// Approves what somebody else proposed.
    pub async fn approves(&self, proposal: &Told) -> Told {
        let id = proposal.body["id"].as_str().unwrap();
        self.call(&format!("POST /v1/proposals/{id}/approve"), &[], None).await
    }

    /// A token that this one issues.
    pub async fn issues(&self, gateway: &Gateway, new: Value) -> Self {
        let issued = self.call("POST /v1/tokens", &[], Some(new)).await.has_status(201);
        Self::with_token(gateway, issued.body["token"].as_str().unwrap())
    }

    /// Files a platform anew, and hands it in.
    pub async fn files(&self, document: &Value) {
        let id = document["platform"]["id"].as_str().unwrap();
        let put = format!("PUT /v1/filings/{id}");
        self.call(&put, &[("if-none-match", "*")], Some(document.clone())).await.has_status(201);
        self.step(id, "submit", None).await.has_status(200);
    }
}

/// Sends a request as it is.
pub async fn told(request: reqwest::RequestBuilder) -> Told {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap();
    Told { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

/// A filing that could be approved: an open item for all of a division, at one instance.
pub fn document(id: &str, division: &str, item: &str, instance: std::net::SocketAddr) -> Value {
    json!({
        "platform": {
            "id": id, "name": "测试平台", "name_en": "Test platform", "owner": OWNER, "division": division,
            "function": "answers tests", "scope": "tests", "approving_body": "nobody: a test",
            "approved_on": "2026-01-01", "funding": "none", "filing_number": format!("TEST-{id}"),
            "valid_until": "2099-12-31", "contact": "test@example.gov",
        },
        "upstream": [{ "address": instance.to_string() }],
        "route": [{ "items": [item], "access": "open" }],
    })
}

/// Waits until an address of the portal is answered so.
pub async fn served(gateway: &Gateway, path: &str, status: u16) {
    let http = client().tls_danger_accept_invalid_certs(true).build().unwrap();
    let url = format!("{}{path}", gateway.origin);
    let now = || async { (http.get(&url).send().await.ok()?.status().as_u16() == status).then_some(()) };
    until(&format!("{path} is answered {status}"), Duration::from_secs(10), now).await;
}
