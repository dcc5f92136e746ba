//! Changing: each call is one transaction that judges, changes and writes its record, or leaves everything as it was.
//! Whoever has the transaction is the only one, on all nodes, so what is read in it is still so when it is written.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::authority::{Effect, judge};
use super::call::{Expected, Version, Write};
use super::error::RegisterError;
use super::place::{mistake, placed, refusal, shadows, unreserved};
use super::read::{division, json};
use super::rights::{Object, Right};
use super::view::{Action, Done};
use super::{Register, not_found};
use crate::domain::{Actor, DivisionCode, Lineage, PlatformId, Role, Timestamp};
use crate::registry::filing::Form;
use crate::registry::rules::Read;
use crate::registry::words::line;
use crate::registry::{Filing, FilingState};
use crate::routing::{Platform, PlatformState, RouteTable};
use crate::store::{FilingRow, HistoryRow, RecordRow, Writing};
use crate::written::{Mistake, Severity};

/// The longest document: a filing of ten thousand routes is half of it.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// What a change brings along.
enum Step<'a> {
    Put(Box<Read>),
    Submit,
    Approve,
    Reject(&'a str),
    Suspend(&'a str),
    Resume,
    Retire,
    Rollback(Version),
    Attest,
}

/// What a change made of a filing.
struct Made {
    row: FilingRow,
    /// The document that it brought.
    document: Option<String>,
    reason: Option<String>,
    warnings: Vec<Mistake>,
    /// Whether nodes serve something else now.
    published: bool,
}

impl Register {
    /// What is wrong with a document (JSON, at most 1 MiB), warnings too; nothing is kept. No error among them: it could be
    /// submitted, as far as a look from outside tells.
    pub async fn validate(&self, write: &Write<'_>, document: &[u8]) -> Result<Vec<Mistake>, RegisterError> {
        match self.read(document, Form::Whole) {
            Ok(read) => {
                let platform = &read.filing.platform;
                self.judge_at(
                    write.actor,
                    Right::Read,
                    Object { division: platform.division, platform: Some(&platform.id) },
                )?;
                let mut told = self.warned(write, &read);
                told.extend(expiry(&read.filing, write));
                told.extend(read.warnings);
                Ok(told)
            }
            Err(RegisterError::Invalid(mistakes)) => Ok(mistakes),
            Err(other) => Err(other),
        }
    }

    /// Writes a document as draft, new or beside what is in force. The id in it must be `id`. The document that is there
    /// already changes nothing.
    pub async fn put(&self, write: &Write<'_>, id: &PlatformId, document: &[u8]) -> Result<Done, RegisterError> {
        let read = self.read(document, Form::Draft)?;
        if read.filing.platform.id != *id {
            let told = format!("`{}`, and the address names `{id}`", read.filing.platform.id);
            return Err(RegisterError::Invalid(vec![mistake("/platform/id".to_owned(), told, Severity::Error)]));
        }
        self.change(write, id, Action::Put, Step::Put(Box::new(read))).await
    }

    /// Hands the draft in for review.
    pub async fn submit(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Submit, Step::Submit).await
    }

    /// Puts the submitted document into force. What was suspended stays so.
    pub async fn approve(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Approve, Step::Approve).await
    }

    /// Sends the submitted document back to draft. `reason`: one line for the owner.
    pub async fn reject(&self, write: &Write<'_>, id: &PlatformId, reason: &str) -> Result<Done, RegisterError> {
        let reason = told("reason", reason)?;
        self.change(write, id, Action::Reject, Step::Reject(&reason)).await
    }

    /// Takes the platform off for a while. `notice`: one line for people.
    pub async fn suspend(&self, write: &Write<'_>, id: &PlatformId, notice: &str) -> Result<Done, RegisterError> {
        let notice = told("notice", notice)?;
        self.change(write, id, Action::Suspend, Step::Suspend(&notice)).await
    }

    /// Serves a suspended platform again.
    pub async fn resume(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Resume, Step::Resume).await
    }

    /// Ends the platform: 410 from now on, until a new draft of it is approved. A draft that never was in force is withdrawn.
    pub async fn retire(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Retire, Step::Retire).await
    }

    /// Makes what is in force, and whether it is suspended, what they were at `version`: two people have seen that one.
    /// A draft on its way is left as it is.
    pub async fn rollback(&self, write: &Write<'_>, id: &PlatformId, version: Version) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Rollback, Step::Rollback(version)).await
    }

    /// The owner's yearly word that the platform is in use.
    pub async fn attest(&self, write: &Write<'_>, id: &PlatformId) -> Result<Done, RegisterError> {
        self.change(write, id, Action::Attest, Step::Attest).await
    }

    fn read(&self, document: &[u8], form: Form) -> Result<Read, RegisterError> {
        let bytes = document.len();
        if bytes > DOCUMENT_BYTES_MAX {
            return Err(RegisterError::TooLarge { bytes, max: DOCUMENT_BYTES_MAX });
        }
        self.rules.filing("filing", document, form).map_err(RegisterError::Invalid)
    }

    async fn change(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        action: Action,
        step: Step<'_>,
    ) -> Result<Done, RegisterError> {
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let before = writing.filing(id).await?;
        self.admit(write, id, action, &step, before.as_ref())?;
        let made = self.make(write, &mut writing, action, step, before.clone()).await?;
        let changed = before.as_ref().is_none_or(|before| before.version != made.row.version);
        if changed {
            record(write, &mut writing, action, before.as_ref(), &made).await?;
        }
        let done = self.done(write, &mut writing, before.is_none(), changed, &made).await?;
        if changed && !write.dry_run {
            writing.commit().await?;
            if made.published {
                self.published(write.now).await;
            }
        }
        Ok(done)
    }

    /// Rights first, then whether the caller knows what it is changing.
    fn admit(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        action: Action,
        step: &Step<'_>,
        before: Option<&FilingRow>,
    ) -> Result<(), RegisterError> {
        if let Step::Put(read) = step {
            let division = read.filing.platform.division;
            self.judge_at(write.actor, Right::File, Object { division, platform: Some(id) })?;
        }
        match before {
            Some(row) => self.judge(write.actor, action.right(), row).map_err(|error| match (error, step) {
                (RegisterError::NotFound { .. }, Step::Put(_)) => RegisterError::IdTaken { platform: id.clone() },
                (error, _) => error,
            })?,
            None if action != Action::Put && !matches!(write.expected, Expected::Version(_)) => {
                return Err(not_found(id));
            }
            None => {}
        }
        let current = before.map(|row| Version(row.version));
        let known = match write.expected {
            Expected::Any => true,
            Expected::Absent => current.is_none(),
            Expected::Version(version) => current == Some(version),
        };
        if known { Ok(()) } else { Err(RegisterError::VersionConflict { current }) }
    }

    async fn make(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        action: Action,
        step: Step<'_>,
        before: Option<FilingRow>,
    ) -> Result<Made, RegisterError> {
        if let Step::Put(read) = step {
            return self.put_draft(write, writing, *read, before).await;
        }
        let Some(mut row) = before else { return Err(not_found_any()) };
        row.version += 1;
        row.changed_at = write.now;
        let (mut warnings, mut reason, mut published) = (Vec::new(), None, false);
        let wrong = |row: &FilingRow, hint| Err(wrong_state(action, row, hint));
        let draft = row.draft_state.as_deref();
        match step {
            Step::Put(_) => {}
            Step::Submit => {
                if draft != Some("draft") {
                    return wrong(&row, "put a draft first");
                }
                let read = self.whole(write, writing, &row.platform, row.draft).await?;
                warnings = self.free(write, writing, &read).await?;
                row.draft_state = Some("submitted".to_owned());
                row.submitted_by = Some(write.actor.principal.to_string());
                row.reason = None;
                if row.in_force.is_none() {
                    row.state = FilingState::Submitted.word().to_owned();
                }
            }
            Step::Approve => {
                if draft != Some("submitted") {
                    return wrong(&row, "it must be submitted first");
                }
                checked_by_another(write, &writing.makers(&row.platform, (row.decided, row.version)).await?)?;
                let read = self.whole(write, writing, &row.platform, row.draft).await?;
                let stays = row.in_force.is_some() && row.state == FilingState::Suspended.word();
                let lifts = if stays { None } else { stop(&row) };
                self.judge_effect(write, action, &row, Some(&read.filing.platform), lifts)?;
                warnings = self.free(write, writing, &read).await?;
                self.describe(&mut row, &read.filing);
                if !stays {
                    row.state = FilingState::Approved.word().to_owned();
                    (row.notice, row.stopped_by) = (None, None);
                }
                row.in_force = row.draft.take();
                (row.draft_state, row.reason, row.decided) = (None, None, row.version);
                published = true;
            }
            Step::Reject(why) => {
                if draft != Some("submitted") {
                    return wrong(&row, "only what was submitted can be rejected");
                }
                row.draft_state = Some("draft".to_owned());
                row.reason = Some(why.to_owned());
                if row.in_force.is_none() {
                    row.state = FilingState::Draft.word().to_owned();
                }
                reason = Some(why.to_owned());
            }
            Step::Suspend(notice) => {
                let below = row.state == FilingState::Suspended.word() && self.stops_from_above(write, &row);
                if row.state != FilingState::Approved.word() && !below {
                    return wrong(&row, "only what is approved can be suspended, or what somebody below suspended");
                }
                row.state = FilingState::Suspended.word().to_owned();
                row.notice = Some(notice.to_owned());
                row.stopped_by = Some(stopper(write, &row));
                (reason, published) = (Some(notice.to_owned()), true);
            }
            Step::Resume => {
                if row.state != FilingState::Suspended.word() {
                    return wrong(&row, "only what is suspended can be resumed");
                }
                let read = self.kept_document(writing, &row.platform, row.in_force).await?;
                self.judge_effect(write, action, &row, Some(&read.filing.platform), stop(&row))?;
                warnings = self.free(write, writing, &read).await?;
                row.state = FilingState::Approved.word().to_owned();
                (row.notice, row.stopped_by, published) = (None, None, true);
            }
            Step::Retire => {
                if row.state == FilingState::Retired.word() && !self.stops_from_above(write, &row) {
                    return wrong(&row, "it is retired already; put a draft to file it anew");
                }
                // What was suspended is stopped otherwise by whoever could lift that: a retired platform's places are free.
                self.judge_effect(write, action, &row, None, stop(&row))?;
                row.state = FilingState::Retired.word().to_owned();
                row.stopped_by = Some(stopper(write, &row));
                (row.draft, row.draft_state, row.notice) = (None, None, None);
                published = row.in_force.is_some();
            }
            Step::Rollback(version) => {
                let then = writing.change(&row.platform, version.0).await?.filter(|then| then.version < row.version);
                let missing = || RegisterError::NotFound { what: format!("version {version} of {}", row.platform) };
                let then = then.ok_or_else(missing)?;
                if then.in_force.is_none() {
                    return wrong(&row, "nothing was in force at that version; choose one at which something was");
                }
                if row.state == FilingState::Retired.word() {
                    return wrong(&row, "it is retired; put a draft to file it anew");
                }
                if (row.in_force, &row.state, &row.notice) == (then.in_force, &then.state, &then.notice) {
                    row.version -= 1;
                    return Ok(Made { row, document: None, reason: None, warnings, published });
                }
                if let Some(document) = then.in_force.filter(|document| Some(*document) != row.in_force) {
                    checked_by_another(write, &writing.makers_of(&row.platform, document).await?)?;
                }
                let read = self.whole(write, writing, &row.platform, then.in_force).await?;
                let stays = row.state == FilingState::Suspended.word() && row.state == then.state;
                let lifts = if stays { None } else { stop(&row) };
                self.judge_effect(write, action, &row, Some(&read.filing.platform), lifts)?;
                if then.state != FilingState::Retired.word() {
                    warnings = self.free(write, writing, &read).await?;
                }
                self.describe(&mut row, &read.filing);
                row.stopped_by = match then.state.as_str() {
                    "approved" => None,
                    _ if stays => row.stopped_by,
                    _ => Some(stopper(write, &row)),
                };
                (row.in_force, row.state, row.notice) = (then.in_force, then.state, then.notice);
                (reason, published) = (Some(format!("version {version}")), true);
            }
            Step::Attest => {
                if !matches!(row.state.as_str(), "approved" | "suspended") {
                    return wrong(&row, "only what is in force can be attested");
                }
                row.attested_at = Some(write.now);
            }
        }
        if published {
            row.revision = writing.publish();
        }
        Ok(Made { row, document: None, reason, warnings, published })
    }

    /// Whether the caller may do all that the step does.
    fn judge_effect(
        &self,
        write: &Write<'_>,
        action: Action,
        row: &FilingRow,
        serves: Option<&Platform>,
        stopped_by: Option<DivisionCode>,
    ) -> Result<(), RegisterError> {
        let (right, platform, before) = (action.right(), &row.platform, division(row)?);
        let effect = Effect { right, platform, before, serves, stopped_by };
        judge(&effect, write.actor, &self.rules.divisions)
    }

    /// Whether the caller stands above whoever made the stop, so that theirs may take its place.
    fn stops_from_above(&self, write: &Write<'_>, row: &FilingRow) -> bool {
        let own = write.actor.division;
        stop(row).is_some_and(|stop| stop != own && self.rules.divisions.is_within(stop, own))
    }

    async fn put_draft(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        read: Read,
        before: Option<FilingRow>,
    ) -> Result<Made, RegisterError> {
        let mut warnings = self.warned(write, &read);
        warnings.extend(read.warnings.iter().cloned());
        let (document, filing) = (read.document, read.filing);
        if let Some(row) = &before {
            let there = match row.draft.or(row.in_force).filter(|_| row.state != FilingState::Retired.word()) {
                Some(version) => writing.document(&row.platform, version).await?,
                None => None,
            };
            if there.as_deref() == Some(&*document) {
                let row = row.clone();
                return Ok(Made { row, document: None, reason: None, warnings, published: false });
            }
        }
        let mut row = before.unwrap_or_else(|| self.blank(write, &filing));
        row.version += 1;
        row.changed_at = write.now;
        row.draft = Some(row.version);
        row.draft_state = Some("draft".to_owned());
        row.submitted_by = None;
        if row.in_force.is_none() {
            row.state = FilingState::Draft.word().to_owned();
            self.describe(&mut row, &filing);
        }
        Ok(Made { row, document: Some(document), reason: None, warnings, published: false })
    }

    pub(super) fn blank(&self, write: &Write<'_>, filing: &Filing) -> FilingRow {
        let mut row = FilingRow {
            platform: filing.platform.id.clone(),
            version: 0,
            state: FilingState::Draft.word().to_owned(),
            in_force: None,
            notice: None,
            stopped_by: None,
            draft: None,
            draft_state: None,
            submitted_by: None,
            reason: None,
            decided: 0,
            owner: String::new(),
            division: String::new(),
            division_order: 0,
            name: String::new(),
            name_en: String::new(),
            valid_until: None,
            attested_at: None,
            created_at: write.now,
            changed_at: write.now,
            revision: 0,
        };
        self.describe(&mut row, filing);
        row
    }

    /// What lists show of a filing: of what is in force, or of the draft as long as nothing is.
    pub(super) fn describe(&self, row: &mut FilingRow, filing: &Filing) {
        let division = filing.platform.division;
        row.owner = filing.owner.to_string();
        row.division = division.to_string();
        row.division_order = self.rules.divisions.orders_within(division).map_or(0, |(first, _)| first);
        row.name = filing.platform.name.to_string();
        row.name_en = filing.platform.name_en.to_string();
        row.valid_until = filing.valid_until.map(|last| last.to_string());
    }

    /// A kept document, read as one that is in force.
    async fn kept_document(
        &self,
        writing: &mut Writing,
        id: &PlatformId,
        version: Option<u64>,
    ) -> Result<Read, RegisterError> {
        let text = match version {
            Some(version) => writing.document(id, version).await?,
            None => None,
        };
        self.read(text.ok_or_else(|| not_found(id))?.as_bytes(), Form::Whole)
    }

    /// The same of one that is to be put into force: it has not expired.
    async fn whole(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        id: &PlatformId,
        version: Option<u64>,
    ) -> Result<Read, RegisterError> {
        let read = self.kept_document(writing, id, version).await?;
        match expiry(&read.filing, write) {
            Some(expired) => Err(RegisterError::Invalid(vec![expired])),
            None => Ok(read),
        }
    }

    /// Whether the places it wants are free and reserved to it. The warnings, where they are.
    async fn free(&self, write: &Write<'_>, writing: &mut Writing, read: &Read) -> Result<Vec<Mistake>, RegisterError> {
        // Nobody else can change the register now, so a table of this moment stays right until we commit.
        self.catch_up(write.now).await?;
        let table = self.live.snapshot();
        let mut platform = read.filing.platform.clone();
        platform.state = PlatformState::Active;
        placed(&table, &platform).map_err(|error| refusal(error, write.actor, &table, &self.rules.divisions))?;
        let reserved = writing.reserved_to(&platform.id).await?;
        if let Some(refused) = unreserved(&platform, &reserved) {
            return Err(refused);
        }
        let mut warnings = self.shadows(write, &table, &platform);
        warnings.extend(read.warnings.iter().cloned());
        Ok(warnings)
    }

    fn shadows(&self, write: &Write<'_>, table: &RouteTable, platform: &Platform) -> Vec<Mistake> {
        shadows(table, platform, write.actor, &self.rules.divisions)
    }

    /// What a submission would be refused for, as warnings of a draft.
    fn warned(&self, write: &Write<'_>, read: &Read) -> Vec<Mistake> {
        let table = self.live.snapshot();
        let platform = &read.filing.platform;
        let mut told = self.shadows(write, &table, platform);
        if let Err(error) = placed(&table, platform) {
            let pointer = error.route().map(|route| format!("/route/{route}")).unwrap_or_default();
            let refused = refusal(error, write.actor, &table, &self.rules.divisions).to_string();
            told.push(mistake(pointer, refused, Severity::Warning));
        }
        told
    }

    async fn done(
        &self,
        write: &Write<'_>,
        writing: &mut Writing,
        created: bool,
        changed: bool,
        made: &Made,
    ) -> Result<Done, RegisterError> {
        let row = &made.row;
        let newest = row.draft.or(row.in_force);
        let document = match (&made.document, newest) {
            (Some(document), _) => json(document)?,
            (None, Some(version)) => self.document_in(writing, &row.platform, version).await?,
            (None, None) => Value::Null,
        };
        let in_force = match row.in_force {
            Some(version) if Some(version) != newest => Some(self.document_in(writing, &row.platform, version).await?),
            _ => None,
        };
        let filing = self.view(row, document, in_force, write.now)?;
        Ok(Done { filing, created, changed, warnings: made.warnings.clone() })
    }

    async fn document_in(&self, writing: &mut Writing, id: &PlatformId, version: u64) -> Result<Value, RegisterError> {
        json(&writing.document(id, version).await?.ok_or_else(|| not_found(id))?)
    }
}

