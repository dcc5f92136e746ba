//! How each engine is reached, and what is said to each connection once.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions, Executor};
use zeroize::Zeroizing;

use super::{DEADLINE, failed};
use crate::config::{PostgresConfig, RegisterStoreConfig};
use crate::store::sqlite::prepare;
use crate::store::{AwayReason, StoreError};

/// Connections that read an SQLite file: one for each core of the smallest machine.
const READERS: u32 = 2;
/// Connections of one node to PostgreSQL: sign-ins and operators of one node; ten nodes stay below the server's usual 100.
const CONNECTIONS: u32 = 8;
/// Tries to bring tables up to date, beyond one for each step: processes that start together may both find a step undone, and
/// one of them fails at it, once.
const MIGRATION_TRIES: usize = 3;
/// The authorities of Debian's `ca-certificates`.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const PASSWORD_BYTES_MAX: u64 = 4096;

/// WAL: readers never wait for the writer. FULL: a power cut loses nothing that was acknowledged.
const OF_EACH_CONNECTION: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                                  PRAGMA busy_timeout = 2000";

/// The pool that writes and the one that reads, connected when first needed.
pub(super) fn pools(config: &RegisterStoreConfig) -> Result<(AnyPool, AnyPool), StoreError> {
    sqlx::any::install_default_drivers(); // says once which engines there are
    match config {
        RegisterStoreConfig::Sqlite(path) => {
            prepare(path)?;
            let options = options(&sqlite(path))?;
            let pool = |count| file_pool(count).connect_lazy_with(options.clone());
            Ok((pool(1), pool(READERS)))
        }
        RegisterStoreConfig::Postgres(config) => {
            let pool = AnyPoolOptions::new()
                .max_connections(CONNECTIONS)
                .acquire_timeout(DEADLINE)
                .max_lifetime(Duration::from_secs(30 * 60))
                .connect_lazy_with(options(&postgres(config)?)?);
            Ok((pool.clone(), pool))
        }
    }
}

/// Brings the tables up to date.
pub(super) async fn migrated(pool: &AnyPool) -> Result<(), StoreError> {
    drop(pool.acquire().await.map_err(failed)?); // a server that is away is not asked three times
    let mut migrator = sqlx::migrate!("src/store/migrations/durable");
    migrator.set_ignore_missing(true); // steps of a later version: it only added to what this one knows
    let tries = migrator.iter().count() + MIGRATION_TRIES;
    let mut tried = 1;
    loop {
        match migrator.run(pool).await {
            Ok(()) => return Ok(()),
            Err(_) if tried < tries => tried += 1,
            Err(error) => return Err(StoreError::away(AwayReason::Answer, error)),
        }
    }
}

fn options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    let options = AnyConnectOptions::from_str(url);
    options.map(ConnectOptions::disable_statement_logging).map_err(|_| {
        StoreError::Settings("the register's address is none; write postgres://USER@HOST:PORT/DATABASE".into())
    })
}

fn file_pool(count: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(count)
        .acquire_timeout(DEADLINE)
        // A file does not go away under an open handle, so neither age nor rest is a reason to open it again.
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(async move { connection.execute(OF_EACH_CONNECTION).await.map(drop) }))
}

fn sqlite(path: &Path) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
    format!("sqlite:{}?mode=rw", utf8_percent_encode(&path.to_string_lossy(), KEPT))
}

/// The address as the driver wants it: password, TLS and limits of the server in it.
fn postgres(config: &PostgresConfig) -> Result<Zeroizing<String>, StoreError> {
    let wrong = || StoreError::Settings("`register` is no postgres://USER@HOST:PORT/DATABASE".into());
    let (user, place) = config.url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).ok_or_else(wrong)?;
    let password = config.password_file.as_deref().map(password).transpose()?;
    let password = password.map(|text| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()).map(Zeroizing::new);
    let colon = if password.is_some() { ":" } else { "" };
    let (host, _) = place.split_once('/').ok_or_else(wrong)?;
    let tls = if is_local(host) {
        "sslmode=prefer".to_owned()
    } else {
        let authorities = config.ca_file.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES));
        let authorities = authorities.to_string_lossy();
        format!("sslmode=verify-full&sslrootcert={}", utf8_percent_encode(&authorities, NON_ALPHANUMERIC))
    };
    // The server's own limits, for a client that vanished: no statement over 30 s (a page of filings takes 10 ms), no lock held
    // by somebody who says nothing for 5 s.
    let limits =
        "options[statement_timeout]=30s&options[lock_timeout]=2s&options[idle_in_transaction_session_timeout]=5s";
    let secret = password.as_deref().map_or("", String::as_str);
    Ok(Zeroizing::new(format!("postgres://{user}{colon}{secret}@{place}?application_name=yimen&{tls}&{limits}")))
}

fn password(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
        .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Whether nobody can listen between us and `host[:port]`: a loopback address, or the folder of a Unix socket.
fn is_local(host: &str) -> bool {
    let decoded = percent_decode_str(host).decode_utf8_lossy();
    let name = decoded
        .strip_prefix('[')
        .and_then(|six| six.split_once(']'))
        .map_or_else(|| decoded.rsplit_once(':').map_or(&*decoded, |(name, _)| name), |(six, _)| six);
    name.starts_with('/') || name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> String {
        postgres(&PostgresConfig { url: url.into(), password_file: None, ca_file: None }).unwrap().to_string()
    }

    #[test]
    fn anything_but_this_machine_is_verified_in_full() {
        for local in ["127.0.0.1:5432", "[::1]:5432", "localhost", "%2Frun%2Fpostgresql"] {
            assert!(address(&format!("postgres://y@{local}/y")).contains("sslmode=prefer"), "{local}");
        }
        for far in ["10.0.0.1:5432", "db.example.gov", "localhost.example.gov:5432", "[fd00::1]:5432"] {
            assert!(address(&format!("postgres://y@{far}/y")).contains("sslmode=verify-full&sslrootcert="), "{far}");
        }
    }

    #[test]
    fn a_password_of_any_characters_comes_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "a@/?:%#\n").unwrap();
        let config =
            PostgresConfig { url: "postgres://y@127.0.0.1/y".into(), password_file: Some(file), ca_file: None };
        let made = postgres(&config).unwrap();
        assert!(made.starts_with("postgres://y:a%40%2F%3F%3A%25%23@127.0.0.1/y?"), "the password is not encoded");
        options(&made).unwrap();
    }
}
