//! The routes of a filing.

use std::ops::RangeInclusive;

use super::filing::{Known, division_hint};
use super::own::is_reserved;
use super::words::{ActionWord, CanonicalPath, FallbackWord, Host, Line, Method};
use crate::domain::{Assurance, DivisionCode, ItemCode, SubjectKind};
use crate::routing::{
    Access, Action, Covers, Deadlines, Division, DivisionKind, Fallback, Item, Matches, MethodSet, PathKind, Route,
};
use crate::written::Fields;

const RETRY_AFTER_S: u64 = 3600; // maintenance is announced by the hour

/// What a route is checked against.
pub(super) struct Asked<'a> {
    pub(super) known: &'a Known<'a>,
    pub(super) division: Option<&'a Division>,
    pub(super) trusted: bool,
}

/// Reads one `[[route]]`; `None` when something in it is wrong.
pub(super) fn read(fields: Fields<'_>, asked: &Asked<'_>) -> Option<Route> {
    let matches = match (fields.has("items"), fields.has("path")) {
        (true, false) => items(&fields, asked),
        (false, true) => path(&fields, asked),
        _ => {
            fields.mistake(
                &fields.spot("items"),
                "either `items` or `path`",
                Some("file two routes for both".to_owned()),
            );
            None
        }
    };
    let least = matches.as_ref().map_or(Assurance::L1, |matches| least_assurance(matches, asked));
    let access = fields.parsed("access", "open, optional or required").unwrap_or(Access::Required); // the safe one
    let assurance = fields.parsed("assurance", "L1, L2, L3 or L4").unwrap_or(least);
    let route = Route {
        name: fields.parsed::<Line>("name", "a name for the route").map(|line| line.0).unwrap_or_default(),
        methods: methods(&fields),
        access,
        assurance,
        subject: fields.parsed::<SubjectKind>("subject", "natural, legal or agent"),
        max_age_s: max_age_s(&fields),
        body_bytes_max: fields.number("body_bytes_max", Route::BODY_BYTES_MAX, 0..=10 << 30),
        deadlines: fields.table("deadlines").map(deadlines).unwrap_or_default(),
        websocket: fields.flag("websocket", false),
        fallback: fallback(&fields),
        audit: fields.flag("audit", false),
        ..Route::new(matches.clone().unwrap_or_else(nowhere), action(&fields))
    };
    warn_of_weak_access(&fields, &route, least);
    fields.finish();
    matches.map(|_| route)
}

fn items(fields: &Fields<'_>, asked: &Asked<'_>) -> Option<Matches> {
    let Asked { known, division, .. } = asked;
    let covers = fields.parsed("covers", "self or subtree").unwrap_or(Covers::Subtree); // whoever is nearer wins anyway
    let divisions = divisions(fields, asked);
    let mut codes = Vec::new();
    let written = fields.list::<ItemCode>("items", "12-character codes of service items");
    if written.is_empty() {
        fields.mistake(&fields.spot("items"), "at least one code of an item", None);
    }
    for (code, spot) in written {
        match known.items.find(code) {
            None => fields.mistake(&spot, "an item of the catalogue", Some("look it up in items.csv".to_owned())),
            Some(item) => {
                if let Some(odd) = divisions.iter().find(|division| !item.levels.contains(division.level)) {
                    let levels: Vec<&str> = item.levels.iter().map(|level| level.word()).collect();
                    let expected = format!("an item handled at level {}, the level of {}", odd.level, odd.name);
                    fields.warning(
                        &spot,
                        expected,
                        Some(format!("{} is handled at {}", item.name_zh, levels.join(", "))),
                    );
                }
                codes.push(code);
            }
        }
    }
    let divisions: Box<[DivisionCode]> = divisions.iter().map(|division| division.code).collect();
    (division.is_some() && !divisions.is_empty() && !codes.is_empty()).then(|| Matches::Items {
        codes: codes.into(),
        divisions,
        covers,
    })
}

/// The divisions filed; without any, the platform's own.
fn divisions<'a>(fields: &Fields<'_>, asked: &Asked<'a>) -> Vec<&'a Division> {
    let Asked { known, division, .. } = asked;
    let Some(own) = division else { return Vec::new() };
    if !fields.has("divisions") {
        return vec![own];
    }
    let mut found = Vec::new();
    for (code, spot) in fields.list::<DivisionCode>("divisions", "codes of divisions") {
        match known.divisions.find(code).filter(|division| division.kind != DivisionKind::Placeholder) {
            None => fields.mistake(&spot, "a division that exists", Some(division_hint(known, code))),
            Some(_) if !known.divisions.is_within(code, own.code) => {
                let hint = "a platform serves its own division and what lies below".to_owned();
                fields.mistake(&spot, format!("a division of {} {}", own.code, own.name), Some(hint));
            }
            Some(division) => found.push(division),
        }
    }
    found
}

