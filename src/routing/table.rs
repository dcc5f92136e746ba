//! The table and its one question: who answers this address.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::Serialize;

use super::divisions::Divisions;
use super::items::Items;
use super::paths::{Paths, Target};
use super::platform::{Platform, PlatformState};
use super::platforms::Platforms;
use super::policy::Route;
use super::services::{Climb, Entry, Holder, Services};
use crate::domain::{DivisionCode, ItemCode, Level, PlatformId};

/// Who answers which address. Never changes; [`RouteTable::with`] and [`RouteTable::without`] make a new one that
/// shares what did not change.
#[derive(Clone, Debug)]
pub struct RouteTable {
    pub(super) revision: u64,
    pub(super) divisions: Arc<Divisions>,
    pub(super) items: Arc<Items>,
    pub(super) platforms: Platforms,
    pub(super) numbers: Arc<HashMap<PlatformId, u32, RandomState>>,
    pub(super) services: Services,
    pub(super) paths: Paths,
}

/// Who answers, or why nobody does.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// This route.
    Route(Match<'a>),
    /// A service address without division: send the person to their chosen region.
    NeedsDivision {
        /// The item.
        item: ItemCode,
        /// The path after the item: empty, or from its slash on.
        rest: &'a str,
    },
    /// Nobody.
    NoRoute(NoRoute),
}

/// Why nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum NoRoute {
    /// No platform has filed this host, and it is not the portal's.
    #[error("no platform has filed this host, and it is none of the portal's")]
    UnknownHost,
    /// The host is known, the path is not.
    #[error("nothing is filed for this path on this host")]
    NoPath,
    /// The service address names an item that is not in the catalogue.
    #[error("the catalogue has no such service item")]
    UnknownItem,
    /// The service address names a division that does not exist.
    #[error("there is no such division")]
    UnknownDivision,
    /// Item and division exist; from the division up to the nation nobody has filed the item.
    #[error("nobody from division {division} up to the nation answers item {item}")]
    NotHandled {
        /// The item.
        item: ItemCode,
        /// The division asked.
        division: DivisionCode,
    },
}

/// A route that answers an address. Whether it is served (state of the platform, action, method) is for the asker to see.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The platform.
    pub platform: &'a Arc<Platform>,
    /// Its number, the same in every table made from this one by changes.
    pub platform_index: usize,
    /// The route.
    pub route: &'a Route,
    /// Its place in [`Platform::routes`].
    pub route_index: usize,
    /// The level that answers: of the division filed for a service address, else of the platform.
    pub level: Level,
    /// The division of the service address, as asked.
    pub asked: Option<DivisionCode>,
    /// The item of the service address.
    pub item: Option<ItemCode>,
    pub(super) rung: Option<Rung>,
}

/// Where on its climb a service address was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rung {
    pub(super) climb: Climb,
    pub(super) division: u32,
}

/// What a path below `/s/` asks for.
pub(super) enum Service<'a> {
    Item { item: ItemCode, climb: Climb, code: DivisionCode, start: u32 },
    NoDivision { item: ItemCode, rest: &'a str },
    Nothing(NoRoute),
}

impl RouteTable {
    /// Who answers an address. `host`: lower case, without port. `path`: canonical, without query.
    pub fn find<'a>(&'a self, host: &str, path: &'a str) -> Answer<'a> {
        let Some(host) = self.paths.host(host) else { return Answer::NoRoute(NoRoute::UnknownHost) };
        if let Some(found) = self.paths.find(host, path).and_then(|target| self.at_path(target)) {
            return Answer::Route(found);
        }
        if !Paths::is_portal(host) {
            return Answer::NoRoute(NoRoute::NoPath);
        }
        match self.service(path) {
            Service::Nothing(reason) => Answer::NoRoute(reason),
            Service::NoDivision { item, rest } => Answer::NeedsDivision { item, rest },
            Service::Item { item, climb, code, start } => self
                .nearest(climb, start, item, code)
                .map_or(Answer::NoRoute(NoRoute::NotHandled { item, division: code }), Answer::Route),
        }
    }

