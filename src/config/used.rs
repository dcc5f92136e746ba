//! The settings, typed. Defaults and their reasons stand with the fields; `file.rs` applies them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::issuer::IssuerConfig;
use super::network::Network;
use super::rate::RatePolicy;
use super::realm::{RealmConfig, RealmPlace};
use crate::domain::{Actor, DivisionCode, PlatformDomain, Right, Zone};

/// All settings of one node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener that faces people and platforms.
    pub public: PublicConfig,
    /// The listener of the management API.
    pub management: ManagementConfig,
    /// The listener of Prometheus and of liveness and readiness probes (127.0.0.1:9464, the port registered for exporters of this kind).
    pub metrics_listen: SocketAddr,
    /// Folder of everything this node writes.
    pub data_directory: PathBuf,
    /// Folder of divisions, items and filings.
    pub routes_directory: PathBuf,
    /// Where state lives.
    pub stores: StoresConfig,
    /// The register as this node has it.
    pub register: RegisterConfig,
    /// How sessions behave.
    pub session: SessionConfig,
    /// Accounts and the keys that sign assertions.
    pub identity: IdentityConfig,
    /// How people with built-in accounts sign in.
    pub sign_in: SignInConfig,
    /// Provider realms, and what all of them may.
    pub providers: ProvidersConfig,
    /// The OpenID Provider.
    pub issuer: IssuerConfig,
    /// What one request may take.
    pub limits: LimitsConfig,
    /// How often somebody may ask (no policies).
    pub rates: Vec<RatePolicy>,
    /// Threads and shutdown.
    pub runtime: RuntimeConfig,
    /// Log and access log.
    pub log: LogConfig,
}

/// The public listener.
#[derive(Clone, Debug)]
pub struct PublicConfig {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Host names by which people reach the portal, lower case, without port.
    pub hosts: Vec<String>,
    /// Scheme, host and port as people see them: `iss` of assertions, base of absolute links.
    pub origin: String,
    /// Certificate and key; `None` for a plaintext listener behind a balancer that ends TLS.
    pub tls: Option<TlsConfig>,
    /// Authorities (PEM) whose certificates visitors may show; nobody has to (none: nobody is asked).
    pub client_ca: Option<PathBuf>,
    /// Network that this listener faces (internet): a platform is not served in a zone it is not filed for.
    pub zone: Zone,
    /// Hops whose `X-Forwarded-For` is believed (none).
    pub trusted_proxies: Vec<Network>,
    /// Whether connections from there begin with a PROXY header that names the visitor (no).
    pub proxy_protocol: bool,
    /// Addresses where plain HTTP is sent on to `origin` (none).
    pub redirect_listen: Vec<SocketAddr>,
    /// Domain under which each platform that is not trusted has an origin of its own; none: all share the portal's.
    pub platform_domain: Option<PlatformDomain>,
    /// Life of the ticket that takes a session over to a platform's origin (30 s: two redirects, on a slow line).
    pub ticket_life: Duration,
}

/// What TLS shows to visitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// For every server name that no other certificate names.
    pub default: TlsFiles,
    /// Folder of further pairs, `NAME.pem` and `NAME.key.pem`, chosen by the names in them (none).
    pub directory: Option<PathBuf>,
}

/// Certificate chain and private key, PEM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// The management listener.
#[derive(Clone, Debug)]
pub struct ManagementConfig {
    /// Address (127.0.0.1:8444).
    pub listen: SocketAddr,
    /// TLS; plain HTTP when absent, which is for loopback alone since tokens would go in clear.
    pub tls: Option<ManagementTls>,
    /// Client certificates, and for whom they speak (none).
    pub callers: Vec<CertificateCaller>,
    /// Whether operators must show a token and a certificate of their own (where `listen` is not loopback: on the machine itself its
    /// own sign-in was the other factor).
    pub operators_two_factors: bool,
}

/// A client certificate that speaks for somebody at the management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateCaller {
    /// SHA-256 of the certificate in DER.
    pub fingerprint: [u8; 32],
    /// For whom, in which role and subtree.
    pub actor: Actor,
    /// Rights it is limited to; none: all that the role has.
    pub scope: Vec<Right>,
}

/// TLS of the management listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementTls {
    /// What the listener shows.
    pub certificates: TlsConfig,
    /// Authorities (PEM) one of which must have signed the certificate that a caller shows; callers show none when absent.
    pub client_ca: Option<PathBuf>,
}

