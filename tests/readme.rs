//! The READMEs' tables say what there is: every setting, every metric, every file of tests, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What stands in backquotes in the first cell of each row below a heading.
fn rows(heading: &str) -> BTreeSet<String> {
    let readme = file("README.md");
    let (_, below) = readme.split_once(&format!("\n{heading}\n")).unwrap();
    let section = below.split("\n#").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The quoted word that follows.
fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split('"').next()
}

/// A line of source without the types that are given to what it calls.
fn untyped(line: &str) -> String {
    match line.split_once("::<").and_then(|(before, rest)| Some((before, rest.split_once(">(")?.1))) {
        Some((before, after)) => format!("{before}({}", untyped(after)),
        None => line.to_owned(),
    }
}

/// Quoted words of a source that follow one of `reads`.
fn keys_of(source: &str, reads: &[&str]) -> Vec<String> {
    let source: String = source.lines().map(untyped).collect::<Vec<_>>().join("\n");
    let read = reads.iter().flat_map(|read| source.split(read).skip(1).filter_map(quoted));
    read.map(str::to_owned).collect()
}

/// `section.key` of everything that is read of a settings file, in the order in which the source reads it.
fn settings() -> BTreeSet<String> {
    let source = file("src/config/file.rs");
    let (code, _) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
    let mut keys = BTreeSet::new();
    let mut section = String::new();
    for line in code.lines().map(untyped) {
        // These two are given the fields of a section by the one that reads it.
        for (function, of) in
            [("fn tls(", "public"), ("fn management_tls(", "management"), ("fn platform_domain(", "public")]
        {
            if line.contains(function) {
                section = of.to_owned();
            }
        }
        for begins in ["section(", "folder_of("] {
            section = line.split(begins).skip(1).find_map(quoted).map_or(section, str::to_owned);
        }
        let reads = [
            "parsed(",
            "required(",
            "number(",
            "flag(",
            "list(",
            "one_or_more(",
            "has(",
            "file(&fields, ",
            "let keys = [",
        ];
        for key in reads.iter().flat_map(|read| line.split(read).skip(1)).filter_map(quoted) {
            keys.insert(format!("{section}.{key}"));
        }
        if let Some((_, list)) = line.split_once("let keys = [") {
            keys.extend(list.split('"').skip(1).step_by(2).map(|key| format!("{section}.{key}")));
        }
    }
    let reads = ["parsed(", "required(", "number(", "flag(", "list(", "one_or_more(", "file("];
    // A realm's files, addresses and pointers are read by small functions of its own.
    let reads = [&reads[..], &["entries(", "file(&fields, ", "file(fields, ", "url(", "pointer("]].concat();
    for (name, place) in [
        ("issuer", "issuer"),
        ("rate", "rate[]"),
        ("callers", "management.caller[]"),
        ("sign_in", "sign_in"),
        ("realm", "realm[]"),
    ] {
        let source = file(&format!("src/config/{name}.rs"));
        keys.extend(keys_of(&source, &reads).iter().map(|key| format!("{place}.{key}")));
    }
    keys
}

#[test]
fn every_setting_is_in_the_readme_and_nothing_else() {
    let (read, told) = (settings(), rows("## Settings"));
    assert!(read.len() > 60, "the source is read in another way: {read:?}");
    let (untold, unread): (Vec<_>, Vec<_>) = (read.difference(&told).collect(), told.difference(&read).collect());
    assert!(untold.is_empty() && unread.is_empty(), "README lacks {untold:?}, the program lacks {unread:?}");
}

#[test]
fn every_metric_is_in_the_readme_with_its_labels_and_nothing_else() {
    let catalogue = file("src/metrics/catalogue.rs");
    let (source, _) = catalogue.split_once("#[cfg(test)]").unwrap();
    let documented = source.lines().filter_map(|line| line.trim().strip_prefix("/// `yimen_")?.split('`').next());
    let documented: BTreeSet<String> = documented.map(|name| format!("yimen_{name}")).collect();
    let told = rows("## Metrics");
    let names = |of: &BTreeSet<String>| -> BTreeSet<String> {
        of.iter().map(|name| name.split('{').next().unwrap().to_owned()).collect()
    };
    let registered = source.split("\"yimen_").skip(1).filter_map(|rest| rest.split('"').next());
    let registered: BTreeSet<String> = registered.map(|name| format!("yimen_{name}")).collect();
    assert_eq!(registered, names(&documented), "registered, and documented at its handle");
    let (untold, unknown): (Vec<_>, Vec<_>) =
        (documented.difference(&told).collect(), told.difference(&documented).collect());
    assert!(untold.is_empty() && unknown.is_empty(), "README lacks {untold:?}, the program lacks {unknown:?}");
}

#[test]
fn every_file_of_tests_is_in_their_readme_and_nothing_else() {
    let readme = file("tests/README.md");
    let cells = readme.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let told: BTreeSet<String> =
        cells.flat_map(|cell| cell.split(['`', ',', ' '])).filter(|name| is_test(name)).map(str::to_owned).collect();
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap();
    let there = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|name| is_test(name)).collect();
    let (untold, gone): (Vec<_>, Vec<_>) = (there.difference(&told).collect(), told.difference(&there).collect());
    assert!(untold.is_empty() && gone.is_empty(), "tests/README.md lacks {untold:?}, tests lacks {gone:?}");
}

/// The table tells what holds tests, not the file that names them all.
fn is_test(name: &str) -> bool {
    name.ends_with(".rs") && name != "main.rs"
}
