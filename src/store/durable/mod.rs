//! State that must last: register and accounts, in SQLite or PostgreSQL. One SQL text for both: only types, functions and
//! clauses that both know, `$n` for arguments.
//! SQLite: one connection writes, since it has one writer at a time and our queue is fairer than its busy loop; two read.
//! PostgreSQL: one pool; a client that vanished within a transaction is cut by the server itself, so no lock outlives it.

/// The place of a division among all (`DivisionCode::order`), from a column that holds its code.
macro_rules! division_order {
    ($column:literal) => {
        concat!(
            "(CASE length(",
            $column,
            ") WHEN 6 THEN CAST(",
            $column,
            " AS BIGINT) * 4000000 WHEN 9 THEN CAST(",
            $column,
            " AS BIGINT) * 4000 + 1 ELSE CAST(",
            $column,
            " AS BIGINT) * 4 + 2 END)"
        )
    };
}

mod accounts;
mod answered;
mod consents;
mod engine;
mod factors;
mod personal;
mod proposals;
mod realms;
mod register;
mod subject_roles;
mod tokens;
mod usage;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::{OnceCell, Semaphore};

use super::{AwayReason, StoreError};
use crate::config::RegisterStoreConfig;
use crate::domain::Timestamp;

pub use accounts::{AccountRow, AccountState};
pub use answered::{AnsweredRow, LeaseRow};
pub use consents::ConsentRow;
pub use factors::{FactorKind, FactorRow};
pub use personal::PersonalRow;
pub use proposals::{ProposalKind, ProposalRow, ProposalState};
pub use realms::{LinkRow, RealmRow};
pub use register::{
    FilingRow, HistoryRow, InForceRow, ListRows, NodeRow, RecordRow, ReservationRow, Standing, Writing,
};
pub use usage::DayOfUseRow;

/// Deadline of a call. Durable state is asked at sign-in and by operators, never on the way of a signed-in request, so it
/// may take longer than the session store, but no longer than a person waits for a page.
const DEADLINE: Duration = Duration::from_secs(2);

/// A division and all below it, by first and last place among divisions, as lists are filtered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subtree(pub u64, pub u64);

impl Subtree {
    fn bounds(self) -> (i64, i64) {
        (signed(self.0), signed(self.1))
    }
}

/// The durable store.
#[derive(Clone)]
pub struct Durable {
    write: AnyPool,
    read: AnyPool,
    migrated: Arc<OnceCell<()>>,
    /// One change of the register at a time in this process: more would wait for the row's lock with a connection each, and
    /// leave none to whoever has it.
    changing: Arc<Semaphore>,
}

impl fmt::Debug for Durable {
    /// No address and no password.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Durable").finish_non_exhaustive()
    }
}

impl Durable {
    /// Opens an SQLite file, made with mode 0600 in a folder with mode 0700 where they are missing, and brings its tables up
    /// to date. Must be called inside the runtime that uses it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::of(&RegisterStoreConfig::Sqlite(path.to_owned())).await
    }

    /// The store of the settings. An SQLite file is opened at once and must answer; PostgreSQL may be away: it is connected to,
    /// and its tables are brought up to date, with the first call that reaches it.
    pub async fn of(config: &RegisterStoreConfig) -> Result<Self, StoreError> {
        let (write, read) = engine::pools(config)?;
        let durable = Self { write, read, migrated: Arc::default(), changing: Arc::new(Semaphore::new(1)) };
        if let RegisterStoreConfig::Sqlite(_) = config {
            durable.ready().await?;
        }
        Ok(durable)
    }

    /// Whether it answers.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let work = sqlx::query("SELECT 1").execute(self.reader().await?);
        self.asked(work).await.map(drop)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        // Also waits for another process that is at it.
        let migrate = bounded(5 * DEADLINE, engine::migrated(&self.write));
        self.migrated.get_or_try_init(|| migrate).await.map(drop)
    }

    async fn reader(&self) -> Result<&AnyPool, StoreError> {
        self.ready().await?;
        Ok(&self.read)
    }

    async fn writer(&self) -> Result<&AnyPool, StoreError> {
        self.ready().await?;
        Ok(&self.write)
    }

    async fn asked<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        bounded(DEADLINE, async { work.await.map_err(failed) }).await
    }
}

async fn bounded<T>(deadline: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| Err(StoreError::away(AwayReason::Timeout, "durable store"));
    tokio::time::timeout(deadline, work).await.unwrap_or_else(late)
}

/// What a database's error means to the caller. Only its code is kept: PostgreSQL's details quote values.
fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::Taken { what: "this name" },
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            StoreError::away(AwayReason::Answer, format_args!("the database refused with code {code}"))
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt { what: "a row" },
        sqlx::Error::PoolTimedOut => StoreError::away(AwayReason::Timeout, "no connection became free"),
        sqlx::Error::Io(error) => StoreError::away(AwayReason::Refused, error.kind()),
        sqlx::Error::Tls(error) => StoreError::away(AwayReason::Refused, error),
        error => StoreError::away(AwayReason::Answer, error),
    }
}

/// SQL integers are signed; the end of time is far enough.
fn number(time: Timestamp) -> i64 {
    signed(time.millis())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> Result<Timestamp, StoreError> {
    unsigned(millis).map(Timestamp::from_millis)
}

fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt { what: "a number below zero" })
}
