//! Service items: what a citizen can get done.

use std::fmt;
use std::str::{self, FromStr};

use serde::{Deserialize, Serialize};

/// Basic code of a service item (GB/T 39554.1-2020): 12 characters, 2 division + 2 type + 5 main + 3 sub-item.
/// Digits and capitals without I, O, S, V and Z, which the standard leaves out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemCode([u8; 12]);

impl ItemCode {
    /// Reads a code from the bytes of a path segment.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let code: [u8; 12] = bytes.try_into().ok()?;
        let allowed = |byte: &u8| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"IOSVZ".contains(byte));
        code.iter().all(allowed).then_some(Self(code))
    }

    /// The 12 characters.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // only ASCII gets in
    }
}

/// The text is no basic item code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no service item; write its 12-character basic code (GB/T 39554.1-2020), digits and capitals without I O S V Z"
)]
pub struct BadItemCode(pub String);

impl FromStr for ItemCode {
    type Err = BadItemCode;

    fn from_str(text: &str) -> Result<Self, BadItemCode> {
        Self::from_bytes(text.as_bytes()).ok_or_else(|| BadItemCode(text.to_owned()))
    }
}

impl TryFrom<String> for ItemCode {
    type Error = BadItemCode;

    fn try_from(text: String) -> Result<Self, BadItemCode> {
        text.parse()
    }
}

impl From<ItemCode> for String {
    fn from(code: ItemCode) -> Self {
        code.as_str().to_owned()
    }
}

impl fmt::Display for ItemCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for ItemCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_code_has_twelve_characters_of_the_standard() {
        assert_eq!("000115035000".parse::<ItemCode>().unwrap().as_str(), "000115035000");
        for bad in ["", "00011503500", "0001150350000", "00011503500I", "00011503500a", "0001150350０"] {
            assert!(bad.parse::<ItemCode>().is_err(), "{bad} passed");
        }
    }
}
