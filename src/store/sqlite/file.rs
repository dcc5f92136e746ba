//! A database file: where it lies, who may read it, how it is opened and brought up to date.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};

use crate::store::{AwayReason, StoreError};

/// How long SQLite waits for another process's lock: as long as the longest caller's patience; each has its own deadline.
const BUSY: Duration = Duration::from_secs(2);
/// Tries to bring a file up to date: two processes that start together may both find it old, and one of them fails once.
const MIGRATION_TRIES: usize = 3;

/// Makes the folder (0700) and the file (0600) where they are missing, and takes group and others off a file that is there.
/// SQLite gives its `-wal` and `-shm` files the mode of the database file.
pub(in crate::store) fn prepare(path: &Path) -> Result<(), StoreError> {
    let fault = |source| StoreError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault)?;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(fault)?;
    let mut permissions = file.metadata().map_err(fault)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        file.set_permissions(permissions).map_err(fault)?;
    }
    Ok(())
}

/// Connections made when first needed. Must be called inside a runtime.
pub(in crate::store) fn connections(path: &Path, count: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // A power cut may lose the last commits but never tears the file: a sync of the disk at every sign-in would save what the
        // person gets again by signing in.
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(count)
        .acquire_timeout(BUSY)
        // A file does not go away under an open handle, so neither age nor rest is a reason to open it again.
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Brings the tables up to date.
pub(in crate::store) async fn migrated(pool: &SqlitePool, migrator: &Migrator) -> Result<(), StoreError> {
    let mut tried = 1;
    loop {
        match migrator.run(pool).await {
            Ok(()) => return Ok(()),
            Err(_) if tried < MIGRATION_TRIES => tried += 1,
            Err(error) => return Err(StoreError::away(AwayReason::Answer, error)),
        }
    }
}

/// What SQLite's error means to the caller. Its messages name tables and columns, never values.
pub(in crate::store) fn failed(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::Taken { what: "this name" },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt { what: "a row" },
        sqlx::Error::PoolTimedOut => StoreError::away(AwayReason::Timeout, "no connection became free"),
        error => StoreError::away(AwayReason::Answer, error),
    }
}
