//! The engines of the stores, two for durable and two for short-lived state: what is true of one must be true of the other.

use tempfile::TempDir;
use yimen::config::{RegisterStoreConfig, SessionStoreConfig};

use super::postgres::Postgres;
use super::redis::Redis;

/// A durable store, empty.
pub enum Engine {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl Engine {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        Self::Postgres(Box::new(Postgres::start()))
    }

    pub fn config(&self) -> RegisterStoreConfig {
        match self {
            Self::Sqlite(folder) => RegisterStoreConfig::Sqlite(folder.path().join("state/register.db")),
            Self::Postgres(postgres) => postgres.config(),
        }
    }

    /// As `stores.register` names it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("state/register.db").display()),
            Self::Postgres(postgres) => postgres.url(),
        }
    }
}

/// Runs each case on both engines, with what `open` makes of the engine.
macro_rules! on_both {
    ($open:ident: $($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let engine = $crate::support::engine::Engine::sqlite();
                super::$name(super::$open(&engine).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let engine = $crate::support::engine::Engine::postgres();
                super::$name(super::$open(&engine).await).await;
            })*
        }
    };
}

/// A short-lived store, empty.
pub enum SessionEngine {
    Sqlite(TempDir),
    Redis(Redis),
}

impl SessionEngine {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn redis() -> Self {
        Self::Redis(Redis::start())
    }

    pub fn config(&self) -> SessionStoreConfig {
        match self {
            Self::Sqlite(folder) => SessionStoreConfig::Sqlite(folder.path().join("state/sessions.db")),
            Self::Redis(redis) => SessionStoreConfig::Redis(redis.config()),
        }
    }
}

/// Runs each case on both engines of the short-lived store, with what `open` makes of the store's settings.
macro_rules! on_both_session_engines {
    ($open:ident: $($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let engine = $crate::support::engine::SessionEngine::sqlite();
                super::$name(super::$open(engine.config()).await).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let engine = $crate::support::engine::SessionEngine::redis();
                super::$name(super::$open(engine.config()).await).await;
            })*
        }
    };
}

pub(crate) use {on_both, on_both_session_engines};
