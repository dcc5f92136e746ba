//! What can go wrong with a store.

use std::fmt;
use std::path::PathBuf;

/// Why a call got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwayReason {
    /// No answer within the deadline.
    Timeout,
    /// No connection, or it broke, or our user and password were not taken.
    Refused,
    /// The store answered that it cannot do it now: loading, read-only, out of memory, locked.
    Answer,
    /// An earlier call failed and no probe has succeeded since; nothing was sent.
    Breaker,
}

impl AwayReason {
    /// The label in `yimen_session_store_errors_total{kind}`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Answer => "answer",
            Self::Breaker => "breaker",
        }
    }
}

impl fmt::Display for AwayReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Timeout => "no answer within the deadline",
            Self::Refused => "no connection",
            Self::Answer => "it answered that it cannot",
            Self::Breaker => "it failed a moment ago",
        })
    }
}

/// A store did not do what it was asked. Messages hold no key, value or name.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Unknown, not absent: whatever was asked may be so or not.
    #[error(
        "the store is away ({reason}: {detail}); it is tried again by itself, look whether it runs and can be reached"
    )]
    Away {
        /// Why there was no answer.
        reason: AwayReason,
        /// What the store or the operating system said.
        detail: String,
    },
    /// What came back is not what this version writes.
    #[error("the store holds {what} that this version cannot read; restore it or start with an empty store")]
    Corrupt {
        /// Which thing, without its content.
        what: &'static str,
    },
    /// A unique value exists already.
    #[error("{what} exists already; choose another")]
    Taken {
        /// Which thing.
        what: &'static str,
    },
    /// A child session was put under a parent that has ended.
    #[error("the session above this one has ended; sign in again")]
    ParentGone,
    /// A session was to go on under another id, and has ended meanwhile.
    #[error("the session that was to go on has ended; sign in again")]
    SessionGone,
    /// A file or folder of ours cannot be used.
    #[error("{} cannot be used: {source}; look at its owner, its mode and the free space", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The settings cannot work, whatever the store does.
    #[error("the store's settings cannot be used: {0}; correct them")]
    Settings(String),
}

impl StoreError {
    pub(super) fn away(reason: AwayReason, detail: impl fmt::Display) -> Self {
        Self::Away { reason, detail: detail.to_string() }
    }
}
