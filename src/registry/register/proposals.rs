//! What takes two people besides filings: whatever gives somebody power over other people's data, companies or names.
//! Shape: one proposes ── `ProposalRow`, 30 days ──▶ another, who could not be the same person, begins a `Decision`; what was
//! proposed is carried out in the decision's own transaction, so that both happen or neither.
//! Fails: `RegisterError`, and nothing was changed.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::Register;
use super::call::{PAGE_MAX, Page, Write};
use super::change::{checked_by_another, of_record, still_holds};
use super::error::RegisterError;
use super::rights::{Object, Right, may};
use crate::domain::{Actor, DivisionCode, Timestamp};
use crate::store::{ProposalKind, ProposalRow, ProposalState, StoreError, Subtree, Writing};

/// How long a proposal waits: as long as somebody who decides may be away, and no longer, since what was true may change.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Proposals of one principal that wait at a time; a list that people work through is shorter.
const OPEN_MAX: usize = 200;

/// Proposals in order of coming.
pub type ProposalPage = Page<ProposalRow, Uuid>;

/// A decision that has begun: nobody else changes anything until it is committed or dropped.
#[derive(Debug)]
pub struct Decision {
    /// The proposal, open until now.
    pub row: ProposalRow,
    /// In which what was proposed is carried out.
    pub writing: Writing,
}

/// What it takes to see a kind of proposal in its division, to propose it and to approve it.
pub fn right_of(kind: ProposalKind) -> Right {
    match kind {
        ProposalKind::Role => Right::GrantRoles,
        ProposalKind::Reservation => Right::Reserve,
        ProposalKind::Realm => Right::Administer,
    }
}

/// Whose operators must approve it: hosts and paths of the portal are names in the whole country, and by a provider anybody
/// signs in.
fn reach(row: &ProposalRow) -> DivisionCode {
    match row.kind {
        ProposalKind::Role => row.division,
        ProposalKind::Reservation | ProposalKind::Realm => DivisionCode::NATION,
    }
}

/// How it stands, with time counted in.
pub fn proposal_state(row: &ProposalRow, now: Timestamp) -> &'static str {
    let waits = row.state == ProposalState::Open;
    if waits && row.expires_at <= now { "expired" } else { row.state.word() }
}

impl Register {
    /// Puts a proposal. `object`: what its kind is made of; that the actor may propose it was judged by the caller.
    pub async fn propose(
        &self,
        write: &Write<'_>,
        kind: ProposalKind,
        division: DivisionCode,
        object: &Value,
    ) -> Result<ProposalRow, RegisterError> {
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let Actor { principal, lineage, .. } = write.actor;
        let waiting = writing.open_proposals(principal, write.now).await?;
        if usize::try_from(waiting).unwrap_or(usize::MAX) >= OPEN_MAX {
            return Err(RegisterError::TooMany { what: "proposals of yours that wait", max: OPEN_MAX });
        }
        let row = ProposalRow {
            id: Uuid::now_v7(),
            kind,
            division,
            object: object.to_string(),
            proposed_by: principal.clone(),
            lineage: lineage.clone(),
            proposed_at: write.now,
            expires_at: write.now.plus(LIFE),
            state: ProposalState::Open,
            decided: None,
            reason: None,
        };
        if !write.dry_run {
            writing.propose(&row).await?;
            writing.record(&of_record(write, "propose", &about(&row), None, None)).await?;
            writing.commit().await?;
        }
        Ok(row)
    }

    /// Proposals of these kinds that the caller may see, from the one after `after` on; at most [`PAGE_MAX`].
    pub async fn proposals(
        &self,
        actor: &Actor,
        kinds: &[ProposalKind],
        state: Option<ProposalState>,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<ProposalPage, RegisterError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let Some(subtree) = self.subtree(actor.division) else { return Ok(Page { entries: Vec::new(), next: None }) };
        let mut entries = self.durable.proposals(kinds, subtree, state, after, limit + 1).await?;
        let more = entries.len() > usize::from(limit);
        entries.truncate(usize::from(limit));
        let next = entries.last().filter(|_| more).map(|last| last.id);
        Ok(Page { entries, next })
    }

