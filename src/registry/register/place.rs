//! Whether the places that a filing wants are free, reserved to it, and in nobody's light.

use super::error::RegisterError;
use super::rights::{Object, Right, may};
use super::view::Reservation;
use crate::domain::{Actor, DivisionCode, PlatformId, PrincipalId};
use crate::routing::{Divisions, Matches, Platform, PlatformState, Route, RouteTable, RoutingError};
use crate::store::ReservationRow;
use crate::written::{Mistake, Severity};

/// The table with a filing put in. A retired platform's places are free again: it leaves the table when somebody takes one.
pub(super) fn placed(table: &RouteTable, platform: &Platform) -> Result<RouteTable, RoutingError> {
    let mut table = table.clone();
    loop {
        let holder = match table.with(platform.clone()) {
            Ok(next) => return Ok(next),
            Err(RoutingError::Taken { holder, .. }) if holder != platform.id && is_retired(&table, &holder) => holder,
            Err(error) => return Err(error),
        };
        if platform.state == PlatformState::Retired {
            return Ok(table); // of two that are gone the first goes on saying so
        }
        table = table.without(&holder);
    }
}

fn is_retired(table: &RouteTable, id: &PlatformId) -> bool {
    table.platform(id.as_str()).is_some_and(|platform| platform.state == PlatformState::Retired)
}

/// Why the table cannot take a filing, as far as `actor` may know.
pub(super) fn refusal(error: RoutingError, actor: &Actor, table: &RouteTable, divisions: &Divisions) -> RegisterError {
    match error {
        RoutingError::Taken { route, place, holder, .. } => {
            let seen = is_seen(table, &holder, actor, divisions);
            RegisterError::PlaceTaken { route: Some(route), place, holder: seen.then_some(holder) }
        }
        other => {
            let pointer = other.route().map(|route| format!("/route/{route}")).unwrap_or_default();
            RegisterError::Invalid(vec![mistake(pointer, other.to_string(), Severity::Error)])
        }
    }
}

fn is_seen(table: &RouteTable, id: &PlatformId, actor: &Actor, divisions: &Divisions) -> bool {
    let division = table.platform(id.as_str()).map(|held| held.division);
    let object = |division| Object { division, platform: Some(id) };
    division.is_some_and(|division| may(actor, Right::Read, object(division), divisions))
}

/// The first path of a filing that is not reserved to it, for the division that it is filed for.
pub(super) fn unreserved(platform: &Platform, reserved: &[ReservationRow]) -> Option<RegisterError> {
    let stands = |row: &ReservationRow| row.approved_by.is_some() || is_own(&row.host, &row.prefix, platform.division);
    let covered = |route: &Route| {
        let Matches::Path { host, path, .. } = &route.matches else { return true };
        let host = host.as_deref().unwrap_or_default();
        reserved.iter().any(|row| row.host == host && is_below(path, &row.prefix) && stands(row))
    };
    let (route, wanted) = platform.routes.iter().enumerate().find(|(_, route)| !covered(route))?;
    let Matches::Path { host, path, .. } = &wanted.matches else { return None };
    let place = format!("path {path} on {}", host.as_deref().unwrap_or("the portal's hosts"));
    Some(RegisterError::NotReserved { route, place, platform: platform.id.clone() })
}

/// Whether a place is a division's own: on the portal's hosts, below its code. All other names are everybody's: to whom one of
/// them belongs no digit says, and two people vouch for it.
pub(super) fn is_own(host: &str, prefix: &str, division: DivisionCode) -> bool {
    host.is_empty() && is_below(prefix, &format!("/{division}"))
}

/// Whether a path lies at or below a prefix, on segments. The prefix has no slash at its end; the empty one is all.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A warning for each route that takes addresses from a shorter prefix of somebody else, who is named where `actor` may see them.
pub(super) fn shadows(table: &RouteTable, platform: &Platform, actor: &Actor, divisions: &Divisions) -> Vec<Mistake> {
    let shadow = |(route, place, holder): (usize, String, PlatformId)| {
        let seen = is_seen(table, &holder, actor, divisions);
        let whose = if seen { format!("platform {holder}") } else { "another platform".to_owned() };
        let told = format!("it takes {place} from {whose}, whose prefix is shorter");
        mistake(format!("/route/{route}/path"), told, Severity::Warning)
    };
    table.shadowed_by(platform).into_iter().map(shadow).collect()
}

pub(super) fn mistake(pointer: String, told: String, severity: Severity) -> Mistake {
    let key = pointer.trim_start_matches('/').replace('/', ".");
    let expected = "a place that is free".to_owned();
    let file = "filing".into();
    Mistake { file, line: 1, column: 1, key, pointer, got: told, expected, hint: None, severity }
}

/// What somebody asks to be reserved, in the form that is compared.
pub(super) struct Wanted {
    pub(super) host: String,
    pub(super) prefix: String,
}

impl Wanted {
    /// `Err`: it is no place.
    pub(super) fn of(host: Option<&str>, prefix: &str) -> Result<Self, RegisterError> {
        let bad = |pointer: &str, got: &str, error: String| {
            let got = got.chars().take(80).collect::<String>();
            RegisterError::Invalid(vec![Mistake {
                file: "reservation".into(),
                line: 1,
                column: 1,
                key: pointer.to_owned(),
                pointer: format!("/{pointer}"),
                got: format!("\"{got}\""),
                expected: "a host and a path prefix".to_owned(),
                hint: Some(error),
                severity: Severity::Error,
            }])
        };
        let host = match host {
            None | Some("") => String::new(),
            Some(text) => crate::registry::words::host(text).map_err(|error| bad("host", text, error))?,
        };
        let prefix = crate::registry::words::path(prefix).map_err(|error| bad("prefix", prefix, error))?;
        let prefix = prefix.trim_end_matches('/').to_owned();
        if host.is_empty() && (prefix.is_empty() || crate::registry::own::is_reserved(&prefix)) {
            return Err(bad("prefix", &prefix, "the gateway uses it itself; choose another first segment".to_owned()));
        }
        Ok(Self { host, prefix })
    }

    pub(super) fn of_row(row: &ReservationRow) -> Self {
        Self { host: row.host.clone(), prefix: row.prefix.clone() }
    }

    pub(super) fn place(&self) -> String {
        let host = if self.host.is_empty() { "the portal's hosts" } else { &self.host };
        let prefix = if self.prefix.is_empty() { "/" } else { &self.prefix };
        format!("path prefix {prefix} on {host}")
    }

    /// Whether a reservation and this one cannot both be, of two platforms.
    pub(super) fn overlaps(&self, row: &ReservationRow) -> bool {
        row.host == self.host && (is_below(&self.prefix, &row.prefix) || is_below(&row.prefix, &self.prefix))
    }
}

pub(super) fn reservation(row: ReservationRow) -> Option<Reservation> {
    Some(Reservation {
        host: (!row.host.is_empty()).then_some(row.host),
        prefix: if row.prefix.is_empty() { "/".to_owned() } else { row.prefix },
        platform: row.platform,
        reserved_by: row.reserved_by.parse::<PrincipalId>().ok()?,
        approved_by: row.approved_by.map(|by| by.parse()).transpose().ok()?,
        at: row.at,
    })
}
