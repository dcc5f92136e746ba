//! API tokens in the durable store: their hashes, whom they speak for, and until when.

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Durable, Writing, failed, number, time};
use crate::domain::{Actor, PrincipalId, Right, Timestamp, Token};
use crate::store::StoreError;

impl Durable {
    /// The token with this hash, whether it still opens anything or not.
    pub async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>, StoreError> {
        let work = sqlx::query("SELECT * FROM token WHERE hash = $1").bind(hash).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(token).transpose()
    }

    /// The token with this id.
    pub async fn token_by_id(&self, id: Uuid) -> Result<Option<Token>, StoreError> {
        let work =
            sqlx::query("SELECT * FROM token WHERE id = $1").bind(id.to_string()).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(token).transpose()
    }

    /// Up to `limit` tokens in order of issue, those after `after`.
    pub async fn tokens(&self, after: Option<Uuid>, limit: u16) -> Result<Vec<Token>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let work = sqlx::query("SELECT * FROM token WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(token).collect()
    }

    /// Notes that a token was used.
    pub async fn token_used(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        let work = sqlx::query("UPDATE token SET used_at = $2 WHERE id = $1")
            .bind(id.to_string())
            .bind(number(now))
            .execute(self.writer().await?);
        self.asked(work).await.map(|_| ())
    }
}

impl Writing {
    /// Adds a token, under the hash of what opens it.
    pub async fn insert_token(&mut self, token: &Token, hash: &str) -> Result<(), StoreError> {
        let insert = "INSERT INTO token (id, hash, principal, role, division, platform, scope, issued_by, issued_at, \
                      expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let scope: Vec<&str> = token.scope.iter().map(|right| right.word()).collect();
        let query = sqlx::query(insert)
            .bind(token.id.to_string())
            .bind(hash.to_owned())
            .bind(token.actor.principal.as_str().to_owned())
            .bind(token.actor.role.word())
            .bind(token.actor.division.to_string())
            .bind(token.actor.platform.as_ref().map(|id| id.as_str().to_owned()))
            .bind(scope.join(" "))
            .bind(token.issued_by.as_str().to_owned())
            .bind(number(token.issued_at))
            .bind(number(token.expires_at));
        self.run(query).await.map(drop)
    }

    /// Ends a token; one that has ended keeps who ended it first. `false` when there is no such token.
    pub async fn revoke_token(&mut self, id: Uuid, by: &PrincipalId, now: Timestamp) -> Result<bool, StoreError> {
        let revoke = "UPDATE token SET revoked_by = COALESCE(revoked_by, $2), revoked_at = COALESCE(revoked_at, $3) \
                      WHERE id = $1";
        let query = sqlx::query(revoke).bind(id.to_string()).bind(by.as_str().to_owned()).bind(number(now));
        Ok(self.run(query).await? == 1)
    }
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a token" };

fn token(row: &AnyRow) -> Result<Token, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(failed)?.map(time).transpose();
    let principal = |text: String| text.parse::<PrincipalId>().map_err(|_| UNREADABLE);
    let scope = text("scope")?;
    let scope: Result<Vec<Right>, _> = scope.split_whitespace().map(str::parse).collect();
    let actor = Actor {
        principal: principal(text("principal")?)?,
        role: text("role")?.parse().map_err(|_| UNREADABLE)?,
        division: text("division")?.parse().map_err(|_| UNREADABLE)?,
        platform: maybe("platform")?.map(|id| id.parse()).transpose().map_err(|_| UNREADABLE)?,
    };
    Ok(Token {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        actor,
        scope: scope.map_err(|_| UNREADABLE)?,
        issued_by: principal(text("issued_by")?)?,
        issued_at: time("issued_at")?.ok_or(UNREADABLE)?,
        expires_at: time("expires_at")?.ok_or(UNREADABLE)?,
        revoked: maybe("revoked_by")?.map(principal).transpose()?.zip(time("revoked_at")?),
        used_at: time("used_at")?,
    })
}
