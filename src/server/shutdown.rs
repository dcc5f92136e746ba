//! SIGTERM: say so on `/ready`, let requests under way end within the bound, then stop. SIGINT: stop at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use prometheus::IntGauge;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits for a signal and for the requests under way.
pub(crate) struct Drain {
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) inflight: IntGauge,
    pub(crate) bound: Duration,
}

#[async_trait]
impl ShutdownSignalWatch for Drain {
    async fn recv(&self) -> ShutdownSignal {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).ok(), signal(SignalKind::interrupt()).ok());
        tokio::select! {
            () = next(&mut terminate) => {}
            () = next(&mut interrupt) => return ShutdownSignal::FastShutdown,
        }
        self.draining.store(true, Ordering::Release);
        let end = Instant::now() + self.bound;
        while self.inflight.get() > 0 && Instant::now() < end {
            sleep(LOOK_EVERY).await;
        }
        ShutdownSignal::GracefulTerminate
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
