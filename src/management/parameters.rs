//! Parameters of paths, queries and fields: what each may hold, as the router checks it and as the document tells it.

use std::fmt::Display;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use utoipa::openapi::path::{Parameter as Described, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, Required};
use uuid::Uuid;

use super::cursor;
use super::fault::Fault;
use super::schema;
use crate::domain::{DivisionCode, ItemCode, PlatformId, RealmId, Uscc};
use crate::problem::Wrong;
use crate::registry::FilingState;

/// Most entries of a page, and how many come when nothing is said.
const LIMIT: (u64, u64) = (500, 100);

/// A parameter of a query or path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// What a parameter may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Platform,
    Realm,
    Division,
    Item,
    Owner,
    State,
    Flag,
    Number { least: u64, most: u64 },
    Cursor,
    Uuid,
    Method,
    Host,
    Path,
    Address,
}

pub(super) const LIMIT_PARAMETER: Parameter = Parameter {
    name: "limit",
    about: "At most so many entries; 100 when absent.",
    required: false,
    kind: Kind::Number { least: 1, most: LIMIT.0 },
};
pub(super) const CURSOR_PARAMETER: Parameter = Parameter {
    name: "cursor",
    about: "`next` of the page before; the first page when absent.",
    required: false,
    kind: Kind::Cursor,
};
pub(super) const DRY_RUN: Parameter = Parameter {
    name: "dry_run",
    about: "`true`: everything is checked and answered as it would be, and nothing is changed.",
    required: false,
    kind: Kind::Flag,
};

impl Parameter {
    pub(super) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, required: false, kind }
    }

    pub(super) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, about, required: true, kind }
    }

    fn check(&self, text: &str) -> Result<(), Wrong> {
        self.kind.check(text).map_err(|(expected, hint)| self.wrong(text, expected, hint))
    }

    fn wrong(&self, got: &str, expected: String, hint: Option<String>) -> Wrong {
        let got = if got.is_empty() { "nothing".to_owned() } else { got.chars().take(80).collect() };
        Wrong { pointer: None, parameter: Some(self.name.to_owned()), got, expected, hint }
    }

    pub(super) fn described(&self, place: ParameterIn) -> Described {
        let required = if self.required || place == ParameterIn::Path { Required::True } else { Required::False };
        ParameterBuilder::new()
            .name(self.name)
            .parameter_in(place)
            .required(required)
            .description(Some(self.about))
            .schema(Some(self.kind.schema()))
            .build()
    }
}

type Expectation = (String, Option<String>);

fn parsed<T: FromStr<Err: Display>>(text: &str, expected: &str) -> Result<(), Expectation> {
    text.parse::<T>().map(|_| ()).map_err(|why| (expected.to_owned(), Some(why.to_string())))
}

impl Kind {
    fn check(self, text: &str) -> Result<(), Expectation> {
        match self {
            Self::Platform => parsed::<PlatformId>(text, "the id of a platform"),
            Self::Realm => parsed::<RealmId>(text, "the id of a realm"),
            Self::Division => parsed::<DivisionCode>(text, "the code of a division"),
            Self::Item => parsed::<ItemCode>(text, "the code of a service item"),
            Self::Owner => parsed::<Uscc>(text, "a unified social credit code"),
            Self::State => parsed::<FilingState>(text, "the state of a filing"),
            Self::Uuid => parsed::<Uuid>(text, "an id from the list"),
            Self::Flag if matches!(text, "true" | "false") => Ok(()),
            Self::Flag => Err(("true or false".to_owned(), None)),
            Self::Number { least, most } => {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()); // parse() takes "+1"
                let fits = digits && text.parse().is_ok_and(|number: u64| (least..=most).contains(&number));
                if fits { Ok(()) } else { Err((format!("a whole number from {least} to {most}"), None)) }
            }
            Self::Cursor if cursor::read(text).is_some() => Ok(()),
            Self::Cursor => Err(("`next` of a page".to_owned(), Some("leave it out to begin anew".to_owned()))),
            Self::Method => shaped(text, 16, |byte| byte.is_ascii_uppercase(), "a method in capitals, such as GET"),
            Self::Host => shaped(
                text,
                253,
                |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte),
                "a host in lower case, without port",
            ),
            Self::Path if !text.starts_with('/') => Err(("a path that begins with a slash".to_owned(), None)),
            Self::Path => shaped(text, 2048, |byte| byte.is_ascii_graphic(), "a path of printable ASCII"),
            Self::Address => shaped(
                text,
                260,
                |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte),
                "host:port, as it is filed",
            ),
        }
    }

    fn schema(self) -> Schema {
        let text = |pattern: &'static str| schema::text_of(pattern);
        match self {
            Self::Platform => text(schema::PLATFORM_ID),
            Self::Realm => text(schema::REALM_ID),
            Self::Division => text(schema::DIVISION),
            Self::Item => text(schema::ITEM),
            Self::Owner => text(schema::OWNER),
            Self::State => schema::words(&FilingState::ALL.map(FilingState::word)),
            Self::Uuid => text(schema::UUID),
            Self::Flag => schema::of_type(Type::Boolean),
            Self::Number { least, most } => schema::number(least, most),
            Self::Cursor => text(cursor::PATTERN),
            Self::Method => text("^[A-Z]{1,16}$"),
            Self::Host => text(r"^[a-z0-9._:\[\]-]{1,253}$"),
            Self::Path => text("^/[!-~]{0,2047}$"),
            Self::Address => text(r"^[a-z0-9._:\[\]-]{1,260}$"),
        }
    }
}

