//! The sample filings as the demo serves them: the project's own, with the real ports of the sample platforms in them.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, value};

use super::error::DemoError;
use super::files;

/// Whose stand-in serves a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StandIn {
    /// Nation-level platforms, and those of every province but Zhejiang.
    Ministry,
    /// Zhejiang's own and those of its counties and other cities.
    Zhejiang,
    /// Those of Hangzhou city.
    Hangzhou,
}

impl StandIn {
    pub(super) const ALL: [Self; 3] = [Self::Ministry, Self::Zhejiang, Self::Hangzhou];

    fn of(division: &str) -> Self {
        match division {
            "330100" => Self::Hangzhou,
            code if code.starts_with("33") => Self::Zhejiang,
            _ => Self::Ministry,
        }
    }

    /// Whose platforms they are, for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ministry => "the ministry",
            Self::Zhejiang => "Zhejiang",
            Self::Hangzhou => "Hangzhou",
        }
    }
}

/// One filing file, parsed far enough to know who serves it and where its upstreams stand.
#[derive(Debug)]
pub(super) struct SampleFiling {
    path: PathBuf,
    document: DocumentMut,
    id: String,
    name: String,
    /// Its division's code.
    pub(super) division: String,
    /// Who stands in for it.
    pub(super) stand_in: StandIn,
}

impl SampleFiling {
    /// Reads `platforms/*.toml` under `routes`, in the order of their names.
    pub(super) fn read_all(routes: &Path) -> Result<Vec<Self>, DemoError> {
        let folder = routes.join("platforms");
        files_of(&folder)?
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .map(Self::read)
            .collect()
    }

    fn read(path: PathBuf) -> Result<Self, DemoError> {
        let wrong = |why: String| DemoError::Filing { path: path.clone(), why };
        let document: DocumentMut = files::read(&path)?
            .parse()
            .map_err(|error: toml_edit::TomlError| wrong(error.message().replace('\n', ", ")))?;
        let text = |key: &str| document.get("platform")?.get(key)?.as_str().map(str::to_owned);
        let needed = |key: &str| text(key).ok_or_else(|| wrong(format!("`platform.{key}` is missing")));
        let (id, name, division) = (needed("id")?, needed("name")?, needed("division")?);
        Ok(Self { stand_in: StandIn::of(&division), path, document, id, name, division })
    }

    /// Its id and its name.
    pub(super) fn named(&self) -> (String, String) {
        (self.id.clone(), self.name.clone())
    }

    /// How many upstreams it names: each gets a port of its own.
    pub(super) fn upstreams(&self) -> usize {
        self.document.get("upstream").and_then(Item::as_array_of_tables).map_or(0, |tables| tables.iter().count())
    }

    /// Writes it into `folder` with `addresses` in place of those of its upstreams, in order.
    pub(super) fn write(&self, folder: &Path, addresses: &[SocketAddr]) -> Result<(), DemoError> {
        let mut document = self.document.clone();
        let upstreams = document.get_mut("upstream").and_then(Item::as_array_of_tables_mut);
        for (upstream, address) in upstreams.into_iter().flat_map(|tables| tables.iter_mut()).zip(addresses) {
            point(upstream, *address);
        }
        let name = self.path.file_name().unwrap_or_default();
        files::write(&folder.join(name), 0o644, document.to_string().as_bytes())
    }

    /// Items that people of its whole division can get done here with a password, with whether they must be
    /// signed in. Far less than the register knows of a filing: enough to choose addresses worth trying.
    pub(super) fn items(&self) -> Vec<(String, bool)> {
        let state = self.document.get("platform").and_then(|platform| platform.get("state")?.as_str());
        let routes =
            self.document.get("route").and_then(Item::as_array_of_tables).filter(|_| state == Some("approved"));
        let mut items = Vec::new();
        for route in routes.into_iter().flat_map(|tables| tables.iter()).filter(|route| serves_everybody(route)) {
            let signed_in = word(route, "access").unwrap_or("required") == "required";
            let codes = route.get("items").and_then(Item::as_array).into_iter().flat_map(|codes| codes.iter());
            items.extend(codes.filter_map(|code| Some((code.as_str()?.to_owned(), signed_in))));
        }
        items
    }
}

fn word<'a>(route: &'a Table, key: &str) -> Option<&'a str> {
    route.get(key).and_then(Item::as_str)
}

fn serves_everybody(route: &Table) -> bool {
    let ordinary =
        !matches!(word(route, "assurance"), Some("L3" | "L4")) && !matches!(word(route, "subject"), Some("legal"));
    let proxied = word(route, "action").is_none_or(|action| action == "proxy");
    let whole = word(route, "covers") != Some("self") && !route.contains_key("divisions");
    ordinary && proxied && whole
}

