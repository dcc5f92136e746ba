//! Why the register did not do it. Each is a sentence with the next step. Nothing was changed; only of `Away` it is unknown,
//! as the answer to a commit can get lost.

use super::call::Version;
use super::view::Action;
use crate::domain::{Actor, PlatformId, PrincipalId, Right, Role};
use crate::registry::FilingState;
use crate::store::StoreError;
use crate::written::Mistake;

/// Why a call was refused, or could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// No such filing, version or reservation, as far as the caller may see.
    #[error("there is no {what}; look for it in the list")]
    NotFound {
        /// Which thing, by its name.
        what: String,
    },
    /// The caller lacks a right.
    #[error("{principal} ({role} of {scope}) lacks the right `{right}` on {object}; ask an operator of that division")]
    Forbidden {
        /// The right that is missing.
        right: Right,
        /// Who asked.
        principal: PrincipalId,
        /// In which role.
        role: Role,
        /// For which division, or platform.
        scope: String,
        /// On what.
        object: String,
    },
    /// Somebody changed it meanwhile, or it is there already.
    #[error("{}; read it again and decide anew", conflict(*current))]
    VersionConflict {
        /// The version there is now; `None`: there is no such filing.
        current: Option<Version>,
    },
    /// The state does not allow it.
    #[error("a filing that is {state} cannot be changed by `{action}`; {hint}")]
    WrongState {
        /// What was asked.
        action: Action,
        /// The state it is in.
        state: FilingState,
        /// What can be done instead.
        hint: &'static str,
    },
    /// Maker and checker are two people.
    #[error(
        "{maker} made it, and {principal} could be the same person: they bear one name, or both credentials came through one \
         chain of issue; ask an operator whose credential was issued by others"
    )]
    SelfReview {
        /// Who asked.
        principal: PrincipalId,
        /// Who made it.
        maker: String,
    },
    /// The credential ended between the door and the decision.
    #[error("the credential of {principal} was revoked or has expired meanwhile; ask whoever issued it for another")]
    CredentialEnded {
        /// Whose.
        principal: PrincipalId,
    },
    /// The id of a platform is somebody else's.
    #[error("the id {platform} is taken; choose another")]
    IdTaken {
        /// The id.
        platform: PlatformId,
    },
    /// A proposal that was decided, or has expired.
    #[error("the proposal is {state}; propose it anew")]
    Decided {
        /// `approved`, `rejected` or `expired`.
        state: &'static str,
    },
    /// More than one may have.
    #[error("{what} are at most {max}; release or decide some first")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The document has mistakes; all of them, and the warnings.
    #[error("the filing has {} mistakes; correct them and send it again", .0.len())]
    Invalid(Vec<Mistake>),
    /// The document is larger than anything a platform needs.
    #[error("the filing has {bytes} bytes, {max} at most; file the platform in parts")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A place has equal rank and somebody has it.
    #[error("{place} is taken{}; file another place or ask for it to be withdrawn", by(holder.as_ref()))]
    PlaceTaken {
        /// Index of the route that wants it; `None` for a reservation.
        route: Option<usize>,
        /// What both want, in words.
        place: String,
        /// Who has it, where the caller may see them.
        holder: Option<PlatformId>,
    },
    /// A host or path prefix that is not reserved to the platform.
    #[error("{place} is not reserved to {platform}; ask an operator of its division to reserve it")]
    NotReserved {
        /// Index of the route.
        route: usize,
        /// What it wants, in words.
        place: String,
        /// For whom.
        platform: PlatformId,
    },
    /// The register is away: what is in force goes on, changes wait.
    #[error("the register is away, and what is in force goes on; read the filing before you try again")]
    Away(#[source] StoreError),
}

fn conflict(current: Option<Version>) -> String {
    current.map_or_else(|| "there is no such filing".to_owned(), |version| format!("the filing has version {version}"))
}

fn by(holder: Option<&PlatformId>) -> String {
    holder.map(|holder| format!(" by platform {holder}")).unwrap_or_default()
}

impl From<StoreError> for RegisterError {
    fn from(error: StoreError) -> Self {
        Self::Away(error)
    }
}

impl RegisterError {
    pub(super) fn forbidden(actor: &Actor, right: Right, object: String) -> Self {
        let scope = match (&actor.role, &actor.platform) {
            (Role::Platform, Some(platform)) => format!("{platform} in {}", actor.division),
            _ => actor.division.to_string(),
        };
        Self::Forbidden { right, principal: actor.principal.clone(), role: actor.role, scope, object }
    }

    /// The stable code of the problem document.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Forbidden { .. } => "forbidden",
            Self::VersionConflict { .. } => "version-conflict",
            Self::WrongState { .. } => "wrong-state",
            Self::SelfReview { .. } => "self-review",
            Self::CredentialEnded { .. } => "credential-ended",
            Self::IdTaken { .. } => "id-taken",
            Self::Decided { .. } => "proposal-decided",
            Self::TooMany { .. } => "too-many",
            Self::Invalid(_) => "invalid-filing",
            Self::TooLarge { .. } => "filing-too-large",
            Self::PlaceTaken { .. } => "place-taken",
            Self::NotReserved { .. } => "not-reserved",
            Self::Away(_) => "register-away",
        }
    }
}
