//! Getters that turn what was written into types and note what does not fit.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::mistake::{Mistake, Mistakes, Severity};
use super::tree::{Document, Kind, Node};

/// The fields of one table. Each getter marks its key as known; [`Fields::finish`] notes the unknown ones.
#[derive(Debug)]
pub struct Fields<'a> {
    document: &'a Document,
    mistakes: &'a Mistakes,
    node: &'a Node,
    path: Path,
    known: RefCell<Vec<&'static str>>,
}

/// A place in the file, kept with a value for mistakes that show only later (a division that does not exist …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    offset: usize,
    key: Path,
    got: String,
}

/// A path in both its forms: dotted for people, a pointer (RFC 6901) for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Path {
    dotted: String,
    pointer: String,
}

impl Path {
    fn key(&self, key: &str) -> Self {
        let dotted = if self.dotted.is_empty() { key.to_owned() } else { format!("{}.{key}", self.dotted) };
        Self { dotted, pointer: format!("{}/{}", self.pointer, key.replace('~', "~0").replace('/', "~1")) }
    }

    fn index(&self, index: usize) -> Self {
        Self { dotted: format!("{}[{index}]", self.dotted), pointer: format!("{}/{index}", self.pointer) }
    }
}

static EMPTY: Node = Node { offset: 0, kind: Kind::Table(Vec::new()) };

impl<'a> Fields<'a> {
    pub(super) fn new(document: &'a Document, mistakes: &'a Mistakes) -> Self {
        Self::at(document, mistakes, &document.root, Path::default())
    }

    fn at(document: &'a Document, mistakes: &'a Mistakes, node: &'a Node, path: Path) -> Self {
        Self { document, mistakes, node, path, known: RefCell::default() }
    }

    /// A text that parses as `T`, or `None`: absent, or noted as a mistake (the sentence of `T`'s own error is the hint).
    pub fn parsed<T>(&self, key: &'static str, expected: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let node = self.find(key)?;
        self.parse_node(node, &self.path_of(key), expected)
    }

    /// Like [`Fields::parsed`]; absence is a mistake too.
    pub fn required<T>(&self, key: &'static str, expected: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        self.demand(key, expected);
        self.parsed(key, expected)
    }

    /// A whole number within `range`, or `default` when absent or wrong.
    pub fn number(&self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(node) = self.find(key) else { return default };
        let expected = || format!("a whole number from {} to {}", range.start(), range.end());
        match node.kind {
            Kind::Integer(number) => match u64::try_from(number) {
                Ok(number) if range.contains(&number) => number,
                _ => self.wrong(node, &self.path_of(key), &expected(), None).unwrap_or(default),
            },
            _ => self.wrong(node, &self.path_of(key), &expected(), None).unwrap_or(default),
        }
    }

    /// `true` or `false`, or `default` when absent or wrong.
    pub fn flag(&self, key: &'static str, default: bool) -> bool {
        match self.find(key) {
            Some(Node { kind: Kind::Flag(flag), .. }) => *flag,
            Some(node) => self.wrong(node, &self.path_of(key), "true or false", None).unwrap_or(default),
            None => default,
        }
    }

