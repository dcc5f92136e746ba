//! Reading: lists, one filing, its history.

use serde_json::Value;

use super::call::{FilingPage, Filter, HistoryPage, PAGE_MAX, Page, Version};
use super::error::RegisterError;
use super::rights::{NATION, Object, Right, may};
use super::view::{Action, Change, Draft, FilingView, NodeStatus, Nodes, Quarantined, Summary};
use super::{Register, not_found};
use crate::domain::{Actor, DivisionCode, Level, PlatformId, Role, Timestamp};
use crate::registry::FilingState;
use crate::store::{FilingRow, HistoryRow, ListRows, NodeRow, StoreError};

const UNREADABLE: RegisterError = RegisterError::Away(StoreError::Corrupt { what: "a filing" });

impl Register {
    /// Filings that the caller may read, by platform, from the one after `after` on; at most [`PAGE_MAX`].
    pub async fn list(
        &self,
        actor: &Actor,
        filter: &Filter,
        after: Option<&PlatformId>,
        limit: u16,
        now: Timestamp,
    ) -> Result<FilingPage, RegisterError> {
        let none = FilingPage { entries: Vec::new(), next: None };
        let limit = limit.clamp(1, PAGE_MAX);
        if actor.role == Role::Platform {
            let Some(own) = &actor.platform else { return Ok(none) };
            let row = self.durable.filing(own).await?;
            let shown = row.filter(|row| after.is_none_or(|after| after < own) && self.fits(row, filter));
            let shown = shown.filter(|row| self.judge(actor, Right::Read, row).is_ok());
            let entries = shown.map(|row| self.summary(&row, now)).transpose()?.into_iter().collect();
            return Ok(FilingPage { entries, next: None });
        }
        let of = |code| self.rules.divisions.orders_within(code);
        let asked = filter.division.map_or(Some((0, u64::MAX)), of);
        let (Some(own), Some(asked)) = (of(actor.division), asked) else { return Ok(none) };
        let rows = ListRows {
            divisions: (own.0.max(asked.0), own.1.min(asked.1)),
            state: filter.state.map_or("", FilingState::word),
            owner: filter.owner.as_ref().map_or("", |owner| owner.as_str()),
            after: after.map_or("", PlatformId::as_str),
            limit: limit + 1,
        };
        let mut rows = self.durable.filings(rows).await?;
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let entries: Vec<Summary> = rows.iter().map(|row| self.summary(row, now)).collect::<Result<_, _>>()?;
        let next = entries.last().filter(|_| more).map(|last| last.id.clone());
        Ok(Page { entries, next })
    }

    /// One filing.
    pub async fn get(&self, actor: &Actor, id: &PlatformId, now: Timestamp) -> Result<FilingView, RegisterError> {
        let row = self.row(actor, Right::Read, id).await?;
        let newest = row.draft.or(row.in_force);
        let document = self.kept(id, newest).await?;
        let in_force = match row.in_force {
            Some(version) if Some(version) != newest => Some(self.kept(id, Some(version)).await?),
            _ => None,
        };
        let nodes = self.durable.nodes().await?;
        let quarantined = nodes.iter().filter_map(|node| {
            let (_, reason) = quarantine(node).into_iter().find(|(platform, _)| platform == id)?;
            Some(Quarantined { node: node.name.clone(), reason })
        });
        Ok(FilingView { quarantined: quarantined.collect(), ..self.view(&row, document, in_force, now)? })
    }

    /// Changes of a filing, newest first, from the one before `before` on; at most [`PAGE_MAX`].
    pub async fn history(
        &self,
        actor: &Actor,
        id: &PlatformId,
        before: Option<Version>,
        limit: u16,
    ) -> Result<HistoryPage, RegisterError> {
        self.row(actor, Right::History, id).await?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut rows = self.durable.history(id, before.map_or(u64::MAX, |before| before.0), limit + 1).await?;
        let more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let entries: Vec<Change> =
            rows.into_iter().map(|row| change(row).ok_or(UNREADABLE)).collect::<Result<_, _>>()?;
        let next = entries.last().filter(|_| more).map(|last| last.version);
        Ok(Page { entries, next })
    }

    /// The document that a version brought.
    pub async fn document(&self, actor: &Actor, id: &PlatformId, version: Version) -> Result<Value, RegisterError> {
        self.row(actor, Right::History, id).await?;
        let text = self.durable.document(id, version.0).await?;
        let missing = || RegisterError::NotFound { what: format!("document of {id} with version {version}") };
        json(&text.ok_or_else(missing)?)
    }

    /// All nodes and what they serve. Right: `administer`, or `history` of the nation.
    pub async fn nodes(&self, actor: &Actor) -> Result<Nodes, RegisterError> {
        if !may(actor, Right::History, NATION, &self.rules.divisions) {
            return Err(RegisterError::forbidden(actor, Right::Administer, "the nation's nodes".to_owned()));
        }
        let revision = self.durable.standing().await?.revision;
        let status = |node: NodeRow| NodeStatus {
            quarantined: quarantine(&node),
            name: node.name,
            revision: node.revision,
            seen_at: node.seen_at,
            standing: node.standing,
        };
        Ok(Nodes { revision, nodes: self.durable.nodes().await?.into_iter().map(status).collect() })
    }

