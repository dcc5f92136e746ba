//! Reservations: a host or path prefix is a platform's own before it files it, so that no filing can take the name of another.
//! A place of its own division (`/330200/…` on the portal's hosts) is reserved by one operator of it; any other is a name in the
//! whole country, and two people vouch for it, the second an operator of the nation.

use serde_json::json;

use super::call::Write;
use super::change::{of_record, still_holds};
use super::error::RegisterError;
use super::place::{Wanted, is_own, reservation};
use super::proposals::Decision;
use super::read::division;
use super::rights::{Object, Right};
use super::view::Reservation;
use super::{Register, not_found};
use crate::domain::{Actor, DivisionCode, PlatformId};
use crate::store::{FilingRow, ProposalKind, ProposalRow, ReservationRow, StoreError, Writing};

/// Places of one platform: a filing that needs more lists routes below fewer prefixes.
const OF_ONE_MAX: usize = 100;

/// What became of a wish for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// It is the platform's.
    Done(Reservation),
    /// It will be, when somebody else approves.
    Proposed(Box<ProposalRow>),
}

impl Register {
    /// Reserves a host (`None`: the portal's) and path prefix to a platform that has at least a draft, or proposes to, where the
    /// place is not its division's own. The same again changes nothing. Equal and nested reservations of two platforms are
    /// refused, unless the caller answers for both.
    pub async fn reserve(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        host: Option<&str>,
        prefix: &str,
    ) -> Result<Reserved, RegisterError> {
        let wanted = Wanted::of(host, prefix)?;
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let row = writing.filing(id).await?.ok_or_else(|| not_found(id))?;
        let own = is_own(&wanted.host, &wanted.prefix, division(&row)?);
        let (made, same) = self.placed_in(&mut writing, write, &row, &wanted).await?;
        if same {
            return shown(made).map(Reserved::Done);
        }
        if !own {
            drop(writing); // everything is looked at again when it is approved
            let object = json!({ "platform": id, "host": wanted.host, "prefix": wanted.prefix });
            let proposed = self.propose(write, ProposalKind::Reservation, division(&row)?, &object).await?;
            return Ok(Reserved::Proposed(Box::new(proposed)));
        }
        if !write.dry_run {
            self.keep_place(&mut writing, write, &made).await?;
            writing.commit().await?;
        }
        shown(made).map(Reserved::Done)
    }

    /// Carries a proposed reservation out, in the transaction of its approval.
    pub async fn reserve_approved(
        &self,
        decision: &mut Decision,
        write: &Write<'_>,
    ) -> Result<Reservation, RegisterError> {
        let Decision { row: proposal, writing } = decision;
        let object: serde_json::Value = serde_json::from_str(&proposal.object).map_err(|_| UNREADABLE)?;
        let text = |key: &str| object.get(key).and_then(serde_json::Value::as_str).ok_or(UNREADABLE);
        let id: PlatformId = text("platform")?.parse().map_err(|_| UNREADABLE)?;
        let prefix = if text("prefix")?.is_empty() { "/" } else { text("prefix")? };
        let wanted = Wanted::of(Some(text("host")?), prefix)?;
        let row = writing.filing(&id).await?.ok_or_else(|| not_found(&id))?;
        let (made, _) = self.placed_in(writing, write, &row, &wanted).await?;
        let reserved_by = proposal.proposed_by.to_string();
        let made = ReservationRow { reserved_by, approved_by: Some(write.actor.principal.to_string()), ..made };
        self.keep_place(writing, write, &made).await?;
        shown(made)
    }

