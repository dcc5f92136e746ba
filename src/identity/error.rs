//! What can go wrong, in words for whoever can do something about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{RealmId, Right, Role};
use crate::store::StoreError;

/// Why an account or a key could not be made, changed or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No login name.
    #[error("`{0}` is no login; write 1 to 64 letters, digits and . _ - + @")]
    BadLogin(String),
    /// Too short or too long.
    #[error("a password has 8 to 128 characters; choose another")]
    BadPassword,
    /// No name to greet with.
    #[error("a name has 1 to 64 characters, none of them a control character; choose another")]
    BadName,
    /// Somebody has it already.
    #[error("login `{0}` is taken; choose another, or set its password with `yimen account password`")]
    LoginTaken(String),
    /// Nobody has it.
    #[error("no account has the login `{0}`; `yimen account list` shows all")]
    NoAccount(String),
    /// All password threads are at work and the queue is full.
    #[error("too many password checks are waiting; try again in a moment")]
    Busy,
    /// Accounts could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The cost of a hash as configured cannot work.
    #[error("Argon2id cannot work with these settings: {0}; use the defaults of identity.argon2_*")]
    Cost(String),
    /// No thread to be had.
    #[error("the password threads did not start: {0}; look at the limit of processes of this user")]
    Threads(io::Error),
    /// A secret or a folder of secrets.
    #[error("{} cannot be used: {source}; this user must be able to read and write it", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file that holds no secret of ours.
    #[error("{} is {reason}; restore it from your copy, or move it away to have a new one made", path.display())]
    BadFile {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder holds no key, though it did when the gateway started.
    #[error("{} holds no assertion key; restore the files, or make one with `yimen key rotate`", .0.display())]
    NoKey(PathBuf),
    /// A token without life, or with too much of it.
    #[error("a token lives for 1 to 366 days; choose a life within that")]
    TokenLife,
    /// A token of a platform names it, and no other does.
    #[error("a token of the role platform names one platform, and others name none; give or leave out the platform")]
    TokenPlatform,
    /// A token has no right that its role has not.
    #[error("the role {role} has no right `{right}`; leave it out, or choose another role")]
    TokenScope {
        /// The right.
        right: Right,
        /// The role.
        role: Role,
    },
    /// A provider realm of the settings cannot work.
    #[error("realm {id} cannot be used: {cause}")]
    Realm {
        /// Which one.
        id: RealmId,
        /// Why.
        cause: String,
    },
    /// The cryptographic library refused.
    #[error("{0} failed in the cryptographic library; report it with the version of this program")]
    Crypto(&'static str),
}

impl IdentityError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(super) fn bad_file(path: &Path, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.to_owned(), reason: reason.into() }
    }
}

/// Why a sign-in did not succeed. Three different pages, and never more than that to learn.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong password, unknown or disabled account: which of them is nobody's business.
    #[error("login and password do not belong together; check both")]
    Refused,
    /// The queue is full or the deadline is over; nothing is known about the password.
    #[error("too many people sign in at this moment; try again in a few seconds")]
    Busy,
    /// Accounts could not be read; nothing is known about the password.
    #[error("accounts cannot be read now: {0}")]
    Store(#[from] StoreError),
}
