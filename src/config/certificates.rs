//! All certificates of the public listener, and which of them a server name gets: the one that names it exactly, else one
//! with a wildcard for its first label (RFC 6125 section 6.4.3), else the default. Replaced whole; a pair that cannot be
//! read again keeps what it showed before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

use super::certificate::{CertificateError, Served, served};
use super::staple::{self, Staple};
use super::used::{TlsConfig, TlsFiles};
use crate::domain::Timestamp;

const CERTIFICATE: &str = ".pem";
const KEY: &str = ".key.pem";
/// More pairs than any one gateway needs; a folder named by mistake does not fill the memory.
const PAIRS_MAX: usize = 10_000;

/// The certificates in force.
#[derive(Debug)]
pub struct Certificates {
    default: Served,
    more: BTreeMap<TlsFiles, Served>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads all of them. `Err`: the default cannot be served. The mistakes name pairs of the folder that are left out.
    pub fn load(config: &TlsConfig, now: Timestamp) -> Result<(Self, Vec<CertificateError>), CertificateError> {
        let default = served(&config.default, now)?;
        let (more, mistakes) = of_folder(config.directory.as_deref(), &BTreeMap::new(), now);
        Ok((Self::new(default, more), mistakes))
    }

    /// Every mistake: of the default, and of the pairs of the folder.
    pub fn mistakes(config: &TlsConfig, now: Timestamp) -> (Option<CertificateError>, Vec<CertificateError>) {
        (served(&config.default, now).err(), of_folder(config.directory.as_deref(), &BTreeMap::new(), now).1)
    }

    /// Reads all of them anew. What has a mistake stays as it is here.
    pub fn reload(&self, config: &TlsConfig, now: Timestamp) -> (Self, Vec<CertificateError>) {
        let (more, mut mistakes) = of_folder(config.directory.as_deref(), &self.more, now);
        let default = served(&config.default, now).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            self.default.clone()
        });
        (Self::new(default, more), mistakes)
    }

    fn new(default: Served, more: BTreeMap<TlsFiles, Served>) -> Self {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        // In the order of file names: of two that name one host, always the same one.
        for served in [&default].into_iter().chain(more.values()) {
            for name in &served.names {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                names.entry(name.to_owned()).or_insert_with(|| served.certified.clone());
            }
        }
        Self { default, more, exact, wildcard }
    }

    /// What a visitor is shown who asks for `server_name`.
    pub fn of(&self, server_name: Option<&str>) -> Arc<CertifiedKey> {
        let named = server_name.filter(|_| !self.more.is_empty()).and_then(|name| self.named(name));
        named.unwrap_or(&self.default.certified).clone()
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        self.exact.get(&name).or_else(parent)
    }

    /// When the first of them ends.
    pub fn first_end(&self) -> Timestamp {
        self.more.values().map(|served| served.not_after).fold(self.default.not_after, Timestamp::min)
    }

    /// What is stapled to each of them.
    pub fn staples(&self) -> impl Iterator<Item = &Staple> {
        [&self.default].into_iter().chain(self.more.values()).map(|served| &served.staple)
    }

    /// When the first response that is stapled is over.
    pub fn first_staple_end(&self) -> Option<Timestamp> {
        let ends =
            self.staples().filter_map(|staple| if let Staple::Shown(until) = staple { Some(*until) } else { None });
        ends.min()
    }

    /// Whether a visitor who asks for `name` is shown a certificate that names it.
    pub fn cover(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.more.len()
    }
}

type OfFolder = (BTreeMap<TlsFiles, Served>, Vec<CertificateError>);

fn of_folder(folder: Option<&Path>, before: &BTreeMap<TlsFiles, Served>, now: Timestamp) -> OfFolder {
    let Some(folder) = folder else { return OfFolder::default() };
    let pairs = match pairs(folder) {
        Ok(pairs) => pairs,
        Err(mistake) => return (before.clone(), vec![mistake]),
    };
    let (mut all, mut mistakes) = OfFolder::default();
    for files in pairs {
        match served(&files, now) {
            Ok(served) => drop(all.insert(files, served)),
            Err(mistake) => {
                mistakes.push(mistake);
                all.extend(before.get(&files).map(|served| (files.clone(), served.clone())));
            }
        }
    }
    (all, mistakes)
}

