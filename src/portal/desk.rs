//! For tests: a portal with real rooms behind it, and a browser that keeps cookies and fills in forms.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use tempfile::TempDir;

use super::language::Language;
use super::region_of;
use super::router::{Portal, PortalParts, Visitor};
use crate::config::{
    AddressPolicy, IdentityConfig, IssuerConfig, MessengerConfig, ProvidersConfig, RealmPlace, RedisConfig,
    SessionConfig, SessionStoreConfig, SignInConfig,
};
use crate::domain::{Assurance, DivisionCode, Level, SubjectKind, SubjectRole, Timestamp};
use crate::identity::{
    Accounts, Assertions, By, Factors, Grant, Keys, Messenger, NewAccount, Password, People, Realms, RealmsParts,
    Tries, Vault,
};
use crate::issuer::{Issuer, IssuerParts};
use crate::metrics::Metrics;
use crate::routing::{Divisions, Items, LiveTable, Platform, PlatformState, RouteTable};
use crate::session::{CookieRead, Lookup, SealKey, Sessions, cookie};
use crate::store::Durable;

pub(super) const ORIGIN: &str = "https://one.example";

pub(super) struct Desk {
    pub(super) portal: Portal,
    pub(super) sessions: Arc<Sessions>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) people: Arc<People>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) now: Timestamp,
    folder: TempDir,
}

impl Desk {
    /// Another account, of assurance L3.
    pub(super) async fn add(&self, login: &str, password: &str) {
        let new = NewAccount {
            login: login.parse().unwrap(),
            name: login.to_owned(),
            kind: SubjectKind::Natural,
            assurance: Assurance::L3,
            password: Password::new(password.to_owned()).unwrap(),
        };
        self.accounts.add(new, self.now).await.unwrap();
    }

    /// The last code that was sent to this address.
    pub(super) fn last_code(&self, address: &str) -> String {
        let sent = std::fs::read_to_string(self.folder.path().join("codes")).unwrap();
        let last: serde_json::Value = serde_json::from_str(sent.lines().last().unwrap()).unwrap();
        assert_eq!(last["address"], address);
        last["code"].as_str().unwrap().to_owned()
    }

    /// A portal with the divisions and items of `routes/` and the account `wang` / `correct horse`.
    pub(super) async fn open() -> Self {
        Self::over(|folder| SessionStoreConfig::Sqlite(folder.join("sessions.sqlite"))).await
    }

    /// The same, before a session store that refuses every connection.
    pub(super) async fn without_session_store() -> Self {
        let url = "redis://127.0.0.1:1/0".to_owned(); // nothing listens on the lowest port
        Self::over(|_| SessionStoreConfig::Redis(RedisConfig { url, user: None, password_file: None, ca_file: None }))
            .await
    }