/// Writes the filing, its history and the record.
async fn record(
    write: &Write<'_>,
    writing: &mut Writing,
    action: Action,
    before: Option<&FilingRow>,
    made: &Made,
) -> Result<(), RegisterError> {
    let row = &made.row;
    let last = match before {
        Some(before) => writing.change(&row.platform, before.version).await?.map(|last| last.after),
        None => None,
    };
    let after = hash(last.as_deref(), row, made.document.as_deref());
    let change = HistoryRow {
        version: row.version,
        action: action.word().to_owned(),
        actor: write.actor.principal.to_string(),
        lineage: Some(write.actor.lineage.clone()),
        at: write.now,
        reason: made.reason.clone(),
        state: row.state.clone(),
        in_force: row.in_force,
        notice: row.notice.clone(),
        has_document: made.document.is_some(),
        document: made.document.clone(),
        before: last.clone(),
        after: after.clone(),
        request_id: write.request_id.to_owned(),
    };
    writing.save(row, &change).await?;
    writing.record(&of_record(write, action.word(), row.platform.as_str(), last.as_deref(), Some(&after))).await?;
    Ok(())
}

pub(super) fn of_record<'a>(
    write: &'a Write<'_>,
    action: &'a str,
    object: &'a str,
    before: Option<&'a str>,
    after: Option<&'a str>,
) -> RecordRow<'a> {
    let Actor { principal, role, lineage, .. } = write.actor;
    RecordRow {
        at: write.now,
        actor: principal.as_str(),
        credential: Some(lineage.own().credential),
        role: role.word(),
        action,
        object,
        before,
        after,
        result: "ok",
        request_id: write.request_id,
    }
}

