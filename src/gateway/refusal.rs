//! Our no, with its reason: one closed list, from which status, code, page and problem document are made.

use super::rate::Quota;
use super::waiting_room::Wait;
use crate::domain::{Assurance, PlatformId, SubjectKind};
use crate::routing::Route;

/// What a route asks of whoever signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// The least assurance.
    pub(crate) assurance: Assurance,
    /// The longest age of its proof, in seconds.
    pub(crate) max_age_s: Option<u32>,
}

impl Needed {
    pub(crate) fn of(route: &Route) -> Self {
        Self { assurance: route.assurance, max_age_s: route.max_age_s }
    }

    /// As parameters behind others in an address of the sign-in; empty where any proof is enough.
    pub(crate) fn in_query(&self) -> String {
        let assurance = match self.assurance {
            Assurance::L1 => String::new(),
            assurance => format!("&assurance={assurance}"),
        };
        let max_age = self.max_age_s.map_or_else(String::new, |seconds| format!("&max_age={seconds}"));
        assurance + &max_age
    }

    /// As parameters of a challenge (RFC 9470 section 3).
    pub(crate) fn in_challenge(&self) -> String {
        let max_age = self.max_age_s.map_or_else(String::new, |seconds| format!(", max_age=\"{seconds}\""));
        format!("acr_values=\"{}\"{max_age}", self.assurance)
    }
}

/// Why the gateway itself answers instead of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No `Host`, two of them, or one with odd characters.
    BadHost,
    /// A host that is not ours.
    UnknownHost,
    /// A path without canonical form.
    BadPath,
    /// Path and query longer than `limits.url_bytes_max`.
    UrlTooLong,
    /// More header fields or bytes than `limits` allows.
    HeadersTooLarge,
    /// Something else the frame could not make sense of: a bad chunk, `Connection` naming what it must not.
    BadRequest,
    /// `Content-Length` that is a list, twice there, no number, or beyond 2^63.
    BadLength,
    /// Two cookies of the gateway's name, or one it never made.
    BadCookie,
    /// TRACE, TRACK, CONNECT, or a method the route does not list.
    MethodNotAllowed(String),
    /// Larger than the route takes.
    BodyTooLarge,
    /// The visitor stopped sending.
    BodyTimeout,
    /// Nothing has this address.
    NoRoute,
    /// No division of this code.
    UnknownDivision,
    /// No service item of this code.
    UnknownItem,
    /// Nobody handles the item there, up to the nation.
    NotHandled,
    /// More requests than a policy of `[[rate]]` allows.
    RateLimited(Box<Quota>),
    /// The platform withdrew it.
    Gone(Option<String>),
    /// Planned work: notice and seconds.
    Maintenance(Option<String>, u32),
    /// The platform is suspended.
    Suspended(Option<String>),
    /// The platform's filing ran out.
    Expired,
    /// The platform has an origin of its own: the right address.
    OtherOrigin(String),
    /// Something else than a browser on its way to a page, or no platform of ours, asks for a hand-over.
    HandoverRefused,
    /// One session asks for too many tickets.
    HandoversTooMany,
    /// A ticket that is unknown, used, too old, or another browser's: the page it was for.
    TicketRefused(String),
    /// Nobody is signed in.
    SignInNeeded,
    /// Signed in, and surely enough, but too long ago for this route.
    SignInAgain(Needed),
    /// Signed in, but not surely enough.
    AssuranceTooLow(Needed),
    /// The route is for this kind of subject, and the session speaks for another.
    WrongSubject(SubjectKind),
    /// The session acts for a legal person in a role that has ended.
    RoleEnded,
    /// The person has not said that this platform may learn about them what it has filed.
    ConsentNeeded(PlatformId),
    /// We do not know whether a role holds, or a consent was given.
    IdentityStoreAway,
    /// We do not know whether somebody is signed in.
    SessionStoreAway,
    /// No instance of the platform is fit.
    NoInstance,
    /// No instance could be reached.
    ConnectFailed,
    /// No instance could prove to be the platform.
    PlatformUntrusted,
    /// The platform did not answer in time.
    PlatformTimeout,
    /// The platform cut the connection.
    PlatformReset,
    /// The platform's answer is no clean HTTP.
    PlatformGarbled,
    /// More requests of this platform at a time than it may have.
    PlatformBusy,
    /// The same, and a person may wait for it.
    WaitingRoom(Box<Wait>),
    /// More requests at a time than `limits.inflight_max`.
    Overloaded,
    /// A fault of ours.
    Internal,
}

