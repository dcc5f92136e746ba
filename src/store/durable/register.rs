//! The register's rows. What a state allows and who may change it is decided above; here a change is one transaction.

use std::future::Future;

use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::{DEADLINE, Durable, failed, number, signed, time, unsigned};
use crate::domain::{Credential, Lineage, PlatformId, Timestamp};
use crate::store::{AwayReason, StoreError};

/// Longest a change may hold the register's lock, and wait for it; within the patience of whoever waits for the answer.
const CHANGE_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// A filing as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilingRow {
    /// Its platform.
    pub platform: PlatformId,
    /// Counts its changes.
    pub version: u64,
    /// The word of its state.
    pub state: String,
    /// Version that holds the document in force.
    pub in_force: Option<u64>,
    /// What people are told while it is suspended.
    pub notice: Option<String>,
    /// The division of whoever suspended or retired it; `None` too where that is not known.
    pub stopped_by: Option<String>,
    /// Version that holds the document on its way.
    pub draft: Option<u64>,
    /// `draft` or `submitted`.
    pub draft_state: Option<String>,
    /// Who submitted it.
    pub submitted_by: Option<String>,
    /// Why it was rejected last.
    pub reason: Option<String>,
    /// Version of the last approval.
    pub decided: u64,
    /// Owner's code.
    pub owner: String,
    /// Division's code.
    pub division: String,
    /// Its place among divisions.
    pub division_order: u64,
    /// Name in Chinese.
    pub name: String,
    /// Name in English.
    pub name_en: String,
    /// Last day of validity.
    pub valid_until: Option<String>,
    /// When the owner last attested it.
    pub attested_at: Option<Timestamp>,
    /// When it was first filed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Revision at which what is in force last changed; 0: never in force.
    pub revision: u64,
}

/// One change of a filing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// The version it made.
    pub version: u64,
    /// What was done, by whom, when, why.
    pub action: String,
    /// By whom.
    pub actor: String,
    /// By what credential; `None` in rows of before lineages were kept.
    pub lineage: Option<Lineage>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// The state it left.
    pub state: String,
    /// Version in force after it.
    pub in_force: Option<u64>,
    /// Notice after it.
    pub notice: Option<String>,
    /// The document it brought, JSON; not read back with the row.
    pub document: Option<String>,
    /// Whether it brought one.
    pub has_document: bool,
    /// Hash before.
    pub before: Option<String>,
    /// Hash after.
    pub after: String,
    /// The request that made it.
    pub request_id: String,
}

/// A record of any change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow<'a> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: &'a str,
    /// By what credential; `None` for people themselves.
    pub credential: Option<Credential>,
    /// In which role.
    pub role: &'a str,
    /// What.
    pub action: &'a str,
    /// On what.
    pub object: &'a str,
    /// Hash before.
    pub before: Option<&'a str>,
    /// Hash after.
    pub after: Option<&'a str>,
    /// How it ended: `ok`.
    pub result: &'a str,
    /// The request.
    pub request_id: &'a str,
}

/// A filing as nodes serve it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForceRow {
    /// Its platform.
    pub platform: PlatformId,
    /// Revision at which it last changed.
    pub revision: u64,
    /// `approved`, `suspended` or `retired`.
    pub state: String,
    /// What people are told while it is suspended.
    pub notice: Option<String>,
    /// JSON.
    pub document: String,
}

/// Which filings to list.
#[derive(Clone, Copy, Debug)]
pub struct ListRows<'a> {
    /// First and last place among divisions.
    pub divisions: (u64, u64),
    /// State; empty: any.
    pub state: &'a str,
    /// Owner; empty: any.
    pub owner: &'a str,
    /// Platforms after this one.
    pub after: &'a str,
    /// At most so many.
    pub limit: u16,
}

