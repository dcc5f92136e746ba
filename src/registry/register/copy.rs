//! The last-known-good copy: what is in force, on this node's disk, so that it starts while the register is away.
//! Shape: lines `checksum <tab> …`; filings as they change, and after each batch one line with the revision they make. A batch
//! without that line never happened; of a platform the last line counts. A change costs what it is long; when most of the file
//! is of the past it is written anew aside, synced and renamed.
//! Fails: a line that does not match its checksum ends the copy there, at the last revision that is whole.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::domain::PlatformId;
use crate::store::InForceRow;

/// All filings of 1.25 million routes are 60 MB; more than this is no copy of ours.
const BYTES_MAX: u64 = 2 << 30;
/// Not worth writing anew below this.
const SMALL: u64 = 1 << 20;

/// The copy on disk.
#[derive(Debug)]
pub(super) struct Copy {
    path: PathBuf,
    mark: Mark,
    /// Bytes of the file, and how many of them each platform's last line takes.
    bytes: u64,
    live: HashMap<PlatformId, u64>,
}

/// The line that makes a batch whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Of which register.
    pub(super) register: String,
    /// The revision that the filings make.
    pub(super) revision: u64,
    /// Filings whose newest version could not be taken; their last good one is here.
    pub(super) quarantined: Vec<PlatformId>,
}

