//! What two documents differ in, a line for each value.

use serde_json::Value;

/// Lines `- pointer: value` of what goes and `+ pointer: value` of what comes; empty when they are alike.
pub(super) fn lines(old: &Value, new: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", old, new, &mut lines);
    lines
}

fn compare(pointer: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                compare(&format!("{pointer}/{key}"), value, after.get(key).unwrap_or(&Value::Null), lines);
            }
            for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
                compare(&format!("{pointer}/{key}"), &Value::Null, value, lines);
            }
        }
        (Value::Array(before), Value::Array(after)) if tables(before) && tables(after) => {
            for at in 0..before.len().max(after.len()) {
                let value = |of: &[Value]| of.get(at).cloned().unwrap_or(Value::Null);
                compare(&format!("{pointer}/{at}"), &value(before), &value(after), lines);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            if !old.is_null() {
                lines.push(format!("- {pointer}: {old}"));
            }
            if !new.is_null() {
                lines.push(format!("+ {pointer}: {new}"));
            }
        }
    }
}

fn tables(list: &[Value]) -> bool {
    list.iter().all(Value::is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_value_and_none_when_they_are_alike() {
        let old = serde_json::json!({"platform": {"id": "a", "name": "x"}, "route": [{"path": "/a"}]});
        let new = serde_json::json!({"platform": {"id": "a", "zones": ["internet"]}, "route": [{"path": "/b"}, {"path": "/c"}]});
        assert_eq!(lines(&old, &old), Vec::<String>::new());
        assert_eq!(
            lines(&old, &new),
            [
                "- /platform/name: \"x\"",
                "+ /platform/zones: [\"internet\"]",
                "- /route/0/path: \"/a\"",
                "+ /route/0/path: \"/b\"",
                "+ /route/1: {\"path\":\"/c\"}"
            ]
        );
    }
}
