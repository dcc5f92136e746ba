//! What clients learn. A client sees the attributes that its platform has filed, and of those what it asked for.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Issuer;
use super::answer::Fault;
use super::grant::{Grant, SignOn};
use crate::domain::{Assurance, SubjectKind, Timestamp};
use crate::identity::RepresentedClaim;

/// `typ` of an ID token; assertions and logout tokens have others (RFC 8725 section 3.11).
pub(super) const ID_TOKEN: &str = "JWT";
const LOGOUT_TOKEN: &str = "logout+jwt";
/// It is read at once; as long as an access token, so that clients that look again find it good.
const ID_TOKEN_LIFE_S: u64 = 300;
/// Back-Channel Logout 1.0 section 2.4: two minutes at most.
const LOGOUT_TOKEN_LIFE_S: u64 = 120;

/// An ID token (OpenID Connect Core section 2).
#[derive(Serialize)]
struct IdToken<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    auth_time: u64,
    acr: Assurance,
    amr: &'a [String],
    sid: &'a str,
    subject_type: SubjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    represented: Option<&'a RepresentedClaim>,
    at_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
}

/// What an `id_token_hint` tells us again.
#[derive(Debug, Deserialize)]
pub(super) struct Hint {
    pub(super) sub: String,
    pub(super) aud: String,
    #[serde(default)]
    pub(super) sid: Option<String>,
}

impl Issuer {
    pub(super) fn id_token(
        &self,
        grant: &Grant,
        nonce: Option<&str>,
        access_token: &str,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let claims = IdToken {
            iss: &self.origin,
            sub: &grant.claims.sub,
            aud: &grant.client,
            iat: now.seconds(),
            exp: now.seconds() + ID_TOKEN_LIFE_S,
            auth_time: grant.auth_time,
            acr: grant.acr,
            amr: &grant.amr,
            sid: &grant.sid,
            subject_type: grant.claims.subject_type,
            represented: grant.claims.represented.as_ref(),
            at_hash: at_hash(access_token),
            nonce,
        };
        Ok(self.keys.sign(ID_TOKEN, &claims, now)?)
    }

    /// A hint that we made, be it as old as it will while its key is published.
    pub(super) fn hint(&self, token: &str, now: Timestamp) -> Option<Hint> {
        self.keys.own(token, ID_TOKEN, &self.origin, now)
    }

    /// Back-Channel Logout 1.0 section 2.4.
    pub(super) fn logout_token(&self, sign_on: &SignOn, now: Timestamp) -> Result<String, Fault> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| Fault::Internal)?;
        let claims = json!({
            "iss": self.origin, "sub": sign_on.sub, "aud": sign_on.client, "sid": sign_on.sid,
            "iat": now.seconds(), "exp": now.seconds() + LOGOUT_TOKEN_LIFE_S, "jti": URL_SAFE_NO_PAD.encode(id),
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        Ok(self.keys.sign(LOGOUT_TOKEN, &claims, now)?)
    }
}

/// What userinfo answers: the claims of an assertion, but for the telephone, which has a name of its own here (OpenID Connect
/// Core section 5.1).
pub(super) fn userinfo(grant: &Grant) -> Map<String, Value> {
    let Ok(Value::Object(mut claims)) = serde_json::to_value(&grant.claims) else { return Map::new() };
    named(&mut claims);
    claims.get_mut("act").and_then(Value::as_object_mut).map(named);
    claims
}

fn named(claims: &mut Map<String, Value>) {
    if let Some(phone) = claims.remove("phone") {
        claims.insert("phone_number".to_owned(), phone);
    }
}

/// OpenID Connect Core 3.1.3.6: the left half of its SHA-256.
fn at_hash(access_token: &str) -> String {
    let hash = digest(&SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.as_ref().get(..16).unwrap_or_default())
}
