//! Whether a platform's answer can be read in one way only. The frame's parser is a lenient one: it takes lists of equal
//! lengths and any encoding. What a stricter reader behind us would read differently is refused: 502 `platform-garbled`.
//! The frame itself refuses lengths that differ or are no number, names and values with control bytes, and bad chunks. Before
//! anybody else sees an answer, it makes a folded line one line (RFC 9112 section 5.2 allows that or 502), and where there
//! are a length and chunks, it reads the chunks and drops the length (section 6.3): neither can be told any more here.
//! Cost: one walk over the fields, nothing kept.

use http::Version;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora::http::ResponseHeader;

/// Whether length and encoding of the answer have one meaning.
pub(crate) fn is_clear(answer: &ResponseHeader) -> bool {
    let (mut lengths, mut encodings) = (0, 0);
    for (name, value) in &answer.headers {
        let value = value.as_bytes();
        if *name == CONTENT_LENGTH {
            lengths += 1;
            if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
                return false;
            }
        } else if *name == TRANSFER_ENCODING {
            encodings += 1;
            if answer.version != Version::HTTP_11 || !value.eq_ignore_ascii_case(b"chunked") {
                return false;
            }
        }
    }
    lengths + encodings <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_clear_with(version: Version, fields: &[(&'static str, &str)]) -> bool {
        let mut answer = ResponseHeader::build(200, None).unwrap();
        answer.set_version(version);
        fields.iter().for_each(|(name, value)| assert!(answer.append_header(*name, *value).is_ok()));
        is_clear(&answer)
    }

    #[test]
    fn one_length_or_chunks_or_neither_is_clear() {
        let eleven = |fields: &[_]| is_clear_with(Version::HTTP_11, fields);
        for fields in [vec![], vec![("Content-Length", "5")], vec![("Transfer-Encoding", "Chunked")]] {
            assert!(eleven(&fields), "{fields:?}");
        }
        for fields in [
            vec![("Content-Length", "5"), ("Content-Length", "5")],
            vec![("Content-Length", "5, 5")],
            vec![("Content-Length", "+5")],
            vec![("Content-Length", "")],
            vec![("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            vec![("Transfer-Encoding", "gzip, chunked")],
            vec![("Transfer-Encoding", "identity")],
            vec![("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        ] {
            assert!(!eleven(&fields), "{fields:?}");
        }
        assert!(!is_clear_with(Version::HTTP_10, &[("Transfer-Encoding", "chunked")]));
    }
}
