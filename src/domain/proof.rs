//! One proof of who somebody is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Assurance, Timestamp};

/// How sure one proof made us, by what, and when. Assurance rises by a proof and by nothing else, and it ages with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How sure it makes us.
    pub assurance: Assurance,
    /// RFC 8176 method names, such as `pwd`, `otp`.
    pub methods: Vec<String>,
    /// When it was given.
    pub at: Timestamp,
}

impl Proof {
    /// Whether it is enough for a route that asks for `needed`, proven no longer than `max_age` ago.
    pub fn meets(&self, needed: Assurance, max_age: Option<Duration>, now: Timestamp) -> bool {
        self.assurance >= needed && max_age.is_none_or(|max_age| now.since(self.at) <= max_age)
    }
}