fn shaped(text: &str, most: usize, allowed: impl Fn(u8) -> bool, expected: &str) -> Result<(), Expectation> {
    if (1..=most).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err((expected.to_owned(), None))
    }
}

/// The values of a call, each of the kind that its operation says.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(Vec<(&'static str, String)>);

impl Values {
    /// Reads a query. `Err`: every parameter that is unknown, twice, missing or of another kind.
    pub(super) fn of_query(query: &str, known: &[Parameter]) -> Result<Self, Vec<Wrong>> {
        let (mut values, mut wrongs) = (Self::default(), Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(value));
            match (known.iter().find(|parameter| Some(parameter.name) == name.as_deref()), value) {
                (None, _) => wrongs.push(unknown(name.as_deref().unwrap_or("bytes that are no text"), known)),
                (Some(parameter), None) => {
                    wrongs.push(parameter.wrong("bytes that are no UTF-8", "text".to_owned(), None));
                }
                (Some(parameter), Some(value)) => values.take(parameter, value, &mut wrongs),
            }
        }
        for parameter in known.iter().filter(|parameter| parameter.required && values.text(parameter.name).is_none()) {
            if !wrongs.iter().any(|wrong| wrong.parameter.as_deref() == Some(parameter.name)) {
                wrongs.push(parameter.wrong("", format!("a value: {}", parameter.about), None));
            }
        }
        if wrongs.is_empty() { Ok(values) } else { Err(wrongs) }
    }

    /// Adds the parts of a path.
    pub(super) fn and_path(mut self, parts: &[(String, String)], known: &[Parameter]) -> Result<Self, Vec<Wrong>> {
        let mut wrongs = Vec::new();
        for parameter in known {
            let value = parts.iter().find(|(name, _)| name == parameter.name).and_then(|(_, value)| decoded(value));
            self.take(parameter, value.unwrap_or_default(), &mut wrongs);
        }
        if wrongs.is_empty() { Ok(self) } else { Err(wrongs) }
    }

    fn take(&mut self, parameter: &Parameter, value: String, wrongs: &mut Vec<Wrong>) {
        if self.text(parameter.name).is_some() {
            wrongs.push(parameter.wrong("it twice", "it once".to_owned(), None));
            return;
        }
        match parameter.check(&value) {
            Ok(()) => self.0.push((parameter.name, value)),
            Err(wrong) => wrongs.push(wrong),
        }
    }

    /// A value as it came.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A value as what its kind says; `None` when absent.
    pub(super) fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// How many entries are wanted.
    pub(super) fn limit(&self) -> u16 {
        self.get("limit").or(u16::try_from(LIMIT.1).ok()).unwrap_or(100)
    }

    /// The last entry of the page before. `NotFound`: it names no entry of this list.
    pub(super) fn cursor<T: FromStr>(&self) -> Result<Option<T>, Fault> {
        let last = self.text("cursor").and_then(cursor::read);
        let last = last.map(|last| last.parse().map_err(|_| Fault::NotFound("page behind this cursor".to_owned())));
        last.transpose()
    }
}

/// `+` is a space in forms only; here it is itself, as in paths.
fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

fn unknown(name: &str, known: &[Parameter]) -> Wrong {
    let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
    let near = names.iter().map(|known| (strsim::damerau_levenshtein(known, name), *known)).min();
    let hint = near.filter(|(distance, _)| *distance <= 2).map(|(_, known)| format!("did you mean `{known}`?"));
    let expected = if names.is_empty() { "no parameter".to_owned() } else { format!("one of {}", names.join(", ")) };
    let got = "an unknown parameter".to_owned();
    Wrong { pointer: None, parameter: Some(name.chars().take(80).collect()), got, expected, hint }
}

/// A header field as the document tells it.
pub(super) fn header(name: &'static str, about: &'static str, pattern: &'static str) -> Described {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).pattern(Some(pattern));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(Schema::Object(text.build())))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Parameter; 3] = [LIMIT_PARAMETER, DRY_RUN, Parameter::required("division", Kind::Division, "Whose.")];

    fn told(query: &str) -> Vec<String> {
        let wrongs = Values::of_query(query, &KNOWN).unwrap_err();
        wrongs.into_iter().map(|wrong| format!("{}: {}", wrong.parameter.unwrap(), wrong.got)).collect()
    }

    #[test]
    fn every_mistake_of_a_query_is_told_at_once() {
        assert_eq!(told(""), ["division: nothing"]);
        assert_eq!(
            told("limt=3&limit=%2B1&dry_run=yes&division=330106&division=330100&x=%ff"),
            [
                "limt: an unknown parameter",
                "limit: +1",
                "dry_run: yes",
                "division: it twice",
                "x: an unknown parameter"
            ]
        );
        assert_eq!(told("division=%00"), ["division: \0"]);
        let values = Values::of_query("division=330106&limit=7", &KNOWN).unwrap();
        assert_eq!((values.limit(), values.get::<DivisionCode>("division")), (7, "330106".parse().ok()));
    }
}
