//! Word of a changed register from node to node: Redis pub/sub where sessions are in Redis. On one machine nobody needs to be
//! told: the process that changed it knows, and its successor of a hot upgrade asks the register itself, as every node does.

use std::time::Duration;

use super::StoreError;
use super::redis::RedisStore;
use crate::config::SessionStoreConfig;

/// Deadline of each step of connecting; nobody waits for it.
const DEADLINE: Duration = Duration::from_millis(500);

/// Tells and hears that the register changed. A word that gets lost costs the time to the next look, and nothing else.
#[derive(Debug)]
pub struct RegisterNotices(Option<RedisStore>);

impl RegisterNotices {
    /// By the store of sessions. `Err`: its settings cannot work.
    pub fn of(config: &SessionStoreConfig) -> Result<Self, StoreError> {
        Ok(Self(match config {
            SessionStoreConfig::Sqlite(_) => None,
            SessionStoreConfig::Redis(config) => Some(RedisStore::new(config.clone(), DEADLINE)?),
        }))
    }

    /// Nobody to tell.
    pub fn none() -> Self {
        Self(None)
    }

    /// Tells the others. Never takes longer than a second.
    pub async fn announce(&self, revision: u64) {
        if let Some(redis) = &self.0
            && let Err(cause) = redis.announce_register(revision).await
        {
            tracing::debug!(%cause, "nobody was told of the register's new revision; nodes find it when they look");
        }
    }

    /// Calls `hear` whenever somebody tells of a change, until it is dropped.
    pub async fn follow(&self, hear: impl Fn()) {
        match &self.0 {
            Some(redis) => redis.follow_register(&hear).await,
            None => std::future::pending().await,
        }
    }
}
