//! Why an address is answered as it is, for `probe`.

use std::fmt;

use serde::Serialize;

use super::divisions::DivisionKind;
use super::paths::Place;
use super::platform::PlatformState;
use super::policy::Action;
use super::services::{Climb, Entry};
use super::table::{Answer, Match, NoRoute, RouteTable, Service};
use crate::domain::{DivisionCode, ItemCode, Level, PlatformId};

/// A decision explained. As JSON for programs, as lines for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The method asked with.
    pub method: String,
    /// The host asked.
    pub host: String,
    /// The path asked.
    pub path: String,
    /// What happens.
    pub verdict: Verdict,
    /// The route that answers.
    pub chosen: Option<Candidate>,
    /// Who else was looked at, in the order of looking, and why each lost.
    pub lost: Vec<Lost>,
}

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// It is forwarded, once the route's access rules let it pass.
    Forward,
    /// The gateway itself answers.
    Gateway,
    /// 405.
    MethodNotAllowed,
    /// 410: the route is gone.
    Gone,
    /// 410: the platform is gone.
    Retired,
    /// 503: the route is under maintenance.
    Maintenance,
    /// 503: the platform is suspended.
    Suspended,
    /// 503: the filing has run out.
    Expired,
    /// 303: the person is asked for their region.
    NeedsDivision,
    /// 404.
    NoRoute(NoRoute),
}

/// A route that could answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its platform.
    pub platform: PlatformId,
    /// The platform's name in Chinese.
    pub name: String,
    /// The route, by number in its filing (from 0).
    pub route: usize,
    /// The route's name, maybe empty.
    pub route_name: String,
    /// The level that answers.
    pub level: Level,
    /// What it was filed for, in words.
    pub filed_for: String,
}

/// A place that was looked at and does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Who would answer there; `None` when nobody has filed it.
    pub candidate: Option<Candidate>,
    /// The place, in words.
    pub place: String,
    /// Why not.
    #[serde(flatten)]
    pub why: Why,
}

/// Why a place does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum Why {
    /// Nobody has filed the item there.
    NotFiled {
        /// Whether the catalogue says that the item is handled at that level.
        handled: bool,
    },
    /// It answers for its own division only.
    NotCovering,
    /// Its platform is suspended, and the route lets the next one up answer.
    Suspended,
    /// A nearer or more specific one answers.
    Shadowed,
}

impl RouteTable {
    /// Explains what [`RouteTable::find`] and [`RouteTable::past_suspended`] decide. Allocates: for people, not for requests.
    pub fn explain(&self, method: &str, host: &str, path: &str) -> Explanation {
        let safe = matches!(method, "GET" | "HEAD" | "OPTIONS");
        let (verdict, chosen, lost) = match self.find(host, path) {
            Answer::Route(found) => {
                let chosen = self.past_suspended(found, safe);
                let lost = match self.service(path) {
                    Service::Item { item, climb, code, start } if found.rung.is_some() => {
                        self.rungs(climb, start, item, code, Some(&chosen))
                    }
                    _ => self.other_paths(host, path),
                };
                (verdict(&chosen, method), Some(self.candidate(&chosen)), lost)
            }
            Answer::NeedsDivision { .. } => (Verdict::NeedsDivision, None, Vec::new()),
            Answer::NoRoute(reason) => {
                let lost = match (reason, self.service(path)) {
                    (NoRoute::NotHandled { .. }, Service::Item { item, climb, code, start }) => {
                        self.rungs(climb, start, item, code, None)
                    }
                    _ => Vec::new(),
                };
                (Verdict::NoRoute(reason), None, lost)
            }
        };
        Explanation { method: method.to_owned(), host: host.to_owned(), path: path.to_owned(), verdict, chosen, lost }
    }

