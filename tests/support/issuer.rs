//! An OpenID Provider of a test's own, in this process and on a store of the test's choice, with clients that are filed as
//! platforms file theirs. Time is the test's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, Response};
use reqwest::Url;
use serde_json::Value;
use tempfile::TempDir;
use yimen::config::{AddressPolicy, IdentityConfig, IssuerConfig, SessionStoreConfig};
use yimen::domain::{Assurance, DivisionCode, Proof, Timestamp};
use yimen::identity::{Assertions, Keys, People, Vault};
use yimen::issuer::{Issuer, IssuerParts, Machine, Refused, Step};
use yimen::metrics::Metrics;
use yimen::registry;
use yimen::routing::LiveTable;
use yimen::session::{Live, Lookup, SealKey, Session, SessionId, Sessions};
use yimen::store::Durable;

use super::filing::Filing;
use super::node;

pub const ORIGIN: &str = "https://one.example.gov";
/// Where the clients' people come back to.
pub const BACK: &str = "https://hall.example.gov/callback";
/// And after they have signed out.
pub const LEFT: &str = "https://hall.example.gov/bye";
/// The secret of every client that has one.
pub const SECRET: &str = "b7yqGH7PDa_i_gm3fGdJp3xwTJWpRi0-gT3rgb4qEv0";
/// A verifier and its challenge (RFC 7636 appendix B).
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// The provider and what stands around it.
pub struct Provider {
    pub issuer: Issuer,
    pub sessions: Arc<Sessions>,
    pub people: Arc<People>,
    pub routes: Arc<LiveTable>,
    pub keys: Arc<Keys>,
    pub metrics: Arc<Metrics>,
    pub folder: TempDir,
    now: Mutex<Timestamp>,
}

