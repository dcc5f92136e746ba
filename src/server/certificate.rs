//! Which certificate a TLS handshake shows, and how it changes while we run: on SIGHUP and when a file changes. What is new
//! is checked first; a mistake leaves in force what was there, is logged and counted. A swap closes no connection.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus::Gauge;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::{CertificateError, Certificates, Stamp, Staple, TlsConfig};
use crate::domain::Timestamp;
use crate::metrics::Metrics;

/// The certificates in force, replaced whole.
pub(crate) struct Resolver {
    shown: ArcSwap<Certificates>,
    config: TlsConfig,
    metrics: Arc<Metrics>,
    /// Shows when the first of them ends; the public listener's only.
    expiry: Option<Gauge>,
    looks: Mutex<Looks>,
}

/// How the files looked.
struct Looks {
    loaded: Stamp,
    last: Stamp,
}

impl Resolver {
    /// Reads all certificates. `Err`: the default one cannot be served. Pairs of the folder with a mistake are left out.
    pub(crate) fn load(
        config: &TlsConfig,
        metrics: Arc<Metrics>,
        expiry: Option<Gauge>,
        now: Timestamp,
    ) -> Result<Self, CertificateError> {
        let looks = Stamp::of(config);
        let (certificates, mistakes) = Certificates::load(config, now)?;
        warn(&mistakes, "left out");
        show(&certificates, &metrics, expiry.as_ref());
        Ok(Self {
            shown: ArcSwap::from_pointee(certificates),
            config: config.clone(),
            metrics,
            expiry,
            looks: Mutex::new(Looks { loaded: looks.clone(), last: looks }),
        })
    }

    /// Reads all certificates anew and puts into force what is good. Blocks on files.
    pub(crate) fn reload(&self, now: Timestamp) {
        self.reload_in_turn(&mut self.looks.lock(), now);
    }

    /// The same, if files differ from what was loaded and have not changed since the last look: certificate and key are two
    /// files, and one is written before the other. Or if a response that is stapled is over: then it is shown no longer.
    pub(crate) fn reload_if_changed(&self, now: Timestamp) {
        let mut looks = self.looks.lock();
        let current = Stamp::of(&self.config);
        let staple_over = self.shown.load().first_staple_end().is_some_and(|end| end <= now);
        if (current != looks.loaded && current == looks.last) || staple_over {
            self.reload_in_turn(&mut looks, now);
        }
        looks.last = current;
    }

    fn reload_in_turn(&self, looks: &mut Looks, now: Timestamp) {
        looks.loaded = Stamp::of(&self.config);
        let (certificates, mistakes) = self.shown.load().reload(&self.config, now);
        warn(&mistakes, "the one before stays in force");
        show(&certificates, &self.metrics, self.expiry.as_ref());
        tracing::info!(certificates = certificates.count(), mistakes = mistakes.len(), "certificates loaded anew");
        self.shown.store(Arc::new(certificates));
        let result = if mistakes.is_empty() { "ok" } else { "refused" };
        self.metrics.certificate_reloads.with_label_values(&[result]).inc();
    }
}

fn warn(mistakes: &[CertificateError], consequence: &str) {
    for mistake in mistakes {
        tracing::warn!("certificate not loaded, {consequence}: {mistake}");
    }
}

/// The metrics speak of what is served, whatever lies in the files.
fn show(certificates: &Certificates, metrics: &Metrics, expiry: Option<&Gauge>) {
    let (mut shown, mut ignored) = (0, 0);
    for staple in certificates.staples() {
        match staple {
            Staple::Absent => {}
            Staple::Shown(_) => shown += 1,
            Staple::Ignored(why) => {
                ignored += 1;
                tracing::warn!("a certificate is shown without an OCSP response: {why}");
            }
        }
    }
    if let Some(expiry) = expiry {
        expiry.set(certificates.first_end().seconds() as f64);
        metrics.ocsp_staples.with_label_values(&["shown"]).set(shown);
        metrics.ocsp_staples.with_label_values(&["ignored"]).set(ignored);
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load().of(hello.server_name()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Resolver") // never the key
    }
}
