//! What changes without a restart: certificates and filings on SIGHUP; certificates, and filings for the sake of their
//! platforms' TLS files, also when files change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::certificate::Resolver;
use super::{report, service_manager};
use crate::domain::{PlatformDomain, Timestamp};
use crate::metrics::Metrics;
use crate::registry::{self, Before, Loaded, RegistryError, Sources, TlsFiles};
use crate::routing::{LiveTable, RouteTable};

/// Certificates are renewed days before they end, so seconds do not matter; a look costs some microseconds. New files are
/// loaded at the second look that finds them alike.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is loaded anew.
pub(crate) struct Reload {
    /// Of every listener that has some.
    pub(crate) certificates: Vec<Arc<Resolver>>,
    pub(crate) filings: Arc<Filings>,
}

/// The filings of the routes directory and the table they make.
pub(crate) struct Filings {
    pub(crate) directory: PathBuf,
    pub(crate) hosts: Vec<String>,
    pub(crate) platform_domain: Option<PlatformDomain>,
    pub(crate) routes: Arc<LiveTable>,
    pub(crate) metrics: Arc<Metrics>,
    /// Of what the table in force was made.
    pub(crate) sources: Mutex<Sources>,
    /// How the platforms' certificates and keys looked.
    pub(crate) tls: Mutex<Looks>,
}

/// How files looked when they were loaded, and the last time.
pub(crate) struct Looks {
    pub(crate) loaded: TlsFiles,
    pub(crate) last: TlsFiles,
}

/// Why the table in force stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error(transparent)]
    Register(#[from] RegistryError),
    #[error(
        "{found} platforms with {found_routes} routes found where {known} with {known_routes} are in force, fewer than \
         half; if so many were withdrawn, restart or upgrade"
    )]
    Shrunken { found: usize, found_routes: usize, known: usize, known_routes: usize },
}

impl Reload {
    /// Runs until `stopped`.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = next(&mut hangup) => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            let (certificates, filings) = (self.certificates.clone(), self.filings.clone());
            let reload = move || {
                let now = Timestamp::now();
                for certificates in &certificates {
                    if asked {
                        certificates.reload(now);
                    } else {
                        certificates.reload_if_changed(now);
                    }
                }
                if filings.tls_changed() || asked {
                    filings.reload(now);
                }
            };
            if asked {
                service_manager::reloading();
            }
            if tokio::task::spawn_blocking(reload).await.is_err() {
                tracing::error!("loading anew failed with a panic; what is in force goes on");
            }
            if asked {
                service_manager::serving();
            }
        }
    }
}

impl Filings {
    /// Whether certificates or keys of platforms differ from what was loaded, and have not changed since the last look.
    fn tls_changed(&self) -> bool {
        let (current, mut looks) = (TlsFiles::of(&self.directory), self.tls.lock());
        let changed = current != looks.loaded && current == looks.last;
        looks.last = current;
        changed
    }

    /// Reads the routes directory anew and puts its table into force. A filing with a mistake is named and keeps its last
    /// good version; a new one is left out. Blocks on files.
    fn reload(&self, now: Timestamp) {
        let result = match self.publish(now) {
            Ok((revision, 0)) => {
                tracing::info!(revision, "filings loaded anew");
                "ok"
            }
            Ok((revision, rejected)) => {
                tracing::warn!(revision, rejected, "filings loaded anew, some have a mistake");
                "mistakes"
            }
            Err(fault) => {
                tracing::warn!("filings not loaded anew, the table in force stays: {fault}");
                "refused"
            }
        };
        self.metrics.table_reloads.with_label_values(&[result]).inc();
    }

    fn publish(&self, now: Timestamp) -> Result<(u64, usize), ReloadError> {
        self.tls.lock().loaded = TlsFiles::of(&self.directory); // before they are read: what changes meanwhile is seen later
        let (mut sources, in_force) = (self.sources.lock(), self.routes.snapshot());
        let before = Before { table: &in_force, sources: &sources };
        let domain = self.platform_domain.as_ref();
        let loaded = registry::load_under(&self.directory, &self.hosts, domain, Some(before), now)?;
        let (found, known) = (size(&loaded.table), size(&self.routes.snapshot()));
        if is_shrunken(found.0, known.0) || is_shrunken(found.1, known.1) {
            let ((found, found_routes), (known, known_routes)) = (found, known);
            return Err(ReloadError::Shrunken { found, found_routes, known, known_routes });
        }
        report(&loaded, &self.metrics);
        if loaded.filings_kept > 0 {
            tracing::warn!(kept = loaded.filings_kept, "filings with a mistake go on as their last good version says");
        }
        let Loaded { table, filings_rejected, .. } = loaded;
        *sources = loaded.sources;
        let revision = self.routes.publish(table);
        self.metrics.table_revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
        Ok((revision, filings_rejected))
    }
}

/// Platforms and their routes; the gateway's own pages are always there and do not count.
fn size(table: &RouteTable) -> (usize, usize) {
    let filed = || table.platforms().map(|(_, platform)| platform).filter(|platform| platform.id.as_str() != "yimen");
    (filed().count(), filed().map(|platform| platform.routes.len()).sum())
}

/// A folder that lost its files is likelier a mistake than the end of half of all platforms.
fn is_shrunken(found: usize, known: usize) -> bool {
    found.saturating_mul(2) < known
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_half_is_shrunken_and_nothing_of_nothing_is_not() {
        let of = [(0, 1), (1, 3), (49, 100), (1, 2), (50, 100), (0, 0), (5, 0), (7, 3)];
        assert_eq!(
            of.map(|(found, known)| is_shrunken(found, known)),
            [true, true, true, false, false, false, false, false]
        );
    }
}
