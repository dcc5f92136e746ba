//! Passwords that have been seen in breaches, in a file of sorted SHA-1 sums in hex, one a line, whatever follows a colon left out:
//! the form in which Have I Been Pwned gives them out, 40 GiB that are never read but by halves. A list of an operator's own is made
//! by `tr -d '\r' < LIST | while IFS= read -r p; do printf %s "$p" | sha1sum; done | cut -c1-40 | tr a-f A-F | sort`.
//! Cost: some 35 reads of the file, on a password thread, when a password is set; never at sign-in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Whether the list has this password.
pub(super) fn has(list: &Path, password: &str) -> io::Result<bool> {
    let wanted: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let file = File::open(list)?;
    let (mut low, mut high) = (0, file.metadata()?.len());
    let mut reader = BufReader::with_capacity(256, file);
    // The first line that begins at or after `low` and is not below the wanted one lies at or before `high`.
    while low < high {
        let middle = low + (high - low) / 2;
        match line_after(&mut reader, middle)? {
            Some((end, line)) if line.as_str() < wanted.as_str() => low = end,
            _ => high = middle,
        }
    }
    let found = line_after(&mut reader, low)?;
    Ok(found.is_some_and(|(_, line)| line == wanted))
}

/// The first line that begins at or after `from`, as its sum, and where it ends. `None` at the end.
fn line_after(reader: &mut BufReader<File>, from: u64) -> io::Result<Option<(u64, String)>> {
    let mut at = reader.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut line = Vec::new();
    if from > 0 {
        at += reader.read_until(b'\n', &mut line)? as u64;
        line.clear();
    }
    let length = reader.read_until(b'\n', &mut line)? as u64;
    let sum = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    Ok((length > 0).then(|| (at + length, String::from_utf8_lossy(sum).to_ascii_uppercase())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_list_is_found_and_nothing_else() {
        let sum = |word: &str| {
            let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, word.as_bytes());
            sum.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<String>()
        };
        let words: Vec<String> = (0..200).map(|number| format!("password{number}")).collect();
        for (name, ending) in [("plain", "\n"), ("pwned", ":17\r\n")] {
            let mut lines: Vec<String> = words.iter().map(|word| sum(word)).collect();
            lines.sort();
            let list = tempfile::NamedTempFile::with_prefix(name).unwrap();
            std::fs::write(list.path(), lines.iter().map(|line| format!("{line}{ending}")).collect::<String>())
                .unwrap();
            for word in &words {
                assert!(has(list.path(), word).unwrap(), "{word}");
            }
            for word in ["", "password", "password200", "Password1"] {
                assert!(!has(list.path(), word).unwrap(), "{word}");
            }
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(!has(empty.path(), "password").unwrap());
    }
}
