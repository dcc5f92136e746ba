//! Filings: read them, write their documents, take them along their way, look back.

use http::Method;
use serde::Serialize;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::{Fault, errors, warnings};
use super::merge::merged;
use super::operation::{Condition, Operation, Takes};
use super::parameters::{Kind, Parameter};
use crate::domain::{DivisionCode, PlatformId, Right, Uscc};
use crate::problem::Wrong;
use crate::registry::{Done, Expected, FilingState, FilingView, Filter, RegisterError, Version};

const TAG: &str = "Filings";
const ID: Parameter = Parameter::required("id", Kind::Platform, "Id of the platform.");
const VERSION: Parameter =
    Parameter::required("version", Kind::Number { least: 1, most: 1 << 53 }, "A version of the history.");
const FILTERS: [Parameter; 3] = [
    Parameter::optional("division", Kind::Division, "Of this division and all below it."),
    Parameter::optional("state", Kind::State, "In this state."),
    Parameter::optional("owner", Kind::Owner, "Of this owner."),
];
/// States and rights stand against a step.
const STEP: &[u16] = &[409, 422];

pub(super) fn operations() -> Vec<Operation> {
    let mut all = vec![
        Operation::get("/v1/filings", "listFilings", "FilingPage", list)
            .says(TAG, "Filings of your subtree, by id")
            .needs(Right::Read)
            .asks(&FILTERS)
            .paged(),
        Operation::get("/v1/filings/{id}", "getFiling", "FilingView", get)
            .says(TAG, "One filing, with its documents")
            .needs(Right::Read)
            .of(&[ID])
            .when(Condition::Read),
        Operation::new(Method::PUT, "/v1/filings/{id}", "putFiling", "Done", put)
            .says(TAG, "Write the document as draft")
            .about("New with `If-None-Match: *`; beside what is in force, or over an older draft, with `If-Match`.")
            .needs(Right::File)
            .of(&[ID])
            .takes(Takes::Json("Filing"))
            .when(Condition::Put)
            .makes()
            .fails(STEP),
        Operation::new(Method::PATCH, "/v1/filings/{id}", "patchFiling", "Done", patch)
            .says(TAG, "Change parts of the newest document")
            .about("A merge patch (RFC 7396): `{\"route\": […]}` replaces the routes.")
            .needs(Right::File)
            .of(&[ID])
            .takes(Takes::MergePatch("FilingPatch"))
            .when(Condition::Change)
            .fails(STEP),
        Operation::get("/v1/filings/{id}/history", "listHistory", "ChangePage", history)
            .says(TAG, "Changes, newest first")
            .needs(Right::History)
            .of(&[ID])
            .paged(),
        Operation::get("/v1/filings/{id}/history/{version}", "getVersion", "Filing", version)
            .says(TAG, "The document that a version brought")
            .needs(Right::History)
            .of(&[ID, VERSION]),
        Operation::new(Method::POST, "/v1/validate", "validate", "Validation", validate)
            .says(TAG, "What is wrong with a document; nothing is kept")
            .about("Any object is taken; what is no filing is told in the answer.")
            .takes(Takes::Json("Document"))
            .needs(Right::Read),
    ];
    all.extend(steps());
    all
}

fn steps() -> Vec<Operation> {
    let step = |path, id, right, summary, step: Step| {
        Operation::new(Method::POST, path, id, "Done", move |management, call| taken(management, call, step))
            .says(TAG, summary)
            .needs(right)
            .of(&[ID])
            .when(if step.decides() { Condition::Decide } else { Condition::Change })
            .fails(STEP)
    };
    vec![
        step("/v1/filings/{id}/submit", "submitFiling", Right::Submit, "Hand the draft in for review", Step::Submit),
        step(
            "/v1/filings/{id}/approve",
            "approveFiling",
            Right::Review,
            "Put what was submitted into force",
            Step::Approve,
        )
        .about(
            "Of the version that you have read. Whoever wrote or submitted it may not, nor anybody who could be the same person: of \
             one name, or of one chain of issue. What reaches beyond the platform's division is the nation's to approve.",
        ),
        step(
            "/v1/filings/{id}/reject",
            "rejectFiling",
            Right::Review,
            "Send it back to draft, with a reason",
            Step::Reject,
        )
        .takes(Takes::Json("Reason")),
        step(
            "/v1/filings/{id}/suspend",
            "suspendFiling",
            Right::Suspend,
            "Take the platform off for a while",
            Step::Suspend,
        )
        .takes(Takes::Json("Notice")),
        step("/v1/filings/{id}/resume", "resumeFiling", Right::Suspend, "Serve it again", Step::Resume)
            .about("By the division that suspended it, or one above it."),
        step("/v1/filings/{id}/retire", "retireFiling", Right::Retire, "End it: 410 from now on", Step::Retire),
        step(
            "/v1/filings/{id}/rollback",
            "rollbackFiling",
            Right::Rollback,
            "Back to an earlier version",
            Step::Rollback,
        )
        .takes(Takes::Json("ToVersion")),
        step(
            "/v1/filings/{id}/attest",
            "attestFiling",
            Right::Attest,
            "The owner's yearly word that it is in use",
            Step::Attest,
        ),
    ]
}

#[derive(Clone, Copy)]
enum Step {
    Submit,
    Approve,
    Reject,
    Suspend,
    Resume,
    Retire,
    Rollback,
    Attest,
}

