//! The document for people: one page, written from the same table, without anything from elsewhere.

use askama::Template;

use super::fault::TITLES;
use super::operation::{Operation, Takes};

/// Our own styles in the page, and nothing else.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "docs/page.html", config = "src/management/askama.toml")]
struct Page {
    version: &'static str,
    groups: Vec<Group>,
    codes: &'static [(&'static str, &'static str)],
}

struct Group {
    name: &'static str,
    operations: Vec<Entry>,
}

struct Entry {
    method: String,
    path: &'static str,
    summary: Vec<Piece>,
    about: Vec<Piece>,
    right: &'static str,
    takes: String,
    parameters: Vec<(&'static str, Vec<Piece>)>,
    statuses: String,
}

/// Part of a line.
enum Piece {
    Words(&'static str),
    /// What stands in backquotes.
    Code(&'static str),
}

fn pieces(line: &'static str) -> Vec<Piece> {
    let piece = |(place, text)| if place % 2 == 0 { Piece::Words(text) } else { Piece::Code(text) };
    line.split('`').enumerate().filter(|(_, text)| !text.is_empty()).map(piece).collect()
}

/// The page.
pub(super) fn page(operations: &[Operation]) -> Result<String, askama::Error> {
    let mut groups: Vec<Group> = Vec::new();
    for operation in operations {
        let entry = Entry::of(operation);
        match groups.iter_mut().find(|group| group.name == operation.tag) {
            Some(group) => group.operations.push(entry),
            None => groups.push(Group { name: operation.tag, operations: vec![entry] }),
        }
    }
    Page { version: env!("CARGO_PKG_VERSION"), groups, codes: &TITLES }.render()
}

impl Entry {
    fn of(operation: &Operation) -> Self {
        let takes = match operation.takes {
            Takes::Nothing => String::new(),
            Takes::Json(name) => format!("application/json: {name}"),
            Takes::MergePatch(name) => format!("application/merge-patch+json: {name}"),
        };
        let mut statuses: Vec<u16> = operation.good.iter().map(|(status, _)| *status).collect();
        statuses.extend(operation.refusals());
        let statuses: Vec<String> = statuses.iter().map(ToString::to_string).collect();
        let parameters = operation.path_parameters.iter().chain(&operation.query);
        Self {
            method: operation.method.to_string(),
            path: operation.path,
            summary: pieces(operation.summary),
            about: pieces(operation.about),
            right: operation.right.map_or("", |right| right.word()),
            takes,
            parameters: parameters.map(|parameter| (parameter.name, pieces(parameter.about))).collect(),
            statuses: statuses.join(" "),
        }
    }
}