    /// A list of texts that parse as `T`, each with its place; empty when absent. A single text counts as a list of one.
    pub fn list<T>(&self, key: &'static str, expected: &str) -> Vec<(T, Spot)>
    where
        T: FromStr<Err: Display>,
    {
        let path = self.path_of(key);
        let Some(node) = self.find(key) else { return Vec::new() };
        let nodes: Vec<(Path, &Node)> = match &node.kind {
            Kind::List(nodes) => nodes.iter().enumerate().map(|(index, node)| (path.index(index), node)).collect(),
            _ => vec![(path, node)],
        };
        nodes
            .into_iter()
            .filter_map(|(path, node)| {
                let value = self.parse_node(node, &path, expected)?;
                Some((value, Spot { offset: node.offset, got: describe(node), key: path }))
            })
            .collect()
    }

    /// A list as above that must be there and have an entry.
    pub fn one_or_more<T>(&self, key: &'static str, expected: &str) -> Vec<(T, Spot)>
    where
        T: FromStr<Err: Display>,
    {
        self.demand(key, expected);
        if let Some(node) = self.find(key)
            && matches!(&node.kind, Kind::List(nodes) if nodes.is_empty())
        {
            self.wrong::<T>(node, &self.path_of(key), expected, None);
        }
        self.list(key, expected)
    }

    /// A table, or `None` when absent or no table.
    pub fn table(&self, key: &'static str) -> Option<Fields<'a>> {
        let node = self.find(key)?;
        let path = self.path_of(key);
        match node.kind {
            Kind::Table(_) => Some(Fields::at(self.document, self.mistakes, node, path)),
            _ => self.wrong(node, &path, "a table", None),
        }
    }

    /// A table; an absent one reads as empty, so that defaults and missing keys are told in the same way.
    pub fn section(&self, key: &'static str) -> Fields<'a> {
        self.table(key).unwrap_or_else(|| Fields::at(self.document, self.mistakes, &EMPTY, self.path_of(key)))
    }

    /// The tables of an array of tables (`[[key]]`); empty when absent.
    pub fn tables(&self, key: &'static str) -> Vec<Fields<'a>> {
        let path = self.path_of(key);
        let Some(node) = self.find(key) else { return Vec::new() };
        let Kind::List(nodes) = &node.kind else {
            self.wrong::<()>(node, &path, &format!("tables headed [[{}]]", path.dotted), None);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let path = path.index(index);
            match node.kind {
                Kind::Table(_) => tables.push(Fields::at(self.document, self.mistakes, node, path)),
                _ => {
                    self.wrong::<()>(node, &path, "a table", None);
                }
            }
        }
        tables
    }

    /// The entries of a table whose keys are words of the writer: each with a text that parses as `T`; empty when absent.
    pub fn entries<T>(&self, key: &'static str, expected: &str) -> Vec<(String, T)>
    where
        T: FromStr<Err: Display>,
    {
        let Some(node) = self.find(key) else { return Vec::new() };
        let path = self.path_of(key);
        let Kind::Table(entries) = &node.kind else {
            self.wrong::<()>(node, &path, "a table", None);
            return Vec::new();
        };
        let value =
            |(word, node): &(String, Node)| Some((word.clone(), self.parse_node(node, &path.key(word), expected)?));
        entries.iter().filter_map(value).collect()
    }

    /// Whether the key was written at all.
    pub fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// The place of a key, or of the table itself when the key is absent.
    pub fn spot(&self, key: &'static str) -> Spot {
        match self.find(key) {
            Some(node) => Spot { offset: node.offset, key: self.path_of(key), got: describe(node) },
            None => Spot { offset: self.node.offset, key: self.path_of(key), got: "nothing".to_owned() },
        }
    }

    /// Notes a mistake that only the caller can see.
    pub fn mistake(&self, spot: &Spot, expected: impl Into<String>, hint: Option<String>) {
        self.note(spot, expected.into(), hint, Severity::Error);
    }

    /// Notes something that works but should be looked at.
    pub fn warning(&self, spot: &Spot, expected: impl Into<String>, hint: Option<String>) {
        self.note(spot, expected.into(), hint, Severity::Warning);
    }

    /// Notes every key that no getter asked for, with the nearest known name. Call it last.
    pub fn finish(self) {
        let Kind::Table(entries) = &self.node.kind else { return };
        let known = self.known.borrow();
        for (name, node) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let nearest = known
                .iter()
                .map(|key| (strsim::damerau_levenshtein(key, name), *key))
                .min()
                .filter(|(distance, key)| *distance <= 1 + key.len() / 3);
            let hint = nearest.map(|(_, key)| format!("did you mean `{key}`?"));
            let expected = format!("one of {}", known.join(", "));
            let spot = Spot { offset: node.offset, key: self.path_of(name), got: "an unknown key".to_owned() };
            self.note(&spot, expected, hint, Severity::Error);
        }
    }

    fn find(&self, key: &'static str) -> Option<&'a Node> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
        }
        match &self.node.kind {
            Kind::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    fn demand(&self, key: &'static str, expected: &str) {
        if !self.has(key) {
            self.mistake(&self.spot(key), expected, Some(format!("write `{key} = …`")));
        }
    }

    fn parse_node<T>(&self, node: &Node, path: &Path, expected: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        match &node.kind {
            Kind::Text(text) => match text.parse() {
                Ok(value) => Some(value),
                Err(error) => self.wrong(node, path, expected, Some(error.to_string())),
            },
            _ => self.wrong(node, path, expected, Some("write it in quotes".to_owned())),
        }
    }

    fn wrong<T>(&self, node: &Node, path: &Path, expected: &str, hint: Option<String>) -> Option<T> {
        let spot = Spot { offset: node.offset, key: path.clone(), got: describe(node) };
        self.note(&spot, expected.to_owned(), hint, Severity::Error);
        None
    }

    fn note(&self, spot: &Spot, expected: String, hint: Option<String>, severity: Severity) {
        let (line, column) = self.document.place(spot.offset);
        let (file, got) = (self.document.file.clone(), spot.got.clone());
        let Path { dotted: key, pointer } = spot.key.clone();
        self.mistakes.note(Mistake { file, line, column, key, pointer, got, expected, hint, severity });
    }

    fn path_of(&self, key: &str) -> Path {
        self.path.key(key)
    }
}

fn describe(node: &Node) -> String {
    match &node.kind {
        Kind::Text(text) => format!("\"{}\"", text.chars().take(80).collect::<String>()),
        Kind::Integer(number) => number.to_string(),
        Kind::Flag(flag) => flag.to_string(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Table(_) => "a table".to_owned(),
        Kind::Other(what) => (*what).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
        let text = "[public]\nlisten = \"nowhere\"\nprot = 1\nlimit = -4\n".to_owned();
        let document = Document::parse("yimen.toml", text).unwrap();
        let mistakes = Mistakes::default();
        let root = document.fields(&mistakes);
        let public = root.table("public").unwrap();
        assert_eq!(public.parsed::<std::net::SocketAddr>("listen", "an address such as 0.0.0.0:443"), None);
        assert_eq!(public.number("limit", 7, 1..=9), 7);
        assert_eq!(public.number("port", 443, 1..=65535), 443);
        assert_eq!(public.required::<String>("host", "a name"), None);
        public.finish();
        root.finish();
        let told: Vec<String> = mistakes.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].starts_with("yimen.toml:1:2: public.host: got nothing"), "{}", told[0]);
        assert!(told[1].starts_with("yimen.toml:2:10: public.listen: got \"nowhere\""), "{}", told[1]);
        assert!(told[2].starts_with("yimen.toml:3:8: public.prot: got an unknown key"), "{}", told[2]);
        assert!(told[2].ends_with("did you mean `port`?"), "{}", told[2]);
        assert!(told[3].starts_with("yimen.toml:4:9: public.limit: got -4"), "{}", told[3]);
    }
}
