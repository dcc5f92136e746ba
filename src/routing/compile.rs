//! Filings in, table out. A filing is in force whole or not at all: one place held by another refuses all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::divisions::{DivisionKind, Divisions};
use super::error::RoutingError;
use super::items::Items;
use super::paths::{PORTAL, Paths, Place, Target};
use super::platform::Platform;
use super::policy::{Matches, Route};
use super::services::{Entry, Holder, Services};
use super::table::RouteTable;
use super::words::Covers;
use crate::domain::{DivisionCode, ItemCode, Level, PlatformId};

/// The id of the gateway's own pages.
const OWN: &str = "yimen";

/// A table and what did not get into it.
#[derive(Debug)]
pub struct Compiled {
    /// The table of all filings that could be served together.
    pub table: RouteTable,
    /// The filings left out, each with the first reason.
    pub refused: Vec<RoutingError>,
}

/// One item in one division, wanted by one route.
#[derive(Clone, Copy)]
struct Claim {
    item: u32,
    entry: Entry,
}

/// Places wanted by more than one filing, and who got them.
#[derive(Default)]
struct Contests {
    holders: Vec<Option<u32>>,
    of: BTreeMap<u32, Vec<(usize, Claim)>>, // by platform number
}

impl RouteTable {
    /// Compiles all filings. Where two want one place, the earlier of `platforms` has it. `portal_hosts`: lower case,
    /// without port; routes without host and service addresses answer there. `platforms`: those to serve or to answer
    /// for (suspended, expired, retired), no drafts. Some tenths of a second for 1.25 million routes.
    pub fn compile(
        divisions: Arc<Divisions>,
        items: Arc<Items>,
        portal_hosts: &[String],
        platforms: Vec<Platform>,
    ) -> Compiled {
        let mut refused: BTreeMap<u32, RoutingError> = BTreeMap::new();
        let mut numbers = HashMap::with_capacity_and_hasher(platforms.len(), RandomState::default());
        let mut by_item: Vec<Vec<Entry>> = items.iter().map(|_| Vec::new()).collect();
        for (number, platform) in (0_u32..).zip(&platforms) {
            if numbers.contains_key(&platform.id) {
                refused.insert(number, RoutingError::SameId { platform: platform.id.clone() });
                continue;
            }
            numbers.insert(platform.id.clone(), number);
            match claims(&divisions, &items, platform, number) {
                Ok(claims) => spread(claims, &mut by_item),
                Err(error) => {
                    refused.insert(number, error);
                }
            }
        }
        let mut contests = Contests::among(&mut by_item);
        let mut paths = Paths::new(portal_hosts);
        for (number, platform) in (0_u32..).zip(&platforms) {
            if refused.contains_key(&number) {
                continue;
            }
            let taken = contests.taken(number).map(|(claim, holder)| {
                (usize::from(claim.entry.holder.route), service_place(&divisions, &items, claim), holder)
            });
            let taken = taken.or_else(|| taken_path(&paths, platform, number));
            match taken {
                Some((route, place, holder)) => {
                    let holder = platforms.get(holder as usize).map_or(&platform.id, |holder| &holder.id).clone();
                    refused.insert(number, RoutingError::Taken { platform: platform.id.clone(), route, place, holder });
                }
                None => {
                    contests.settle(number);
                    insert_paths(&mut paths, platform, number);
                }
            }
        }
        if !refused.is_empty() {
            by_item
                .iter_mut()
                .for_each(|entries| entries.retain(|entry| !refused.contains_key(&entry.holder.platform)));
            numbers.retain(|_, number| !refused.contains_key(number));
        }
        let services = Services::new(by_item);
        let kept = |(number, platform)| (!refused.contains_key(&number)).then_some(platform);
        let platforms = (0_u32..).zip(platforms).map(kept).collect();
        let table = Self { revision: 0, divisions, items, platforms, numbers: Arc::new(numbers), services, paths };
        Compiled { table, refused: refused.into_values().collect() }
    }

