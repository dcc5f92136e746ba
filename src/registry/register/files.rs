//! Filings of a node's files: the register's first content, and whatever is synchronised later. Whoever may write a node's files
//! answers for what is in them, so they come in with the state that they name. A filing that was changed through the register
//! since is the register's, and its file is left alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::call::{Expected, Write};
use super::change::{hash, of_record};
use super::follow::is_shrunken;
use super::place::placed;
use super::view::Action;
use super::{Register, RegisterError};
use crate::domain::{Actor, Credential, DivisionCode, Lineage, Link, PlatformId, Role, Timestamp};
use crate::registry::load::{Filed, Files, files};
use crate::registry::own::OWN_ID;
use crate::registry::{FilingState, RegistryError};
use crate::routing::{Matches, Platform, RouteTable};
use crate::store::{FilingRow, HistoryRow, ReservationRow, StoreError, Writing};
use crate::written::Mistake;

/// Who files what stands in files.
const FILES: &str = "files";
/// Tens of thousands of filings are written in one transaction.
const IMPORT_MAX: Duration = Duration::from_secs(300);

/// What a look at the files did.
#[derive(Debug, Default)]
pub struct Synced {
    /// Filings that came or changed.
    pub changed: usize,
    /// Filings whose file is gone: retired.
    pub withdrawn: usize,
    /// Files left out, each named in `mistakes`.
    pub rejected: usize,
    /// What is wrong with files.
    pub mistakes: Vec<Mistake>,
    /// Filings that were changed through the register since, and whose files say something else.
    pub left_alone: Vec<PlatformId>,
}

/// Why files were not taken over.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Data or folder.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Too many files are gone.
    #[error(
        "{found} of {known} filings that came from files still have one; if so many are to be withdrawn, retire them one by one"
    )]
    Shrunken {
        /// Files there are.
        found: usize,
        /// Filings that came from files.
        known: usize,
    },
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> Self {
        Self::Register(error.into())
    }
}

impl Register {
    /// Takes over `platforms/*.toml` of a routes directory: new ones, changed ones, and those whose file is gone (retired, and
    /// none as long as a file has mistakes). Blocks on files.
    pub async fn sync_files(&self, directory: &Path, now: Timestamp) -> Result<Synced, SyncError> {
        let files = files(&self.rules, directory, now)?;
        let mut writing = self.durable.writing_within(IMPORT_MAX).await?;
        self.catch_up(now).await?;
        let actor = files_actor()?;
        let write = Write { actor: &actor, request_id: FILES, now, expected: Expected::Any, dry_run: false };
        let synced = self.synced(&write, &mut writing, files).await?;
        if synced.changed + synced.withdrawn > 0 {
            writing.record(&of_record(&write, Action::Import.word(), "files", None, None)).await?;
            writing.commit().await?;
            self.published(now).await;
        }
        Ok(synced)
    }

    /// The same for a register that holds nothing yet; one that does is left alone.
    pub(super) async fn first_content(&self, directory: &Path, now: Timestamp) -> Result<Option<Synced>, SyncError> {
        let standing = self.durable.standing().await?;
        if standing.revision > 0 || !self.durable.is_register_empty().await? {
            return Ok(None);
        }
        self.sync_files(directory, now).await.map(Some)
    }

    async fn synced(&self, write: &Write<'_>, writing: &mut Writing, files: Files) -> Result<Synced, SyncError> {
        let Files { filed, mistakes, rejected, .. } = files;
        let mut synced = Synced { mistakes, rejected, ..Synced::default() };
        let ids: BTreeSet<PlatformId> = filed.iter().map(|filed| filed.filing.platform.id.clone()).collect();
        let published = writing.published_by(FILES).await?;
        let served: Vec<&PlatformId> = published.iter().filter(|(_, retired)| !retired).map(|(id, _)| id).collect();
        let gone: Vec<PlatformId> = served.iter().filter(|id| !ids.contains(**id)).map(|id| (*id).clone()).collect();
        let (found, known) = (served.len() - gone.len(), served.len());
        if rejected == 0 && is_shrunken(found, known) {
            return Err(SyncError::Shrunken { found, known });
        }
        let ours: BTreeSet<PlatformId> = published.into_iter().map(|(id, _)| id).collect();
        let beside = self.beside(&ids, &ours);
        if rejected == 0 {
            for id in gone {
                let Some(row) = writing.filing(&id).await? else { continue };
                self.take(write, writing, row, None, FilingState::Retired, None).await?;
                synced.withdrawn += 1;
            }
        }
        for filed in filed {
            let id = filed.filing.platform.id.clone();
            let before = writing.filing(&id).await?;
            match self.differs(writing, &filed, before.as_ref(), &ours).await? {
                Differs::Not => {}
                Differs::Elsewhere => synced.left_alone.push(id),
                Differs::Here => match beside.as_ref().and_then(|table| placed(table, &filed.filing.platform).err()) {
                    Some(error) => {
                        synced.rejected += 1;
                        tracing::warn!(platform = %id, "its file is left out: {error}");
                    }
                    None => {
                        let row = before.unwrap_or_else(|| self.blank(write, &filed.filing));
                        self.taken(write, writing, row, filed).await?;
                        synced.changed += 1;
                    }
                },
            }
        }
        Ok(synced)
    }

