//! One connection to the management API.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Identity, Method};
use serde_json::Value;

use super::shown::part;
use super::{Called, Outcome, Output};

/// Longer than any of the server's own deadlines.
const DEADLINE: Duration = Duration::from_secs(30);
/// Entries asked for at a time.
const PAGE: &str = "500";

/// Why there is nothing good to print.
#[derive(Debug)]
pub(super) enum Failed {
    /// A file cannot be read, or is not what it should be.
    Input(String),
    /// Something of this machine.
    Local(String),
    /// Nobody answered.
    NoAnswer(String),
    /// The server's problem document.
    Refused { status: u16, problem: Value },
}

impl Failed {
    pub(super) fn told(self, output: Output) -> Outcome {
        match self {
            Self::Input(told) => Outcome::failed(66, told),
            Self::Local(told) => Outcome::failed(super::super::FAILED, told),
            Self::NoAnswer(told) => Outcome::failed(69, told),
            Self::Refused { status, problem } => {
                let exit = match status {
                    401 | 403 => 77,
                    500.. => 69,
                    _ => 65,
                };
                let told = if output == Output::Json { format!("{problem:#}") } else { sentence(&problem) };
                Outcome::failed(exit, told)
            }
        }
    }
}

fn sentence(problem: &Value) -> String {
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut told = format!("{} ({})", text("detail"), text("code"));
    for error in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
        told += &super::shown::wrong(error);
    }
    told
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) body: Value,
    pub(super) etag: Option<String>,
}

/// Whom we call.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    pub(super) fn new(called: &Called) -> Result<Self, Failed> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier one is the same
        let mut builder = reqwest::Client::builder().no_proxy().timeout(DEADLINE);
        let unfit = |path: &Path| Failed::Input(format!("{}: nothing that can be used in PEM form", path.display()));
        if let Some(path) = &called.ca {
            let authorities = Certificate::from_pem_bundle(&read(path)?).map_err(|_| unfit(path))?;
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(path) = &called.client_certificate {
            builder = builder.identity(Identity::from_pem(&read(path)?).map_err(|_| unfit(path))?);
        }
        let token = called.token_file.as_deref().map(read).transpose()?;
        let token = token.map(|token| String::from_utf8_lossy(&token).trim().to_owned());
        let http = builder.build().map_err(|cause| Failed::Local(cause.to_string()))?;
        Ok(Self { http, server: called.server.trim_end_matches('/').to_owned(), token })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answered, Failed> {
        self.send(Method::GET, path, &[], None).await
    }

    /// All entries of a list, page by page.
    pub(super) async fn all(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Vec<Value>, Failed> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut pairs = vec![("limit", PAGE.to_owned())];
            pairs.extend(query.iter().filter_map(|(name, value)| Some((*name, value.clone()?))));
            pairs.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            let page = self.get(&format!("{path}?{}", pairs.join("&"))).await?.body;
            if let Value::Array(entries) = part(&page, "/entries") {
                all.extend(entries);
            }
            match part(&page, "/next") {
                Value::String(next) => cursor = Some(next),
                _ => return Ok(all),
            }
        }
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: Option<(&str, &Value)>,
    ) -> Result<Answered, Failed> {
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some((media_type, body)) = body {
            request = request.header("content-type", media_type).body(body.to_string());
        }
        let silent = |cause: reqwest::Error| {
            let why = std::error::Error::source(&cause).map_or_else(|| cause.to_string(), ToString::to_string);
            Failed::NoAnswer(format!("{} does not answer ({why}); look at --server, and whether it runs", self.server))
        };
        let answer = request.send().await.map_err(silent)?;
        let status = answer.status();
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let bytes = answer.bytes().await.map_err(silent)?;
        let value = |_| serde_json::json!({ "detail": format!("answer {status} that is no JSON"), "code": "strange" });
        let body = serde_json::from_slice(&bytes).unwrap_or_else(value);
        if status.is_success() {
            Ok(Answered { body, etag })
        } else {
            Err(Failed::Refused { status: status.as_u16(), problem: body })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(path).map_err(|cause| Failed::Input(format!("{}: {cause}", path.display())))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
