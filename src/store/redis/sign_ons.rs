//! Sign-ons as hashes, found by their session, and the list of those whose client is to be told of the end.

use super::{RedisStore, key, millis};
use crate::domain::Timestamp;
use crate::store::keys::{SIGN_OFFS, SIGN_ON, Tag};
use crate::store::{PutSignOn, SessionKey, StoreError};

impl RedisStore {
    pub(in crate::store) async fn sign_on(
        &self,
        put: &PutSignOn<'_>,
        client: &Tag,
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        let value: Option<Vec<u8>> = self
            .link
            .run(
                self.named(&self.scripts.sign_on)
                    .arg(put.parent.hex())
                    .arg(client.hex())
                    .arg(put.key.hex())
                    .arg(put.value)
                    .arg(millis(put.ends_at.since(now))),
            )
            .await?;
        value.ok_or(StoreError::ParentGone)
    }

    pub(in crate::store) async fn signed_on(
        &self,
        sign_on: &SessionKey,
        _: Timestamp,
    ) -> Result<Option<SessionKey>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(format!("{SIGN_ON}{}", sign_on.hex())).arg("parent");
        self.link.ask::<Option<String>>(&command).await?.map(|parent| key(&parent)).transpose()
    }

    pub(in crate::store) async fn sign_offs(&self, most: u16, _: Timestamp) -> Result<Vec<Vec<u8>>, StoreError> {
        let values: Option<Vec<Vec<u8>>> = self.link.ask(redis::cmd("LPOP").arg(SIGN_OFFS).arg(most)).await?;
        Ok(values.unwrap_or_default())
    }
}
