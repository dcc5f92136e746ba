//! What the frame logs (crate `log`). Its lines about single requests quote header text, addresses and paths of visitors, so
//! they are not written; its lines about the server itself go on.

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Modules of the frame whose lines may quote visitors.
const QUOTES_VISITORS: [&str; 3] = ["pingora_proxy", "pingora_core::protocols", "pingora_core::apps"];

struct FrameLog;

/// Takes the frame's lines. A second start in one process changes nothing.
pub(crate) fn start() {
    if log::set_logger(&FrameLog).is_ok() {
        log::set_max_level(LevelFilter::Warn); // below it every request would make dozens of lines for nobody
    }
}

impl Log for FrameLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if QUOTES_VISITORS.iter().any(|module| record.target().starts_with(module)) {
            return;
        }
        match record.level() {
            Level::Error => tracing::error!(from = record.target(), "{}", record.args()),
            Level::Warn => tracing::warn!(from = record.target(), "{}", record.args()),
            _ => {}
        }
    }

    fn flush(&self) {}
}