/// The pairs that a folder holds, by the names of their files; of a pair one file may be missing.
fn pairs(folder: &Path) -> Result<Vec<TlsFiles>, CertificateError> {
    let unreadable = |cause| CertificateError::Unreadable { path: folder.to_owned(), cause };
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(unreadable)?.take(2 * PAIRS_MAX) {
        let name = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(KEY).or_else(|| name.strip_suffix(CERTIFICATE)).map(str::to_owned));
    }
    let pair = |name: String| TlsFiles {
        certificate: folder.join(format!("{name}{CERTIFICATE}")),
        key: folder.join(format!("{name}{KEY}")),
    };
    Ok(names.into_iter().map(pair).collect())
}

/// Time of change and length of every file: differs when one was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Stamp {
    /// As the files are now.
    pub fn of(config: &TlsConfig) -> Self {
        let more = config.directory.as_deref().and_then(|folder| pairs(folder).ok()).unwrap_or_default();
        let all = [config.default.clone()].into_iter().chain(more);
        let looked = |path: PathBuf| {
            let looks = look(&path);
            (path, looks)
        };
        Self(
            all.flat_map(|files| [staple::file(&files.certificate), files.certificate, files.key])
                .map(looked)
                .collect(),
        )
    }
}

fn look(path: &Path) -> Option<(SystemTime, u64)> {
    let known = fs::metadata(path).ok()?;
    Some((known.modified().ok()?, known.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [(&str, &[&str]); 4] = [
        ("default", &["zwfw.example.gov"]),
        ("a", &["*.services.example.gov"]),
        ("b", &["pension.services.example.gov", "other.example.gov"]),
        ("c", &["other.example.gov"]),
    ];

    fn write(folder: &Path, name: &str, hosts: &[&str]) -> TlsFiles {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let files =
            TlsFiles { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key.pem")) };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn of_four(folder: &Path) -> TlsConfig {
        let more = folder.join("certs");
        fs::create_dir(&more).unwrap();
        let [default, others @ ..] = NAMES;
        others.iter().for_each(|(name, hosts)| drop(write(&more, name, hosts)));
        TlsConfig { default: write(folder, default.0, default.1), directory: Some(more) }
    }

    fn shown(certificates: &Certificates, name: Option<&str>) -> Vec<u8> {
        certificates.of(name).cert[0].to_vec()
    }

    fn is(certificates: &Certificates, files: &TlsFiles) -> Vec<u8> {
        certificates.more.get(files).map_or(&certificates.default, |served| served).certified.cert[0].to_vec()
    }

    #[test]
    fn a_name_gets_the_exact_then_the_wildcard_then_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let config = of_four(folder.path());
        let (all, mistakes) = Certificates::load(&config, Timestamp::now()).unwrap();
        assert!(mistakes.is_empty() && all.count() == 4, "{mistakes:?}");
        let more = |name: &str| {
            let folder = config.directory.as_ref().unwrap();
            is(
                &all,
                &TlsFiles {
                    certificate: folder.join(format!("{name}.pem")),
                    key: folder.join(format!("{name}.key.pem")),
                },
            )
        };
        let default = is(&all, &config.default);
        for (name, expected) in [
            (Some("tax.services.example.gov"), more("a")),
            (Some("TAX.Services.example.gov"), more("a")),
            (Some("pension.services.example.gov"), more("b")),
            (Some("other.example.gov"), more("b")),
            (Some("zwfw.example.gov"), default.clone()),
            (Some("a.b.services.example.gov"), default.clone()),
            (Some("services.example.gov"), default.clone()),
            (Some("unknown.example"), default.clone()),
            (None, default),
        ] {
            assert_eq!(shown(&all, name), expected, "{name:?}");
        }
    }

    #[test]
    fn a_pair_with_a_mistake_keeps_what_it_showed_and_the_others_change() {
        let folder = tempfile::tempdir().unwrap();
        let config = of_four(folder.path());
        let (old, _) = Certificates::load(&config, Timestamp::now()).unwrap();
        let before = Stamp::of(&config);
        let more = config.directory.clone().unwrap();
        write(&more, "b", &["pension.services.example.gov"]);
        fs::write(more.join("a.key.pem"), "no key").unwrap();
        fs::write(&config.default.certificate, "no certificate").unwrap();
        let (new, mistakes) = old.reload(&config, Timestamp::now());
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
        assert_ne!(before, Stamp::of(&config));
        for kept in ["tax.services.example.gov", "zwfw.example.gov"] {
            assert_eq!(shown(&old, Some(kept)), shown(&new, Some(kept)), "{kept}");
        }
        assert_ne!(
            shown(&old, Some("pension.services.example.gov")),
            shown(&new, Some("pension.services.example.gov"))
        );
        fs::remove_file(more.join("c.key.pem")).unwrap();
        assert_eq!(old.reload(&config, Timestamp::now()).1.len(), 3, "half a pair is a mistake");
    }
}