/// Between the door and the lock a credential may have ended, by a revocation that whoever waited for the lock must not outrun.
pub(super) async fn still_holds(write: &Write<'_>, writing: &mut Writing) -> Result<(), RegisterError> {
    let Actor { principal, lineage, .. } = write.actor;
    if writing.holds(lineage.own().credential, write.now).await? {
        return Ok(());
    }
    Err(RegisterError::CredentialEnded { principal: principal.clone() })
}

/// Maker and checker are two people who could not be one. `makers`: name, and chain of issue where it was kept.
pub(super) fn checked_by_another(write: &Write<'_>, makers: &[(String, Option<Lineage>)]) -> Result<(), RegisterError> {
    let Actor { principal, lineage, .. } = write.actor;
    for (maker, made_by) in makers {
        let known = made_by.clone().or_else(|| Lineage::of_name(maker));
        if known.is_none_or(|made_by| made_by.could_be_one_with(lineage)) {
            return Err(RegisterError::SelfReview { principal: principal.clone(), maker: maker.clone() });
        }
    }
    Ok(())
}

/// Whose stop a filing is under: of one that nobody noted, the nation's.
fn stop(row: &FilingRow) -> Option<DivisionCode> {
    let stopped = row.stopped_by.is_some() || matches!(row.state.as_str(), "suspended" | "retired");
    let noted = row.stopped_by.as_deref().and_then(|code| code.parse().ok());
    stopped.then(|| noted.unwrap_or(DivisionCode::NATION))
}