    /// Every rung of a climb but the one that answers: below it whoever did not answer, above it whoever would have.
    fn rungs(
        &self,
        climb: Climb,
        start: u32,
        item: ItemCode,
        asked: DivisionCode,
        chosen: Option<&Match<'_>>,
    ) -> Vec<Lost> {
        let chosen = chosen.and_then(|chosen| chosen.rung).map(|rung| rung.division);
        let mut lost = Vec::new();
        let mut passed = false;
        let climb_up = std::iter::successors(Some(start), |rung| (*rung != 0).then(|| self.divisions.above(*rung)));
        for rung in climb_up {
            let Some(division) = self.divisions.at(rung).filter(|row| row.kind != DivisionKind::Placeholder) else {
                continue;
            };
            if chosen == Some(rung) {
                passed = true;
                continue;
            }
            let holder = self.services.filed(climb.item, rung);
            let entry = holder.map(|holder| Entry { division: rung, holder });
            let found = entry.and_then(|entry| self.at_service(climb, entry, item, asked));
            let handled = self.items.find(item).is_some_and(|item| item.levels.contains(division.level));
            let why = match holder {
                None if passed => continue,
                None => Why::NotFiled { handled },
                Some(holder) if !holder.subtree && climb.asked != Some(rung) => Why::NotCovering,
                Some(_) if passed => Why::Shadowed,
                Some(_) => Why::Suspended,
            };
            let place = format!("{} {} {}", division.level, division.code, division.name);
            lost.push(Lost { candidate: found.map(|found| self.candidate(&found)), place, why });
        }
        lost
    }

    fn other_paths(&self, host: &str, path: &str) -> Vec<Lost> {
        let Some(host) = self.paths.host(host) else { return Vec::new() };
        let fitting = self.paths.all(host, path).skip(1);
        let lost = |target| {
            let candidate = self.candidate(&self.at_path(target)?);
            Some(Lost { place: candidate.filed_for.clone(), candidate: Some(candidate), why: Why::Shadowed })
        };
        fitting.filter_map(lost).collect()
    }

    fn candidate(&self, found: &Match<'_>) -> Candidate {
        let Match { platform, route, route_index, level, .. } = found;
        let division = found.rung.and_then(|rung| self.divisions.at(rung.division));
        let filed_for = match (Place::of(route), division) {
            (Some(place), _) => place.to_string(),
            (None, Some(division)) => format!("{} {}", division.code, division.name),
            (None, None) => String::new(),
        };
        Candidate {
            platform: platform.id.clone(),
            name: platform.name.to_string(),
            route: *route_index,
            route_name: route.name.to_string(),
            level: *level,
            filed_for,
        }
    }
}

fn verdict(chosen: &Match<'_>, method: &str) -> Verdict {
    match (&chosen.platform.state, &chosen.route.action) {
        (PlatformState::Retired, _) => Verdict::Retired,
        (_, Action::Gone { .. }) => Verdict::Gone,
        (PlatformState::Suspended { .. }, _) => Verdict::Suspended,
        (PlatformState::Expired, _) => Verdict::Expired,
        (_, Action::Maintenance { .. }) => Verdict::Maintenance,
        _ if !chosen.route.methods.allows(method) => Verdict::MethodNotAllowed,
        (_, Action::Gateway) => Verdict::Gateway,
        (_, Action::Proxy) => Verdict::Forward,
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => out.write_str("forwarded, if the access rules of the route let it pass"),
            Self::Gateway => out.write_str("answered by the gateway itself"),
            Self::MethodNotAllowed => out.write_str("405, the route does not take this method"),
            Self::Gone => out.write_str("410, the route is gone"),
            Self::Retired => out.write_str("410, the platform is retired"),
            Self::Maintenance => out.write_str("503, the route is under maintenance"),
            Self::Suspended => out.write_str("503, the platform is suspended"),
            Self::Expired => out.write_str("503, the filing has expired"),
            Self::NeedsDivision => out.write_str("303, the person is asked for their region"),
            Self::NoRoute(reason) => write!(out, "404, {reason}"),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platform, name, route, level, filed_for, .. } = self;
        write!(out, "{platform} {name}, route {route}, level {level}, filed for {filed_for}")
    }
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotFiled { handled: true } => "nobody has filed the item there",
            Self::NotFiled { handled: false } => "the item is not handled at this level, and nobody has filed it there",
            Self::NotCovering => "it answers for its own division only",
            Self::Suspended => "the platform is suspended, and the next one up answers instead",
            Self::Shadowed => "a nearer or more specific route answers",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, host, path, verdict, chosen, lost } = self;
        writeln!(out, "{method} {host}{path}")?;
        writeln!(out, "  result  {verdict}")?;
        if let Some(chosen) = chosen {
            writeln!(out, "  chosen  {chosen}")?;
        }
        for Lost { candidate, place, why } in lost {
            match candidate {
                Some(candidate) => writeln!(out, "  lost    {candidate}: {why}")?,
                None => writeln!(out, "  lost    {place}: {why}")?,
            }
        }
        Ok(())
    }
}
