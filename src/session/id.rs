//! The session id: 256 random bits that only the browser keeps.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, Zeroizing};

use crate::store::SessionKey;

/// The 256 random bits in the cookie. Wiped when dropped, shown by nothing.
#[derive(Clone)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// Characters of the cookie's value.
    pub(super) const ENCODED: usize = 43;

    /// A new one; `None` when the system has no randomness, on which no session can begin.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// From the cookie's value: 43 characters of unpadded base64url; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != Self::ENCODED {
            return None;
        }
        // One more than 32, which is what the decoder wants to see before it looks at the text.
        let mut decoded = Zeroizing::new([0; 33]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, decoded.as_mut_slice()).ok()?;
        Some(Self(decoded.get(..length)?.try_into().ok()?))
    }

    /// The cookie's value.
    pub fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the store knows of it: SHA-256 of the 32 bytes.
    pub fn key(&self) -> SessionKey {
        let digest = digest::digest(&digest::SHA256, &self.0);
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, made)| *byte = *made);
        SessionKey::new(bytes)
    }
}

impl Drop for SessionId {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SessionId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_cookie_and_is_shown_nowhere() {
        let id = SessionId::random().unwrap();
        let text = id.encoded();
        assert_eq!(text.len(), SessionId::ENCODED);
        assert_eq!(SessionId::parse(&text).unwrap().key(), id.key());
        assert_eq!(format!("{id:?}"), "SessionId(..)");
        assert_ne!(id.key(), SessionId::random().unwrap().key());
    }

    #[test]
    fn the_key_is_the_sha256_of_the_id() {
        let id = SessionId::parse(&"A".repeat(43)).unwrap(); // 32 zero bytes
        assert_eq!(id.key().hex(), "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    }

    #[test]
    fn anything_but_43_characters_of_canonical_base64url_is_no_id() {
        let good = "A".repeat(43);
        let bad =
            ["".into(), "A".repeat(42), "A".repeat(44), format!("{}=", "A".repeat(43)), format!("{}+", "A".repeat(42))];
        for text in bad.into_iter().chain([format!("{}B", "A".repeat(42)), format!(" {}", "A".repeat(42))]) {
            assert!(SessionId::parse(&text).is_none(), "{text}");
        }
        assert!(SessionId::parse(&good).is_some());
    }
}
