//! One mistake in a file, and the list of them.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Whether a mistake stops what it is found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file, or the filing, is not used.
    Error,
    /// It is used, but somebody should look (`check --strict` makes it count).
    Warning,
}

/// One mistake: where, what stands there, what was expected, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// File it stands in, as the reader was given it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Dotted path of the key, such as `public.listen` or `route[2].items[0]`.
    pub key: String,
    /// The same as a JSON pointer (RFC 6901), such as `/route/2/items/0`; empty for the whole document.
    pub pointer: String,
    /// What stands there, or `nothing`.
    pub got: String,
    /// What was expected.
    pub expected: String,
    /// The next step, where we know one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Error or warning.
    pub severity: Severity,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, key, pointer: _, got, expected, hint, severity } = self;
        let word = if *severity == Severity::Warning { "warning: " } else { "" };
        write!(out, "{file}:{line}:{column}: {word}{key}: got {got}, expected {expected}")?;
        hint.as_ref().map_or(Ok(()), |hint| write!(out, "; {hint}"))
    }
}

/// All mistakes found so far; readers of one file share it.
#[derive(Debug, Default)]
pub struct Mistakes(RefCell<Vec<Mistake>>);

impl Mistakes {
    /// Notes one more.
    pub fn note(&self, mistake: Mistake) {
        self.0.borrow_mut().push(mistake);
    }

    /// How many of them stop the file.
    pub fn errors(&self) -> usize {
        self.0.borrow().iter().filter(|mistake| mistake.severity == Severity::Error).count()
    }

    /// All of them in the order of their places.
    pub fn into_sorted(self) -> Vec<Mistake> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.file, a.line, a.column, &a.key).cmp(&(&b.file, b.line, b.column, &b.key)));
        all
    }
}
