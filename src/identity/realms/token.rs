//! What a provider's signed token must be before a word of it is believed: one profile, for id_tokens (OpenID Connect Core
//! section 3.1.3.7) and for logout tokens (Back-Channel Logout section 2.6). Pure: keys, token and time are arguments.
//! The list of algorithms is the settings'; a token's header only chooses among them, and its `kid` only among keys that came
//! from the provider's own address.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Number, Value};

use super::super::verify::signed_claims;
use crate::config::TokenAlgorithm;
use crate::domain::Timestamp;

/// How far a provider's clock may be from ours.
const LEEWAY_S: u64 = 30;
/// An id_token comes right from the provider: one that was made longer ago is somebody's copy.
const ID_TOKEN_AGE_MAX: Duration = Duration::from_secs(10 * 60);
/// A logout token likewise, and its `jti` need not be remembered for longer.
pub(super) const LOGOUT_AGE_MAX: Duration = Duration::from_secs(2 * 60);
/// Tokens have some KiB.
const TOKEN_BYTES_MAX: usize = 32 * 1024;
/// Keys of a set that are looked at.
const KEYS_MAX: usize = 64;
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why a token is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// No key of this name: the provider may have new ones.
    UnknownKey,
    /// What is wrong with it.
    Bad(&'static str),
}

use TokenError::{Bad, UnknownKey};

/// Whose tokens are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) algorithms: &'a [TokenAlgorithm],
}

/// The public keys of a provider.
#[derive(Debug, Default)]
pub(super) struct ProviderKeys(Vec<Jwk>);

impl ProviderKeys {
    /// Reads an RFC 7517 document; keys that we cannot use are left out. `None`: it is none.
    pub(super) fn read(json: Value) -> Option<Self> {
        let set: JwkSet = serde_json::from_value(json).ok()?;
        let signs = |key: &Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        Some(Self(set.keys.into_iter().take(KEYS_MAX).filter(signs).collect()))
    }

    /// The key that a token names. A token that names none is for the only key of its kind.
    fn find(&self, kid: Option<&str>, algorithm: TokenAlgorithm) -> Result<&Jwk, TokenError> {
        let mut fitting = self.0.iter().filter(|key| fits(key, algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)).ok_or(UnknownKey),
            None => match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                (None, _) => Err(UnknownKey),
                _ => Err(Bad("it names none of several keys")),
            },
        }
    }
}

/// Whether a key is of the kind that the algorithm signs with, and not kept for another one.
fn fits(key: &Jwk, algorithm: TokenAlgorithm) -> bool {
    use TokenAlgorithm::{EdDsa, Es256, Es384};
    let kind = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::EllipticCurve(ec), Es256) => ec.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(ec), Es384) => ec.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(pair), EdDsa) => pair.curve == EllipticCurve::Ed25519,
        (AlgorithmParameters::RSA(_), Es256 | Es384 | EdDsa) => false,
        (AlgorithmParameters::RSA(_), _) => true,
        _ => false,
    };
    let named = key.common.key_algorithm.map(|named| named.to_string());
    kind && named.is_none_or(|named| named == word(algorithm))
}

fn word(algorithm: TokenAlgorithm) -> &'static str {
    match algorithm {
        TokenAlgorithm::Es256 => "ES256",
        TokenAlgorithm::Es384 => "ES384",
        TokenAlgorithm::EdDsa => "EdDSA",
        TokenAlgorithm::Rs256 => "RS256",
        TokenAlgorithm::Rs384 => "RS384",
        TokenAlgorithm::Rs512 => "RS512",
        TokenAlgorithm::Ps256 => "PS256",
        TokenAlgorithm::Ps384 => "PS384",
        TokenAlgorithm::Ps512 => "PS512",
    }
}

fn library(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::Es384 => Algorithm::ES384,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Rs384 => Algorithm::RS384,
        TokenAlgorithm::Rs512 => Algorithm::RS512,
        TokenAlgorithm::Ps256 => Algorithm::PS256,
        TokenAlgorithm::Ps384 => Algorithm::PS384,
        TokenAlgorithm::Ps512 => Algorithm::PS512,
    }
}

