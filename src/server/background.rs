//! What runs beside the listeners: the register followed, revocation notices, key reload, health checks, what changes without a restart, and signs of
//! life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::reload::Reload;
use super::service_manager;
use crate::domain::Timestamp;
use crate::gateway::{HealthChecks, KeepsUsage};
use crate::identity::{Keys, Realms};
use crate::registry::Register;
use crate::session::Sessions;

/// New key files are seen this soon; they sign only after `identity.key_lead_minutes`, so seconds do not matter.
const KEYS_EVERY: Duration = Duration::from_secs(15);

pub(crate) struct Background {
    pub(crate) register: Arc<Register>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) realms: Arc<Realms>,
    pub(crate) checks: HealthChecks,
    pub(crate) usage: KeepsUsage,
    pub(crate) reload: Reload,
    pub(crate) metrics_listen: SocketAddr,
    /// Turns true when we take no more connections.
    pub(crate) left: watch::Receiver<bool>,
}

impl Background {
    /// Starts it all. What is returned has something left to say after `stopped`, and ends then.
    pub(crate) fn start(self, runtime: &Runtime, stopped: &watch::Receiver<bool>) -> JoinHandle<()> {
        let Self { register, sessions, keys, realms, checks, usage, reload, metrics_listen, left } = self;
        runtime.spawn(register.run(stopped.clone()));
        runtime.spawn(checks.run(stopped.clone()));
        let last = runtime.spawn(usage.run(stopped.clone()));
        let watch = stopped.clone();
        runtime.spawn(async move { sessions.run(watch).await });
        let watch = stopped.clone();
        runtime.spawn(async move { realms.run(watch).await });
        runtime.spawn(reload.run(stopped.clone()));
        runtime.spawn(service_manager::watched(metrics_listen, left));
        let mut watch = stopped.clone();
        runtime.spawn(async move {
            while !stops_within(&mut watch, KEYS_EVERY).await {
                if let Err(fault) = keys.reload(Timestamp::now()) {
                    tracing::error!(%fault, "assertion keys not reloaded, the ones in memory go on");
                }
            }
        });
        last
    }
}

async fn stops_within(watch: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, watch.wait_for(|stop| *stop)).await.is_ok()
}
