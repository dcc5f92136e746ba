//! What a principal may be allowed to do; a refusal names the right that was missing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Role;

/// A right, by role for a subtree of divisions; a token may be issued for fewer than its role has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// See filings.
    Read,
    /// See who changed what, and older documents.
    History,
    /// Write a document.
    File,
    /// Hand a filing in for review.
    Submit,
    /// Approve or reject.
    Review,
    /// Suspend and resume.
    Suspend,
    /// Retire.
    Retire,
    /// Put a filing back to an earlier version.
    Rollback,
    /// Attest that a platform is in use.
    Attest,
    /// Say that an instance is alive, or that it goes.
    Lease,
    /// Reserve hosts and path prefixes, and release them.
    Reserve,
    /// Issue and revoke tokens.
    IssueTokens,
    /// Grant and withdraw roles of people for legal persons.
    GrantRoles,
    /// See and end sessions of people. An operator of the nation's: people belong to no division.
    EndSessions,
    /// Look after nodes: see them, confirm a shrunken set, take filings over from files. An operator of the nation's.
    Administer,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 15] = [
        Self::Read,
        Self::History,
        Self::File,
        Self::Submit,
        Self::Review,
        Self::Suspend,
        Self::Retire,
        Self::Rollback,
        Self::Attest,
        Self::Lease,
        Self::Reserve,
        Self::IssueTokens,
        Self::GrantRoles,
        Self::EndSessions,
        Self::Administer,
    ];

    /// The word in API, command line and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::History => "history",
            Self::File => "file",
            Self::Submit => "submit",
            Self::Review => "review",
            Self::Suspend => "suspend",
            Self::Retire => "retire",
            Self::Rollback => "rollback",
            Self::Attest => "attest",
            Self::Lease => "lease",
            Self::Reserve => "reserve",
            Self::IssueTokens => "issue-tokens",
            Self::GrantRoles => "grant-roles",
            Self::EndSessions => "end-sessions",
            Self::Administer => "administer",
        }
    }

    /// Whether a role has it at all.
    pub fn is_of(self, role: Role) -> bool {
        match role {
            Role::Platform => matches!(
                self,
                Self::Read | Self::History | Self::File | Self::Submit | Self::Retire | Self::Attest | Self::Lease
            ),
            Role::Operator => !matches!(self, Self::Attest), // the owner's word, and nobody else's
            Role::Auditor => matches!(self, Self::Read | Self::History),
            Role::Viewer => self == Self::Read,
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no right; write {list}", list = Right::ALL.map(Right::word).join(", "))]
pub struct BadRight(pub String);

impl FromStr for Right {
    type Err = BadRight;

    fn from_str(text: &str) -> Result<Self, BadRight> {
        Self::ALL.into_iter().find(|right| right.word() == text).ok_or_else(|| BadRight(text.to_owned()))
    }
}
