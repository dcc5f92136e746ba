//! Calls to a provider: a deadline for all of it, an end to every body, no redirect, no proxy of the environment. What a
//! provider answers is somebody else's word, so nothing of it is logged but its status.

use std::path::Path;
use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::config::RealmConfig;

/// A key set has a few KiB; metadata and user information less.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// A secret or a key; nothing longer is read.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// No answer, or one that says "not now".
    Away(String),
    /// An answer that is none.
    Garbled(&'static str),
    /// A refusal with the provider's word (RFC 6749 section 5.2).
    Refused(String),
}

#[derive(Debug)]
pub(super) struct Outgoing {
    client: Client,
    deadline: Duration,
}

impl Outgoing {
    /// `Err`: the authorities cannot be read, or there is no TLS.
    pub(super) fn new(config: &RealmConfig) -> Result<Self, String> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier one is the same
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .timeout(config.deadline)
            .connect_timeout(config.deadline)
            .pool_max_idle_per_host(2)
            .user_agent("yimen");
        if let Some(path) = &config.ca_file {
            let unfit = |cause: String| format!("{}: {cause}; name authorities in PEM form", path.display());
            let pem = std::fs::read(path).map_err(|cause| unfit(cause.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|cause| unfit(cause.to_string()))?;
            builder = builder.tls_certs_only(authorities);
        }
        let client = builder.build().map_err(|cause| format!("no client for a provider: {cause}"))?;
        Ok(Self { client, deadline: config.deadline })
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url).header(ACCEPT, "application/json")
    }

    pub(super) fn post(&self, url: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.client.post(url).header(ACCEPT, "application/json").form(form)
    }

    /// The JSON that a request brings.
    pub(super) async fn json(&self, request: RequestBuilder) -> Result<Value, CallError> {
        let (status, body) = self.bytes(request).await?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        match (status, json) {
            (200..=299, Some(json)) => Ok(json),
            (200..=299, None) => Err(CallError::Garbled("an answer that is no JSON")),
            (400..=499, Some(json)) if status != 429 => {
                Err(CallError::Refused(json.get("error").and_then(Value::as_str).unwrap_or("").to_owned()))
            }
            _ => Err(CallError::Away(format!("status {status}"))),
        }
    }

    async fn bytes(&self, request: RequestBuilder) -> Result<(u16, Zeroizing<Vec<u8>>), CallError> {
        let work = async {
            let mut answer = request.send().await.map_err(away)?;
            if answer.content_length().is_some_and(|length| length > BODY_BYTES_MAX as u64) {
                return Err(CallError::Garbled("an answer that is too long"));
            }
            let mut body = Zeroizing::new(Vec::new());
            while let Some(chunk) = answer.chunk().await.map_err(away)? {
                if body.len() + chunk.len() > BODY_BYTES_MAX {
                    return Err(CallError::Garbled("an answer that is too long"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((answer.status().as_u16(), body))
        };
        let late = |_| Err(CallError::Away("no answer within its deadline".to_owned()));
        tokio::time::timeout(self.deadline, work).await.unwrap_or_else(late)
    }
}

/// What happened to a call, without its address: a code may stand in it.
fn away(error: reqwest::Error) -> CallError {
    let kind = match () {
        () if error.is_timeout() => "no answer within its deadline",
        () if error.is_connect() => "no connection",
        () => "the connection broke",
    };
    CallError::Away(kind.to_owned())
}

/// A secret's text, read anew each time, so that a changed file needs no restart.
pub(super) async fn secret(path: &Path) -> Result<Zeroizing<String>, String> {
    use tokio::io::AsyncReadExt;
    let fault = |cause: std::io::Error| format!("{} cannot be read: {cause}; put the secret there", path.display());
    let mut text = Zeroizing::new(String::new());
    let file = tokio::fs::File::open(path).await.map_err(fault)?;
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).await.map_err(fault)?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}