/// Where state lives.
#[derive(Clone, Debug)]
pub struct StoresConfig {
    /// Short-lived state: sessions, counters, notices.
    pub sessions: SessionStoreConfig,
    /// Durable state: register, accounts.
    pub register: RegisterStoreConfig,
}

/// Where durable state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterStoreConfig {
    /// SQLite file on this machine.
    Sqlite(PathBuf),
    /// PostgreSQL or what speaks its protocol.
    Postgres(PostgresConfig),
}

/// How to reach PostgreSQL. TLS verified in full, unless the host is a loopback address or the folder of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresConfig {
    /// `postgres://user@host:port/database`, without a password; a folder as host is percent-encoded.
    pub url: String,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Certificate authority, PEM; the system's when absent.
    pub ca_file: Option<PathBuf>,
}

/// The register as this node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterConfig {
    /// Name of this node in `GET /nodes` (the machine's name): nodes of one register need different ones.
    pub node: String,
    /// Networks that instances may have although the address policy refuses them (none): loopback for a demo, or the
    /// link-local network of a rack.
    pub upstreams_allowed: Vec<Network>,
    /// Whether changed files of the routes directory are taken over at each start, not only on SIGHUP (no: a node of many whose
    /// files are old would undo what others have changed).
    pub sync_at_start: bool,
}

/// Where short-lived state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionStoreConfig {
    /// SQLite file on this machine.
    Sqlite(PathBuf),
    /// Redis or what speaks its protocol.
    Redis(RedisConfig),
}

/// How to reach Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisConfig {
    /// `redis://host:port/db` or `rediss://…`, without a password.
    pub url: String,
    /// ACL user, or the default user.
    pub user: Option<String>,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Certificate authority for `rediss://`, PEM; the system's when absent.
    pub ca_file: Option<PathBuf>,
}

/// How sessions behave.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// A session ends after this long without a request (15 min: login.gov's figure).
    pub idle: Duration,
    /// A session ends this long after sign-in, whatever happens (12 h: login.gov's figure).
    pub absolute: Duration,
    /// How long a node uses a session it has read without asking the store again (30 s; revocation notices evict at once).
    pub cache_life: Duration,
    /// How long a cached session goes on while the store is away (60 s; never from L3 up).
    pub grace: Duration,
    /// Last-seen is written at most this often (60 s).
    pub touch_every: Duration,
    /// Deadline of a store call (100 ms).
    pub store_deadline: Duration,
    /// Sessions a node keeps in memory (100 000; about 1 KiB each).
    pub cached_max: u64,
    /// Sessions one subject may have at a time (20); the oldest ends.
    pub per_subject_max: usize,
    /// File of the key that seals records; made at first start.
    pub key_file: PathBuf,
}

/// Accounts, passwords and the keys that sign assertions.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// `iss` of assertions: the public origin.
    pub issuer: String,
    /// Folder of assertion keys (PKCS#8 PEM); made at first start.
    pub keys_directory: PathBuf,
    /// File of the secret that makes pairwise subjects; made at first start, and to be kept: a new one renames everybody.
    pub pairwise_key_file: PathBuf,
    /// Folder of the keys that seal identity numbers, phones and factors in the durable store; made at first start, the same on
    /// every node, and to be kept: without it what it sealed is lost.
    pub vault_directory: PathBuf,
    /// The division whose government runs the gateway (the nation): platforms of public bodies in it and below need no consent
    /// of a person for the attributes that were granted to them.
    pub authority_division: DivisionCode,
    /// Life of an assertion (60 s at most).
    pub assertion_life: Duration,
    /// How long a new key is published before it signs (10 min: twice the cache life that the key set states).
    pub key_lead: Duration,
    /// Argon2id: memory in KiB (19 456: OWASP Password Storage Cheat Sheet).
    pub argon2_memory_kib: u32,
    /// Argon2id: passes (2: the same).
    pub argon2_passes: u32,
    /// Password checks at a time (1: half the cores of the smallest machine, so that proxying keeps the rest).
    pub password_threads: usize,
    /// Password checks that may wait; more are answered 503 (64: about 2 s of work).
    pub password_queue: usize,
}

