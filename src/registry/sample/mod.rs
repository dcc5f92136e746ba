//! A generated register of real size for benches, load tests and the property test: made from the divisions and items
//! that are loaded, always the same. One platform for each division and group of departments; at streets one hall for all.
//! With the data in `routes/` that is 1,250,174 routes (a route is one item in one division).
//! Divisions that exist only statistically, and provinces without anything below them in the data, file nothing.

mod made;
mod write;

pub use made::platforms;
pub use write::{Written, write};
