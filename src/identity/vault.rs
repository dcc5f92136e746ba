//! What must not lie in clear in the durable store, although the gateway needs it back: second factors, telephones, identity
//! numbers. AES-256-GCM, bound to what it is and whose it is, so that no value can be put in another's place.
//! Keys are files of one folder, `0001.key` and on: the last one seals, all of them open, so that a key can be changed while
//! values of the old one are sealed anew. Names are hashed with a key of their own, `names.key`, which stays: they are looked up.
//! Layout: `1.{key id}.{nonce, ciphertext and tag in base64url}`; the id tells which key, and nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::secret;

const VERSION: &str = "1";
const FIRST: &str = "0001.key";
const NAMES: &str = "names.key";

/// The keys for what is kept sealed in the durable store.
pub struct Vault {
    folder: PathBuf,
    /// Oldest first; the last one seals. Replaced whole by `reload`.
    keys: ArcSwap<Vec<VaultKey>>,
    names: hmac::Key,
}

struct VaultKey {
    id: String,
    sealing: RandomizedNonceKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Vault(..)")
    }
}

impl Vault {
    /// The keys of a folder; a first one is made, with mode 0600, where there is none.
    pub fn load_or_create(folder: &Path) -> Result<Self, IdentityError> {
        secret::load_or_create(&folder.join(NAMES))?;
        let names = secret::load_or_create(&folder.join(NAMES))?;
        if key_files(folder)?.is_empty() {
            secret::load_or_create(&folder.join(FIRST))?;
        }
        let keys = ArcSwap::from_pointee(read(folder)?);
        Ok(Self { folder: folder.to_owned(), keys, names: hmac::Key::new(hmac::HMAC_SHA256, &names[..]) })
    }

    /// Reads the folder again: a new key seals from then on. `Err`: the keys in memory go on.
    pub fn reload(&self) -> Result<(), IdentityError> {
        self.keys.store(Arc::new(read(&self.folder)?));
        Ok(())
    }

    /// Makes the next key of a folder, and returns the name of its file. Nodes seal with it after their next `reload`.
    pub fn rotate(folder: &Path) -> Result<String, IdentityError> {
        Self::load_or_create(folder)?;
        let number = |file: &String| file.strip_suffix(".key").and_then(|stem| stem.parse::<u32>().ok());
        let last = key_files(folder)?.iter().filter_map(number).max().unwrap_or(0);
        let file = format!("{:04}.key", last.saturating_add(1));
        secret::load_or_create(&folder.join(&file))?;
        Ok(file)
    }

    /// `text` as the store may have it, to be opened for the same `purpose` (such as `totp`) and `owner` (such as an account's
    /// id) only.
    pub fn seal(&self, purpose: &str, owner: &str, text: &str) -> Result<String, IdentityError> {
        let keys = self.keys.load();
        let key = keys.last().ok_or(IdentityError::Crypto("finding the vault's key"))?;
        let mut sealed = text.as_bytes().to_vec();
        let bound = Aad::from(bound(purpose, owner));
        let nonce = key.sealing.seal_in_place_append_tag(bound, &mut sealed);
        let nonce = nonce.map_err(|_| IdentityError::Crypto("sealing a value"))?;
        let whole = [nonce.as_ref().as_slice(), &sealed].concat();
        Ok(format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(whole)))
    }

    /// The text that was sealed for `purpose` and `owner`; `None` for anything else: another key, place or version.
    pub fn open(&self, purpose: &str, owner: &str, sealed: &str) -> Option<Zeroizing<String>> {
        let [version, id, text] = <[&str; 3]>::try_from(sealed.split('.').collect::<Vec<_>>()).ok()?;
        if version != VERSION {
            return None;
        }
        let knows = || self.keys.load().iter().any(|key| key.id == id);
        if !knows() {
            // Another process has changed the key a moment ago.
            self.reload().ok()?;
        }
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.id == id)?;
        let whole = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = key.sealing.open_in_place(nonce, Aad::from(bound(purpose, owner)), &mut text).ok()?;
        std::str::from_utf8(opened).ok().map(|opened| Zeroizing::new(opened.to_owned()))
    }

    /// Whether a sealed value is of a key that no longer seals, and should be sealed anew.
    pub fn is_old(&self, sealed: &str) -> bool {
        let id = sealed.split('.').nth(1);
        self.keys.load().last().is_some_and(|key| id != Some(&key.id))
    }

    /// A name under which something can be found again, 43 characters of base64url: HMAC-SHA256 under the installation's own
    /// key, since what is looked up (an identity number, a provider's subject) could be guessed and tried.
    pub fn tag(&self, purpose: &str, name: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.names, &bound(purpose, name)))
    }
}