fn point(upstream: &mut Table, address: SocketAddr) {
    upstream.insert("address", value(address.to_string()));
    for of_tls in ["tls", "server_name", "http2", "ca", "client_certificate", "client_key"] {
        upstream.remove(of_tls); // sample platforms speak plain HTTP/1.1 on loopback
    }
}

/// Copies the data beside the filings (divisions, streets, items) and empties the folder for the filings.
pub(super) fn copy_data(from: &Path, to: &Path) -> Result<(), DemoError> {
    let platforms = to.join("platforms");
    if platforms.exists() {
        fs::remove_dir_all(&platforms).map_err(|cause| DemoError::Write { path: platforms.clone(), cause })?;
    }
    files::private_folder(to)?;
    files::private_folder(&platforms)?;
    for file in files_of(from)?.into_iter().filter(|path| path.is_file()) {
        let copy = to.join(file.file_name().unwrap_or_default());
        let content = fs::read(&file).map_err(|cause| DemoError::Read { path: file.clone(), cause })?;
        files::write(&copy, 0o644, &content)?;
    }
    Ok(())
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, DemoError> {
    let unread = |cause| DemoError::Read { path: folder.to_owned(), cause };
    let entries = fs::read_dir(folder).map_err(unread)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(unread)?.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes filings of four levels under a routes folder, as short as the demo can read them.
    pub(in super::super) fn sample_routes() -> tempfile::TempDir {
        let routes = tempfile::tempdir().unwrap();
        fs::create_dir(routes.path().join("platforms")).unwrap();
        fs::write(routes.path().join("items.csv"), "basic_code\n").unwrap();
        for (id, division, access, items) in [
            ("ministry", "100000", "open", "\"000115035000\", \"002099001000\""),
            ("zhejiang", "330000", "open", "\"000115035000\", \"002099001000\""),
            ("hangzhou", "330100", "required", "\"002099001000\""),
            ("xihu", "330106", "open", "\"002099003000\""),
        ] {
            let filing = format!(
                "# kept\n[platform]\nid = \"{id}\"\nname = \"{id}\"\ndivision = \"{division}\"\nstate = \"approved\"\n\n\
                 [[upstream]]\naddress = \"10.0.0.1:443\"\ntls = true\nweight = 3\n\n[[upstream]]\naddress = \"10.0.0.2:443\"\n\n\
                 [[route]]\nitems = [{items}]\naccess = \"{access}\"\n\n\
                 [[route]]\nitems = [\"002099002000\"]\naction = \"gone\"\n"
            );
            fs::write(routes.path().join("platforms").join(format!("{id}.toml")), filing).unwrap();
        }
        routes
    }

    #[test]
    fn a_filing_keeps_everything_but_where_its_upstreams_stand() {
        let (routes, out) = (sample_routes(), tempfile::tempdir().unwrap());
        let filings = SampleFiling::read_all(routes.path()).unwrap();
        let hangzhou = filings.iter().find(|filing| filing.id == "hangzhou").unwrap();
        assert_eq!((hangzhou.upstreams(), hangzhou.stand_in), (2, StandIn::Hangzhou));
        hangzhou.write(out.path(), &["127.0.0.1:1111".parse().unwrap(), "127.0.0.1:2222".parse().unwrap()]).unwrap();
        let written = fs::read_to_string(out.path().join("hangzhou.toml")).unwrap();
        let original = fs::read_to_string(routes.path().join("platforms/hangzhou.toml")).unwrap();
        let expected = original
            .replace("10.0.0.1:443", "127.0.0.1:1111")
            .replace("10.0.0.2:443", "127.0.0.1:2222")
            .replace("tls = true\n", "");
        assert_eq!(written, expected);
    }

    #[test]
    fn every_division_has_its_stand_in() {
        let found: Vec<_> = ["100000", "330000", "330100", "330106", "530000", "440300"].map(StandIn::of).to_vec();
        let (ministry, zhejiang, hangzhou) = (StandIn::Ministry, StandIn::Zhejiang, StandIn::Hangzhou);
        assert_eq!(found, [ministry, zhejiang, hangzhou, zhejiang, ministry, ministry]);
    }

    #[test]
    fn a_filing_without_a_division_is_named() {
        let routes = sample_routes();
        fs::write(routes.path().join("platforms/odd.toml"), "[platform]\nid = \"odd\"\nname = \"Odd\"\n").unwrap();
        let said = SampleFiling::read_all(routes.path()).unwrap_err().to_string();
        assert!(said.contains("odd.toml") && said.contains("`platform.division` is missing"), "{said}");
    }
}
