//! Calls that are repeated: what was answered to the first is answered to the others (`Idempotency-Key`, an IETF draft of
//! the HTTPAPI working group). A key is its credential's own; the store knows it by its hash.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::register::RegisterError;
use crate::domain::{Credential, Timestamp};
use crate::store::{AnsweredRow, Durable};

/// How long an answer is kept: whoever repeats a call after a day has forgotten it.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A call that has not ended by then never will: each of its steps has a deadline of seconds, so its node died.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// Answers to calls with a key.
#[derive(Clone, Debug)]
pub struct Answered {
    durable: Arc<Durable>,
}

/// A key that this call holds.
#[derive(Clone, Debug)]
pub struct HeldKey {
    credential: String,
    key_hash: String,
}

/// What a key says.
#[derive(Clone, Debug)]
pub enum Repeated {
    /// It is new: do it, then keep the answer or give the key back.
    No(HeldKey),
    /// It was done; this was the answer.
    Done(KeptAnswer),
    /// It is under way.
    UnderWay,
    /// The key came with another request.
    Other,
}

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Status.
    pub status: u16,
    /// Header fields, a line `name: value` each.
    pub fields: String,
    /// Body, JSON.
    pub body: Option<String>,
}

impl Answered {
    /// The answers of a durable store.
    pub fn new(durable: Arc<Durable>) -> Self {
        Self { durable }
    }

    /// Whether this call was made before. `request`: all that makes it the same call, part by part.
    pub async fn before(
        &self,
        credential: Credential,
        key: &str,
        request: &[&[u8]],
        now: Timestamp,
    ) -> Result<Repeated, RegisterError> {
        let (key_hash, request_hash) = (hash(&[key.as_bytes()]), hash(request));
        let limits = (KEPT, GIVEN_UP);
        let credential = credential.to_string();
        let found = self.durable.take_key(&credential, &key_hash, &request_hash, now, limits).await?;
        Ok(match found {
            None => Repeated::No(HeldKey { credential, key_hash }),
            Some(row) if row.request_hash != request_hash => Repeated::Other,
            Some(AnsweredRow { answer: Some((status, fields, body)), .. }) => {
                Repeated::Done(KeptAnswer { status, fields, body })
            }
            Some(_) => Repeated::UnderWay,
        })
    }

    /// Keeps the answer under the key.
    pub async fn keep(&self, key: &HeldKey, answer: &KeptAnswer) -> Result<(), RegisterError> {
        let KeptAnswer { status, fields, body } = answer;
        let keep = self.durable.keep_answer(&key.credential, &key.key_hash, *status, fields, body.as_deref());
        Ok(keep.await?)
    }

    /// Gives the key back: the call changed nothing, and may succeed when it is made again.
    pub async fn give_back(&self, key: &HeldKey) -> Result<(), RegisterError> {
        Ok(self.durable.give_key_back(&key.credential, &key.key_hash).await?)
    }
}

/// SHA-256 of the parts, each with its length, in hex.
fn hash(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn a_repeated_call_gets_the_first_ones_answer_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::open(&folder.path().join("register.db")).await.unwrap();
        let answered = Answered::new(Arc::new(durable));
        let [li, han] = [1, 2].map(|number| Credential::Token(uuid::Uuid::from_u128(number)));
        let ask = async |who: &Credential, request: &[u8], after: u64| {
            answered.before(*who, "key-1", &[b"POST", request], NOW.plus(Duration::from_secs(after))).await.unwrap()
        };
        let Repeated::No(key) = ask(&li, b"a", 0).await else { panic!("it is the first") };
        assert!(matches!(ask(&li, b"a", 1).await, Repeated::UnderWay));
        assert!(matches!(ask(&li, b"b", 1).await, Repeated::Other));
        assert!(matches!(ask(&han, b"b", 1).await, Repeated::No(_)), "another's key of the same name is another key");
        let answer = KeptAnswer { status: 201, fields: "etag: \"1\"\n".into(), body: Some("{}".into()) };
        answered.keep(&key, &answer).await.unwrap();
        match ask(&li, b"a", 24 * 3600).await {
            Repeated::Done(kept) => assert_eq!(kept, answer),
            other => panic!("{other:?}"),
        }
        let Repeated::No(key) = ask(&li, b"b", 24 * 3600 + 1).await else { panic!("a day is over") };
        answered.give_back(&key).await.unwrap();
        assert!(matches!(ask(&li, b"c", 24 * 3600 + 2).await, Repeated::No(_)), "it was given back");
        assert!(matches!(ask(&li, b"c", 24 * 3600 + 63).await, Repeated::No(_)), "its node died");
    }
}