/// A reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRow {
    /// Host; empty: the portal's.
    pub host: String,
    /// Prefix without a slash at its end; empty: the whole host.
    pub prefix: String,
    /// For whom.
    pub platform: PlatformId,
    /// By whom.
    pub reserved_by: String,
    /// Who else, where it takes two.
    pub approved_by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// What it serves.
    pub revision: u64,
    /// When it said so.
    pub seen_at: Timestamp,
    /// How it is.
    pub standing: String,
    /// JSON.
    pub quarantined: String,
}

/// Where the register as a whole stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Drawn once.
    pub id: String,
    /// Counts changes of what is in force.
    pub revision: u64,
    /// Up to this revision a shrunken set is wanted.
    pub confirmed: u64,
}

/// A change under way. Whoever has it is the only one; dropped, it leaves everything as it was.
#[derive(Debug)]
pub struct Writing {
    transaction: Transaction<'static, Any>,
    ends: Instant,
    standing: Standing,
    sequence: u64,
    _turn: OwnedSemaphorePermit,
}

/// A select of whole rows and its conditions, put together when this is compiled.
macro_rules! select {
    (filing $rest:literal) => {
        sqlx::query(concat!(
            "SELECT platform_id, version, state, in_force, notice, stopped_by, draft, draft_state, submitted_by, reason, decided, owner, ",
            "division, division_order, name, name_en, valid_until, attested_at, created_at, changed_at, revision FROM filing ",
            $rest
        ))
    };
    (history $rest:literal) => {
        sqlx::query(concat!(
            "SELECT version, action, actor, lineage, at, reason, state, in_force, notice, before_hash, after_hash, request_id, ",
            "CAST(CASE WHEN document IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_document FROM filing_version ",
            $rest
        ))
    };
    (in_force $rest:literal) => {
        sqlx::query(concat!(
            "SELECT f.platform_id, f.revision, f.state, f.notice, v.document FROM filing f ",
            "JOIN filing_version v ON v.platform_id = f.platform_id AND v.version = f.in_force ",
            $rest
        ))
    };
    (reservation $rest:literal) => {
        sqlx::query(concat!("SELECT host, prefix, platform_id, reserved_by, approved_by, at FROM reservation ", $rest))
    };
}

