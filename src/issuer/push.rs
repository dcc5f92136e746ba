//! Pushed authorization requests (RFC 9126): the client sends its request by itself, and the browser carries a name for it.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;

use super::Issuer;
use super::answer::{Answer, Fault, Machine, json as answer};
use super::client::SHOWN;
use super::grant::PUSHED;
use super::parameters::Parameters;
use super::request::{PARAMETERS, Wrong};
use crate::domain::Timestamp;

pub(super) const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
/// RFC 9126 section 2.2 wants it short: a redirect takes a moment.
const LIFE_S: u64 = 60;

pub(super) fn name(reference: &str) -> Vec<u8> {
    [b"issuer pushed\0", reference.as_bytes()].concat()
}

impl Issuer {
    /// `POST /oidc/par`.
    pub async fn push(&self, call: Machine<'_>, now: Timestamp) -> Answer {
        match self.pushed_request(call, now).await {
            Ok(reference) => {
                let body = json!({ "request_uri": format!("{PREFIX}{reference}"), "expires_in": LIFE_S });
                answer(StatusCode::CREATED, &body)
            }
            Err(fault) => fault.answer(&self.origin),
        }
    }

    async fn pushed_request(&self, call: Machine<'_>, now: Timestamp) -> Result<String, Fault> {
        let unreadable = |_| Fault::Request("send each parameter once, as a form of at most 4 KiB");
        let shown = Parameters::long(call.body, &SHOWN).map_err(unreadable)?;
        let known = self.authenticated(call.headers, &shown, "/oidc/par", now).await?;
        let asked = Parameters::long(call.body, &PARAMETERS).map_err(unreadable)?;
        let redirect_uri =
            self.redirect_uri(&known, &asked).map_err(|_| Fault::Request("redirect_uri is none of the filed ones"))?;
        let request = self.request(&known, redirect_uri, &asked, now);
        let request = request.map_err(|Wrong(code, why)| Fault::Pushed(code, why))?;
        let mut reference = [0; 32];
        rand::fill(&mut reference).map_err(|_| Fault::Internal)?;
        let reference = URL_SAFE_NO_PAD.encode(reference);
        let sealed = self.seal.seal_of(&PUSHED, &request).ok_or(Fault::Internal)?;
        let life = std::time::Duration::from_secs(LIFE_S);
        let kept = self.store().put_once(&name(&reference), &sealed, life, now).await?;
        if kept { Ok(reference) } else { Err(Fault::Internal) }
    }
}
