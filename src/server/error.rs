//! Why a node did not start: one sentence each, with the next step.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::CertificateError;
use crate::identity::IdentityError;
use crate::management::ManagementError;
use crate::registry::{RegistryError, SyncError};
use crate::session::SessionError;
use crate::store::StoreError;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is in use or not ours.
    #[error("cannot listen on {address} ({listener}): {cause}; stop what listens there, or choose another address")]
    Listen {
        /// Which listener.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The same, of addresses that are bound while we start.
    #[error("cannot listen on {0:?} within 5 s; stop what listens there, or choose another address")]
    NotListening(Vec<SocketAddr>),
    /// A Unix socket's name has 107 bytes at most.
    #[error("the data folder's path is too long for {0}; choose a shorter one and restart once")]
    SocketName(PathBuf),
    /// The data folder cannot be made or written.
    #[error("cannot write in the data folder {path}: {cause}; make it writable for this user, or name another")]
    Data {
        /// Which folder.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Divisions, items, filings.
    #[error(transparent)]
    Register(#[from] RegistryError),
    /// The register's first content.
    #[error(transparent)]
    Filings(#[from] SyncError),
    /// Accounts or keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Sessions.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The durable store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The management token.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// Threads, randomness, the access log's file.
    #[error("cannot start {what}: {cause}; check the limits and paths of this machine")]
    System {
        /// Which part.
        what: &'static str,
        /// The system's word.
        cause: String,
    },
}

impl StartError {
    pub(super) fn system(what: &'static str, cause: impl ToString) -> Self {
        Self::System { what, cause: cause.to_string() }
    }
}
