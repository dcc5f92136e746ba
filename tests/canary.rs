//! A new version of a platform meets a share of the people, those who ask for it, or those of a division, and always the same.

use reqwest::Method;

use crate::support::citizen::Citizen;
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::window::QUALIFICATION;

struct Versions {
    old: FaultyPlatform,
    new: FaultyPlatform,
    gateway: Gateway,
}

impl Versions {
    async fn with(canary: &str) -> Self {
        let (old, new) = (FaultyPlatform::start(Mood::Answering), FaultyPlatform::start(Mood::Answering));
        let gateway = Gateway::with(|setup| {
            setup.set("public.trusted_proxies", ["127.0.0.1/32"].into_iter().collect::<toml_edit::Array>());
            let filing = Filing::of("trying", "330000").with(&format!("canary = {{ {canary} }}"));
            let filing = filing.at(old.address).path("/trying/", "access = \"open\"");
            setup.filings = vec![filing.item(QUALIFICATION, "access = \"open\"").canary_at(new.address)];
        })
        .await;
        Self { old, new, gateway }
    }

    /// Whether the new version answered a request with this field.
    async fn is_new(&self, path: &str, name: &str, value: &str) -> bool {
        let before = self.new.received();
        let citizen = Citizen::of_http1(&self.gateway);
        citizen.send(citizen.request(Method::GET, path).header(name, value)).await.has_status(200);
        self.new.received() > before
    }
}

#[tokio::test]
async fn a_share_of_the_addresses_meets_the_new_version_and_each_always_the_same() {
    let versions = Versions::with("share = 30").await;
    let mut met = 0;
    for number in 0..60 {
        let address = format!("10.0.0.{number}");
        let first = versions.is_new("/trying/", "x-forwarded-for", &address).await;
        assert_eq!(versions.is_new("/trying/", "x-forwarded-for", &address).await, first, "{address}");
        met += u32::from(first);
    }
    assert!((6..=32).contains(&met), "{met} of 60 at 30 %");
}

#[tokio::test]
async fn those_who_ask_for_it_and_those_of_a_division_meet_it_and_nobody_else() {
    let versions = Versions::with("header = \"x-try: new\", divisions = [\"330106\"]").await;
    assert!(versions.is_new("/trying/", "x-try", "new").await);
    assert!(!versions.is_new("/trying/", "x-try", "old").await);
    assert!(versions.is_new(&format!("/s/330106/{QUALIFICATION}/"), "x-try", "old").await);
    assert!(!versions.is_new(&format!("/s/330105/{QUALIFICATION}/"), "x-try", "old").await);
}

#[tokio::test]
async fn where_the_new_version_breaks_off_the_old_one_answers() {
    let versions = Versions::with("share = 100").await;
    assert!(versions.is_new("/trying/", "accept", "*/*").await);
    versions.new.becomes(Mood::Closing);
    let citizen = Citizen::of(&versions.gateway);
    for _ in 0..10 {
        citizen.get("/trying/").await.has_status(200);
    }
    assert!(versions.old.received() >= 10);
}