    /// This table with one filing put in, or changed when its id is known. Costs in proportion to the items and paths of
    /// the filing. `Err`: why it cannot be served; this table is as it was.
    pub fn with(&self, platform: Platform) -> Result<Self, RoutingError> {
        let number = self.numbers.get(&platform.id).copied();
        let number = number.unwrap_or_else(|| self.platforms.next_number());
        let claims = claims(&self.divisions, &self.items, &platform, number)?;
        let taken = claims.iter().find_map(|claim| {
            let held = self.services.filed(claim.item, claim.entry.division)?;
            let place = || service_place(&self.divisions, &self.items, *claim);
            (held.platform != number).then(|| (usize::from(claim.entry.holder.route), place(), held.platform))
        });
        if let Some((route, place, holder)) = taken.or_else(|| taken_path(&self.paths, &platform, number)) {
            let holder = self.platforms.get(holder).map_or(&platform.id, |holder| &holder.id).clone();
            return Err(RoutingError::Taken { platform: platform.id, route, place, holder });
        }
        let mut next = self.clone();
        let before = self.platforms.get(number);
        let mut touched: BTreeSet<u32> = claims.iter().map(|claim| claim.item).collect();
        touched.extend(before.into_iter().flat_map(|before| items_of(&self.items, before)));
        for item in touched {
            let new = claims.iter().filter(|claim| claim.item == item).map(|claim| claim.entry);
            next.services.change(item, number, new);
        }
        before.into_iter().for_each(|before| remove_paths(&mut next.paths, before));
        insert_paths(&mut next.paths, &platform, number);
        if !next.numbers.contains_key(&platform.id) {
            Arc::make_mut(&mut next.numbers).insert(platform.id.clone(), number);
        }
        next.platforms.set(number, Some(platform));
        Ok(next)
    }

    /// Routes by path prefix of `platform` that would take addresses from a shorter prefix of another platform: route, place in
    /// words, holder. Our own pages are no platform here.
    pub fn shadowed_by(&self, platform: &Platform) -> Vec<(usize, String, PlatformId)> {
        let mut found = Vec::new();
        for (route, filed) in platform.routes.iter().enumerate() {
            let Some(place) = Place::of(filed) else { continue };
            let Some(host) = place.host.map_or(Some(PORTAL), |host| self.paths.host(host)) else { continue };
            let held = |target: Target| self.platforms.get(target.platform).filter(|held| held.id != platform.id);
            let holder = self.paths.all(host, place.path).filter_map(held).find(|held| held.id.as_str() != OWN);
            found.extend(holder.map(|held| (route, place.to_string(), held.id.clone())));
        }
        found
    }

    /// This table without one filing.
    #[must_use]
    pub fn without(&self, id: &PlatformId) -> Self {
        let mut next = self.clone();
        let Some(number) = self.numbers.get(id).copied() else { return next };
        let Some(platform) = self.platforms.get(number) else { return next };
        for item in items_of(&self.items, platform) {
            next.services.change(item, number, std::iter::empty());
        }
        remove_paths(&mut next.paths, platform);
        Arc::make_mut(&mut next.numbers).remove(id);
        next.platforms.set(number, None);
        next
    }
}

impl Contests {
    /// Sorts the entries of each item and notes the divisions that more than one filing wants.
    fn among(by_item: &mut [Vec<Entry>]) -> Self {
        let mut contests = Self::default();
        for (item, entries) in (0_u32..).zip(by_item) {
            entries.sort_unstable_by_key(|entry| (entry.division, entry.holder.platform));
            for rivals in entries.chunk_by(|a, b| a.division == b.division).filter(|rivals| rivals.len() > 1) {
                let contest = contests.holders.len();
                contests.holders.push(None);
                for entry in rivals {
                    contests
                        .of
                        .entry(entry.holder.platform)
                        .or_default()
                        .push((contest, Claim { item, entry: *entry }));
                }
            }
        }
        contests
    }

    /// The first claim of a platform that somebody else holds, and the holder.
    fn taken(&self, platform: u32) -> Option<(Claim, u32)> {
        let holder = |contest: usize| self.holders.get(contest).copied().flatten();
        self.of.get(&platform)?.iter().find_map(|(contest, claim)| Some((*claim, holder(*contest)?)))
    }

    /// Gives a platform all it claims.
    fn settle(&mut self, platform: u32) {
        for (contest, _) in self.of.get(&platform).into_iter().flatten() {
            if let Some(holder) = self.holders.get_mut(*contest) {
                *holder = Some(platform);
            }
        }
    }
}

