//! Texts of a filing that can only hold what may stand there.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::Serialize;

use crate::routing::{BadWord, MethodSet};

/// Where a filing stands on its way: draft → submitted → approved ⇄ suspended → retired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FilingState {
    /// Being written; not served.
    Draft,
    /// Waiting for review; not served.
    Submitted,
    /// Served until it expires.
    Approved,
    /// Taken off for a while: 503.
    Suspended,
    /// Gone for good: 410.
    Retired,
}

impl FilingState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Submitted, Self::Approved, Self::Suspended, Self::Retired];

    /// The word in filings, API and table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }

    /// Whether it has been approved once, so that number, approval date and expiry must be there.
    pub fn was_approved(self) -> bool {
        matches!(self, Self::Approved | Self::Suspended | Self::Retired)
    }
}

impl fmt::Display for FilingState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for FilingState {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        match text {
            "draft" => Ok(Self::Draft),
            "submitted" => Ok(Self::Submitted),
            "approved" => Ok(Self::Approved),
            "suspended" => Ok(Self::Suspended),
            "retired" => Ok(Self::Retired),
            _ => Err(BadWord { word: text.to_owned(), expected: "draft, submitted, approved, suspended or retired" }),
        }
    }
}

/// What a route does, as written; notices come in other fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActionWord {
    Proxy,
    Gone,
    Maintenance,
}

impl FromStr for ActionWord {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        match text {
            "proxy" => Ok(Self::Proxy),
            "gone" => Ok(Self::Gone),
            "maintenance" => Ok(Self::Maintenance),
            _ => Err(BadWord { word: text.to_owned(), expected: "proxy, gone or maintenance" }),
        }
    }
}

/// When the next one up may answer, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FallbackWord {
    Unhealthy,
    Suspended,
}

impl FromStr for FallbackWord {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        match text {
            "unhealthy" => Ok(Self::Unhealthy),
            "suspended" => Ok(Self::Suspended),
            _ => Err(BadWord { word: text.to_owned(), expected: "unhealthy or suspended" }),
        }
    }
}

/// A text that does not fit; the sentence says what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadText(&'static str);

impl fmt::Display for BadText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

/// One HTTP method, in capitals.
#[derive(Clone, Debug)]
pub(super) struct Method(pub(super) String);

impl FromStr for Method {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let known = MethodSet::none().and(text).map(|_| Self(text.to_owned()));
        known.ok_or(BadText("write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS"))
    }
}

/// One line for people: 1 to 500 characters, no control characters.
#[derive(Clone, Debug)]
pub(super) struct Line(pub(super) Box<str>);

impl FromStr for Line {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let text = text.trim();
        match (text.is_empty() || text.chars().any(char::is_control), text.chars().count()) {
            (false, ..=500) => Ok(Self(text.into())),
            _ => Err(BadText("write 1 to 500 characters in one line")),
        }
    }
}

/// Name of an attribute of a person.
#[derive(Clone, Debug)]
pub(super) struct Attribute(pub(super) Box<str>);

impl FromStr for Attribute {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let shaped =
            (1..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if shaped { Ok(Self(text.into())) } else { Err(BadText("write 1 to 40 of a-z and _, such as `name`")) }
    }
}

/// The name of a file that lies beside others of its platform; no folder can be left with it.
#[derive(Clone, Debug)]
pub(super) struct FileName(pub(super) String);

impl FromStr for FileName {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let shaped = (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.');
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err(BadText("write the name of a file in tls/ and the platform's id, no path"))
        }
    }
}

/// A header field and the value it must have.
#[derive(Clone, Debug)]
pub(super) struct HeaderIs {
    pub(super) name: Box<str>,
    pub(super) value: Box<str>,
}

impl FromStr for HeaderIs {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bad = BadText("write `name: value`, the name in small letters and hyphens");
        let (name, value) = text.split_once(": ").ok_or(bad)?;
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let shaped = (1..=60).contains(&name.len()) && name.bytes().all(named);
        let valued = (1..=100).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        if shaped && valued { Ok(Self { name: name.into(), value: value.into() }) } else { Err(bad) }
    }
}

/// A host in lower case: a DNS name or an IP address.
#[derive(Clone, Debug)]
pub(super) struct Host(pub(super) Box<str>);

impl FromStr for Host {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let six = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let shaped = six.map_or_else(|| is_name(text), |inner| inner.parse::<Ipv6Addr>().is_ok());
        if shaped {
            Ok(Self(text.into()))
        } else {
            Err(BadText("write a host name in lower case, without port or path"))
        }
    }
}

fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Where an instance listens.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) whole: Box<str>,
    pub(super) host: Box<str>, // an IPv6 address without its brackets
    pub(super) port: u16,
}

impl FromStr for Address {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let bad = BadText("write host:port, such as 10.1.2.3:8080 or [::1]:8080");
        let (host, port) = text.rsplit_once(':').ok_or(bad)?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit()); // parse() would take "+80"
        let port: u16 = port.parse().map_err(|_| bad)?;
        let host: Host = host.parse().map_err(|_| bad)?;
        if port == 0 || !digits {
            return Err(bad);
        }
        Ok(Self { whole: text.into(), host: host.0.trim_matches(['[', ']']).into(), port })
    }
}

/// An absolute path in the one form that the gateway compares: what a request has after its own path was made canonical.
#[derive(Clone, Debug)]
pub(super) struct CanonicalPath(pub(super) Box<str>);

const PATH_BYTES_MAX: usize = 256; // longest filed path; addresses below a prefix may be longer
const SEGMENTS_MAX: usize = 16; // bounds the look-ups of one address

impl FromStr for CanonicalPath {
    type Err = BadText;

    fn from_str(text: &str) -> Result<Self, BadText> {
        let inner = text.strip_prefix('/').ok_or(BadText("begin it with a slash"))?;
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
        if text.len() > PATH_BYTES_MAX || inner.split('/').count() > SEGMENTS_MAX {
            return Err(BadText("write at most 256 bytes and 16 segments"));
        }
        if !text.bytes().all(allowed) {
            return Err(BadText("write letters, digits and -._~!$&'()*+,;=:@ only, no query and nothing with %"));
        }
        if text != "/" && inner.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(BadText("leave out empty segments, `.` and `..`"));
        }
        Ok(Self(text.into()))
    }
}

/// A host as filed; `Err`: what to write.
pub(super) fn host(text: &str) -> Result<String, String> {
    text.parse::<Host>().map(|host| host.0.into()).map_err(|error| error.to_string())
}

/// A path as filed; `Err`: what to write.
pub(super) fn path(text: &str) -> Result<String, String> {
    text.parse::<CanonicalPath>().map(|path| path.0.into()).map_err(|error| error.to_string())
}

/// One line for people; `Err`: what to write.
pub(super) fn line(text: &str) -> Result<String, String> {
    text.parse::<Line>().map(|line| line.0.into()).map_err(|error| error.to_string())
}
