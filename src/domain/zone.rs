//! Networks from which platforms are reached.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Network that a listener faces and a platform is filed for (国办发〔2017〕39号, task 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// 互联网.
    Internet,
    /// 电子政务外网.
    Extranet,
}

impl Zone {
    /// The word used in settings, filings and API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Internet => "internet",
            Self::Extranet => "extranet",
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no zone; write internet or extranet")]
pub struct BadZone(pub String);

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Self, BadZone> {
        [Self::Internet, Self::Extranet]
            .into_iter()
            .find(|zone| zone.word() == text)
            .ok_or_else(|| BadZone(text.to_owned()))
    }
}
