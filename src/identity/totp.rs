//! Codes by time (RFC 6238): SHA-1, 30 s, six digits, which is what every authenticator app knows. Ten lines over the crate's one
//! cryptographic backend; a library would bring another SHA-1. A code is good for its own step and one before and after (RFC 6238
//! section 5.2), and once: the step that was used last is kept by the store.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hmac, rand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::error::IdentityError;
use crate::domain::Timestamp;

const STEP_S: u64 = 30;
/// Bytes of a secret: as long as the hash (RFC 4226 section 4, R6).
const SECRET: usize = 20;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an authenticator app and we share.
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("TotpSecret(…)")
    }
}

impl TotpSecret {
    /// 160 random bits.
    pub fn random() -> Result<Self, IdentityError> {
        let mut bytes = Zeroizing::new(vec![0; SECRET]);
        rand::fill(&mut bytes).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
        Ok(Self(bytes))
    }

    /// From base32 without padding (RFC 4648 section 6), as `base32` writes it; spaces do not count. `None`: no secret.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET));
        let (mut bits, mut held) = (0_u32, 0_u32);
        for letter in text.bytes().filter(|byte| *byte != b' ') {
            let value = ALPHABET.iter().position(|known| *known == letter.to_ascii_uppercase())?;
            held = held << 5 | u32::try_from(value).ok()?;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
            }
            held &= 0xff;
        }
        (bytes.len() == SECRET).then_some(Self(bytes))
    }

    /// In base32 without padding, 32 letters.
    pub fn base32(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(SECRET * 8 / 5));
        let (mut bits, mut held) = (0_u32, 0_u32);
        for byte in self.0.iter() {
            held = held << 8 | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                let letter = ALPHABET.get((held >> bits & 31) as usize).copied().unwrap_or(b'A');
                text.push(char::from(letter));
            }
            held &= 0xff;
        }
        text
    }

    /// The address that an app reads from a QR code (Key URI Format of Google Authenticator).
    pub fn uri(&self, issuer: &str, login: &str) -> Zeroizing<String> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (issuer, login) = (encoded(issuer), encoded(login));
        Zeroizing::new(format!("otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}", *self.base32()))
    }

    /// The step for which `code` is right at `now`, if it is later than `last`.
    pub fn step_of(&self, code: &str, now: Timestamp, last: u64) -> Option<u64> {
        let step = now.seconds() / STEP_S;
        let right = |step: &u64| verify_slices_are_equal(self.code(*step).as_bytes(), code.as_bytes()).is_ok();
        [step.saturating_sub(1), step, step + 1].into_iter().filter(|step| *step > last).find(right)
    }

    /// What an app shows at this time.
    #[cfg(test)]
    pub(crate) fn shown_at(&self, now: Timestamp) -> String {
        self.code(now.seconds() / STEP_S)
    }

    /// RFC 4226 section 5.3.
    fn code(&self, step: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or(0) & 15);
        let four = tag.get(offset..offset + 4).and_then(|four| four.try_into().ok()).unwrap_or([0; 4]);
        format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn rfc() -> TotpSecret {
        TotpSecret(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        // Its table has eight digits; these are the last six.
        for (seconds, six) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().step_of(six, at(seconds), 0), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_late_and_not_after_a_later_one() {
        let secret = rfc();
        let code = secret.code(100);
        for step in [99, 100, 101] {
            assert_eq!(secret.step_of(&code, at(step * 30), 0), Some(100));
        }
        for step in [98, 102] {
            assert_eq!(secret.step_of(&code, at(step * 30), 0), None);
        }
        assert_eq!(secret.step_of(&code, at(3000), 100), None, "used");
        assert_eq!(secret.step_of("", at(3000), 0), None);
        assert_eq!(secret.step_of(&format!("{code} "), at(3000), 0), None);
    }

    #[test]
    fn a_secret_reads_back_from_base32_and_is_in_no_log() {
        assert_eq!(&*rfc().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let secret = TotpSecret::random().unwrap();
        assert_eq!(*TotpSecret::parse(&secret.base32()).unwrap().0, *secret.0);
        assert!(TotpSecret::parse("short").is_none() && TotpSecret::parse("1!").is_none());
        assert_eq!(format!("{secret:?}"), "TotpSecret(…)");
    }
}
