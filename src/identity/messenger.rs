//! One-time codes by short message or e-mail, through whoever sends them: one `POST` of JSON, signed, or a line in a file.
//! Body: `{"id","channel","address","code","expires_in_s","language","sent_at"}`; `Yimen-Signature: sha256=<hex>` is HMAC-SHA256
//! over the body under a secret that both sides have in a file; `sent_at` lets the receiver refuse what is old, `id` what it has
//! had. Tried once, within a deadline: whoever waits asks again, and how often is metered. Fails: `MessengerError`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::hmac;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde::Serialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::IdentityError;
use crate::config::MessengerConfig;
use crate::domain::Timestamp;
use crate::store::FactorKind;

/// A person waits for it with the page open.
const DEADLINE: Duration = Duration::from_secs(3);
const SECRET_BYTES_MAX: usize = 4096;

/// A message was not handed over.
#[derive(Debug, thiserror::Error)]
#[error("the code was not sent: {0}")]
pub struct MessengerError(String);

impl MessengerError {
    pub(super) fn none() -> Self {
        Self("nothing sends codes here; see [sign_in]".to_owned())
    }
}

/// What hands codes over.
pub struct Messenger(Way);

enum Way {
    Hook { client: Client, url: String, secret: Box<hmac::Key> },
    File(PathBuf),
}

/// One code for one address.
pub(super) struct Message<'a> {
    pub(super) kind: FactorKind,
    pub(super) address: &'a str,
    pub(super) code: &'a str,
    pub(super) life: Duration,
    pub(super) language: &'a str,
}

#[derive(Serialize)]
struct Body<'a> {
    id: String,
    channel: &'static str,
    address: &'a str,
    code: &'a str,
    expires_in_s: u64,
    language: &'a str,
    sent_at: u64,
}

impl std::fmt::Debug for Messenger {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Messenger(..)")
    }
}

impl Messenger {
    /// As the settings say; `None` when they name neither hook nor file.
    pub fn of(config: &MessengerConfig) -> Result<Option<Self>, IdentityError> {
        if let Some(file) = &config.file {
            return Ok(Some(Self(Way::File(file.clone()))));
        }
        let (Some(url), Some(secret)) = (&config.url, &config.secret_file) else { return Ok(None) };
        let read = |path: &Path| std::fs::read(path).map_err(|error| IdentityError::file(path, error));
        let text = Zeroizing::new(read(secret)?);
        let trimmed = text.trim_ascii();
        if trimmed.len() < 16 || trimmed.len() > SECRET_BYTES_MAX {
            return Err(IdentityError::bad_file(secret, "no secret of 16 to 4096 characters"));
        }
        let mut client = Client::builder().no_proxy().redirect(Policy::none()).timeout(DEADLINE);
        if let Some(path) = &config.ca_file {
            let authorities = Certificate::from_pem_bundle(&read(path)?);
            let bad = |_| IdentityError::bad_file(path, "no certificate in PEM");
            client = client.tls_certs_only(authorities.map_err(bad)?);
        }
        let client = client.build().map_err(|_| IdentityError::Crypto("making the client of the code hook"))?;
        let secret = Box::new(hmac::Key::new(hmac::HMAC_SHA256, trimmed));
        Ok(Some(Self(Way::Hook { client, url: url.clone(), secret })))
    }

    pub(super) async fn send(&self, message: &Message<'_>, now: Timestamp) -> Result<(), MessengerError> {
        let body = Body {
            id: Uuid::now_v7().to_string(),
            channel: message.kind.word(),
            address: message.address,
            code: message.code,
            expires_in_s: message.life.as_secs(),
            language: message.language,
            sent_at: now.seconds(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| MessengerError("it cannot be written".to_owned()))?;
        match &self.0 {
            Way::Hook { client, url, secret } => {
                let tag: String = hmac::sign(secret, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                let request = client.post(url).header("content-type", "application/json");
                let sent = request.header("yimen-signature", format!("sha256={tag}")).body(body).send().await;
                // The cause without its address, in which a secret may stand.
                let answer = sent.map_err(|error| MessengerError(error.without_url().to_string()))?;
                let status = answer.status();
                if status.is_success() { Ok(()) } else { Err(MessengerError(format!("the hook answered {status}"))) }
            }
            Way::File(path) => {
                let path = path.clone();
                let written = tokio::task::spawn_blocking(move || append(&path, &body)).await;
                let fault =
                    |error: &dyn std::fmt::Display| MessengerError(format!("the file cannot be written: {error}"));
                written.map_err(|error| fault(&error))?.map_err(|error| fault(&error))
            }
        }
    }
}

fn append(path: &Path, body: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.write_all(&[body, b"\n"].concat())
}
