//! What the API can do, as data: one table from which the router is built and the document is written, so that neither can
//! say what the other does not do.

use std::future::Future;
use std::pin::Pin;

use http::Method;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::parameters::{CURSOR_PARAMETER, DRY_RUN, LIMIT_PARAMETER, Parameter};
use crate::domain::Right;

type Answered = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;
type Run = Box<dyn Fn(Management, Call) -> Answered + Send + Sync>;

/// What a call brings in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// JSON of this schema.
    Json(&'static str),
    /// A merge patch (RFC 7396) of this schema.
    MergePatch(&'static str),
}

/// Which precondition a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    /// `If-None-Match` saves the body (304).
    Read,
    /// `If-Match`.
    Change,
    /// `If-Match` with a version: whoever decides says what they have read.
    Decide,
    /// `If-Match`, or `If-None-Match: *`.
    Put,
}

/// One operation.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) about: &'static str,
    pub(super) right: Option<Right>,
    pub(super) path_parameters: Vec<Parameter>,
    pub(super) query: Vec<Parameter>,
    pub(super) takes: Takes,
    pub(super) condition: Condition,
    /// Status and schema of each good answer.
    pub(super) good: Vec<(u16, &'static str)>,
    /// Statuses of its own, besides those that every call has.
    pub(super) bad: Vec<u16>,
    pub(super) run: Run,
}

impl Operation {
    /// An operation that answers 200 with `schema`.
    pub(super) fn new<F>(
        method: Method,
        path: &'static str,
        id: &'static str,
        schema: &'static str,
        run: impl Fn(Management, Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Answer, Fault>> + Send + 'static,
    {
        let writes = method != Method::GET;
        Self {
            method,
            path,
            id,
            tag: "",
            summary: "",
            about: "",
            right: None,
            path_parameters: Vec::new(),
            query: if writes { vec![DRY_RUN] } else { Vec::new() },
            takes: Takes::Nothing,
            condition: Condition::None,
            good: vec![(200, schema)],
            bad: Vec::new(),
            run: Box::new(move |management, call| Box::pin(run(management, call))),
        }
    }

    pub(super) fn get<F>(
        path: &'static str,
        id: &'static str,
        schema: &'static str,
        run: impl Fn(Management, Call) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Answer, Fault>> + Send + 'static,
    {
        Self::new(Method::GET, path, id, schema, run)
    }

    /// Says under which heading it stands, and in a line what it does.
    pub(super) fn says(mut self, tag: &'static str, summary: &'static str) -> Self {
        (self.tag, self.summary) = (tag, summary);
        self
    }

    /// Says more.
    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    pub(super) fn needs(mut self, right: Right) -> Self {
        self.right = Some(right);
        self
    }

    pub(super) fn of(mut self, parameters: &[Parameter]) -> Self {
        self.path_parameters.extend_from_slice(parameters);
        self.bad.push(404);
        self
    }

    pub(super) fn asks(mut self, parameters: &[Parameter]) -> Self {
        self.query.extend_from_slice(parameters);
        self
    }

    pub(super) fn paged(self) -> Self {
        self.asks(&[LIMIT_PARAMETER, CURSOR_PARAMETER]).fails(&[404])
    }

    pub(super) fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    pub(super) fn when(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    /// Makes things: 201 besides.
    pub(super) fn makes(mut self) -> Self {
        let schema = self.good.first().map_or("", |(_, schema)| schema);
        self.good.push((201, schema));
        self
    }

    /// Proposes things where it takes two people: 202.
    pub(super) fn proposes(mut self) -> Self {
        self.good.push((202, "Proposal"));
        self
    }

    pub(super) fn fails(mut self, statuses: &[u16]) -> Self {
        self.bad.extend_from_slice(statuses);
        self
    }

    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET
    }

    /// Whether it may be repeated under an `Idempotency-Key`: what PUT and DELETE are by themselves.
    pub(super) fn takes_key(&self) -> bool {
        self.method == Method::POST
    }

    /// Every status it may answer with, besides the good ones.
    pub(super) fn refusals(&self) -> Vec<u16> {
        let mut all = vec![400, 401, 403, 405, 503];
        all.extend(&self.bad);
        if self.takes != Takes::Nothing {
            all.extend([408, 413, 415, 422]);
        }
        match self.condition {
            Condition::None => {}
            Condition::Read => all.push(304),
            Condition::Change | Condition::Decide | Condition::Put => all.extend([412, 428]),
        }
        if self.takes_key() {
            all.extend([409, 422]);
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}
