//! What every call on the register brings along.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Actor, DivisionCode, PlatformId, Timestamp, Uscc};
use crate::registry::FilingState;

/// Counts the changes of one filing, from 1; the ETag of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What the caller believes to be changing. Whether it must believe anything (428) is for the API to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there.
    #[default]
    Any,
    /// Nothing: the filing is a new one (`If-None-Match: *`).
    Absent,
    /// This version (`If-Match`).
    Version(Version),
}

/// A call that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Who asks.
    pub actor: &'a Actor,
    /// The id under which our log knows the request; goes into the record.
    pub request_id: &'a str,
    /// Now.
    pub now: Timestamp,
    /// The version that is to be changed.
    pub expected: Expected,
    /// Everything is checked and answered as it would be, and nothing is changed.
    pub dry_run: bool,
}

/// Which filings to list; all that are asked for must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this division and all below it.
    pub division: Option<DivisionCode>,
    /// In this state.
    pub state: Option<FilingState>,
    /// Of this owner.
    pub owner: Option<Uscc>,
}

/// Part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// In order.
    pub entries: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<C>,
}

/// The most entries of one page.
pub const PAGE_MAX: u16 = 500;

/// Filings, by platform.
pub type FilingPage = Page<super::view::Summary, PlatformId>;
/// Changes of one filing, newest first.
pub type HistoryPage = Page<super::view::Change, Version>;
