//! The demo: everything that `yimen demo` needs around the real gateway, and the sample platforms behind it.
//! Shape: options ── prepare ──▶ data directory, certificate, filings with real ports, three child processes ──▶ `Prepared`;
//! main then runs the gateway itself in this process, with the same code as `yimen serve`.
//! Cost: under a second, once. Fails: one sentence (`DemoError`); what was started until then ends with it.
//! Knows: identity (verifying assertions), domain, routing. Nothing but main knows it.

mod certificate;
mod children;
mod error;
mod files;
mod filings;
mod prepare;
mod sample_platform;
mod settings;

pub use children::Children;
pub use error::DemoError;
pub use prepare::{DemoAccount, DemoOptions, Prepared, prepare};
pub use sample_platform::{SamplePlatformError, SamplePlatformOptions, run_sample_platform};
