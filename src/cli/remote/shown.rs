//! How answers look.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Outcome, Output};

/// The part of an answer that a JSON pointer names; `null` when there is none.
pub(super) fn part(body: &Value, pointer: &str) -> Value {
    body.pointer(pointer).cloned().unwrap_or_default()
}

/// A list as a table with tabs.
pub(super) fn list(entries: &[Value], columns: &[&str], output: Output) -> Outcome {
    if output == Output::Json {
        return document(&Value::Array(entries.to_vec()));
    }
    let mut text = columns.join("\t") + "\n";
    for entry in entries {
        let cells: Vec<String> = columns.iter().map(|column| cell(&part(entry, &format!("/{column}")))).collect();
        let _ = writeln!(text, "{}", cells.join("\t")); // writing to a `String` cannot fail
    }
    Outcome::done(text)
}

/// One thing, a line a key.
pub(super) fn one(body: &Value, keys: &[&str], output: Output) -> Outcome {
    if output == Output::Json {
        return document(body);
    }
    let known = keys.iter().map(|key| (key, part(body, &format!("/{key}")))).filter(|(_, value)| !value.is_null());
    Outcome::done(known.map(|(key, value)| format!("{key}\t{}\n", cell(&value))).collect::<String>())
}

/// JSON as it is.
pub(super) fn document(body: &Value) -> Outcome {
    Outcome::done(format!("{body:#}\n"))
}

/// What a write did.
pub(super) fn done(body: &Value, dry_run: bool, output: Output) -> Outcome {
    if output == Output::Json {
        return document(body);
    }
    let word = |pointer: &str| cell(&part(body, pointer));
    let (state, draft) = (part(body, "/filing/state"), part(body, "/filing/draft/state"));
    let mut text = format!("{} {}", word("/filing/id"), cell(&state));
    if !draft.is_null() && draft != state {
        let _ = write!(text, ", another document {}", cell(&draft));
    }
    let _ = write!(text, ", version {}", word("/filing/version"));
    if part(body, "/changed") == Value::Bool(false) {
        text += ", unchanged";
    }
    text += if dry_run { " (dry run: nothing was changed)\n" } else { "\n" };
    for warning in part(body, "/warnings").as_array().into_iter().flatten() {
        let _ = writeln!(text, "warning:{}", wrong(warning).trim_start());
    }
    Outcome::done(text)
}

/// One mistake, on a line of its own.
pub(super) fn wrong(error: &Value) -> String {
    let text = |key: &str| error.get(key).and_then(Value::as_str);
    let place = text("pointer").or(text("parameter")).unwrap_or_default();
    let (got, expected) = (text("got").unwrap_or_default(), text("expected").unwrap_or_default());
    let hint = text("hint").map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("\n  {place}: got {got}, expected {expected}{hint}")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
