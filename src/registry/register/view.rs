//! What the register answers. Serialised as it stands: these are the bodies of the management API.

use serde::Serialize;

use super::call::Version;
use crate::domain::{DivisionCode, Level, PlatformId, PrincipalId, Right, Timestamp, Uscc};
use crate::registry::FilingState;
use crate::written::Mistake;

/// A filing in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The platform's name in addresses.
    pub id: PlatformId,
    /// Its name in Chinese.
    pub name: String,
    /// Its name in English.
    pub name_en: String,
    /// Its owner.
    pub owner: Uscc,
    /// Its division.
    pub division: DivisionCode,
    /// The level of that division.
    pub level: Level,
    /// Where the filing stands. A draft beside what is in force does not change it; `draft` tells of it.
    pub state: FilingState,
    /// Whether `valid_until` has passed.
    pub expired: bool,
    /// Counts its changes.
    pub version: Version,
    /// Version that holds the document in force.
    pub in_force: Option<Version>,
    /// The document on its way, if there is one.
    pub draft: Option<Draft>,
    /// Last day of validity of what is in force, or else of the draft, such as `2027-02-28`.
    pub valid_until: Option<String>,
    /// When the owner last attested that the platform is in use (milliseconds since 1970).
    pub attested_at: Option<Timestamp>,
    /// When it was first filed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// A document on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// Version that holds it.
    pub version: Version,
    /// `draft` or `submitted`.
    pub state: FilingState,
    /// Who submitted it.
    pub submitted_by: Option<PrincipalId>,
    /// Why it was rejected last.
    pub reason: Option<String>,
}

/// A filing with its documents.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilingView {
    /// As in a list.
    #[serde(flatten)]
    pub summary: Summary,
    /// What people are told while it is suspended.
    pub notice: Option<String>,
    /// The division of whoever suspended or retired it: that one, or one above it, lifts the stop.
    pub stopped_by: Option<DivisionCode>,
    /// The newest document: the draft, or else what is in force.
    pub document: serde_json::Value,
    /// The document in force, where another one is on its way.
    pub document_in_force: Option<serde_json::Value>,
    /// Nodes that could not take the document in force and go on with the last good one, and why.
    pub quarantined: Vec<Quarantined>,
}

/// A node that could not take a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quarantined {
    /// Which node.
    pub node: String,
    /// Why, with the next step.
    pub reason: String,
}

/// One change of a filing, as history and record have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The version it made.
    pub version: Version,
    /// What was done.
    pub action: Action,
    /// By whom.
    pub actor: PrincipalId,
    /// By what credential, such as `token:0199…`; `None` where a version of before kept the name alone.
    pub credential: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why, or what people are told.
    pub reason: Option<String>,
    /// The state it left.
    pub state: FilingState,
    /// Version that holds the document in force after it.
    pub in_force: Option<Version>,
    /// Whether it brought a document of its own (`GET` it by this version).
    pub has_document: bool,
    /// SHA-256 of the filing's state before it, in hex; `None` for the first.
    pub before: Option<String>,
    /// And after it.
    pub after: String,
    /// The request that made it.
    pub request_id: String,
}

/// What can be done with a filing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A document was put.
    Put,
    /// Handed in for review.
    Submit,
    /// Approved: its document is in force.
    Approve,
    /// Back to draft.
    Reject,
    /// Taken off for a while.
    Suspend,
    /// Served again.
    Resume,
    /// Gone for good.
    Retire,
    /// Put back to what it was at an earlier version.
    Rollback,
    /// The owner says it is in use.
    Attest,
    /// Taken over from a node's files, by whoever may write them.
    Import,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 10] = [
        Self::Put,
        Self::Submit,
        Self::Approve,
        Self::Reject,
        Self::Suspend,
        Self::Resume,
        Self::Retire,
        Self::Rollback,
        Self::Attest,
        Self::Import,
    ];

    /// The word in API and table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Retire => "retire",
            Self::Rollback => "rollback",
            Self::Attest => "attest",
            Self::Import => "import",
        }
    }

    /// The right that it takes.
    pub fn right(self) -> Right {
        match self {
            Self::Put => Right::File,
            Self::Submit => Right::Submit,
            Self::Approve | Self::Reject => Right::Review,
            Self::Suspend | Self::Resume => Right::Suspend,
            Self::Retire => Right::Retire,
            Self::Rollback => Right::Rollback,
            Self::Attest => Right::Attest,
            Self::Import => Right::Administer,
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.word())
    }
}

/// What a write did, or would do when it was a dry run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Done {
    /// The filing as it is now.
    pub filing: FilingView,
    /// Whether it was not there before.
    pub created: bool,
    /// Whether anything is different from before; the same document put again changes nothing.
    pub changed: bool,
    /// What works but should be looked at.
    pub warnings: Vec<Mistake>,
}

/// A host or path prefix that only one platform may file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// The host in lower case; `None`: the portal's hosts.
    pub host: Option<String>,
    /// The prefix, on segments; `/` is the whole host.
    pub prefix: String,
    /// Who may file it.
    pub platform: PlatformId,
    /// Who reserved it.
    pub reserved_by: PrincipalId,
    /// Who else, where it takes two: for places that are not the division's own.
    pub approved_by: Option<PrincipalId>,
    /// When.
    pub at: Timestamp,
}

/// A node that follows the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// The revision of the register that it serves.
    pub revision: u64,
    /// When it last said so.
    pub seen_at: Timestamp,
    /// How it is: `current`, `refused` (a shrunken set waits for confirmation), `quarantine`.
    pub standing: String,
    /// Filings whose newest version it could not take, and why.
    pub quarantined: Vec<(PlatformId, String)>,
}

/// All nodes, and the revision that they should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nodes {
    /// The register's own.
    pub revision: u64,
    /// By name.
    pub nodes: Vec<NodeStatus>,
}