    async fn over(sessions: impl FnOnce(&Path) -> SessionStoreConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let metrics = Arc::new(Metrics::new().unwrap());
        let now = Timestamp::now();
        let identity = IdentityConfig {
            issuer: ORIGIN.to_owned(),
            keys_directory: path("keys"),
            pairwise_key_file: path("pairwise"),
            vault_directory: path("vault"),
            authority_division: DivisionCode::NATION,
            assertion_life: Duration::from_secs(60),
            key_lead: Duration::from_secs(600),
            argon2_memory_kib: 64, // the pages are the same at any cost
            argon2_passes: 1,
            password_threads: 1,
            password_queue: 4,
        };
        let session = SessionConfig {
            idle: Duration::from_secs(900),
            absolute: Duration::from_secs(12 * 3600),
            cache_life: Duration::from_secs(30),
            grace: Duration::from_secs(60),
            touch_every: Duration::from_secs(60),
            store_deadline: Duration::from_secs(5),
            cached_max: 100,
            per_subject_max: 20,
            key_file: path("seal"),
        };
        let seal = SealKey::load_or_create(&session.key_file).unwrap();
        let sessions = Sessions::open(session.clone(), sessions(folder.path()), seal, metrics.clone()).await.unwrap();
        let durable = Durable::open(&path("register.sqlite")).await.unwrap();
        let durable = Arc::new(durable);
        let accounts = Arc::new(Accounts::new(durable.clone(), &identity, None, metrics.clone()).unwrap());
        let vault = Arc::new(Vault::load_or_create(&identity.vault_directory).unwrap());
        let people = Arc::new(People::new(durable.clone(), vault.clone()));
        let messenger = MessengerConfig { file: Some(path("codes")), ..MessengerConfig::default() };
        let sign_in = SignInConfig {
            breached_passwords: None,
            account_tries: 20,
            network_tries_per_minute: 300,
            all_tries_per_second: 50,
            messenger,
        };
        let messenger = Messenger::of(&sign_in.messenger).unwrap();
        let factors = Factors::new(durable.clone(), vault.clone(), messenger, ORIGIN).unwrap();
        let tries = Tries::new(sessions.store().clone(), sign_in, metrics.clone());
        let realms = RealmsParts {
            config: ProvidersConfig {
                realms: Vec::new(),
                place: RealmPlace { folder: path("realms"), names_only: true, loopback: false },
            },
            origin: ORIGIN.to_owned(),
            durable: durable.clone(),
            short_lived: sessions.store().clone(),
            vault,
            transaction_key: [3; 32],
            metrics: metrics.clone(),
        };
        let realms = Realms::open(realms).await.unwrap();
        let wang = NewAccount {
            login: "wang".parse().unwrap(),
            name: "王<b>小明".to_owned(),
            kind: SubjectKind::Natural,
            assurance: Assurance::L2,
            password: Password::new("correct horse".to_owned()).unwrap(),
        };
        accounts.add(wang, now).await.unwrap();
        let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
        let no_streets = &b"code,name,level,parent\n"[..];
        let divisions = Divisions::read(File::open(routes.join("divisions.csv")).unwrap(), no_streets).unwrap();
        let items = Items::read(File::open(routes.join("items.csv")).unwrap()).unwrap();
        let (divisions, items) = (Arc::new(divisions), Arc::new(items));
        let keys = Arc::new(Keys::load_or_create(&identity, now, metrics.clone()).unwrap());
        let table = RouteTable::compile(divisions.clone(), items.clone(), &[], vec![clinic()]).table;
        let live = Arc::new(LiveTable::new(table));
        let issuer = IssuerParts {
            sessions: sessions.clone(),
            keys: keys.clone(),
            assertions: Arc::new(Assertions::new(&identity, keys.clone(), metrics.clone()).unwrap()),
            people: people.clone(),
            authority: DivisionCode::NATION,
            routes: live.clone(),
            seal: SealKey::new([8; 32]).unwrap(),
            token_key: [9; 32],
            origin: ORIGIN.to_owned(),
            config: IssuerConfig {
                code_life: Duration::from_secs(60),
                access_life: Duration::from_secs(300),
                logout_ca: None,
            },
            addresses: Arc::new(AddressPolicy::default()),
            metrics: metrics.clone(),
        };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // another test did it
        let portal = Portal::new(PortalParts {
            issuer: Arc::new(Issuer::new(issuer).unwrap()),
            sessions: sessions.clone(),
            accounts: accounts.clone(),
            people: people.clone(),
            routes: live,
            factors: Arc::new(factors),
            tries,
            realms,
            keys,
            divisions,
            items,
            form_key: [7; 32],
            session,
            metrics: metrics.clone(),
        });
        Self { portal, sessions, accounts, people, metrics, now, folder }
    }

    /// Id of the account `wang`.
    pub(super) async fn wang(&self) -> String {
        self.accounts.find(&"wang".parse().unwrap()).await.unwrap().unwrap().id
    }

    /// Lets `wang` act for a company from today to `until`; the id of the role.
    pub(super) async fn grant(&self, until: &str) -> String {
        let today = self.now.day();
        let grant = Grant {
            subject: self.wang().await,
            usc: "914403001922038216".parse().unwrap(),
            name: "示例<b>公司".to_owned(),
            role: SubjectRole::Agent,
            valid_from: today,
            valid_until: until.parse().unwrap(),
            division: None,
            evidence: None,
        };
        self.people.grant_role(grant, MACHINE, self.now).await.unwrap().id.to_string()
    }
}

