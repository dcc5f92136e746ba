//! The name of a realm: where a person's identity comes from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names of the gateway's own: the built-in accounts, and pages that lie below `/sign-in/`.
const RESERVED: [&str; 4] = ["accounts", "passkey", "recovery", "second"];

/// Id of a provider realm: 2 to 32 of `a-z 0-9 -`, a letter first. It stands in the address of the realm's callback, so it is
/// chosen once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RealmId(Arc<str>);

impl RealmId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no id of a realm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no id of a realm; write 2 to 32 small letters, digits and hyphens, a letter first, and none of accounts, passkey, recovery, second"
)]
pub struct BadRealmId(pub String);

impl FromStr for RealmId {
    type Err = BadRealmId;

    fn from_str(text: &str) -> Result<Self, BadRealmId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let shaped = begins && (2..=32).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with('-');
        if shaped && !RESERVED.contains(&text) { Ok(Self(text.into())) } else { Err(BadRealmId(text.to_owned())) }
    }
}

impl TryFrom<String> for RealmId {
    type Error = BadRealmId;

    fn try_from(text: String) -> Result<Self, BadRealmId> {
        text.parse()
    }
}

impl From<RealmId> for String {
    fn from(id: RealmId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for RealmId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_stand_in_an_address_and_is_not_the_gateways_own() {
        for good in ["nation", "zhejiang-legal", "p2"] {
            assert_eq!(good.parse::<RealmId>().map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a", "accounts", "passkey", "Nation", "2nd", "-a", "a-", "a/b", "a.b", "门", &"a".repeat(33)] {
            assert!(bad.parse::<RealmId>().is_err(), "{bad}");
        }
    }
}
