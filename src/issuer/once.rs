//! What is good once: authorization codes and refresh tokens. Both begin with 256 random bits and end with a mark that only we can
//! make, so that one which is used or over can be told from one that somebody made up.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, Context};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Issuer;
use super::answer::Fault;
use super::grant::Grant;
use crate::domain::Timestamp;
use crate::session::SessionKey;
use crate::store::StoreError;

const SECRET: usize = 32;
const GRANT: usize = 16;
const MARK: usize = 16;

/// Names one grant: one authorization of one client, and everything it got by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GrantId([u8; GRANT]);

/// What a good one is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Code,
    Refresh,
}

impl Kind {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Code => b"code\0",
            Self::Refresh => b"refresh\0",
        }
    }
}

/// 256 random bits, and the grant that they belong to.
pub(super) struct Once {
    kind: Kind,
    pub(super) grant: GrantId,
    secret: [u8; SECRET],
}

impl Once {
    /// Where the store has it.
    pub(super) fn name(&self) -> Vec<u8> {
        [b"issuer ", self.kind.word(), &self.secret].concat()
    }

    /// What its record is bound to.
    pub(super) fn bound(&self) -> SessionKey {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.name());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(byte, made)| *byte = *made);
        SessionKey::new(bytes)
    }
}

impl Issuer {
    /// A new one: of this grant, or of a new grant. `None`: no randomness.
    pub(super) fn once(&self, kind: Kind, grant: Option<GrantId>) -> Option<Once> {
        let mut secret = [0; SECRET];
        rand::fill(&mut secret).ok()?;
        let mut fresh = [0; GRANT];
        rand::fill(&mut fresh).ok()?;
        Some(Once { kind, grant: grant.unwrap_or(GrantId(fresh)), secret })
    }

    /// As it travels: grant, secret and mark in base64url.
    pub(super) fn encoded(&self, once: &Once) -> String {
        let mark = self.mark(once);
        let mark = mark.as_ref().get(..MARK).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&once.grant.0, &once.secret[..], mark].concat())
    }

    /// One that we made; `None` for anything else.
    pub(super) fn parsed(&self, kind: Kind, text: &str) -> Option<Once> {
        if text.len() > 128 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (grant, rest) = bytes.split_at_checked(GRANT)?;
        let (secret, mark) = rest.split_at_checked(SECRET)?;
        let once = Once { kind, grant: GrantId(grant.try_into().ok()?), secret: secret.try_into().ok()? };
        let good = self.mark(&once);
        verify_slices_are_equal(good.as_ref().get(..MARK)?, mark).ok()?;
        Some(once)
    }

    fn mark(&self, once: &Once) -> hmac::Tag {
        let mut context = Context::with_key(&self.token_key);
        for part in [once.kind.word(), &once.grant.0, &once.secret] {
            context.update(part); // of fixed lengths behind a word that ends with zero
        }
        context.sign()
    }

    /// Ends a grant: nothing that came of it holds any longer, on any node.
    pub(super) async fn end_grant(&self, grant: GrantId, now: Timestamp) -> Result<(), StoreError> {
        // As long as anything of it may be shown: no session lives longer.
        self.store().put_once(&ended(grant), b"", self.sessions.longest(), now).await.map(drop)
    }

    /// Whether a grant still holds: neither it nor the sign-on it came from was ended.
    pub(super) async fn holds(&self, grant: &Grant, now: Timestamp) -> Result<bool, Fault> {
        Ok(self.is_signed_on(grant, now).await? && self.store().kept(&ended(grant.id), now).await?.is_none())
    }

    /// Whether the sign-on that a grant came from goes on.
    pub(super) async fn is_signed_on(&self, grant: &Grant, now: Timestamp) -> Result<bool, Fault> {
        Ok(now < grant.ends_at && self.store().signed_on(&grant.sign_on, now).await?.is_some())
    }
}

fn ended(grant: GrantId) -> Vec<u8> {
    [&b"issuer ended\0"[..], &grant.0].concat()
}
