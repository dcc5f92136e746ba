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
use crate::config::{IdentityConfig, ProvidersConfig, RealmPlace, RedisConfig, SessionConfig, SessionStoreConfig};
use crate::domain::{Assurance, SubjectKind, Timestamp};
use crate::identity::{Accounts, Keys, NewAccount, Password, Realms, RealmsParts, Vault};
use crate::metrics::Metrics;
use crate::routing::{Divisions, Items};
use crate::session::{CookieRead, Lookup, SealKey, Sessions, cookie};
use crate::store::Durable;

pub(super) const ORIGIN: &str = "https://one.example";

pub(super) struct Desk {
    pub(super) portal: Portal,
    pub(super) sessions: Arc<Sessions>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) now: Timestamp,
    _folder: TempDir,
}

impl Desk {
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
        let realms = RealmsParts {
            config: ProvidersConfig {
                realms: Vec::new(),
                place: RealmPlace { folder: path("realms"), names_only: true, loopback: false },
            },
            origin: ORIGIN.to_owned(),
            durable: durable.clone(),
            short_lived: sessions.store().clone(),
            vault: Arc::new(Vault::load_or_create(&identity.vault_directory).unwrap()),
            transaction_key: [3; 32],
            metrics: metrics.clone(),
        };
        let realms = Realms::open(realms).await.unwrap();
        let accounts = Arc::new(Accounts::new(durable, &identity).unwrap());
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
        let portal = Portal::new(PortalParts {
            sessions: sessions.clone(),
            accounts,
            realms,
            keys: Arc::new(Keys::load_or_create(&identity, now, metrics.clone()).unwrap()),
            divisions: Arc::new(divisions),
            items: Arc::new(items),
            form_key: [7; 32],
            session,
            metrics: metrics.clone(),
        });
        Self { portal, sessions, metrics, now, _folder: folder }
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
