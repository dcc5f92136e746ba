//! The register from a routes directory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use jiff::civil::Date;

use super::addresses::AddressPolicy;
use super::error::RegistryError;
use super::filing::{Filing, Form, Known};
use super::rules::{Rules, kept};
use crate::domain::{PlatformId, Timestamp};
use crate::routing::{Compiled, Divisions, Items, RouteTable, RoutingError};
use crate::written::{Document, Fields, Mistake, Mistakes, Severity};

const FILING_BYTES_MAX: u64 = 16 << 20; // a filing of 65 535 routes
const DATA_BYTES_MAX: u64 = 256 << 20; // unpacked; all villages of the country are 30 MB
const CHINA: i8 = 8; // hours ahead of UTC: the day on which a filing expires is the day in China

/// What a routes directory holds.
#[derive(Debug)]
pub struct Loaded {
    /// The table of all good filings and the gateway's own pages.
    pub table: RouteTable,
    /// Every mistake and warning, in the order of files and places.
    pub mistakes: Vec<Mistake>,
    /// Filings without an error; drafts count.
    pub filings_ok: usize,
    /// Filings left out.
    pub filings_rejected: usize,
    /// All divisions.
    pub divisions: Arc<Divisions>,
    /// All items.
    pub items: Arc<Items>,
    /// Time that compiling took, for the metric `yimen_route_table_build_duration_seconds`.
    pub build: Duration,
}

/// A filing of a file.
pub(super) struct Filed {
    pub(super) filing: Filing,
    /// The document as JSON.
    pub(super) document: String,
    path: PathBuf,
}

/// The filings of a routes directory that can be served together, and what is wrong with the others.
pub(super) struct Files {
    /// Those approved first come first.
    pub(super) filed: Vec<Filed>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) rejected: usize,
    table: RouteTable,
    build: Duration,
}

/// Reads `divisions.csv`, `streets.csv.gz`, `items.csv` and `platforms/*.toml` of a directory and compiles the table.
/// Where two filings want one place, the one approved earlier has it. `portal_hosts`: lower case, without port.
/// `Err`: the data files or the folder of filings cannot be read. A bad filing is no `Err`: it is left out and named.
pub fn load(directory: &Path, portal_hosts: &[String], now: Timestamp) -> Result<Loaded, RegistryError> {
    let rules = Rules::read(directory, portal_hosts.to_vec(), None, AddressPolicy::everything())?;
    load_by(&rules, directory, now)
}

/// The same by the rules of a node.
pub fn load_by(rules: &Rules, directory: &Path, now: Timestamp) -> Result<Loaded, RegistryError> {
    let Files { filed, mistakes, rejected, table, build } = files(rules, directory, now)?;
    let (divisions, items) = (Arc::clone(&rules.divisions), Arc::clone(&rules.items));
    Ok(Loaded { table, mistakes, filings_ok: filed.len(), filings_rejected: rejected, divisions, items, build })
}

