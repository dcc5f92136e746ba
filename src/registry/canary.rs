//! Who meets the canary of a filing.

use super::filing::{Known, division_hint};
use super::words::HeaderIs;
use crate::domain::DivisionCode;
use crate::routing::Canary;
use crate::written::Fields;

/// Reads `canary = { share = 5, header = "x-try: new", divisions = ["330106"] }`; `None` when something in it is wrong.
pub(super) fn read(fields: Fields<'_>, known: &Known<'_>) -> Option<Canary> {
    let share = u8::try_from(fields.number("share", 0, 0..=100)).ok();
    let header = fields.parsed::<HeaderIs>("header", "a header field and its value, such as \"x-try: new\"");
    let mut divisions = Vec::new();
    for (code, spot) in fields.list::<DivisionCode>("divisions", "codes of divisions") {
        match known.divisions.find(code) {
            Some(division) => divisions.push(division.code),
            None => fields.mistake(&spot, "a division that exists", Some(division_hint(known, code))),
        }
    }
    if !["share", "header", "divisions"].into_iter().any(|key| fields.has(key)) {
        let hint = "write `share`, `header` or `divisions`, or leave `canary` out".to_owned();
        fields.mistake(&fields.spot("share"), "who meets the canary", Some(hint));
    }
    fields.finish();
    let header = header.map(|HeaderIs { name, value }| (name, value));
    Some(Canary { share: share?, header, divisions: divisions.into() })
}
