//! A token by which a client shows who it is (`private_key_jwt`: RFC 7523 section 3, OpenID Connect Core 9). The keys are those of
//! its filing; the algorithm is the one that the key is for, whatever the token's header says.

use std::collections::HashSet;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode_header};
use serde::Deserialize;

use super::verify::decoded;
use crate::domain::Timestamp;

/// How far two clocks may differ.
const LEEWAY_S: u64 = 30;
/// Longest time to its end: it is made for one call.
const LIFE_MAX_S: u64 = 300;

/// The public keys of a client.
#[derive(Clone)]
pub struct ClientKeys(Vec<(Option<String>, Algorithm, DecodingKey)>);

/// What a good one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Its own name; to be used once.
    pub jti: String,
    /// When it ends, seconds since 1970.
    pub exp: u64,
}

/// Why it shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAssertion {
    /// Form, type, algorithm or key.
    #[error("the assertion cannot be used: {0}")]
    Form(&'static str),
    /// Signature or a claim.
    #[error("the assertion does not hold: {0}")]
    DoesNotHold(String),
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    exp: u64,
    #[serde(default)]
    iat: Option<u64>,
    #[serde(default)]
    nbf: Option<u64>,
}

impl std::fmt::Debug for ClientKeys {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "ClientKeys({})", self.0.len())
    }
}

impl ClientKeys {
    /// From public keys as JSON (RFC 7517). Those that are for no algorithm of ours are left out.
    pub fn of<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let read = |text: &str| {
            let key: Jwk = serde_json::from_str(text).ok()?;
            Some((key.common.key_id.clone(), algorithm(&key)?, DecodingKey::from_jwk(&key).ok()?))
        };
        Self(keys.into_iter().filter_map(read).collect())
    }

    /// Whether there is none to verify with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the token says, if `client` made it for one of `audiences` and it is in time. Whether it was used before is for the
    /// caller to see.
    pub fn verify(
        &self,
        token: &str,
        client: &str,
        audiences: &[&str],
        now: Timestamp,
    ) -> Result<Spoken, BadAssertion> {
        let header = decode_header(token).map_err(|_| BadAssertion::Form("it does not read as a token"))?;
        if header.typ.as_deref().is_some_and(|named| !is_own_type(named)) {
            return Err(BadAssertion::Form("its type is another"));
        }
        // The header only chooses among keys that we have; keys or addresses in it are nobody's.
        let named = |(kid, algorithm, _): &&(Option<String>, Algorithm, DecodingKey)| {
            *algorithm == header.alg && (header.kid.is_none() || *kid == header.kid)
        };
        let mut fitting = self.0.iter().filter(named).peekable();
        if fitting.peek().is_none() {
            return Err(BadAssertion::Form("no key of the filing has this name and is for this algorithm"));
        }
        let mut failed = BadAssertion::Form("no key fits");
        for (_, algorithm, key) in fitting {
            match decoded::<Claims>(token, key, &validation(*algorithm, client, audiences)) {
                Ok(claims) => return in_time(&claims, client, now),
                Err(error) => failed = BadAssertion::DoesNotHold(error.to_string()),
            }
        }
        Err(failed)
    }
}

fn is_own_type(named: &str) -> bool {
    named.eq_ignore_ascii_case("JWT") || named.eq_ignore_ascii_case("client-authentication+jwt")
}

/// What a key is for. No others: RSA with PKCS#1 padding and HMAC are left out on purpose.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= RSA_LETTERS_MIN => Some(Algorithm::PS256),
        _ => None,
    }
}

/// A modulus of 2048 bits in base64url.
const RSA_LETTERS_MIN: usize = 342;

fn validation(algorithm: Algorithm, client: &str, audiences: &[&str]) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[client]);
    validation.set_audience(audiences);
    validation.required_spec_claims = HashSet::from(["iss", "sub", "aud", "exp"].map(str::to_owned));
    validation.validate_exp = false; // `in_time` is given the time
    validation
}

fn in_time(claims: &Claims, client: &str, now: Timestamp) -> Result<Spoken, BadAssertion> {
    let bad = |why: &str| Err(BadAssertion::DoesNotHold(why.to_owned()));
    let now = now.seconds();
    if claims.sub != client || claims.iss != client {
        return bad("its subject is not the client");
    }
    if claims.exp.saturating_add(LEEWAY_S) <= now {
        return bad("it has ended");
    }
    if claims.exp > now + LIFE_MAX_S + LEEWAY_S {
        return bad("it ends in more than 300 s");
    }
    if [claims.iat, claims.nbf].into_iter().flatten().any(|from| from > now + LEEWAY_S) {
        return bad("it is from the future");
    }
    if claims.jti.is_empty() || claims.jti.len() > 256 {
        return bad("its jti is empty or longer than 256 letters");
    }
    Ok(Spoken { jti: claims.jti.clone(), exp: claims.exp })
}
