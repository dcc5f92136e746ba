//! An authenticator app: what it shows for a secret, computed apart from the program under test (RFC 6238).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

/// The six digits for a base32 secret, `ahead` from now.
#[allow(clippy::disallowed_methods, reason = "an app has a clock of its own")]
pub fn code(secret: &str, ahead: Duration) -> String {
    let step = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + ahead).as_secs() / 30;
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .map(|letter| format!("{:05b}", alphabet.find(letter).unwrap()))
        .collect();
    let key: Vec<u8> =
        (0..bits.len() / 8).map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap()).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// The code after the one that is shown now: good already, and not used by what was used up to now.
pub fn next_code(secret: &str) -> String {
    code(secret, Duration::from_secs(30))
}

/// The code that is shown now.
pub fn code_now(secret: &str) -> String {
    code(secret, Duration::ZERO)
}