impl Durable {
    /// Where the register stands; made on the first call of all.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let select = "SELECT id, revision, confirmed FROM register WHERE one = 1";
        let work = sqlx::query(select).fetch_optional(self.reader().await?);
        if let Some(row) = self.asked(work).await? {
            return standing(&row);
        }
        let insert = "INSERT INTO register (one, id, revision, sequence, confirmed) VALUES (1, $1, 0, 0, 0) ON CONFLICT DO NOTHING";
        let work = sqlx::query(insert).bind(Uuid::now_v7().to_string()).execute(self.writer().await?);
        self.asked(work).await?;
        let work = sqlx::query(select).fetch_one(self.reader().await?);
        standing(&self.asked(work).await?)
    }

    /// One filing.
    pub async fn filing(&self, id: &PlatformId) -> Result<Option<FilingRow>, StoreError> {
        let work = select!(filing "WHERE platform_id = $1").bind(id.as_str()).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(filing).transpose()
    }

    /// Filings by platform.
    pub async fn filings(&self, list: ListRows<'_>) -> Result<Vec<FilingRow>, StoreError> {
        let work = select!(filing "WHERE platform_id > $1 AND division_order >= $2 AND division_order <= $3 AND ($4 = '' OR state = $4) \
              AND ($5 = '' OR owner = $5) ORDER BY platform_id LIMIT $6")
            .bind(list.after)
            .bind(signed(list.divisions.0))
            .bind(signed(list.divisions.1))
            .bind(list.state)
            .bind(list.owner)
            .bind(i64::from(list.limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(filing).collect()
    }

    /// The document that a version brought.
    pub async fn document(&self, id: &PlatformId, version: u64) -> Result<Option<String>, StoreError> {
        let work = sqlx::query(DOCUMENT).bind(id.as_str()).bind(signed(version)).fetch_optional(self.reader().await?);
        let row = self.asked(work).await?;
        Ok(row.map(|row| row.try_get::<Option<String>, _>(0).map_err(failed)).transpose()?.flatten())
    }

    /// Changes of a filing before version `before`, newest first; their documents left out.
    pub async fn history(&self, id: &PlatformId, before: u64, limit: u16) -> Result<Vec<HistoryRow>, StoreError> {
        let work = select!(history "WHERE platform_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3")
            .bind(id.as_str())
            .bind(signed(before))
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(history).collect()
    }

    /// Filings in force that changed after `revision`, oldest change first. Whoever asks until none is left has them all: what
    /// changes meanwhile comes at the end.
    pub async fn in_force_since(&self, revision: u64, limit: u16) -> Result<Vec<InForceRow>, StoreError> {
        let work = select!(in_force "WHERE f.revision > $1 ORDER BY f.revision LIMIT $2")
            .bind(signed(revision))
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(in_force).collect()
    }

    /// One filing in force.
    pub async fn in_force(&self, id: &PlatformId) -> Result<Option<InForceRow>, StoreError> {
        let work = select!(in_force "WHERE f.platform_id = $1").bind(id.as_str()).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(in_force).transpose()
    }

    /// Whether nothing was ever filed.
    pub async fn is_register_empty(&self) -> Result<bool, StoreError> {
        let work = sqlx::query("SELECT platform_id FROM filing LIMIT 1").fetch_optional(self.reader().await?);
        Ok(self.asked(work).await?.is_none())
    }

    /// Reservations of a platform.
    pub async fn reservations(&self, id: &PlatformId) -> Result<Vec<ReservationRow>, StoreError> {
        let work = select!(reservation "WHERE platform_id = $1 ORDER BY host, prefix LIMIT 10000")
            .bind(id.as_str())
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(reservation).collect()
    }

    /// Says what a node serves, and forgets nodes that said nothing since `forgotten`.
    pub async fn report_node(&self, node: &NodeRow, forgotten: Timestamp) -> Result<(), StoreError> {
        let upsert = "INSERT INTO node (name, revision, seen_at, standing, quarantined) VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, seen_at = excluded.seen_at, \
                      standing = excluded.standing, quarantined = excluded.quarantined";
        let work = sqlx::query(upsert)
            .bind(&node.name)
            .bind(signed(node.revision))
            .bind(number(node.seen_at))
            .bind(&node.standing)
            .bind(&node.quarantined)
            .execute(self.writer().await?);
        self.asked(work).await?;
        let work =
            sqlx::query("DELETE FROM node WHERE seen_at < $1").bind(number(forgotten)).execute(self.writer().await?);
        self.asked(work).await.map(drop)
    }

    /// All nodes, by name.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let select = "SELECT name, revision, seen_at, standing, quarantined FROM node ORDER BY name LIMIT 10000";
        let work = sqlx::query(select).fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(node).collect()
    }

    /// Begins a change: from now on nobody else changes the register, until it is committed or dropped.
    pub async fn writing(&self) -> Result<Writing, StoreError> {
        self.writing_within(CHANGE_MAX).await
    }

    /// The same for taking over many filings at once.
    pub async fn writing_within(&self, longest: std::time::Duration) -> Result<Writing, StoreError> {
        self.standing().await?; // the row is there
        let late = |_| StoreError::away(AwayReason::Timeout, "others change the register");
        let turn = timeout(DEADLINE, self.changing.clone().acquire_owned()).await.map_err(late)?;
        let turn = turn.map_err(|_| StoreError::away(AwayReason::Timeout, "the register is closed"))?;
        let transaction = self.asked(self.writer().await?.begin()).await?;
        let none = Standing { id: String::new(), revision: 0, confirmed: 0 };
        let mut writing =
            Writing { transaction, ends: Instant::now() + longest, standing: none, sequence: 0, _turn: turn };
        let lock = "UPDATE register SET sequence = sequence WHERE one = 1 RETURNING id, revision, confirmed, sequence";
        let row = writing.one(sqlx::query(lock)).await?;
        writing.standing = standing(&row)?;
        writing.sequence = unsigned(row.try_get("sequence").map_err(failed)?)?;
        Ok(writing)
    }
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

const DOCUMENT: &str = "SELECT document FROM filing_version WHERE platform_id = $1 AND version = $2";

impl Writing {
    /// Where the register stood when this change began.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The revision that this change makes; each call one more.
    pub fn publish(&mut self) -> u64 {
        self.standing.revision += 1;
        self.standing.revision
    }

    /// A shrunken set is wanted, up to now.
    pub fn confirm(&mut self) {
        self.standing.confirmed = self.standing.revision;
    }

    /// One filing.
    pub async fn filing(&mut self, id: &PlatformId) -> Result<Option<FilingRow>, StoreError> {
        let query = select!(filing "WHERE platform_id = $1").bind(id.as_str().to_owned());
        self.optional(query).await?.as_ref().map(filing).transpose()
    }

    /// The document that a version brought.
    pub async fn document(&mut self, id: &PlatformId, version: u64) -> Result<Option<String>, StoreError> {
        let query = sqlx::query(DOCUMENT).bind(id.as_str().to_owned()).bind(signed(version));
        let row = self.optional(query).await?;
        Ok(row.map(|row| row.try_get::<Option<String>, _>(0).map_err(failed)).transpose()?.flatten())
    }

    /// One change of a filing.
    pub async fn change(&mut self, id: &PlatformId, version: u64) -> Result<Option<HistoryRow>, StoreError> {
        let query = select!(history "WHERE platform_id = $1 AND version = $2")
            .bind(id.as_str().to_owned())
            .bind(signed(version));
        self.optional(query).await?.as_ref().map(history).transpose()
    }

    /// Who put or submitted anything after version `since` and up to `until`, and by what credential; of one credential once.
    pub async fn makers(
        &mut self,
        id: &PlatformId,
        (since, until): (u64, u64),
    ) -> Result<Vec<(String, Option<Lineage>)>, StoreError> {
        let select = "SELECT DISTINCT actor, lineage FROM filing_version WHERE platform_id = $1 AND version > $2 \
                      AND version <= $3 AND action IN ('put', 'submit')";
        let query = sqlx::query(select).bind(id.as_str().to_owned()).bind(signed(since)).bind(signed(until));
        self.all(query).await?.iter().map(|row| Ok((text(row, "actor")?, lineage(row)?))).collect()
    }

    /// Who made the document of version `document`: whoever put or submitted between the decision before it and the one that
    /// put it into force. Nobody, for one of a node's files.
    pub async fn makers_of(
        &mut self,
        id: &PlatformId,
        document: u64,
    ) -> Result<Vec<(String, Option<Lineage>)>, StoreError> {
        let select = "SELECT \
            (SELECT action FROM filing_version WHERE platform_id = $1 AND version = $2) AS action, \
            (SELECT max(version) FROM filing_version WHERE platform_id = $1 AND version < $2 \
                AND action IN ('approve', 'import')) AS decided, \
            (SELECT min(version) FROM filing_version WHERE platform_id = $1 AND version > $2 AND action = 'approve') AS approved";
        let row = self.one(sqlx::query(select).bind(id.as_str().to_owned()).bind(signed(document))).await?;
        if maybe(&row, "action")?.as_deref() == Some("import") {
            return Ok(Vec::new());
        }
        let (decided, approved) = (maybe_count(&row, "decided")?, maybe_count(&row, "approved")?);
        self.makers(id, (decided.unwrap_or(0), approved.unwrap_or(document))).await
    }

    /// Platforms whose filing in force `actor` was the last to change, and whether they are retired.
    pub async fn published_by(&mut self, actor: &str) -> Result<Vec<(PlatformId, bool)>, StoreError> {
        let select = "SELECT f.platform_id, f.state FROM filing f JOIN filing_version v ON v.platform_id = f.platform_id \
                      WHERE f.in_force IS NOT NULL AND v.actor = $1 AND v.version = (SELECT max(w.version) \
                      FROM filing_version w WHERE w.platform_id = f.platform_id AND w.action IN \
                      ('approve', 'suspend', 'resume', 'retire', 'rollback', 'import')) ORDER BY f.platform_id";
        let rows = self.all(sqlx::query(select).bind(actor.to_owned())).await?;
        rows.iter().map(|row| Ok((platform(row, "platform_id")?, text(row, "state")? == "retired"))).collect()
    }

    /// Writes a filing as it now stands, and the change that made it so.
    pub async fn save(&mut self, row: &FilingRow, change: &HistoryRow) -> Result<(), StoreError> {
        let upsert = "INSERT INTO filing (platform_id, version, state, in_force, notice, draft, draft_state, submitted_by, reason, \
            decided, owner, division, division_order, name, name_en, valid_until, attested_at, created_at, changed_at, revision, \
            stopped_by) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
            ON CONFLICT (platform_id) DO UPDATE SET version = excluded.version, state = excluded.state, \
            in_force = excluded.in_force, notice = excluded.notice, draft = excluded.draft, draft_state = excluded.draft_state, \
            submitted_by = excluded.submitted_by, reason = excluded.reason, decided = excluded.decided, owner = excluded.owner, \
            division = excluded.division, division_order = excluded.division_order, name = excluded.name, \
            name_en = excluded.name_en, valid_until = excluded.valid_until, attested_at = excluded.attested_at, \
            changed_at = excluded.changed_at, revision = excluded.revision, stopped_by = excluded.stopped_by";
        let query = sqlx::query(upsert)
            .bind(row.platform.as_str().to_owned())
            .bind(signed(row.version))
            .bind(row.state.clone())
            .bind(row.in_force.map(signed))
            .bind(row.notice.clone())
            .bind(row.draft.map(signed))
            .bind(row.draft_state.clone())
            .bind(row.submitted_by.clone())
            .bind(row.reason.clone())
            .bind(signed(row.decided))
            .bind(row.owner.clone())
            .bind(row.division.clone())
            .bind(signed(row.division_order))
            .bind(row.name.clone())
            .bind(row.name_en.clone())
            .bind(row.valid_until.clone())
            .bind(row.attested_at.map(number))
            .bind(number(row.created_at))
            .bind(number(row.changed_at))
            .bind(signed(row.revision))
            .bind(row.stopped_by.clone());
        self.run(query).await?;
        let insert = "INSERT INTO filing_version (platform_id, version, action, actor, at, reason, state, in_force, notice, document, \
            before_hash, after_hash, request_id, lineage) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
        let query = sqlx::query(insert)
            .bind(row.platform.as_str().to_owned())
            .bind(signed(change.version))
            .bind(change.action.clone())
            .bind(change.actor.clone())
            .bind(number(change.at))
            .bind(change.reason.clone())
            .bind(change.state.clone())
            .bind(change.in_force.map(signed))
            .bind(change.notice.clone())
            .bind(change.document.clone())
            .bind(change.before.clone())
            .bind(change.after.clone())
            .bind(change.request_id.clone())
            .bind(change.lineage.as_ref().map(ToString::to_string));
        self.run(query).await.map(drop)
    }

    /// Writes what was done into the record.
    pub async fn record(&mut self, record: &RecordRow<'_>) -> Result<(), StoreError> {
        self.sequence += 1;
        let insert = "INSERT INTO record (sequence, at, actor, role, action, object, before_hash, after_hash, result, request_id, \
                      credential) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let query = sqlx::query(insert)
            .bind(signed(self.sequence))
            .bind(number(record.at))
            .bind(record.actor.to_owned())
            .bind(record.role.to_owned())
            .bind(record.action.to_owned())
            .bind(record.object.to_owned())
            .bind(record.before.map(str::to_owned))
            .bind(record.after.map(str::to_owned))
            .bind(record.result.to_owned())
            .bind(record.request_id.to_owned())
            .bind(record.credential.map(|credential| credential.to_string()));
        self.run(query).await.map(drop)
    }

    /// Every reservation that could stand in the way of one, or cover a path: those of the host.
    pub async fn reservations(&mut self, host: &str) -> Result<Vec<ReservationRow>, StoreError> {
        let rows = self.all(select!(reservation "WHERE host = $1").bind(host.to_owned())).await?;
        rows.iter().map(reservation).collect()
    }

    /// The reservations of a platform.
    pub async fn reserved_to(&mut self, id: &PlatformId) -> Result<Vec<ReservationRow>, StoreError> {
        let rows = self.all(select!(reservation "WHERE platform_id = $1").bind(id.as_str().to_owned())).await?;
        rows.iter().map(reservation).collect()
    }

    /// Reserves, or gives to another platform.
    pub async fn reserve(&mut self, row: &ReservationRow) -> Result<(), StoreError> {
        let upsert = "INSERT INTO reservation (host, prefix, platform_id, reserved_by, at, approved_by) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host, prefix) DO UPDATE SET \
                      platform_id = excluded.platform_id, reserved_by = excluded.reserved_by, at = excluded.at, \
                      approved_by = excluded.approved_by";
        let query = sqlx::query(upsert)
            .bind(row.host.clone())
            .bind(row.prefix.clone())
            .bind(row.platform.as_str().to_owned())
            .bind(row.reserved_by.clone())
            .bind(number(row.at))
            .bind(row.approved_by.clone());
        self.run(query).await.map(drop)
    }

    /// Takes a reservation back. `false` when there was none.
    pub async fn release(&mut self, id: &PlatformId, host: &str, prefix: &str) -> Result<bool, StoreError> {
        let delete = "DELETE FROM reservation WHERE host = $1 AND prefix = $2 AND platform_id = $3";
        let query = sqlx::query(delete).bind(host.to_owned()).bind(prefix.to_owned()).bind(id.as_str().to_owned());
        Ok(self.run(query).await? == 1)
    }

    /// Makes it so. Nothing of it was visible before, all of it is after. `Err`: the commit may have happened or not.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let update = "UPDATE register SET revision = $1, confirmed = $2, sequence = $3 WHERE one = 1";
        let query = sqlx::query(update)
            .bind(signed(self.standing.revision))
            .bind(signed(self.standing.confirmed))
            .bind(signed(self.sequence));
        self.run(query).await?;
        let Self { transaction, ends, _turn, .. } = self;
        within(ends, transaction.commit()).await
    }

    pub(super) async fn one(&mut self, query: Query) -> Result<AnyRow, StoreError> {
        within(self.ends, query.fetch_one(&mut *self.transaction)).await
    }

    pub(super) async fn optional(&mut self, query: Query) -> Result<Option<AnyRow>, StoreError> {
        within(self.ends, query.fetch_optional(&mut *self.transaction)).await
    }

    pub(super) async fn all(&mut self, query: Query) -> Result<Vec<AnyRow>, StoreError> {
        within(self.ends, query.fetch_all(&mut *self.transaction)).await
    }

    pub(super) async fn run(&mut self, query: Query) -> Result<u64, StoreError> {
        within(self.ends, query.execute(&mut *self.transaction)).await.map(|done| done.rows_affected())
    }
}

