//! What is known of a natural person and must lie nowhere in clear: identity number and phone. Neither has a `Display`, and
//! `Debug` shows the masked form, so that neither gets into a log by chance; mistakes do not quote what was typed.

use std::fmt;
use std::str::{self, FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Citizen identification number (GB 11643-1999): six digits of a division, birth date, serial, check character. Whether the
/// division exists today is not asked: divisions come and go, numbers stay.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdNumber([u8; 18]);

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]; // 2^(18-i) mod 11
const CHECKS: &[u8; 11] = b"10X98765432";

impl IdNumber {
    /// The 18 characters. For the vault, and for a platform that has filed that it needs them.
    pub fn reveal(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // only ASCII gets in
    }

    /// What pages show: `110105********0015`.
    pub fn masked(&self) -> String {
        masked(self.reveal(), 6, 4)
    }
}

/// The text is no citizen identification number. Says nothing of what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no identity number; write its 18 characters and compare them with the card (GB 11643-1999)")]
pub struct BadIdNumber;

impl FromStr for IdNumber {
    type Err = BadIdNumber;

    fn from_str(text: &str) -> Result<Self, BadIdNumber> {
        let number: [u8; 18] = text.trim().to_ascii_uppercase().as_bytes().try_into().map_err(|_| BadIdNumber)?;
        let (body, check) = number.split_at(17);
        if !body.iter().all(u8::is_ascii_digit) || body.first() == Some(&b'0') {
            return Err(BadIdNumber);
        }
        let sum: u32 = body.iter().zip(WEIGHTS).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        let expected = usize::try_from(sum % 11).ok().and_then(|place| CHECKS.get(place));
        let born = body.get(6..14).and_then(|digits| str::from_utf8(digits).ok());
        let is_date = born.is_some_and(|digits| Date::strptime("%Y%m%d", digits).is_ok());
        if is_date && check.first() == expected { Ok(Self(number)) } else { Err(BadIdNumber) }
    }
}

impl TryFrom<String> for IdNumber {
    type Error = BadIdNumber;

    fn try_from(text: String) -> Result<Self, BadIdNumber> {
        text.parse()
    }
}

impl From<IdNumber> for String {
    fn from(number: IdNumber) -> Self {
        number.reveal().to_owned()
    }
}

impl fmt::Debug for IdNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("IdNumber(…)")
    }
}

/// A mobile phone of mainland China: 11 digits, the first a 1 (工信部 numbering plan). `+86`, spaces and hyphens are dropped.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

impl Phone {
    /// The 11 digits.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What pages show: `138****1234`.
    pub fn masked(&self) -> String {
        masked(&self.0, 3, 4)
    }
}

/// The text is no mobile phone. Says nothing of what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no mobile phone; write 11 digits that begin with 1")]
pub struct BadPhone;

impl FromStr for Phone {
    type Err = BadPhone;

    fn from_str(text: &str) -> Result<Self, BadPhone> {
        let bare: String = text.trim().chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        let digits = bare.strip_prefix("+86").unwrap_or(&bare);
        let shaped = digits.len() == 11 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let mobile = digits.as_bytes().first() == Some(&b'1') && matches!(digits.as_bytes().get(1), Some(b'3'..=b'9'));
        if shaped && mobile { Ok(Self(digits.to_owned())) } else { Err(BadPhone) }
    }
}

impl TryFrom<String> for Phone {
    type Error = BadPhone;

    fn try_from(text: String) -> Result<Self, BadPhone> {
        text.parse()
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Phone(…)")
    }
}

/// What of it is known of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// Identity number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_number: Option<IdNumber>,
    /// Phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
}

/// `text` (ASCII) with stars between its first and last characters.
fn masked(text: &str, first: usize, last: usize) -> String {
    let shown = |place: usize| place < first || place + last >= text.len();
    text.chars().enumerate().map(|(place, letter)| if shown(place) { letter } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's own two, and numbers of people of the 19th century.
    const GOOD: [&str; 6] = [
        "11010519491231002X",
        "440524188001010014",
        "110105189912310015",
        "330106188001010022",
        "440305188506150039",
        "44010618880808006X",
    ];

    #[test]
    fn the_standards_examples_pass_and_every_other_digit_is_noticed() {
        for number in GOOD {
            assert_eq!(number.parse::<IdNumber>().unwrap().reveal(), number);
            assert!(number.to_lowercase().parse::<IdNumber>().is_ok(), "a small x");
            for place in 0..18 {
                for other in b"0123456789X".iter().filter(|byte| **byte != number.as_bytes()[place]) {
                    let mut changed = number.as_bytes().to_vec();
                    changed[place] = *other;
                    let changed = String::from_utf8(changed).unwrap();
                    assert!(changed.parse::<IdNumber>().is_err(), "{changed} passed for {number}");
                }
            }
        }
        for bad in ["", "110105", "11010518991231001", "1101051899123100155", "１１０１０５１８９９１２３１００１５"]
        {
            assert!(bad.parse::<IdNumber>().is_err(), "{bad} passed");
        }
    }

    #[test]
    fn a_phone_loses_what_people_put_into_it() {
        for text in ["13812341234", " +86 138-1234-1234 "] {
            assert_eq!(text.parse::<Phone>().unwrap().reveal(), "13812341234");
        }
        for bad in ["", "1381234123", "138123412345", "12812341234", "+1 3812341234", "1381234123a"] {
            assert!(bad.parse::<Phone>().is_err(), "{bad} passed");
        }
    }

    #[test]
    fn what_is_shown_is_masked_and_what_is_logged_is_nothing() {
        let (number, phone) =
            ("110105189912310015".parse::<IdNumber>().unwrap(), "13812341234".parse::<Phone>().unwrap());
        assert_eq!((number.masked().as_str(), phone.masked().as_str()), ("110105********0015", "138****1234"));
        let logged = format!("{number:?} {phone:?} {:?}", "110105189912310016".parse::<IdNumber>());
        assert!(!logged.contains("1101") && !logged.contains("1381"), "{logged}");
    }
}
