//! Administrative divisions and the level of government they belong to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Code of a division: 6 digits (GB/T 2260) for nation, province, city and county, 9 for a street, 12 for a village.
/// The nation is `100000`. Which level a code has is a fact of the table, not of its digits: a street of a city
/// without counties hangs right under the city.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DivisionCode(u64);

impl DivisionCode {
    /// The root of every climb.
    pub const NATION: Self = Self(100_000);

    /// The code as a number, for dense tables.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Its place in the order in which every division stands right before what lies below it: the code filled up with
    /// zeros to 12 digits, times four, plus 0 for 6 digits, 1 for 9, 2 for 12. Without the latter county 350527 and its
    /// street 350527000 would be one.
    pub fn order(self) -> u64 {
        match self.0 {
            ..1_000_000 => self.0 * 4_000_000,
            1_000_000..1_000_000_000 => self.0 * 4000 + 1,
            _ => self.0 * 4 + 2,
        }
    }

    /// The county (or city) that its first 6 digits name.
    pub fn county(self) -> Self {
        Self(self.order() / 4_000_000)
    }

    /// The street that the first 9 digits of a village name; `None` for shorter codes.
    pub fn street(self) -> Option<Self> {
        (self.0 >= 1_000_000_000).then_some(Self(self.0 / 1000))
    }

    /// Reads a code from the bytes of a path segment without making a `str` of it first.
    pub fn from_digits(digits: &[u8]) -> Option<Self> {
        if !matches!(digits.len(), 6 | 9 | 12) || digits.first() == Some(&b'0') {
            return None;
        }
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        digits.iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?)).map(Self)
    }
}

/// The text is no division code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no division code; write 6 digits (GB/T 2260), 9 for a street, 12 for a village")]
pub struct BadDivisionCode(pub String);

impl FromStr for DivisionCode {
    type Err = BadDivisionCode;

    fn from_str(text: &str) -> Result<Self, BadDivisionCode> {
        Self::from_digits(text.as_bytes()).ok_or_else(|| BadDivisionCode(text.to_owned()))
    }
}

impl TryFrom<String> for DivisionCode {
    type Error = BadDivisionCode;

    fn try_from(text: String) -> Result<Self, BadDivisionCode> {
        text.parse()
    }
}

impl From<DivisionCode> for String {
    fn from(code: DivisionCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for DivisionCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Level of government, GB/T 39046-2020 annex A.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Level {
    /// The whole country.
    Nation = 1,
    /// Province, autonomous region, municipality.
    Province = 2,
    /// City, prefecture, league.
    City = 3,
    /// County, district, banner.
    County = 4,
    /// Street, town, township.
    Street = 5,
    /// Village, residents' committee.
    Village = 6,
}

impl Level {
    /// Every level, from the nation down.
    pub const ALL: [Self; 6] = [Self::Nation, Self::Province, Self::City, Self::County, Self::Street, Self::Village];

    /// The word used in API, metrics, headers and filings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nation => "nation",
            Self::Province => "province",
            Self::City => "city",
            Self::County => "county",
            Self::Street => "street",
            Self::Village => "village",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no level; write nation, province, city, county, street or village")]
pub struct BadLevel(pub String);

impl FromStr for Level {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        Self::ALL.into_iter().find(|level| level.word() == text).ok_or_else(|| BadLevel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_6_9_or_12_digits_and_no_sign() {
        for good in ["100000", "330106", "330106001", "330106001001"] {
            assert_eq!(good.parse::<DivisionCode>().unwrap().to_string(), good);
        }
        for bad in ["", "33010", "+33010", "33010a", "3301060", "033010", "３３０１０６"] {
            assert!(bad.parse::<DivisionCode>().is_err(), "{bad} passed");
        }
    }
}
