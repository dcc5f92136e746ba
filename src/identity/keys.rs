//! The keys that sign assertions, and when each of them does what.
//! A new key is *next*: published, and not signing before every platform has seen it. Then it signs, until the key after it
//! does. Then it is *retired*: published for as long as something it signed may still be shown. Then it is left out.

use std::fmt;
use std::fs::read_dir;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use jsonwebtoken::jwk::JwkSet;

use super::error::IdentityError;
use super::key::{KeyName, SigningKey};
use crate::config::IdentityConfig;
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// A retired key stays in the set for a day: longer than anything it signed lives, and than clocks and caches are wrong.
const RETIRED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Files looked at; a key a month makes a dozen a year.
const FILES_MAX: usize = 10_000;

/// The keys of a folder. Another process may add to it; `reload` sees that.
pub struct Keys {
    folder: PathBuf,
    lead: Duration,
    ring: ArcSwap<Ring>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Keys").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Keys in order of creation, each with the time from which it signs; never empty.
#[derive(Debug)]
struct Ring(Vec<(Timestamp, Arc<SigningKey>)>);

impl Ring {
    fn read(folder: &Path, lead: Duration, now: Timestamp) -> Result<Self, IdentityError> {
        let names = schedule(names(folder)?, lead, now);
        let keys =
            names.into_iter().map(|(signs_from, name)| Ok((signs_from, Arc::new(SigningKey::read(folder, &name)?))));
        let keys = keys.collect::<Result<Vec<_>, IdentityError>>()?;
        if keys.is_empty() { Err(IdentityError::NoKey(folder.to_owned())) } else { Ok(Self(keys)) }
    }

    /// Which of the keys signs: the last one whose time has come, or the first.
    fn signing(&self, now: Timestamp) -> usize {
        self.0.iter().rposition(|(signs_from, _)| *signs_from <= now).unwrap_or(0)
    }

