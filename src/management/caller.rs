//! Who calls: a token, or a client certificate that the settings name. A call that shows a token is the token's, whatever
//! certificate the connection has; an operator's has both, of one person, where two factors are asked for.

use std::collections::HashMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use uuid::Uuid;

use super::fault::Fault;
use crate::config::CertificateCaller;
use crate::domain::{Actor, Credential, DivisionCode, Link, PrincipalId, Right, Role, Timestamp};
use crate::identity::Tokens;
use crate::metrics::Metrics;

/// SHA-256 of the certificate that a connection showed, in DER; the listener puts it beside the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub [u8; 32]);

/// Whoever calls, as far as what they showed says.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    /// Rights that what they showed is limited to; none: all that the role has.
    pub(super) scope: Vec<Right>,
    pub(super) shown: Shown,
}

/// What a caller showed.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Token { id: Uuid, expires_at: Timestamp },
    Certificate,
}

impl Caller {
    /// Whether role and scope have `right` at all; for which divisions is another question.
    pub(super) fn has(&self, right: Right) -> bool {
        right.is_of(self.actor.role) && (self.scope.is_empty() || self.scope.contains(&right))
    }

    /// When what it showed ends; `None`: a certificate, which the settings end.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        match self.shown {
            Shown::Token { expires_at, .. } => Some(expires_at),
            Shown::Certificate => None,
        }
    }

    /// The same, who showed the key of a certificate named for the same principal as well.
    fn certified(mut self) -> Self {
        self.actor.lineage = self.actor.lineage.certified();
        self
    }

    /// All rights it has somewhere; nodes are the nation's alone.
    pub(super) fn rights(&self) -> Vec<Right> {
        let has_place = |right: &Right| *right != Right::Administer || self.actor.division == DivisionCode::NATION;
        Right::ALL.into_iter().filter(|right| self.has(*right)).filter(has_place).collect()
    }

    /// `Err`: names the right that is missing, whatever it is asked for.
    pub(super) fn must_have(&self, right: Right) -> Result<(), Fault> {
        if self.has(right) {
            return Ok(());
        }
        let hint = if right.is_of(self.actor.role) {
            "it was issued for fewer rights than its role has; ask for another"
        } else {
            "another role has it"
        };
        Err(Fault::Forbidden { right, principal: self.actor.principal.clone(), object: "anything".to_owned(), hint })
    }
}

/// All that may call.
#[derive(Clone, Debug)]
pub(super) struct Callers {
    tokens: Tokens,
    certificates: HashMap<[u8; 32], CertificateCaller>,
    operators_two_factors: bool,
}

impl Callers {
    pub(super) fn new(tokens: Tokens, certificates: &[CertificateCaller], operators_two_factors: bool) -> Self {
        let certificates = certificates.iter().map(|caller| (caller.fingerprint, caller.clone())).collect();
        Self { tokens, certificates, operators_two_factors }
    }

    /// Who calls. One look-up by hash for any token, right or wrong.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        certificate: Option<PeerCertificate>,
        metrics: &Metrics,
        now: Timestamp,
    ) -> Result<Caller, Fault> {
        let admitted = match (headers.get(AUTHORIZATION), certificate) {
            (Some(shown), _) => self.by_token(shown.as_bytes(), now).await,
            (None, Some(certificate)) => self.by_certificate(certificate),
            (None, None) => Err(Fault::NoCredentials),
        };
        let admitted = admitted.and_then(|caller| self.surely(self.rooted(caller)?, certificate));
        let result = match &admitted {
            Ok(Caller { shown: Shown::Token { .. }, .. }) => "token",
            Ok(Caller { shown: Shown::Certificate, .. }) => "certificate",
            Err(Fault::NoCredentials) => "none",
            Err(Fault::Identity(_)) => "unknown",
            Err(_) => "refused",
        };
        metrics.management_callers.with_label_values(&[result]).inc();
        admitted
    }

    async fn by_token(&self, shown: &[u8], now: Timestamp) -> Result<Caller, Fault> {
        let text = std::str::from_utf8(shown).unwrap_or_default();
        // RFC 9110 section 11.1: the scheme in any case.
        let (scheme, shown) = text.split_once(' ').unwrap_or((text, ""));
        let token = if scheme.eq_ignore_ascii_case("bearer") { shown.trim() } else { "" };
        let found = self.tokens.admit(token, now).await?.ok_or(Fault::TokenRefused)?;
        let shown = Shown::Token { id: found.id, expires_at: found.expires_at };
        Ok(Caller { actor: found.actor, scope: found.scope, shown })
    }

    /// A token that came through a certificate opens as long as the settings name that one.
    fn rooted(&self, caller: Caller) -> Result<Caller, Fault> {
        let named = |link: &Link| match link.credential {
            Credential::Certificate(fingerprint) => self.certificates.contains_key(&fingerprint),
            _ => true,
        };
        if caller.actor.lineage.issuers().iter().all(named) { Ok(caller) } else { Err(Fault::TokenRefused) }
    }

    /// Whether the settings name a certificate for a principal, in any letters.
    pub(super) fn names(&self, principal: &PrincipalId) -> bool {
        self.certificates.values().any(|named| named.actor.principal.is_same(principal))
    }

    /// An operator who changes what a region's people are sent to is known by two things that nobody loses at once: a token, and the
    /// key of a certificate that is named for the same person in the same role.
    fn surely(&self, caller: Caller, certificate: Option<PeerCertificate>) -> Result<Caller, Fault> {
        let named = certificate.and_then(|PeerCertificate(fingerprint)| self.certificates.get(&fingerprint));
        let same = |named: &CertificateCaller| {
            named.actor.role == caller.actor.role && named.actor.principal == caller.actor.principal
        };
        let both = matches!(caller.shown, Shown::Token { .. }) && named.is_some_and(same);
        match (both, self.operators_two_factors && caller.actor.role == Role::Operator) {
            (true, _) => Ok(caller.certified()),
            (false, false) => Ok(caller),
            (false, true) => Err(Fault::SecondFactorNeeded(caller.actor.principal)),
        }
    }

    fn by_certificate(&self, PeerCertificate(fingerprint): PeerCertificate) -> Result<Caller, Fault> {
        let known = self.certificates.get(&fingerprint).ok_or(Fault::CertificateUnknown)?;
        Ok(Caller { actor: known.actor.clone(), scope: known.scope.clone(), shown: Shown::Certificate })
    }
}
