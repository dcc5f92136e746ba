//! The OpenID Provider's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::written::Fields;

/// How the OpenID Provider behaves.
#[derive(Clone, Debug)]
pub struct IssuerConfig {
    /// Life of an authorization code (60 s, and no longer: RFC 9700 section 4.5 wants it short, and a redirect takes a moment).
    pub code_life: Duration,
    /// Life of an access token (300 s: what a client does at once; a revoked one is refused at once anyway).
    pub access_life: Duration,
    /// Authorities (PEM) that may vouch for addresses told of sign-outs, besides the system's (none).
    pub logout_ca: Option<PathBuf>,
}

pub(super) fn read(fields: Fields<'_>, folder: &Path) -> IssuerConfig {
    let seconds = |number| Duration::from_secs(number);
    let config = IssuerConfig {
        code_life: seconds(fields.number("code_seconds", 60, 5..=60)),
        access_life: seconds(fields.number("access_seconds", 300, 30..=3600)),
        logout_ca: fields.parsed("logout_ca", "a file with authorities (PEM)").map(|path: PathBuf| folder.join(path)),
    };
    fields.finish();
    config
}
