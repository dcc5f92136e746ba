//! A platform as the table serves it.

use std::sync::Arc;

use super::client::Client;
use super::divisions::Divisions;
use super::policy::Route;
use super::trust::Trust;
use crate::domain::{DivisionCode, Level, PlatformId, Uscc, Zone};

/// A back-end system with what of it is reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name in every table, header, metric and token.
    pub id: PlatformId,
    /// Its name for people, in Chinese.
    pub name: Box<str>,
    /// Its name for people, in English.
    pub name_en: Box<str>,
    /// Who owns it; `None` for the gateway itself.
    pub owner: Option<Uscc>,
    /// What it does, as filed.
    pub function: Box<str>,
    /// The division whose government answers for it.
    pub division: DivisionCode,
    /// The level of that division.
    pub level: Level,
    /// Whether it is served.
    pub state: PlatformState,
    /// Whether it may stand on the portal's own origin: its scripts could act as the person on every platform there.
    pub trusted: bool,
    /// Whether somebody vouched for it that it is run by a public body of the gateway's own authority. No code that an owner
    /// files says so by itself.
    pub authority: bool,
    /// Its instances.
    pub upstreams: Box<[Upstream]>,
    /// The attributes of a person that it was granted.
    pub attributes: Box<[Box<str>]>,
    /// Networks from which it may be reached.
    pub zones: Box<[Zone]>,
    /// Requests it may have at a time; `None`: as many as `limits.platform_inflight_max` says.
    pub inflight_max: Option<u32>,
    /// Who is sent to the instances marked `canary`; `None`: there is none.
    pub canary: Option<Canary>,
    /// How its instances are checked; `None`: only requests say whether they answer.
    pub health: Option<HealthCheck>,
    /// Its programs that sign people in through the gateway as OpenID Provider.
    pub clients: Box<[Client]>,
    /// What of it is reachable, and under which policy.
    pub routes: Arc<[Route]>,
}

impl Platform {
    /// Whether it belongs to the same authority as the gateway, which `authority` runs: somebody vouched for that, and its
    /// division is that one or lies below it. Any other needs a person's consent before something of them goes there.
    pub fn is_of(&self, authority: DivisionCode, divisions: &Divisions) -> bool {
        self.authority && divisions.is_within(self.division, authority)
    }
}

/// Whether a platform is served. Drafts and submitted filings never come into the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformState {
    /// Approved and not expired.
    Active,
    /// Taken off for a while: 503 with the notice.
    Suspended {
        /// Why and how long, for people.
        notice: Box<str>,
    },
    /// The filing ran out: 503 until it is renewed.
    Expired,
    /// Gone for good: 410.
    Retired,
}

impl PlatformState {
    /// The word of the metric `yimen_platforms` and of `probe`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended { .. } => "suspended",
            Self::Expired => "expired",
            Self::Retired => "retired",
        }
    }
}

/// Who meets a new version of a platform. Any of the three is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Of a hundred people, or addresses.
    pub share: u8,
    /// A header field in small letters, and its value.
    pub header: Option<(Box<str>, Box<str>)>,
    /// Divisions, with all below them, of service addresses.
    pub divisions: Box<[DivisionCode]>,
}

/// What each instance of a platform is asked now and then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthCheck {
    /// What is done.
    pub probe: Probe,
    /// Seconds from one check to the next (10).
    pub every_s: u32,
    /// Milliseconds for one check with connection and all (1000).
    pub timeout_ms: u32,
}

/// What a health check does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Probe {
    /// GET of this path, canonical and absolute; any 2xx is good.
    Http(Box<str>),
    /// A connection is good; nothing is said on it.
    Tcp,
}

/// One instance of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// `host:port`; an IPv6 address stands in brackets.
    pub address: Box<str>,
    /// Share of the requests, 1 to 100.
    pub weight: u16,
    /// Whether it is a new version on trial.
    pub canary: bool,
    /// Whether to speak TLS to it, its certificate verified.
    pub tls: bool,
    /// The name its certificate must bear; the host of the address unless filed otherwise.
    pub server_name: Box<str>,
    /// Whom we believe to be it and who we are to it; `None`: the system's authorities, and nobody.
    pub trust: Option<Arc<Trust>>,
    /// Whether to speak HTTP/2 to it.
    pub http2: bool,
}

impl Upstream {
    /// Whether both are reached at the same address in the same way, whatever share of the requests they get.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let of = |upstream: &Self| (upstream.tls, upstream.http2);
        of(self) == of(other)
            && self.address == other.address
            && self.server_name == other.server_name
            && self.trust == other.trust
    }
}
