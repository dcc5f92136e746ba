//! What the frame logs (crate `log`). Its lines about single requests quote header text, addresses and paths of visitors, so
//! they are counted, never written; its lines about the server itself go on.

use log::{Level, LevelFilter, Log, Metadata, Record};
use prometheus::IntCounter;

/// Modules of the frame whose lines may quote visitors.
const QUOTES_VISITORS: [&str; 3] = ["pingora_proxy", "pingora_core::protocols", "pingora_core::apps"];

struct FrameLog {
    malformed: IntCounter,
}

/// Takes the frame's lines. A second start in one process changes nothing.
pub(crate) fn start(malformed: IntCounter) {
    if log::set_boxed_logger(Box::new(FrameLog { malformed })).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

impl FrameLog {
    /// The frame answers unreadable requests itself, before any phase of ours, and says so in one debug line only.
    fn counts(record: &Record<'_>) -> bool {
        record.level() == Level::Debug
            && record.target() == "pingora_proxy"
            && record.args().as_str().is_none()
            && record.args().to_string().starts_with("Fail to proxy")
    }
}

impl Log for FrameLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn || metadata.target() == "pingora_proxy"
    }

    fn log(&self, record: &Record<'_>) {
        if Self::counts(record) {
            self.malformed.inc();
        }
        let quotes = QUOTES_VISITORS.iter().any(|module| record.target().starts_with(module));
        match record.level() {
            _ if quotes => {}
            Level::Error => tracing::error!(from = record.target(), "{}", record.args()),
            Level::Warn => tracing::warn!(from = record.target(), "{}", record.args()),
            _ => {}
        }
    }

    fn flush(&self) {}
}
