//! What a sample platform shows: everything it received, for people and for programs.

use askama::Template;
use serde::Serialize;
use serde_json::Value;

use crate::identity::AssertionClaims;

/// One request as it arrived.
#[derive(Debug, Serialize)]
pub(super) struct Received<'a> {
    /// Platform that answers.
    pub(super) platform: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Method.
    pub(super) method: &'a str,
    /// Path, as it stood in the request line.
    pub(super) path: &'a str,
    /// Query without `?`; empty when there was none.
    pub(super) query: &'a str,
    /// Names and values in the order of arrival, one entry for each line.
    pub(super) headers: Vec<(String, String)>,
    /// What became of `Yimen-Assertion`.
    pub(super) assertion: Outcome,
}

/// What became of the assertion.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is the gateway's, for this platform, and in time.
    Verified {
        /// Its claims.
        claims: Box<AssertionClaims>,
    },
    /// The request carried none: nobody is signed in, or the route does not say who.
    Absent,
    /// The request carried one that must not be believed.
    Refused {
        /// Why.
        why: String,
    },
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::Absent => "absent",
            Self::Refused { .. } => "refused",
        }
    }

    fn subject(&self) -> &str {
        match self {
            Self::Verified { claims } => &claims.subject.sub,
            _ => "",
        }
    }

    fn details(&self) -> Vec<(String, String)> {
        match self {
            Self::Verified { claims } => named(claims),
            Self::Absent => Vec::new(),
            Self::Refused { why } => vec![("why".to_owned(), why.clone())],
        }
    }
}

fn named(claims: &AssertionClaims) -> Vec<(String, String)> {
    let claims = serde_json::to_value(claims).ok();
    let claims = claims.as_ref().and_then(Value::as_object).into_iter().flatten();
    claims
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect()
}

/// The page for people: Chinese and English side by side, for a sample has no choice of language.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ received.name }}</title>
</head>
<body>
<main>
<h1>{{ received.name }}</h1>
<p>示例平台，用于演示。<span lang="en">A sample platform, for the demo.</span></p>
<dl>
<dt>平台 <span lang="en">Platform</span></dt><dd id="platform">{{ received.platform }}</dd>
<dt>方法 <span lang="en">Method</span></dt><dd id="method">{{ received.method }}</dd>
<dt>路径 <span lang="en">Path</span></dt><dd id="path">{{ received.path }}</dd>
<dt>参数 <span lang="en">Query</span></dt><dd id="query">{{ received.query }}</dd>
</dl>
<h2>身份断言 <span lang="en">Assertion</span></h2>
<p><strong id="assertion-status">{{ received.assertion.word() }}</strong> <code id="assertion-sub">{{ received.assertion.subject() }}</code></p>
<table>
{% for (name, value) in received.assertion.details() %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table>
<h2>收到的请求头 <span lang="en">Headers received</span></h2>
<table id="headers">
{% for (name, value) in received.headers %}<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}</table>
</main>
</body>
</html>
"#
)]
pub(super) struct Page<'a> {
    /// What to show.
    pub(super) received: &'a Received<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_visitor_sent_is_shown_and_never_run() {
        let evil = "<script>alert(1)</script>";
        let received = Received {
            platform: "hangzhou",
            name: "杭州",
            method: "GET",
            path: evil,
            query: evil,
            headers: vec![("x-a".to_owned(), evil.to_owned())],
            assertion: Outcome::Refused { why: evil.to_owned() },
        };
        let page = Page { received: &received }.render().unwrap();
        assert!(!page.contains("<script>"), "{page}");
        assert_eq!(page.matches("alert(1)").count(), 4);
    }
}
