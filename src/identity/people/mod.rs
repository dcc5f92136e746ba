//! What is kept of people besides their account: whom they may act for, what is known of them, to whom they let it go.
//! Shape: subject (the id of an account) ── `People` ──▶ roles, `Personal`, consents; every change is one transaction with its
//! record, in which the person is a keyed hash.
//! Cost:  a durable read each, at sign-in and on pages. What requests ask (`role_holds`, `consents_to`) is remembered for a
//! minute: one durable read a minute for each session that acts for somebody, none for all others.
//! Fails: `IdentityError`. A store that did not answer never means "no role" or "no consent".

mod consents;
mod erasure;
mod personal;
mod remembered;
mod roles;

use std::fmt;
use std::sync::Arc;

use self::remembered::Remembered;
use super::error::IdentityError;
use super::vault::Vault;
use crate::domain::{Credential, Timestamp};
use crate::store::{Durable, RecordRow, StoreError, Writing};

pub use consents::Consent;
pub use roles::{Grant, Granted};

/// Who changes something, for the record.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// A principal, `machine`, or [`People::actor`] of the person themselves.
    pub actor: &'a str,
    /// By what credential; `None` for the person themselves.
    pub credential: Option<Credential>,
    /// In which role; `subject` for the person themselves.
    pub role: &'a str,
    /// The id under which our log knows the request.
    pub request_id: &'a str,
}

/// Roles, personal data and consents.
pub struct People {
    durable: Arc<Durable>,
    vault: Arc<Vault>,
    roles: Remembered<uuid::Uuid>,
    consents: Remembered<String>,
}

impl fmt::Debug for People {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("People").finish_non_exhaustive()
    }
}

impl People {
    /// How long a node may go on with what the store said before: a role that was withdrawn, or a consent, ends everywhere
    /// within this, whatever notices are lost.
    pub const BOUND: std::time::Duration = remembered::ASKED_EVERY;

    /// People of this store, sealed with this vault.
    pub fn new(durable: Arc<Durable>, vault: Arc<Vault>) -> Self {
        Self { durable, vault, roles: Remembered::default(), consents: Remembered::default() }
    }

    /// The name under which records know a person: a keyed hash, the same in every record.
    pub fn actor(&self, subject: &str) -> String {
        format!("account:{}", self.vault.tag("record", subject))
    }

    /// Writes into the record that something was done with a person's account that leaves no other trace, such as a look at
    /// their sessions. `about` holds nothing of a person.
    pub async fn record(
        &self,
        by: By<'_>,
        action: &str,
        subject: &str,
        about: &str,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let mut writing = self.durable.writing().await?;
        self.note(&mut writing, by, action, subject, about, now).await?;
        Ok(writing.commit().await?)
    }

    async fn note(
        &self,
        writing: &mut Writing,
        by: By<'_>,
        action: &str,
        subject: &str,
        about: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let By { actor, credential, role, request_id } = by;
        let object = [self.actor(subject).as_str(), about].join(" ");
        let object = object.trim_end();
        let (at, before, after, result) = (now, None, None, "ok");
        writing
            .record(&RecordRow { at, actor, credential, role, action, object, before, after, result, request_id })
            .await
    }
}