pub(super) const MACHINE: By<'static> = By { actor: "machine", credential: None, role: "operator", request_id: "" };

/// A platform that no public body owns, and that has filed attributes of people.
fn clinic() -> Platform {
    Platform {
        id: "clinic".parse().unwrap(),
        name: "示例医院".into(),
        name_en: "Sample clinic".into(),
        owner: "914403001922038216".parse().ok(),
        function: "预约挂号".into(),
        division: DivisionCode::NATION,
        level: Level::Nation,
        state: PlatformState::Active,
        trusted: false,
        authority: false,
        upstreams: Box::default(),
        attributes: ["name", "id_number"].map(Box::from).into(),
        zones: Box::default(),
        inflight_max: None,
        canary: None,
        health: None,
        clients: Box::default(),
        routes: [].into(),
    }
}

/// A browser: cookies in, cookies out, no script.
#[derive(Default)]
pub(super) struct Browser {
    pub(super) cookies: BTreeMap<String, String>,
    pub(super) headers: Vec<(&'static str, &'static str)>,
}

pub(super) struct Page {
    pub(super) response: Response<Bytes>,
}

impl Browser {
    pub(super) async fn get(&mut self, desk: &Desk, path: &str) -> Page {
        self.send(desk, Request::get(path), String::new()).await
    }

    pub(super) async fn post(&mut self, desk: &Desk, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut form = reqwest::Url::parse("form:").unwrap();
        form.query_pairs_mut().extend_pairs(fields);
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(desk, request, form.query().unwrap_or_default().to_owned()).await
    }

    pub(super) async fn send(&mut self, desk: &Desk, mut request: http::request::Builder, body: String) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        request = request.header(COOKIE, &cookies);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::from(body)).unwrap();
        let session = match cookie::read([cookies.as_bytes()]) {
            CookieRead::One(id) => match desk.sessions.look_up(&id, Assurance::L1, desk.now).await {
                Lookup::Found(live) => Some(live),
                _ => None,
            },
            _ => None,
        };
        let visitor = Visitor {
            session,
            cookie_present: self.cookies.contains_key("__Host-yimen"),
            client_network: "203.0.113.0/24".to_owned(),
            request_id: "request-1".to_owned(),
            language: Language::of(request.headers()),
            origin: ORIGIN.to_owned(),
            region: region_of([cookies.as_bytes()]),
            certificate: None,
        };
        let response = desk.portal.answer_at(request, visitor, desk.now).await;
        for set in response.headers().get_all(SET_COOKIE) {
            self.keep(set);
        }
        Page { response }
    }

    fn keep(&mut self, set: &HeaderValue) {
        let set = set.to_str().unwrap();
        let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
        assert!(name.starts_with("__Host-yimen"), "a platform would see {name}");
        assert!(set.contains("Secure") && set.contains("Path=/") && !set.contains("Domain"), "{set}");
        if value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Signs in by the form, and comes back to `return_to`.
    pub(super) async fn sign_in(&mut self, desk: &Desk, password: &str, return_to: &str) -> Page {
        let page = self.get(desk, &format!("/sign-in?return_to={return_to}")).await;
        let (csrf, back) = (page.field("csrf", 0), page.field("return_to", 0));
        let fields = [("login", "wang"), ("password", password), ("csrf", &csrf), ("return_to", &back)];
        self.post(desk, "/sign-in", &fields).await
    }
}

impl Page {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(self.response.body()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn location(&self) -> &str {
        self.header(LOCATION.as_str())
    }

    /// Value of the hidden field of this name in the last form that has one, counted from the end.
    pub(super) fn field(&self, name: &str, from_end: usize) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let after = self.text().rsplit(&mark).nth(from_end).filter(|_| self.fields(name) > from_end);
        let after = after.unwrap_or_else(|| panic!("no {name} in {}", self.text()));
        after.split('"').next().unwrap().replace("&#38;", "&")
    }

    pub(super) fn fields(&self, name: &str) -> usize {
        self.text().matches(&format!("name=\"{name}\" value=\"")).count()
    }
}
