//! How answers look.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Outcome, Output};

/// A list as a table with tabs.
pub(super) fn list(entries: &[Value], columns: &[&str], output: Output) -> Outcome {
    if output == Output::Json {
        return document(&Value::Array(entries.to_vec()));
    }
    let mut text = columns.join("\t") + "\n";
    for entry in entries {
        let cells: Vec<String> = columns.iter().map(|column| cell(&entry[*column])).collect();
        let _ = writeln!(text, "{}", cells.join("\t")); // writing to a `String` cannot fail
    }
    Outcome::done(text)
}

/// One thing, a line a key.
pub(super) fn one(body: &Value, keys: &[&str], output: Output) -> Outcome {
    if output == Output::Json {
        return document(body);
    }
    let known = keys.iter().filter(|key| !body[**key].is_null());
    Outcome::done(known.map(|key| format!("{key}\t{}\n", cell(&body[*key]))).collect::<String>())
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
    let filing = &body["filing"];
    let draft = &filing["draft"];
    let mut text = format!("{} {}", cell(&filing["id"]), cell(&filing["state"]));
    if !draft.is_null() && draft["state"] != filing["state"] {
        let _ = write!(text, ", another document {}", cell(&draft["state"]));
    }
    let _ = write!(text, ", version {}", cell(&filing["version"]));
    if body["changed"] == Value::Bool(false) {
        text += ", unchanged";
    }
    text += if dry_run { " (dry run: nothing was changed)\n" } else { "\n" };
    for warning in body["warnings"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "warning:{}", wrong(warning).trim_start());
    }
    Outcome::done(text)
}

/// One mistake, on a line of its own.
pub(super) fn wrong(error: &Value) -> String {
    let place = error["pointer"].as_str().or(error["parameter"].as_str()).unwrap_or_default();
    let mut told = format!("\n  {place}: got {}, expected {}", cell(&error["got"]), cell(&error["expected"]));
    if let Some(hint) = error["hint"].as_str() {
        let _ = write!(told, "; {hint}");
    }
    told
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
