//! People: roles for legal persons, and their sessions. A person is named by login in a body, never in an address, and by the
//! id of their account in answers; the record knows them as a keyed hash.

use http::Method;
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::{Kind, Parameter};
use super::proposals;
use crate::domain::{Actor, DivisionCode, GrantedRole, Right, SubjectRole, Timestamp, Uscc};
use crate::identity::{Account, By, Grant, Login, People};
use crate::registry::{Expected, NATION, Object, ProposalKind, may};
use crate::session::{EndReason, SessionError, SessionSummary};

const TAG: &str = "People";
const ID: Parameter = Parameter::required("id", Kind::Uuid, "Id of the role.");
/// Rows asked for at a time.
const PAGE: u16 = 500;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/roles", "listRoles", "SubjectRolePage", list)
            .says(TAG, "Roles of people for legal persons of your subtree, in order of granting")
            .needs(Right::GrantRoles)
            .paged(),
        Operation::new(Method::POST, "/v1/roles", "proposeRole", "Proposal", grant)
            .says(TAG, "Propose that a person acts for a legal person; somebody else approves it")
            .about(
                "The legal person's division is that of its registry, by its code; it must be in your subtree. `evidence` is what you \
                 have seen of it, for whoever approves.",
            )
            .needs(Right::GrantRoles)
            .takes(Takes::Json("NewSubjectRole"))
            .proposes()
            .fails(&[404, 409]),
        Operation::get("/v1/roles/{id}", "getRole", "SubjectRole", get)
            .says(TAG, "One role")
            .needs(Right::GrantRoles)
            .of(&[ID]),
        Operation::new(Method::POST, "/v1/roles/{id}/withdraw", "withdrawRole", "SubjectRole", withdraw)
            .says(TAG, "End a role; sessions that act in it end at once")
            .about("The same again ends sessions that an earlier call could not reach.")
            .needs(Right::GrantRoles)
            .of(&[ID]),
        Operation::new(Method::POST, "/v1/sessions/list", "listSessions", "Sessions", sessions)
            .says(TAG, "Sessions of a person")
            .about("In the record, like a change: who looked at whose. For operators of the nation.")
            .needs(Right::EndSessions)
            .takes(Takes::Json("SessionsOf"))
            .fails(&[404]),
        Operation::new(Method::POST, "/v1/sessions/end", "endSessions", "SessionsEnded", end)
            .says(TAG, "End sessions of a person on every node: one, or all")
            .about("The browser is told at its next request that an operator did. For operators of the nation.")
            .needs(Right::EndSessions)
            .takes(Takes::Json("SessionsToEnd"))
            .fails(&[404]),
    ]
}

#[derive(Serialize)]
pub(super) struct RoleView<'a> {
    id: Uuid,
    account: &'a str,
    usc: Uscc,
    name: &'a str,
    role: SubjectRole,
    valid_from: Date,
    valid_until: Date,
    state: &'static str,
    evidence: Option<&'a str>,
    granted_by: &'a str,
    approved_by: Option<&'a str>,
    granted_at: Timestamp,
    withdrawn_by: Option<&'a str>,
    withdrawn_at: Option<Timestamp>,
}

impl<'a> RoleView<'a> {
    pub(super) fn of(role: &'a GrantedRole, now: Timestamp) -> Self {
        Self {
            id: role.id,
            account: &role.subject,
            usc: role.usc,
            name: &role.name,
            role: role.role,
            valid_from: role.valid_from,
            valid_until: role.valid_until,
            state: role.state(now),
            evidence: role.evidence.as_deref(),
            granted_by: &role.granted_by,
            approved_by: role.approved_by.as_deref(),
            granted_at: role.granted_at,
            withdrawn_by: role.withdrawn.as_ref().map(|(by, _)| by.as_str()),
            withdrawn_at: role.withdrawn.as_ref().map(|(_, at)| *at),
        }
    }
}

