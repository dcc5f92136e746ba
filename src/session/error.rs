//! What can go wrong with sessions.

use std::io;
use std::path::PathBuf;

use crate::store::StoreError;

/// What went wrong with a session, or with what all sessions need.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Nobody knows whether it was done.
    #[error("the session store did not answer; try again in a moment")]
    StoreAway,
    /// A child session cannot begin any more.
    #[error("the session above this one has ended; sign in again")]
    ParentGone,
    /// A session cannot go on any more.
    #[error("the session that was to go on has ended; sign in again")]
    Gone,
    /// The system gave no randomness.
    #[error("no session can begin: the system has no randomness; look at /dev/urandom")]
    NoRandomness,
    /// The store cannot be used at all.
    #[error(transparent)]
    Store(StoreError),
    /// The file of the seal key cannot be read or made.
    #[error("session key file {} cannot be used: {source}; look at its owner, its mode and the free space", path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file of the seal key holds something else.
    #[error("session key file {} holds no key (32 bytes in unpadded base64url); restore it, or remove it to have a new one made and everybody signed out", path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away { .. } => Self::StoreAway, // the guard has logged and counted the cause
            StoreError::ParentGone => Self::ParentGone,
            StoreError::SessionGone => Self::Gone,
            error => Self::Store(error),
        }
    }
}
