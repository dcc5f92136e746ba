//! Files of the demo's data directory: private ones are readable by their owner only.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::error::DemoError;

/// Makes a folder and its parents for their owner only (0700). One that is there already keeps its mode: it may be shared.
pub(super) fn private_folder(path: &Path) -> Result<(), DemoError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| DemoError::Write { path: path.to_owned(), cause })
}

/// Writes a file whole or not at all, with `mode` from its first moment on.
pub(super) fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), DemoError> {
    let aside = path.with_extension("new");
    let written = || {
        let _ = fs::remove_file(&aside); // left by a start that was killed
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    };
    written().map_err(|cause| DemoError::Write { path: path.to_owned(), cause })
}

/// Reads a text file.
pub(super) fn read(path: &Path) -> Result<String, DemoError> {
    fs::read_to_string(path).map_err(|cause| DemoError::Read { path: path.to_owned(), cause })
}
