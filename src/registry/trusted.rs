//! Which filings ask for the portal's own origin, for `yimen check`. A start does not say it each time: somebody decided so.

use std::path::Path;

use super::error::RegistryError;
use super::load::{document, filing_paths};
use crate::domain::PlatformDomain;
use crate::written::{Mistake, Mistakes};

/// A warning for each filing that is marked `trusted` although platforms have origins of their own below `domain`. Filings
/// that do not read are left out: `load` names them. `Err`: the folder of filings cannot be read.
pub fn trusted(directory: &Path, domain: &PlatformDomain) -> Result<Vec<Mistake>, RegistryError> {
    let mut told = Vec::new();
    for path in filing_paths(&directory.join("platforms"))? {
        let Ok(document) = document(&path) else { continue };
        let mistakes = Mistakes::default();
        let root = document.fields(&mistakes);
        if let Some(fields) = root.table("platform").filter(|fields| fields.flag("trusted", false)) {
            let expected = format!("a platform that is not trusted, which answers at ID.{domain}");
            let hint = "its scripts share the portal's origin and could act there as the person; review its pages";
            fields.warning(&fields.spot("trusted"), expected, Some(hint.to_owned()));
        }
        told.extend(mistakes.into_sorted());
    }
    Ok(told)
}