/// Everything a filing wants by item. `Err`: an unknown item or division, or one place wanted twice by the filing itself.
fn claims(divisions: &Divisions, items: &Items, platform: &Platform, number: u32) -> Result<Vec<Claim>, RoutingError> {
    let mut claims = Vec::new();
    for (route, filed) in platform.routes.iter().enumerate() {
        let Ok(short) = u16::try_from(route) else {
            return Err(RoutingError::TooManyRoutes { platform: platform.id.clone() });
        };
        let Matches::Items { codes, divisions: filed_for, covers } = &filed.matches else { continue };
        let found: Result<Vec<(u32, Level)>, RoutingError> =
            filed_for.iter().map(|division| number_of(divisions, platform, route, *division)).collect();
        let found = found?;
        claims.reserve(found.len() * codes.len());
        for code in codes {
            let unknown = || RoutingError::UnknownItem { platform: platform.id.clone(), route, item: *code };
            let item = items.number(*code).ok_or_else(unknown)?;
            let subtree = *covers == Covers::Subtree;
            let entry = |(division, level)| Entry {
                division,
                holder: Holder { platform: number, route: short, level, subtree },
            };
            claims.extend(found.iter().map(|division| Claim { item, entry: entry(*division) }));
        }
    }
    claims.sort_by_key(|claim| (claim.item, claim.entry.division));
    let same = |[a, b]: &[Claim; 2]| (a.item, a.entry.division) == (b.item, b.entry.division);
    match claims.array_windows().find(|pair| same(pair)) {
        Some([_, again]) => Err(RoutingError::Taken {
            platform: platform.id.clone(),
            route: usize::from(again.entry.holder.route),
            place: service_place(divisions, items, *again),
            holder: platform.id.clone(),
        }),
        None => Ok(claims),
    }
}

fn number_of(
    divisions: &Divisions,
    platform: &Platform,
    route: usize,
    code: DivisionCode,
) -> Result<(u32, Level), RoutingError> {
    let real = divisions.find(code).filter(|row| row.kind != DivisionKind::Placeholder);
    let found = real.and_then(|row| Some((divisions.number(code)?, row.level)));
    found.ok_or_else(|| RoutingError::UnknownDivision { platform: platform.id.clone(), route, division: code })
}

fn spread(claims: Vec<Claim>, by_item: &mut [Vec<Entry>]) {
    for claim in claims {
        if let Some(entries) = by_item.get_mut(claim.item as usize) {
            entries.push(claim.entry);
        }
    }
}

fn items_of<'a>(items: &Items, platform: &'a Platform) -> BTreeSet<u32> {
    let codes = |route: &'a Route| match &route.matches {
        Matches::Items { codes, .. } => codes.as_ref(),
        Matches::Path { .. } => &[] as &[ItemCode],
    };
    platform.routes.iter().flat_map(codes).filter_map(|code| items.number(*code)).collect()
}

/// The first path of a filing that somebody holds, or that the filing itself wants twice.
fn taken_path(paths: &Paths, platform: &Platform, number: u32) -> Option<(usize, String, u32)> {
    let mut own = BTreeSet::new();
    platform.routes.iter().enumerate().find_map(|(route, filed)| {
        let place = Place::of(filed)?;
        let holder = paths.holder(place).map(|target| target.platform).filter(|holder| *holder != number);
        let again = (!own.insert(place)).then_some(number);
        Some((route, place.to_string(), holder.or(again)?))
    })
}

fn remove_paths(paths: &mut Paths, platform: &Platform) {
    for place in platform.routes.iter().filter_map(Place::of) {
        paths.remove(place);
    }
}

fn insert_paths(paths: &mut Paths, platform: &Platform, number: u32) {
    for (route, filed) in (0_u16..).zip(platform.routes.iter()) {
        if let Some(place) = Place::of(filed) {
            paths.insert(place, Target { platform: number, route });
        }
    }
}

fn service_place(divisions: &Divisions, items: &Items, claim: Claim) -> String {
    let item = items.at(claim.item).map(|item| format!("{} {}", item.code, item.name_zh)).unwrap_or_default();
    let division = divisions.at(claim.entry.division).map(|row| format!("{} {}", row.code, row.name));
    format!("service item {item} in division {}", division.unwrap_or_default())
}