/// The part of a header that is read. Keys in it (`jwk`, `jku`, `x5u`) are not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// One text or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Claims of both kinds of token, as they come.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    azp: Option<String>,
    exp: Option<Number>,
    nbf: Option<Number>,
    iat: Option<Number>,
    nonce: Option<Value>,
    acr: Option<String>,
    amr: Option<Value>,
    auth_time: Option<Number>,
    at_hash: Option<String>,
    sid: Option<String>,
    jti: Option<String>,
    name: Option<Value>,
    events: Option<Value>,
}

/// What an id_token must fit besides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a str,
    /// The longest time since the person last proved who they are, seconds.
    pub(super) max_age_s: u64,
}

/// What a believed id_token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IdToken {
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    pub(super) acr: Option<String>,
    pub(super) amr: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) auth_time: Timestamp,
}

/// Who is to be signed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogoutToken {
    pub(super) sub: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) jti: String,
}

/// The id_token that answers our request.
pub(super) fn id_token(
    profile: &Profile<'_>,
    token: &str,
    sent: &Sent<'_>,
    keys: &ProviderKeys,
    now: Timestamp,
) -> Result<IdToken, TokenError> {
    let (algorithm, claims) = believed(profile, token, &["jwt"], keys, now, ID_TOKEN_AGE_MAX)?;
    let nonce = claims.nonce.as_ref().and_then(Value::as_str).unwrap_or_default();
    if verify_slices_are_equal(nonce.as_bytes(), sent.nonce.as_bytes()).is_err() {
        return Err(Bad("its nonce is another"));
    }
    if claims.events.is_some() {
        return Err(Bad("it is about an event, not about a sign-in"));
    }
    if claims.at_hash.is_some_and(|hash| hash != half_hash(algorithm, sent.access_token)) {
        return Err(Bad("its at_hash belongs to another access token"));
    }
    let auth_time = seconds(claims.auth_time.as_ref()).ok_or(Bad("it has no auth_time though max_age was asked"))?;
    let now = now.seconds();
    if auth_time > now + LEEWAY_S {
        return Err(Bad("its auth_time is in the future"));
    }
    if now.saturating_sub(auth_time) > sent.max_age_s.saturating_add(LEEWAY_S) {
        return Err(Bad("its auth_time is longer ago than max_age"));
    }
    Ok(IdToken {
        sub: subject(claims.sub)?.ok_or(Bad("it has no sub"))?,
        sid: claims.sid.filter(|sid| is_short(sid)),
        acr: claims.acr,
        amr: words(claims.amr.as_ref()),
        name: claims.name.as_ref().and_then(Value::as_str).map(str::to_owned),
        auth_time: Timestamp::from_millis(auth_time.min(now).saturating_mul(1000)),
    })
}

/// The logout token of a provider.
pub(super) fn logout_token(
    profile: &Profile<'_>,
    token: &str,
    keys: &ProviderKeys,
    now: Timestamp,
) -> Result<LogoutToken, TokenError> {
    let (_, claims) = believed(profile, token, &["logout+jwt"], keys, now, LOGOUT_AGE_MAX)?;
    if claims.nonce.is_some() {
        return Err(Bad("it has a nonce, so it may be an id_token"));
    }
    let event = claims.events.as_ref().and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(Bad("it is about no logout"));
    }
    let (sub, sid) = (subject(claims.sub)?, claims.sid);
    if sid.as_deref().is_some_and(|sid| !is_short(sid)) || (sub.is_none() && sid.is_none()) {
        return Err(Bad("it names neither sub nor sid"));
    }
    let jti = claims.jti.filter(|jti| is_short(jti)).ok_or(Bad("it has no jti"))?;
    Ok(LogoutToken { sub, sid, jti })
}

