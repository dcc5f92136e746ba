//! For whom a natural person acts besides themselves, and as what.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DivisionCode, SubjectKind, Timestamp, Uscc};

/// What a natural person is to a legal person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRole {
    /// Its legal representative (法定代表人): who acts as it.
    LegalRepresentative,
    /// Somebody it has appointed (经办人): who acts for it.
    Agent,
}

impl SubjectRole {
    /// Every role.
    pub const ALL: [Self; 2] = [Self::LegalRepresentative, Self::Agent];

    /// The word in API, command line, table and claims.
    pub fn word(self) -> &'static str {
        match self {
            Self::LegalRepresentative => "legal_representative",
            Self::Agent => "agent",
        }
    }

    /// The kind of subject that a session is while it acts in this role.
    pub fn kind(self) -> SubjectKind {
        match self {
            Self::LegalRepresentative => SubjectKind::Legal,
            Self::Agent => SubjectKind::Agent,
        }
    }
}

impl fmt::Display for SubjectRole {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no role of a person for a legal person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role for a legal person; write legal_representative or agent")]
pub struct BadSubjectRole(pub String);

impl FromStr for SubjectRole {
    type Err = BadSubjectRole;

    fn from_str(text: &str) -> Result<Self, BadSubjectRole> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| BadSubjectRole(text.to_owned()))
    }
}

/// A legal person that a session acts for, or may act for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Represented {
    /// The role's own name: by it the role is looked up again, and chosen in forms.
    pub id: Uuid,
    /// For whom.
    pub usc: Uscc,
    /// Its name.
    pub name: String,
    /// As what.
    pub role: SubjectRole,
    /// The last day (in China) of the role.
    pub valid_until: Date,
}

/// A role of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedRole {
    /// Its own name; of version 7, so that roles lie in order of granting.
    pub id: Uuid,
    /// Whose: the id of an account.
    pub subject: String,
    /// For whom.
    pub usc: Uscc,
    /// Name of the legal person.
    pub name: String,
    /// As what.
    pub role: SubjectRole,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_until: Date,
    /// The division whose operators may grant and withdraw it: that of the legal person's registry. `None`: the nation.
    pub division: Option<DivisionCode>,
    /// What was seen of it, such as the number of a power of attorney.
    pub evidence: Option<String>,
    /// Who granted it, or proposed to.
    pub granted_by: String,
    /// Who else; `None` where the machine granted it, or a version that asked one alone.
    pub approved_by: Option<String>,
    /// When.
    pub granted_at: Timestamp,
    /// Who withdrew it, and when.
    pub withdrawn: Option<(String, Timestamp)>,
}

impl GrantedRole {
    /// How it stands: `valid`, `future`, `over` or `withdrawn`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        let today = now.day();
        match &self.withdrawn {
            Some(_) => "withdrawn",
            None if today < self.valid_from => "future",
            None if today > self.valid_until => "over",
            None => "valid",
        }
    }

    /// The legal person as a session acts for it; `None` unless the role is valid.
    pub fn represented(self, now: Timestamp) -> Option<Represented> {
        let valid = self.state(now) == "valid";
        let Self { id, usc, name, role, valid_until, .. } = self;
        valid.then_some(Represented { id, usc, name, role, valid_until })
    }
}
