//! Redis, or what speaks its protocol (6.2 or later for GETDEL), as the short-lived store of many nodes.
//! One connection carries all calls, interleaved; notices have their own. What must be one step is one script.

mod link;
mod notices;
mod scripts;
mod sign_ons;

use std::time::Duration;

use redis::Value;

use self::link::Link;
use self::scripts::Scripts;
use super::keys::{CHILDREN, NOTICES, ONCE, RATE, SESSION, SUBJECT, Tag};
use super::{Ended, PutSession, SessionKey, StoreError, StoredSession};
use crate::config::RedisConfig;
use crate::domain::Timestamp;

#[derive(Debug)]
pub(super) struct RedisStore {
    link: Link,
    scripts: Scripts,
}

impl RedisStore {
    /// Connects with the first call. `deadline` bounds each step of a connection's setup.
    pub(super) fn new(config: RedisConfig, deadline: Duration) -> Result<Self, StoreError> {
        Ok(Self { link: Link::new(config, deadline)?, scripts: Scripts::new() })
    }

    /// A fresh connection that answers takes the place of the one that failed.
    pub(super) async fn probe(&self) -> Result<(), StoreError> {
        self.link.renew().await
    }

    pub(super) async fn put_session(
        &self,
        put: &PutSession<'_>,
        subject: &Tag,
        labels: &[Tag],
    ) -> Result<Ended, StoreError> {
        let labels: Vec<String> = labels.iter().map(Tag::hex).collect();
        let life = put.expires_at.min(put.ends_at).since(put.begun_at);
        let ended: Option<(Vec<String>, Vec<String>)> = self
            .link
            .run(
                self.named(&self.scripts.put)
                    .arg(put.key.hex())
                    .arg(subject.hex())
                    .arg(put.value)
                    .arg(put.begun_at.millis())
                    .arg(millis(life))
                    .arg(millis(put.ends_at.since(put.begun_at)))
                    .arg(put.per_subject_max)
                    .arg(put.replaces.map(SessionKey::hex).unwrap_or_default())
                    .arg(put.parent.map(SessionKey::hex).unwrap_or_default())
                    .arg(labels.join(" "))
                    .arg(if put.carries { "1" } else { "" })
                    .arg(if put.goes_on { "1" } else { "" }),
            )
            .await?;
        let gone = if put.goes_on { StoreError::SessionGone } else { StoreError::ParentGone };
        let (all, above_limit) = ended.ok_or(gone)?;
        Ok(Ended { all: keys(&all)?, above_limit: keys(&above_limit)? })
    }

    pub(super) async fn session(&self, key: &SessionKey, _: Timestamp) -> Result<Option<StoredSession>, StoreError> {
        let mut command = redis::cmd("HMGET");
        command.arg(format!("{SESSION}{}", key.hex())).arg("value").arg("seen");
        let (value, seen): (Option<Vec<u8>>, Option<u64>) = self.link.ask(&command).await?;
        Ok(value.map(|value| StoredSession { value, seen: Timestamp::from_millis(seen.unwrap_or_default()) }))
    }

    pub(super) async fn touch(
        &self,
        key: &SessionKey,
        seen: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let life = millis(expires_at.since(seen));
        self.link.run(self.named(&self.scripts.touch).arg(key.hex()).arg(seen.millis()).arg(life)).await
    }

    pub(super) async fn delete(&self, key: &SessionKey) -> Result<Vec<SessionKey>, StoreError> {
        keys(&self.link.run::<Vec<String>>(self.named(&self.scripts.delete).arg(key.hex())).await?)
    }

    pub(super) async fn of_subject(
        &self,
        subject: &Tag,
        _: Timestamp,
    ) -> Result<Vec<(SessionKey, StoredSession)>, StoreError> {
        let rows: Vec<(String, Vec<u8>, u64)> =
            self.link.run(self.named(&self.scripts.list).arg(subject.hex())).await?;
        rows.into_iter()
            .map(|(hex, value, seen)| Ok((key(&hex)?, StoredSession { value, seen: Timestamp::from_millis(seen) })))
            .collect()
    }

    pub(super) async fn delete_of_subject(
        &self,
        subject: &Tag,
        keep: Option<&SessionKey>,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let keep = keep.map(SessionKey::hex).unwrap_or_default();
        keys(&self.link.run::<Vec<String>>(self.named(&self.scripts.delete_all).arg(subject.hex()).arg(keep)).await?)
    }

    pub(super) async fn delete_labelled(&self, label: &Tag) -> Result<Vec<SessionKey>, StoreError> {
        keys(&self.link.run::<Vec<String>>(self.named(&self.scripts.delete_labelled).arg(label.hex())).await?)
    }

    pub(super) async fn put_once(
        &self,
        tag: &Tag,
        value: &[u8],
        life: Duration,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut command = redis::cmd("SET");
        command.arg(format!("{ONCE}{}", tag.hex())).arg(value).arg("NX").arg("PX").arg(millis(life));
        Ok(self.link.ask::<Value>(&command).await? != Value::Nil)
    }

    pub(super) async fn take(&self, tag: &Tag, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.link.ask(redis::cmd("GETDEL").arg(format!("{ONCE}{}", tag.hex()))).await
    }

    pub(super) async fn kept(&self, tag: &Tag, _: Timestamp) -> Result<Option<Vec<u8>>, StoreError> {
        self.link.ask(redis::cmd("GET").arg(format!("{ONCE}{}", tag.hex()))).await
    }

    pub(super) async fn count(&self, tag: &Tag, window: Duration, _: Timestamp) -> Result<u64, StoreError> {
        let mut script = self.scripts.count.key(format!("{RATE}{}", tag.hex()));
        self.link.run(script.arg(millis(window))).await
    }

    pub(super) async fn meter(
        &self,
        tag: &Tag,
        interval_us: u64,
        tolerance_us: u64,
        _: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError> {
        let mut script = self.scripts.meter.key(format!("{RATE}{}", tag.hex()));
        let (passed, ahead): (bool, u64) = self.link.run(script.arg(interval_us).arg(tolerance_us)).await?;
        Ok(if passed { Ok(ahead) } else { Err(ahead) })
    }

    /// A script with the names it makes keys from, so that `keys.rs` stays the one place where they are written.
    fn named<'a>(&self, script: &'a redis::Script) -> redis::ScriptInvocation<'a> {
        let mut named = script.prepare_invoke();
        named.arg(SESSION).arg(SUBJECT).arg(CHILDREN).arg(NOTICES);
        named
    }
}

fn keys(texts: &[String]) -> Result<Vec<SessionKey>, StoreError> {
    texts.iter().map(|text| key(text)).collect()
}

fn key(text: &str) -> Result<SessionKey, StoreError> {
    SessionKey::from_hex(text).ok_or(StoreError::Corrupt { what: "a session key" })
}

/// At least 1: Redis refuses an expiry of 0.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64)
}
