//! What a platform does with an assertion, and the one file that decodes tokens. The library checks the signature, and
//! issuer and audience if they are there; that they are there, the type, and all times are checked here.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use jsonwebtoken::errors::Error;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::de::DeserializeOwned;

use super::assertion::{AssertionClaims, LIFE_MAX, TOKEN_TYPE};
use crate::domain::Timestamp;

/// How far two clocks may differ: machines that serve the public keep time by NTP.
const LEEWAY: Duration = Duration::from_secs(5);
/// Keys of a set that are looked at; ours has at most a few.
const KEYS_MAX: usize = 32;

/// Whose assertions a platform takes.
#[derive(Clone, Debug)]
pub struct AssertionProfile {
    /// The gateway's origin, such as `https://zwfw.example.gov`.
    pub issuer: String,
    /// The platform's own id.
    pub audience: String,
}

/// Why an assertion is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not a key set.
    #[error("the key set is no JSON of keys ({0}); fetch it again from /.well-known/jwks.json")]
    KeySet(String),
    /// Not one of ours: another form, type or algorithm.
    #[error("this is no assertion: {0}; take only what stands in Yimen-Assertion")]
    NotAnAssertion(&'static str),
    /// No key of that name.
    #[error("no key {0} in the set; fetch the set again, the key may be new")]
    UnknownKey(String),
    /// Signature, issuer, audience, or a claim that is missing.
    #[error("the assertion does not hold: {0}; refuse the request")]
    DoesNotHold(String),
    /// Its time is over.
    #[error("the assertion has ended; refuse the request, and look at the clock of this machine")]
    Ended,
    /// Its time has not come.
    #[error("the assertion is from the future; refuse the request, and look at the clock of this machine")]
    FromTheFuture,
    /// It lives longer than an assertion may.
    #[error("the assertion lives longer than 60 s; refuse the request")]
    LivesTooLong,
}

/// The public keys of a gateway.
#[derive(Clone)]
pub struct KeySet(HashMap<String, DecodingKey>);

impl fmt::Debug for KeySet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.keys()).finish()
    }
}

impl KeySet {
    /// Reads an RFC 7517 document. Keys that are no P-256 keys with a `kid` are left out.
    pub fn from_jwks(json: &[u8]) -> Result<Self, VerifyError> {
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| VerifyError::KeySet(error.to_string()))?;
        let ours = set.keys.into_iter().take(KEYS_MAX).filter_map(|key| {
            let p256 =
                matches!(&key.algorithm, AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256);
            let decoding = p256.then(|| DecodingKey::from_jwk(&key).ok()).flatten()?;
            Some((key.common.key_id?, decoding))
        });
        Ok(Self(ours.collect()))
    }
}

/// What the token says, if it is an assertion of this issuer for this platform, signed by one of these keys, and in time.
pub fn verify(
    profile: &AssertionProfile,
    token: &str,
    keys: &KeySet,
    now: Timestamp,
) -> Result<AssertionClaims, VerifyError> {
    let header = decode_header(token).map_err(|_| VerifyError::NotAnAssertion("it does not read as a token"))?;
    if header.alg != Algorithm::ES256 {
        return Err(VerifyError::NotAnAssertion("its algorithm is not ES256"));
    }
    if header.typ.as_deref() != Some(TOKEN_TYPE) {
        return Err(VerifyError::NotAnAssertion("its type is another"));
    }
    let kid = header.kid.ok_or(VerifyError::NotAnAssertion("it names no key"))?;
    let key = keys.0.get(&kid).ok_or(VerifyError::UnknownKey(kid))?;
    let claims = decoded::<AssertionClaims>(token, key, &validation(profile))
        .map_err(|error| VerifyError::DoesNotHold(error.to_string()))?;
    in_time(&claims, now)?;
    Ok(claims)
}

/// The claims of a token that this key signed by this algorithm; everything else about them is the caller's to check.
pub(super) fn signed_claims<T: DeserializeOwned>(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<T> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    (validation.validate_exp, validation.validate_aud) = (false, false);
    decoded(token, key, &validation).ok()
}

/// The claims of a token that this key signed, checked by the library as far as `validation` says. Its type is looked at before,
/// its times after.
#[allow(clippy::disallowed_methods, reason = "the one that decodes; its callers look at type and times")]
pub(super) fn decoded<T: DeserializeOwned>(
    token: &str,
    key: &DecodingKey,
    validation: &Validation,
) -> Result<T, Error> {
    decode(token, key, validation).map(|decoded| decoded.claims)
}