async fn within<T>(ends: Instant, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    let ends = ends.min(Instant::now() + CHANGE_MAX.max(DEADLINE));
    match timeout_at(ends, work).await {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(StoreError::away(AwayReason::Timeout, "durable store")),
    }
}

fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    row.try_get(column).map_err(failed)
}

fn lineage(row: &AnyRow) -> Result<Option<Lineage>, StoreError> {
    let unreadable = |_| StoreError::Corrupt { what: "a chain of issue" };
    maybe(row, "lineage")?.map(|text| text.parse()).transpose().map_err(unreadable)
}

fn maybe(row: &AnyRow, column: &str) -> Result<Option<String>, StoreError> {
    row.try_get(column).map_err(failed)
}

fn count(row: &AnyRow, column: &str) -> Result<u64, StoreError> {
    unsigned(row.try_get(column).map_err(failed)?)
}

fn maybe_count(row: &AnyRow, column: &str) -> Result<Option<u64>, StoreError> {
    row.try_get::<Option<i64>, _>(column).map_err(failed)?.map(unsigned).transpose()
}

fn when(row: &AnyRow, column: &str) -> Result<Timestamp, StoreError> {
    time(row.try_get(column).map_err(failed)?)
}

fn platform(row: &AnyRow, column: &str) -> Result<PlatformId, StoreError> {
    text(row, column)?.parse().map_err(|_| StoreError::Corrupt { what: "a platform's name" })
}

