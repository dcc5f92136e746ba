//! Codes and refresh tokens become tokens. Each is taken from the store in one step, so that of many who come with the same one wins;
//! whoever comes later, with one that we made, ends the grant (RFC 9700 sections 4.5 and 4.14): one of the two is a thief.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::Serialize;

use super::Issuer;
use super::answer::{Answer, Fault, Machine, json};
use super::client::{Known, SHOWN};
use super::grant::{ACCESS, Access, Authorized, Grant};
use super::once::{Kind, Once};
use super::parameters::Parameters;
use crate::domain::Timestamp;
use crate::routing::Scope;

pub(super) const PATH: &str = "/oidc/token";

#[derive(Serialize)]
struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
    id_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl Issuer {
    /// `POST /oidc/token`.
    pub async fn token(&self, call: Machine<'_>, now: Timestamp) -> Answer {
        let form = Parameters::long(call.body, &parameters());
        let form = form.map_err(|_| Fault::Request("send each parameter once, as a form"));
        let grant = form.as_ref().ok().and_then(|form| form.get("grant_type")).map_or("none", |grant| match grant {
            "authorization_code" => "code",
            "refresh_token" => "refresh",
            _ => "other",
        });
        let tokens = match form {
            Ok(form) => self.tokens(call, &form, now).await,
            Err(fault) => Err(fault),
        };
        let result = tokens.as_ref().map_or_else(|fault| fault.word(), |_| "ok");
        self.metrics.issuer_tokens.with_label_values(&[grant, result]).inc();
        match tokens {
            Ok(tokens) => json(StatusCode::OK, &tokens),
            Err(fault) => fault.answer(&self.origin),
        }
    }

    async fn tokens(&self, call: Machine<'_>, form: &Parameters, now: Timestamp) -> Result<Tokens, Fault> {
        let known = self.authenticated(call.headers, form, PATH, now).await?;
        match form.get("grant_type") {
            Some("authorization_code") => self.by_code(&known, form, now).await,
            Some("refresh_token") => self.by_refresh(&known, form, now).await,
            Some(_) => Err(Fault::GrantType),
            None => Err(Fault::Request("grant_type is missing")),
        }
    }

    async fn by_code(&self, known: &Known, form: &Parameters, now: Timestamp) -> Result<Tokens, Fault> {
        let text = form.get("code").ok_or(Fault::Request("code is missing"))?;
        let once = self.parsed(Kind::Code, text).ok_or(Fault::Grant("the code is none of ours"))?;
        let authorized: Authorized = self.taken(&once, known, now).await?;
        // Whoever shows a code takes it, fit or not: a second try is somebody else's.
        let Authorized { grant, redirect_uri, challenge, nonce } = authorized;
        if form.get("redirect_uri") != Some(&redirect_uri) {
            return Err(Fault::Grant("redirect_uri is not the one of the request"));
        }
        let verifier = form.get("code_verifier").ok_or(Fault::Grant("code_verifier is missing (PKCE)"))?;
        if !is_verifier(verifier, &challenge) {
            return Err(Fault::Grant("code_verifier does not fit the request"));
        }
        // Whether somebody else has shown the code meanwhile, and ended the grant, is asked when a token is used: whoever was first
        // gets an answer, and of many at once exactly one does.
        if !self.is_signed_on(&grant, now).await? {
            return Err(Fault::Grant("the session has ended"));
        }
        self.given(known, grant, nonce.as_deref(), now).await
    }

    async fn by_refresh(&self, known: &Known, form: &Parameters, now: Timestamp) -> Result<Tokens, Fault> {
        if !known.client().is_some_and(|client| client.refreshes) {
            return Err(Fault::Unauthorized("refresh_token is not filed for this client"));
        }
        let text = form.get("refresh_token").ok_or(Fault::Request("refresh_token is missing"))?;
        let once = self.parsed(Kind::Refresh, text).ok_or(Fault::Grant("the refresh token is none of ours"))?;
        let grant: Grant = self.taken(&once, known, now).await?;
        if let Some(scope) = form.get("scope")
            && scope.split(' ').any(|word| !grant.scopes.iter().any(|scope| scope.word() == word))
        {
            // The token is used up by it; a client that asks for more than it has is not to guess.
            return Err(Fault::Scope("only scopes that were granted"));
        }
        if !self.holds(&grant, now).await? {
            return Err(Fault::Grant("the session has ended, or the grant was ended"));
        }
        self.given(known, grant, None, now).await
    }

    /// What lay behind it, for this client. Where nothing lies behind one that we made, its grant ends.
    async fn taken<T: serde::de::DeserializeOwned + OfClient>(
        &self,
        once: &Once,
        known: &Known,
        now: Timestamp,
    ) -> Result<T, Fault> {
        let sealed = self.store().take(&once.name(), now).await?;
        let behind: Option<T> = sealed.and_then(|sealed| self.seal.open_of(&once.bound(), &sealed));
        let own = |client: &str| known.client().is_some_and(|known| *known.id == *client);
        match behind {
            Some(behind) if own(behind.client()) => Ok(behind),
            found => {
                self.end_grant(once.grant, now).await?;
                let why = if found.is_some() { "by another client" } else { "again, or too late" };
                tracing::warn!(platform = %known.platform.id, why, "a code or refresh token was shown; its grant has ended");
                Err(Fault::Grant("it was used, is over, or was given to another client"))
            }
        }
    }

    /// Tokens of a grant.
    async fn given(&self, known: &Known, grant: Grant, nonce: Option<&str>, now: Timestamp) -> Result<Tokens, Fault> {
        let life = self.config.access_life.min(grant.ends_at.since(now)).as_secs();
        let access = Access { issued: now.seconds(), exp: now.seconds() + life, grant };
        let access_token = self.sealed(&ACCESS, &access).ok_or(Fault::Internal)?;
        let grant = access.grant;
        let offline =
            grant.scopes.contains(&Scope::OfflineAccess) && known.client().is_some_and(|client| client.refreshes);
        let refresh_token = if offline { Some(self.refresh_token(&grant, now).await?) } else { None };
        let words: Vec<&str> = grant.scopes.iter().map(|scope| scope.word()).collect();
        Ok(Tokens {
            id_token: self.id_token(&grant, nonce, &access_token, now)?,
            access_token,
            token_type: "Bearer",
            expires_in: life,
            scope: words.join(" "),
            refresh_token,
        })
    }

    /// The next refresh token of a grant; it ends with the session, however often it is changed for another.
    async fn refresh_token(&self, grant: &Grant, now: Timestamp) -> Result<String, Fault> {
        let once = self.once(Kind::Refresh, Some(grant.id)).ok_or(Fault::Internal)?;
        let sealed = self.seal.seal_of(&once.bound(), grant).ok_or(Fault::Internal)?;
        let kept = self.store().put_once(&once.name(), &sealed, grant.ends_at.since(now), now).await?;
        if kept { Ok(self.encoded(&once)) } else { Err(Fault::Internal) }
    }
}

/// What lies behind a code or a refresh token was given to somebody.
pub(super) trait OfClient {
    fn client(&self) -> &str;
}

impl OfClient for Authorized {
    fn client(&self) -> &str {
        &self.grant.client
    }
}

impl OfClient for Grant {
    fn client(&self) -> &str {
        &self.client
    }
}

fn parameters() -> [&'static str; 10] {
    let [id, secret, assertion, kind] = SHOWN;
    [id, secret, assertion, kind, "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope"]
}

/// RFC 7636 section 4.6.
fn is_verifier(verifier: &str, challenge: &str) -> bool {
    let shaped = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let made = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    shaped && verify_slices_are_equal(made.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_the_standard_fits_its_challenge() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"); // RFC 7636 appendix B
        assert!(is_verifier(verifier, challenge));
        assert!(!is_verifier(challenge, challenge), "plain");
        assert!(!is_verifier(verifier.trim_end_matches('k'), challenge));
        assert!(!is_verifier("", challenge));
    }
}
