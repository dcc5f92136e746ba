//! Cursors: the last entry of a page, so that the next begins behind it whatever was added or went meanwhile. Opaque to
//! callers, so that they can change.

/// What a cursor looks like: pairs of hexadecimal digits, each of a printable character.
pub(super) const PATTERN: &str = "^([3-6][0-9a-f]|2[1-9a-f]|7[0-9a-e]){1,200}$";
/// Longest text behind a cursor: a platform id and the number of a route.
const BYTES_MAX: usize = 200;

/// The cursor behind the entry that `last` names.
pub(super) fn of(last: &str) -> String {
    last.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// What [`of`] was given; `None` for what it never made.
pub(super) fn read(cursor: &str) -> Option<String> {
    let (pairs, rest) = cursor.as_bytes().as_chunks::<2>();
    let digit =
        |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f').then(|| char::from(digit).to_digit(16)).flatten();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    let fits = rest.is_empty() && (1..=BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    String::from_utf8(bytes).ok().filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_made_and_nothing_else_is() {
        for last in ["hangzhou", "hangzhou:17", "01a20eb8-1252-73ed-8f94-dedf5cc9b9b1", "~!"] {
            assert_eq!(read(&of(last)).as_deref(), Some(last));
        }
        for other in ["", "6", "6G", "00", "20", "7f", "A1", &"61".repeat(201)] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
