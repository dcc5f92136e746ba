//! One key that signs assertions: a PKCS#8 PEM file named `{created}-{kid}.pem`, such as `20261123T101500Z-….pem`.
//! `kid` is the RFC 7638 thumbprint, so the name of a file and the key in it cannot be mixed up unnoticed.

use std::fmt;
use std::fs::read_to_string;
use std::path::Path;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Serialize;
use zeroize::Zeroizing;

use super::assertion::TOKEN_TYPE;
use super::error::IdentityError;
use super::secret;
use crate::domain::Timestamp;

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The name of a key's file, which says all that is needed to order keys. Sorts by time of creation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyName {
    pub(super) created: Timestamp,
    pub(super) kid: String,
}

impl KeyName {
    /// `None`: no file of ours.
    pub(super) fn parse(file: &str) -> Option<Self> {
        let (time, kid) = file.strip_suffix(".pem")?.split_once('-')?;
        let time = TimeZone::UTC.to_timestamp(DateTime::strptime(TIME_FORMAT, time).ok()?).ok()?;
        let created = Timestamp::from_millis(u64::try_from(time.as_millisecond()).ok()?);
        Some(Self { created, kid: kid.to_owned() })
    }

    pub(super) fn file(&self) -> Option<String> {
        let millis = i64::try_from(self.created.millis()).ok()?;
        let time = jiff::Timestamp::from_millisecond(millis).ok()?;
        Some(format!("{}-{}.pem", time.strftime(TIME_FORMAT), self.kid))
    }
}

/// A key that signs.
pub(super) struct SigningKey {
    pub(super) name: KeyName,
    /// What platforms get to verify with.
    pub(super) public: Jwk,
    header: Header,
    private: EncodingKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a key and its file.
    pub(super) fn create(folder: &Path, now: Timestamp) -> Result<KeyName, IdentityError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError::Crypto("making a key"))?;
        let pem = Zeroizing::new(pair.serialize_pem());
        let (_, public) = read_pem(&pem).map_err(|_| IdentityError::Crypto("reading a new key"))?;
        let name = KeyName { created: now, kid: public.common.key_id.unwrap_or_default() };
        let file = name.file().ok_or(IdentityError::Crypto("naming a key by the clock"))?;
        let path = folder.join(file);
        secret::create(&path, pem.as_bytes()).map_err(|error| IdentityError::file(&path, error))?;
        Ok(name)
    }

    pub(super) fn read(folder: &Path, name: &KeyName) -> Result<Self, IdentityError> {
        let path = folder.join(name.file().unwrap_or_default());
        let pem = Zeroizing::new(read_to_string(&path).map_err(|error| IdentityError::file(&path, error))?);
        let (private, public) = read_pem(&pem)
            .map_err(|error| IdentityError::bad_file(&path, format!("no P-256 key in PKCS#8 ({error})")))?;
        if public.common.key_id.as_deref() != Some(&name.kid) {
            return Err(IdentityError::bad_file(&path, "another key than its name says"));
        }
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(TOKEN_TYPE.to_owned());
        header.kid = Some(name.kid.clone());
        Ok(Self { name: name.clone(), public, header, private })
    }

    /// A JWT of these claims.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String, IdentityError> {
        encode(&self.header, claims, &self.private).map_err(|_| IdentityError::Crypto("signing"))
    }

    /// The same for a token of another type.
    pub(super) fn sign_as(&self, token_type: &str, claims: &impl Serialize) -> Result<String, IdentityError> {
        let header = Header { typ: Some(token_type.to_owned()), ..self.header.clone() };
        encode(&header, claims, &self.private).map_err(|_| IdentityError::Crypto("signing"))
    }
}

fn read_pem(pem: &str) -> jsonwebtoken::errors::Result<(EncodingKey, Jwk)> {
    let private = EncodingKey::from_ec_pem(pem.as_bytes())?;
    let mut public = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
    public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256)?);
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Ok((private, public))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_says_when_and_which() {
        let name = KeyName::parse("20261123T101500Z-a-b_c.pem").unwrap();
        assert_eq!((name.created.seconds(), name.kid.as_str()), (1_795_428_900, "a-b_c"));
        assert_eq!(name.file().unwrap(), "20261123T101500Z-a-b_c.pem");
        for other in [".draft-x", "key.pem", "20261123T101500Z-x.txt", "20261323T101500Z-x.pem", "2026-x.pem"] {
            assert_eq!(KeyName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_comes_back_from_its_file_and_a_mix_up_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_795_428_900_000);
        let (one, other) =
            (SigningKey::create(folder.path(), now).unwrap(), SigningKey::create(folder.path(), now).unwrap());
        assert_ne!(one.kid, other.kid);
        assert_eq!(SigningKey::read(folder.path(), &one).unwrap().name, one);
        let path = |name: &KeyName| folder.path().join(name.file().unwrap());
        std::fs::copy(path(&one), path(&other)).unwrap();
        assert!(matches!(SigningKey::read(folder.path(), &other), Err(IdentityError::BadFile { .. })));
    }
}
