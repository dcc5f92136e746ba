//! The gateway's key set as a platform should keep it: fetched when first needed, kept for a while, fetched again early
//! when a token names a key that is not in it, but never more than once in ten seconds: forged tokens must not drive traffic.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Certificate, Client, Response};
use tokio::sync::Semaphore;

use crate::identity::KeySet;

/// Deadline of a fetch: the gateway is near, and a page waits for it.
const FETCH_DEADLINE: Duration = Duration::from_secs(2);
/// How long a fetched set is used: what the gateway's own Cache-Control says.
const KEEP: Duration = Duration::from_secs(300);
/// The shortest time between two fetches.
const PAUSE: Duration = Duration::from_secs(10);
/// Largest key set read; a real one has about 1 KiB.
const KEY_SET_BYTES_MAX: usize = 64 * 1024;

/// The client for the key set could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the key set cannot be asked for: {0}; --ca must name a file with a PEM certificate")]
pub struct KeysError(#[from] reqwest::Error);

/// The key set behind one address.
#[derive(Debug)]
pub(super) struct Keys {
    client: Client,
    url: String,
    kept: Mutex<Kept>,
    /// One fetch at a time; whoever else needs it waits for it, at most its deadline.
    fetching: Semaphore,
}

#[derive(Debug, Default)]
struct Kept {
    set: Option<(Arc<KeySet>, Instant)>,
    asked: Option<Instant>,
}

impl Keys {
    /// A client that trusts `authority` (PEM) only. Nothing is fetched yet.
    pub(super) fn new(url: String, authority: &[u8]) -> Result<Self, KeysError> {
        let client = Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(authority)?)
            .timeout(FETCH_DEADLINE)
            .no_proxy()
            .build()?;
        Ok(Self { client, url, kept: Mutex::default(), fetching: Semaphore::new(1) })
    }

    /// The key set; `newer` asks for one fetched after now if the pause allows. `None`: none could be had.
    pub(super) async fn set(&self, newer: bool) -> Option<Arc<KeySet>> {
        if !newer && let Some(set) = self.fresh() {
            return Some(set);
        }
        let _turn = self.fetching.acquire().await.ok()?;
        if self.may_ask(newer)
            && let Some(set) = self.fetch().await
        {
            self.kept.lock().set = Some((Arc::new(set), Instant::now()));
        }
        self.kept.lock().set.as_ref().map(|(set, _)| Arc::clone(set))
    }

    fn fresh(&self) -> Option<Arc<KeySet>> {
        let kept = self.kept.lock();
        kept.set.as_ref().filter(|(_, fetched)| fetched.elapsed() < KEEP).map(|(set, _)| Arc::clone(set))
    }

    fn may_ask(&self, newer: bool) -> bool {
        let mut kept = self.kept.lock();
        let needed = newer || kept.set.as_ref().is_none_or(|(_, fetched)| fetched.elapsed() >= KEEP);
        let first = kept.set.is_none(); // a gateway that was still starting is asked again at once
        let may = needed && (first || kept.asked.is_none_or(|asked| asked.elapsed() >= PAUSE));
        if may {
            kept.asked = Some(Instant::now());
        }
        may
    }

    async fn fetch(&self) -> Option<KeySet> {
        let answer = self.client.get(&self.url).send().await.and_then(Response::error_for_status);
        let mut answer = answer.inspect_err(|error| eprintln!("key set not fetched: {error}")).ok()?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.ok()? {
            body.extend_from_slice(&piece);
            if body.len() > KEY_SET_BYTES_MAX {
                return None;
            }
        }
        KeySet::from_jwks(&body).inspect_err(|error| eprintln!("key set not read: {error}")).ok()
    }
}
