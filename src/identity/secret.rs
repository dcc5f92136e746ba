//! Secrets in files: 0600, never half-written, never overwritten.

use std::fs::{DirBuilder, OpenOptions, hard_link, read_to_string, remove_file};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::error::IdentityError;

/// The 32 random bytes of a file, which is made if it is missing.
pub(super) fn load_or_create(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    match read_to_string(path) {
        Ok(text) => read(path, &Zeroizing::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut secret = Zeroizing::new([0; 32]);
            rand::fill(&mut secret[..]).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
            let text = Zeroizing::new(format!("{}\n", URL_SAFE_NO_PAD.encode(&secret[..])));
            match create(path, text.as_bytes()) {
                Ok(()) => Ok(secret),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => load_or_create(path), // another process was first
                Err(error) => Err(IdentityError::file(path, error)),
            }
        }
        Err(error) => Err(IdentityError::file(path, error)),
    }
}

fn read(path: &Path, text: &str) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
    let bad = || IdentityError::bad_file(path, "no secret of 32 bytes in base64url");
    let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| bad())?);
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| bad())?))
}

/// Makes a file that only this user reads, with its folder. `AlreadyExists`: it is there, and is left alone.
pub(super) fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::NotFound)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut random = [0; 8];
    rand::fill(&mut random).map_err(|_| ErrorKind::Other)?;
    let draft = folder.join(format!(".draft-{}", URL_SAFE_NO_PAD.encode(random)));
    let written = write(&draft, content).and_then(|()| hard_link(&draft, path)); // unlike a rename, a link never overwrites
    remove_file(&draft)?;
    written
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_this_user_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/secret");
        let made = load_or_create(&path).unwrap();
        assert_eq!(load_or_create(&path).unwrap(), made);
        assert_ne!(*made, [0; 32]);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn a_damaged_secret_is_named_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(load_or_create(&path), Err(IdentityError::BadFile { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"first").unwrap();
        assert_eq!(create(&path, b"second").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }
}