    /// One proposal that the caller may see.
    pub async fn proposal(&self, actor: &Actor, id: Uuid) -> Result<ProposalRow, RegisterError> {
        let row = self.durable.proposal(id).await?;
        row.filter(|row| self.sees(actor, row)).ok_or_else(unknown)
    }

    /// Begins an approval: the proposal is open, the caller may approve it and could not be who proposed it. Nothing is changed
    /// until [`Decision::commit`].
    pub async fn approval(&self, write: &Write<'_>, id: Uuid) -> Result<Decision, RegisterError> {
        let mut decision = self.decision(write, id).await?;
        let row = &decision.row;
        let (right, division) = (right_of(row.kind), reach(row));
        self.judge_at(write.actor, right, Object { division, platform: None })?;
        checked_by_another(write, &[(row.proposed_by.to_string(), Some(row.lineage.clone()))])?;
        decision.note(write, ProposalState::Approved, None).await?;
        Ok(decision)
    }

    /// Rejects a proposal, or takes one's own back. `reason`: one line for whoever proposed it.
    pub async fn reject_proposal(
        &self,
        write: &Write<'_>,
        id: Uuid,
        reason: &str,
    ) -> Result<ProposalRow, RegisterError> {
        let mut decision = self.decision(write, id).await?;
        decision.note(write, ProposalState::Rejected, Some(reason)).await?;
        decision.commit(write).await
    }

    async fn decision(&self, write: &Write<'_>, id: Uuid) -> Result<Decision, RegisterError> {
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let row = writing.proposal(id).await?;
        let row = row.filter(|row| self.sees(write.actor, row)).ok_or_else(unknown)?;
        match proposal_state(&row, write.now) {
            "open" => Ok(Decision { row, writing }),
            state => Err(RegisterError::Decided { state }),
        }
    }

    fn sees(&self, actor: &Actor, row: &ProposalRow) -> bool {
        let object = Object { division: row.division, platform: None };
        may(actor, right_of(row.kind), object, &self.rules.divisions)
    }

    /// A division and all below it, for lists.
    pub fn subtree(&self, of: DivisionCode) -> Option<Subtree> {
        self.rules.divisions.orders_within(of).map(|(first, last)| Subtree(first, last))
    }
}

impl Decision {
    async fn note(
        &mut self,
        write: &Write<'_>,
        state: ProposalState,
        reason: Option<&str>,
    ) -> Result<(), RegisterError> {
        let Actor { principal, lineage, .. } = write.actor;
        self.writing.decide(self.row.id, state, lineage, reason, write.now).await?;
        let action = if state == ProposalState::Approved { "approve-proposal" } else { "reject-proposal" };
        self.writing.record(&of_record(write, action, &about(&self.row), None, None)).await?;
        self.row.state = state;
        self.row.decided = Some((principal.clone(), write.now));
        self.row.reason = reason.map(str::to_owned);
        Ok(())
    }

    /// Makes it so, with all that was carried out in its transaction; of a dry run, nothing.
    pub async fn commit(self, write: &Write<'_>) -> Result<ProposalRow, RegisterError> {
        if !write.dry_run {
            self.writing.commit().await?;
        }
        Ok(self.row)
    }
}

/// A proposal in the record.
fn about(row: &ProposalRow) -> String {
    format!("{} {}", row.kind.word(), row.id)
}

/// A proposal whose object does not read.
pub fn unreadable_proposal() -> RegisterError {
    RegisterError::Away(StoreError::Corrupt { what: "a proposal" })
}

fn unknown() -> RegisterError {
    RegisterError::NotFound { what: "such proposal".to_owned() }
}
