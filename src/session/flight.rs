//! Look-ups of one session that come together make one store call.

use std::future::Future;
use std::sync::Arc;

use dashmap::DashMap;
use tokio::sync::OnceCell;

use super::cache::Entry;
use crate::store::SessionKey;

/// What the store said.
#[derive(Clone, Debug)]
pub(super) enum Fetched {
    Here(Arc<Entry>),
    Gone,
    Away,
}

/// Calls under way. As many as requests wait, and no more: each leaves with the last of those who wait for it.
#[derive(Default)]
pub(super) struct Flights(DashMap<SessionKey, Arc<OnceCell<Fetched>>>);

impl Flights {
    /// The outcome of the call under way, or of `fetch` if there is none. Whoever leads and gives up (a visitor who
    /// closes the connection) leaves the lead to the next.
    pub(super) async fn join<F: Future<Output = Fetched>>(
        &self,
        key: SessionKey,
        fetch: impl FnOnce() -> F,
    ) -> Fetched {
        let flight = self.0.entry(key).or_default().clone();
        let landed = Landing { flights: self, key, flight: &flight };
        let fetched = landed.flight.get_or_init(fetch).await.clone();
        drop(landed);
        fetched
    }
}

/// Takes the flight off the board, also when the one who waits is dropped: an outcome must not be given to latecomers.
struct Landing<'a> {
    flights: &'a Flights,
    key: SessionKey,
    flight: &'a Arc<OnceCell<Fetched>>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.flights.0.remove_if(&self.key, |_, flight| Arc::ptr_eq(flight, self.flight));
    }
}
