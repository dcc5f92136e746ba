//! How the process begins to serve and how it ends. SIGTERM: say so on `/ready`, let requests under way end within the
//! bound, then stop. SIGQUIT: a successor takes over (`handover.rs`), connections under way end within the bound. SIGINT:
//! stop at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use prometheus::IntGauge;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use super::handover::Handover;
use super::ops::Standing;
use super::service_manager;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Called once all listeners accept connections.
pub(crate) type Ready = Box<dyn FnOnce() + Send>;

/// Waits for a signal and for the requests under way.
pub(crate) struct Drain {
    pub(crate) standing: Arc<Standing>,
    pub(crate) inflight: IntGauge,
    pub(crate) connections: IntGauge,
    pub(crate) bound: Duration,
    pub(crate) handover: Arc<Handover>,
    pub(crate) ready: Mutex<Option<Ready>>,
    /// Addresses that could not be listened on, if it never served.
    pub(crate) failed: Arc<Mutex<Option<Vec<SocketAddr>>>>,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    /// Begins when the frame has started its services.
    async fn recv(&self) -> ShutdownSignal {
        let mut signals =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()].map(|kind| signal(kind).ok());
        if let Err(missing) = self.handover.serving().await {
            *self.failed.lock() = Some(missing);
            self.handover.stop();
            return ShutdownSignal::FastShutdown;
        }
        self.standing.serving.store(true, Ordering::Release);
        service_manager::serving();
        if let Some(ready) = self.ready.lock().take() {
            ready();
        }
        let end = self.end(&mut signals).await;
        self.handover.stop();
        self.handover.ended();
        end
    }
}

impl Drain {
    async fn end(&self, [terminate, interrupt, quit]: &mut [Option<Signal>; 3]) -> ShutdownSignal {
        loop {
            tokio::select! {
                () = next(terminate) => {
                    service_manager::stopping();
                    self.standing.draining.store(true, Ordering::Release);
                    self.until_zero(&self.inflight).await;
                    return ShutdownSignal::GracefulTerminate;
                }
                () = next(interrupt) => {
                    service_manager::stopping();
                    return ShutdownSignal::FastShutdown;
                }
                () = next(quit) => match self.handover.hand_over().await {
                    Ok(successor) => {
                        self.leave(successor).await;
                        return ShutdownSignal::GracefulTerminate;
                    }
                    Err(fault) => tracing::error!("not replaced, this process goes on: {fault}"),
                }
            }
        }
    }

    /// The successor serves. Connections end with the answer to their next request, which says so; one that asks nothing is
    /// left alone until the bound, since its client may be about to ask.
    async fn leave(&self, successor: u32) {
        self.standing.draining.store(true, Ordering::Release);
        self.handover.stop(); // also the word to systemd, which watches the successor now
        self.handover.draining();
        tracing::info!(successor, "replaced; connections under way end");
        let left = self.until_zero(&self.connections).await;
        tracing::info!(left, "replaced and done");
    }

    /// Waits within the bound; what is left.
    async fn until_zero(&self, gauge: &IntGauge) -> i64 {
        let end = Instant::now() + self.bound;
        while gauge.get() > 0 && Instant::now() < end {
            sleep(LOOK_EVERY).await;
        }
        gauge.get()
    }
}

/// A signal that cannot be listened for never comes.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
