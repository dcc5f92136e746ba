//! Revocation (RFC 7009): with a token its whole grant ends, on every node.

use http::StatusCode;

use super::Issuer;
use super::answer::{Answer, Fault, Machine, empty};
use super::client::SHOWN;
use super::parameters::Parameters;
use crate::domain::Timestamp;

impl Issuer {
    /// `POST /oidc/revoke`. A token that holds no longer is revoked already.
    pub async fn revoke(&self, call: Machine<'_>, now: Timestamp) -> Answer {
        match self.revoked(call, now).await {
            Ok(()) => empty(StatusCode::OK),
            Err(fault) => fault.answer(&self.origin),
        }
    }

    async fn revoked(&self, call: Machine<'_>, now: Timestamp) -> Result<(), Fault> {
        let [id, secret, assertion, kind] = SHOWN;
        let form = Parameters::long(call.body, &[id, secret, assertion, kind, "token"])
            .map_err(|_| Fault::Request("send each parameter once, as a form"))?;
        let known = self.authenticated(call.headers, &form, "/oidc/revoke", now).await?;
        let token = form.get("token").ok_or(Fault::Request("token is missing"))?;
        let grant = match self.access(token, now).await? {
            Some(access) => Some(access.grant),
            None => self.refresh_of(token, now).await?,
        };
        match grant {
            Some(grant) if known.client().is_some_and(|client| *client.id == *grant.client) => {
                Ok(self.end_grant(grant.id, now).await?)
            }
            Some(_) => Err(Fault::Grant("the token was given to another client")),
            None => Ok(()),
        }
    }
}