    async fn row(&self, actor: &Actor, right: Right, id: &PlatformId) -> Result<FilingRow, RegisterError> {
        let row = self.durable.filing(id).await?.ok_or_else(|| not_found(id))?;
        self.judge(actor, right, &row)?;
        Ok(row)
    }

    async fn kept(&self, id: &PlatformId, version: Option<u64>) -> Result<Value, RegisterError> {
        match version {
            Some(version) => json(&self.durable.document(id, version).await?.ok_or(UNREADABLE)?),
            None => Ok(Value::Null), // withdrawn before it was in force
        }
    }

    fn fits(&self, row: &FilingRow, filter: &Filter) -> bool {
        let division = row.division.parse::<DivisionCode>();
        let within =
            |of: &DivisionCode| division.as_ref().is_ok_and(|division| self.rules.divisions.is_within(*division, *of));
        filter.division.as_ref().is_none_or(within)
            && filter.state.is_none_or(|state| state.word() == row.state)
            && filter.owner.is_none_or(|owner| owner.as_str() == row.owner)
    }

    /// Whether `actor` has `right` on a filing. Whoever may not even read it hears that there is none: what is filed elsewhere in
    /// the country is not told by a refusal.
    pub(super) fn judge(&self, actor: &Actor, right: Right, row: &FilingRow) -> Result<(), RegisterError> {
        let object = Object { division: division(row)?, platform: Some(&row.platform) };
        if !may(actor, Right::Read, object, &self.rules.divisions) {
            return Err(not_found(&row.platform));
        }
        self.judge_at(actor, right, object)
    }

    pub(super) fn judge_at(&self, actor: &Actor, right: Right, object: Object<'_>) -> Result<(), RegisterError> {
        if may(actor, right, object, &self.rules.divisions) {
            return Ok(());
        }
        let what = match object.platform {
            Some(platform) => format!("platform {platform} of division {}", object.division),
            None => format!("division {}", object.division),
        };
        Err(RegisterError::forbidden(actor, right, what))
    }

    pub(super) fn summary(&self, row: &FilingRow, now: Timestamp) -> Result<Summary, RegisterError> {
        let division = division(row)?;
        let level = self.rules.divisions.find(division).map_or(Level::Nation, |division| division.level);
        let state = |word: &str| word.parse::<FilingState>().map_err(|_| UNREADABLE);
        let draft = match (row.draft, &row.draft_state) {
            (Some(version), Some(word)) => Some(Draft {
                version: Version(version),
                state: state(word)?,
                submitted_by: row.submitted_by.as_deref().and_then(|by| by.parse().ok()),
                reason: row.reason.clone(),
            }),
            _ => None,
        };
        let last = row.valid_until.as_deref().and_then(|last| last.parse::<jiff::civil::Date>().ok());
        Ok(Summary {
            id: row.platform.clone(),
            name: row.name.clone(),
            name_en: row.name_en.clone(),
            owner: row.owner.parse().map_err(|_| UNREADABLE)?,
            division,
            level,
            state: state(&row.state)?,
            expired: row.in_force.is_some() && last.is_some_and(|last| last < now.day()),
            version: Version(row.version),
            in_force: row.in_force.map(Version),
            draft,
            valid_until: row.valid_until.clone(),
            attested_at: row.attested_at,
            created_at: row.created_at,
            changed_at: row.changed_at,
        })
    }

    pub(super) fn view(
        &self,
        row: &FilingRow,
        document: Value,
        document_in_force: Option<Value>,
        now: Timestamp,
    ) -> Result<FilingView, RegisterError> {
        let summary = self.summary(row, now)?;
        let stopped_by = row.stopped_by.as_deref().and_then(|code| code.parse().ok());
        let notice = row.notice.clone();
        Ok(FilingView { summary, notice, stopped_by, document, document_in_force, quarantined: Vec::new() })
    }
}

/// The division that a filing has now.
pub(super) fn division(row: &FilingRow) -> Result<DivisionCode, RegisterError> {
    row.division.parse().map_err(|_| UNREADABLE)
}

pub(super) fn json(text: &str) -> Result<Value, RegisterError> {
    serde_json::from_str(text).map_err(|_| UNREADABLE)
}

fn quarantine(node: &NodeRow) -> Vec<(PlatformId, String)> {
    serde_json::from_str(&node.quarantined).unwrap_or_default()
}

fn change(row: HistoryRow) -> Option<Change> {
    Some(Change {
        version: Version(row.version),
        action: Action::ALL.into_iter().find(|action| action.word() == row.action)?,
        actor: row.actor.parse().ok()?,
        credential: row.lineage.map(|lineage| lineage.own().credential.to_string()),
        at: row.at,
        reason: row.reason,
        state: row.state.parse().ok()?,
        in_force: row.in_force.map(Version),
        has_document: row.has_document,
        before: row.before,
        after: row.after,
        request_id: row.request_id,
    })
}
