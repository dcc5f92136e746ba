//! What auditors and operators read: platforms that nobody needs, and those that do the same.

use jiff::Span;
use jiff::civil::Date;
use serde::Serialize;

use super::Register;
use super::call::{Filter, PAGE_MAX, Page};
use super::error::RegisterError;
use super::view::Summary;
use crate::domain::{Actor, PlatformId, Season, Timestamp};
use crate::registry::FilingState;
use crate::routing::Overlap;
use crate::usage::{Filed, Judgement, days_after, judge};

/// Days of use that a report looks at: its longest window.
const LOOKED_AT_DAYS: i64 = 180;
/// Filings that one call looks through at most, so that a report over a country ends in time; the page says where to go on.
const LOOKED_THROUGH_MAX: usize = 4 * PAGE_MAX as usize;
/// Platforms named as doing the same as one.
const OTHERS_MAX: usize = 10;

/// A platform that nobody gets anything out of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zombie {
    /// Its filing.
    pub filing: Summary,
    /// Its use, and all that speaks against it.
    #[serde(flatten)]
    pub judgement: Judgement,
}

/// Zombies by platform. An empty page with a `next` means: none so far, go on there.
pub type ZombiePage = Page<Zombie, PlatformId>;
/// Overlaps by platform. All of one platform, 500 at most, stand on one page, which may be longer for it than was asked for.
pub type OverlapPage = Page<Overlap, PlatformId>;

impl Register {
    /// Filings in force or suspended that the caller may read and out of which nobody got anything for `idle_days` days of their
    /// season; at most `limit`. A platform is judged from the day on which it was first filed here: nothing was counted before.
    pub async fn zombies(
        &self,
        actor: &Actor,
        filter: &Filter,
        idle_days: u32,
        after: Option<&PlatformId>,
        limit: u16,
        now: Timestamp,
    ) -> Result<ZombiePage, RegisterError> {
        let limit = usize::from(limit);
        let (mut entries, mut next, mut looked) = (Vec::new(), after.cloned(), 0);
        loop {
            let page = self.list(actor, filter, next.as_ref(), PAGE_MAX, now).await?;
            looked += page.entries.len();
            entries.extend(self.zombies_among(&page.entries, idle_days, now).await?);
            next = page.next;
            if entries.len() > limit {
                entries.truncate(limit);
                next = entries.last().map(|last: &Zombie| last.filing.id.clone());
            }
            if next.is_none() || looked >= LOOKED_THROUGH_MAX || entries.len() >= limit {
                return Ok(Page { entries, next });
            }
        }
    }

    /// What platforms that the caller may read answer in the place of others, as this node's table has it; once there are `limit`
    /// the page ends.
    pub async fn overlaps(
        &self,
        actor: &Actor,
        filter: &Filter,
        after: Option<&PlatformId>,
        limit: u16,
        now: Timestamp,
    ) -> Result<OverlapPage, RegisterError> {
        let table = self.routes().snapshot();
        let (mut entries, mut next, mut looked) = (Vec::new(), after.cloned(), 0);
        loop {
            let page = self.list(actor, filter, next.as_ref(), PAGE_MAX, now).await?;
            for filing in &page.entries {
                looked += 1;
                entries.extend(table.overlaps(filing.id.as_str()).take(usize::from(PAGE_MAX)));
                next = Some(filing.id.clone());
                if entries.len() >= usize::from(limit) || looked >= LOOKED_THROUGH_MAX {
                    return Ok(Page { entries, next });
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(Page { entries, next });
            }
        }
    }

    async fn zombies_among(
        &self,
        filings: &[Summary],
        idle_days: u32,
        now: Timestamp,
    ) -> Result<Vec<Zombie>, RegisterError> {
        let (Some(first), Some(last)) = (filings.first(), filings.last()) else { return Ok(Vec::new()) };
        let last_days = self.durable.last_days(&first.id, &last.id).await?;
        let mut zombies = Vec::new();
        for filing in filings.iter().filter(|filing| is_served(filing)) {
            let since = filing.created_at.day();
            let used = last_days.binary_search_by(|(platform, _)| platform.cmp(&filing.id)).ok();
            let used = used.and_then(|place| last_days.get(place)?.1.parse::<Date>().ok()).unwrap_or(since).max(since);
            if used.until(now.day()).map_or(0, |span| i64::from(span.get_days())) < i64::from(idle_days) {
                continue; // a season can only make it less idle
            }
            let judgement = self.judged(filing, idle_days, now).await?;
            if judgement.zombie {
                zombies.push(Zombie { filing: filing.clone(), judgement });
            }
        }
        Ok(zombies)
    }

    async fn judged(&self, filing: &Summary, idle_days: u32, now: Timestamp) -> Result<Judgement, RegisterError> {
        let today = now.day();
        let looked_at = LOOKED_AT_DAYS.max(idle_days.into());
        let begin = today.checked_sub(Span::new().days(looked_at)).unwrap_or(Date::MIN);
        let days = days_after(&self.durable, &filing.id, begin).await?;
        let mut overlaps: Vec<PlatformId> = Vec::new();
        for overlap in self.routes().snapshot().overlaps(filing.id.as_str()).take(usize::from(PAGE_MAX)) {
            if overlaps.len() < OTHERS_MAX && !overlaps.contains(&overlap.other) {
                overlaps.push(overlap.other);
            }
        }
        let filed = Filed {
            platform: filing.id.clone(),
            since: filing.created_at.day(),
            valid_until: filing.valid_until.as_deref().and_then(|last| last.parse().ok()),
            attested: filing.attested_at.map(Timestamp::day),
            season: self.season(filing).await?,
            overlaps,
        };
        Ok(judge(&filed, &days, idle_days, today))
    }

    async fn season(&self, filing: &Summary) -> Result<Option<Season>, RegisterError> {
        let in_force = self.durable.in_force(&filing.id).await?;
        let document = in_force.and_then(|row| serde_json::from_str::<serde_json::Value>(&row.document).ok());
        Ok(document.and_then(|document| document.pointer("/platform/season")?.as_str()?.parse().ok()))
    }
}

/// Whether people are sent there, or told that it is away for a while. Drafts and what is retired cannot be used.
fn is_served(filing: &Summary) -> bool {
    matches!(filing.state, FilingState::Approved | FilingState::Suspended)
}
