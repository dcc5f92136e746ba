//! What can be wrong with reference data and filings.

use crate::domain::{DivisionCode, ItemCode, PlatformId};

/// Why data could not be read, or a filing is not in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A data file does not read.
    #[error("{file} does not read: {reason}; restore it from the release")]
    BadData {
        /// `divisions`, `streets` or `items`.
        file: &'static str,
        /// What is wrong, with the line where there is one.
        reason: String,
    },
    /// Two filings want the same place: equal rank, so neither is nearer.
    #[error("{place} belongs to platform {holder}; file another place or ask {holder} to withdraw it")]
    Taken {
        /// Who was refused.
        platform: PlatformId,
        /// Index of its route.
        route: usize,
        /// What both want, in words.
        place: String,
        /// Who has it.
        holder: PlatformId,
    },
    /// Two filings bear one name.
    #[error("platform {platform} is filed twice; give one of them another id")]
    SameId {
        /// The name.
        platform: PlatformId,
    },
    /// The item is not in the catalogue.
    #[error("service item {item} is not in the catalogue; look it up in items.csv")]
    UnknownItem {
        /// Who was refused.
        platform: PlatformId,
        /// Index of its route.
        route: usize,
        /// The item.
        item: ItemCode,
    },
    /// The division does not exist, or only groups others.
    #[error("division {division} does not exist or only groups others; look it up in divisions.csv")]
    UnknownDivision {
        /// Who was refused.
        platform: PlatformId,
        /// Index of its route.
        route: usize,
        /// The division.
        division: DivisionCode,
    },
    /// More routes than an entry can count.
    #[error("platform {platform} files more than 65535 routes; list items and divisions in fewer routes")]
    TooManyRoutes {
        /// Who was refused.
        platform: PlatformId,
    },
}

impl RoutingError {
    /// The route it is about, where it is about one.
    pub fn route(&self) -> Option<usize> {
        match self {
            Self::Taken { route, .. } | Self::UnknownItem { route, .. } | Self::UnknownDivision { route, .. } => {
                Some(*route)
            }
            Self::BadData { .. } | Self::SameId { .. } | Self::TooManyRoutes { .. } => None,
        }
    }

    /// The platform refused, where it is about one.
    pub fn platform(&self) -> Option<&PlatformId> {
        match self {
            Self::Taken { platform, .. }
            | Self::SameId { platform }
            | Self::UnknownItem { platform, .. }
            | Self::UnknownDivision { platform, .. }
            | Self::TooManyRoutes { platform } => Some(platform),
            Self::BadData { .. } => None,
        }
    }
}
