//! An origin for each platform: which host is whose, and where an address belongs. Platforms do not trust one another, so a
//! script of one must not stand where another, or the portal, answers.
//! Shape: host ── `Origins::asked` ──▶ `Asked` ── `place`, for a route of the table ──▶ here, elsewhere, or nowhere.
//! Cost: one compare of the host's end, and only where `public.platform_domain` is set. Allocates only to send elsewhere.

use std::time::Duration;

use http::HeaderValue;
use pingora::http::RequestHeader;

use super::admit::host_of;
use super::refusal::Refusal;
use crate::config::PublicConfig;
use crate::domain::{PlatformDomain, PlatformId};
use crate::portal::CONTENT_SECURITY_POLICY;
use crate::routing::{Action, Match, Matches, Route};

/// Beginning of the paths on a platform's host that the gateway keeps for itself.
const RESERVED: &str = "/.yimen/";

/// The origins of an installation.
#[derive(Clone, Debug)]
pub struct Origins {
    domain: PlatformDomain,
    /// Scheme, host and port of the portal.
    shared: String,
    scheme: &'static str,
    /// With its colon, or empty.
    port: String,
    /// By this host the table is asked for what a platform's own host answers.
    portal_host: String,
    /// Of the portal's pages: their forms may lead on to a platform's origin.
    pub(crate) policy: Option<HeaderValue>,
    pub(crate) ticket_life: Duration,
}

/// Whose cookies and scripts a route's pages live among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// The portal's origin, with the portal and all platforms mounted there.
    Shared,
    /// The platform's own host below `platform_domain`.
    Own,
    /// A host that the filing names.
    Filed,
}

/// Where a request was sent to.
pub(crate) struct Asked<'a> {
    pub(crate) origins: &'a Origins,
    /// The platform whose host it is, if it is one of a platform.
    pub(crate) own: Option<&'a str>,
    host: &'a str,
}

/// Where an address belongs.
pub(crate) enum Belongs {
    Here(Ground),
    /// The right address.
    Elsewhere(String),
}

impl Origins {
    /// `None` when no `platform_domain` is set.
    pub fn of(public: &PublicConfig) -> Option<Self> {
        let domain = public.platform_domain.clone()?;
        let origin: http::Uri = public.origin.parse().ok()?;
        let scheme = if origin.scheme_str() == Some("http") { "http" } else { "https" };
        let port = origin.port().map_or_else(String::new, |port| format!(":{port}"));
        let wider = format!("form-action 'self' {scheme}://*.{domain}{port}");
        let policy = CONTENT_SECURITY_POLICY.replace("form-action 'self'", &wider);
        Some(Self {
            portal_host: public.hosts.first()?.clone(),
            shared: public.origin.clone(),
            policy: HeaderValue::from_str(&policy).ok(),
            ticket_life: public.ticket_life,
            domain,
            scheme,
            port,
        })
    }

    /// Whose host a request names. Call it after `admit`.
    pub(crate) fn asked<'a>(&'a self, header: &'a RequestHeader) -> Asked<'a> {
        let host = host_of(header);
        Asked { origins: self, own: self.domain.platform_of(host), host }
    }

    /// Whether `host` (lower case, without port) is a platform's own.
    pub(crate) fn is_own(&self, host: &str) -> bool {
        self.domain.platform_of(host).is_some()
    }

    /// Scheme, host and port of the portal.
    pub(crate) fn shared(&self) -> &str {
        &self.shared
    }

    /// `target` (path and query) on the portal's origin.
    pub(crate) fn at_portal(&self, target: &str) -> String {
        [&self.shared, target].concat()
    }

    /// `target` (path and query) on the platform's own origin.
    pub(crate) fn at_platform(&self, platform: &PlatformId, target: &str) -> String {
        [self.scheme, "://", platform.as_str(), ".", self.domain.as_str(), &self.port, target].concat()
    }

    /// The portal's host as the table knows it.
    pub(crate) fn portal_host(&self) -> &str {
        &self.portal_host
    }
}

impl<'a> Asked<'a> {
    /// The host to ask the table for: a platform's own host answers the paths it would answer on the portal's.
    pub(crate) fn host(&self) -> &'a str {
        if self.own.is_some() { &self.origins.portal_host } else { self.host }
    }

    /// Whether the gateway keeps this path of a platform's host for itself.
    pub(crate) fn reserves(&self, path: &str) -> bool {
        self.own.is_some() && path.starts_with(RESERVED)
    }

    /// Where the address of a route belongs. `Err`: our own pages, which no host of a platform shows.
    pub(crate) fn place(&self, found: &Match<'_>, target: &str) -> Result<Belongs, Refusal> {
        let ground = ground(found.route);
        if ground == Ground::Filed {
            return Ok(Belongs::Here(ground));
        }
        let platform = &found.platform.id;
        match (&found.route.action, self.own) {
            (Action::Gateway, None) => Ok(Belongs::Here(ground)),
            (Action::Gateway, Some(_)) => Err(Refusal::NoRoute),
            (_, None) if found.platform.trusted => Ok(Belongs::Here(ground)),
            (_, Some(_)) if found.platform.trusted => Ok(Belongs::Elsewhere(self.origins.at_portal(target))),
            (_, Some(own)) if own == platform.as_str() => Ok(Belongs::Here(Ground::Own)),
            _ => Ok(Belongs::Elsewhere(self.origins.at_platform(platform, target))),
        }
    }
}

/// Where a route answers as long as platforms have no origins of their own.
pub(crate) fn ground(route: &Route) -> Ground {
    match &route.matches {
        Matches::Path { host: Some(_), .. } => Ground::Filed,
        Matches::Path { host: None, .. } | Matches::Items { .. } => Ground::Shared,
    }
}
