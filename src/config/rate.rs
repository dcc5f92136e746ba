//! How often somebody may ask: the policies of `[[rate]]`.

use std::str::FromStr;
use std::time::Duration;

use crate::domain::PlatformId;
use crate::written::Fields;

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RatePolicy {
    /// Its name in answers and metrics: a letter, then letters, digits and hyphens.
    pub name: Box<str>,
    /// Who or what is counted.
    pub by: RateKey,
    /// So many requests …
    pub requests: u32,
    /// … in this time, spread evenly …
    pub per: Duration,
    /// … of which so many may come at once (as many as `requests`).
    pub burst: u32,
    /// Whether all nodes count together, in the session store; each counts for itself otherwise (no: it costs a store call a
    /// request).
    pub shared: bool,
    /// What a shared policy does while the store does not answer (each node counts for itself).
    pub when_away: WhenAway,
    /// Platforms it is for (all).
    pub platforms: Vec<PlatformId>,
}

/// Who or what a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// The visitor's address; IPv6 by /64, which is one household.
    Address,
    /// The signed-in person, in all sessions; nobody who is not signed in.
    Person,
    /// The platform, for all visitors together.
    Platform,
    /// The service item of a service address, for all visitors together.
    Item,
}

/// What a shared policy does while the store does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenAway {
    /// Each node counts for itself.
    Local,
    /// Nobody is limited.
    Allow,
    /// Everybody whom the policy is for gets 503.
    Refuse,
}

impl FromStr for RateKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "address" => Self::Address,
            "person" => Self::Person,
            "platform" => Self::Platform,
            "item" => Self::Item,
            _ => return Err("no such word"),
        })
    }
}

impl FromStr for WhenAway {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        Ok(match text {
            "local" => Self::Local,
            "allow" => Self::Allow,
            "refuse" => Self::Refuse,
            _ => return Err("no such word"),
        })
    }
}

/// A name that is a token in answers and a label in metrics.
struct Name(Box<str>);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        (begins && text.len() <= 32 && text.bytes().all(good)).then(|| Self(text.into())).ok_or("not such a name")
    }
}

/// Reads one table; what is wrong is noted.
pub(super) fn policy(fields: Fields<'_>) -> Option<RatePolicy> {
    let name: Option<Name> = fields.required("name", "up to 32 small letters, digits and hyphens, a letter first");
    let by = fields.required("by", "address, person, platform or item");
    let requests = small(fields.number("requests", 1, 1..=1_000_000));
    let per = Duration::from_secs(fields.number("per_seconds", 60, 1..=86_400));
    let burst = small(fields.number("burst", requests.into(), 1..=1_000_000));
    let shared = fields.flag("shared", false);
    let when_away = fields.parsed("when_away", "local, allow or refuse").unwrap_or(WhenAway::Local);
    let platforms = fields.list("platforms", "ids of platforms").into_iter().map(|(id, _)| id).collect();
    if !fields.has("requests") {
        fields.mistake(&fields.spot("requests"), "how many requests in `per_seconds`", None);
    }
    let wrong = !fields.has("requests");
    fields.finish();
    (!wrong).then_some(())?;
    Some(RatePolicy { name: name?.0, by: by?, requests, per, burst, shared, when_away, platforms })
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
