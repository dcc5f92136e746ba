//! An API token, as it is listed and looked up.

use std::time::Duration;

use uuid::Uuid;

use super::{Actor, PrincipalId, Right, Timestamp};

/// What is known of a token, without what it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Version 7, so that tokens lie in order of issue. Names it in lists; opens nothing.
    pub id: Uuid,
    /// For whom it speaks, and through whom it was issued.
    pub actor: Actor,
    /// The rights it is for; none: all that the role has.
    pub scope: Vec<Right>,
    /// Who issued it.
    pub issued_by: PrincipalId,
    /// When.
    pub issued_at: Timestamp,
    /// It opens nothing from then on.
    pub expires_at: Timestamp,
    /// Who revoked it, and when.
    pub revoked: Option<(PrincipalId, Timestamp)>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

impl Token {
    /// The longest life: a year.
    pub const LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
    /// The life when nothing is said (90 days): long enough to plan its renewal, short enough that forgotten ones die.
    pub const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

    /// `active`, `expired` or `revoked`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.revoked {
            Some(_) => "revoked",
            None if self.expires_at <= now => "expired",
            None => "active",
        }
    }
}