fn validation(profile: &AssertionProfile) -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[&profile.issuer]);
    validation.set_audience(&[&profile.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.validate_exp = false; // it would read the clock; `in_time` is given one
    validation
}

fn in_time(claims: &AssertionClaims, now: Timestamp) -> Result<(), VerifyError> {
    let (now, leeway) = (now.seconds(), LEEWAY.as_secs());
    if claims.iat > now.saturating_add(leeway) {
        return Err(VerifyError::FromTheFuture);
    }
    if claims.exp.saturating_add(leeway) <= now {
        return Err(VerifyError::Ended);
    }
    if claims.exp.saturating_sub(claims.iat) > LIFE_MAX.as_secs() {
        return Err(VerifyError::LivesTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
    use serde_json::{Value, json};

    use super::super::key::SigningKey;
    use super::*;

    const NOW: u64 = 1_795_428_900;

    struct Signer {
        key: SigningKey,
        keys: KeySet,
    }

    fn signer() -> Signer {
        let folder = tempfile::tempdir().unwrap();
        let name = SigningKey::create(folder.path(), Timestamp::from_millis(NOW * 1000)).unwrap();
        let key = SigningKey::read(folder.path(), &name).unwrap();
        let set = JwkSet { keys: vec![key.public.clone()] };
        let keys = KeySet::from_jwks(&serde_json::to_vec(&set).unwrap()).unwrap();
        Signer { key, keys }
    }

    fn good() -> Value {
        json!({
            "iss": "https://one.example", "aud": "hangzhou", "sub": "pairwise", "iat": NOW, "exp": NOW + 60, "jti": "1",
            "acr": "L2", "amr": ["pwd"], "auth_time": NOW, "sid": "s", "subject_type": "natural",
        })
    }

    fn check(token: &str, keys: &KeySet, seconds: u64) -> Result<AssertionClaims, VerifyError> {
        let profile = AssertionProfile { issuer: "https://one.example".to_owned(), audience: "hangzhou".to_owned() };
        verify(&profile, token, keys, Timestamp::from_millis(seconds * 1000))
    }

    fn with(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Result<AssertionClaims, VerifyError> {
        let Signer { key, keys } = signer();
        let mut claims = good();
        change(claims.as_object_mut().unwrap());
        check(&key.sign(&claims).unwrap(), &keys, NOW)
    }

    #[test]
    fn a_good_one_is_believed_until_it_ends() {
        let Signer { key, keys } = signer();
        let token = key.sign(&good()).unwrap();
        assert_eq!(check(&token, &keys, NOW).unwrap().subject.sub, "pairwise");
        assert!(check(&token, &keys, NOW + 64).is_ok());
        assert_eq!(check(&token, &keys, NOW + 65), Err(VerifyError::Ended));
        assert!(check(&token, &keys, NOW - 5).is_ok());
        assert_eq!(check(&token, &keys, NOW - 6), Err(VerifyError::FromTheFuture));
    }

    #[test]
    fn a_missing_claim_is_no_leave() {
        for claim in ["iss", "aud", "sub", "exp", "iat", "acr", "sid", "jti", "auth_time", "subject_type"] {
            let answer = with(|claims| drop(claims.remove(claim)));
            assert!(matches!(answer, Err(VerifyError::DoesNotHold(_))), "without {claim}: {answer:?}");
        }
    }

    #[test]
    fn another_issuer_audience_or_life_is_refused() {
        for (claim, value) in [
            ("iss", json!("https://two.example")),
            ("aud", json!("zhejiang")),
            ("aud", json!(["hangzhou", "zhejiang"])),
            ("aud", json!([])),
        ] {
            let answer = with(|claims| drop(claims.insert(claim.to_owned(), value.clone())));
            assert!(matches!(answer, Err(VerifyError::DoesNotHold(_))), "{claim} {value}: {answer:?}");
        }
        let answer = with(|claims| drop(claims.insert("exp".to_owned(), json!(NOW + 61))));
        assert_eq!(answer, Err(VerifyError::LivesTooLong));
        let answer = with(|claims| drop(claims.insert("exp".to_owned(), json!(u64::MAX))));
        assert_eq!(answer, Err(VerifyError::LivesTooLong));
    }

    #[test]
    fn the_public_key_is_no_hmac_secret_and_none_is_no_algorithm() {
        let Signer { key, keys } = signer();
        let public = serde_json::to_vec(&key.public).unwrap();
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(key.name.kid.clone());
        let forged = encode(&header, &good(), &EncodingKey::from_secret(&public)).unwrap();
        assert!(matches!(check(&forged, &keys, NOW), Err(VerifyError::NotAnAssertion(_))));
        let coded = |text: String| {
            use base64::Engine;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
        };
        let header = format!(r#"{{"alg":"none","typ":"{TOKEN_TYPE}","kid":"{}"}}"#, key.name.kid);
        let unsigned = format!("{}.{}.", coded(header), coded(good().to_string()));
        assert!(matches!(check(&unsigned, &keys, NOW), Err(VerifyError::NotAnAssertion(_))));
    }

    #[test]
    fn another_type_of_token_is_no_assertion() {
        let Signer { key, keys } = signer();
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        for kind in [Some("JWT"), Some("logout+jwt"), None] {
            let mut header = Header::new(Algorithm::ES256);
            header.typ = kind.map(str::to_owned);
            header.kid = Some(key.name.kid.clone());
            let token = encode(&header, &good(), &private).unwrap();
            assert_eq!(check(&token, &keys, NOW), Err(VerifyError::NotAnAssertion("its type is another")));
        }
    }

    #[test]
    fn another_key_and_a_changed_claim_do_not_hold() {
        let (one, other) = (signer(), signer());
        let token = one.key.sign(&good()).unwrap();
        assert!(matches!(check(&token, &other.keys, NOW), Err(VerifyError::UnknownKey(_))));
        let mine = one.key.sign(&json!({"sub": "x"})).unwrap();
        let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let spliced = format!("{header}.{}.{signature}", mine.split('.').nth(1).unwrap());
        assert!(matches!(check(&spliced, &one.keys, NOW), Err(VerifyError::DoesNotHold(_))));
    }

    #[test]
    fn garbage_is_refused_without_a_panic() {
        let keys = signer().keys;
        for garbage in ["", ".", "..", "a.b.c", "é.é.é", &"x".repeat(10_000)] {
            assert!(check(garbage, &keys, NOW).is_err(), "{garbage}");
        }
        assert!(KeySet::from_jwks(b"<html>").is_err());
        assert!(
            KeySet::from_jwks(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"1"}]}"#).unwrap().0.is_empty()
        );
    }
}