/// SHA-256 in hex, as a filing has it.
pub fn hash(secret: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What most clients file.
pub fn client(name: &str, more: &str) -> String {
    format!(
        "client_id = \"{name}\"\nredirect_uris = [\"{BACK}\", \"https://hall.example.gov/other?tenant=1\"]\n\
         post_logout_redirect_uris = [\"{LEFT}\"]\nsecret_sha256 = [\"{}\"]\n{more}",
        hash(SECRET)
    )
}

/// The filings of a provider: a hall with several programs, and another platform.
pub fn filings() -> Vec<Filing> {
    let hall =
        Filing::of("hall", "330100").with("attributes = [\"name\"]").client(&client("hall", "scopes = [\"profile\"]"));
    let refreshing =
        "grant_types = [\"authorization_code\", \"refresh_token\"]\nscopes = [\"profile\", \"offline_access\"]";
    let hall = hall.client(&client("hall.app", refreshing));
    let hall = hall.client(&client("hall.post", "token_endpoint_auth_method = \"client_secret_post\""));
    let hall = hall.client(&client("hall.pushing", "require_pushed_authorization_requests = true"));
    let other = Filing::of("archive", "530100").client(&client("archive", refreshing));
    let away = Filing::of("closed", "530100").state("suspended", "for review").client(&client("closed", ""));
    vec![hall, other, away]
}

impl Provider {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SessionStoreConfig::Sqlite(folder.path().join("state/sessions.db"));
        Self::with(folder, store, filings()).await
    }

    pub async fn on(store: SessionStoreConfig) -> Self {
        Self::with(tempfile::tempdir().unwrap(), store, filings()).await
    }

    pub async fn filing(filings: Vec<Filing>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SessionStoreConfig::Sqlite(folder.path().join("state/sessions.db"));
        Self::with(folder, store, filings).await
    }

    async fn with(folder: TempDir, store: SessionStoreConfig, filings: Vec<Filing>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // another part of the test did it
        let now = Timestamp::now();
        let metrics = Arc::new(Metrics::new().unwrap());
        let routes = routes(folder.path(), &filings);
        let seal = SealKey::new([9; 32]).unwrap();
        let sessions = Sessions::open(node::config(), store, seal, metrics.clone()).await.unwrap();
        let identity = IdentityConfig {
            issuer: ORIGIN.to_owned(),
            keys_directory: folder.path().join("keys"),
            pairwise_key_file: folder.path().join("pairwise"),
            vault_directory: folder.path().join("vault"),
            authority_division: DivisionCode::NATION,
            assertion_life: Duration::from_secs(60),
            key_lead: Duration::from_secs(600),
            argon2_memory_kib: 64,
            argon2_passes: 1,
            password_threads: 1,
            password_queue: 1,
        };
        let keys = Arc::new(Keys::load_or_create(&identity, now, metrics.clone()).unwrap());
        let durable = Arc::new(Durable::open(&folder.path().join("register.db")).await.unwrap());
        let vault = Arc::new(Vault::load_or_create(&identity.vault_directory).unwrap());
        let people = Arc::new(People::new(durable, vault));
        let loopback = vec!["127.0.0.0/8".parse().unwrap()];
        let parts = IssuerParts {
            sessions: sessions.clone(),
            keys: keys.clone(),
            assertions: Arc::new(Assertions::new(&identity, keys.clone(), metrics.clone()).unwrap()),
            people: people.clone(),
            authority: DivisionCode::NATION,
            routes: routes.clone(),
            seal: SealKey::new([8; 32]).unwrap(),
            token_key: [7; 32],
            origin: ORIGIN.to_owned(),
            config: IssuerConfig {
                code_life: Duration::from_secs(60),
                access_life: Duration::from_secs(300),
                logout_ca: None,
            },
            addresses: Arc::new(AddressPolicy::new(loopback, Vec::new())),
            metrics: metrics.clone(),
        };
        Self {
            issuer: Issuer::new(parts).unwrap(),
            sessions,
            people,
            routes,
            keys,
            metrics,
            folder,
            now: Mutex::new(now),
        }
    }

    /// The time of this test.
    pub fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    pub fn passes(&self, seconds: u64) {
        let later = self.now().plus(Duration::from_secs(seconds));
        *self.now.lock().unwrap() = later;
    }

    /// Files something else from now on.
    pub fn files(&self, filings: &[Filing]) {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), filings);
        self.routes.publish(table);
    }

    /// Somebody who has just signed in.
    pub async fn signed_in(&self, subject: &str) -> Arc<Live> {
        self.proven(subject, Assurance::L2, None).await
    }

    /// The same at another level, in place of a session that is there.
    pub async fn proven(&self, subject: &str, assurance: Assurance, before: Option<&Arc<Live>>) -> Arc<Live> {
        let mut session = node::session(subject, self.now());
        session.prove(Proof { assurance, methods: vec!["pwd".to_owned()], at: self.now() });
        self.begun(session, before).await
    }

    pub async fn begun(&self, session: Session, before: Option<&Arc<Live>>) -> Arc<Live> {
        let id = self.sessions.begin(session, before.map(|live| &live.key), self.now()).await.unwrap();
        self.live(&id).await
    }

    async fn live(&self, id: &SessionId) -> Arc<Live> {
        match self.sessions.look_up(id, Assurance::L1, self.now()).await {
            Lookup::Found(live) => live,
            other => panic!("no session: {other:?}"),
        }
    }

    /// What becomes of a request of `hall` with these changes; a value of `None` leaves a parameter out.
    pub async fn asks(&self, live: Option<&Arc<Live>>, change: &[(&str, Option<&str>)]) -> Result<Step, Refused> {
        self.issuer.authorize(&request(change), live, self.now()).await
    }

    /// The parameters that `client` gets back at once.
    pub async fn answered(
        &self,
        live: Option<&Arc<Live>>,
        change: &[(&str, Option<&str>)],
    ) -> BTreeMap<String, String> {
        answer_in(&self.asks(live, change).await.unwrap())
    }

    /// A code for somebody who is signed in.
    pub async fn code(&self, live: &Arc<Live>, client: &str) -> String {
        let scope = "openid profile offline_access";
        let answer = self.answered(Some(live), &[("client_id", Some(client)), ("scope", Some(scope))]).await;
        answer.get("code").unwrap_or_else(|| panic!("no code in {answer:?}")).clone()
    }

    /// Calls the token endpoint as `client`.
    pub async fn token(&self, client: &str, form: &[(&str, &str)]) -> Told {
        self.call(Self::TOKEN, client, form).await
    }

    /// Redeems a code as `client`, in order.
    pub async fn redeem(&self, client: &str, code: &str) -> Told {
        self.token(client, &code_form(code)).await
    }

    /// Tokens of `client` for somebody who is signed in.
    pub async fn tokens(&self, live: &Arc<Live>, client: &str) -> Told {
        let code = self.code(live, client).await;
        let told = self.redeem(client, &code).await;
        assert_eq!(told.status, 200, "{told:?}");
        told
    }

    pub const TOKEN: &str = "token";

    /// A call of a client with its secret in `Authorization`.
    pub async fn call(&self, address: &str, client: &str, form: &[(&str, &str)]) -> Told {
        let shown = STANDARD.encode(format!("{client}:{SECRET}"));
        self.call_with(address, Some(format!("Basic {shown}")), form).await
    }

    /// A call that shows what it shows.
    pub async fn call_with(&self, address: &str, authorization: Option<String>, form: &[(&str, &str)]) -> Told {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
        }
        let body = form_of(form);
        let machine = Machine { method: &Method::POST, headers: &headers, body: body.as_bytes() };
        let now = self.now();
        Told::of(match address {
            "token" => self.issuer.token(machine, now).await,
            "introspect" => self.issuer.introspect(machine, now).await,
            "revoke" => self.issuer.revoke(machine, now).await,
            "par" => self.issuer.push(machine, now).await,
            "userinfo" => self.issuer.userinfo(machine, now).await,
            other => panic!("no address {other}"),
        })
    }

    /// Whether an access token opens userinfo.
    pub async fn opens(&self, access_token: &str) -> bool {
        match self.call_with("userinfo", Some(format!("Bearer {access_token}")), &[]).await.status {
            200 => true,
            401 => false,
            other => panic!("userinfo: {other}"),
        }
    }
}