    fn published(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let stops = self.0.iter().skip(1).map(|(signs_from, _)| Some(*signs_from)).chain([None]);
        let shown = move |stops: Option<Timestamp>| stops.is_none_or(|stops| now < stops.plus(RETIRED_FOR));
        self.0.iter().zip(stops).filter(move |(_, stops)| shown(*stops)).map(|((_, key), _)| &**key)
    }
}

/// From when each key signs, without the keys whose time is over. The very first signs at once: nobody knows another.
fn schedule(mut names: Vec<KeyName>, lead: Duration, now: Timestamp) -> Vec<(Timestamp, KeyName)> {
    names.sort();
    let starts = |(index, name): (usize, &KeyName)| if index == 0 { name.created } else { name.created.plus(lead) };
    let starts: Vec<Timestamp> = names.iter().enumerate().map(starts).collect();
    let over = starts.iter().skip(1).filter(|stops| stops.plus(RETIRED_FOR) <= now).count();
    starts.into_iter().zip(names).skip(over).collect()
}

fn names(folder: &Path) -> Result<Vec<KeyName>, IdentityError> {
    let entries = match read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(IdentityError::file(folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries.take(FILES_MAX) {
        let entry = entry.map_err(|error| IdentityError::file(folder, error))?;
        names.extend(entry.file_name().to_str().and_then(KeyName::parse));
    }
    Ok(names)
}

impl Keys {
    /// The keys of the folder; with an empty or missing folder, a first one is made.
    pub fn load_or_create(
        config: &IdentityConfig,
        now: Timestamp,
        metrics: Arc<Metrics>,
    ) -> Result<Self, IdentityError> {
        let folder = config.keys_directory.clone();
        if names(&folder)?.is_empty() {
            SigningKey::create(&folder, now)?;
        }
        let ring = ArcSwap::from_pointee(Ring::read(&folder, config.key_lead, now)?);
        let keys = Self { folder, lead: config.key_lead, ring, metrics };
        keys.count(now);
        Ok(keys)
    }

    /// Makes the next key of a folder and returns its `kid`. Running gateways publish it with their next `reload` and sign
    /// with it once `identity.key_lead` is over.
    pub fn rotate(folder: &Path, now: Timestamp) -> Result<String, IdentityError> {
        Ok(SigningKey::create(folder, now)?.kid)
    }

    /// Reads the folder again; a few small files, to be called every few seconds off the request's path. `Err`: the keys in
    /// memory go on.
    pub fn reload(&self, now: Timestamp) -> Result<(), IdentityError> {
        self.ring.store(Arc::new(Ring::read(&self.folder, self.lead, now)?));
        self.count(now);
        Ok(())
    }

    /// The key set as platforms fetch it (RFC 7517): next, signing and retired keys. May be cached for 300 s, half of the
    /// default lead of a new key.
    pub fn jwks(&self, now: Timestamp) -> Bytes {
        let set = JwkSet { keys: self.ring.load().published(now).map(|key| key.public.clone()).collect() };
        serde_json::to_vec(&set).unwrap_or_default().into()
    }

    pub(super) fn signing(&self, now: Timestamp) -> Result<Arc<SigningKey>, IdentityError> {
        let ring = self.ring.load();
        let signing = ring.0.get(ring.signing(now)).map(|(_, key)| key.clone());
        signing.ok_or_else(|| IdentityError::NoKey(self.folder.clone()))
    }

    fn count(&self, now: Timestamp) {
        let ring = self.ring.load();
        let (signing, published) = (ring.signing(now), ring.published(now).count());
        let next = ring.0.len() - signing - 1;
        for (state, count) in [("next", next), ("signing", 1), ("retired", published.saturating_sub(next + 1))] {
            self.metrics.signing_keys.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAD: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis((1_795_428_900 + seconds) * 1000)
    }

    fn keys(folder: &Path, now: Timestamp) -> Keys {
        let config = IdentityConfig {
            issuer: "https://one.example".to_owned(),
            keys_directory: folder.to_owned(),
            pairwise_key_file: folder.join("pairwise"),
            vault_directory: folder.join("vault"),
            assertion_life: Duration::from_secs(60),
            key_lead: LEAD,
            argon2_memory_kib: 64,
            argon2_passes: 1,
            password_threads: 1,
            password_queue: 1,
        };
        Keys::load_or_create(&config, now, Arc::new(Metrics::new().unwrap())).unwrap()
    }

    fn published(keys: &Keys, now: Timestamp) -> Vec<String> {
        let set: JwkSet = serde_json::from_slice(&keys.jwks(now)).unwrap();
        set.keys.into_iter().filter_map(|key| key.common.key_id).collect()
    }

    fn signing(keys: &Keys, now: Timestamp) -> String {
        keys.signing(now).unwrap().name.kid.clone()
    }

    #[test]
    fn the_first_key_is_made_once_and_signs_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let kid = signing(&keys(folder.path(), at(0)), at(0));
        let again = keys(folder.path(), at(1));
        assert_eq!(signing(&again, at(1)), kid);
        assert_eq!(published(&again, at(1)), [kid]);
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_an_old_one_after() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path(), at(0));
        let old = signing(&keys, at(0));
        let new = Keys::rotate(folder.path(), at(1000)).unwrap();
        assert_eq!(published(&keys, at(1000)), [old.as_str()], "before the reload");
        keys.reload(at(1010)).unwrap();
        assert_eq!(published(&keys, at(1010)), [old.as_str(), new.as_str()]);
        assert_eq!(signing(&keys, at(1599)), old);
        assert_eq!(signing(&keys, at(1600)), new);
        let day = 24 * 60 * 60;
        assert_eq!(published(&keys, at(1599 + day)), [old.as_str(), new.as_str()]);
        assert_eq!(published(&keys, at(1600 + day)), [new.as_str()]);
        keys.reload(at(1600 + day)).unwrap();
        assert_eq!(signing(&keys, at(1600 + day)), new, "the key left alone goes on signing");
    }

    #[test]
    fn the_metric_tells_the_states_apart() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path(), at(0));
        Keys::rotate(folder.path(), at(1000)).unwrap();
        Keys::rotate(folder.path(), at(2000)).unwrap();
        keys.reload(at(2100)).unwrap();
        let count = |state| keys.metrics.signing_keys.with_label_values(&[state]).get();
        assert_eq!((count("next"), count("signing"), count("retired")), (1, 1, 1));
    }

    #[test]
    fn a_folder_emptied_under_way_leaves_the_keys_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path(), at(0));
        let kid = signing(&keys, at(0));
        for file in read_dir(folder.path()).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
        assert!(matches!(keys.reload(at(1)), Err(IdentityError::NoKey(_))));
        assert_eq!(signing(&keys, at(1)), kid);
    }

    proptest! {
        #[test]
        fn whatever_signs_is_published_from_its_lead_before_to_a_day_after(
            created in prop::collection::vec(0_u64..400_000, 1..8), now in 0_u64..600_000,
        ) {
            let name = |seconds: &u64| KeyName { created: at(*seconds), kid: seconds.to_string() };
            let kept = |now| schedule(created.iter().map(name).collect(), LEAD, now);
            let signing = |now| kept(now).into_iter().rev().find(|(signs_from, _)| *signs_from <= now).map(|(_, name)| name);
            let created_by_now = |name: &KeyName| name.created <= at(now);
            let earliest = created.iter().min().copied().unwrap();
            let recent = [0, 59, 3600, 86_399].map(|ago| now.saturating_sub(ago));
            for then in recent.into_iter().filter(|then| *then >= earliest) {
                let signer = signing(at(then)).unwrap();
                prop_assert!(created_by_now(&signer));
                prop_assert!(kept(at(now)).iter().any(|(_, name)| *name == signer), "signed at {}, gone at {}", then, now);
                let first = signer.created == at(earliest);
                prop_assert!(first || at(then).since(signer.created) >= LEAD);
            }
        }
    }
}