pub(super) fn files(rules: &Rules, directory: &Path, now: Timestamp) -> Result<Files, RegistryError> {
    let known = rules.known();
    let paths = filing_paths(&directory.join("platforms"))?;
    let (mut filed, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    for path in &paths {
        filed.extend(read(path, &known, &mut seen, &mut mistakes));
    }
    filed.sort_by(|a, b| order(a).cmp(&order(b)));
    let started = Instant::now();
    let in_force = filed.iter().filter_map(|filed| filed.filing.clone().in_force(today(now)));
    let Compiled { table, refused } = rules.compile(in_force.collect());
    let build = started.elapsed();
    for error in &refused {
        let at = filed.iter().position(|filed| Some(&filed.filing.platform.id) == error.platform());
        if let Some(at) = at {
            mistakes.push(refusal(&filed.remove(at).path, error));
        }
    }
    mistakes.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    let rejected = paths.len() - filed.len();
    Ok(Files { filed, mistakes, rejected, table, build })
}

fn order(filed: &Filed) -> (Option<Date>, &PlatformId) {
    (filed.filing.approved_on, &filed.filing.platform.id)
}

/// Divisions and items of a routes directory.
pub(super) fn data(directory: &Path) -> Result<(Arc<Divisions>, Arc<Items>), RegistryError> {
    let open = |name: &str| {
        let path = directory.join(name);
        File::open(&path).map_err(|cause| RegistryError::Unreadable { path, cause })
    };
    let streets = GzDecoder::new(open("streets.csv.gz")?).take(DATA_BYTES_MAX);
    let divisions = Divisions::read(open("divisions.csv")?.take(DATA_BYTES_MAX), streets)?;
    let items = Items::read(open("items.csv")?.take(DATA_BYTES_MAX))?;
    Ok((Arc::new(divisions), Arc::new(items)))
}

pub(super) fn filing_paths(folder: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    let unreadable = |cause| RegistryError::Unreadable { path: folder.to_owned(), cause };
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    Ok(paths)
}

fn read(
    path: &Path,
    known: &Known<'_>,
    seen: &mut HashMap<PlatformId, PathBuf>,
    told: &mut Vec<Mistake>,
) -> Option<Filed> {
    let document = document(path).map_err(|mistake| told.push(*mistake)).ok()?;
    let mistakes = Mistakes::default();
    let mut filing = Filing::read(&document, &mistakes, known, Form::File);
    if let Some(read) = &filing {
        let id = read.platform.id.clone();
        if let Some(first) = seen.get(&id) {
            let hint = format!("{} has it already", first.display());
            let spot = |fields: &Fields<'_>| fields.mistake(&fields.spot("id"), "an id of its own", Some(hint));
            document.fields(&mistakes).table("platform").as_ref().map(spot);
            filing = None;
        } else {
            seen.insert(id, path.to_owned());
        }
    }
    told.extend(mistakes.into_sorted());
    Some(Filed { filing: filing?, document: kept(&document), path: path.to_owned() })
}

pub(super) fn document(path: &Path) -> Result<Document, Box<Mistake>> {
    let file = path.display().to_string();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILING_BYTES_MAX + 1).read_to_string(&mut text));
    match read {
        Ok(length) if u64::try_from(length).is_ok_and(|length| length <= FILING_BYTES_MAX) => {
            Document::parse(&file, text).map_err(Box::new)
        }
        Ok(_) => Err(Box::new(unreadable(&file, "more than 16 MiB".to_owned()))),
        Err(error) => Err(Box::new(unreadable(&file, error.to_string()))),
    }
}

fn unreadable(file: &str, got: String) -> Mistake {
    Mistake {
        file: file.into(),
        line: 1,
        column: 1,
        key: "(file)".to_owned(),
        pointer: String::new(),
        got,
        expected: "a filing in UTF-8 of at most 16 MiB".to_owned(),
        hint: None,
        severity: Severity::Error,
    }
}

/// A refusal of the table as a mistake with its place. The file is read again: refusals are few, places many.
fn refusal(path: &Path, error: &RoutingError) -> Mistake {
    let hint = Some(error.to_string());
    let document = match document(path) {
        Ok(document) => document,
        Err(mistake) => return *mistake,
    };
    let mistakes = Mistakes::default();
    let root = document.fields(&mistakes);
    let route = error.route().and_then(|route| root.tables("route").into_iter().nth(route));
    match (&route, root.table("platform")) {
        (Some(fields), _) => {
            let key = if fields.has("path") { "path" } else { "items" };
            fields.mistake(&fields.spot(key), "a place that is free", hint);
        }
        (None, Some(fields)) => fields.mistake(&fields.spot("id"), "a platform that can be served", hint),
        (None, None) => {}
    }
    let first = mistakes.into_sorted().into_iter().next();
    first.unwrap_or_else(|| unreadable(&path.display().to_string(), error.to_string()))
}

/// The day in China.
pub(super) fn today(now: Timestamp) -> Date {
    let millis = i64::try_from(now.millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::constant(CHINA).to_datetime(time).date()
}
