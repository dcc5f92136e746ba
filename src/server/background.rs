//! What runs beside the listeners: revocation notices, key reload, health checks, and the word that everything is up.

use std::sync::Arc;
use std::time::Duration;

use pingora::server::ExecutionPhase;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};

use super::reload::Reload;
use crate::domain::Timestamp;
use crate::gateway::HealthChecks;
use crate::identity::Keys;
use crate::session::Sessions;

/// New key files are seen this soon; they sign only after `identity.key_lead_minutes`, so seconds do not matter.
const KEYS_EVERY: Duration = Duration::from_secs(15);

pub(crate) struct Background {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) checks: HealthChecks,
    pub(crate) reload: Reload,
}

impl Background {
    pub(crate) fn start(self, runtime: &Runtime, stopped: &watch::Receiver<bool>) {
        let Self { sessions, keys, checks, reload } = self;
        runtime.spawn(checks.run(stopped.clone()));
        let watch = stopped.clone();
        runtime.spawn(async move { sessions.run(watch).await });
        runtime.spawn(reload.run(stopped.clone()));
        let mut watch = stopped.clone();
        runtime.spawn(async move {
            while !stops_within(&mut watch, KEYS_EVERY).await {
                if let Err(fault) = keys.reload(Timestamp::now()) {
                    tracing::error!(%fault, "assertion keys not reloaded, the ones in memory go on");
                }
            }
        });
    }
}

async fn stops_within(watch: &mut watch::Receiver<bool>, time: Duration) -> bool {
    tokio::time::timeout(time, watch.wait_for(|stop| *stop)).await.is_ok()
}

/// Calls `ready` when the frame says that its services run.
pub(crate) fn when_running(
    runtime: &Runtime,
    mut phases: broadcast::Receiver<ExecutionPhase>,
    ready: impl FnOnce() + Send + 'static,
) {
    runtime.spawn(async move {
        loop {
            match phases.recv().await {
                Ok(ExecutionPhase::Running) => return ready(),
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
}