/// An answer to a program.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Told {
    fn of(answer: Response<Bytes>) -> Self {
        let (parts, body) = answer.into_parts();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Self { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    /// Refused, with the standard's word.
    #[track_caller]
    pub fn is(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.body["error"].as_str()), (status, Some(error)), "{self:?}");
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}

/// A request of `hall` in order, with changes.
pub fn request(change: &[(&str, Option<&str>)]) -> Vec<u8> {
    let usual = [
        ("client_id", "hall"),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "a state"),
        ("nonce", "n-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let kept = usual.into_iter().filter(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    let added = change.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    form_of(&kept.chain(added).collect::<Vec<_>>()).into_bytes()
}

pub fn code_form(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", BACK), ("code_verifier", VERIFIER)]
}

pub fn form_of(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("form:").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// What an address that a browser is sent back to says.
pub fn answer_in(step: &Step) -> BTreeMap<String, String> {
    let Step::Client { address, .. } = step else { panic!("not back to the client: {step:?}") };
    assert!(address.starts_with(BACK) || address.starts_with("https://hall.example.gov/other?tenant=1"), "{address}");
    Url::parse(address).unwrap().query_pairs().into_owned().collect()
}

/// Header and claims of a token, as they stand in it.
pub fn parts_of(token: &str) -> (Value, Value) {
    let part =
        |place| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap();
    (part(0), part(1))
}

fn routes(folder: &Path, filings: &[Filing]) -> Arc<LiveTable> {
    Arc::new(LiveTable::new(table(folder, filings)))
}

fn table(folder: &Path, filings: &[Filing]) -> yimen::routing::RouteTable {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("routes"), folder.join("routes"));
    fs::create_dir_all(to.join("platforms")).unwrap();
    for name in ["divisions.csv", "streets.csv.gz", "items.csv"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    filings.iter().for_each(|filing| filing.write(&to.join("platforms")));
    let loaded = registry::load(&to, &["one.example.gov".to_owned()], Timestamp::now()).unwrap();
    assert_eq!(loaded.filings_rejected, 0, "{:#?}", loaded.mistakes);
    loaded.table
}
