//! Why a session ended, for the person whose browser still has its cookie. A note lies in the store under the key of the
//! session that is gone, sealed, for as long as the session could have lasted. It is told once, and nothing depends on it: a
//! note that was not written, or is not found, makes a page that says less.

use serde::{Deserialize, Serialize};

use super::{Session, SessionError, SessionSummary, Sessions};
use crate::domain::Timestamp;
use crate::store::SessionKey;

/// Why a session ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person began another one, and had as many as they may.
    Limit,
    /// The person ended it from another of their sessions.
    Elsewhere,
    /// An operator ended it.
    Operator,
    /// The password, or another factor, was changed.
    Credentials,
    /// The account may sign in no more.
    Disabled,
    /// The account was erased.
    Erased,
    /// It acted for a legal person in a role that was withdrawn.
    RoleEnded,
    /// The provider it rested on said that it ended there.
    Provider,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Limit,
        Self::Elsewhere,
        Self::Operator,
        Self::Credentials,
        Self::Disabled,
        Self::Erased,
        Self::RoleEnded,
        Self::Provider,
    ];

    /// The label in `yimen_sessions_ended_total{reason}`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Elsewhere => "elsewhere",
            Self::Operator => "operator",
            Self::Credentials => "credentials",
            Self::Disabled => "disabled",
            Self::Erased => "erased",
            Self::RoleEnded => "role_ended",
            Self::Provider => "provider",
        }
    }
}

impl Sessions {
    /// Ends a session and its children, everywhere, and leaves a note of the reason.
    pub async fn end_because(&self, key: &SessionKey, reason: EndReason, now: Timestamp) -> Result<(), SessionError> {
        self.cached.forget(key);
        let ended = self.store.delete(key).await?;
        self.cached.ended(key);
        self.note_ended(&ended, reason.word());
        if ended.contains(key) {
            self.leave_note(key, reason, now).await;
        }
        Ok(())
    }

    /// Ends all sessions of a subject but `keep`, and leaves a note for each; returns how many, children not counted.
    pub async fn end_all(
        &self,
        subject: &str,
        keep: Option<&SessionKey>,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<usize, SessionError> {
        let listed = self.store.of_subject(subject, self.clock.at(now)).await?;
        let ended = self.store.delete_of_subject(subject, keep).await?;
        self.note_ended(&ended, reason.word());
        let mut count = 0;
        for (key, _) in listed.iter().filter(|(key, _)| ended.contains(key)) {
            self.leave_note(key, reason, now).await;
            count += 1;
        }
        Ok(count)
    }

    /// Ends the sessions of a subject of which `which` is true; returns how many.
    pub async fn end_those(
        &self,
        subject: &str,
        which: impl Fn(&SessionSummary) -> bool,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<usize, SessionError> {
        let mut count = 0;
        for session in self.of_subject(subject, now).await?.iter().filter(|session| which(session)) {
            self.end_because(&session.key, reason, now).await?;
            count += 1;
        }
        Ok(count)
    }

    /// Why the session of this key ended, if there is a note; once.
    pub async fn why_ended(&self, key: &SessionKey, now: Timestamp) -> Option<EndReason> {
        let note = self.store.take(&named(key), self.clock.at(now)).await.ok()??;
        self.seal.open_of(key, &note)
    }

    /// A name for a session in lists: the same on every node, and of no use for anything but to end it. 32 hex digits.
    pub fn handle(&self, key: &SessionKey) -> String {
        let tag = aws_lc_rs::hmac::sign(&self.handles, key.bytes());
        tag.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) async fn leave_note(&self, key: &SessionKey, reason: EndReason, now: Timestamp) {
        let Some(note) = self.seal.seal_of(key, &reason) else { return };
        // Unwritten, it is missed by one page; the guard has logged and counted why.
        let _ = self.store.put_once(&named(key), &note, self.config.absolute, self.clock.at(now)).await;
    }
}

impl Session {
    /// Whether it acts in this role.
    pub fn acts_in(&self, role: uuid::Uuid) -> bool {
        self.represented.as_ref().is_some_and(|represented| represented.id == role)
    }
}

fn named(key: &SessionKey) -> Vec<u8> {
    [b"ended\0".as_slice(), key.bytes()].concat()
}
