//! A whole window: a gateway with sample platforms of every level behind it.

use super::citizen::Citizen;
use super::filing::Filing;
use super::gateway::{Gateway, Setup};
use super::platform::SamplePlatforms;
use super::totp::next_code;

/// An item that Hangzhou answers for its people, and the ministry for everybody else; needs a signed-in person.
pub const NOTARY: &str = "002099001000";
/// An item that only the ministry answers; open to everybody.
pub const QUALIFICATION: &str = "002099006000";
/// An item nobody has filed.
pub const UNFILED: &str = "000799013000";
/// Login and password of the account that `Window` adds; its assurance is L3, of which a password alone proves L2.
pub const ZHANG: (&str, &str) = ("zhang", "four brave horses 4");

/// The gateway, and the processes behind it.
#[derive(Debug)]
pub struct Window {
    pub gateway: Gateway,
    pub platforms: SamplePlatforms,
}

impl Window {
    /// With the usual filings.
    pub async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// With what `change` does to the setup before it starts; filings without an address get a sample platform.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::new();
        setup.filings = usual_filings();
        change(&mut setup);
        let unplaced: Vec<String> = setup.filings.iter().filter(|f| f.is_unplaced()).map(|f| f.id.clone()).collect();
        let ids: Vec<&str> = unplaced.iter().map(String::as_str).collect();
        let origin = setup.origin();
        let platforms = SamplePlatforms::start(&ids, &origin, &setup.certificate_file(), setup.folder.path()).await;
        for filing in setup.filings.iter_mut().filter(|filing| filing.is_unplaced()) {
            *filing = filing.clone().at(platforms.at(&filing.id));
        }
        let gateway = setup.start().await;
        gateway.add_account(ZHANG.0, ZHANG.1, "L3");
        Self { gateway, platforms }
    }

    /// Somebody without cookies.
    pub fn citizen(&self) -> Citizen {
        Citizen::of(&self.gateway)
    }

    /// Somebody who has signed in with two factors.
    pub async fn signed_in_surely(&self) -> Citizen {
        let citizen = self.signed_in().await;
        let secret = citizen.sets_an_app().await;
        citizen.shows_code(&next_code(&secret), "/", "L3").await.leads_to(303, "/");
        citizen
    }

    /// Somebody who has signed in.
    pub async fn signed_in(&self) -> Citizen {
        let citizen = self.citizen();
        citizen.sign_in(ZHANG.0, ZHANG.1).await;
        citizen
    }
}

fn usual_filings() -> Vec<Filing> {
    let signed_in = "access = \"required\"\nassurance = \"L1\"";
    vec![
        Filing::of("ministry", "100000").item(NOTARY, signed_in).item(QUALIFICATION, "access = \"optional\""),
        Filing::of("hangzhou", "330100")
            .item(NOTARY, signed_in)
            .path("/hangzhou/", "access = \"optional\"\nwebsocket = true\nbody_bytes_max = 209715200")
            .path("/hangzhou/strict/", "access = \"required\"\nassurance = \"L3\"")
            .path("/hangzhou/certified/", "access = \"required\"\nassurance = \"L4\"")
            .path("/hangzhou/small/", "access = \"open\"\nbody_bytes_max = 1000")
            .path("/hangzhou/hasty/", "access = \"open\"\n[route.deadlines]\nfirst_byte_ms = 200")
            .path("/hangzhou/old/", "action = \"gone\"\nnotice = \"moved to the county halls\"")
            .path("/hangzhou/closed/", "action = \"maintenance\"\nnotice = \"back at noon\"\nretry_after_s = 600"),
        Filing::of("kunming", "530100").state("suspended", "under review").path("/kunming/", "access = \"open\""),
    ]
}
