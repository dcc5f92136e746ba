//! Text as people wrote it: settings and filings with the place of every value, so that every mistake of a file is
//! told at once, each with place, value, expectation and hint.
//! Shape: TOML or JSON ── parse ──▶ tree with places ── `Fields` getters ──▶ typed values, mistakes collected aside.
//! Fails: never half-way; getters answer `None` and note the mistake, the caller asks `Mistakes` at the end.
//! Knows: nothing. Settings (`config`) and filings (`registry`) are read by it, and by nothing else.

mod fields;
mod json;
mod mistake;
mod tree;

pub use fields::{Fields, Spot};
pub use mistake::{Mistake, Mistakes, Severity};
pub use tree::Document;
