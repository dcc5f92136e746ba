//! Who may do what to what is in force: the whole effect of a step is judged, before and after, by one function for every step.
//! Shape: `Effect` (divisions, the document that would serve, the stop that ends) ── `judge` ──▶ nothing, or what is missing.
//! deploy/RIGHTS.md is this as a table, and a test walks it. Fails: `RegisterError::Forbidden`, with the object that the caller
//! has no right on. Knows: domain, routing; no store and no clock.

use super::error::RegisterError;
use super::rights::{Object, Right, may};
use crate::domain::{Actor, DivisionCode, PlatformId};
use crate::routing::{Divisions, Platform};

/// What of a document reaches beyond the platform's own division: whoever puts it into force must answer for all whom it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extraordinary {
    /// Its scripts run on the portal's own origin, where everybody's account page is.
    Trusted,
    /// It counts as the gateway's own authority: people are not asked before their attributes go there.
    Authority,
    /// It learns of people more than their name, wherever they are from.
    Attributes,
}

impl Extraordinary {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Trusted, Self::Authority, Self::Attributes];

    /// The word of the table and of refusals.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Authority => "authority",
            Self::Attributes => "attributes",
        }
    }

    /// Whether a platform has it.
    pub fn is_of(self, platform: &Platform) -> bool {
        match self {
            Self::Trusted => platform.trusted,
            Self::Authority => platform.authority,
            Self::Attributes => platform.attributes.iter().any(|attribute| **attribute != *"name"),
        }
    }

    /// Whom it reaches: people belong to no division, so all of these are country-wide.
    pub fn reaches(self) -> DivisionCode {
        DivisionCode::NATION
    }

    /// What it is, in a refusal.
    fn told(self) -> &'static str {
        match self {
            Self::Trusted => "the portal's own origin (`trusted = true`)",
            Self::Authority => "people's attributes without their consent (`authority = true`)",
            Self::Attributes => "attributes of people beyond their name (`attributes`)",
        }
    }
}

/// What a step does to what is in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect<'a> {
    /// The right that the step takes.
    pub(super) right: Right,
    /// Whose filing it is.
    pub(super) platform: &'a PlatformId,
    /// Its division before.
    pub(super) before: DivisionCode,
    /// The document that would serve afterwards; `None`: nothing would.
    pub(super) serves: Option<&'a Platform>,
    /// The division of whoever made the stop that ends by it.
    pub(super) stopped_by: Option<DivisionCode>,
}

/// Whether `actor` may do all of it: in the division that the filing has, in the one that it would have, for everybody whom an
/// extraordinary property reaches, and against whoever stopped it.
pub(super) fn judge(effect: &Effect<'_>, actor: &Actor, divisions: &Divisions) -> Result<(), RegisterError> {
    let Effect { right, platform, before, serves, stopped_by } = *effect;
    let must = |division: DivisionCode, what: &dyn Fn() -> String| {
        if may(actor, right, Object { division, platform: Some(platform) }, divisions) {
            return Ok(());
        }
        Err(RegisterError::forbidden(actor, right, what()))
    };
    let filing = |division: DivisionCode| move || format!("platform {platform} of division {division}");
    must(before, &filing(before))?;
    if let Some(after) = serves {
        must(after.division, &filing(after.division))?;
        let extraordinary = Extraordinary::ALL.into_iter().filter(|property| property.is_of(after));
        for property in extraordinary {
            must(property.reaches(), &|| format!("{}, which is the nation's", property.told()))?;
        }
    }
    match stopped_by {
        Some(stop) => must(stop, &|| format!("what division {stop} stopped; that one or one above it lifts the stop")),
        None => Ok(()),
    }
}