fn path(fields: &Fields<'_>, asked: &Asked<'_>) -> Option<Matches> {
    let path = fields.parsed::<CanonicalPath>("path", "an absolute path such as /open-data");
    let host = fields.parsed::<Host>("host", "a host name");
    let kind = fields.parsed("match", "exact or prefix").unwrap_or(PathKind::Prefix);
    let host = host.map(|host| host.0).filter(|host| !asked.known.portal_hosts.iter().any(|own| **own == **host));
    let path = path?.0;
    if host.is_none() && is_reserved(&path) {
        let hint = "choose another first segment; items are reached by `items`".to_owned();
        fields.mistake(&fields.spot("path"), "a path that the gateway does not use itself", Some(hint));
        return None;
    }
    if let Some(domain) = asked.known.platform_domain
        && host.as_ref().is_some_and(|host| domain.reaches(host))
    {
        let hint = format!("below {domain} each platform has the host of its own id, and no other");
        fields.mistake(&fields.spot("host"), "a host outside the platforms' domain", Some(hint));
    }
    if host.is_none() && !asked.trusted && asked.known.platform_domain.is_none() {
        let hint = "give it a `host`, or mark the platform `trusted = true` after a review of its pages".to_owned();
        let expected = "a platform that is trusted, as its scripts share the portal's origin";
        fields.warning(&fields.spot("path"), expected, Some(hint));
    }
    Some(Matches::Path { host, path, kind })
}

fn action(fields: &Fields<'_>) -> Action {
    let notice = fields.parsed::<Line>("notice", "what people are told").map(|line| line.0);
    let retry_after_s = fields.number("retry_after_s", RETRY_AFTER_S, 1..=30 * 86_400);
    let word = fields.parsed("action", "proxy, gone or maintenance").unwrap_or(ActionWord::Proxy);
    if word != ActionWord::Proxy && notice.is_none() {
        let hint = "say what people should do instead, or when it is back".to_owned();
        fields.mistake(&fields.spot("notice"), "a notice for people", Some(hint));
    }
    let notice = notice.unwrap_or_default();
    match word {
        ActionWord::Proxy => Action::Proxy,
        ActionWord::Gone => Action::Gone { notice },
        ActionWord::Maintenance => {
            Action::Maintenance { notice, retry_after_s: u32::try_from(retry_after_s).unwrap_or(u32::MAX) }
        }
    }
}

fn methods(fields: &Fields<'_>) -> MethodSet {
    if !fields.has("methods") {
        return MethodSet::ALL;
    }
    let filed = fields.list::<Method>("methods", "HTTP methods in capitals");
    filed.into_iter().fold(MethodSet::none(), |set, (method, _)| set.and(&method.0).unwrap_or(set))
}

fn max_age_s(fields: &Fields<'_>) -> Option<u32> {
    let minutes = fields.number("max_age_minutes", 0, 1..=1440);
    u32::try_from(minutes * 60).ok().filter(|seconds| *seconds > 0)
}

fn deadlines(fields: Fields<'_>) -> Deadlines {
    let usual = Deadlines::default();
    let ms = |key, default: u32, range: RangeInclusive<u64>| {
        u32::try_from(fields.number(key, u64::from(default), range)).unwrap_or(default)
    };
    let deadlines = Deadlines {
        connect_ms: ms("connect_ms", usual.connect_ms, 1..=60_000),
        first_byte_ms: ms("first_byte_ms", usual.first_byte_ms, 1..=600_000),
        idle_ms: ms("idle_ms", usual.idle_ms, 1..=600_000),
        total_ms: ms("total_ms", usual.total_ms, 1..=3_600_000),
    };
    fields.finish();
    deadlines
}

fn fallback(fields: &Fields<'_>) -> Fallback {
    let filed = fields.list::<FallbackWord>("fallback", "unhealthy or suspended");
    let has = |word| filed.iter().any(|(filed, _)| *filed == word);
    Fallback { unhealthy: has(FallbackWord::Unhealthy), suspended: has(FallbackWord::Suspended) }
}

/// The most that an item of the route asks for.
fn least_assurance(matches: &Matches, asked: &Asked<'_>) -> Assurance {
    let Matches::Items { codes, .. } = matches else { return Assurance::L1 };
    let items = codes.iter().filter_map(|code| asked.known.items.find(*code));
    items.map(|item: &Item| item.assurance).max().unwrap_or(Assurance::L1)
}

fn warn_of_weak_access(fields: &Fields<'_>, route: &Route, least: Assurance) {
    if route.access != Access::Required && fields.has("assurance") {
        let hint = "write `access = \"required\"`, or leave assurance out".to_owned();
        fields.warning(&fields.spot("assurance"), "no assurance where no session is required", Some(hint));
    }
    let given = if route.access == Access::Required { route.assurance } else { Assurance::L1 };
    if given < least && route.action == Action::Proxy {
        let hint = "file the items that ask for less as a route of their own".to_owned();
        let key = if fields.has("assurance") { "assurance" } else { "access" };
        fields.warning(
            &fields.spot(key),
            format!("access = \"required\" with {least}, as its items ask for"),
            Some(hint),
        );
    }
}

/// Stands in while the rest of a bad route is read, so that all its mistakes are told; never served.
fn nowhere() -> Matches {
    Matches::Items { codes: Box::default(), divisions: Box::default(), covers: Covers::Own }
}
