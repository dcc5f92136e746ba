//! What a session is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Assurance, PlatformId, SubjectKind, Timestamp};
use crate::store::SessionKey;

/// The record of a signed-in person.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Stable id of the account in its realm (never shown to a platform as it is).
    pub subject: String,
    /// Whom it speaks for.
    pub kind: SubjectKind,
    /// Which realm the identity comes from; `accounts` for the built-in ones.
    pub realm: String,
    /// Name to greet with.
    pub name: String,
    /// How sure we are who it is.
    pub assurance: Assurance,
    /// RFC 8176 method names, such as `pwd`.
    pub methods: Vec<String>,
    /// When the person last proved who they are.
    pub authenticated_at: Timestamp,
    /// When the session began.
    pub created_at: Timestamp,
    /// Absolute end; idle end is kept by the store.
    pub ends_at: Timestamp,
    /// Device label such as `Firefox on Linux`, for the person's own list.
    pub device: String,
    /// Network such as `203.0.113.0/24`, for the person's own list.
    pub network: String,
    /// A child session opens one platform only and ends with its parent.
    pub parent: Option<SessionKey>,
    /// The platform a child session opens.
    pub platform: Option<PlatformId>,
}

impl fmt::Debug for Session {
    /// What may stand in a log: nothing of the person, device or network.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, realm, assurance, created_at, ends_at, platform, .. } = self;
        let mut fields = out.debug_struct("Session");
        fields.field("kind", kind).field("realm", realm).field("assurance", assurance);
        fields.field("created_at", created_at).field("ends_at", ends_at).field("platform", platform);
        fields.finish_non_exhaustive()
    }
}

/// A session as the gateway holds it for a while. As long as its record does not change it stays the same `Arc`, so that
/// what is made from it (assertions) can be kept beside it.
#[derive(Debug)]
pub struct Live {
    /// Where the store has it.
    pub key: SessionKey,
    /// The record.
    pub session: Session,
}