    /// What is in force and comes from no file, as a table: files were judged together already, and only this can be in their
    /// way. `None`: nothing is.
    fn beside(&self, ids: &BTreeSet<PlatformId>, ours: &BTreeSet<PlatformId>) -> Option<RouteTable> {
        let table = self.live.snapshot();
        let apart = |id: &PlatformId| id.as_str() != OWN_ID && !ids.contains(id) && !ours.contains(id);
        let others = table.platforms().filter(|(_, platform)| apart(&platform.id));
        let others: Vec<Platform> = others.map(|(_, platform)| Platform::clone(platform)).collect();
        (!others.is_empty()).then(|| self.rules.compile(others).table)
    }

    async fn differs(
        &self,
        writing: &mut Writing,
        filed: &Filed,
        before: Option<&FilingRow>,
        ours: &BTreeSet<PlatformId>,
    ) -> Result<Differs, StoreError> {
        let Some(row) = before else { return Ok(Differs::Here) };
        let filing = &filed.filing;
        let notice = (filing.state == FilingState::Suspended).then(|| filing.notice.to_string());
        let newest = if filing.state.was_approved() { row.in_force } else { row.draft };
        let document = match newest {
            Some(version) => writing.document(&row.platform, version).await?,
            None => None,
        };
        let same =
            document.as_deref() == Some(&*filed.document) && row.state == filing.state.word() && row.notice == notice;
        Ok(match (same, ours.contains(&row.platform)) {
            (true, _) => Differs::Not,
            (false, true) => Differs::Here,
            (false, false) => Differs::Elsewhere,
        })
    }

    async fn taken(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        mut row: FilingRow,
        filed: Filed,
    ) -> Result<(), StoreError> {
        let Filed { filing, document, .. } = filed;
        self.describe(&mut row, &filing);
        let notice = (filing.state == FilingState::Suspended).then(|| filing.notice.to_string());
        for route in filing.platform.routes.iter() {
            let Matches::Path { host, path, .. } = &route.matches else { continue };
            let (host, prefix) =
                (host.as_deref().unwrap_or_default().to_owned(), path.trim_end_matches('/').to_owned());
            let (platform, reserved_by) = (row.platform.clone(), FILES.to_owned());
            let approved_by = Some(FILES.to_owned());
            writing
                .reserve(&ReservationRow { host, prefix, platform, reserved_by, approved_by, at: write.now })
                .await?;
        }
        self.take(write, writing, row, Some(document), filing.state, notice).await
    }

    async fn take(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        mut row: FilingRow,
        document: Option<String>,
        state: FilingState,
        notice: Option<String>,
    ) -> Result<(), StoreError> {
        let before = match row.version {
            0 => None,
            version => writing.change(&row.platform, version).await?.map(|last| last.after),
        };
        row.version += 1;
        row.changed_at = write.now;
        row.state = state.word().to_owned();
        row.notice = notice;
        let stopped = matches!(state, FilingState::Suspended | FilingState::Retired);
        row.stopped_by = stopped.then(|| write.actor.division.to_string());
        if state.was_approved() {
            row.in_force = document.as_ref().map(|_| row.version).or(row.in_force);
            (row.draft, row.draft_state, row.decided) = (None, None, row.version);
            row.revision = writing.publish();
        } else {
            (row.draft, row.draft_state) = (Some(row.version), Some(state.word().to_owned()));
        }
        let after = hash(before.as_deref(), &row, document.as_deref());
        let change = HistoryRow {
            version: row.version,
            action: Action::Import.word().to_owned(),
            actor: FILES.to_owned(),
            lineage: Some(write.actor.lineage.clone()),
            at: write.now,
            reason: None,
            state: row.state.clone(),
            in_force: row.in_force,
            notice: row.notice.clone(),
            has_document: document.is_some(),
            document,
            before,
            after,
            request_id: write.request_id.to_owned(),
        };
        writing.save(&row, &change).await
    }
}

enum Differs {
    Not,
    Here,
    Elsewhere,
}

fn files_actor() -> Result<Actor, RegisterError> {
    let principal = FILES.parse().map_err(|_| RegisterError::NotFound { what: FILES.to_owned() })?;
    let (division, credential) = (DivisionCode::NATION, Credential::Files);
    let lineage = Lineage::root(Link { principal, division, credential, certified: false });
    Ok(Actor::of(lineage, Role::Operator, None))
}
