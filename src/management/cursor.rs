//! Cursors: the last entry of a page, so that the next begins behind it whatever was added or went meanwhile. Opaque to
//! callers, so that they can change.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Longest text behind a cursor: a platform id and the number of a route.
const BYTES_MAX: usize = 200;

/// The cursor behind the entry that `last` names.
pub(super) fn of(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

/// What [`of`] was given; `None` for what it never made.
pub(super) fn read(cursor: &str) -> Option<String> {
    let last = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let plain = last.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && (1..=BYTES_MAX).contains(&last.len())).then_some(last)
}