fn standing(row: &AnyRow) -> Result<Standing, StoreError> {
    Ok(Standing { id: text(row, "id")?, revision: count(row, "revision")?, confirmed: count(row, "confirmed")? })
}

fn filing(row: &AnyRow) -> Result<FilingRow, StoreError> {
    Ok(FilingRow {
        platform: platform(row, "platform_id")?,
        version: count(row, "version")?,
        state: text(row, "state")?,
        in_force: maybe_count(row, "in_force")?,
        notice: maybe(row, "notice")?,
        stopped_by: maybe(row, "stopped_by")?,
        draft: maybe_count(row, "draft")?,
        draft_state: maybe(row, "draft_state")?,
        submitted_by: maybe(row, "submitted_by")?,
        reason: maybe(row, "reason")?,
        decided: count(row, "decided")?,
        owner: text(row, "owner")?,
        division: text(row, "division")?,
        division_order: count(row, "division_order")?,
        name: text(row, "name")?,
        name_en: text(row, "name_en")?,
        valid_until: maybe(row, "valid_until")?,
        attested_at: maybe_count(row, "attested_at")?.map(Timestamp::from_millis),
        created_at: when(row, "created_at")?,
        changed_at: when(row, "changed_at")?,
        revision: count(row, "revision")?,
    })
}