    /// Whether the caller may give the platform that place, and whether the platform has it already.
    async fn placed_in(
        &self,
        writing: &mut Writing,
        write: &Write<'_>,
        row: &FilingRow,
        wanted: &Wanted,
    ) -> Result<(ReservationRow, bool), RegisterError> {
        let id = &row.platform;
        self.judge(write.actor, Right::Reserve, row)?;
        let there = writing.reservations(&wanted.host).await?;
        for other in there.iter().filter(|other| other.platform != *id && wanted.overlaps(other)) {
            self.answers_for(write.actor, writing, other, wanted).await?;
        }
        let own = is_own(&wanted.host, &wanted.prefix, division(row)?);
        let stands = |there: &&ReservationRow| own || there.approved_by.is_some();
        let same = there.iter().find(|there| there.platform == *id && there.prefix == wanted.prefix);
        if let Some(same) = same.filter(stands) {
            return Ok((same.clone(), true));
        }
        if writing.reserved_to(id).await?.len() >= OF_ONE_MAX {
            return Err(RegisterError::TooMany { what: "places of one platform", max: OF_ONE_MAX });
        }
        let made = ReservationRow {
            host: wanted.host.clone(),
            prefix: wanted.prefix.clone(),
            platform: id.clone(),
            reserved_by: write.actor.principal.to_string(),
            approved_by: None,
            at: write.now,
        };
        Ok((made, false))
    }

    async fn keep_place(
        &self,
        writing: &mut Writing,
        write: &Write<'_>,
        made: &ReservationRow,
    ) -> Result<(), RegisterError> {
        writing.reserve(made).await?;
        let object = format!("{}: {}", made.platform, Wanted::of_row(made).place());
        Ok(writing.record(&of_record(write, "reserve", &object, None, None)).await?)
    }

    /// Takes a reservation back. What is in force there goes on; it can no more be filed.
    pub async fn release(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        host: Option<&str>,
        prefix: &str,
    ) -> Result<(), RegisterError> {
        let wanted = Wanted::of(host, prefix)?;
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let row = writing.filing(id).await?.ok_or_else(|| not_found(id))?;
        self.judge(write.actor, Right::Reserve, &row)?;
        if !writing.release(id, &wanted.host, &wanted.prefix).await? {
            return Err(RegisterError::NotFound { what: format!("reservation of {} for {id}", wanted.place()) });
        }
        if !write.dry_run {
            let object = format!("{id}: {}", wanted.place());
            writing.record(&of_record(write, "release", &object, None, None)).await?;
            writing.commit().await?;
        }
        Ok(())
    }

    /// The reservations of a platform.
    pub async fn reservations(&self, actor: &Actor, id: &PlatformId) -> Result<Vec<Reservation>, RegisterError> {
        let row = self.durable.filing(id).await?.ok_or_else(|| not_found(id))?;
        self.judge(actor, Right::Read, &row)?;
        Ok(self.durable.reservations(id).await?.into_iter().filter_map(reservation).collect())
    }

    /// Whether the caller may also reserve for whoever has `other`; named only to those who may see them.
    async fn answers_for(
        &self,
        actor: &Actor,
        writing: &mut Writing,
        other: &ReservationRow,
        wanted: &Wanted,
    ) -> Result<(), RegisterError> {
        let Some(holder) = writing.filing(&other.platform).await? else { return Ok(()) };
        if other.prefix != wanted.prefix && self.judge(actor, Right::Reserve, &holder).is_ok() {
            return Ok(());
        }
        let seen = self.judge(actor, Right::Read, &holder).is_ok();
        let holder = seen.then(|| other.platform.clone());
        Err(RegisterError::PlaceTaken { route: None, place: wanted.place(), holder })
    }

    /// Lets nodes take a set of filings that is empty or much smaller than what they serve. Right: `administer`. The revision
    /// up to which that holds.
    pub async fn confirm(&self, write: &Write<'_>) -> Result<u64, RegisterError> {
        let nation = Object { division: DivisionCode::NATION, platform: None };
        self.judge_at(write.actor, Right::Administer, nation)?;
        let mut writing = self.durable.writing().await?;
        still_holds(write, &mut writing).await?;
        let revision = writing.publish();
        writing.confirm();
        if !write.dry_run {
            writing.record(&of_record(write, "confirm", "register", None, None)).await?;
            writing.commit().await?;
            self.published(write.now).await;
        }
        Ok(revision)
    }
}

const UNREADABLE: RegisterError = RegisterError::Away(StoreError::Corrupt { what: "a reservation" });

fn shown(row: ReservationRow) -> Result<Reservation, RegisterError> {
    reservation(row).ok_or(UNREADABLE)
}
