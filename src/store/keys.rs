//! The names of everything in a short-lived store. Whoever reads a copy of it learns hashes only.
//!
//! A session must be found from the cookie alone and a subject's sessions from the subject alone, so session and subject
//! keys cannot share a hash tag; scripts that touch both are for one Redis (standalone or Sentinel). A Cluster form will
//! have to do those in two steps, or carry the subject's tag in the cookie.

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

/// Redis: `yimen:session:<hex>`, a hash of `value`, `seen`, `subject`, `parent`, `labels`.
pub(super) const SESSION: &str = "yimen:session:";
/// Redis: `yimen:subject:<hex>`, a sorted set of session keys by time of beginning.
pub(super) const SUBJECT: &str = "yimen:subject:";
/// Redis: `yimen:children:<hex of the parent>`, a set of session keys.
pub(super) const CHILDREN: &str = "yimen:children:";
/// Redis: `yimen:label:<hex>`, a set of session keys.
pub(super) const LABEL: &str = "yimen:label:";
/// Redis: `yimen:once:<hex>`, a string.
pub(super) const ONCE: &str = "yimen:once:";
/// Redis: `yimen:rate:<hex>`, a counter.
pub(super) const RATE: &str = "yimen:rate:";
/// Redis: the channel on which the key of every ended session is published, in hex.
pub(super) const NOTICES: &str = "yimen:notices";
/// Redis: the channel on which each new revision of the register is published, in digits.
pub(super) const REGISTER: &str = "yimen:register";

/// SHA-256 of a session id: safe to keep, opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// From the 32 bytes of a SHA-256.
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hex, 64 characters.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// From 64 characters of lower-case hex; anything else is `None`.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = match pair {
                [high, low] => nibble(*high)? << 4 | nibble(*low)?,
                _ => return None,
            };
        }
        Some(Self(bytes))
    }
}

/// A name that came in clear, as the store may know it: HMAC-SHA256 under the installation's own key.
/// A plain hash would not do: logins and addresses can be guessed and tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag([u8; 32]);

impl Tag {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn hex(&self) -> String {
        hex(&self.0)
    }
}

/// The key under which names are hashed. Another key makes every subject index and counter unfindable.
#[derive(Debug)]
pub struct NameKey(hmac::Key);

impl NameKey {
    /// From 32 secret bytes.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    pub(super) fn subject(&self, subject: &str) -> Tag {
        self.tag(b"subject\0", subject.as_bytes())
    }

    pub(super) fn once(&self, name: &[u8]) -> Tag {
        self.tag(b"once\0", name)
    }

    pub(super) fn label(&self, name: &[u8]) -> Tag {
        self.tag(b"label\0", name)
    }

    pub(super) fn rate(&self, name: &[u8]) -> Tag {
        self.tag(b"rate\0", name)
    }

    /// `purpose` ends with a zero byte, so that no two purposes can make the same input.
    fn tag(&self, purpose: &[u8], name: &[u8]) -> Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(name);
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(context.sign().as_ref()).for_each(|(byte, made)| *byte = *made);
        Tag(bytes)
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_from_its_hex_and_from_nothing_else() {
        let key = SessionKey::new(*b"\x00\x01\x09\x0a\x0f\x10\x7f\x80\xa0\xffabcdefghijklmnopqrstuv");
        assert_eq!(SessionKey::from_hex(&key.hex()), Some(key));
        for bad in ["", "00", &key.hex().to_uppercase(), &key.hex().replace('0', "g"), &format!("{}0", key.hex())] {
            assert_eq!(SessionKey::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_name_has_another_tag_for_another_purpose_and_another_key() {
        let (one, two) = (NameKey::new(&[1; 32]), NameKey::new(&[2; 32]));
        assert!(one.subject("alice") == one.subject("alice"));
        assert!(one.subject("alice") != two.subject("alice"));
        assert!(one.subject("alice") != one.rate(b"alice"));
        assert!(one.once(b"alice") != one.rate(b"alice"));
    }
}
