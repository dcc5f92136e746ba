//! The connection to Redis: made when first needed, shared by all calls, replaced when it breaks.

use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError,
    ScriptInvocation, TlsCertificates,
};
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;

use crate::config::RedisConfig;
use crate::store::{AwayReason, StoreError};

/// A password or certificate file is read to this length; a bundle of all public authorities is 250 KiB.
const FILE_MAX: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Link {
    config: RedisConfig,
    address: ConnectionInfo,
    deadline: Duration,
    connection: ArcSwapOption<MultiplexedConnection>,
    /// One connects, the others wait for it within their own deadlines.
    connecting: Semaphore,
}

impl Link {
    pub(super) fn new(config: RedisConfig, deadline: Duration) -> Result<Self, StoreError> {
        let address = config.url.as_str().into_connection_info().map_err(|_| {
            StoreError::Settings(
                "the session store's address is none; write redis://host:port/db or rediss://host:port/db".into(),
            )
        })?;
        if config.ca_file.is_some() && !config.url.starts_with("rediss://") {
            return Err(StoreError::Settings("ca_file is set, but the address is not rediss://".into()));
        }
        Ok(Self { config, address, deadline, connection: ArcSwapOption::empty(), connecting: Semaphore::new(1) })
    }

    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        answer.map_err(|error| self.noted(error))
    }

    pub(super) async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        let answer = script.invoke_async(&mut connection).await;
        answer.map_err(|error| self.noted(error))
    }

    /// Makes a new connection and takes it into use once it answers.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let _one = self.connecting.acquire().await;
        self.connect().await.map(drop)
    }

    /// A client with what the files hold now: a changed password counts from the next connection.
    pub(super) async fn client(&self) -> Result<Client, StoreError> {
        let mut settings = self.address.redis_settings().clone().set_skip_set_lib_name();
        if let Some(user) = &self.config.user {
            settings = settings.set_username(user);
        }
        if let Some(file) = &self.config.password_file {
            settings =
                settings.set_password(String::from_utf8_lossy(&read(file).await?).trim_end_matches(['\r', '\n']));
        }
        let address = self.address.clone().set_redis_settings(settings);
        let made = match &self.config.ca_file {
            Some(file) => {
                let root_cert = Some(read(file).await?);
                Client::build_with_tls(address, TlsCertificates { client_tls: None, root_cert })
            }
            None => Client::open(address),
        };
        made.map_err(failed)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        if let Some(connection) = self.connection.load_full() {
            return Ok((*connection).clone());
        }
        let _one = self.connecting.acquire().await;
        match self.connection.load_full() {
            Some(connection) => Ok((*connection).clone()), // made while we waited
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.deadline))
            .set_response_timeout(Some(self.deadline));
        let client = self.client().await?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&limits).await.map_err(failed)?;
        redis::cmd("PING").exec_async(&mut connection).await.map_err(failed)?;
        self.connection.store(Some(Arc::new(connection.clone())));
        Ok(connection)
    }

    /// A connection that broke is let go, as is one to a server that has become a replica: the address may lead to another.
    fn noted(&self, error: RedisError) -> StoreError {
        if error.is_unrecoverable_error() || error.code() == Some("READONLY") {
            self.connection.store(None);
        }
        failed(error)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut content = Vec::new();
    let fault =
        |error: std::io::Error| StoreError::away(AwayReason::Refused, format_args!("{}: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(fault)?;
    file.take(FILE_MAX).read_to_end(&mut content).await.map_err(fault)?;
    Ok(content)
}

/// What Redis's error means to the caller. Only its code is kept: details may quote arguments.
#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(super) fn failed(error: RedisError) -> StoreError {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => StoreError::Corrupt { what: "an answer" },
        ErrorKind::Io if error.is_timeout() => StoreError::away(AwayReason::Timeout, error.category()),
        ErrorKind::Io => StoreError::away(AwayReason::Refused, &error),
        ErrorKind::AuthenticationFailed => {
            StoreError::away(AwayReason::Refused, "Redis takes neither our user nor our password")
        }
        ErrorKind::InvalidClientConfig => StoreError::away(AwayReason::Refused, error.category()),
        _ => StoreError::away(AwayReason::Answer, error.code().unwrap_or_else(|| error.category())),
    }
}