#[derive(Serialize)]
struct SessionView<'a> {
    id: String,
    realm: &'a str,
    device: &'a str,
    network: &'a str,
    acting_for: Option<Uscc>,
    begun_at: Timestamp,
    last_seen: Timestamp,
}

pub(super) fn by(call: &Call) -> By<'_> {
    let Actor { principal, role, lineage, .. } = &call.caller.actor;
    let credential = Some(lineage.own().credential);
    By { actor: principal.as_str(), credential, role: role.word(), request_id: &call.request_id }
}

/// The division of a legal person, for rights: that of its registry, or what still exists above it.
fn division(management: &Management, usc: Uscc) -> DivisionCode {
    let divisions = management.register.divisions();
    let Some(code) = usc.division() else { return DivisionCode::NATION };
    if divisions.find(code).is_some() {
        return code;
    }
    divisions.nearest_known(code).map_or(DivisionCode::NATION, |division| division.code)
}

fn may_grant(management: &Management, call: &Call, usc: Uscc) -> bool {
    let object = Object { division: division(management, usc), platform: None };
    may(&call.caller.actor, Right::GrantRoles, object, management.register.divisions())
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let limit = usize::from(call.values.limit());
    let mut after: Option<Uuid> = call.values.cursor()?;
    let mut seen: Vec<GrantedRole> = Vec::new();
    let Some(subtree) = management.register.subtree(call.caller.actor.division) else {
        return Ok(Answer::page(&seen.iter().map(|role| RoleView::of(role, call.now)).collect::<Vec<_>>(), None));
    };
    // A registry that no longer exists lies in the subtree by its digits, and is the nation's: such a role is passed over.
    while seen.len() <= limit {
        let found = management.people.roles(subtree, after, PAGE).await?;
        let Some(last) = found.last() else { break };
        after = Some(last.id);
        seen.extend(found.into_iter().filter(|role| may_grant(&management, &call, role.usc)));
    }
    let next =
        seen.get(limit).and(limit.checked_sub(1)).and_then(|last| seen.get(last)).map(|last| last.id.to_string());
    let views: Vec<_> = seen.iter().take(limit).map(|role| RoleView::of(role, call.now)).collect();
    Ok(Answer::page(&views, next.as_deref()))
}

/// The role of the path, if the caller may know of it.
async fn found(management: &Management, call: &Call) -> Result<GrantedRole, Fault> {
    let unknown = || Fault::NotFound("such role".to_owned());
    let id: Uuid = call.values.get("id").ok_or_else(unknown)?;
    let role = management.people.role(id).await?;
    role.filter(|role| may_grant(management, call, role.usc)).ok_or_else(unknown)
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    Ok(Answer::of(&RoleView::of(&found(&management, &call).await?, call.now)))
}

async fn grant(management: Management, call: Call) -> Result<Answer, Fault> {
    let asked = call.read(|fields| {
        let login = fields.required::<String>("login", "the login of the person");
        let usc = fields.required::<Uscc>("usc", "the code of the legal person");
        let name = fields.required::<String>("name", "the name of the legal person");
        let role = fields.required::<SubjectRole>("role", "legal_representative or agent");
        let from = fields.parsed::<Date>("valid_from", "the first day, such as \"2026-11-24\"");
        let until = fields.required::<Date>("valid_until", "the last day, such as \"2027-11-23\"");
        let evidence = fields.parsed::<String>("evidence", "what you have seen of it");
        Some((login?, usc?, name?, role?, from, until?, evidence))
    })?;
    let (login, usc, name, role, from, valid_until, evidence) = asked;
    if !may_grant(&management, &call, usc) {
        let hint = "ask an operator of the division where it is registered";
        return Err(call.lacks(Right::GrantRoles, format!("legal person {usc}"), hint));
    }
    let account = person(&management, &login).await?;
    let valid_from = from.unwrap_or_else(|| call.now.day());
    let division = division(&management, usc);
    let grant =
        Grant { subject: account.id, usc, name, role, valid_from, valid_until, division: Some(division), evidence };
    let object = proposals::role_object(&grant);
    People::try_grant(grant, by(&call), call.now)?;
    let (register, write) = (&management.register, call.write(Expected::Any));
    let row = register.propose(&write, ProposalKind::Role, division, &object).await?;
    proposals::proposed(&management, &call, &row).await
}

