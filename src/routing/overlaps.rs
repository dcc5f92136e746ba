//! Two platforms for one item and division: the nearer one answers, so the other was built twice or stands by.

use serde::Serialize;

use super::policy::Matches;
use super::services::Climb;
use super::table::RouteTable;
use crate::domain::{DivisionCode, ItemCode, PlatformId};

/// Where two platforms have filed one item for one division.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The item.
    pub item: ItemCode,
    /// The division, as the nearer one has filed it.
    pub division: DivisionCode,
    /// Who answers there.
    pub platform: PlatformId,
    /// Who would answer if that one did not, with everything above in its subtree.
    pub other: PlatformId,
    /// The division that the other has filed it for.
    pub other_division: DivisionCode,
}

impl RouteTable {
    /// What `platform` answers in the place of others, in the order of its filing. One climb for each item and division, made
    /// as the iterator is read: take as many as are wanted.
    pub fn overlaps<'a>(&'a self, platform: &str) -> impl Iterator<Item = Overlap> + use<'a> {
        let number = self.numbers.get(platform).copied();
        let filed = number.and_then(|number| self.platforms.get(number));
        let claims = filed.into_iter().flat_map(|filed| filed.routes.iter()).flat_map(|route| match &route.matches {
            Matches::Items { codes, divisions, .. } => Some((codes, divisions)),
            Matches::Path { .. } => None,
        });
        let claims = claims.flat_map(|(items, divisions)| {
            items.iter().flat_map(move |item| divisions.iter().map(move |division| (*item, *division)))
        });
        claims.filter_map(move |(item, division)| self.overlap(number?, item, division))
    }

    fn overlap(&self, nearer: u32, item: ItemCode, division: DivisionCode) -> Option<Overlap> {
        let place = self.divisions.number(division).filter(|place| *place != 0)?; // nothing is above the nation
        let climb = Climb { item: self.items.number(item)?, asked: None };
        let above = self.services.nearest(&self.divisions, climb, self.divisions.above(place))?;
        let name = |number| self.platforms.get(number).map(|platform| platform.id.clone());
        (above.holder.platform != nearer).then_some(())?;
        Some(Overlap {
            item,
            division,
            platform: name(nearer)?,
            other: name(above.holder.platform)?,
            other_division: self.divisions.at(above.division)?.code,
        })
    }
}
