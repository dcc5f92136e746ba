//! Names that differ for every platform, so that no two platforms can compare whom they serve (OpenID Connect Core 8.1).

use std::fmt;
use std::path::Path;

use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::IdentityError;
use super::secret;
use crate::domain::PlatformId;

/// The key of the names. To be kept: a new one renames everybody at every platform.
pub(super) struct PairwiseKey(Key);

impl fmt::Debug for PairwiseKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("PairwiseKey(…)")
    }
}

impl PairwiseKey {
    pub(super) fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        Ok(Self(Key::new(HMAC_SHA256, &secret::load_or_create(path)?[..])))
    }

    /// `sub` of this subject at this platform: the same for ever, and of no use elsewhere.
    pub(super) fn subject(&self, platform: &PlatformId, subject: &str) -> String {
        self.name(b"sub", platform, subject.as_bytes())
    }

    /// `sid` of this session at this platform; it does not lead back to the session's key.
    pub(super) fn session(&self, platform: &PlatformId, session_key: &[u8; 32]) -> String {
        self.name(b"sid", platform, session_key)
    }

    fn name(&self, what: &[u8], platform: &PlatformId, value: &[u8]) -> String {
        let mut hmac = Context::with_key(&self.0);
        for part in [what, b"\0", platform.as_str().as_bytes(), b"\0", value] {
            hmac.update(part); // neither `what` nor a platform holds a zero, so no two inputs read alike
        }
        URL_SAFE_NO_PAD.encode(hmac.sign())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> PairwiseKey {
        PairwiseKey(Key::new(HMAC_SHA256, &[7; 32]))
    }

    proptest! {
        #[test]
        fn a_name_is_stable_and_belongs_to_one_platform_and_one_subject(
            one in "[a-z][a-z0-9]{2,20}", other in "[a-z][a-z0-9]{2,20}", subject in ".{0,40}", somebody in ".{0,40}",
        ) {
            let (here, there): (PlatformId, PlatformId) = (one.parse().unwrap(), other.parse().unwrap());
            let name = key().subject(&here, &subject);
            prop_assert_eq!(&name, &key().subject(&here, &subject));
            prop_assert_eq!(one == other, name == key().subject(&there, &subject));
            prop_assert_eq!(subject == somebody, name == key().subject(&here, &somebody));
            prop_assert_eq!(name.len(), 43);
            prop_assert!(subject.is_empty() || !name.contains(&subject) || subject.len() < 3);
        }
    }

    #[test]
    fn the_key_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pairwise");
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let name = |key: PairwiseKey| key.subject(&platform, "somebody");
        let first = name(PairwiseKey::load_or_create(&path).unwrap());
        assert_eq!(name(PairwiseKey::load_or_create(&path).unwrap()), first);
        assert_ne!(name(PairwiseKey::load_or_create(&folder.path().join("other")).unwrap()), first);
    }
}
