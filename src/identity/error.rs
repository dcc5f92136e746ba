//! What can go wrong, in words for whoever can do something about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{PrincipalId, RealmId, Right, Role, Uscc};
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
    /// It has been seen where passwords were stolen.
    #[error("this password is in the list of passwords that were stolen elsewhere; choose another")]
    BreachedPassword,
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
    /// A token that would outlive the one by which it is issued.
    #[error(
        "a token ends no later than the one by which it is issued; choose fewer days, or have that one renewed first"
    )]
    TokenOutlives,
    /// The issuer's own credential ended while this waited.
    #[error("the credential of {0} was revoked or has expired meanwhile; ask whoever issued it for another")]
    IssuerEnded(PrincipalId),
    /// A name that somebody bears whom the issuer did not name.
    #[error(
        "the name {0} was given out by others before, in these or other letters; choose another, each person has their own"
    )]
    PrincipalTaken(PrincipalId),
    /// A name of the gateway's own.
    #[error("the gateway itself acts under the name {0}; choose another")]
    PrincipalReserved(PrincipalId),
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
    /// Two accounts of one person.
    #[error("another account has this identity number; look whether the person has forgotten one")]
    IdNumberTaken,
    /// The vault's folder holds no key, though it did before.
    #[error("{} holds no key of the vault; restore the files from your copy", .0.display())]
    NoVaultKey(PathBuf),
    /// A sealed value that no key of the vault opens.
    #[error("a sealed value does not open; restore the keys of identity.vault_directory from your copy")]
    SealBroken,
    /// No such role for a legal person.
    #[error("there is no role {0}; `yimen account role list` shows all")]
    NoRole(uuid::Uuid),
    /// No name of a legal person.
    #[error("the name of a legal person has 1 to 100 characters, none of them a control character; write another")]
    BadLegalName,
    /// Nothing that anybody saw.
    #[error("evidence is 1 to 200 characters in one line, such as the number of a power of attorney; write it anew")]
    BadEvidence,
    /// A legal person under two names.
    #[error("people act for {usc} under the name `{known}`; grant it under that name, or withdraw those roles first")]
    LegalNameDiffers {
        /// Which one.
        usc: Uscc,
        /// Its name.
        known: String,
    },
    /// Days that make no role.
    #[error("a role ends on the day it begins or later, and not before today; correct its days")]
    RoleDays,
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