impl Copy {
    /// The copy of a file and what it holds, or an empty one when there is none. `Err`: the file cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<InForceRow>)> {
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(BYTES_MAX).read_to_end(&mut bytes)?;
                text = String::from_utf8(bytes).unwrap_or_else(|error| {
                    let good = error.utf8_error().valid_up_to();
                    let mut bytes = error.into_bytes();
                    bytes.truncate(good);
                    String::from_utf8(bytes).unwrap_or_default()
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let Whole { mark, rows, end } = whole(&text);
        if end < text.len() {
            tracing::warn!(path = %path.display(), revision = mark.revision, "the end of the copy is damaged and left out");
        }
        let live = rows.iter().map(|row| (row.platform.clone(), length(row))).collect();
        let mut copy = Self { path: path.to_owned(), mark, bytes: text.len() as u64, live };
        if end < text.len() {
            copy.write_anew(&rows)?;
        }
        Ok((copy, rows))
    }

    /// Where it stands.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Adds a batch; it is on the disk when this returns. Blocks.
    pub(super) fn append(&mut self, rows: &[InForceRow], mark: Mark) -> io::Result<()> {
        let mut batch = Vec::new();
        for row in rows {
            write_row(&mut batch, row)?;
        }
        write_mark(&mut batch, &mark)?;
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        file.write_all(&batch)?;
        file.sync_data()?;
        self.bytes += batch.len() as u64;
        self.mark = mark;
        self.live.extend(rows.iter().map(|row| (row.platform.clone(), length(row))));
        let live: u64 = self.live.values().sum();
        if self.bytes > SMALL && self.bytes > 2 * live {
            let (_, rows) = Self::open(&self.path)?;
            self.write_anew(&rows)?;
        }
        Ok(())
    }

    /// Everything anew, for another register or a file that is mostly of the past: aside, synced, renamed. Blocks.
    pub(super) fn replace(&mut self, rows: &[InForceRow], mark: Mark) -> io::Result<()> {
        self.mark = mark;
        self.live = rows.iter().map(|row| (row.platform.clone(), length(row))).collect();
        self.write_anew(rows)
    }

    fn write_anew(&mut self, rows: &[InForceRow]) -> io::Result<()> {
        let aside = self.path.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        for row in rows {
            write_row(&mut file, row)?;
        }
        write_mark(&mut file, &self.mark)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        self.bytes = file.metadata()?.len();
        fs::rename(&aside, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all() // the rename itself
    }
}

/// The part of a copy that is whole.
struct Whole {
    mark: Mark,
    rows: Vec<InForceRow>,
    end: usize,
}

fn whole(text: &str) -> Whole {
    let (mut mark, mut end, mut at) = (Mark::default(), 0, 0);
    // Lines are kept as text until all is known to be whole: most of an old file is of the past.
    let (mut batch, mut lines) = (Vec::new(), HashMap::<&str, &str>::new());
    for line in text.split_inclusive('\n') {
        at += line.len();
        let Some(content) = line.strip_suffix('\n').and_then(checked) else { break };
        match content.split_once('\t') {
            Some(("mark", json)) => {
                let Ok(read) = serde_json::from_str(json) else { break };
                (mark, end) = (read, at);
                lines.extend(batch.drain(..));
            }
            Some((platform, rest)) => batch.push((platform, rest)),
            None => break,
        }
    }
    let mut rows: Vec<InForceRow> = lines.into_iter().filter_map(|(platform, rest)| row_of(platform, rest)).collect();
    rows.sort_by_key(|row| row.revision);
    Whole { mark, rows, end }
}

/// What stands behind a checksum that is right.
fn checked(line: &str) -> Option<&str> {
    let (sum, content) = line.split_once('\t')?;
    (sum == checksum(content)).then_some(content)
}

/// The first 64 bits of SHA-256 in hex: against a disk that forgets, not against a person who may write here.
fn checksum(content: &str) -> String {
    let digest = digest(&SHA256, content.as_bytes());
    let first = digest.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    format!("{first:016x}")
}

fn row_of(platform: &str, rest: &str) -> Option<InForceRow> {
    let mut fields = rest.splitn(4, '\t');
    Some(InForceRow {
        platform: platform.parse().ok()?,
        revision: fields.next()?.parse().ok()?,
        state: fields.next()?.to_owned(),
        notice: serde_json::from_str(fields.next()?).ok()?,
        document: fields.next()?.to_owned(),
    })
}

fn write_row(out: &mut impl Write, row: &InForceRow) -> io::Result<()> {
    let notice = serde_json::to_string(&row.notice)?;
    // A document is JSON without line breaks: they are escaped in it, as tabs are.
    let InForceRow { platform, revision, state, document, .. } = row;
    write_line(out, &format!("{platform}\t{revision}\t{state}\t{notice}\t{document}"))
}

fn write_mark(out: &mut impl Write, mark: &Mark) -> io::Result<()> {
    write_line(out, &format!("mark\t{}", serde_json::to_string(mark)?))
}

fn write_line(out: &mut impl Write, content: &str) -> io::Result<()> {
    writeln!(out, "{}\t{content}", checksum(content))
}

/// About the bytes of its line: the checksum, a revision, a state and the tabs are 50.
fn length(row: &InForceRow) -> u64 {
    (row.document.len() + row.platform.as_str().len() + row.notice.as_ref().map_or(4, String::len) + 50) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(platform: &str, revision: u64) -> InForceRow {
        InForceRow {
            platform: platform.parse().unwrap(),
            revision,
            state: "approved".to_owned(),
            notice: Some("a\tb\n".to_owned()),
            document: format!("{{\"n\":{revision}}}"),
        }
    }

    fn mark(revision: u64) -> Mark {
        Mark { register: "r".to_owned(), revision, quarantined: vec!["bad".parse().unwrap()] }
    }

    #[test]
    fn the_last_line_of_a_platform_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register.copy");
        let (mut copy, rows) = Copy::open(&path).unwrap();
        assert!(rows.is_empty() && copy.mark().revision == 0);
        copy.append(&[row("aaa", 1), row("bbb", 2)], mark(2)).unwrap();
        copy.append(&[row("aaa", 3)], mark(3)).unwrap();
        let (copy, rows) = Copy::open(&path).unwrap();
        assert_eq!((copy.mark(), rows), (&mark(3), vec![row("bbb", 2), row("aaa", 3)]));
    }

    #[test]
    fn cut_anywhere_it_is_an_earlier_revision_and_never_half_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register.copy");
        let (mut copy, _) = Copy::open(&path).unwrap();
        copy.append(&[row("aaa", 1), row("bbb", 2)], mark(2)).unwrap();
        let first = fs::read(&path).unwrap().len();
        copy.append(&[row("aaa", 3), row("bbb", 4)], mark(4)).unwrap();
        let all = fs::read(&path).unwrap();
        for end in 0..all.len() {
            fs::write(&path, &all[..end]).unwrap();
            let (copy, rows) = Copy::open(&path).unwrap();
            let (revision, held) = if end < first { (0, vec![]) } else { (2, vec![row("aaa", 1), row("bbb", 2)]) };
            assert_eq!((copy.mark().revision, rows), (revision, held), "cut at {end}");
            assert_eq!(Copy::open(&path).unwrap().0.mark().revision, revision, "mended, cut at {end}");
        }
    }

    #[test]
    fn one_changed_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register.copy");
        let (mut copy, _) = Copy::open(&path).unwrap();
        copy.append(&[row("aaa", 1)], mark(1)).unwrap();
        copy.append(&[row("aaa", 2)], mark(2)).unwrap();
        let all = fs::read(&path).unwrap();
        for at in 0..all.len() {
            let mut bad = all.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            let (copy, _) = Copy::open(&path).unwrap();
            assert!(copy.mark().revision < 2, "a change at {at} passed");
        }
    }

    #[test]
    fn a_file_that_is_mostly_of_the_past_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("register.copy");
        let (mut copy, _) = Copy::open(&path).unwrap();
        let long = |revision| InForceRow {
            document: format!("{{\"n\":\"{}\"}}", "x".repeat(300_000)),
            ..row("aaa", revision)
        };
        for revision in 1..=20 {
            copy.append(&[long(revision)], mark(revision)).unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() < 2 * SMALL);
        let (copy, rows) = Copy::open(&path).unwrap();
        assert_eq!((copy.mark().revision, rows), (20, vec![long(20)]));
    }
}
