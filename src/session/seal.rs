//! Records are sealed before they leave the process: AES-256-GCM, bound to the session key, so that a copy of the store
//! opens nothing and one record cannot be put in another's place.
//! Layout: version (1) · key id (4) · nonce (12) · ciphertext and tag. Nonces are random: 2³² records under one key keep the
//! chance of a repetition below 2⁻³² (NIST SP 800-38D section 8.3), which is 136 sign-ins a second for a year.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::{Zeroize, Zeroizing};

use super::{Session, SessionError};
use crate::store::{NameKey, SessionKey};

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
/// A key file is 43 characters and perhaps a line end; a longer one is something else.
const FILE_MAX: u64 = 64;

/// The installation's secret for sessions. Who has it and the store reads every session; a new one signs everybody out.
pub struct SealKey {
    secret: Zeroizing<[u8; 32]>,
    id: [u8; KEY_ID],
    sealing: RandomizedNonceKey,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SealKey(..)")
    }
}

impl SealKey {
    /// The key of this file; a new one, with mode 0600, when there is no such file. Of two processes that start together
    /// one makes it and both use it.
    pub fn load_or_create(path: &Path) -> Result<Self, SessionError> {
        let fault = |source| SessionError::KeyFile { path: path.to_owned(), source };
        let mut text = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                read(path).map_err(fault)?
            }
            read => read.map_err(fault)?,
        };
        let mut secret = Zeroizing::new([0; 33]);
        let length = URL_SAFE_NO_PAD.decode_slice(text.trim_end(), secret.as_mut_slice()).unwrap_or_default();
        text.zeroize();
        match secret.get(..length).and_then(|secret| <[u8; 32]>::try_from(secret).ok()) {
            Some(secret) => Self::new(secret),
            None => Err(SessionError::NoKey { path: path.to_owned() }),
        }
    }

    /// From 32 secret bytes. Sealing and naming use keys derived from them, so that neither tells of the other.
    pub fn new(secret: [u8; 32]) -> Result<Self, SessionError> {
        let secret = Zeroizing::new(secret);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, derived(&secret, b"seal").as_slice());
        let mut id = [0; KEY_ID];
        id.iter_mut().zip(derived(&secret, b"key id").iter()).for_each(|(byte, made)| *byte = *made);
        Ok(Self { id, sealing: sealing.map_err(|_| SessionError::NoRandomness)?, secret })
    }

    /// A key for another purpose, which tells nothing of this one; the same as long as the file is the same.
    pub fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        *derived(&self.secret, purpose)
    }

    /// The key under which the store hashes names.
    pub(super) fn names(&self) -> NameKey {
        NameKey::new(&derived(&self.secret, b"names"))
    }

    /// The record as the store may have it. `None` when the system has no randomness.
    pub(super) fn seal(&self, key: &SessionKey, session: &Session) -> Option<Vec<u8>> {
        self.seal_of(key, session)
    }

    /// The session of a record sealed for `key` with this key; `None` for anything else.
    pub(super) fn open(&self, key: &SessionKey, record: &[u8]) -> Option<Session> {
        self.open_of(key, record)
    }

    /// The same for anything that is kept under the SHA-256 of a secret. Keys of two kinds are never the same bytes.
    pub fn seal_of(&self, key: &SessionKey, what: &impl Serialize) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec(what).ok()?;
        let nonce = self.sealing.seal_in_place_append_tag(Aad::from(key.bytes()), &mut text).ok()?;
        let mut record = Vec::with_capacity(1 + KEY_ID + NONCE_LEN + text.len());
        record.push(VERSION);
        record.extend_from_slice(&self.id);
        record.extend_from_slice(nonce.as_ref());
        record.extend_from_slice(&text);
        Some(record)
    }

    /// The opposite of `seal_of`.
    pub fn open_of<T: DeserializeOwned>(&self, key: &SessionKey, record: &[u8]) -> Option<T> {
        let (&version, rest) = record.split_first()?;
        let (id, rest) = rest.split_at_checked(KEY_ID)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        if version != VERSION || id != self.id {
            return None;
        }
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.sealing.open_in_place(nonce, Aad::from(key.bytes()), &mut text).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

fn derived(secret: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
    let mut key = Zeroizing::new([0; 32]);
    key.iter_mut().zip(tag.as_ref()).for_each(|(byte, made)| *byte = *made);
    key
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o007 != 0 {
        tracing::warn!(path = %path.display(), "everybody on this machine can read the session key; set its mode to 0600");
    }
    file.take(FILE_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a new key aside and gives it its name in one step, so that nobody ever reads half a key.
fn create(path: &Path) -> Result<(), SessionError> {
    let mut secret = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(secret.as_mut_slice()).map_err(|_| SessionError::NoRandomness)?;
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let written = write(&aside, &Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice()))).and_then(|()| {
        match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()), // another process was first; its key counts
            linked => linked,
        }
    });
    let removed = fs::remove_file(&aside);
    written.and(removed).map_err(|source| SessionError::KeyFile { path: path.to_owned(), source })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Assurance, Proof, SubjectKind, Timestamp};
    use crate::session::{Person, Place};

    fn session() -> Session {
        let person = Person {
            subject: "0198".into(),
            kind: SubjectKind::Natural,
            realm: "accounts".into(),
            name: "李雷".into(),
        };
        let proof = Proof { assurance: Assurance::L2, methods: vec!["pwd".into()], at: Timestamp::from_millis(1) };
        let place = Place { device: "Firefox".into(), network: "203.0.113.0/24".into() };
        let session = Session::begun(person, proof, place, Timestamp::from_millis(2));
        Session { parent: Some(SessionKey::new([3; 32])), ..session }
    }

    #[test]
    fn a_record_opens_under_its_own_key_only_and_not_when_a_bit_is_changed() {
        let seal = SealKey::new([7; 32]).unwrap();
        let (key, other) = (SessionKey::new([1; 32]), SessionKey::new([2; 32]));
        let record = seal.seal(&key, &session()).unwrap();
        assert_eq!(seal.open(&key, &record), Some(session()));
        assert_eq!(seal.open(&other, &record), None, "a record in another's place");
        assert_eq!(SealKey::new([8; 32]).unwrap().open(&key, &record), None);
        for at in 0..record.len() {
            let mut changed = record.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&key, &changed), None, "byte {at}");
            assert_eq!(seal.open(&key, &record[..at]), None, "cut at {at}");
        }
        assert!(!record.windows(6).any(|part| part == "李雷".as_bytes()));
    }

    #[test]
    fn the_key_file_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let first = SealKey::load_or_create(&path).unwrap();
        let again = SealKey::load_or_create(&path).unwrap();
        assert_eq!(*first.secret, *again.secret);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
        fs::write(&path, "short").unwrap();
        assert!(matches!(SealKey::load_or_create(&path), Err(SessionError::NoKey { .. })));
    }

    #[test]
    fn processes_that_start_together_use_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        create(&path).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        create(&path).unwrap(); // the one that came second
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
    }
}
