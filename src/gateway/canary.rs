//! Who is sent to the instances that a filing marks `canary`: those who ask for it by a header, those who ask for a division
//! it is tried in, and a share of the others. The share goes by person, or by address where nobody is signed in: the same
//! person meets the same version in every session and on every node, and a larger share keeps whom a smaller one had.
//! Where the canary does not answer, the other instances do; where those do not, the canary is not made to carry all.
//! Cost: one branch for a platform without canaries.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use http::HeaderMap;

use super::context::Visit;
use crate::domain::{DivisionCode, PlatformId};
use crate::routing::{Canary, Divisions};

/// Whether the request asks for a division that the canary is tried in, or one below it.
pub(crate) fn tried_in(canary: &Canary, asked: Option<DivisionCode>, divisions: &Divisions) -> bool {
    asked.is_some_and(|asked| canary.divisions.iter().any(|division| divisions.is_within(asked, *division)))
}

/// Whether this visit goes to the canary.
pub(crate) fn chosen(canary: &Canary, visit: &Visit, headers: &HeaderMap, client: Option<IpAddr>) -> bool {
    let asked_for = |(name, value): &(Box<str>, Box<str>)| {
        headers.get_all(&**name).iter().any(|said| said.as_bytes() == value.as_bytes())
    };
    if visit.canary_division || canary.header.as_ref().is_some_and(asked_for) {
        return true;
    }
    match (&visit.session, client) {
        (Some(live), _) => falls(canary.share, &visit.platform.id, &live.session.subject),
        (None, Some(address)) => falls(canary.share, &visit.platform.id, &address),
        (None, None) => false,
    }
}

/// The hasher has fixed keys, so that all nodes say the same.
fn falls(share: u8, platform: &PlatformId, who: &impl Hash) -> bool {
    let mut hasher = DefaultHasher::new();
    (platform, who).hash(&mut hasher);
    hasher.finish() % 100 < u64::from(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_share_and_a_larger_one_keeps_whom_a_smaller_one_had() {
        let platform: PlatformId = "hangzhou".parse().unwrap();
        let of = |share: u8| (0..10_000_u32).filter(|who| falls(share, &platform, who)).collect::<Vec<_>>();
        let (none, small, large, all) = (of(0), of(5), of(30), of(100));
        assert_eq!((none.len(), all.len()), (0, 10_000));
        assert!((400..600).contains(&small.len()) && (2_800..3_200).contains(&large.len()));
        assert!(small.iter().all(|who| large.contains(who)));
    }
}
