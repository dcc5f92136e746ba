//! How sure we are who somebody is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Assurance of an identity, from self-declared (L1) to certificate or checked at a window (L4).
/// Each realm maps its own words to it; a word it does not know is L1. It never rises by passing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Assurance {
    /// Self-declared; only the form was checked.
    L1 = 1,
    /// Name and number matched with the population or legal-person base.
    L2 = 2,
    /// Person, name and document proven to belong together.
    L3 = 3,
    /// By certificate, or checked at a window.
    L4 = 4,
}

impl Assurance {
    /// The value of the `acr` claim and of a filing's `assurance` field.
    pub fn word(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }
}

impl fmt::Display for Assurance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no assurance level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no assurance level; write L1, L2, L3 or L4")]
pub struct BadAssurance(pub String);

impl FromStr for Assurance {
    type Err = BadAssurance;

    fn from_str(text: &str) -> Result<Self, BadAssurance> {
        [Self::L1, Self::L2, Self::L3, Self::L4]
            .into_iter()
            .find(|level| level.word() == text)
            .ok_or_else(|| BadAssurance(text.to_owned()))
    }
}
