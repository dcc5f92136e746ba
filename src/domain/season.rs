//! The part of a year in which a platform is meant to be used.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

/// From a day of the year to another, both in it; it may go over the end of the year, as heating does. Written
/// `06-01..07-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Season {
    from: (i8, i8),
    to: (i8, i8),
}

impl Season {
    /// Whether the day is in it.
    pub fn contains(self, day: Date) -> bool {
        let day = (day.month(), day.day());
        if self.from <= self.to { self.from <= day && day <= self.to } else { self.from <= day || day <= self.to }
    }
}

impl fmt::Display for Season {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((month, day), (last_month, last_day)) = (self.from, self.to);
        write!(out, "{month:02}-{day:02}..{last_month:02}-{last_day:02}")
    }
}

/// The text names no season.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no season; write its first and last day as month and day, such as \"06-01..07-31\"")]
pub struct BadSeason(pub String);

impl FromStr for Season {
    type Err = BadSeason;

    fn from_str(text: &str) -> Result<Self, BadSeason> {
        let bad = || BadSeason(text.to_owned());
        let (from, to) = text.split_once("..").ok_or_else(bad)?;
        Ok(Self { from: day_of_year(from).ok_or_else(bad)?, to: day_of_year(to).ok_or_else(bad)? })
    }
}

/// In a leap year, so that 29 February is a day.
fn day_of_year(text: &str) -> Option<(i8, i8)> {
    let day: Date = format!("2024-{text}").parse().ok().filter(|_| text.len() == 5)?;
    Some((day.month(), day.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_holds_its_first_and_its_last_day_and_may_go_over_the_new_year() {
        let holds = |season: &str, day: &str| season.parse::<Season>().unwrap().contains(day.parse().unwrap());
        for (season, inside, outside) in [
            ("06-01..07-31", ["2026-06-01", "2026-07-31"], ["2026-05-31", "2026-08-01"]),
            ("11-15..03-15", ["2026-12-31", "2027-03-15"], ["2026-11-14", "2027-03-16"]),
            ("02-29..02-29", ["2028-02-29", "2024-02-29"], ["2026-02-28", "2026-03-01"]),
        ] {
            assert!(inside.iter().all(|day| holds(season, day)), "{season}");
            assert!(!outside.iter().any(|day| holds(season, day)), "{season}");
            assert_eq!(season.parse::<Season>().unwrap().to_string(), season);
        }
    }

    #[test]
    fn what_is_no_season_is_refused() {
        for text in ["", "06-01", "06-01..", "6-1..7-31", "06-31..07-01", "13-01..01-01", "2026-06-01..2026-07-31"] {
            assert!(text.parse::<Season>().is_err(), "{text}");
        }
    }
}