/// The division for which the caller stops a filing: an owner stops its own, whatever division its token is for.
fn stopper(write: &Write<'_>, row: &FilingRow) -> String {
    match write.actor.role {
        Role::Platform => row.division.clone(),
        _ => write.actor.division.to_string(),
    }
}

/// SHA-256 over the hash before and all that a filing is now: the hashes of a filing are a chain.
pub(super) fn hash(before: Option<&str>, row: &FilingRow, document: Option<&str>) -> String {
    let of = serde_json::json!([
        before,
        row.platform.as_str(),
        row.version,
        row.state,
        row.in_force,
        row.notice,
        row.draft,
        row.draft_state,
        row.attested_at.map(Timestamp::millis),
        document,
    ]);
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let digest = digest(&SHA256, of.to_string().as_bytes());
    digest.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn expiry(filing: &Filing, write: &Write<'_>) -> Option<Mistake> {
    let last = filing.valid_until.filter(|last| *last < write.now.day())?;
    let told = mistake("/platform/valid_until".to_owned(), format!("\"{last}\""), Severity::Error);
    Some(Mistake { expected: "a day that has not passed".to_owned(), ..told })
}

/// A line that comes beside the document.
fn told(key: &str, text: &str) -> Result<String, RegisterError> {
    line(text).map_err(|hint| {
        let shown: String = text.chars().take(80).collect();
        let told = mistake(format!("/{key}"), format!("{shown:?}"), Severity::Error);
        RegisterError::Invalid(vec![Mistake { expected: "a line for people".to_owned(), hint: Some(hint), ..told }])
    })
}

fn wrong_state(action: Action, row: &FilingRow, hint: &'static str) -> RegisterError {
    let word = row.draft_state.as_ref().filter(|_| matches!(action, Action::Submit | Action::Approve | Action::Reject));
    let state = word.unwrap_or(&row.state).parse().unwrap_or(FilingState::Draft);
    RegisterError::WrongState { action, state, hint }
}

fn not_found_any() -> RegisterError {
    RegisterError::NotFound { what: "such filing".to_owned() }
}
