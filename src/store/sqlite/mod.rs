//! SQLite as the short-lived store, for one machine.
//! Two processes share the file during a hot upgrade, so notices go through a table, not through memory.
//! One connection writes (SQLite has one writer at a time; waiting in our queue is fairer than in its busy loop), two read.

mod file;
mod notices;
mod sessions;
mod sign_ons;
mod small;

use std::path::{Path, PathBuf};

use sqlx::{Sqlite, SqlitePool, Transaction};
use tokio::sync::{Notify, OnceCell};

use super::StoreError;

pub(super) use file::prepare;

use file::{connections, failed, migrated};

/// Connections that read: one for each core of the smallest machine.
const READERS: u32 = 2;

#[derive(Debug)]
pub(super) struct SqliteStore {
    path: PathBuf,
    pools: OnceCell<Pools>,
    /// Wakes the follower in this process at once; the other process polls.
    ended: Notify,
}

#[derive(Debug)]
struct Pools {
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteStore {
    /// Makes folder and file; connects with the first call.
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        prepare(path)?;
        Ok(Self { path: path.to_owned(), pools: OnceCell::new(), ended: Notify::new() })
    }

    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(self.reader().await?).await.map_err(failed)?;
        Ok(())
    }

    async fn pools(&self) -> Result<&Pools, StoreError> {
        self.pools
            .get_or_try_init(|| async {
                let write = connections(&self.path, 1);
                migrated(&write, &sqlx::migrate!("src/store/migrations/short_lived")).await?;
                Ok(Pools { write, read: connections(&self.path, READERS) })
            })
            .await
    }

    async fn reader(&self) -> Result<&SqlitePool, StoreError> {
        Ok(&self.pools().await?.read)
    }

    async fn writer(&self) -> Result<&SqlitePool, StoreError> {
        Ok(&self.pools().await?.write)
    }

    /// A transaction that holds the write lock from its beginning, so that what it reads is still so when it writes.
    async fn writing(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer().await?.begin_with("BEGIN IMMEDIATE").await.map_err(failed)
    }

    async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
        transaction.commit().await.map_err(failed)?;
        self.ended.notify_one();
        Ok(())
    }
}