    /// The next candidate up the climb, for fallback; `None` for paths, and when nobody is left.
    pub fn above(&self, found: &Match<'_>) -> Option<Match<'_>> {
        let Rung { climb, division } = found.rung.filter(|rung| rung.division != 0)?;
        self.nearest(climb, self.divisions.above(division), found.item?, found.asked?)
    }

    /// The match itself, or, while its platform is suspended and its route allows it, the next one up that is not.
    /// `safe`: the method is GET, HEAD or OPTIONS; others never fall back. When nobody else is left, the match itself.
    pub fn past_suspended<'a>(&'a self, found: Match<'a>, safe: bool) -> Match<'a> {
        let mut candidate = found;
        while safe && candidate.is_passed_over() {
            match self.above(&candidate) {
                Some(next) => candidate = next,
                None => return found,
            }
        }
        candidate
    }

    /// The platform of this name, served or not.
    pub fn platform(&self, id: &str) -> Option<&Arc<Platform>> {
        self.platforms.get(*self.numbers.get(id)?)
    }

    /// Every platform in the table with its number.
    pub fn platforms(&self) -> impl Iterator<Item = (usize, &Arc<Platform>)> {
        self.platforms.iter()
    }

    /// Counts up with every publication; 0 until published.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Routes by item: each item in each division counts one.
    pub fn item_routes(&self) -> usize {
        self.services.len()
    }

    /// Routes by path.
    pub fn path_routes(&self) -> usize {
        self.paths.len()
    }

    /// The divisions the table was compiled with.
    pub fn divisions(&self) -> &Arc<Divisions> {
        &self.divisions
    }

    /// The items the table was compiled with.
    pub fn items(&self) -> &Arc<Items> {
        &self.items
    }

    pub(super) fn with_revision(self, revision: u64) -> Self {
        Self { revision, ..self }
    }

    pub(super) fn at_path(&self, target: Target) -> Option<Match<'_>> {
        self.at(target, self.platforms.get(target.platform)?.level)
    }

    fn at(&self, target: Target, level: Level) -> Option<Match<'_>> {
        let (platform, route) = self.platforms.route(target.platform, target.route)?;
        Some(Match {
            platform,
            platform_index: target.platform as usize,
            route,
            route_index: usize::from(target.route),
            level,
            asked: None,
            item: None,
            rung: None,
        })
    }

    /// Reads `/s/{division}/{item}/…` and `/s/{item}/…`. Twelve digits can be a village or an item: followed by a known
    /// item they are a village.
    pub(super) fn service<'a>(&self, path: &'a str) -> Service<'a> {
        let Some((first, tail)) = path.strip_prefix("/s/").map(segment) else {
            return Service::Nothing(NoRoute::NoPath);
        };
        let (second, _) = segment(tail.strip_prefix('/').unwrap_or_default());
        let known = |text: &str| {
            let code = ItemCode::from_bytes(text.as_bytes())?;
            Some((code, self.items.number(code)?))
        };
        let division = DivisionCode::from_digits(first.as_bytes());
        match (division, known(second), known(first)) {
            (Some(code), Some((item, number)), in_front) => match (self.divisions.nearest_number(code), in_front) {
                (Some(start), _) => {
                    let asked = self.divisions.number(code).filter(|number| *number == start);
                    Service::Item { item, climb: Climb { item: number, asked }, code, start }
                }
                (None, Some((item, _))) => Service::NoDivision { item, rest: tail },
                (None, None) => Service::Nothing(NoRoute::UnknownDivision),
            },
            (_, _, Some((item, _))) => Service::NoDivision { item, rest: tail },
            (Some(_), None, None) if !second.is_empty() => Service::Nothing(NoRoute::UnknownItem),
            (None, _, None) if ItemCode::from_bytes(first.as_bytes()).is_some() => {
                Service::Nothing(NoRoute::UnknownItem)
            }
            (None, Some(_), None) => Service::Nothing(NoRoute::UnknownDivision),
            _ => Service::Nothing(NoRoute::NoPath),
        }
    }

    fn nearest(&self, climb: Climb, from: u32, item: ItemCode, asked: DivisionCode) -> Option<Match<'_>> {
        let entry = self.services.nearest(&self.divisions, climb, from)?;
        self.at_service(climb, entry, item, asked)
    }

    pub(super) fn at_service(
        &self,
        climb: Climb,
        entry: Entry,
        item: ItemCode,
        asked: DivisionCode,
    ) -> Option<Match<'_>> {
        let Holder { platform, route, level, .. } = entry.holder;
        let target = Target { platform, route };
        let rung = Some(Rung { climb, division: entry.division });
        Some(Match { asked: Some(asked), item: Some(item), rung, ..self.at(target, level)? })
    }
}

impl Match<'_> {
    /// Whether the next one up answers in its place as long as the platform is suspended (safe methods only).
    pub fn is_passed_over(&self) -> bool {
        self.route.fallback.suspended && matches!(self.platform.state, PlatformState::Suspended { .. })
    }
}

/// The first segment, and the rest from its slash on.
fn segment(path: &str) -> (&str, &str) {
    path.split_at(path.find('/').unwrap_or(path.len()))
}
