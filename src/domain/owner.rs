//! Owners of platforms, by unified social credit code.

use std::fmt;
use std::str::{self, FromStr};

use serde::{Deserialize, Serialize};

use super::DivisionCode;

/// Unified social credit code (GB 32100-2015), both check characters verified: its own, and that of the
/// organisation code inside it (GB 11714-1997). Public, so it is never masked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uscc([u8; 18]);

const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY"; // GB 32100-2015: without I O S V Z
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2]; // GB 11714-1997

impl Uscc {
    /// The 18 characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // only ASCII gets in
    }

    /// The division of the office that registered it (characters 3 to 8), as far as that is a code; it may be abolished.
    pub fn division(&self) -> Option<DivisionCode> {
        DivisionCode::from_digits(self.0.get(2..8)?)
    }

    /// Whether its owner is an organ or institution of the state: registered by the offices for public establishments
    /// (机构编制), GB 32100-2015 table 1.
    pub fn is_public_body(&self) -> bool {
        self.0.first() == Some(&b'1')
    }

    /// The check character that belongs after the first 17, for generated samples.
    pub fn check_character(first_17: &[u8]) -> Option<u8> {
        let mut weight = 1_u32;
        let mut sum = 0_u32;
        for byte in first_17 {
            let value = ALPHABET.iter().position(|known| known == byte)?;
            sum += u32::try_from(value).ok()? * weight;
            weight = weight * 3 % 31;
        }
        let check = (31 - sum % 31) % 31;
        ALPHABET.get(usize::try_from(check).ok()?).copied()
    }

    /// The check character that belongs after the 8 characters of an organisation code.
    pub fn organisation_check(first_8: &[u8]) -> Option<u8> {
        let mut sum = 0_u32;
        for (byte, weight) in first_8.iter().zip(ORGANISATION_WEIGHTS) {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                b'A'..=b'Z' => byte - b'A' + 10,
                _ => return None,
            };
            sum += u32::from(value) * weight;
        }
        Some(match 11 - sum % 11 {
            10 => b'X',
            11 => b'0',
            digit => b'0' + u8::try_from(digit).ok()?,
        })
    }
}

/// The text is no unified social credit code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUscc {
    /// Wrong length or characters.
    #[error("`{0}` is no unified social credit code; write 18 digits and capitals without I O S V Z (GB 32100-2015)")]
    Shape(String),
    /// One of the two check characters is wrong: most often a typing mistake.
    #[error("`{0}` has a wrong check character; compare it with the certificate, one character is mistyped")]
    Check(String),
}

impl FromStr for Uscc {
    type Err = BadUscc;

    fn from_str(text: &str) -> Result<Self, BadUscc> {
        let shape = || BadUscc::Shape(text.to_owned());
        let code: [u8; 18] = text.as_bytes().try_into().map_err(|_| shape())?;
        let (body, own) = code.split_at(17);
        let (organisation, inner) = body.split_at(16);
        let organisation = organisation.get(8..).ok_or_else(shape)?;
        let expected = Self::check_character(body).ok_or_else(shape)?;
        let expected_inner = Self::organisation_check(organisation).ok_or_else(shape)?;
        if own != [expected] || inner != [expected_inner] {
            return Err(BadUscc::Check(text.to_owned()));
        }
        Ok(Self(code))
    }
}

impl TryFrom<String> for Uscc {
    type Error = BadUscc;

    fn try_from(text: String) -> Result<Self, BadUscc> {
        text.parse()
    }
}

impl From<Uscc> for String {
    fn from(code: Uscc) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for Uscc {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Uscc {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Published codes of public bodies and large companies.
    const PUBLISHED: [&str; 4] =
        ["12100000400000624D", "12100000400002259P", "91100000100003962T", "914403001922038216"];

    #[test]
    fn published_codes_pass() {
        for code in PUBLISHED {
            assert_eq!(code.parse::<Uscc>().unwrap().as_str(), code);
        }
    }

    #[test]
    fn a_code_tells_who_registered_its_owner() {
        let told = |code: &str| {
            let code: Uscc = code.parse().unwrap();
            (code.division().map(|code| code.to_string()), code.is_public_body())
        };
        assert_eq!(told("12100000400000624D"), (Some("100000".to_owned()), true));
        assert_eq!(told("914403001922038216"), (Some("440300".to_owned()), false));
    }

    #[test]
    fn every_change_of_one_character_is_noticed() {
        for code in PUBLISHED {
            for place in 0..code.len() {
                for other in ALPHABET.iter().filter(|byte| **byte != code.as_bytes()[place]) {
                    let mut changed = code.as_bytes().to_vec();
                    changed[place] = *other;
                    let changed = String::from_utf8(changed).unwrap();
                    assert!(changed.parse::<Uscc>().is_err(), "{changed} passed for {code}");
                }
            }
        }
    }
}
