//! The register of a test: principals of its divisions, and filings of platforms as JSON.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use yimen::config::{RegisterStoreConfig, SessionStoreConfig};
use yimen::domain::{Actor, Credential, Lineage, Link, PlatformId, Role, Timestamp};
use yimen::metrics::Metrics;
use yimen::registry::{
    AddressPolicy, Done, Expected, FilingView, Register, RegisterError, RegisterParts, Reserved, Rules, Version, Write,
};
use yimen::store::{Durable, RegisterNotices};

use super::redis::Redis;

pub const PORTAL: &str = "zwfw.example.gov";
pub const HANGZHOU: &str = "330100";
pub const ZHEJIANG: &str = "330000";
pub const SHANGHAI: &str = "310000";
pub const NATION: &str = "100000";

/// A node's register without the rest of the node.
pub struct Office {
    pub register: Arc<Register>,
    pub folder: TempDir,
    pub metrics: Arc<Metrics>,
    store: RegisterStoreConfig,
}

impl Office {
    /// A node with a folder of its own and no files, on this store.
    pub async fn open(store: RegisterStoreConfig) -> Self {
        Self::try_open(store, tempfile::tempdir().unwrap(), now()).await.unwrap()
    }

    /// One that tells others by Redis, and lets platforms be on this machine.
    pub async fn with_word(store: RegisterStoreConfig, redis: &Redis) -> Self {
        let notices = RegisterNotices::of(&SessionStoreConfig::Redis(redis.config())).unwrap();
        let here = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new());
        Self::made(store, tempfile::tempdir().unwrap(), now(), notices, here).await.unwrap()
    }

    pub async fn try_open(store: RegisterStoreConfig, folder: TempDir, now: Timestamp) -> Result<Self, String> {
        let nowhere = AddressPolicy::new(Vec::new(), Vec::new());
        Self::made(store, folder, now, RegisterNotices::none(), nowhere).await
    }

    async fn made(
        store: RegisterStoreConfig,
        folder: TempDir,
        now: Timestamp,
        notices: RegisterNotices,
        addresses: AddressPolicy,
    ) -> Result<Self, String> {
        let routes = folder.path().join("routes");
        if !routes.exists() {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
            std::fs::create_dir_all(routes.join("platforms")).unwrap();
            for name in ["divisions.csv", "streets.csv.gz", "items.csv"] {
                std::fs::copy(from.join(name), routes.join(name)).unwrap();
            }
        }
        let metrics = Arc::new(Metrics::new().unwrap());
        let rules = Rules::read(&routes, vec![PORTAL.to_owned()], None, addresses).unwrap();
        let data = folder.path().to_owned();
        let parts = RegisterParts {
            durable: Arc::new(Durable::of(&store).await.map_err(|error| error.to_string())?),
            rules,
            routes_directory: routes,
            sync_at_start: false,
            data_directory: folder.path().to_owned(),
            notices,
            node: data.file_name().unwrap().to_string_lossy().into_owned(),
            metrics: metrics.clone(),
        };
        let (register, _) = Register::open(parts, now).await.map_err(|error| error.to_string())?;
        Ok(Self { register, folder, metrics, store })
    }

    /// The same node, started again.
    pub async fn restarted(self) -> Result<Self, String> {
        let Self { register, folder, store, .. } = self;
        drop(register);
        Self::try_open(store, folder, now()).await
    }

    /// Another node of the same register.
    pub async fn another(&self) -> Self {
        Self::open(self.store.clone()).await
    }

    /// Looks at the register, as a notice makes a node do.
    pub async fn looks(&self) {
        let (stop, stopped) = tokio::sync::watch::channel(true);
        self.register.clone().run(stopped).await;
        drop(stop);
    }

    /// What is found at an address of the portal: platform and its state.
    pub fn found(&self, path: &str) -> Option<(String, &'static str)> {
        match self.register.routes().snapshot().find(PORTAL, path) {
            yimen::routing::Answer::Route(found) => Some((found.platform.id.to_string(), found.platform.state.word())),
            _ => None,
        }
    }

    pub async fn view(&self, platform: &str) -> FilingView {
        self.register.get(&operator("look", NATION), &id(platform), now()).await.unwrap()
    }

    /// Reserves a place by two people of the nation.
    pub async fn reserved(&self, platform: &PlatformId, host: Option<&str>, prefix: &str) {
        let (maker, checker) = (operator("maker", NATION), operator("checker", NATION));
        let reserved = self.register.reserve(&by(&maker), platform, host, prefix).await.unwrap();
        if let Reserved::Proposed(row) = reserved {
            let mut decision = self.register.approval(&by(&checker), row.id).await.unwrap();
            self.register.reserve_approved(&mut decision, &by(&checker)).await.unwrap();
            decision.commit(&by(&checker)).await.unwrap();
        }
    }

    /// Files, submits and approves by two people of the nation.
    pub async fn filed(&self, document: &Value) -> Done {
        let (maker, checker) = (operator("maker", NATION), operator("checker", NATION));
        let platform = id(document["platform"]["id"].as_str().unwrap());
        self.register.put(&by(&maker), &platform, &bytes(document)).await.unwrap();
        for route in document["route"].as_array().unwrap() {
            if let Some(path) = route["path"].as_str() {
                self.reserved(&platform, route["host"].as_str(), path).await;
            }
        }
        self.register.submit(&by(&maker), &platform).await.unwrap();
        self.register.approve(&by(&checker), &platform).await.unwrap()
    }
}

