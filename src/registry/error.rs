//! What stops the register as a whole; what is wrong with one filing is a `written::Mistake`.

use std::io;
use std::path::PathBuf;

use crate::routing::RoutingError;
use crate::store::StoreError;

/// Why there is no register.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file or folder of the routes directory cannot be read.
    #[error("{path} cannot be read ({cause}); name a routes directory with divisions.csv, streets.csv.gz, items.csv and platforms/", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A data file does not hold what it should.
    #[error(transparent)]
    Data(#[from] RoutingError),
    /// The register is away at the start and this node has no copy of it.
    #[error(
        "there is nothing to serve: {0}, and this node has no copy of the register yet; start it when the register answers"
    )]
    Away(StoreError),
    /// A sample register cannot be written.
    #[error("{path} cannot be written ({cause}); choose an empty directory of your own with --out", path = path.display())]
    Unwritable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}
