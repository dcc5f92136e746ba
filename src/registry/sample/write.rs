//! The sample register as a routes directory.

use std::fs;
use std::io;
use std::path::Path;

use super::made::{FUNCTION, Sample, samples};
use crate::domain::ItemCode;
use crate::registry::error::RegistryError;
use crate::registry::load::data;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files in `platforms/`.
    pub filings: usize,
    /// Routes: items × divisions.
    pub routes: usize,
}

/// Writes the first `routes` routes of the sample register as filings into `out/platforms`, and the data files of the
/// routes directory `from` beside them, so that `out` is a routes directory. Fewer are written when the data has no more.
pub fn write(routes: usize, from: &Path, out: &Path) -> Result<Written, RegistryError> {
    let (divisions, items) = data(from)?;
    let folder = out.join("platforms");
    put(&folder, |path| fs::create_dir_all(path))?;
    for name in ["divisions.csv", "streets.csv.gz", "items.csv", "SOURCE.md"] {
        put(&out.join(name), |path| fs::copy(from.join(name), path).map(|_| ()))?;
    }
    let mut written = Written::default();
    for sample in samples(routes, &divisions, &items) {
        let path = folder.join(format!("{}.toml", sample.id()));
        put(&path, |path| fs::write(path, text(&sample)))?;
        written.filings += 1;
        written.routes += sample.open.len() + sample.signed.len();
    }
    Ok(written)
}

fn put(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), RegistryError> {
    write(path).map_err(|cause| RegistryError::Unwritable { path: path.to_owned(), cause })
}

fn text(sample: &Sample<'_>) -> String {
    let Sample { division, serial, open, signed, assurance, .. } = sample;
    let owner = sample.owner().map(|owner| owner.to_string()).unwrap_or_default();
    let mut text = format!(
        "# Generated sample: owner, numbers and names of bodies are made up.
[platform]
id = \"{id}\"
name = \"{name}\"
name_en = \"{name_en}\"
owner = \"{owner}\"
division = \"{code}\"
function = \"{FUNCTION}\"
scope = \"{place}\"
approving_body = \"样例机关\"
approved_on = \"2026-01-01\"
funding = \"样例：财政资金\"
filing_number = \"样例备〔2026〕{serial:08}号\"
valid_until = \"2046-12-31\"
contact = \"sample@example.invalid\"
state = \"approved\"

[[upstream]]
address = \"{address}\"
",
        id = sample.id(),
        name = sample.name(),
        name_en = sample.name_en(),
        code = division.code,
        place = division.name,
        address = sample.address(),
    );
    if !open.is_empty() {
        text.push_str(&format!("\n[[route]]\nitems = [{}]\naccess = \"open\"\n", list(open)));
    }
    if !signed.is_empty() {
        text.push_str(&format!("\n[[route]]\nitems = [{}]\nassurance = \"{assurance}\"\n", list(signed)));
    }
    text
}

fn list(codes: &[ItemCode]) -> String {
    codes.iter().map(|code| format!("\"{code}\"")).collect::<Vec<_>>().join(", ")
}
