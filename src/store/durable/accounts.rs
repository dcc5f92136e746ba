//! Built-in accounts.

use std::fmt;

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Durable, failed, number, time};
use crate::domain::{Assurance, SubjectKind, Timestamp};
use crate::store::StoreError;

/// Accounts in one answer of `accounts`.
const PAGE_MAX: i64 = 1000;

/// Whether an account may sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// It may.
    Active,
    /// It may not, until an operator says otherwise.
    Disabled,
}

impl AccountState {
    /// The word in the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A built-in account, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Version 7, so that rows lie in order of creation. Never changes.
    pub id: Uuid,
    /// What the person types; unique, compared byte by byte.
    pub login: String,
    /// PHC string of Argon2id.
    pub password_hash: String,
    /// Name to greet with.
    pub name: String,
    /// Whom it speaks for.
    pub kind: SubjectKind,
    /// How sure we are who it is.
    pub assurance: Assurance,
    /// Whether it may sign in.
    pub state: AccountState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When password or state last changed.
    pub changed_at: Timestamp,
}

impl fmt::Debug for AccountRow {
    /// Only the id: login, name and hash have no place in a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AccountRow").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Durable {
    /// Adds an account. `Taken` when its login or id exists.
    pub async fn insert_account(&self, account: &AccountRow) -> Result<(), StoreError> {
        let insert = "INSERT INTO account (id, login, password_hash, name, kind, assurance, state, created_at, changed_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let work = sqlx::query(insert)
            .bind(account.id.to_string())
            .bind(&account.login)
            .bind(&account.password_hash)
            .bind(&account.name)
            .bind(account.kind.word())
            .bind(account.assurance as i64)
            .bind(account.state.word())
            .bind(number(account.created_at))
            .bind(number(account.changed_at))
            .execute(self.writer().await?);
        self.asked(work).await.map(|_| ())
    }

    /// The account with this login.
    pub async fn account_by_login(&self, login: &str) -> Result<Option<AccountRow>, StoreError> {
        let work =
            sqlx::query("SELECT * FROM account WHERE login = $1").bind(login).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(account).transpose()
    }

    /// The account with this id.
    pub async fn account_by_id(&self, id: Uuid) -> Result<Option<AccountRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM account WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(account).transpose()
    }

    /// Up to 1000 accounts by login, those after `after`; start with the empty text and go on with the last login.
    pub async fn accounts(&self, after: &str) -> Result<Vec<AccountRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM account WHERE login > $1 ORDER BY login LIMIT $2")
            .bind(after)
            .bind(PAGE_MAX)
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(account).collect()
    }

    /// Sets the password hash. `false` when there is no such account.
    pub async fn set_password(&self, id: Uuid, password_hash: &str, now: Timestamp) -> Result<bool, StoreError> {
        let work = sqlx::query("UPDATE account SET password_hash = $2, changed_at = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(password_hash)
            .bind(number(now))
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }

    /// Lets an account sign in or not. `false` when there is no such account.
    pub async fn set_state(&self, id: Uuid, state: AccountState, now: Timestamp) -> Result<bool, StoreError> {
        let work = sqlx::query("UPDATE account SET state = $2, changed_at = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(state.word())
            .bind(number(now))
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }
}

fn account(row: &AnyRow) -> Result<AccountRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let millis = |column: &str| time(row.try_get(column).map_err(failed)?);
    Ok(AccountRow {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        login: text("login")?,
        password_hash: text("password_hash")?,
        name: text("name")?,
        kind: text("kind")?.parse().map_err(|_| UNREADABLE)?,
        assurance: format!("L{}", row.try_get::<i64, _>("assurance").map_err(failed)?)
            .parse()
            .map_err(|_| UNREADABLE)?,
        state: match text("state")?.as_str() {
            "active" => AccountState::Active,
            "disabled" => AccountState::Disabled,
            _ => return Err(UNREADABLE),
        },
        created_at: millis("created_at")?,
        changed_at: millis("changed_at")?,
    })
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "an account" };
