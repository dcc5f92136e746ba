//! What takes two people besides filings: listed, approved by a second one, rejected or taken back. Each kind is carried out by
//! the module that it belongs to, in the transaction of the approval.

use http::Method;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::{Kind, Parameter};
use super::{people, realms};
use crate::domain::{DivisionCode, PrincipalId, SubjectRole, Timestamp, Uscc};
use crate::identity::{Grant, Granted};
use crate::registry::{
    Decision, Expected, ProposalKind, ProposalRow, ProposalState, proposal_state, right_of, unreadable_proposal,
};

const TAG: &str = "Proposals";
const ID: Parameter = Parameter::required("id", Kind::Uuid, "Id of the proposal.");
const OPEN: Parameter = Parameter::optional("open", Kind::Flag, "`true`: only those that wait.");

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/proposals", "listProposals", "ProposalPage", list)
            .says(TAG, "What waits for a second person in your subtree, and what was decided, in order of coming")
            .about("Of the kinds that you have the right for: roles of people, places, provider realms.")
            .asks(&[OPEN])
            .paged(),
        Operation::get("/v1/proposals/{id}", "getProposal", "Proposal", get)
            .says(TAG, "One proposal")
            .of(&[ID]),
        Operation::new(Method::POST, "/v1/proposals/{id}/approve", "approveProposal", "Decided", approve)
            .says(TAG, "Approve it: it is in effect at once")
            .about(
                "By somebody who has the right that it takes to propose it, and could not be who proposed it: of another name, and \
                 of another chain of issue. Places and provider realms are the nation's to approve.",
            )
            .of(&[ID])
            .fails(&[409, 412, 422]),
        Operation::new(Method::POST, "/v1/proposals/{id}/reject", "rejectProposal", "Proposal", reject)
            .says(TAG, "Reject it with a reason, or take your own back")
            .of(&[ID])
            .takes(Takes::Json("Reason"))
            .fails(&[409]),
    ]
}

/// A proposal as it is shown.
#[derive(Serialize)]
pub(super) struct ProposalView {
    /// None of one that was only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    kind: &'static str,
    division: DivisionCode,
    object: Map<String, Value>,
    proposed_by: PrincipalId,
    credential: String,
    proposed_at: Timestamp,
    expires_at: Timestamp,
    state: &'static str,
    decided_by: Option<PrincipalId>,
    decided_at: Option<Timestamp>,
    reason: Option<String>,
}

/// What an approval did.
#[derive(Serialize)]
struct Decided {
    proposal: ProposalView,
    made: Value,
}

async fn view(management: &Management, row: &ProposalRow, now: Timestamp) -> Result<ProposalView, Fault> {
    let mut object: Map<String, Value> = serde_json::from_str(&row.object).map_err(|_| unreadable())?;
    if row.kind == ProposalKind::Role {
        // Kept by the id of the account; whoever decides must know who it is.
        let account = object.get("account").and_then(Value::as_str).unwrap_or_default();
        let login = management.accounts.get(account).await?.map(|account| account.login);
        object.insert("login".to_owned(), json!(login));
    }
    Ok(ProposalView {
        id: Some(row.id),
        kind: row.kind.word(),
        division: row.division,
        object,
        proposed_by: row.proposed_by.clone(),
        credential: row.lineage.own().credential.to_string(),
        proposed_at: row.proposed_at,
        expires_at: row.expires_at,
        state: proposal_state(row, now),
        decided_by: row.decided.as_ref().map(|(by, _)| by.clone()),
        decided_at: row.decided.as_ref().map(|(_, at)| *at),
        reason: row.reason.clone(),
    })
}

/// The answer to a call that proposed something: 202, since nothing of it is in effect.
pub(super) async fn proposed(management: &Management, call: &Call, row: &ProposalRow) -> Result<Answer, Fault> {
    let view = view(management, row, call.now).await?;
    if call.dry_run() {
        return Ok(Answer::of(&ProposalView { id: None, ..view }));
    }
    tracing::info!(request_id = call.request_id, proposal = %row.id, kind = row.kind.word(), "proposed");
    Ok(Answer::of(&view).proposed(format!("/v1/proposals/{}", row.id)))
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let kinds = ProposalKind::ALL.into_iter().filter(|kind| call.caller.has(right_of(*kind)));
    let kinds: Vec<ProposalKind> = kinds.collect();
    let state = (call.values.text("open") == Some("true")).then_some(ProposalState::Open);
    let (after, limit) = (call.values.cursor()?, call.values.limit());
    let page = management.register.proposals(&call.caller.actor, &kinds, state, after, limit).await?;
    let mut entries = Vec::with_capacity(page.entries.len());
    for row in &page.entries {
        entries.push(view(&management, row, call.now).await?);
    }
    Ok(Answer::page(&entries, page.next.map(|id| id.to_string()).as_deref()))
}