pub fn now() -> Timestamp {
    Timestamp::now()
}

pub fn id(text: &str) -> PlatformId {
    text.parse().unwrap()
}

pub fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}

/// Somebody whom the settings name by a certificate, so that nobody issued what they act by.
pub fn actor(name: &str, role: Role, division: &str, platform: Option<&str>) -> Actor {
    Actor::of(Lineage::root(link(name, division)), role, platform.map(id))
}

/// A link of a chain of issue; of one name always the same.
pub fn link(name: &str, division: &str) -> Link {
    let mut fingerprint = [0; 32];
    name.bytes().zip(&mut fingerprint).for_each(|(from, to)| *to = from);
    let credential = Credential::Certificate(fingerprint);
    Link { principal: name.parse().unwrap(), division: division.parse().unwrap(), credential, certified: false }
}

/// Somebody who was issued what they act by, through `issuer`.
pub fn issued(issuer: &Actor, name: &str, role: Role, division: &str, platform: Option<&str>) -> Actor {
    Actor::of(issuer.lineage.child(link(name, division)), role, platform.map(id))
}

pub fn operator(name: &str, division: &str) -> Actor {
    actor(name, Role::Operator, division, None)
}

pub fn owner(platform: &str, division: &str) -> Actor {
    actor(&format!("{platform}.owner"), Role::Platform, division, Some(platform))
}

pub fn by(actor: &Actor) -> Write<'_> {
    Write { actor, request_id: "r-1", now: now(), expected: Expected::Any, dry_run: false }
}

pub fn by_at(actor: &Actor, version: u64) -> Write<'_> {
    Write { expected: Expected::Version(Version(version)), ..by(actor) }
}

pub fn tried(actor: &Actor) -> Write<'_> {
    Write { dry_run: true, ..by(actor) }
}

/// A whole filing of one platform that answers one item.
pub fn document(platform: &str, division: &str, item: &str) -> Value {
    json!({
        "platform": {
            "id": platform, "name": format!("测试 {platform}"), "name_en": format!("Test {platform}"),
            "owner": "11330106990000076T", "division": division, "function": "f", "scope": "s",
            "approving_body": "b", "approved_on": "2026-03-01", "funding": "m", "filing_number": "n",
            "valid_until": "2099-12-31", "contact": "c"
        },
        "upstream": [{ "address": "10.1.2.3:8080" }],
        "route": [{ "items": [item], "access": "open" }]
    })
}

/// The code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, RegisterError>) -> &'static str {
    result.unwrap_err().code()
}
