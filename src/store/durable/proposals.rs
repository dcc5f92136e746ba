//! What takes two people besides filings: put by one, in effect when another has approved it. What each kind's object holds, and
//! who may decide, is known above.

use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::{Durable, Subtree, Writing, failed, number, time};
use crate::domain::{DivisionCode, Lineage, PrincipalId, Timestamp};
use crate::store::StoreError;

/// What would come into effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProposalKind {
    /// A person acts for a legal person.
    Role,
    /// A platform has a host or path prefix that is not its division's own.
    Reservation,
    /// People sign in by a provider.
    Realm,
}

impl ProposalKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Role, Self::Reservation, Self::Realm];

    /// The word in API and table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Reservation => "reservation",
            Self::Realm => "realm",
        }
    }
}

/// Where a proposal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalState {
    /// It waits for a second person, until it expires.
    Open,
    /// In effect.
    Approved,
    /// It will not be.
    Rejected,
}

impl ProposalState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Approved, Self::Rejected];

    /// The word in API and table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// A proposal as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRow {
    /// Version 7, so that proposals lie in order of coming.
    pub id: Uuid,
    /// What it would bring.
    pub kind: ProposalKind,
    /// Whose operators may see it.
    pub division: DivisionCode,
    /// JSON, of a shape of its kind; people are in it by the id of their account.
    pub object: String,
    /// Who proposed it.
    pub proposed_by: PrincipalId,
    /// By what credential.
    pub lineage: Lineage,
    /// When.
    pub proposed_at: Timestamp,
    /// Nobody can approve it from then on.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: ProposalState,
    /// Who decided, and when.
    pub decided: Option<(PrincipalId, Timestamp)>,
    /// Why it was rejected.
    pub reason: Option<String>,
}

impl Durable {
    /// Up to `limit` proposals of these kinds and divisions in order of coming, those after `after`. `state`: none for all.
    pub async fn proposals(
        &self,
        kinds: &[ProposalKind],
        subtree: Subtree,
        state: Option<ProposalState>,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Vec<ProposalRow>, StoreError> {
        let select = concat!(
            "SELECT * FROM proposal WHERE id > $1 AND ",
            division_order!("division"),
            " BETWEEN $2 AND $3 AND ($4 = '' OR state = $4) AND $5 LIKE '% ' || kind || ' %' ORDER BY id LIMIT $6"
        );
        let (first, last) = subtree.bounds();
        let kinds = kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>().join(" ");
        let work = sqlx::query(select)
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(first)
            .bind(last)
            .bind(state.map_or("", ProposalState::word))
            .bind(format!(" {kinds} "))
            .bind(i64::from(limit));
        let work = work.fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(proposal).collect()
    }

    /// One proposal.
    pub async fn proposal(&self, id: Uuid) -> Result<Option<ProposalRow>, StoreError> {
        let work = sqlx::query("SELECT * FROM proposal WHERE id = $1").bind(id.to_string());
        let work = work.fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(proposal).transpose()
    }
}

impl Writing {
    /// One proposal, as it is while nobody else can decide it.
    pub async fn proposal(&mut self, id: Uuid) -> Result<Option<ProposalRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM proposal WHERE id = $1").bind(id.to_string());
        self.optional(query).await?.as_ref().map(proposal).transpose()
    }

    /// How many proposals of a principal wait.
    pub async fn open_proposals(&mut self, by: &PrincipalId, now: Timestamp) -> Result<u64, StoreError> {
        let count =
            "SELECT count(*) FROM proposal WHERE state = 'open' AND expires_at > $1 AND lower(proposed_by) = lower($2)";
        let row = self.one(sqlx::query(count).bind(number(now)).bind(by.as_str().to_owned())).await?;
        super::unsigned(row.try_get(0).map_err(failed)?)
    }

    /// Adds a proposal, which is open.
    pub async fn propose(&mut self, row: &ProposalRow) -> Result<(), StoreError> {
        let insert = "INSERT INTO proposal (id, kind, division, object, proposed_by, lineage, proposed_at, expires_at, state) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open')";
        let query = sqlx::query(insert)
            .bind(row.id.to_string())
            .bind(row.kind.word())
            .bind(row.division.to_string())
            .bind(row.object.clone())
            .bind(row.proposed_by.as_str().to_owned())
            .bind(row.lineage.to_string())
            .bind(number(row.proposed_at))
            .bind(number(row.expires_at));
        self.run(query).await.map(drop)
    }

    /// Notes how a proposal was decided. `false`: it is not open.
    pub async fn decide(
        &mut self,
        id: Uuid,
        state: ProposalState,
        by: &Lineage,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = "UPDATE proposal SET state = $2, decided_by = $3, decision = $4, decided_at = $5, reason = $6 \
                      WHERE id = $1 AND state = 'open'";
        let query = sqlx::query(update)
            .bind(id.to_string())
            .bind(state.word())
            .bind(by.own().principal.as_str().to_owned())
            .bind(by.to_string())
            .bind(number(now))
            .bind(reason.map(str::to_owned));
        Ok(self.run(query).await? == 1)
    }
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a proposal" };

fn proposal(row: &AnyRow) -> Result<ProposalRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
    let when = |column: &str| time(row.try_get(column).map_err(failed)?);
    let (kind, state) = (text("kind")?, text("state")?);
    let decided_at = row.try_get::<Option<i64>, _>("decided_at").map_err(failed)?.map(time).transpose()?;
    let decided_by = maybe("decided_by")?.map(|by| by.parse()).transpose().map_err(|_| UNREADABLE)?;
    Ok(ProposalRow {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        kind: ProposalKind::ALL.into_iter().find(|known| known.word() == kind).ok_or(UNREADABLE)?,
        division: text("division")?.parse().map_err(|_| UNREADABLE)?,
        object: text("object")?,
        proposed_by: text("proposed_by")?.parse().map_err(|_| UNREADABLE)?,
        lineage: text("lineage")?.parse().map_err(|_| UNREADABLE)?,
        proposed_at: when("proposed_at")?,
        expires_at: when("expires_at")?,
        state: ProposalState::ALL.into_iter().find(|known| known.word() == state).ok_or(UNREADABLE)?,
        decided: decided_by.zip(decided_at),
        reason: maybe("reason")?,
    })
}