/// How people with built-in accounts sign in.
#[derive(Clone, Debug)]
pub struct SignInConfig {
    /// Sorted SHA-1 sums of passwords that nobody may set (none).
    pub breached_passwords: Option<PathBuf>,
    /// Passwords that may be tried at once for one account by devices it does not know (20: a household that guesses); then one in
    /// 15 s, after three times as many one in 3 min, after ten times as many one in 15 min. A known device has as many of its own.
    pub account_tries: u64,
    /// Tries of one network in a minute (300: an office behind one address at nine in the morning).
    pub network_tries_per_minute: u64,
    /// Tries in all, by devices that are not known (50: what one password thread checks).
    pub all_tries_per_second: u64,
    /// What sends one-time codes (nothing: none are offered).
    pub messenger: MessengerConfig,
}

/// What sends one-time codes: a hook, or a file to read them from.
#[derive(Clone, Debug, Default)]
pub struct MessengerConfig {
    /// Address of the hook.
    pub url: Option<String>,
    /// File of the secret that signs what it is sent.
    pub secret_file: Option<PathBuf>,
    /// Authorities (PEM) that vouch for it (the system's).
    pub ca_file: Option<PathBuf>,
    /// File that codes are appended to, one JSON document a line: for demos and tests.
    pub file: Option<PathBuf>,
}

/// Provider realms: those of the settings, and what those of the register may name.
#[derive(Clone, Debug)]
pub struct ProvidersConfig {
    /// Realms written here (none); the register holds others, and none of the same id.
    pub realms: Vec<RealmConfig>,
    /// Where realms of the register have their secrets, by plain name (`realm-secrets` in the data folder), and whether a
    /// provider may be on this machine without TLS (no: for tests and demos).
    pub place: RealmPlace,
}

/// What one request may take.
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Bytes of all header names and values (32 KiB).
    pub header_bytes_max: usize,
    /// Header fields (100).
    pub headers_max: usize,
    /// Bytes of path and query (8 KiB).
    pub url_bytes_max: usize,
    /// Requests worked on at a time; more are answered 503 (10 000).
    pub inflight_max: i64,
    /// Requests of one platform at a time, unless its filing says otherwise; more are answered 503 (1 000: a tenth of
    /// `inflight_max`, so that one dead platform leaves nine tenths to the others; Envoy's figure is 1 024).
    pub platform_inflight_max: u32,
    /// Requests that wait for a place at a platform which is at its cap, in all (1 000: a tenth of `inflight_max`).
    pub queue_max: usize,
    /// And at one platform (100: a tenth of `platform_inflight_max`, so that a wait is a tenth of an answer's time as a rule).
    pub platform_queue_max: usize,
    /// How long they wait (3 s: longer, and people press reload).
    pub queue_wait: Duration,
    /// People in the waiting room of one platform (10 000: 24 bytes each, and more would wait for an hour).
    pub waiting_room_max: usize,
    /// From the first byte of a request's header to its last (10 s, Envoy's guide for edges); by HTTP/2, of any frame but DATA.
    pub header: Duration,
    /// For the TLS handshake (5 s).
    pub handshake: Duration,
    /// Bytes a second that a body must bring, and an answer be read with, while we wait for the visitor (1 KiB).
    pub rate_bytes_min: u64,
    /// Connections in all (10 000); more are closed at once.
    pub connections_max: usize,
    /// Connections of one address, or one IPv6 /64 (200: a school or an office behind one address).
    pub connections_per_address_max: usize,
    /// Without a least rate: a visitor who sends or reads nothing for this long is cut (30 s).
    pub body_idle: Duration,
    /// An idle connection is closed after this long (60 s).
    pub keepalive: Duration,
    /// Requests on one connection; then it is closed to give its memory back (1 000, nginx's figure).
    pub keepalive_requests: u32,
    /// Idle connections kept to platforms (1 024): by the gateway in all, and by the frame for each thread.
    pub upstream_pool: usize,
    /// Further tries when nothing was sent yet or the method is idempotent (2: with the first, three, the figure of the SRE
    /// guides), within the budget of `gateway/retry.rs`.
    pub retries_max: usize,
}

/// Threads and shutdown.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Threads of the public listener (one a core).
    pub threads: usize,
    /// Requests under way get this long at SIGTERM (10 s).
    pub drain: Duration,
}

/// Log and access log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Form of log lines on stderr.
    pub format: LogFormat,
    /// Which requests get a line.
    pub access: AccessLog,
    /// File of the access log; stdout when absent.
    pub access_file: Option<PathBuf>,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// Which requests get an access-log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// All.
    All,
    /// Those answered 4xx or 5xx.
    Errors,
    /// None.
    Off,
}
