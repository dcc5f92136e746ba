//! Client certificates of the management listener, as written: `[[management.caller]]`.

use std::str::FromStr;

use super::used::CertificateCaller;
use crate::domain::{Actor, Credential, DivisionCode, Lineage, Link, PlatformId, PrincipalId, Right, Role};
use crate::written::Fields;

/// Reads one; `None` when something in it is wrong.
pub(super) fn caller(fields: Fields<'_>) -> Option<CertificateCaller> {
    let fingerprint =
        fields.required::<Fingerprint>("fingerprint", "SHA-256 of the certificate, 64 hexadecimal digits");
    let principal = fields.required::<PrincipalId>("principal", "whose it is: each person their own name");
    let role = fields.required::<Role>("role", "platform, operator, auditor or viewer");
    let division = fields.required::<DivisionCode>("division", "the division whose subtree it is for");
    let platform = fields.parsed::<PlatformId>("platform", "the id of a platform");
    let scope: Vec<Right> = fields.list("scope", "rights").into_iter().map(|(right, _)| right).collect();
    if let Some(role) = role {
        if (role == Role::Platform) != fields.has("platform") {
            let expected = if role == Role::Platform { "the one platform it speaks for" } else { "no platform" };
            fields.mistake(&fields.spot("platform"), expected, None);
        }
        if let Some(right) = scope.iter().find(|right| !right.is_of(role)) {
            let hint = format!("{role} has no right `{right}`");
            fields.mistake(&fields.spot("scope"), "rights that the role has", Some(hint));
        }
    }
    fields.finish();
    let (principal, role, division, fingerprint) = (principal?, role?, division?, fingerprint?.0);
    let credential = Credential::Certificate(fingerprint);
    let lineage = Lineage::root(Link { principal, division, credential, certified: true });
    Some(CertificateCaller { fingerprint, actor: Actor::of(lineage, role, platform), scope })
}

/// As `openssl x509 -noout -fingerprint -sha256` prints it, with colons or without.
struct Fingerprint([u8; 32]);

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let bad = "print it with `openssl x509 -noout -fingerprint -sha256 -in FILE`";
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect();
        let bytes: Option<[u8; 32]> = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_with_colons_or_without() {
        let plain = "0f".repeat(32);
        let colons = vec!["0F"; 32].join(":");
        for good in [&plain, &colons] {
            assert_eq!(good.parse::<Fingerprint>().unwrap().0, [15; 32]);
        }
        for bad in ["", "0f", &"f".repeat(63), &format!("{plain}0f"), &plain.replace('f', "g")] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
