//! Reservations: a host or path prefix is a platform's own before it files it, so that no filing can take the name of another.

use super::call::Write;
use super::change::of_record;
use super::error::RegisterError;
use super::place::{Wanted, reservation};
use super::rights::{Object, Right};
use super::view::Reservation;
use super::{Register, not_found};
use crate::domain::{Actor, PlatformId};
use crate::store::{ReservationRow, StoreError, Writing};

impl Register {
    /// Reserves a host (`None`: the portal's) and path prefix to a platform that has at least a draft. The same again changes
    /// nothing. Equal and nested reservations of two platforms are refused, unless the caller answers for both.
    pub async fn reserve(
        &self,
        write: &Write<'_>,
        id: &PlatformId,
        host: Option<&str>,
        prefix: &str,
    ) -> Result<Reservation, RegisterError> {
        let wanted = Wanted::of(host, prefix)?;
        let mut writing = self.durable.writing().await?;
        let row = writing.filing(id).await?.ok_or_else(|| not_found(id))?;
        self.judge(write.actor, Right::Reserve, &row)?;
        let there = writing.reservations(&wanted.host).await?;
        for other in there.iter().filter(|other| other.platform != *id && wanted.overlaps(other)) {
            self.answers_for(write.actor, &mut writing, other, &wanted).await?;
        }
        let same = there.iter().find(|row| row.platform == *id && row.prefix == wanted.prefix).cloned();
        let made = same.clone().unwrap_or_else(|| ReservationRow {
            host: wanted.host.clone(),
            prefix: wanted.prefix.clone(),
            platform: id.clone(),
            reserved_by: write.actor.principal.to_string(),
            at: write.now,
        });
        if same.is_none() && !write.dry_run {
            writing.reserve(&made).await?;
            let object = format!("{id}: {}", wanted.place());
            writing.record(&of_record(write, "reserve", &object, None, None)).await?;
            writing.commit().await?;
        }
        reservation(made).ok_or(RegisterError::Away(StoreError::Corrupt { what: "a reservation" }))
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
        let nation = Object { division: crate::domain::DivisionCode::NATION, platform: None };
        self.judge_at(write.actor, Right::Administer, nation)?;
        let mut writing = self.durable.writing().await?;
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
