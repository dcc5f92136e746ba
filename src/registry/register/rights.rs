//! Who may do what, by role and subtree: a city's operator cannot touch another city, a province's can touch all its cities,
//! a platform its own filing alone.

pub(super) use crate::domain::Right;
use crate::domain::{Actor, DivisionCode, PlatformId, Role};
use crate::routing::Divisions;

/// What a right is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// The division it belongs to.
    pub division: DivisionCode,
    /// The platform, where it is one's.
    pub platform: Option<&'a PlatformId>,
}

/// Whether `actor` has `right` on `object`.
pub fn may(actor: &Actor, right: Right, object: Object<'_>, divisions: &Divisions) -> bool {
    let within = divisions.is_within(object.division, actor.division);
    let own = match actor.role {
        Role::Platform => actor.platform.is_some() && actor.platform.as_ref() == object.platform,
        Role::Operator | Role::Auditor | Role::Viewer => true,
    };
    right.is_of(actor.role) && within && own
}

/// An object of the nation's, for rights that are asked for no filing.
pub const NATION: Object<'static> = Object { division: DivisionCode::NATION, platform: None };