async fn withdraw(management: Management, call: Call) -> Result<Answer, Fault> {
    let role = found(&management, &call).await?;
    if call.dry_run() {
        return Ok(Answer::of(&RoleView::of(&role, call.now)));
    }
    let withdrawn = management.people.withdraw_role(role.id, by(&call), call.now).await?;
    let acts = |summary: &SessionSummary| summary.session.acts_in(role.id);
    management.sessions.end_those(&role.subject, acts, EndReason::RoleEnded, call.now).await?;
    tracing::info!(request_id = call.request_id, role = %role.id, "a role for a legal person was withdrawn");
    Ok(Answer::of(&RoleView::of(&withdrawn, call.now)))
}

async fn sessions(management: Management, call: Call) -> Result<Answer, Fault> {
    let login = call.read(|fields| fields.required::<String>("login", "the login of the person"))?;
    let account = of_nation(&management, &call, &login).await?;
    if !call.dry_run() {
        management.people.record(by(&call), "list-sessions", &account.id, "", call.now).await?;
    }
    let found = management.sessions.of_subject(&account.id, call.now).await?;
    let view = |summary: &SessionSummary| {
        let session = &summary.session;
        serde_json::json!(SessionView {
            id: management.sessions.handle(&summary.key),
            realm: &session.realm,
            device: &session.device,
            network: &session.network,
            acting_for: session.represented.as_ref().map(|represented| represented.usc),
            begun_at: session.created_at,
            last_seen: summary.last_seen,
        })
    };
    Ok(Answer::of(&serde_json::json!({ "entries": found.iter().map(view).collect::<Vec<_>>() })))
}

async fn end(management: Management, call: Call) -> Result<Answer, Fault> {
    let (login, session) = call.read(|fields| {
        let session = fields.parsed::<String>("session", "the id of a session from the list");
        Some((fields.required::<String>("login", "the login of the person")?, session))
    })?;
    let account = of_nation(&management, &call, &login).await?;
    let sessions = &management.sessions;
    let wanted = |summary: &SessionSummary| session.as_ref().is_none_or(|id| sessions.handle(&summary.key) == *id);
    let found = sessions.of_subject(&account.id, call.now).await?.iter().filter(|summary| wanted(summary)).count();
    if session.is_some() && found == 0 {
        return Err(Fault::NotFound("such session of this person".to_owned()));
    }
    if call.dry_run() {
        return Ok(Answer::of(&serde_json::json!({ "ended": found })));
    }
    let about = session.as_deref().unwrap_or("all");
    management.people.record(by(&call), "end-sessions", &account.id, about, call.now).await?;
    let ended = match &session {
        None => sessions.end_all(&account.id, None, EndReason::Operator, call.now).await?,
        Some(_) => sessions.end_those(&account.id, wanted, EndReason::Operator, call.now).await?,
    };
    tracing::info!(request_id = call.request_id, ended, "sessions of a person were ended");
    Ok(Answer::of(&serde_json::json!({ "ended": ended })))
}

/// The person, for operators of the nation.
async fn of_nation(management: &Management, call: &Call, login: &str) -> Result<Account, Fault> {
    if !may(&call.caller.actor, Right::EndSessions, NATION, management.register.divisions()) {
        let hint = "ask an operator of the nation: people belong to no division";
        return Err(call.lacks(Right::EndSessions, "people", hint));
    }
    person(management, login).await
}

async fn person(management: &Management, login: &str) -> Result<Account, Fault> {
    let unknown = || Fault::NotFound("account with this login".to_owned());
    let login: Login = login.parse().map_err(|_| unknown())?;
    management.accounts.find(&login).await?.ok_or_else(unknown)
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        Self::Sessions(error)
    }
}
