//! Settings as written in TOML, and how they become settings as used.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::realm::{RealmPlace, realm};
use super::used::{
    AccessLog, Config, IdentityConfig, LimitsConfig, LogConfig, LogFormat, ManagementConfig, ManagementTls,
    PostgresConfig, ProvidersConfig, PublicConfig, RedisConfig, RegisterConfig, RegisterStoreConfig, RuntimeConfig,
    SessionConfig, SessionStoreConfig, StoresConfig, TlsConfig, TlsFiles,
};
use super::value::{Host, NodeName, Origin, RegisterUrl, StoreUrl, machine};
use super::{callers, issuer, rate, sign_in};
use crate::domain::{DivisionCode, PlatformDomain, Zone};
use crate::written::{Document, Fields, Mistake, Mistakes};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {cause}; name an existing file with --config")]
    Unreadable {
        /// As given.
        path: String,
        /// The system's word.
        cause: std::io::Error,
    },
    /// It was read and has mistakes; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}

/// Reads the settings of `path`. Relative paths in it count from its folder.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable { path: name.clone(), cause })?;
    let (config, mistakes) = read(&name, text, path.parent().unwrap_or(Path::new(".")));
    config.ok_or(ConfigError::Mistakes(mistakes))
}

/// Reads settings from text; `None` when any mistake is an error. Warnings come along either way.
pub fn read(name: &str, text: String, folder: &Path) -> (Option<Config>, Vec<Mistake>) {
    let document = match Document::parse(name, text) {
        Ok(document) => document,
        Err(mistake) => return (None, vec![mistake]),
    };
    let mistakes = Mistakes::default();
    let config = Reading { root: document.fields(&mistakes), folder }.used();
    let sound = mistakes.errors() == 0;
    (config.filter(|_| sound), mistakes.into_sorted())
}

const ADDRESS: &str = "an address with port, such as 127.0.0.1:8443";
const FOLDER: &str = "a folder";
const AUTHORITY: &str = "the code of a division, such as 330000";
const FILE: &str = "a file";
const HOST: &str = "host names without port, such as zwfw.example.gov";

/// One pass over a file: the fields of its root, and the folder from which relative paths count.
struct Reading<'a> {
    root: Fields<'a>,
    folder: &'a Path,
}

