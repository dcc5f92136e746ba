//! Who acts on the register: a principal, its role, and the part of the tree of divisions that the role is for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DivisionCode, Lineage, Link, PlatformId};

/// Name of whoever acts, a person or a program: 1 to 100 of `a-z A-Z 0-9 . _ @ : -`. The same person has one, however
/// many tokens and certificates they hold. Names that differ in capital letters alone are one name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalId(Arc<str>);

impl PrincipalId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a name under which the gateway itself acts: the command on the machine, and a node that takes its files over.
    pub fn is_reserved(&self) -> bool {
        ["machine", "files"].iter().any(|own| own.eq_ignore_ascii_case(&self.0))
    }

    /// Whether both are one name: capital letters make no other person.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// The text is no name of a principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no principal; write 1 to 100 of letters, digits and . _ @ : -")]
pub struct BadPrincipalId(pub String);

impl FromStr for PrincipalId {
    type Err = BadPrincipalId;

    fn from_str(text: &str) -> Result<Self, BadPrincipalId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte);
        let shaped = (1..=100).contains(&text.len()) && text.bytes().all(allowed);
        if shaped { Ok(Self(text.into())) } else { Err(BadPrincipalId(text.to_owned())) }
    }
}

impl TryFrom<String> for PrincipalId {
    type Error = BadPrincipalId;

    fn try_from(text: String) -> Result<Self, BadPrincipalId> {
        text.parse()
    }
}

impl From<PrincipalId> for String {
    fn from(id: PrincipalId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a principal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Files its own platform.
    Platform,
    /// Reviews and answers for all platforms of its subtree.
    Operator,
    /// Reads everything in its subtree, the record of changes too.
    Auditor,
    /// Reads filings in its subtree.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Platform, Self::Operator, Self::Auditor, Self::Viewer];

    /// The word in API, command line and table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; write platform, operator, auditor or viewer")]
pub struct BadRole(pub String);

impl FromStr for Role {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| BadRole(text.to_owned()))
    }
}

/// A principal as it acts: who it is, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub principal: PrincipalId,
    /// In which role.
    pub role: Role,
    /// For this division and all below it.
    pub division: DivisionCode,
    /// The platform it files, for the role `platform`; without one that role may do nothing.
    pub platform: Option<PlatformId>,
    /// By what it acts, and through whose hands that came.
    pub lineage: Lineage,
}

impl Actor {
    /// Whoever acts by the credential at the end of `lineage`, in its principal's name and for its division.
    pub fn of(lineage: Lineage, role: Role, platform: Option<PlatformId>) -> Self {
        let Link { principal, division, .. } = lineage.own();
        Self { principal: principal.clone(), role, division: *division, platform, lineage }
    }
}
