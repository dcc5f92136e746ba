//! The engines of the durable store: what is true of one must be true of the other.

use tempfile::TempDir;
use yimen::config::RegisterStoreConfig;

use super::postgres::Postgres;

/// A store of one of them, empty.
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

pub(crate) use on_both;
