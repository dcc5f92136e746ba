//! What happened, for the graph: every name and label of every metric, in one file (`catalogue.rs`).
//! Shape: `Metrics` is made once and handed down; each field is a handle, ready to count. Labels come from closed sets or from
//! configuration ids, never from a path, person or address. Cost: an atomic add. Knows: nothing.

mod catalogue;

pub use catalogue::Metrics;
