//! The health check of a filing.

use super::words::CanonicalPath;
use crate::routing::{HealthCheck, Probe};
use crate::written::Fields;

/// Often enough to see an outage within half a minute (three failures), seldom enough for the smallest platform.
const EVERY_S: u64 = 10;
/// A page made for checks answers in milliseconds; a second is the deadline for connections too.
const TIMEOUT_MS: u64 = 1000;

/// Reads `health = { path = "/…", every_s = 10, timeout_ms = 1000 }`, or `tcp = true` in the place of the path; `None` when
/// something in it is wrong.
pub(super) fn read(fields: Fields<'_>) -> Option<HealthCheck> {
    let probe = if fields.flag("tcp", false) {
        Some(Probe::Tcp) // a path beside it is told as a key that is not known
    } else {
        fields.required::<CanonicalPath>("path", "the path to ask, such as /health").map(|path| Probe::Http(path.0))
    };
    let every_s = fields.number("every_s", EVERY_S, 1..=3600);
    let timeout_ms = fields.number("timeout_ms", TIMEOUT_MS.min(every_s * 1000), 10..=60_000);
    if timeout_ms > every_s * 1000 {
        let hint = "a check ends before the next one begins".to_owned();
        fields.mistake(
            &fields.spot("timeout_ms"),
            format!("at most {} ms, which is every_s", every_s * 1000),
            Some(hint),
        );
    }
    fields.finish();
    let (every_s, timeout_ms) = (u32::try_from(every_s).ok()?, u32::try_from(timeout_ms).ok()?);
    Some(HealthCheck { probe: probe?, every_s, timeout_ms })
}