fn history(row: &AnyRow) -> Result<HistoryRow, StoreError> {
    Ok(HistoryRow {
        version: count(row, "version")?,
        action: text(row, "action")?,
        actor: text(row, "actor")?,
        lineage: lineage(row)?,
        at: when(row, "at")?,
        reason: maybe(row, "reason")?,
        state: text(row, "state")?,
        in_force: maybe_count(row, "in_force")?,
        notice: maybe(row, "notice")?,
        document: None,
        has_document: count(row, "has_document")? == 1,
        before: maybe(row, "before_hash")?,
        after: text(row, "after_hash")?,
        request_id: text(row, "request_id")?,
    })
}

fn in_force(row: &AnyRow) -> Result<InForceRow, StoreError> {
    Ok(InForceRow {
        platform: platform(row, "platform_id")?,
        revision: count(row, "revision")?,
        state: text(row, "state")?,
        notice: maybe(row, "notice")?,
        document: text(row, "document")?,
    })
}

fn reservation(row: &AnyRow) -> Result<ReservationRow, StoreError> {
    Ok(ReservationRow {
        host: text(row, "host")?,
        prefix: text(row, "prefix")?,
        platform: platform(row, "platform_id")?,
        reserved_by: text(row, "reserved_by")?,
        approved_by: maybe(row, "approved_by")?,
        at: when(row, "at")?,
    })
}

fn node(row: &AnyRow) -> Result<NodeRow, StoreError> {
    Ok(NodeRow {
        name: text(row, "name")?,
        revision: count(row, "revision")?,
        seen_at: when(row, "seen_at")?,
        standing: text(row, "standing")?,
        quarantined: text(row, "quarantined")?,
    })
}
