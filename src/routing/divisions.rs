//! The tree of divisions, numbered in preorder: a parent stands before its children, a subtree is one range of numbers.

use std::io::Read;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::error::RoutingError;
use crate::domain::{DivisionCode, Level};

/// What kind of row a division is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DivisionKind {
    /// A real administrative division.
    #[default]
    Division,
    /// A grouping row such as 市辖区: never shown, and no platform can be filed for it.
    Placeholder,
    /// A development zone or the like: a statistical code that is not in GB/T 2260.
    Statistical,
}

/// One division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// Its code.
    pub code: DivisionCode,
    /// Its name in Chinese.
    pub name: Box<str>,
    /// Its level; a county right under a province is still a county.
    pub level: Level,
    /// The division above it as the table has it, maybe a placeholder; `None` for the nation.
    pub parent: Option<DivisionCode>,
    /// What kind of row it is.
    pub kind: DivisionKind,
}

/// All divisions. Finding one is a hash look-up, a step of a climb an array read.
#[derive(Debug)]
pub struct Divisions {
    rows: Box<[Division]>,
    parents: Box<[u32]>,                               // the nation is its own parent
    ends: Box<[u32]>,                                  // one past the last of the subtree
    orders: Box<[u64]>,                                // of the codes: in preorder they rise
    counties: HashMap<DivisionCode, u32, RandomState>, // of 6 digits; what lies below is searched by order
}

#[derive(Deserialize)]
struct Row {
    code: DivisionCode,
    name: Box<str>,
    level: u8, // 1 is the province
    parent: Option<DivisionCode>,
    #[serde(default)]
    kind: DivisionKind,
}

impl Divisions {
    /// Reads `divisions.csv` (`code,name,level,parent,kind`) and `streets.csv` (the same without `kind`), both with a
    /// header row; adds the nation. `Err`: a row does not read, a code stands twice, or a parent is missing.
    pub fn read(divisions: impl Read, streets: impl Read) -> Result<Self, RoutingError> {
        let nation = Division {
            code: DivisionCode::NATION,
            name: "全国".into(),
            level: Level::Nation,
            parent: None,
            kind: DivisionKind::Division,
        };
        let mut rows = vec![nation];
        read_rows("divisions", divisions, &mut rows)?;
        read_rows("streets", streets, &mut rows)?;
        Self::in_preorder(rows)
    }

    /// The division of exactly this code.
    pub fn find(&self, code: DivisionCode) -> Option<&Division> {
        self.at(self.number(code)?)
    }

    /// The division itself, or for a village or an unknown street the street or county that its first 9 or 6 digits
    /// name. `None`: no such division.
    pub fn nearest_known(&self, code: DivisionCode) -> Option<&Division> {
        self.at(self.nearest_number(code)?)
    }

    /// What lies right under it, in code order; a placeholder's children stand in its place.
    pub fn children(&self, code: DivisionCode) -> Vec<&Division> {
        let mut children = Vec::new();
        let Some(parent) = self.number(code) else { return children };
        let (mut number, end) = (parent + 1, self.end(parent));
        while let Some(child) = self.at(number).filter(|_| number < end) {
            if child.kind == DivisionKind::Placeholder {
                number += 1; // step into it
            } else {
                children.push(child);
                number = self.end(number);
            }
        }
        children
    }

    /// From the nation down to the division, without placeholders; empty when it is unknown.
    pub fn trail(&self, code: DivisionCode) -> Vec<&Division> {
        let Some(number) = self.number(code) else { return Vec::new() };
        let mut trail: Vec<_> =
            self.climb(number).filter(|division| division.kind != DivisionKind::Placeholder).collect();
        trail.reverse();
        trail
    }

    /// Whether `code` is `of` or lies below it.
    pub fn is_within(&self, code: DivisionCode, of: DivisionCode) -> bool {
        match (self.number(code), self.number(of)) {
            (Some(code), Some(of)) => (of..self.end(of)).contains(&code),
            _ => false,
        }
    }

    /// First and last [`DivisionCode::order`] of a division and all below it; `None`: no such division.
    pub fn orders_within(&self, of: DivisionCode) -> Option<(u64, u64)> {
        let number = self.number(of)?;
        if number == 0 {
            return Some((0, u64::MAX)); // the nation's own code stands among its provinces'
        }
        let last = self.end(number).checked_sub(1)?;
        let order = |number: u32| self.orders.get(number as usize).copied();
        Some((order(number)?, order(last)?))
    }

