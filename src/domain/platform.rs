//! The name of a back-end system in every table, header, metric and token.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Identifier of a platform: 3 to 63 of `a-z 0-9 -`, first and last no hyphen, so that it can be a DNS label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlatformId(Arc<str>);

impl PlatformId {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no platform identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform identifier; write 3 to 63 of a-z, 0-9 and hyphen, no hyphen at either end")]
pub struct BadPlatformId(pub String);

impl FromStr for PlatformId {
    type Err = BadPlatformId;

    fn from_str(text: &str) -> Result<Self, BadPlatformId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let shaped = (3..=63).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if shaped { Ok(Self(text.into())) } else { Err(BadPlatformId(text.to_owned())) }
    }
}

impl TryFrom<String> for PlatformId {
    type Error = BadPlatformId;

    fn try_from(text: String) -> Result<Self, BadPlatformId> {
        text.parse()
    }
}

impl From<PlatformId> for String {
    fn from(id: PlatformId) -> Self {
        id.as_str().to_owned()
    }
}

impl Borrow<str> for PlatformId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
