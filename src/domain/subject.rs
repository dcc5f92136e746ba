//! Whom a session speaks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of subject a session speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A natural person, for themselves.
    Natural,
    /// A legal person.
    Legal,
    /// A natural person acting as agent of a legal person.
    Agent,
}

impl SubjectKind {
    /// Whether somebody of this kind is served by a route that is filed for `asked`. What is for legal persons is done by their
    /// representatives and by their agents; what is for agents, by agents alone.
    pub fn is_served_as(self, asked: Self) -> bool {
        self == asked || (asked == Self::Legal && self == Self::Agent)
    }

    /// The word used in filings, API and claims.
    pub fn word(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Legal => "legal",
            Self::Agent => "agent",
        }
    }
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// The text names no kind of subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of subject; write natural, legal or agent")]
pub struct BadSubjectKind(pub String);

impl FromStr for SubjectKind {
    type Err = BadSubjectKind;

    fn from_str(text: &str) -> Result<Self, BadSubjectKind> {
        [Self::Natural, Self::Legal, Self::Agent]
            .into_iter()
            .find(|kind| kind.word() == text)
            .ok_or_else(|| BadSubjectKind(text.to_owned()))
    }
}
