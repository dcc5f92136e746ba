//! Clients are told that a session was ended (OpenID Connect Back-Channel Logout 1.0): a signed token to the address they have filed.
//! The store keeps the sign-ons of ended sessions until somebody takes them, so it does not matter which node ended the session or by
//! what: sign-out, the person's own list, an operator, the limit. Of a session that expired nobody is told: its clients' tokens
//! end with it, and their own sessions are their own affair.
//! Bounds: so many at a time, 5 s each, three tries within half a minute; what waits lies in the store, the newest 10 000. A
//! node that ends while it tells loses what it has taken.
//! Where a call goes is judged twice: the filed address when it is filed, and every address behind its name when it is called.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::Issuer;
use super::grant::{SIGN_ON, SignOn};
use crate::config::AddressPolicy;
use crate::domain::Timestamp;

/// Back-Channel Logout 1.0 section 2.8 leaves it to us; a client that takes longer is tried again.
const DEADLINE: Duration = Duration::from_secs(5);
/// Before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];
/// Clients told at a time.
const AT_ONCE: usize = 32;
/// Sign-ons taken at a time; no more than are told at once, so that little is lost with a node.
const BATCH: u16 = 32;
/// Another node may have ended sessions and ended itself.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What came of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ok,
    /// It answered that it does not take the token; it would not take it again either.
    Refused,
    /// No answer, or a fault of its own.
    Failed,
    /// The address is not one to call.
    Blocked,
}

impl Told {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}

/// Calls clients.
pub(super) struct Messenger {
    client: Client,
    addresses: Arc<AddressPolicy>,
}

impl fmt::Debug for Messenger {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Messenger")
    }
}

/// Looks names up and lets through only addresses that platforms may have.
struct Guarded(Arc<AddressPolicy>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            // Names may lead elsewhere than a moment before, when `tell` looked.
            let good: Vec<SocketAddr> =
                found.filter(|address| policy.admits_address(address.ip(), 0).is_ok()).collect();
            if good.is_empty() {
                return Err(Box::from("no address that platforms may have"));
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

impl Messenger {
    /// `Err`: the file of authorities cannot be read.
    pub(super) fn new(addresses: Arc<AddressPolicy>, authorities: Option<&Path>) -> Result<Self, String> {
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(DEADLINE)
            .dns_resolver(Arc::new(Guarded(addresses.clone())))
            .pool_max_idle_per_host(1);
        if let Some(path) = authorities {
            let told = |why: &dyn fmt::Display| format!("issuer.logout_ca: {}: {why}", path.display());
            let pem = std::fs::read(path).map_err(|why| told(&why))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|why| told(&why))?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { client: builder.build().map_err(|why| why.to_string())?, addresses })
    }

    async fn tell(&self, address: &str, token: &str) -> Told {
        let Some((url, host, port)) = place(address) else { return Told::Blocked };
        if self.addresses.admits(&host, port).is_err() {
            return Told::Blocked;
        }
        // With the port, which the resolver of the call is not told: our own listeners are not called either.
        match timeout(DEADLINE, tokio::net::lookup_host((host.as_str(), port))).await {
            Ok(Ok(mut found)) => {
                if found.any(|address| self.addresses.admits_address(address.ip(), port).is_err()) {
                    return Told::Blocked;
                }
            }
            Ok(Err(_)) | Err(_) => return Told::Failed,
        }
        let sent = self.client.post(url).form(&[("logout_token", token)]).send();
        match timeout(DEADLINE, sent).await {
            Ok(Ok(answer)) if answer.status().is_success() => Told::Ok,
            Ok(Ok(answer)) if answer.status().is_client_error() => Told::Refused,
            Ok(Ok(_)) | Err(_) => Told::Failed,
            Ok(Err(error)) => {
                tracing::debug!(error = %error.without_url(), "a client could not be told of a sign-out");
                Told::Failed
            }
        }
    }
}

fn place(address: &str) -> Option<(Url, String, u16)> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    Some((url, host, port))
}

impl Issuer {
    /// Tells clients of sessions that were ended, until `shutdown` says `true` or its sender is gone.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let work = async {
            loop {
                tokio::select! {
                    () = self.sessions.some_ended() => {}
                    () = sleep(LOOK_EVERY) => {}
                }
                while self.tell_some().await {}
            }
        };
        tokio::select! {
            () = work => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    /// Whether there may be more.
    async fn tell_some(&self) -> bool {
        // A store that does not answer is asked again with the next look.
        let Ok(values) = self.store().sign_offs(BATCH, Timestamp::now()).await else { return false };
        let more = values.len() == usize::from(BATCH);
        let sign_ons = values.iter().filter_map(|value| self.seal.open_of::<SignOn>(&SIGN_ON, value));
        futures_util::stream::iter(sign_ons).for_each_concurrent(AT_ONCE, |sign_on| self.tell(sign_on)).await;
        more
    }

    async fn tell(&self, sign_on: SignOn) {
        let Ok(known) = self.known(&sign_on.client) else { return }; // withdrawn meanwhile
        let Some(address) = known.client().and_then(|client| client.backchannel_logout_uri.clone()) else { return };
        let mut pauses = PAUSES.into_iter();
        let told = loop {
            let now = Timestamp::now();
            let Ok(token) = self.logout_token(&sign_on, now) else { return };
            let told = self.messenger.tell(&address, &token).await;
            match pauses.next().filter(|_| told == Told::Failed) {
                Some(pause) => sleep(pause).await,
                None => break told,
            }
        };
        self.metrics.backchannel_logouts.with_label_values(&[told.word()]).inc();
        if told == Told::Ok {
            tracing::info!(client = sign_on.client, "a client was told of a sign-out");
        } else {
            tracing::warn!(client = sign_on.client, result = told.word(), "a client was not told of a sign-out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_our_own_machine_is_not_called() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // another test did it
        let guarded = Guarded(Arc::new(AddressPolicy::new(Vec::new(), Vec::new())));
        assert!(guarded.resolve("localhost".parse().unwrap()).await.is_err());
        let messenger = Messenger::new(Arc::new(AddressPolicy::new(Vec::new(), Vec::new())), None).unwrap();
        for address in
            ["http://127.0.0.1:1/", "http://[::1]:1/", "http://169.254.169.254/", "http://localhost:1/", "no address"]
        {
            assert_eq!(messenger.tell(address, "t").await, Told::Blocked, "{address}");
        }
    }
}
