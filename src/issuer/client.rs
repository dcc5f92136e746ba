//! Which client this is, and whether it is it.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;

use super::answer::Fault;
use super::parameters::{Parameters, decoded};
use super::{Issuer, Refused};
use crate::domain::Timestamp;
use crate::identity::ClientKeys;
use crate::routing::{Client, Credentials, Platform, PlatformState};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Parameters by which a client shows who it is.
pub(super) const SHOWN: [&str; 4] = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
/// How long after its end an assertion's name is kept, for clocks that differ.
const JTI_SLACK_S: u64 = 60;

/// A client of the table in force, with its platform.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) platform: Arc<Platform>,
    index: usize,
}

impl Known {
    /// The client; `None` cannot be, since the platform is the one that it was found in.
    pub(super) fn client(&self) -> Option<&Client> {
        self.platform.clients.get(self.index)
    }
}

/// What a client shows.
enum Shown {
    Basic(String, String),
    Post(String, String),
    Assertion(String, String),
}

#[derive(Deserialize)]
struct Unverified {
    sub: String,
}

impl Issuer {
    /// The client of this name, as filed and approved. Its name begins with its platform's.
    pub(super) fn known(&self, id: &str) -> Result<Known, Refused> {
        let table = self.routes.snapshot();
        let platform = id.split('.').next().unwrap_or_default();
        let platform = table.platform(platform).ok_or(Refused::UnknownClient)?;
        let index = platform.clients.iter().position(|client| &*client.id == id).ok_or(Refused::UnknownClient)?;
        match platform.state {
            PlatformState::Active => Ok(Known { platform: platform.clone(), index }),
            _ => Err(Refused::ClientNotServed),
        }
    }

    /// The client that calls, by the one method that it has filed. `path`: the address it called.
    pub(super) async fn authenticated(
        &self,
        headers: &HeaderMap,
        form: &Parameters,
        path: &str,
        now: Timestamp,
    ) -> Result<Known, Fault> {
        let shown = shown(headers, form)?;
        let (Shown::Basic(id, _) | Shown::Post(id, _) | Shown::Assertion(id, _)) = &shown;
        if form.get("client_id").is_some_and(|named| named != id) {
            return Err(Fault::Client);
        }
        let known = self.known(id).map_err(|_| Fault::Client)?;
        let client = known.client().ok_or(Fault::Client)?;
        let good = match (&client.credentials, &shown) {
            (Credentials::SecretBasic(hashes), Shown::Basic(_, secret))
            | (Credentials::SecretPost(hashes), Shown::Post(_, secret)) => is_secret(hashes, secret),
            (Credentials::PrivateKeyJwt(keys), Shown::Assertion(_, assertion)) => {
                self.is_assertion(keys, &client.id, assertion, path, now).await?
            }
            _ => false,
        };
        if good { Ok(known) } else { Err(Fault::Client) }
    }

    /// Whether the client's own key signed it, for us, and it was never shown before.
    async fn is_assertion(
        &self,
        keys: &[Box<str>],
        client: &str,
        assertion: &str,
        path: &str,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let here = format!("{}{path}", self.origin);
        let token = format!("{}/oidc/token", self.origin); // RFC 9126 section 2: good at other addresses too
        let keys = ClientKeys::of(keys.iter().map(AsRef::as_ref));
        let spoken = match keys.verify(assertion, client, &[&self.origin, &here, &token], now) {
            Ok(spoken) => spoken,
            Err(why) => {
                tracing::info!(client, %why, "a client did not show that it is it");
                return Ok(false);
            }
        };
        let name = [b"issuer jti\0", client.as_bytes(), b"\0", spoken.jti.as_bytes()].concat();
        let life = std::time::Duration::from_secs(spoken.exp.saturating_sub(now.seconds()) + JTI_SLACK_S);
        Ok(self.store().put_once(&name, b"", life, now).await?)
    }
}

/// Exactly one way: more than one are a mistake or a game (RFC 6749 section 2.3).
fn shown(headers: &HeaderMap, form: &Parameters) -> Result<Shown, Fault> {
    let basic = basic(headers)?;
    let post = form.get("client_secret");
    let assertion = form.get("client_assertion");
    match (basic, post, assertion) {
        (Some((id, secret)), None, None) => Ok(Shown::Basic(id, secret)),
        (None, Some(secret), None) => {
            Ok(Shown::Post(form.get("client_id").ok_or(Fault::Client)?.to_owned(), secret.to_owned()))
        }
        (None, None, Some(assertion)) if form.get("client_assertion_type") == Some(ASSERTION_TYPE) => {
            Ok(Shown::Assertion(speaker(assertion).ok_or(Fault::Client)?, assertion.to_owned()))
        }
        (None, None, Some(_)) => Err(Fault::Request("client_assertion_type is not jwt-bearer")),
        (None, None, None) => Err(Fault::Client),
        _ => Err(Fault::Request("a client shows itself in one way, not in two")),
    }
}

/// RFC 6749 section 2.3.1: both parts are form-encoded.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Fault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::Request("Authorization is there twice"));
    }
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    let coded = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")).map(|(_, coded)| coded.trim());
    let bytes = coded.and_then(|coded| STANDARD.decode(coded).ok()).ok_or(Fault::Client)?;
    let text = String::from_utf8(bytes).map_err(|_| Fault::Client)?;
    let (id, secret) = text.split_once(':').ok_or(Fault::Client)?;
    Ok(Some((decoded(id).ok_or(Fault::Client)?, decoded(secret).ok_or(Fault::Client)?)))
}

/// Whom an assertion speaks for, by its own word: it only says whose keys to try.
fn speaker(assertion: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Unverified>(&claims).ok().map(|claims| claims.sub)
}

/// Every hash is compared, so that time does not tell which one fits.
fn is_secret(hashes: &[[u8; 32]], secret: &str) -> bool {
    let shown = digest(&SHA256, secret.as_bytes());
    hashes.iter().fold(false, |fits, hash| fits | verify_slices_are_equal(shown.as_ref(), hash).is_ok())
}