impl Reading<'_> {
    fn used(self) -> Option<Config> {
        let data = self.folder_of("data", |fields| fields.required("directory", FOLDER));
        let routes = self.folder_of("routes", |fields| fields.required("directory", FOLDER));
        let metrics = self.root.section("metrics");
        let metrics_listen = metrics.parsed("listen", ADDRESS).unwrap_or_else(|| loopback(9464));
        metrics.finish();
        let public = self.public();
        let folder = data.clone().unwrap_or_default();
        let management = self.management();
        let stores = self.stores(&folder);
        let session = self.session(&folder);
        let identity = self.identity(&folder, public.as_ref());
        let sign_in = sign_in::sign_in(self.root.section("sign_in"), |path| self.at(path));
        let providers = self.providers(&folder);
        let register = self.register();
        let issuer = issuer::read(self.root.section("issuer"), self.folder);
        let (limits, runtime, log) = (self.limits(), self.runtime(), self.log());
        let rates = self.root.tables("rate").into_iter().filter_map(rate::policy).collect();
        self.root.finish();
        Some(Config {
            public: public?,
            management,
            metrics_listen,
            data_directory: data?,
            routes_directory: routes?,
            stores,
            register,
            session,
            identity,
            sign_in,
            providers,
            issuer,
            limits,
            rates,
            runtime,
            log,
        })
    }

    fn folder_of(&self, table: &'static str, get: impl Fn(&Fields<'_>) -> Option<PathBuf>) -> Option<PathBuf> {
        let fields = self.root.section(table);
        let path = get(&fields).map(|path| self.at(path));
        fields.finish();
        path
    }

    fn at(&self, path: PathBuf) -> PathBuf {
        if path.is_absolute() { path } else { self.folder.join(path) }
    }

    fn file(&self, fields: &Fields<'_>, key: &'static str, default: PathBuf) -> PathBuf {
        fields.parsed(key, FILE).map_or(default, |path| self.at(path))
    }

    fn public(&self) -> Option<PublicConfig> {
        let fields = self.root.section("public");
        let listen: Vec<SocketAddr> = values(fields.one_or_more("listen", ADDRESS));
        let hosts: Vec<Host> = values(fields.one_or_more("hosts", HOST));
        let origin: Option<Origin> =
            fields.required("origin", "scheme, host and port, such as https://zwfw.example.gov");
        let plaintext = fields.flag("plaintext", false);
        let tls = self.tls(&fields, plaintext);
        let client_ca = fields.parsed("client_ca", FILE).map(|path| self.at(path));
        if client_ca.is_some() && plaintext {
            let hint = "without TLS here, no visitor shows a certificate".to_owned();
            fields.mistake(&fields.spot("client_ca"), "no `plaintext` beside it", Some(hint));
        }
        let zone = fields.parsed("zone", "internet or extranet").unwrap_or(Zone::Internet);
        let trusted_proxies = values(fields.list("trusted_proxies", "networks such as 10.0.0.0/8"));
        let proxy_protocol = fields.flag("proxy_protocol", false);
        if proxy_protocol && trusted_proxies.is_empty() {
            let hint = "write the balancers' networks there; nobody else's header is believed".to_owned();
            fields.mistake(&fields.spot("proxy_protocol"), "trusted_proxies beside it", Some(hint));
        }
        let redirect_listen = values(fields.list("redirect_listen", ADDRESS));
        if !redirect_listen.is_empty() && origin.as_ref().is_some_and(|origin| !origin.0.starts_with("https:")) {
            let hint = "plain HTTP is sent on to the origin, so the origin must be https".to_owned();
            fields.mistake(&fields.spot("redirect_listen"), "an https origin beside it", Some(hint));
        }
        let platform_domain = platform_domain(&fields, &hosts);
        let ticket_life = seconds(fields.number("ticket_seconds", 30, 1..=30));
        fields.finish();
        let hosts = hosts.into_iter().map(|host| host.0).collect();
        (plaintext || tls.is_some()).then_some(origin).flatten().map(|origin| PublicConfig {
            listen,
            hosts,
            origin: origin.0,
            tls,
            client_ca,
            zone,
            trusted_proxies,
            proxy_protocol,
            redirect_listen,
            platform_domain,
            ticket_life,
        })
    }

    fn tls(&self, fields: &Fields<'_>, plaintext: bool) -> Option<TlsConfig> {
        let directory = fields.parsed("certificates_directory", FOLDER).map(|path| self.at(path));
        if plaintext {
            fields.has("certificate");
            fields.has("key");
            return None;
        }
        let certificate = fields.required("certificate", "a file with the certificate chain (PEM)");
        let key = fields.required("key", "a file with the private key (PEM)");
        let default = TlsFiles { certificate: self.at(certificate?), key: self.at(key?) };
        Some(TlsConfig { default, directory })
    }

    fn management(&self) -> ManagementConfig {
        let fields = self.root.section("management");
        let listen: SocketAddr = fields.parsed("listen", ADDRESS).unwrap_or_else(|| loopback(8444));
        let tls = self.management_tls(&fields);
        if !listen.ip().is_loopback() && tls.is_none() {
            let hint = "write `certificate` and `key`, or listen on 127.0.0.1".to_owned();
            fields.mistake(&fields.spot("certificate"), "TLS, since tokens would go in clear", Some(hint));
        }
        let callers: Vec<_> = fields.tables("caller").into_iter().filter_map(callers::caller).collect();
        let operators_two_factors = fields.flag("operators_two_factors", !listen.ip().is_loopback());
        let no_authority = tls.as_ref().is_none_or(|tls| tls.client_ca.is_none());
        if no_authority && !callers.is_empty() {
            let hint = "write `client_ca`, the authority that signed their certificates".to_owned();
            fields.mistake(&fields.spot("client_ca"), "an authority, since callers are named", Some(hint));
        } else if no_authority && operators_two_factors {
            let hint = "write `client_ca` and name operators' certificates in `[[management.caller]]`, or `operators_two_factors = false`";
            fields.mistake(
                &fields.spot("client_ca"),
                "an authority, since operators need two factors",
                Some(hint.to_owned()),
            );
        }
        fields.finish();
        ManagementConfig { listen, tls, callers, operators_two_factors }
    }

    /// Certificate and key, or none; with an authority for callers or without.
    fn management_tls(&self, fields: &Fields<'_>) -> Option<ManagementTls> {
        if !["certificate", "key", "client_ca"].iter().any(|key| fields.has(key)) {
            return None;
        }
        let expected = "a file (PEM); certificate and key belong together";
        let certificate = fields.required("certificate", expected);
        let key = fields.required("key", expected);
        let client_ca = fields.parsed("client_ca", "a file with authorities (PEM)").map(|path| self.at(path));
        let default = TlsFiles { certificate: self.at(certificate?), key: self.at(key?) };
        Some(ManagementTls { certificates: TlsConfig { default, directory: None }, client_ca })
    }

    fn stores(&self, data: &Path) -> StoresConfig {
        let fields = self.root.section("stores");
        let sqlite = |path: PathBuf| self.at(path);
        let sessions = match fields.parsed("sessions", "sqlite:PATH, redis://HOST:PORT/DB or rediss://…") {
            None => SessionStoreConfig::Sqlite(data.join("sessions.db")),
            Some(StoreUrl::Sqlite(path)) => SessionStoreConfig::Sqlite(sqlite(path)),
            Some(StoreUrl::Redis(url)) => SessionStoreConfig::Redis(RedisConfig {
                url,
                user: fields.parsed("redis_user", "an ACL user"),
                password_file: fields.parsed("redis_password_file", FILE).map(|path| self.at(path)),
                ca_file: fields.parsed("redis_ca_file", FILE).map(|path| self.at(path)),
            }),
        };
        for key in ["redis_user", "redis_password_file", "redis_ca_file"] {
            if fields.has(key) && !matches!(sessions, SessionStoreConfig::Redis(_)) {
                fields.warning(&fields.spot(key), "nothing, while `sessions` is no Redis", None);
            }
        }
        let register =
            self.register_store(&fields).unwrap_or_else(|| RegisterStoreConfig::Sqlite(data.join("register.db")));
        fields.finish();
        StoresConfig { sessions, register }
    }

    fn register_store(&self, fields: &Fields<'_>) -> Option<RegisterStoreConfig> {
        let register = fields.parsed("register", "sqlite:PATH or postgres://USER@HOST:PORT/DATABASE");
        let password_file = fields.parsed("register_password_file", FILE).map(|path| self.at(path));
        let ca_file = fields.parsed("register_ca_file", FILE).map(|path| self.at(path));
        for key in ["register_password_file", "register_ca_file"] {
            if fields.has(key) && !matches!(register, Some(RegisterUrl::Postgres(_))) {
                fields.warning(&fields.spot(key), "nothing, while `register` is no PostgreSQL", None);
            }
        }
        Some(match register? {
            RegisterUrl::Sqlite(path) => RegisterStoreConfig::Sqlite(self.at(path)),
            RegisterUrl::Postgres(url) => RegisterStoreConfig::Postgres(PostgresConfig { url, password_file, ca_file }),
        })
    }

    fn register(&self) -> RegisterConfig {
        let fields = self.root.section("register");
        let node = fields.parsed::<NodeName>("node", "a name for this node").map(|name| name.0);
        let upstreams_allowed = values(fields.list("upstreams_allowed", "networks such as 127.0.0.0/8"));
        let sync_at_start = fields.flag("sync_at_start", false);
        fields.finish();
        RegisterConfig { node: node.unwrap_or_else(machine), upstreams_allowed, sync_at_start }
    }

    fn session(&self, data: &Path) -> SessionConfig {
        let fields = self.root.section("session");
        let config = SessionConfig {
            idle: minutes(fields.number("idle_minutes", 15, 1..=24 * 60)),
            absolute: minutes(60 * fields.number("absolute_hours", 12, 1..=24 * 7)),
            cache_life: seconds(fields.number("cache_seconds", 30, 1..=300)),
            grace: seconds(fields.number("grace_seconds", 60, 0..=600)),
            touch_every: seconds(fields.number("touch_seconds", 60, 1..=600)),
            store_deadline: millis(fields.number("store_deadline_ms", 100, 10..=1000)),
            cached_max: fields.number("cached_max", 100_000, 100..=10_000_000),
            per_subject_max: count(fields.number("per_subject_max", 20, 1..=1000)),
            key_file: self.file(&fields, "key_file", data.join("session.key")),
        };
        if config.idle > config.absolute {
            let hint = "an idle session would outlive its absolute end".to_owned();
            fields.mistake(&fields.spot("idle_minutes"), "less than absolute_hours", Some(hint));
        }
        if config.grace < config.cache_life && config.grace > Duration::ZERO {
            let hint = "a cached session lives for cache_seconds without asking the store anyway".to_owned();
            fields.warning(&fields.spot("grace_seconds"), "0, or at least cache_seconds", Some(hint));
        }
        if config.touch_every >= config.idle {
            let hint = "otherwise a busy session ends as idle".to_owned();
            fields.mistake(&fields.spot("touch_seconds"), "less than idle_minutes", Some(hint));
        }
        fields.finish();
        config
    }

    fn identity(&self, data: &Path, public: Option<&PublicConfig>) -> IdentityConfig {
        let fields = self.root.section("identity");
        let config = IdentityConfig {
            issuer: public.map(|public| public.origin.clone()).unwrap_or_default(),
            keys_directory: self.file(&fields, "keys_directory", data.join("keys")),
            pairwise_key_file: self.file(&fields, "pairwise_key_file", data.join("pairwise.key")),
            vault_directory: self.file(&fields, "vault_directory", data.join("vault")),
            authority_division: fields.parsed("authority_division", AUTHORITY).unwrap_or(DivisionCode::NATION),
            assertion_life: seconds(fields.number("assertion_seconds", 60, 10..=60)),
            key_lead: minutes(fields.number("key_lead_minutes", 10, 0..=24 * 60)),
            argon2_memory_kib: small(fields.number("argon2_memory_kib", 19_456, 8..=1_048_576)),
            argon2_passes: small(fields.number("argon2_passes", 2, 1..=20)),
            password_threads: count(fields.number("password_threads", 1, 1..=64)),
            password_queue: count(fields.number("password_queue", 64, 1..=10_000)),
        };
        fields.finish();
        config
    }

    fn providers(&self, data: &Path) -> ProvidersConfig {
        let fields = self.root.section("providers");
        let secrets = self.file(&fields, "secrets_directory", data.join("realm-secrets"));
        let loopback = fields.flag("loopback_http", false);
        if loopback {
            let hint = "whoever can listen on this machine could be the provider; for tests and demos only".to_owned();
            fields.warning(&fields.spot("loopback_http"), "false, where people sign in", Some(hint));
        }
        fields.finish();
        let here = RealmPlace { folder: self.folder.to_owned(), names_only: false, loopback };
        let realms: Vec<_> = self.root.tables("realm").into_iter().filter_map(|fields| realm(fields, &here)).collect();
        let mut ids: Vec<_> = realms.iter().map(|realm| &realm.id).collect();
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair.first() == pair.last()) {
            let twice = pair.first().map_or_else(String::new, |id| format!("{id} stands here twice"));
            self.root.mistake(&self.root.spot("realm"), "ids that differ", Some(twice));
        }
        ProvidersConfig { realms, place: RealmPlace { folder: secrets, names_only: true, loopback } }
    }

    fn limits(&self) -> LimitsConfig {
        let fields = self.root.section("limits");
        let config = LimitsConfig {
            header_bytes_max: count(fields.number("header_bytes_max", 32 * 1024, 1024..=256 * 1024)),
            headers_max: count(fields.number("headers_max", 100, 10..=200)),
            url_bytes_max: count(fields.number("url_bytes_max", 8 * 1024, 256..=64 * 1024)),
            inflight_max: i64::try_from(fields.number("inflight_max", 10_000, 1..=1_000_000)).unwrap_or(i64::MAX),
            platform_inflight_max: small(fields.number("platform_inflight_max", 1000, 1..=1_000_000)),
            queue_max: count(fields.number("queue_max", 1000, 0..=100_000)),
            platform_queue_max: count(fields.number("platform_queue_max", 100, 0..=100_000)),
            queue_wait: millis(fields.number("queue_wait_ms", 3000, 0..=30_000)),
            waiting_room_max: count(fields.number("waiting_room_max", 10_000, 0..=1_000_000)),
            header: seconds(fields.number("header_seconds", 10, 1..=600)),
            handshake: seconds(fields.number("handshake_seconds", 5, 1..=60)),
            rate_bytes_min: fields.number("rate_bytes_min", 1024, 0..=1024 * 1024),
            connections_max: count(fields.number("connections_max", 10_000, 10..=10_000_000)),
            connections_per_address_max: count(fields.number("connections_per_address_max", 200, 1..=10_000_000)),
            body_idle: seconds(fields.number("body_idle_seconds", 30, 1..=600)),
            keepalive: seconds(fields.number("keepalive_seconds", 60, 1..=3600)),
            keepalive_requests: small(fields.number("keepalive_requests", 1000, 1..=1_000_000)),
            upstream_pool: count(fields.number("upstream_pool", 1024, 1..=100_000)),
            retries_max: count(fields.number("retries_max", 2, 0..=5)),
        };
        fields.finish();
        config
    }

    fn runtime(&self) -> RuntimeConfig {
        let fields = self.root.section("runtime");
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let config = RuntimeConfig {
            threads: count(fields.number("threads", u64::try_from(cores).unwrap_or(1), 1..=1024)),
            drain: seconds(fields.number("drain_seconds", 10, 0..=3600)),
        };
        fields.finish();
        config
    }

    fn log(&self) -> LogConfig {
        let fields = self.root.section("log");
        let format = fields.parsed("format", "text or json").unwrap_or(LogFormat::Text);
        let access = fields.parsed("access", "all, errors or off").unwrap_or(AccessLog::All);
        let access_file = fields.parsed("access_file", FILE).map(|path| self.at(path));
        fields.finish();
        LogConfig { format, access, access_file }
    }
}

fn values<T, S>(list: Vec<(T, S)>) -> Vec<T> {
    list.into_iter().map(|(value, _)| value).collect()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn minutes(number: u64) -> Duration {
    Duration::from_secs(60 * number)
}

/// The getters' ranges keep numbers far below these types' ends.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A host of the portal that looked like a platform's would be answered by a platform.
fn platform_domain(fields: &Fields<'_>, hosts: &[Host]) -> Option<PlatformDomain> {
    let domain: PlatformDomain = fields.parsed("platform_domain", "a domain such as services.example.gov")?;
    if let Some(host) = hosts.iter().find(|host| domain.platform_of(&host.0).is_some()) {
        let hint = format!("{} in `hosts` would be taken for a platform", host.0);
        fields.mistake(&fields.spot("platform_domain"), "a domain that no host of the portal stands under", Some(hint));
    }
    Some(domain)
}
