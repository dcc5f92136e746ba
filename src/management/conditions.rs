//! Which version a call is about: ETags and the preconditions of RFC 9110 section 13. Versioned are filings; a version is a
//! strong tag, the number in quotes.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

use super::fault::Fault;
use crate::problem::Wrong;
use crate::registry::{Expected, Version};

/// How a version stands in `ETag`.
pub(super) fn etag(version: Version) -> String {
    format!("\"{version}\"")
}

/// What a call says of the version it wants to read or change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    if_match: Option<Tag>,
    if_none_match: Option<Tag>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Any,
    Version(Version),
    /// A well-formed tag that no version of ours has.
    Other,
}

impl Conditions {
    /// Reads both fields. `Err`: what is no tag, or more than one, since a call is about one version.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Vec<Wrong>> {
        let (if_match, if_none_match) = (tag(headers, &IF_MATCH), tag(headers, &IF_NONE_MATCH));
        match (if_match, if_none_match) {
            (Ok(if_match), Ok(if_none_match)) => Ok(Self { if_match, if_none_match }),
            (one, other) => Err([one.err(), other.err()].into_iter().flatten().collect()),
        }
    }

    /// For a call that changes what is there: `If-Match` is needed.
    pub(super) fn of_change(self) -> Result<Expected, Fault> {
        match self.if_match {
            Some(Tag::Any) => Ok(Expected::Any),
            Some(Tag::Version(version)) => Ok(Expected::Version(version)),
            Some(Tag::Other) => Err(Fault::ConditionFailed(None)),
            None => Err(Fault::ConditionNeeded),
        }
    }

    /// For a decision: `If-Match` with the version that was read. `*` would decide on whatever is newest.
    pub(super) fn of_decision(self) -> Result<Expected, Fault> {
        match self.of_change()? {
            Expected::Any => Err(Fault::DecisionNeedsVersion),
            expected => Ok(expected),
        }
    }

    /// For a call that makes something or replaces it.
    pub(super) fn of_put(self) -> Result<Expected, Fault> {
        match self.if_none_match {
            Some(Tag::Any) => Ok(Expected::Absent),
            _ => self.of_change(),
        }
    }

    /// Whether the reader has this version already (304).
    pub(super) fn has(self, version: Version) -> bool {
        matches!(self.if_none_match, Some(Tag::Any)) || self.if_none_match == Some(Tag::Version(version))
    }
}

fn tag(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tag>, Wrong> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let wrong = |got: &str| Wrong {
        pointer: None,
        parameter: Some(name.as_str().to_owned()),
        got: got.chars().take(80).collect(),
        expected: "one entity tag such as \"7\" with its quotes, or *".to_owned(),
        hint: Some("send back the ETag of the answer you read".to_owned()),
    };
    let Ok(text) = first.to_str() else { return Err(wrong("bytes that are no text")) };
    if values.next().is_some() {
        return Err(wrong("two fields of this name"));
    }
    let text = text.trim();
    if text == "*" {
        return Ok(Some(Tag::Any));
    }
    // A cache may have weakened the tag, and a shell may have taken its quotes; a number that is our version still names it.
    let inner = text.strip_prefix("W/").unwrap_or(text);
    let bare = !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
    let quoted = inner.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inner = quoted.or(Some(inner).filter(|_| bare)).ok_or_else(|| wrong(text))?;
    if inner.contains('"') {
        return Err(wrong(text));
    }
    Ok(Some(inner.parse().map_or(Tag::Other, |number| Tag::Version(Version(number)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(HeaderName, &str)]) -> Result<Conditions, Vec<Wrong>> {
        Conditions::of(&fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect())
    }

    #[test]
    fn a_change_needs_a_version_and_a_first_document_needs_to_be_the_first() {
        let seven = of(&[(IF_MATCH, "\"7\"")]).unwrap();
        assert_eq!(seven.of_change().unwrap(), Expected::Version(Version(7)));
        assert_eq!(of(&[(IF_MATCH, "W/\"7\"")]).unwrap(), seven);
        assert_eq!(of(&[(IF_MATCH, "7")]).unwrap(), seven, "a shell took the quotes");
        assert_eq!(of(&[(IF_MATCH, "*")]).unwrap().of_change().unwrap(), Expected::Any);
        assert!(matches!(of(&[]).unwrap().of_put(), Err(Fault::ConditionNeeded)));
        assert!(matches!(of(&[(IF_MATCH, "\"abc\"")]).unwrap().of_change(), Err(Fault::ConditionFailed(None))));
        let new = of(&[(IF_NONE_MATCH, "*")]).unwrap();
        assert_eq!(new.of_put().unwrap(), Expected::Absent);
        assert!(matches!(new.of_change(), Err(Fault::ConditionNeeded)));
    }

    #[test]
    fn what_is_no_tag_is_told_of_both_fields_at_once() {
        assert_eq!(of(&[(IF_MATCH, "seven"), (IF_NONE_MATCH, "\"1\", \"2\"")]).unwrap_err().len(), 2);
        assert_eq!(of(&[(IF_MATCH, "\"1\""), (IF_MATCH, "\"2\"")]).unwrap_err().len(), 1);
    }
}
