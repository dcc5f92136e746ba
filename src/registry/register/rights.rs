//! Who may do what, by role and subtree: a city's operator cannot touch another city, a province's can touch all its cities,
//! a platform its own filing alone.

use std::fmt;

use serde::Serialize;

use crate::domain::{Actor, DivisionCode, PlatformId, Role};
use crate::routing::Divisions;

/// What may be allowed; a refusal names the one that was missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
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
    /// Reserve hosts and path prefixes, and release them.
    Reserve,
    /// Issue and revoke tokens.
    IssueTokens,
    /// Look after nodes: see them, confirm a shrunken set, take filings over from files. An operator of the nation's.
    Administer,
}

impl Right {
    /// The word in API and messages.
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
            Self::Reserve => "reserve",
            Self::IssueTokens => "issue-tokens",
            Self::Administer => "administer",
        }
    }

    /// Whether a role has it at all.
    pub fn is_of(self, role: Role) -> bool {
        match role {
            Role::Platform => {
                matches!(self, Self::Read | Self::History | Self::File | Self::Submit | Self::Retire | Self::Attest)
            }
            Role::Operator => self != Self::Attest, // the owner's word, and nobody else's
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

/// What a right is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// The division it belongs to.
    pub division: DivisionCode,
    /// The platform, where it is one's.
    pub platform: Option<&'a PlatformId>,
}

/// Whether `actor` has `right` on `object`.
pub fn may(actor: &Actor, right: Right, object: Object<'_>, divisions: &Divisions) -> bool {
    let within = divisions.is_within(object.division, actor.division);
    let own = match actor.role {
        Role::Platform => actor.platform.is_some() && actor.platform.as_ref() == object.platform,
        Role::Operator | Role::Auditor | Role::Viewer => true,
    };
    right.is_of(actor.role) && within && own
}

/// An object of the nation's, for rights that are asked for no filing.
pub const NATION: Object<'static> = Object { division: DivisionCode::NATION, platform: None };
