//! Introspection (RFC 7662): a program of the same platform asks whether a token holds. Tokens of other platforms are nobody's here.

use http::StatusCode;
use serde_json::json;

use super::Issuer;
use super::answer::{Answer, Fault, Machine, json as answer};
use super::client::SHOWN;
use super::grant::Grant;
use super::once::Kind;
use super::parameters::Parameters;
use crate::domain::Timestamp;

impl Issuer {
    /// `POST /oidc/introspect`.
    pub async fn introspect(&self, call: Machine<'_>, now: Timestamp) -> Answer {
        match self.introspected(call, now).await {
            Ok(body) => answer(StatusCode::OK, &body),
            Err(fault) => fault.answer(&self.origin),
        }
    }

    async fn introspected(&self, call: Machine<'_>, now: Timestamp) -> Result<serde_json::Value, Fault> {
        let [id, secret, assertion, kind] = SHOWN;
        let form = Parameters::long(call.body, &[id, secret, assertion, kind, "token"])
            .map_err(|_| Fault::Request("send each parameter once, as a form"))?;
        let known = self.authenticated(call.headers, &form, "/oidc/introspect", now).await?;
        let token = form.get("token").ok_or(Fault::Request("token is missing"))?;
        let inactive = json!({ "active": false });
        let (grant, issued, exp, kind) = match self.access(token, now).await? {
            Some(access) => (access.grant, Some(access.issued), access.exp, "Bearer"),
            None => match self.refresh_of(token, now).await? {
                Some(grant) => {
                    let exp = grant.ends_at.seconds();
                    (grant, None, exp, "refresh_token")
                }
                None => return Ok(inactive),
            },
        };
        if grant.platform != known.platform.id || self.known(&grant.client).is_err() {
            return Ok(inactive);
        }
        let words: Vec<&str> = grant.scopes.iter().map(|scope| scope.word()).collect();
        let mut body = json!({
            "active": true, "scope": words.join(" "), "client_id": grant.client, "token_type": kind, "exp": exp,
            "sub": grant.claims.sub, "aud": grant.platform.as_str(), "iss": self.origin, "acr": grant.acr,
            "auth_time": grant.auth_time, "sid": grant.sid,
        });
        if let (Some(issued), Some(body)) = (issued, body.as_object_mut()) {
            body.insert("iat".to_owned(), json!(issued));
        }
        Ok(body)
    }

    /// What lies behind a refresh token that holds; it stays where it is.
    pub(super) async fn refresh_of(&self, token: &str, now: Timestamp) -> Result<Option<Grant>, Fault> {
        let Some(once) = self.parsed(Kind::Refresh, token) else { return Ok(None) };
        let sealed = self.store().kept(&once.name(), now).await?;
        let Some(grant) = sealed.and_then(|sealed| self.seal.open_of::<Grant>(&once.bound(), &sealed)) else {
            return Ok(None);
        };
        Ok(self.holds(&grant, now).await?.then_some(grant))
    }
}
