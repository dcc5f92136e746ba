//! API tokens in the durable store: their hashes, whom they speak for, through whom they were issued, and until when.

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Durable, Subtree, Writing, failed, number, time};
use crate::domain::{Actor, Credential, DivisionCode, Lineage, Link, PrincipalId, Right, Timestamp, Token};
use crate::store::StoreError;

/// Who issued a token on the machine, as rows of before lineages have it.
const MACHINE: &str = "machine";

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

    /// Up to `limit` tokens of divisions in `subtree` in order of issue, those after `after`.
    pub async fn tokens(&self, subtree: Subtree, after: Option<Uuid>, limit: u16) -> Result<Vec<Token>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let select = concat!(
            "SELECT * FROM token WHERE id > $1 AND ",
            division_order!("division"),
            " BETWEEN $2 AND $3 ORDER BY id LIMIT $4"
        );
        let (first, last) = subtree.bounds();
        let work = sqlx::query(select).bind(after).bind(first).bind(last).bind(i64::from(limit));
        let work = work.fetch_all(self.reader().await?);
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
    /// The token with this id, as it is while nobody else can change it.
    pub async fn token(&mut self, id: Uuid) -> Result<Option<Token>, StoreError> {
        let query = sqlx::query("SELECT * FROM token WHERE id = $1").bind(id.to_string());
        self.optional(query).await?.as_ref().map(token).transpose()
    }

    /// Whether a credential still opens anything. Of those that are no tokens whoever admitted the caller has judged.
    pub async fn holds(&mut self, credential: Credential, now: Timestamp) -> Result<bool, StoreError> {
        let Credential::Token(id) = credential else { return Ok(true) };
        Ok(self.token(id).await?.is_some_and(|token| token.state(now) == "active"))
    }

    /// The first token that ever bore a principal's name, in any letters; tokens stay when they have ended.
    pub async fn first_of_name(&mut self, name: &PrincipalId) -> Result<Option<Token>, StoreError> {
        let select = "SELECT * FROM token WHERE lower(principal) = lower($1) ORDER BY id LIMIT 1";
        self.optional(sqlx::query(select).bind(name.as_str().to_owned())).await?.as_ref().map(token).transpose()
    }

    /// Up to `limit` tokens that were issued through this one, at any remove, and still open something.
    pub async fn issued_through(&mut self, id: Uuid, limit: u16, now: Timestamp) -> Result<Vec<Token>, StoreError> {
        let select =
            "SELECT * FROM token WHERE issuers LIKE $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY id LIMIT $3";
        let query = sqlx::query(select).bind(in_chain(id)).bind(number(now)).bind(i64::from(limit));
        self.all(query).await?.iter().map(token).collect()
    }

    /// Adds a token, under the hash of what opens it.
    pub async fn insert_token(&mut self, token: &Token, hash: &str) -> Result<(), StoreError> {
        let insert = "INSERT INTO token (id, hash, principal, role, division, platform, scope, issued_by, issued_at, \
                      expires_at, issuers) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
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
            .bind(number(token.expires_at))
            .bind(token.actor.lineage.issuers_text());
        self.run(query).await.map(drop)
    }

    /// Ends a token and all that were issued through it; one that has ended keeps who ended it first. How many were issued
    /// through it and still opened something.
    pub async fn revoke_tokens(&mut self, id: Uuid, by: &PrincipalId, now: Timestamp) -> Result<u64, StoreError> {
        let revoke = "UPDATE token SET revoked_by = $2, revoked_at = $3 WHERE revoked_at IS NULL AND ";
        let own = format!("{revoke} id = $1");
        let through = format!("{revoke} issuers LIKE $1 AND expires_at > $3");
        let by = by.as_str().to_owned();
        let ended = |sql: String, what: String| {
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(what).bind(by.clone()).bind(number(now)) // made of constants alone
        };
        self.run(ended(own, id.to_string())).await?;
        self.run(ended(through, in_chain(id))).await
    }
}

/// Finds a credential in a chain of issue: by its own text, which nothing else in one contains.
fn in_chain(id: Uuid) -> String {
    format!("%{}%", Credential::Token(id))
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a token" };

fn token(row: &AnyRow) -> Result<Token, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
    let time = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(failed)?.map(time).transpose();
    let principal = |text: String| text.parse::<PrincipalId>().map_err(|_| UNREADABLE);
    let id: Uuid = text("id")?.parse().map_err(|_| UNREADABLE)?;
    let scope = text("scope")?;
    let scope: Result<Vec<Right>, _> = scope.split_whitespace().map(str::parse).collect();
    let own = Link {
        principal: principal(text("principal")?)?,
        division: text("division")?.parse().map_err(|_| UNREADABLE)?,
        credential: Credential::Token(id),
        certified: false,
    };
    let issued_by = principal(text("issued_by")?)?;
    let lineage = match maybe("issuers")? {
        Some(issuers) => Lineage::of_stored(&issuers, own).map_err(|_| UNREADABLE)?,
        None => of_before(&issued_by, own),
    };
    let platform = maybe("platform")?.map(|id| id.parse()).transpose().map_err(|_| UNREADABLE)?;
    Ok(Token {
        id,
        actor: Actor::of(lineage, text("role")?.parse().map_err(|_| UNREADABLE)?, platform),
        scope: scope.map_err(|_| UNREADABLE)?,
        issued_by,
        issued_at: time("issued_at")?.ok_or(UNREADABLE)?,
        expires_at: time("expires_at")?.ok_or(UNREADABLE)?,
        revoked: maybe("revoked_by")?.map(principal).transpose()?.zip(time("revoked_at")?),
        used_at: time("used_at")?,
    })
}

/// The chain of a token that was issued before chains were kept: its issuer by name, and who knows through whom they came.
fn of_before(issued_by: &PrincipalId, own: Link) -> Lineage {
    if issued_by.as_str() == MACHINE {
        return Lineage::root(own);
    }
    let (principal, division) = (issued_by.clone(), DivisionCode::NATION);
    Lineage::root(Link { principal, division, credential: Credential::Unknown, certified: false }).child(own)
}
