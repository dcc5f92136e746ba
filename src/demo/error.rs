//! Why the demo did not start.

use std::io;
use std::path::PathBuf;

/// Why the demo did not start; one sentence each, with the next step. Main prints it and exits with status 78.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file or folder under the data directory cannot be made or written.
    #[error("cannot write {path}: {cause}; choose another place with --data DIR")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The sample filings or the data beside them cannot be read.
    #[error("cannot read {path}: {cause}; start the demo in the project's folder or name its routes with --routes DIR")]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A sample filing is no TOML or lacks what the demo needs to know of it.
    #[error("the filing {path} cannot be used in the demo: {why}; correct it, `yimen check` names every mistake")]
    Filing {
        /// The filing.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The filings leave nothing to try.
    #[error("no sample filing answers an item for division {division}; restore the project's routes/platforms")]
    NothingToTry {
        /// The division that the demo's addresses are made for.
        division: &'static str,
    },
    /// No certificate could be made.
    #[error("no certificate could be made for the demo: {0}; report it, a certificate needs nothing from outside")]
    Certificate(String),
    /// This program's own file is not known to the system.
    #[error("the program's own file was not found ({0}); start it again by its full path")]
    OwnFile(io::Error),
    /// A sample platform did not start.
    #[error("the sample platforms of {name} did not start: {why}; look at the lines above and start the demo again")]
    Platforms {
        /// Whose platforms.
        name: &'static str,
        /// What was seen of it.
        why: String,
    },
}
