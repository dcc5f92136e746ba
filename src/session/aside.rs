//! What is put aside between two pages of one person who is on the way in: a half-done sign-in, a factor that is being set. Kept
//! sealed under the hash of 256 random bits, which only the browser has, for minutes, and taken once. It is no session: another
//! kind of name, another cookie, and nothing but the page that put it aside can read it.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{SessionError, SessionId, Sessions};
use crate::domain::Timestamp;

impl Sessions {
    /// Puts `what` aside for `life`, to be found by the id that is returned, as the same `kind` only.
    pub async fn put_aside(
        &self,
        kind: &str,
        what: &impl Serialize,
        life: Duration,
        now: Timestamp,
    ) -> Result<SessionId, SessionError> {
        let id = SessionId::random().ok_or(SessionError::NoRandomness)?;
        let value = self.seal.seal_of(&id.key(), what).ok_or(SessionError::NoRandomness)?;
        let kept = self.store.put_once(&name(kind, &id), &value, life, self.clock.at(now)).await?;
        // A name that is taken would be a repetition of 256 random bits.
        if kept { Ok(id) } else { Err(SessionError::NoRandomness) }
    }

    /// What lies aside; `Ok(None)`: nothing of this kind, taken, or too old.
    pub async fn aside<T: DeserializeOwned>(
        &self,
        kind: &str,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<T>, SessionError> {
        let value = self.store.kept(&name(kind, id), self.clock.at(now)).await?;
        Ok(value.and_then(|value| self.seal.open_of(&id.key(), &value)))
    }

    /// Takes what lies aside: of all who try, one gets it.
    pub async fn take_aside<T: DeserializeOwned>(
        &self,
        kind: &str,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<T>, SessionError> {
        let value = self.store.take(&name(kind, id), self.clock.at(now)).await?;
        Ok(value.and_then(|value| self.seal.open_of(&id.key(), &value)))
    }
}

fn name(kind: &str, id: &SessionId) -> Vec<u8> {
    [b"aside\0", kind.as_bytes(), b"\0", id.key().bytes()].concat()
}
