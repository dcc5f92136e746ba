//! What changes without a restart: certificates and files of filings on SIGHUP, certificates also when their files change, those
//! of platforms too.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::certificate::Resolver;
use super::service_manager;
use crate::domain::{PlatformId, Timestamp};
use crate::metrics::Metrics;
use crate::registry::{Register, Synced, TlsFiles};
use crate::written::Mistake;

/// Certificates are renewed days before they end, so seconds do not matter; a look costs some microseconds. New files are
/// loaded at the second look that finds them alike.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is loaded anew.
pub(crate) struct Reload {
    /// Of every listener that has some.
    pub(crate) certificates: Vec<Arc<Resolver>>,
    pub(crate) filings: Filings,
}

/// The filings of the routes directory, on their way into the register.
pub(crate) struct Filings {
    pub(crate) directory: PathBuf,
    pub(crate) register: Arc<Register>,
    pub(crate) metrics: Arc<Metrics>,
    /// How the platforms' certificates and keys looked.
    pub(crate) tls: Looks,
}

/// How files looked when they were loaded, and the last time.
pub(crate) struct Looks {
    pub(crate) loaded: TlsFiles,
    pub(crate) last: TlsFiles,
}

impl Reload {
    /// Runs until `stopped`.
    pub(crate) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = next(&mut hangup) => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let (certificates, filings) = (self.certificates.clone(), &mut self.filings);
            let directory = filings.directory.clone();
            let reload = move || {
                let now = Timestamp::now();
                for certificates in &certificates {
                    if asked {
                        certificates.reload(now);
                    } else {
                        certificates.reload_if_changed(now);
                    }
                }
                TlsFiles::of(&directory)
            };
            if asked {
                service_manager::reloading();
            }
            match tokio::task::spawn_blocking(reload).await {
                Ok(tls) => filings.tls_looks(tls, Timestamp::now()).await,
                Err(_) => tracing::error!("loading anew failed with a panic; what is in force goes on"),
            }
            if asked {
                filings.reload(Timestamp::now()).await;
                service_manager::serving();
            }
        }
    }
}

impl Filings {
    /// Certificates and keys of platforms, as they look now. Filings are read again at the second look that finds them alike.
    async fn tls_looks(&mut self, now: TlsFiles, at: Timestamp) {
        let changed = now != self.tls.loaded && now == self.tls.last;
        self.tls.last = now;
        if !changed {
            return;
        }
        match self.register.read_again(at).await {
            Ok(()) => self.tls.loaded = self.tls.last.clone(),
            Err(fault) => tracing::warn!("certificates of platforms not loaded anew, it is tried again: {fault}"),
        }
    }

    /// Takes the files of the routes directory over into the register, and tries again what is in quarantine.
    async fn reload(&self, now: Timestamp) {
        let result = match self.register.sync_files(&self.directory, now).await {
            Ok(synced) => {
                report(&synced, &self.metrics);
                let Synced { changed, withdrawn, rejected, .. } = synced;
                tracing::info!(changed, withdrawn, rejected, "filings loaded anew");
                if rejected == 0 { "ok" } else { "mistakes" }
            }
            Err(fault) => {
                tracing::warn!("filings not loaded anew, the table in force stays: {fault}");
                "refused"
            }
        };
        // What cannot be tried now is tried at the next start.
        let _ = self.register.retry(now).await;
        self.metrics.table_reloads.with_label_values(&[result]).inc();
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

/// What a look at the files found.
pub(super) fn report(synced: &Synced, metrics: &Metrics) {
    for mistake in &synced.mistakes {
        let Mistake { severity, .. } = mistake;
        tracing::warn!(?severity, "{mistake}");
    }
    if !synced.left_alone.is_empty() {
        let platforms: Vec<&str> = synced.left_alone.iter().map(PlatformId::as_str).collect();
        tracing::warn!(
            ?platforms,
            "changed through the register since they came from files; their files are left alone"
        );
    }
    metrics.filings_rejected.set(i64::try_from(synced.rejected).unwrap_or(i64::MAX));
}