impl Refusal {
    /// HTTP status and the stable code of `Yimen-Error`, problem documents and metrics.
    pub(crate) fn status_and_code(&self) -> (u16, &'static str) {
        match self {
            Self::BadHost => (400, "bad-host"),
            Self::UnknownHost => (421, "unknown-host"),
            Self::BadPath => (400, "bad-path"),
            Self::UrlTooLong => (414, "url-too-long"),
            Self::HeadersTooLarge => (431, "headers-too-large"),
            Self::BadRequest => (400, "bad-request"),
            Self::BadLength => (400, "bad-length"),
            Self::BadCookie => (400, "bad-cookie"),
            Self::MethodNotAllowed(_) => (405, "method-not-allowed"),
            Self::BodyTooLarge => (413, "body-too-large"),
            Self::BodyTimeout => (408, "body-timeout"),
            Self::NoRoute => (404, "no-route"),
            Self::UnknownDivision => (404, "unknown-division"),
            Self::UnknownItem => (404, "unknown-item"),
            Self::NotHandled => (404, "not-handled"),
            Self::Gone(_) => (410, "gone"),
            Self::Maintenance(..) => (503, "maintenance"),
            Self::Suspended(_) => (503, "suspended"),
            Self::Expired => (503, "expired"),
            Self::OtherOrigin(_) => (421, "other-origin"),
            Self::HandoverRefused => (400, "handover-refused"),
            Self::HandoversTooMany => (429, "handovers-too-many"),
            Self::TicketRefused(_) => (403, "ticket-refused"),
            Self::RateLimited(_) => (429, "rate-limited"),
            Self::SignInNeeded => (401, "sign-in-needed"),
            Self::SignInAgain(_) => (401, "sign-in-again"),
            Self::AssuranceTooLow(_) => (403, "assurance-too-low"),
            Self::WrongSubject(_) => (403, "wrong-subject"),
            Self::RoleEnded => (403, "role-ended"),
            Self::ConsentNeeded(_) => (403, "consent-needed"),
            Self::IdentityStoreAway => (503, "identity-store-away"),
            Self::SessionStoreAway => (503, "session-store-away"),
            Self::NoInstance => (503, "no-instance"),
            Self::ConnectFailed => (502, "connect-failed"),
            Self::PlatformUntrusted => (502, "platform-untrusted"),
            Self::PlatformTimeout => (504, "platform-timeout"),
            Self::PlatformReset => (502, "platform-reset"),
            Self::PlatformGarbled => (502, "platform-garbled"),
            Self::PlatformBusy => (503, "platform-busy"),
            Self::WaitingRoom(_) => (503, "waiting-room"),
            Self::Overloaded => (503, "overloaded"),
            Self::Internal => (500, "internal"),
        }
    }

    /// Seconds after which another try makes sense, for the 503s (RFC 9110 section 10.2.3).
    pub(crate) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Maintenance(_, seconds) => Some(*seconds),
            Self::WaitingRoom(wait) => Some(wait.retry_s),
            Self::RateLimited(quota) => Some(u32::try_from(quota.reset_s).unwrap_or(u32::MAX)),
            Self::SessionStoreAway | Self::IdentityStoreAway | Self::Overloaded | Self::PlatformBusy => Some(5), // a blip is over by then
            Self::HandoversTooMany => Some(60), // the window of its counter
            Self::NoInstance => Some(10),       // the breaker tries again by then
            Self::Suspended(_) | Self::Expired => Some(3600), // somebody has to decide first
            _ => None,
        }
    }

    /// Whether signing in, or proving more or anew, helps.
    pub(crate) fn asks_to_sign_in(&self) -> bool {
        matches!(self, Self::SignInNeeded | Self::SignInAgain(_) | Self::AssuranceTooLow(_))
    }

    /// Whether the connection must end because nobody can say where the next request on it begins.
    pub(crate) fn closes(&self) -> bool {
        matches!(
            self,
            Self::BadHost
                | Self::BadPath
                | Self::UrlTooLong
                | Self::HeadersTooLarge
                | Self::BadRequest
                | Self::BadLength
                | Self::MethodNotAllowed(_) // a CONNECT's tunnel bytes would be read as the next request
                | Self::BodyTooLarge
                | Self::BodyTimeout
        )
    }

    /// What a filing says to people about it.
    pub(crate) fn notice(&self) -> Option<&str> {
        match self {
            Self::Gone(notice) | Self::Maintenance(notice, _) | Self::Suspended(notice) => notice.as_deref(),
            _ => None,
        }
    }
}
