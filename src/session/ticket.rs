//! The way of a session to the origin of a platform: a ticket, good once and for seconds, becomes a child session there.
//! Shape: parent ── `issue` ──▶ `Ticket` (in one redirect) ── `redeem`, by the same browser at the same platform ──▶ child.
//! The browser shows itself by a nonce in a cookie of the platform's host; here only its SHA-256 is known, as of the ticket.
//! A child lives no longer than its parent: each look-up asks for both, and its use is use of the parent, so that nobody is
//! idle who works at a platform. Whoever shows a ticket takes it, fit or not: a second try is somebody else's.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};

use super::{Live, Lookup, Session, SessionError, SessionId, Sessions};
use crate::domain::{Assurance, PlatformId, Timestamp};
use crate::store::SessionKey;

/// Tickets of one session a minute: a person who opens platforms by hand needs a few; each may leave a child for `idle`.
const TICKETS_MAX: u64 = 60;
const TICKETS_WINDOW: Duration = Duration::from_secs(60);

/// 256 random bits that take a session to a platform's origin.
#[derive(Debug)]
pub struct Ticket(SessionId);

/// 256 random bits that only one browser keeps, on one platform's host.
#[derive(Debug)]
pub struct Nonce(SessionId);

/// SHA-256 of a nonce: it may travel in addresses and opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserMark(SessionKey);

/// What a ticket is for, as the store keeps it, sealed.
#[derive(Serialize, Deserialize)]
struct Errand {
    parent: SessionKey,
    platform: PlatformId,
    browser: SessionKey,
}

/// What came of a ticket.
#[derive(Debug)]
pub enum Redeemed {
    /// A child session has begun.
    Begun(SessionId),
    /// Unknown, used, expired, or made for another browser or platform.
    Refused,
    /// The session it came from has ended.
    ParentGone,
}

impl Ticket {
    /// 43 characters of unpadded base64url; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        SessionId::parse(text).map(Self)
    }

    /// As it stands in the address.
    pub fn encoded(&self) -> String {
        self.0.encoded()
    }
}

impl Nonce {
    /// A new one; `None` when the system has no randomness.
    pub fn random() -> Option<Self> {
        SessionId::random().map(Self)
    }

    /// 43 characters of unpadded base64url; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        SessionId::parse(text).map(Self)
    }

    /// As it stands in the cookie.
    pub fn encoded(&self) -> String {
        self.0.encoded()
    }

    /// What others may know of it.
    pub fn mark(&self) -> BrowserMark {
        BrowserMark(self.0.key())
    }
}

impl BrowserMark {
    /// 64 characters of lower-case hex; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        SessionKey::from_hex(text).map(Self)
    }

    /// As it stands in an address.
    pub fn encoded(&self) -> String {
        self.0.hex()
    }
}

impl Sessions {
    /// A ticket for this platform and browser, good for `life`; `Ok(None)` when the session had too many in this minute.
    pub async fn issue_ticket(
        &self,
        parent: &Live,
        platform: &PlatformId,
        browser: BrowserMark,
        life: Duration,
        now: Timestamp,
    ) -> Result<Option<Ticket>, SessionError> {
        let now = self.clock.at(now);
        if self.store.count(&named(b"tickets\0", &parent.key), TICKETS_WINDOW, now).await? > TICKETS_MAX {
            return Ok(None);
        }
        let ticket = SessionId::random().ok_or(SessionError::NoRandomness)?;
        let name = ticket.key();
        let errand = Errand { parent: parent.key, platform: platform.clone(), browser: browser.0 };
        let value = self.seal.seal_of(&name, &errand).ok_or(SessionError::NoRandomness)?;
        // A name that is taken would be a repetition of 256 random bits: no ticket rather than somebody else's.
        let kept = self.store.put_once(&named(b"ticket\0", &name), &value, life, now).await?;
        Ok(kept.then_some(Ticket(ticket)))
    }

    /// Takes a ticket and begins the child session, which ends with its parent; `replaces` is the child that this browser had
    /// before. `Err`: the store did not answer, and nobody knows whether the ticket is taken.
    pub async fn redeem(
        &self,
        ticket: &Ticket,
        platform: &PlatformId,
        nonce: Option<&Nonce>,
        replaces: Option<&SessionKey>,
        now: Timestamp,
    ) -> Result<Redeemed, SessionError> {
        let name = ticket.0.key();
        let taken = self.store.take(&named(b"ticket\0", &name), self.clock.at(now)).await?;
        let errand: Option<Errand> = taken.and_then(|value| self.seal.open_of(&name, &value));
        let fits = |errand: &Errand| {
            let same = |nonce: &Nonce| verify_slices_are_equal(nonce.mark().0.bytes(), errand.browser.bytes()).is_ok();
            errand.platform == *platform && nonce.is_some_and(same)
        };
        let Some(errand) = errand.filter(fits) else { return Ok(Redeemed::Refused) };
        let parent = match self.look_up_key(errand.parent, Assurance::L1, now).await {
            Lookup::Found(parent) if parent.session.platform.is_none() => parent,
            Lookup::Found(_) | Lookup::Absent => return Ok(Redeemed::ParentGone),
            Lookup::Unknown => return Err(SessionError::StoreAway),
        };
        match self.begin(child(&parent, platform, now), replaces, now).await {
            Ok(id) => Ok(Redeemed::Begun(id)),
            Err(SessionError::ParentGone) => Ok(Redeemed::ParentGone),
            Err(error) => Err(error),
        }
    }

    /// The child session behind `id` that opens `platform`, as long as its parent lives. Any other session counts as absent.
    pub async fn look_up_child(
        &self,
        id: &SessionId,
        platform: &PlatformId,
        needed: Assurance,
        now: Timestamp,
    ) -> Lookup {
        let child = match self.look_up(id, needed, now).await {
            Lookup::Found(child) if child.session.platform.as_ref() == Some(platform) => child,
            Lookup::Found(_) | Lookup::Absent => return Lookup::Absent,
            Lookup::Unknown => return Lookup::Unknown,
        };
        let Some(parent) = child.session.parent else { return Lookup::Absent };
        match self.look_up_key(parent, needed, now).await {
            Lookup::Found(_) => Lookup::Found(child),
            gone_or_unknown => gone_or_unknown,
        }
    }
}

fn child(parent: &Arc<Live>, platform: &PlatformId, now: Timestamp) -> Session {
    Session { created_at: now, parent: Some(parent.key), platform: Some(platform.clone()), ..parent.session.clone() }
}

fn named(purpose: &[u8], key: &SessionKey) -> Vec<u8> {
    [purpose, key.bytes()].concat()
}
