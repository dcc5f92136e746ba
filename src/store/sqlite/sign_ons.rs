//! Sign-ons as rows.

use sqlx::{Row, SqliteConnection};

use super::sessions::{is_there, key, number};
use super::{SqliteStore, failed};
use crate::domain::Timestamp;
use crate::store::keys::Tag;
use crate::store::{PutSignOn, SessionKey, StoreError};

impl SqliteStore {
    pub(in crate::store) async fn sign_on(
        &self,
        put: &PutSignOn<'_>,
        client: &Tag,
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let mut writing = self.writing().await?;
        if !is_there(&mut writing, put.parent, now).await? {
            return Err(StoreError::ParentGone);
        }
        let insert = "INSERT INTO sign_on (key, parent, client, value, expires_at) VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT (parent, client) DO NOTHING";
        sqlx::query(insert)
            .bind(put.key.bytes().as_slice())
            .bind(put.parent.bytes().as_slice())
            .bind(client.bytes().as_slice())
            .bind(put.value)
            .bind(number(put.ends_at))
            .execute(&mut *writing)
            .await
            .map_err(failed)?;
        let value = sqlx::query_scalar("SELECT value FROM sign_on WHERE parent = $1 AND client = $2")
            .bind(put.parent.bytes().as_slice())
            .bind(client.bytes().as_slice())
            .fetch_one(&mut *writing)
            .await
            .map_err(failed)?;
        self.commit(writing).await?;
        Ok(value)
    }

    pub(in crate::store) async fn signed_on(
        &self,
        sign_on: &SessionKey,
        now: Timestamp,
    ) -> Result<Option<SessionKey>, StoreError> {
        let select = "SELECT parent FROM sign_on WHERE key = $1 AND parent IS NOT NULL AND expires_at > $2";
        let row = sqlx::query(select)
            .bind(sign_on.bytes().as_slice())
            .bind(number(now))
            .fetch_optional(self.reader().await?)
            .await
            .map_err(failed)?;
        row.map(|row| key(row.try_get(0).map_err(failed)?)).transpose()
    }

    pub(in crate::store) async fn sign_offs(&self, most: u16, now: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        let delete = "DELETE FROM sign_on WHERE rowid IN (SELECT rowid FROM sign_on WHERE parent IS NULL LIMIT $1) \
                      AND parent IS NULL RETURNING value, expires_at > $2";
        let rows = sqlx::query(delete)
            .bind(i64::from(most))
            .bind(number(now))
            .fetch_all(self.writer().await?)
            .await
            .map_err(failed)?;
        let alive = |row: &&sqlx::sqlite::SqliteRow| row.try_get(1).unwrap_or(false);
        rows.iter().filter(alive).map(|row| row.try_get(0).map_err(failed)).collect()
    }
}

/// The sign-ons of a session that ended wait to be told.
pub(super) async fn leave(writing: &mut SqliteConnection, parent: &SessionKey) -> Result<(), StoreError> {
    let update = "UPDATE sign_on SET parent = NULL WHERE parent = $1";
    sqlx::query(update).bind(parent.bytes().as_slice()).execute(writing).await.map_err(failed)?;
    Ok(())
}

/// The sign-ons of a session go over to the one that replaces it.
pub(super) async fn carry(
    writing: &mut SqliteConnection,
    from: &SessionKey,
    to: &SessionKey,
    ends_at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE sign_on SET parent = $2, expires_at = max(expires_at, $3) WHERE parent = $1")
        .bind(from.bytes().as_slice())
        .bind(to.bytes().as_slice())
        .bind(number(ends_at))
        .execute(writing)
        .await
        .map_err(failed)?;
    Ok(())
}
