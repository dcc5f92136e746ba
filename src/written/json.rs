//! The same tree from JSON, in which places are pointers (RFC 6901). Stricter than JSON has to be: a key twice in one object,
//! a second value after the first and deep nesting are refused, so that two readers can never see two documents.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::mistake::{Mistake, Severity};
use super::tree::{Document, Kind, Node};

/// A filing has four levels; sixteen leave room for more and none for a stack that overflows.
const DEPTH_MAX: usize = 16;

impl Document {
    /// Parses JSON. `name` is how places call it. `Err`: the one mistake of syntax at which reading stopped.
    #[allow(clippy::result_large_err, reason = "once a document, and the caller puts it into a list at once")]
    pub fn json(name: &str, bytes: &[u8]) -> Result<Self, Mistake> {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let root = Depth(0).deserialize(&mut reader).and_then(|root| reader.end().map(|()| root));
        let fault = |got: &str, expected: String| Mistake {
            file: name.into(),
            line: 1,
            column: 1,
            key: "(syntax)".to_owned(),
            pointer: String::new(),
            got: got.to_owned(),
            expected,
            hint: None,
            severity: Severity::Error,
        };
        match root {
            Ok(root @ Node { kind: Kind::Table(_), .. }) => Ok(Self { file: name.into(), text: String::new(), root }),
            Ok(_) => Err(fault("JSON that is no object", "an object with `platform`".to_owned())),
            Err(error) => Err(fault("text that is no JSON of ours", error.to_string())),
        }
    }

    /// The document as JSON, whatever it was written in. What JSON or we have no word for becomes `null`.
    pub fn to_json(&self) -> Value {
        value(&self.root)
    }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Text(text) => Value::String(text.clone()),
        Kind::Integer(number) => Value::from(*number),
        Kind::Flag(flag) => Value::Bool(*flag),
        Kind::List(nodes) => Value::Array(nodes.iter().map(value).collect()),
        Kind::Table(entries) => {
            Value::Object(entries.iter().map(|(name, node)| (name.clone(), value(node))).collect::<Map<_, _>>())
        }
        Kind::Other(_) => Value::Null,
    }
}

/// How deep a value lies.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn node<E>(kind: Kind) -> Result<Node, E> {
        Ok(Node { offset: 0, kind })
    }

    fn below<E: Error>(self) -> Result<Self, E> {
        if self.0 < DEPTH_MAX { Ok(Self(self.0 + 1)) } else { Err(E::custom("at most 16 levels of nesting")) }
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Node;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a text, a whole number, true, false, a list or an object")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Node, E> {
        Self::node(Kind::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Self::node(Kind::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Self::node(i64::try_from(number).map_or(Kind::Other("a number too large"), Kind::Integer))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Self::node(Kind::Other("a float"))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Self::node(Kind::Other("null"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Self::node(Kind::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
        Self::node(Kind::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let (below, mut nodes) = (self.below()?, Vec::new());
        while let Some(node) = list.next_element_seed(below)? {
            nodes.push(node);
        }
        Self::node(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let (below, mut entries) = (self.below()?, Vec::<(String, Node)>::new());
        let mut seen = std::collections::HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                let shown: String = name.chars().take(80).collect();
                return Err(A::Error::custom(format_args!("each key once, and {shown:?} stands twice")));
            }
            entries.push((name, map.next_value_seed(below)?));
        }
        Self::node(Kind::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::written::Mistakes;

    #[test]
    fn mistakes_in_json_are_told_by_pointer() {
        let document = Document::json("filing", br#"{"route":[{"items":["a","b"]},{"it/e~ms":1}],"n":1.5}"#).unwrap();
        let mistakes = Mistakes::default();
        let root = document.fields(&mistakes);
        for route in root.tables("route") {
            route.list::<u64>("items", "numbers");
            route.finish();
        }
        assert_eq!(root.number("n", 7, 0..=9), 7);
        root.finish();
        let mut told: Vec<String> = mistakes.into_sorted().into_iter().map(|mistake| mistake.pointer).collect();
        told.sort();
        assert_eq!(told, ["/n", "/route/0/items/0", "/route/0/items/1", "/route/1/it~1e~0ms"]);
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        let deep = format!("{}{}", "{\"a\":".repeat(17), "1") + &"}".repeat(17);
        let bottomless = "[".repeat(1_000_000);
        for text in [r#"{"a":1,"a":2}"#, "{} {}", "[]", "7", "", "{", r#"{"a":NaN}"#, &deep, &bottomless] {
            let mistake = Document::json("filing", text.as_bytes()).unwrap_err();
            assert_eq!(mistake.key, "(syntax)", "{text:.40}");
        }
        assert!(Document::json("filing", b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_document_is_the_same_in_both_forms() {
        let toml = "[platform]\nid = \"a\"\n[[route]]\nitems = [\"x\"]\nwebsocket = true\nport = 5\n".to_owned();
        let json = Document::parse("f", toml).unwrap().to_json();
        assert_eq!(
            json,
            serde_json::json!({"platform": {"id": "a"}, "route": [{"items": ["x"], "websocket": true, "port": 5}]})
        );
        let again = Document::json("f", json.to_string().as_bytes()).unwrap().to_json();
        assert_eq!(again, json);
    }
}