impl Step {
    /// Whether it puts into force, or judges, what somebody has to have read.
    fn decides(self) -> bool {
        matches!(self, Self::Approve | Self::Reject | Self::Resume | Self::Rollback)
    }
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let filter = Filter {
        division: call.values.get::<DivisionCode>("division"),
        state: call.values.get::<FilingState>("state"),
        owner: call.values.get::<Uscc>("owner"),
    };
    let after: Option<PlatformId> = call.values.cursor()?;
    let page =
        management.register.list(&call.caller.actor, &filter, after.as_ref(), call.values.limit(), call.now).await?;
    Ok(Answer::page(&page.entries, page.next.as_ref().map(PlatformId::as_str)))
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    let filing = management.register.get(&call.caller.actor, &call.platform()?, call.now).await?;
    let version = filing.summary.version;
    Ok(if call.conditions.has(version) { Answer::known(version) } else { Answer::of(&filing).at(version) })
}

async fn put(management: Management, call: Call) -> Result<Answer, Fault> {
    let (id, expected) = (call.platform()?, call.conditions.of_put()?);
    let done = management.register.put(&call.write(expected), &id, &call.body).await?;
    let (created, answer) = (done.created, written(&done));
    Ok(if created { answer.made(format!("/v1/filings/{id}"), call.dry_run()) } else { answer })
}

async fn patch(management: Management, call: Call) -> Result<Answer, Fault> {
    let (id, expected) = (call.platform()?, call.conditions.of_change()?);
    let patch = call.document()?.to_json();
    let FilingView { document, summary, .. } = management.register.get(&call.caller.actor, &id, call.now).await?;
    // The patch was made for the version that the caller has read, and is laid over no other.
    if let Expected::Version(version) = expected
        && version != summary.version
    {
        return Err(Fault::ConditionFailed(Some(summary.version)));
    }
    let whole = serde_json::to_vec(&merged(document, patch)).unwrap_or_default();
    let write = call.write(Expected::Version(summary.version));
    Ok(written(&management.register.put(&write, &id, &whole).await?))
}

async fn history(management: Management, call: Call) -> Result<Answer, Fault> {
    let before = call.values.cursor()?.map(Version);
    let (actor, id) = (&call.caller.actor, call.platform()?);
    let page = management.register.history(actor, &id, before, call.values.limit()).await?;
    Ok(Answer::page(&page.entries, page.next.map(|version| version.to_string()).as_deref()))
}

async fn version(management: Management, call: Call) -> Result<Answer, Fault> {
    let version = Version(call.values.get("version").unwrap_or_default());
    Ok(Answer::of(&management.register.document(&call.caller.actor, &call.platform()?, version).await?))
}

#[derive(Serialize)]
struct Validation {
    valid: bool,
    errors: Vec<Wrong>,
    warnings: Vec<Wrong>,
}

async fn validate(management: Management, call: Call) -> Result<Answer, Fault> {
    call.document()?;
    let mistakes = match management.register.validate(&call.write(Expected::Any), &call.body).await {
        Err(RegisterError::Invalid(mistakes)) => mistakes,
        mistakes => mistakes?,
    };
    let (errors, warnings) = (errors(&mistakes), warnings(&mistakes));
    Ok(Answer::of(&Validation { valid: errors.is_empty(), errors, warnings }))
}

async fn taken(management: Management, call: Call, step: Step) -> Result<Answer, Fault> {
    let (id, register) = (call.platform()?, &management.register);
    let line = |key| call.read(|fields| fields.required::<Line>(key, "one line for people").map(|line| line.0));
    let words = match step {
        Step::Reject => line("reason")?,
        Step::Suspend => line("notice")?,
        _ => String::new(),
    };
    let back_to = match step {
        Step::Rollback => call.read(|fields| {
            if !fields.has("version") {
                fields.mistake(&fields.spot("version"), "the version to go back to", None);
            }
            Some(fields.number("version", 0, 1..=1 << 53))
        })?,
        _ => 0,
    };
    let expected = if step.decides() { call.conditions.of_decision() } else { call.conditions.of_change() };
    let write = call.write(expected?);
    let done = match step {
        Step::Submit => register.submit(&write, &id).await,
        Step::Approve => register.approve(&write, &id).await,
        Step::Reject => register.reject(&write, &id, &words).await,
        Step::Suspend => register.suspend(&write, &id, &words).await,
        Step::Resume => register.resume(&write, &id).await,
        Step::Retire => register.retire(&write, &id).await,
        Step::Rollback => register.rollback(&write, &id, Version(back_to)).await,
        Step::Attest => register.attest(&write, &id).await,
    };
    Ok(written(&done?))
}

#[derive(Serialize)]
struct Written<'a> {
    filing: &'a FilingView,
    created: bool,
    changed: bool,
    warnings: Vec<Wrong>,
}

fn written(done: &Done) -> Answer {
    let Done { filing, created, changed, warnings: told } = done;
    let body = Written { filing, created: *created, changed: *changed, warnings: warnings(told) };
    Answer::of(&body).at(filing.summary.version)
}

/// One line for people: 1 to 500 characters, no control characters.
pub(super) struct Line(pub(super) String);

impl std::str::FromStr for Line {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let fits = (1..=500).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err("write 1 to 500 characters in one line") }
    }
}
