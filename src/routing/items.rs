//! The catalogue of service items.

use std::io::Read;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::error::RoutingError;
use crate::domain::{Assurance, ItemCode, Level};

const WORDS_MAX: usize = 8; // of a search; nobody types more, and each costs a scan of the catalogue

/// The levels at which an item is handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels(u8);

impl Levels {
    /// Whether the item is handled at `level`.
    pub fn contains(self, level: Level) -> bool {
        self.0 & bit(level) != 0
    }

    /// Each of them, the nation first.
    pub fn iter(self) -> impl Iterator<Item = Level> {
        Level::ALL.into_iter().filter(move |level| self.contains(*level))
    }
}

impl FromIterator<Level> for Levels {
    fn from_iter<T: IntoIterator<Item = Level>>(levels: T) -> Self {
        Self(levels.into_iter().fold(0, |bits, level| bits | bit(level)))
    }
}

fn bit(level: Level) -> u8 {
    1 << (level as u8)
}

/// Whom an item is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemSubject {
    /// Natural persons.
    Personal,
    /// Legal persons.
    Legal,
    /// Both.
    Both,
}

/// One service item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its basic code.
    pub code: ItemCode,
    /// Its name in Chinese.
    pub name_zh: Box<str>,
    /// Its name in English.
    pub name_en: Box<str>,
    /// The department in charge, in Chinese.
    pub department_zh: Box<str>,
    /// The department in charge, in English.
    pub department_en: Box<str>,
    /// Levels at which it is handled.
    pub levels: Levels,
    /// Whom it is for.
    pub subject: ItemSubject,
    /// The least assurance with which it can be done.
    pub assurance: Assurance,
    /// Whether it can be done from another province (跨省通办).
    pub cross_province: bool,
}

/// All items, in the order of the file.
#[derive(Debug)]
pub struct Items {
    items: Box<[Item]>,
    texts: Box<[Box<str>]>, // what search reads, in lower case
    numbers: HashMap<ItemCode, u32, RandomState>,
}

#[derive(Deserialize)]
struct Row {
    basic_code: ItemCode,
    name_zh: Box<str>,
    name_en: Box<str>,
    dept_zh: Box<str>,
    dept_en: Box<str>,
    levels: String,
    subject: ItemSubject,
    min_loa: u8,
    cross_province: String,
}

impl Items {
    /// Reads `items.csv` (columns in `routes/README.md`). `Err`: a row does not read or a code stands twice.
    pub fn read(input: impl Read) -> Result<Self, RoutingError> {
        let mut items = Vec::new();
        let mut numbers = HashMap::default();
        for row in csv::Reader::from_reader(input).into_deserialize::<Row>() {
            let item = item(row.map_err(|error| bad_data(error.to_string()))?)?;
            if numbers.insert(item.code, u32::try_from(items.len()).unwrap_or(u32::MAX)).is_some() {
                return Err(bad_data(format!("{} stands there twice", item.code)));
            }
            items.push(item);
        }
        let texts = items.iter().map(search_text).collect();
        Ok(Self { items: items.into(), texts, numbers })
    }

    /// The item of this code.
    pub fn find(&self, code: ItemCode) -> Option<&Item> {
        self.items.get(self.number(code)? as usize)
    }

    /// All items in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Item> {
        self.items.iter()
    }

    /// At most `max` items in whose names, department or code every word of `text` occurs, in any case. Words are parted
    /// by spaces; from the ninth on they are not looked at. An empty text finds nothing.
    pub fn search(&self, text: &str, max: usize) -> Vec<&Item> {
        let text = text.to_lowercase();
        let words: Vec<&str> = text.split_whitespace().take(WORDS_MAX).collect();
        if words.is_empty() {
            return Vec::new();
        }
        let fits = |text: &str| words.iter().all(|word| text.contains(word));
        let found = self.items.iter().zip(&self.texts).filter(|(_, text)| fits(text));
        found.map(|(item, _)| item).take(max).collect()
    }

    pub(super) fn number(&self, code: ItemCode) -> Option<u32> {
        self.numbers.get(&code).copied()
    }

    pub(super) fn at(&self, number: u32) -> Option<&Item> {
        self.items.get(number as usize)
    }
}

fn item(row: Row) -> Result<Item, RoutingError> {
    let level = |word: &str| -> Option<Level> { Level::ALL.get(word.parse::<usize>().ok()?.checked_sub(1)?).copied() };
    let levels: Option<Levels> = row.levels.split(';').map(level).collect();
    let levels = levels.ok_or_else(|| bad_data(format!("{} has levels `{}`", row.basic_code, row.levels)))?;
    let assurance =
        format!("L{}", row.min_loa).parse().map_err(|error| bad_data(format!("{}: {error}", row.basic_code)))?;
    Ok(Item {
        code: row.basic_code,
        name_zh: row.name_zh,
        name_en: row.name_en,
        department_zh: row.dept_zh,
        department_en: row.dept_en,
        levels,
        subject: row.subject,
        assurance,
        cross_province: row.cross_province == "yes",
    })
}

fn search_text(item: &Item) -> Box<str> {
    let Item { code, name_zh, name_en, department_zh, department_en, .. } = item;
    format!("{name_zh}\n{name_en}\n{department_zh}\n{department_en}\n{code}").to_lowercase().into()
}

fn bad_data(reason: String) -> RoutingError {
    RoutingError::BadData { file: "items", reason }
}
