//! TOML with the place of every key and value.

use std::sync::Arc;

use toml_edit::{Item, TableLike, Value};

use super::fields::Fields;
use super::mistake::{Mistake, Mistakes, Severity};

/// A parsed file.
#[derive(Debug)]
pub struct Document {
    pub(super) file: Arc<str>,
    pub(super) text: String,
    pub(super) root: Node,
}

/// A value as written.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// Floats and dates: nothing in our files has them bare.
    Other(&'static str),
}

/// A value and the byte at which it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) kind: Kind,
}

impl Document {
    /// Parses TOML. `file` is how places name it. `Err`: the one syntax mistake at which reading stopped.
    #[allow(clippy::result_large_err, reason = "once a file, and the caller puts it into a list at once")]
    pub fn parse(file: &str, text: String) -> Result<Self, Mistake> {
        match toml_edit::Document::parse(text.as_str()) {
            Ok(parsed) => {
                let root = Node { offset: 0, kind: table(parsed.as_table()) };
                drop(parsed);
                Ok(Self { file: file.into(), text, root })
            }
            Err(error) => {
                let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
                Err(Mistake {
                    file: file.into(),
                    line,
                    column,
                    key: "(syntax)".to_owned(),
                    pointer: String::new(),
                    got: "text that is no TOML".to_owned(),
                    expected: error.message().replace('\n', ", "),
                    hint: None,
                    severity: Severity::Error,
                })
            }
        }
    }

    /// The fields of the file itself; what goes wrong in them is noted in `mistakes`.
    pub fn fields<'a>(&'a self, mistakes: &'a Mistakes) -> Fields<'a> {
        Fields::new(self, mistakes)
    }

    pub(super) fn place(&self, offset: usize) -> (usize, usize) {
        place(&self.text, offset)
    }
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

fn table(table: &dyn TableLike) -> Kind {
    let mut entries = Vec::new();
    for (name, item) in table.iter() {
        let key_at = table.key(name).and_then(|key| key.span()).map(|span| span.start);
        let mut node = node(item);
        if matches!(node.kind, Kind::Table(_)) || node.offset == 0 {
            node.offset = key_at.unwrap_or(node.offset);
        }
        entries.push((name.to_owned(), node));
    }
    Kind::Table(entries)
}

fn node(item: &Item) -> Node {
    let offset = item.span().map_or(0, |span| span.start);
    let kind = match item {
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => Kind::List(
            tables
                .iter()
                .map(|inner| Node { offset: inner.span().map_or(0, |span| span.start), kind: table(inner) })
                .collect(),
        ),
        Item::Value(value) => return value_node(value),
        Item::None => Kind::Other("nothing"),
    };
    Node { offset, kind }
}

fn value_node(value: &Value) -> Node {
    let kind = match value {
        Value::String(text) => Kind::Text(text.value().clone()),
        Value::Integer(number) => Kind::Integer(*number.value()),
        Value::Boolean(flag) => Kind::Flag(*flag.value()),
        Value::Array(values) => Kind::List(values.iter().map(value_node).collect()),
        Value::InlineTable(inner) => table(inner),
        Value::Float(_) => Kind::Other("a float"),
        Value::Datetime(_) => Kind::Other("a date without quotes"),
    };
    Node { offset: value.span().map_or(0, |span| span.start), kind }
}