impl VaultKey {
    fn new(secret: &[u8; 32]) -> Result<Self, IdentityError> {
        let of = |purpose: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose);
        let sealing = RandomizedNonceKey::new(&AES_256_GCM, of(b"seal").as_ref());
        let id = of(b"key id").as_ref().iter().take(6).copied().collect::<Vec<u8>>();
        let sealing = sealing.map_err(|_| IdentityError::Crypto("making the vault's key"))?;
        Ok(Self { id: URL_SAFE_NO_PAD.encode(id), sealing })
    }
}

fn read(folder: &Path) -> Result<Vec<VaultKey>, IdentityError> {
    let key = |file: &String| VaultKey::new(&*secret::load_or_create(&folder.join(file))?);
    let keys = key_files(folder)?.iter().map(key).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(IdentityError::NoVaultKey(folder.to_owned())) } else { Ok(keys) }
}

/// Names of the key files, oldest first.
fn key_files(folder: &Path) -> Result<Vec<String>, IdentityError> {
    let fault = |error| IdentityError::file(folder, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".key").unwrap_or_default();
        if !stem.is_empty() && stem.bytes().all(|byte| byte.is_ascii_digit()) {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

/// `purpose` ends with a zero byte, so that no two pairs make the same bytes.
fn bound(purpose: &str, owner: &str) -> Vec<u8> {
    [purpose.as_bytes(), b"\0", owner.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_for_its_own_purpose_and_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::load_or_create(folder.path()).unwrap();
        let sealed = vault.seal("phone", "wang", "13800138000").unwrap();
        assert!(!sealed.contains("13800138000"), "{sealed}");
        assert_eq!(vault.open("phone", "wang", &sealed).unwrap().as_str(), "13800138000");
        assert!(vault.open("phone", "li", &sealed).is_none());
        assert!(vault.open("totp", "wang", &sealed).is_none());
        let mut changed = sealed.clone().into_bytes();
        let last = changed.last_mut().unwrap();
        *last = if *last == b'A' { b'E' } else { b'A' };
        assert!(vault.open("phone", "wang", &String::from_utf8(changed).unwrap()).is_none());
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let before = Vault::load_or_create(folder.path()).unwrap();
        let old = before.seal("phone", "wang", "13800138000").unwrap();
        assert_eq!(Vault::rotate(folder.path()).unwrap(), "0002.key");
        let after = Vault::load_or_create(folder.path()).unwrap();
        assert!(after.is_old(&old) && after.open("phone", "wang", &old).is_some());
        let new = after.seal("phone", "wang", "13800138000").unwrap();
        assert!(!after.is_old(&new) && !before.is_old(&old), "a node that runs still seals with the old key");
        assert_eq!(
            before.open("phone", "wang", &new).unwrap().as_str(),
            "13800138000",
            "a node that runs learns the key"
        );
        assert!(before.is_old(&old));
        assert_eq!(before.tag("id", "x"), after.tag("id", "x"), "names are found again after a change of keys");
        assert_ne!(after.tag("id", "x"), after.tag("sub", "x"));
    }
}
