//! Sessions as rows. An expired row counts as none and is removed later, by `clean`.

use sqlx::{Row, SqliteConnection};

use super::sign_ons::{carry, leave};
use super::{SqliteStore, failed};
use crate::domain::Timestamp;
use crate::store::keys::Tag;
use crate::store::{Ended, PutSession, SessionKey, StoreError, StoredSession};

impl SqliteStore {
    pub(in crate::store) async fn put_session(
        &self,
        put: &PutSession<'_>,
        subject: &Tag,
        labels: &[Tag],
    ) -> Result<Ended, StoreError> {
        let (mut ended, mut above) = (Vec::new(), Vec::new());
        let mut writing = self.writing().await?;
        if let Some(parent) = put.parent
            && !is_there(&mut writing, parent, put.begun_at).await?
        {
            return Err(StoreError::ParentGone);
        }
        if let Some(replaced) = put.replaces.filter(|_| put.goes_on)
            && !is_there(&mut writing, replaced, put.begun_at).await?
        {
            return Err(StoreError::SessionGone);
        }
        if let Some(replaced) = put.replaces {
            if put.carries {
                carry(&mut writing, replaced, put.key, put.ends_at).await?;
            }
            finish(&mut writing, replaced, &mut ended).await?;
        }
        if put.parent.is_none() {
            above = above_limit(&mut writing, put, subject).await?;
            for old in &above {
                finish(&mut writing, old, &mut ended).await?;
            }
        }
        let insert = "INSERT INTO session (key, subject, parent, value, seen_at, begun_at, expires_at) \
                      VALUES ($1, $2, $3, $4, $5, $5, $6)";
        sqlx::query(insert)
            .bind(put.key.bytes().as_slice())
            .bind(put.parent.is_none().then_some(subject.bytes().as_slice()))
            .bind(put.parent.map(|parent| parent.bytes().as_slice()))
            .bind(put.value)
            .bind(number(put.begun_at))
            .bind(number(put.expires_at.min(put.ends_at)))
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
        for label in labels {
            sqlx::query("INSERT INTO session_label (label, key) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(label.bytes().as_slice())
                .bind(put.key.bytes().as_slice())
                .execute(&mut *writing)
                .await
                .map_err(failed)?;
        }
        self.commit(writing).await?;
        Ok(Ended { all: ended, above_limit: above })
    }

    pub(in crate::store) async fn session(
        &self,
        key: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<StoredSession>, StoreError> {
        let row = sqlx::query("SELECT value, seen_at FROM session WHERE key = $1 AND expires_at > $2")
            .bind(key.bytes().as_slice())
            .bind(number(now))
            .fetch_optional(self.reader().await?)
            .await
            .map_err(failed)?;
        row.map(|row| Ok(StoredSession { value: row.try_get(0).map_err(failed)?, seen: time(row.try_get(1)) }))
            .transpose()
    }

    pub(in crate::store) async fn touch(
        &self,
        key: &SessionKey,
        seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = "UPDATE session SET seen_at = max(seen_at, $2), expires_at = max(expires_at, $3) \
                      WHERE key = $1 AND expires_at > $2";
        let done = sqlx::query(update)
            .bind(key.bytes().as_slice())
            .bind(number(seen))
            .bind(number(expires_at))
            .execute(self.writer().await?)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    pub(in crate::store) async fn delete(&self, key: &SessionKey) -> Result<Vec<SessionKey>, StoreError> {
        let mut ended = Vec::new();
        let mut writing = self.writing().await?;
        finish(&mut writing, key, &mut ended).await?;
        self.commit(writing).await?;
        Ok(ended)
    }

    pub(in crate::store) async fn of_subject(
        &self,
        subject: &Tag,
        now: Timestamp,
    ) -> Result<Vec<(SessionKey, StoredSession)>, StoreError> {
        let select = "SELECT key, value, seen_at FROM session WHERE subject = $1 AND expires_at > $2 ORDER BY begun_at";
        let rows = sqlx::query(select)
            .bind(subject.bytes().as_slice())
            .bind(number(now))
            .fetch_all(self.reader().await?)
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let value = row.try_get(1).map_err(failed)?;
                Ok((key(row.try_get(0).map_err(failed)?)?, StoredSession { value, seen: time(row.try_get(2)) }))
            })
            .collect()
    }

    pub(in crate::store) async fn delete_of_subject(
        &self,
        subject: &Tag,
        keep: Option<&SessionKey>,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let mut ended = Vec::new();
        let mut writing = self.writing().await?;
        let keys: Vec<Vec<u8>> = sqlx::query_scalar("SELECT key FROM session WHERE subject = $1 AND key IS NOT $2")
            .bind(subject.bytes().as_slice())
            .bind(keep.map(|keep| keep.bytes().as_slice()))
            .fetch_all(&mut *writing)
            .await
            .map_err(failed)?;
        for bytes in keys {
            finish(&mut writing, &key(bytes)?, &mut ended).await?;
        }
        self.commit(writing).await?;
        Ok(ended)
    }

    pub(in crate::store) async fn delete_labelled(&self, label: &Tag) -> Result<Vec<SessionKey>, StoreError> {
        let mut ended = Vec::new();
        let mut writing = self.writing().await?;
        let keys: Vec<Vec<u8>> = sqlx::query_scalar("SELECT key FROM session_label WHERE label = $1")
            .bind(label.bytes().as_slice())
            .fetch_all(&mut *writing)
            .await
            .map_err(failed)?;
        for bytes in keys {
            finish(&mut writing, &key(bytes)?, &mut ended).await?;
        }
        self.commit(writing).await?;
        Ok(ended)
    }
}

/// Whether a session has not ended.
pub(super) async fn is_there(
    reading: &mut SqliteConnection,
    key: &SessionKey,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let there: Option<i64> = sqlx::query_scalar("SELECT 1 FROM session WHERE key = $1 AND expires_at > $2")
        .bind(key.bytes().as_slice())
        .bind(number(now))
        .fetch_optional(reading)
        .await
        .map_err(failed)?;
    Ok(there.is_some())
}

/// The oldest sessions of the subject, as many as must end so that one more keeps to the limit.
async fn above_limit(
    writing: &mut SqliteConnection,
    put: &PutSession<'_>,
    subject: &Tag,
) -> Result<Vec<SessionKey>, StoreError> {
    let select = "SELECT key FROM session WHERE subject = $1 AND expires_at > $2 \
                  ORDER BY begun_at DESC, rowid DESC LIMIT -1 OFFSET $3";
    let keys: Vec<Vec<u8>> = sqlx::query_scalar(select)
        .bind(subject.bytes().as_slice())
        .bind(number(put.begun_at))
        .bind(i64::try_from(put.per_subject_max.saturating_sub(1)).unwrap_or(i64::MAX))
        .fetch_all(writing)
        .await
        .map_err(failed)?;
    keys.into_iter().map(key).collect()
}

/// Deletes a session with everything below it and leaves a notice of each. The notice of `first` is left even when it was
/// not there: another node may still hold it.
async fn finish(
    writing: &mut SqliteConnection,
    first: &SessionKey,
    ended: &mut Vec<SessionKey>,
) -> Result<(), StoreError> {
    let delete = "WITH RECURSIVE gone(key) AS (SELECT $1 UNION SELECT session.key FROM session JOIN gone ON session.parent = gone.key) \
                  DELETE FROM session WHERE key IN (SELECT key FROM gone) RETURNING key";
    let keys: Vec<Vec<u8>> =
        sqlx::query_scalar(delete).bind(first.bytes().as_slice()).fetch_all(&mut *writing).await.map_err(failed)?;
    let known = ended.len();
    for bytes in keys {
        ended.push(key(bytes)?);
    }
    let below = ended.iter().skip(known).filter(|key| *key != first);
    for key in below.chain([first]) {
        leave(writing, key).await?;
        sqlx::query("INSERT INTO notice (key) VALUES ($1)")
            .bind(key.bytes().as_slice())
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn key(bytes: Vec<u8>) -> Result<SessionKey, StoreError> {
    bytes.try_into().map(SessionKey::new).map_err(|_| StoreError::Corrupt { what: "a session key" })
}

/// SQLite's integers are signed; the end of time is far enough.
pub(super) fn number(time: Timestamp) -> i64 {
    i64::try_from(time.millis()).unwrap_or(i64::MAX)
}

/// A time that cannot be read is long ago.
fn time(millis: Result<i64, sqlx::Error>) -> Timestamp {
    Timestamp::from_millis(millis.ok().and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default())
}
