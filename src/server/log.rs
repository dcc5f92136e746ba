//! Lines about the gateway itself, on stderr, as text or JSON.

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts the log. A second start in one process changes nothing.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::new("info,sqlx=warn");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a log that is there already makes it fail.
    let _ = match format {
        LogFormat::Text => builder.with_target(false).compact().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
