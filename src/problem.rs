//! The one RFC 9457 body: what programs get for every answer that is our no.

use serde::Serialize;

/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document, RFC 9457 section 3.1, with `request_id` (the id in our log) and the stable `code` as extensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem<'a> {
    /// `urn:yimen:problem:{code}`; stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// Short English title of the code.
    pub title: &'a str,
    /// A sentence with the next step.
    pub detail: String,
    /// Stable reason code, also in `Yimen-Error` and in metrics.
    pub code: &'a str,
    /// The id under which our log knows the request.
    pub request_id: &'a str,
    /// Where a person would sign in, for answers that ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    /// The kind of subject that is served, for requests of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    /// The right address, for requests that went to a wrong origin; or the page where a person can do something about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The right that was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<&'a str>,
    /// ETag of the version there is, for calls about another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Everything that is wrong with the request, all at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Wrong>,
}

/// One thing that is wrong with a request, or worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Where in the body: a JSON pointer (RFC 6901); empty for the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Or which parameter of path, query or fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What stands there.
    pub got: String,
    /// What was expected.
    pub expected: String,
    /// The next step, where we know one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl<'a> Problem<'a> {
    /// A problem of `code`, with the type URN made from it.
    pub fn new(status: u16, code: &'a str, title: &'a str, detail: String, request_id: &'a str) -> Self {
        Self {
            kind: format!("urn:yimen:problem:{code}"),
            status,
            title,
            detail,
            code,
            request_id,
            sign_in: None,
            subject: None,
            address: None,
            right: None,
            current: None,
            errors: Vec::new(),
        }
    }

    /// The body; an empty object only if memory for it could not be had.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }
}
