//! What a sign-in is for: the page to come back to, and what its route asks for. It travels in the address and in the forms, so that
//! each tab keeps its own. Nothing here is believed: the gateway asks again when the person is back.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::{Assurance, Timestamp};
use crate::portal::return_to::ReturnTo;
use crate::session::Session;

/// As it came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::portal) struct WantedFields {
    pub(in crate::portal) return_to: String,
    pub(in crate::portal) assurance: String,
    pub(in crate::portal) max_age: String,
    /// Somebody who is signed in wants to be somebody else.
    pub(in crate::portal) other: String,
}

/// As it is used.
#[derive(Clone, Debug)]
pub(in crate::portal) struct Wanted {
    pub(in crate::portal) return_to: ReturnTo,
    pub(in crate::portal) assurance: Option<Assurance>,
    pub(in crate::portal) max_age_s: Option<u32>,
    pub(in crate::portal) other: bool,
}

impl From<WantedFields> for Wanted {
    fn from(fields: WantedFields) -> Self {
        Self {
            return_to: ReturnTo::parse(&fields.return_to),
            assurance: fields.assurance.parse().ok(),
            max_age_s: fields.max_age.parse().ok(),
            other: !fields.other.is_empty(),
        }
    }
}

impl Wanted {
    /// Whether a route asked for something that a session may lack.
    pub(in crate::portal) fn asks(&self) -> bool {
        self.assurance.is_some() || self.max_age_s.is_some()
    }

    pub(in crate::portal) fn least(&self) -> Assurance {
        self.assurance.unwrap_or(Assurance::L1)
    }

    pub(in crate::portal) fn max_age(&self) -> Option<Duration> {
        self.max_age_s.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// Whether the session has it already.
    pub(in crate::portal) fn is_met(&self, session: &Session, now: Timestamp) -> bool {
        session.proves(self.least(), self.max_age(), now)
    }

    pub(in crate::portal) fn assurance_word(&self) -> &'static str {
        self.assurance.map_or("", Assurance::word)
    }

    pub(in crate::portal) fn max_age_text(&self) -> String {
        self.max_age_s.map_or_else(String::new, |seconds| seconds.to_string())
    }

    /// A page of the sign-in for the same purpose.
    pub(in crate::portal) fn at(&self, path: &str) -> ReturnTo {
        let mut address = format!("{path}?return_to={}", self.return_to.in_query());
        if let Some(assurance) = self.assurance {
            address += &format!("&assurance={assurance}");
        }
        if let Some(max_age) = self.max_age_s {
            address += &format!("&max_age={max_age}");
        }
        if self.other {
            address += "&other=yes";
        }
        ReturnTo::parse(&address)
    }
}