/// The id of the path. Whether there is such a proposal, as far as the caller may see, the register says.
fn id(call: &Call) -> Result<Uuid, Fault> {
    call.values.get("id").ok_or_else(|| Fault::NotFound("such proposal".to_owned()))
}

/// A caller whose token is for fewer rights sees no more than they.
async fn found(management: &Management, call: &Call) -> Result<ProposalRow, Fault> {
    let row = management.register.proposal(&call.caller.actor, id(call)?).await?;
    if call.caller.has(right_of(row.kind)) { Ok(row) } else { Err(Fault::NotFound("such proposal".to_owned())) }
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    let row = found(&management, &call).await?;
    Ok(Answer::of(&view(&management, &row, call.now).await?))
}

async fn reject(management: Management, call: Call) -> Result<Answer, Fault> {
    let reason = call.read(|fields| fields.required::<super::filings::Line>("reason", "one line for people"))?;
    let row = found(&management, &call).await?;
    let row = management.register.reject_proposal(&call.write(Expected::Any), row.id, &reason.0).await?;
    Ok(Answer::of(&view(&management, &row, call.now).await?))
}

async fn approve(management: Management, call: Call) -> Result<Answer, Fault> {
    let row = found(&management, &call).await?;
    let write = call.write(Expected::Any);
    let mut decision = management.register.approval(&write, row.id).await?;
    let made = carried_out(&management, &call, &mut decision).await?;
    let row = decision.commit(&write).await?;
    if row.kind == ProposalKind::Realm && !call.dry_run() {
        management.realms.look().await;
    }
    tracing::info!(request_id = call.request_id, proposal = %row.id, dry_run = call.dry_run(), "a proposal was approved");
    Ok(Answer::of(&Decided { proposal: view(&management, &row, call.now).await?, made }))
}

async fn carried_out(management: &Management, call: &Call, decision: &mut Decision) -> Result<Value, Fault> {
    match decision.row.kind {
        ProposalKind::Reservation => {
            let made = management.register.reserve_approved(decision, &call.write(Expected::Any)).await?;
            Ok(json!(made))
        }
        ProposalKind::Role => {
            let Decision { row, writing } = decision;
            let granted = Granted::ByTwo { proposed_by: row.proposed_by.as_str() };
            let (grant, by) = (grant(row).ok_or_else(unreadable)?, people::by(call));
            let role = management.people.grant_role_in(writing, grant, granted, by, call.now).await?;
            Ok(json!(people::RoleView::of(&role, call.now)))
        }
        ProposalKind::Realm => realms::write_approved(management, call, decision).await,
    }
}

/// The role that a proposal is about, as [`role_object`] wrote it.
fn grant(row: &ProposalRow) -> Option<Grant> {
    let object: Value = serde_json::from_str(&row.object).ok()?;
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    Some(Grant {
        subject: text("account")?.to_owned(),
        usc: text("usc")?.parse::<Uscc>().ok()?,
        name: text("name")?.to_owned(),
        role: text("role")?.parse::<SubjectRole>().ok()?,
        valid_from: text("valid_from")?.parse::<Date>().ok()?,
        valid_until: text("valid_until")?.parse::<Date>().ok()?,
        division: Some(row.division),
        evidence: text("evidence").map(str::to_owned),
    })
}

/// A role to be granted, as a proposal keeps it: the person by the id of their account.
pub(super) fn role_object(grant: &Grant) -> Value {
    json!({
        "account": grant.subject, "usc": grant.usc, "name": grant.name, "role": grant.role,
        "valid_from": grant.valid_from.to_string(), "valid_until": grant.valid_until.to_string(),
        "evidence": grant.evidence,
    })
}

pub(super) fn unreadable() -> Fault {
    Fault::Register(unreadable_proposal())
}
