//! Who may import whom. A room imports only rooms below it, and only those named here; circles are the rule elsewhere, so
//! this reads `src/` on every run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The house, top to bottom: room, and the rooms it may use besides those open to all. `*` is everything below it.
const HOUSE: [(&str, &[&str]); 21] = [
    ("main", &["*"]),
    ("allocator", &[]), // of the program, not of the library
    ("lib", &["*"]),
    ("cli", &["*"]),
    ("demo", &["identity"]),
    ("server", &["*"]),
    ("gateway", &["portal", "session", "identity", "routing", "usage", "metrics"]),
    ("management", &["registry", "usage", "session", "identity", "routing", "metrics"]),
    ("portal", &["issuer", "session", "identity", "routing", "metrics"]),
    ("registry", &["usage", "routing", "store", "metrics"]),
    ("issuer", &["session", "identity", "routing", "store", "metrics"]),
    ("session", &["store", "metrics"]),
    ("identity", &["store", "metrics"]),
    ("usage", &["store"]),
    ("routing", &[]),
    ("store", &["metrics"]),
    ("metrics", &[]),
    ("config", &[]),
    ("problem", &[]),
    ("written", &[]),
    ("domain", &[]),
];

/// Rooms that every room above them may use: settings, the one refusal body, the reader of files, the words.
const OPEN: [&str; 4] = ["config", "problem", "written", "domain"];

fn place(room: &str) -> Option<usize> {
    HOUSE.iter().position(|(known, _)| *known == room)
}

fn may(room: &str, used: &str) -> bool {
    let (Some(above), Some(below)) = (place(room), place(used)) else { return false };
    let (_, named) = HOUSE[above];
    room == used || above < below && (named.contains(&"*") || named.contains(&used) || OPEN.contains(&used))
}

/// Tests of a room may also use what lies further down, such as a store to stand on; never what lies above.
fn may_in_tests(room: &str, used: &str) -> bool {
    room == used || place(room) < place(used)
}

/// A source file: its room, how deep its module lies, its code without comments, and the part of it that is tests.
struct Source {
    path: PathBuf,
    room: String,
    depth: usize,
    code: String,
    tests: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(source(&root, &path));
            }
        }
    }
    assert!(found.len() > 20, "only {} source files were read", found.len());
    found
}

fn source(root: &Path, path: &Path) -> Source {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let mut parts: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    parts.retain(|part| *part != "mod");
    let (mut code, mut tests) = parts_of(&without_comments(&fs::read_to_string(path).unwrap()));
    let front_door = fs::read_to_string(path.with_file_name("mod.rs")).unwrap_or_default();
    if front_door.contains(&format!("#[cfg(test)]\nmod {};", path.file_stem().unwrap().to_str().unwrap())) {
        tests = std::mem::take(&mut code) + &tests; // a file of tests only
    }
    Source { room: parts[0].to_owned(), depth: parts.len(), code, tests, path: inside }
}

/// What is built into the program, and the tests at the end of the file.
fn parts_of(text: &str) -> (String, String) {
    let tests_at = text.find("#[cfg(test)]\nmod tests {").or_else(|| text.find("#[cfg(test)]\npub(super) mod tests {"));
    let (code, tests) = text.split_at(tests_at.unwrap_or(text.len()));
    (code.to_owned(), tests.to_owned())
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| line.find("//").map_or(line, |at| &line[..at]).to_owned();
    text.lines().map(code).collect::<Vec<_>>().join("\n")
}

/// Rooms that code at this depth names: after `crate::`, and after as many `super::` as lead out of its own room.
fn used(code: &str, depth: usize) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        rooms.extend(first_names(&code[at + found.len()..]));
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| !code[..*at].ends_with("super::")) {
        let chain = code[at..].split("super::").take_while(|between| between.is_empty()).count();
        if chain >= depth {
            rooms.extend(first_names(&code[at + chain * "super::".len()..]));
        }
    }
    rooms
}

/// The name a path goes on with, or the names when it goes on with `{…}`; only those that are rooms.
fn first_names(rest: &str) -> Vec<String> {
    let name =
        |text: &str| text.trim_start().split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap().to_owned();
    let Some(group) = rest.strip_prefix('{') else { return rooms_only(vec![name(rest)]) };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    rooms_only(names)
}

fn rooms_only(names: Vec<String>) -> Vec<String> {
    let is_room = |name: &String| {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        place(name).is_some() || src.join(name).is_dir() || src.join(format!("{name}.rs")).is_file()
    };
    names.into_iter().filter(is_room).collect()
}

#[test]
fn a_room_imports_only_what_the_house_allows() {
    let mut broken = Vec::new();
    for source in sources() {
        let (file, room) = (source.path.display(), &source.room);
        assert!(
            place(room).is_some(),
            "src/{file}.rs: `{room}` is no room of the house; give it a place in tests/layers.rs"
        );
        let code = used(&source.code, source.depth).into_iter().filter(|used| !may(room, used));
        let tests = used(&source.tests, source.depth + 1).into_iter().filter(|used| !may_in_tests(room, used));
        for used in code.chain(tests) {
            broken.push(format!("src/{file}.rs: `{room}` imports `{used}`; lib.rs lists what it may use"));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_map_in_lib_rs_says_the_same() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let cells = |line: &str| {
        line.strip_prefix("//! | [`").map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    let told: Vec<(String, String)> = lib
        .lines()
        .filter_map(cells)
        .map(|cells: Vec<String>| (cells[0].trim_end_matches("`]").to_owned(), cells[2].clone()))
        .collect();
    let used = |named: &[&str]| match named {
        [] => "–".to_owned(),
        ["*"] => "all below".to_owned(),
        named => named.join(" "),
    };
    let rooms = HOUSE.iter().filter(|(room, _)| !matches!(*room, "main" | "allocator" | "lib"));
    let held: Vec<(String, String)> = rooms.map(|(room, named)| ((*room).to_owned(), used(named))).collect();
    assert_eq!(told, held, "src/lib.rs is the map people read, tests/layers.rs the one that is held: make them one");
}

#[test]
fn no_room_reaches_itself_through_others() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        let others = used(&source.code, source.depth).into_iter().filter(|used| *used != source.room);
        imports.entry(source.room.clone()).or_default().extend(others);
    }
    for room in imports.keys() {
        let (mut seen, mut next) = (BTreeSet::new(), vec![room]);
        while let Some(here) = next.pop() {
            for used in imports.get(here).into_iter().flatten() {
                assert_ne!(used, room, "a circle: `{room}` reaches itself through `{here}`");
                if seen.insert(used) {
                    next.push(used);
                }
            }
        }
    }
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let seen = |depth: usize, code: &str| used(&without_comments(code), depth).into_iter().collect::<Vec<_>>();
    assert_eq!(seen(2, "use crate::session::Sessions; // crate::store"), ["session"]);
    assert_eq!(seen(2, "use crate::{domain::{Level, Uscc}, store, routing::Table};"), ["domain", "routing", "store"]);
    assert_eq!(seen(2, "let a = crate::metrics::Metrics::new();"), ["metrics"]);
    assert_eq!(seen(2, "use super::super::store::Store; use super::page;"), ["store"]);
    let (code, tests) = parts_of("use crate::store;\n#[cfg(test)]\nmod tests {\n use super::super::session::x; }");
    assert_eq!((seen(2, &code), seen(3, &tests)), (vec!["store".to_owned()], vec![]));
    assert!(may_in_tests("portal", "store") && !may_in_tests("store", "portal"));
    assert!(
        !may("routing", "session") && !may("store", "portal") && !may("domain", "written") && may("portal", "domain")
    );
}
