//! Documents in files: TOML and JSON are two ways to write one form.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::Failed;
use crate::written::Document;

/// Reads a document; JSON by the end of its name, else TOML. `state` of a file says what the register knows itself, so it is
/// left out.
pub(super) fn read(path: &Path) -> Result<Value, Failed> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|cause| Failed::Input(format!("{name}: {cause}")))?;
    let read = if path.extension().is_some_and(|end| end == "json") {
        Document::json(&name, &bytes)
    } else {
        let text = String::from_utf8(bytes).map_err(|_| Failed::Input(format!("{name}: it is no text in UTF-8")))?;
        Document::parse(&name, text)
    };
    let mut document = read.map_err(|mistake| Failed::Input(mistake.to_string()))?.to_json();
    without_state(&mut document);
    Ok(document)
}

fn without_state(document: &mut Value) {
    if let Some(platform) = document.get_mut("platform").and_then(Value::as_object_mut) {
        platform.remove("state");
    }
}

/// The platform that a document is of.
pub(super) fn id(document: &Value, path: &Path) -> Result<String, Failed> {
    let id = document.pointer("/platform/id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| Failed::Input(format!("{}: platform.id is missing", path.display())))
}

/// The documents of a folder by name, or the one file.
pub(super) fn all(path: &Path) -> Result<Vec<PathBuf>, Failed> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |cause: std::io::Error| Failed::Input(format!("{}: {cause}", path.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|end| end == "toml" || end == "json") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
