//! A route: what it matches, and under which policy it is served.

use std::fmt;

use super::words::{Access, Covers, PathKind};
use crate::domain::{Assurance, DivisionCode, ItemCode, SubjectKind};

/// What of a platform is reachable, and under which policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What `probe` calls it; may be empty.
    pub name: Box<str>,
    /// The addresses it answers.
    pub matches: Matches,
    /// What happens to a request.
    pub action: Action,
    /// Methods it takes; others are answered 405.
    pub methods: MethodSet,
    /// Whom it lets in.
    pub access: Access,
    /// The least assurance, where a session is required.
    pub assurance: Assurance,
    /// The only kind of subject it serves, if it serves one only.
    pub subject: Option<SubjectKind>,
    /// How long ago the person may have proven who they are; `None` for as long as the session lives.
    pub max_age_s: Option<u32>,
    /// Longest request body.
    pub body_bytes_max: u64,
    /// How long its instances may take.
    pub deadlines: Deadlines,
    /// Whether an upgrade to WebSocket is passed on.
    pub websocket: bool,
    /// When the next platform up may answer instead.
    pub fallback: Fallback,
    /// Whether every request is put into the audit record.
    pub audit: bool,
}

impl Route {
    /// Longest request body unless filed otherwise: 10 MiB, a scanned document of some pages.
    pub const BODY_BYTES_MAX: u64 = 10 << 20;

    /// A route of `matches` and `action` with every default: all methods, sign-in required, L1, no WebSocket.
    pub fn new(matches: Matches, action: Action) -> Self {
        Self {
            name: Box::default(),
            matches,
            action,
            methods: MethodSet::ALL,
            access: Access::Required,
            assurance: Assurance::L1,
            subject: None,
            max_age_s: None,
            body_bytes_max: Self::BODY_BYTES_MAX,
            deadlines: Deadlines::default(),
            websocket: false,
            fallback: Fallback::default(),
            audit: false,
        }
    }
}

/// The addresses a route answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matches {
    /// Service addresses: each of the items for each of the divisions.
    Items {
        /// The items.
        codes: Box<[ItemCode]>,
        /// The divisions.
        divisions: Box<[DivisionCode]>,
        /// Whether it answers for what lies below them too.
        covers: Covers,
    },
    /// A path.
    Path {
        /// The host in lower case without port; `None` for the portal's hosts.
        host: Option<Box<str>>,
        /// Canonical and absolute; of a prefix, `/a/` and `/a` are the same.
        path: Box<str>,
        /// How it is compared.
        kind: PathKind,
    },
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is forwarded to an instance of the platform.
    Proxy,
    /// The gateway itself answers (portal, sign-in, keys).
    Gateway,
    /// 410 with the notice.
    Gone {
        /// What people should do instead.
        notice: Box<str>,
    },
    /// 503 with the notice.
    Maintenance {
        /// What is going on.
        notice: Box<str>,
        /// `Retry-After`, in seconds.
        retry_after_s: u32,
    },
}

/// How long an instance may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To accept a connection (1000: a lost SYN is sent once more after a second).
    pub connect_ms: u32,
    /// To the first byte of the answer (15000: what people wait before they press reload).
    pub first_byte_ms: u32,
    /// Between two reads or writes (60000).
    pub idle_ms: u32,
    /// For the whole exchange (60000); WebSocket is exempt.
    pub total_ms: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect_ms: 1000, first_byte_ms: 15_000, idle_ms: 60_000, total_ms: 60_000 }
    }
}

/// When the next platform up may answer instead, for safe methods only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// No instance is healthy.
    pub unhealthy: bool,
    /// The platform is suspended.
    pub suspended: bool,
}

/// A set of HTTP methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSet(u8);

// CONNECT and TRACE are no methods of a platform: one opens tunnels, the other shows headers to scripts.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl MethodSet {
    /// All seven.
    pub const ALL: Self = Self(0x7f);
    /// GET and HEAD.
    pub const READ: Self = Self(0x03);

    /// No method.
    pub const fn none() -> Self {
        Self(0)
    }

    /// This set and `method`; `None` when there is no such method. GET brings HEAD along (RFC 9110 section 9.1).
    #[must_use]
    pub fn and(self, method: &str) -> Option<Self> {
        let place = METHODS.iter().position(|known| *known == method)?;
        let bits = if method == "GET" { Self::READ.0 } else { 1 << place };
        Some(Self(self.0 | bits))
    }

    /// Whether `method` (capitals) is in the set.
    pub fn allows(self, method: &str) -> bool {
        METHODS.iter().enumerate().any(|(place, known)| *known == method && self.0 & (1 << place) != 0)
    }
}

impl fmt::Display for MethodSet {
    /// As the `Allow` header wants it: `GET, HEAD`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed: Vec<&str> = METHODS.into_iter().filter(|method| self.allows(method)).collect();
        out.write_str(&allowed.join(", "))
    }
}