    /// All of them, parents before children.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Division> {
        self.rows.iter()
    }

    /// How many there are, placeholders and the nation counted.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never true: the nation is always there.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn number(&self, code: DivisionCode) -> Option<u32> {
        let number = self.nearest_number(code)?;
        (self.orders.get(number as usize) == Some(&code.order())).then_some(number)
    }

    /// One hash look-up for the county and one search among what lies below it.
    pub(super) fn nearest_number(&self, code: DivisionCode) -> Option<u32> {
        let county = self.counties.get(&code.county()).copied()?;
        if code.county() == code {
            return Some(county);
        }
        let within = self.orders.get(county as usize..self.end(county) as usize)?;
        let place = match (within.binary_search(&code.order()), code.street().map(DivisionCode::order)) {
            (Ok(place), _) => place,
            (Err(after), Some(street)) => {
                match after.checked_sub(1).filter(|before| within.get(*before) == Some(&street)) {
                    Some(before) => before, // most often: its street has no villages in the table
                    None => within.binary_search(&street).unwrap_or(0), // 0 is the county itself
                }
            }
            (Err(_), None) => 0,
        };
        Some(county + u32::try_from(place).ok()?)
    }

    pub(super) fn at(&self, number: u32) -> Option<&Division> {
        self.rows.get(number as usize)
    }

    /// The number above; the nation's is its own.
    pub(super) fn above(&self, number: u32) -> u32 {
        self.parents.get(number as usize).copied().unwrap_or(0)
    }

    fn end(&self, number: u32) -> u32 {
        self.ends.get(number as usize).copied().unwrap_or(0)
    }

    fn climb(&self, number: u32) -> impl Iterator<Item = &Division> {
        let step = |number: &u32| (*number != 0).then(|| self.above(*number));
        std::iter::successors(Some(number), step).filter_map(|number| self.at(number))
    }

    fn in_preorder(mut rows: Vec<Division>) -> Result<Self, RoutingError> {
        rows.sort_by_key(|row| row.code.order());
        let mut below: HashMap<DivisionCode, Vec<usize>, RandomState> = HashMap::default();
        for (index, row) in rows.iter().enumerate() {
            if let Some(parent) = row.parent {
                below.entry(parent).or_default().push(index);
            }
        }
        let mut order: Vec<usize> = Vec::with_capacity(rows.len());
        let mut parents: Vec<u32> = Vec::with_capacity(rows.len());
        let mut waiting: Vec<(usize, u32)> =
            rows.iter().position(|row| row.parent.is_none()).map(|root| (root, 0)).into_iter().collect();
        while let Some((index, parent)) = waiting.pop() {
            let number = number_of(order.len());
            let Some(row) = rows.get(index) else { continue };
            order.push(index);
            parents.push(parent);
            let children = below.remove(&row.code).unwrap_or_default();
            waiting.extend(children.into_iter().rev().map(|child| (child, number)));
        }
        if let Some((parent, _)) = below.into_iter().min_by_key(|(parent, _)| *parent) {
            return Err(bad_data("divisions", format!("{parent} is named as a parent and has no row")));
        }
        let ends = ends_of(&parents);
        let mut rows: Vec<Option<Division>> = rows.into_iter().map(Some).collect();
        let rows: Box<[Division]> = order.iter().filter_map(|index| rows.get_mut(*index)?.take()).collect();
        let orders = rows.iter().map(|row| row.code.order()).collect();
        let six = |(row, number): (&Division, u32)| (row.code.county() == row.code).then_some((row.code, number));
        let counties = rows.iter().zip(0..).filter_map(six).collect();
        let divisions = Self { rows, parents: parents.into(), ends, orders, counties };
        let astray = divisions.iter().zip(0..).find(|(row, number)| divisions.number(row.code) != Some(*number));
        match astray.map(|(row, _)| row.code) {
            Some(code) => Err(bad_data(
                "divisions",
                format!("{} stands there twice, or under a parent that its digits do not name", code),
            )),
            None => Ok(divisions),
        }
    }
}

fn read_rows(file: &'static str, input: impl Read, rows: &mut Vec<Division>) -> Result<(), RoutingError> {
    for row in csv::Reader::from_reader(input).into_deserialize::<Row>() {
        let Row { code, name, level, parent, kind } = row.map_err(|error| bad_data(file, error.to_string()))?;
        let level = Level::ALL
            .get(usize::from(level))
            .copied()
            .filter(|level| *level != Level::Nation)
            .ok_or_else(|| bad_data(file, format!("{code} has level {level}, expected 1 to 5")))?;
        rows.push(Division { code, name, level, parent: parent.or(Some(DivisionCode::NATION)), kind });
    }
    Ok(())
}

fn ends_of(parents: &[u32]) -> Box<[u32]> {
    let mut ends: Vec<u32> = (0..parents.len()).map(|number| number_of(number) + 1).collect();
    for (number, parent) in parents.iter().enumerate().skip(1).rev() {
        let end = ends.get(number).copied().unwrap_or(0);
        if let Some(own) = ends.get_mut(*parent as usize) {
            *own = end.max(*own);
        }
    }
    ends.into()
}

fn number_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX) // China has fewer than a million divisions, villages included
}

fn bad_data(file: &'static str, reason: String) -> RoutingError {
    RoutingError::BadData { file, reason }
}