/// What both kinds must be: of an allowed algorithm and type, signed by this provider, for this client, in time.
fn believed(
    profile: &Profile<'_>,
    token: &str,
    types: &[&str],
    keys: &ProviderKeys,
    now: Timestamp,
    age_max: Duration,
) -> Result<(TokenAlgorithm, Claims), TokenError> {
    let header = header(token).ok_or(Bad("it does not read as a token"))?;
    let algorithm = profile.algorithms.iter().copied().find(|allowed| word(*allowed) == header.alg);
    let algorithm = algorithm.ok_or(Bad("its algorithm is none that the realm allows"))?;
    let is_of = |typ: &String| {
        let typ = typ.to_ascii_lowercase();
        types.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
    };
    if header.typ.as_ref().is_some_and(|typ| !is_of(typ)) {
        return Err(Bad("its type is another"));
    }
    if header.crit.is_some() {
        return Err(Bad("its header demands what we do not know"));
    }
    let key = keys.find(header.kid.as_deref(), algorithm)?;
    let key = DecodingKey::from_jwk(key).map_err(|_| Bad("its key cannot be used"))?;
    let claims: Claims =
        signed_claims(token, &key, library(algorithm)).ok_or(Bad("its signature or its claims do not hold"))?;
    if claims.iss.as_deref() != Some(profile.issuer) {
        return Err(Bad("its issuer is another"));
    }
    for_client(&claims, profile.client_id)?;
    in_time(&claims, now, age_max)?;
    Ok((algorithm, claims))
}

/// For this client and nobody besides: we trust no other audience (OpenID Connect Core 3.1.3.7, rule 3).
fn for_client(claims: &Claims, client_id: &str) -> Result<(), TokenError> {
    let only_us = match &claims.aud {
        Some(Audience::One(one)) => one == client_id,
        Some(Audience::Many(many)) => !many.is_empty() && many.iter().all(|one| one == client_id),
        None => false,
    };
    if !only_us {
        return Err(Bad("its audience is not this client alone"));
    }
    match &claims.azp {
        Some(party) if party != client_id => Err(Bad("its authorized party is another")),
        _ => Ok(()),
    }
}

fn in_time(claims: &Claims, now: Timestamp, age_max: Duration) -> Result<(), TokenError> {
    let now = now.seconds();
    let expires = seconds(claims.exp.as_ref()).ok_or(Bad("it has no exp"))?;
    let issued = seconds(claims.iat.as_ref()).ok_or(Bad("it has no iat"))?;
    if expires.saturating_add(LEEWAY_S) <= now {
        return Err(Bad("it has expired"));
    }
    if issued > now + LEEWAY_S
        || claims.nbf.as_ref().is_some_and(|nbf| seconds(Some(nbf)).is_none_or(|nbf| nbf > now + LEEWAY_S))
    {
        return Err(Bad("it is from the future"));
    }
    if now.saturating_sub(issued) > age_max.as_secs() + LEEWAY_S {
        return Err(Bad("it was issued too long ago"));
    }
    Ok(())
}

fn header(token: &str) -> Option<Header> {
    let (head, _) = token.split_once('.').filter(|_| token.len() <= TOKEN_BYTES_MAX)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()
}

/// RFC 7519 lets times be fractions; whole seconds are enough. Before 1970 is no time.
fn seconds(time: Option<&Number>) -> Option<u64> {
    time?.to_string().split('.').next()?.parse().ok().filter(|seconds| *seconds < 1_000_000_000_000)
}

/// `sub` has at most 255 ASCII characters (OpenID Connect Core section 2).
fn subject(sub: Option<String>) -> Result<Option<String>, TokenError> {
    match sub {
        Some(sub) if !is_short(&sub) => Err(Bad("its sub is none")),
        sub => Ok(sub),
    }
}

fn is_short(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// RFC 8176 names; anything that is none is left out.
fn words(amr: Option<&Value>) -> Vec<String> {
    let good = |word: &&str| word.len() <= 16 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let all = amr.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    all.filter(good).take(8).map(str::to_owned).collect()
}

/// The left half of the hash that goes with the algorithm (OpenID Connect Core section 3.1.3.6).
fn half_hash(algorithm: TokenAlgorithm, access_token: &str) -> String {
    use TokenAlgorithm::{EdDsa, Es384, Ps384, Ps512, Rs384, Rs512};
    let kind = match algorithm {
        Es384 | Rs384 | Ps384 => &SHA384,
        Rs512 | Ps512 | EdDsa => &SHA512,
        _ => &SHA256,
    };
    let whole = digest(kind, access_token.as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(half)
}
