//! Routes by host and path: a sharded hash table of (host, path), asked once per segment.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

use super::policy::{Matches, Route};
use super::words::PathKind;

const SHARDS: usize = 256; // one changed path copies one shard: 1/256 of 100 000 paths is 400 entries
pub(super) const PORTAL: u32 = 0; // the number shared by all hosts of the portal

/// Which route of which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) platform: u32,
    pub(super) route: u16,
}

/// A place in the table: host and path as filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) exact: bool,
    pub(super) path: &'a str,
}

impl<'a> Place<'a> {
    /// The place a route wants; `None` when it is one for items.
    pub(super) fn of(route: &'a Route) -> Option<Self> {
        let Matches::Path { host, path, kind } = &route.matches else { return None };
        let exact = *kind == PathKind::Exact;
        let path = if exact { path.as_ref() } else { path.strip_suffix('/').unwrap_or(path) };
        Some(Self { host: host.as_deref(), exact, path })
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.exact { "exact path" } else { "path prefix" };
        let path = if self.path.is_empty() { "/" } else { self.path };
        write!(out, "{kind} {path} on {}", self.host.unwrap_or("the portal's hosts"))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    host: u32,
    exact: bool,
    path: Box<str>, // of a prefix without the slash at its end, so the root is empty
    target: Target,
}

#[derive(Clone, Debug)]
struct Hosts {
    numbers: HashMap<Box<str>, u32, RandomState>,
    catches_services: bool, // whether a path of the portal can fit below /s/
    deepest: Vec<usize>,    // segments of the deepest prefix, by host number: longer addresses cost no more look-ups
}

/// All routes by path. A clone shares every shard until one of the two changes it.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    hosts: Arc<Hosts>,
    shards: Box<[Arc<HashTable<Entry>>]>,
    hasher: RandomState,
    len: usize,
}

impl Paths {
    pub(super) fn new(portal_hosts: &[String]) -> Self {
        let numbers = portal_hosts.iter().map(|host| (host.as_str().into(), PORTAL)).collect();
        Self {
            hosts: Arc::new(Hosts { numbers, catches_services: false, deepest: vec![0] }),
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            hasher: RandomState::default(),
            len: 0,
        }
    }

    /// How many routes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of a host; `None` when nobody has filed it.
    pub(super) fn host(&self, host: &str) -> Option<u32> {
        self.hosts.numbers.get(host).copied()
    }

    pub(super) fn is_portal(host: u32) -> bool {
        host == PORTAL
    }

    /// The most specific route: exact, then the longest prefix.
    pub(super) fn find(&self, host: u32, path: &str) -> Option<Target> {
        if Self::is_portal(host) && path.starts_with("/s/") && !self.hosts.catches_services {
            return None; // spares service addresses a look-up for each segment
        }
        self.all(host, path).next()
    }

    /// Every route that fits, the most specific first.
    pub(super) fn all<'a>(&'a self, host: u32, path: &'a str) -> impl Iterator<Item = Target> + 'a {
        let deepest = self.hosts.deepest.get(host as usize).copied().unwrap_or(0);
        let exact = std::iter::once_with(move || (true, path));
        let prefixes = std::iter::successors(Some(cut(path, deepest)), |prefix| {
            prefix.rfind('/').and_then(|end| prefix.get(..end)) // the empty prefix has no slash and ends it
        });
        let places = exact.chain(prefixes.map(|prefix| (false, prefix)));
        places.filter_map(move |(exact, path)| self.entry(host, exact, path).map(|entry| entry.target))
    }

    /// Who has the place.
    pub(super) fn holder(&self, place: Place<'_>) -> Option<Target> {
        let host = place.host.map_or(Some(PORTAL), |host| self.host(host))?;
        self.entry(host, place.exact, place.path).map(|entry| entry.target)
    }

    /// Puts a route in its place; whoever had it has lost it.
    pub(super) fn insert(&mut self, place: Place<'_>, target: Target) {
        self.remove(place);
        let host = self.host_for(place);
        let hash = self.hash(host, place.exact, place.path);
        let entry = Entry { host, exact: place.exact, path: place.path.into(), target };
        let hasher = self.hasher.clone();
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return };
        Arc::make_mut(shard)
            .insert_unique(hash, entry, |entry| hasher.hash_one((entry.host, entry.exact, entry.path.as_ref())));
        self.len += 1;
    }

    /// Takes a route out. The host stays known: its paths are answered 404, not as an unknown host.
    pub(super) fn remove(&mut self, place: Place<'_>) {
        let Some(host) = place.host.map_or(Some(PORTAL), |host| self.host(host)) else { return };
        if self.entry(host, place.exact, place.path).is_none() {
            return;
        }
        let hash = self.hash(host, place.exact, place.path);
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return };
        let found = Arc::make_mut(shard).find_entry(hash, |entry| entry.is(host, place.exact, place.path));
        if let Ok(found) = found {
            found.remove();
            self.len -= 1;
        }
    }

    fn host_for(&mut self, place: Place<'_>) -> u32 {
        let depth = if place.exact { 0 } else { place.path.matches('/').count() };
        let known = place.host.map_or(Some(PORTAL), |host| self.host(host));
        let catches = known == Some(PORTAL) && (matches!(place.path, "" | "/s") || place.path.starts_with("/s/"));
        let deep_enough = known.and_then(|host| self.hosts.deepest.get(host as usize)).is_some_and(|max| *max >= depth);
        if let Some(host) = known.filter(|_| deep_enough && (self.hosts.catches_services || !catches)) {
            return host;
        }
        let hosts = Arc::make_mut(&mut self.hosts);
        hosts.catches_services |= catches;
        let host = known.unwrap_or_else(|| {
            let number = u32::try_from(hosts.deepest.len()).unwrap_or(u32::MAX);
            hosts.numbers.insert(place.host.unwrap_or_default().into(), number);
            hosts.deepest.push(0);
            number
        });
        if let Some(deepest) = hosts.deepest.get_mut(host as usize) {
            *deepest = depth.max(*deepest);
        }
        host
    }

    fn entry(&self, host: u32, exact: bool, path: &str) -> Option<&Entry> {
        let hash = self.hash(host, exact, path);
        self.shards.get(shard_of(hash))?.find(hash, |entry| entry.is(host, exact, path))
    }

    fn hash(&self, host: u32, exact: bool, path: &str) -> u64 {
        self.hasher.hash_one((host, exact, path))
    }
}

impl Entry {
    fn is(&self, host: u32, exact: bool, path: &str) -> bool {
        self.host == host && self.exact == exact && *self.path == *path
    }
}

/// The first `segments` segments of an absolute path.
fn cut(path: &str, segments: usize) -> &str {
    let mut slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
    slashes.nth(segments).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
}

fn shard_of(hash: u64) -> usize {
    // Bits 32 up: the table inside a shard uses the lowest bits for its place and the highest seven for its tags.
    usize::try_from((hash >> 32) & (SHARDS as u64 - 1)).unwrap_or(0)
}
