//! Passwords and their hashes. Source: OWASP Password Storage Cheat Sheet; ASVS 5.0 section 6.2.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::error::IdentityError;

/// A new password: 8 to 128 characters of any kind, without rules of composition. Its memory is wiped when it is dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text over. `Err`: too short or too long.
    pub fn new(text: String) -> Result<Self, IdentityError> {
        let text = Zeroizing::new(text);
        let shaped = (8..=128).contains(&text.chars().count());
        if shaped { Ok(Self(text)) } else { Err(IdentityError::BadPassword) }
    }

    pub(super) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

/// What one hash costs.
#[derive(Clone, Debug)]
pub(super) struct Cost(Params);

/// What a check found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) right: bool,
    /// A hash of today's cost for a right password whose stored hash has another.
    pub(super) renewed: Option<String>,
}

impl Cost {
    pub(super) fn new(memory_kib: u32, passes: u32) -> Result<Self, IdentityError> {
        let bad = |error: argon2::Error| IdentityError::Cost(error.to_string());
        Params::new(memory_kib, passes, 1, None).map(Self).map_err(bad)
    }

    /// A PHC string with a new random salt.
    pub(super) fn hash(&self, password: &str) -> Result<String, IdentityError> {
        let hashed = self.argon2().hash_password(password.as_bytes());
        hashed.map(|hash| hash.to_string()).map_err(|_| IdentityError::Crypto("hashing a password"))
    }

    /// Whether `password` belongs to `stored`, at the cost that `stored` names. A hash that does not read fits nothing.
    pub(super) fn check(&self, password: &str, stored: &str) -> Checked {
        let Ok(parsed) = PasswordHash::new(stored) else { return Checked { right: false, renewed: None } };
        let right = self.argon2().verify_password(password.as_bytes(), &parsed).is_ok();
        let outdated = right && !self.made(&parsed);
        Checked { right, renewed: outdated.then(|| self.hash(password).ok()).flatten() }
    }

    fn made(&self, hash: &PasswordHash) -> bool {
        let same = |params: Params| (params.m_cost(), params.t_cost(), params.p_cost());
        Params::try_from(hash).is_ok_and(|params| same(params) == same(self.0.clone()))
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Cost {
        Cost::new(64, 1).unwrap()
    }

    #[test]
    fn a_password_has_8_to_128_characters_and_no_other_rule() {
        for good in ["        ", "一二三四五六七八", &"x".repeat(128)] {
            assert!(Password::new(good.to_owned()).is_ok());
        }
        for bad in ["", "1234567", "一二三四五六七", &"x".repeat(129)] {
            assert!(Password::new(bad.to_owned()).is_err());
        }
    }

    #[test]
    fn only_the_right_password_fits_and_every_hash_has_its_own_salt() {
        let (first, second) = (cheap().hash("correct horse").unwrap(), cheap().hash("correct horse").unwrap());
        assert_ne!(first, second);
        assert!(first.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{first}");
        assert_eq!(cheap().check("correct horse", &first), Checked { right: true, renewed: None });
        assert_eq!(cheap().check("correct horsf", &first), Checked { right: false, renewed: None });
        assert_eq!(cheap().check("correct horse", "no hash"), Checked { right: false, renewed: None });
    }

    #[test]
    fn a_hash_of_another_cost_is_renewed_at_sign_in() {
        let old = cheap().hash("correct horse").unwrap();
        let dearer = Cost::new(128, 2).unwrap();
        let renewed = dearer.check("correct horse", &old).renewed.unwrap();
        assert!(renewed.contains("m=128,t=2"), "{renewed}");
        assert_eq!(dearer.check("correct horse", &renewed), Checked { right: true, renewed: None });
        assert_eq!(dearer.check("wrong", &old).renewed, None);
    }
}
