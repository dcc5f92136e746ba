//! Userinfo (OpenID Connect Core 5.3): GET or POST with the token in `Authorization`, or POST with it in the form; never in the
//! address, where logs would have it.

use http::header::AUTHORIZATION;
use http::{Method, StatusCode};

use super::Issuer;
use super::answer::{Answer, Fault, Machine, json};
use super::claims;
use super::grant::Access;
use super::parameters::Parameters;
use crate::domain::Timestamp;

impl Issuer {
    /// `/oidc/userinfo`.
    pub async fn userinfo(&self, call: Machine<'_>, now: Timestamp) -> Answer {
        match self.shown_access(call, now).await {
            Ok(access) => json(StatusCode::OK, &claims::userinfo(&access.grant)),
            Err(fault) => fault.answer(&self.origin),
        }
    }

    async fn shown_access(&self, call: Machine<'_>, now: Timestamp) -> Result<Access, Fault> {
        let token = bearer(call)?;
        let access = self.access(&token, now).await?.ok_or(Fault::Token { shown: true })?;
        // A client whose platform is suspended learns nothing more.
        self.known(&access.grant.client).map_err(|_| Fault::Token { shown: true })?;
        Ok(access)
    }
}

/// One token, shown in one way (RFC 6750 section 2).
fn bearer(call: Machine<'_>) -> Result<String, Fault> {
    let mut fields = call.headers.get_all(AUTHORIZATION).iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(Fault::Request("Authorization is there twice"));
    }
    let in_header = field.map(|value| {
        let shown = value.to_str().ok().and_then(|text| text.split_once(' '));
        let token = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        token.map(str::to_owned).ok_or(Fault::Token { shown: false })
    });
    let in_form = if call.method == Method::POST {
        let form = Parameters::long(call.body, &["access_token"]).map_err(|_| Fault::Request("send the token once"))?;
        form.get("access_token").map(str::to_owned)
    } else {
        None
    };
    match (in_header, in_form) {
        (Some(_), Some(_)) => Err(Fault::Request("show the token in one way, not in two")),
        (Some(token), None) => token,
        (None, Some(token)) => Ok(token),
        (None, None) => Err(Fault::Token { shown: false }),
    }
}
