//! The third step: which route answers, on which level, and where a person without a division is sent.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use super::admit::host_of;
use super::bulkhead::Place;
use super::canary;
use super::context::Visit;
use super::origins::{Asked, Belongs, Ground, ground};
use super::refusal::Refusal;
use super::standing::{Standing, Standings};
use crate::domain::{Level, Zone};
use crate::metrics::Metrics;
use crate::routing::{Action, Answer, Match, NoRoute, PlatformState, Route, RouteTable};

/// What the table says to an address.
pub(crate) enum Resolved {
    /// A platform is to be asked.
    Forward(Visit),
    /// The gateway answers by itself: portal, sign-in, keys.
    Gateway(Visit),
    /// `/s/{item}/…`: the address with the person's division put in.
    Redirect(String),
    /// A platform is to be asked, at this address.
    Elsewhere(Visit, String),
}

/// Finds the nearest platform that may answer now, climbing on where the route allows it and the method is safe.
pub(crate) fn resolve(
    header: &RequestHeader,
    table: &Arc<RouteTable>,
    zone: Zone,
    standings: &Standings,
    metrics: &Metrics,
    asked: Option<&Asked<'_>>,
    region: impl FnOnce() -> Option<String>,
) -> Result<Resolved, Refusal> {
    let path = header.uri.path();
    let host = asked.map_or_else(|| host_of(header), Asked::host);
    if let Some(own) = asked.and_then(|asked| asked.own)
        && table.platform(own).is_none()
    {
        return Err(Refusal::UnknownHost);
    }
    let first = match table.find(host, path) {
        Answer::Route(found) => found,
        Answer::NeedsDivision { .. } => return Ok(Resolved::Redirect(redirect(header, asked, region))),
        Answer::NoRoute(reason) => return Err(no_route(&reason)),
    };
    let safe = matches!(header.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut refused = None;
    let mut candidate = Some(first);
    while let Some(found) = candidate {
        let standing = standings.of(found.platform);
        match fit(&found, zone, &standing, &header.method) {
            Ok(()) => {
                let place = match asked {
                    Some(asked) => asked.place(&found, target(header))?,
                    None => Belongs::Here(ground(found.route)),
                };
                return Ok(resolved(table, &found, standing, metrics, place));
            }
            Err(refusal) if safe && falls_back(found.route, &refusal) => {
                candidate = table.above(&found);
                refused.get_or_insert(refusal);
            }
            Err(refusal) => return Err(refused.unwrap_or(refusal)),
        }
    }
    Err(refused.unwrap_or(Refusal::NoInstance))
}

fn resolved(
    table: &Arc<RouteTable>,
    found: &Match<'_>,
    standing: Arc<Standing>,
    metrics: &Metrics,
    place: Belongs,
) -> Resolved {
    let gateway = found.route.action == Action::Gateway;
    let (ground, address) = match place {
        Belongs::Here(ground) => (ground, None),
        Belongs::Elsewhere(address) => (Ground::Shared, Some(address)),
    };
    if address.is_none() {
        count_climb(table, found, metrics);
    }
    let canary = found.platform.canary.as_ref();
    let visit = Visit {
        platform: found.platform.clone(),
        route_index: found.route_index,
        level: found.level,
        standing: Place::at(standing),
        session: None,
        assertion: None,
        quota: None,
        ground,
        upgrade: false,
        canary_division: canary.is_some_and(|canary| canary::tried_in(canary, found.asked, table.divisions())),
        canary: false,
        bodiless: false,
    };
    match address {
        Some(address) => Resolved::Elsewhere(visit, address),
        None if gateway => Resolved::Gateway(visit),
        None => Resolved::Forward(visit),
    }
}

/// A division that files its own items is answered by itself, so the usual case looks nothing up.
fn count_climb(table: &RouteTable, found: &Match<'_>, metrics: &Metrics) {
    let Some(asked) = found.asked.filter(|asked| *asked != found.platform.division) else { return };
    let from = table.divisions().find(asked).map_or(Level::Village, |division| division.level);
    if from != found.level {
        metrics.region_fallbacks.with_label_values(&[from.word(), found.level.word()]).inc();
    }
}

/// Whether this candidate can answer now.
fn fit(found: &Match<'_>, zone: Zone, standing: &Standing, method: &Method) -> Result<(), Refusal> {
    let text = |notice: &str| (!notice.is_empty()).then(|| notice.to_owned());
    if !found.platform.zones.contains(&zone) {
        return Err(Refusal::NoRoute); // as if it were not filed: another network's platforms are nobody's business here
    }
    match &found.platform.state {
        PlatformState::Active => {}
        PlatformState::Suspended { notice } => return Err(Refusal::Suspended(text(notice))),
        PlatformState::Expired => return Err(Refusal::Expired),
        PlatformState::Retired => return Err(Refusal::Gone(None)),
    }
    match &found.route.action {
        Action::Gone { notice } => Err(Refusal::Gone(text(notice))),
        Action::Maintenance { notice, retry_after_s } => Err(Refusal::Maintenance(text(notice), *retry_after_s)),
        _ if !found.route.methods.allows(method.as_str()) => {
            Err(Refusal::MethodNotAllowed(found.route.methods.to_string()))
        }
        Action::Proxy if found.route.fallback.unhealthy && !standing.is_healthy() => Err(Refusal::NoInstance),
        _ => Ok(()),
    }
}

fn falls_back(route: &Route, refusal: &Refusal) -> bool {
    match refusal {
        Refusal::NoInstance => route.fallback.unhealthy,
        Refusal::Suspended(_) => route.fallback.suspended,
        _ => false,
    }
}

fn no_route(reason: &NoRoute) -> Refusal {
    match reason {
        NoRoute::UnknownHost => Refusal::UnknownHost,
        NoRoute::NoPath => Refusal::NoRoute,
        NoRoute::UnknownItem => Refusal::UnknownItem,
        NoRoute::UnknownDivision => Refusal::UnknownDivision,
        NoRoute::NotHandled { .. } => Refusal::NotHandled,
    }
}

/// Path and query.
pub(crate) fn target(header: &RequestHeader) -> &str {
    header.uri.path_and_query().map_or("/", |target| target.as_str())
}

/// `/s/{item}/rest?query` → `/s/{region}/{item}/rest?query`, or the region picker, which comes back here. The region is known
/// on the portal's origin only.
fn redirect(header: &RequestHeader, asked: Option<&Asked<'_>>, region: impl FnOnce() -> Option<String>) -> String {
    let target = target(header);
    if let Some(asked) = asked.filter(|asked| asked.own.is_some()) {
        return asked.origins.at_portal(target);
    }
    match (region(), target.strip_prefix("/s/")) {
        (Some(region), Some(rest)) => format!("/s/{region}/{rest}"),
        _ => format!("/region?return_to={}", super::return_to(target)),
    }
}
