//! Wiring: builds every room from the settings, opens the listeners, starts what runs in the background.
//! Shape: `Server::build` says everything that can go wrong before anything runs; `Server::run` returns after SIGTERM, or when
//! a successor has taken over.
//! Fails: `StartError`, one sentence with the next step. Three listeners: public, management, metrics.

mod background;
mod certificate;
mod frame_log;
mod handover;
mod in_process;
mod log;
mod ops;
mod reload;
mod service_manager;
mod shutdown;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::apps::HttpServerOptions;
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::RunArgs;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::services::listening::Service;
use prometheus::IntCounter;
use rustls::server::danger::ClientCertVerifier;
use tokio::runtime::{Builder, Runtime};

use self::background::Background;
use self::certificate::Resolver;
use self::handover::{Handed, Handover};
use self::in_process::InProcess;
use self::ops::Standing;
use self::reload::{Filings, Looks, Reload};
use self::shutdown::Drain;
use crate::config::{AddressPolicy, CertificateError, Config, clients_signed_by, clients_with_certificates};
use crate::domain::{PlatformId, Timestamp};
use crate::gateway::{ClientCertificates, ConnectionLimits, Front, Gateway, GatewayParts, Origins, Redirect};
use crate::identity::{
    Accounts, Assertions, Factors, IdentityError, Keys, Messenger, People, Realms, RealmsParts, Tokens, Tries, Vault,
};
use crate::issuer::{Issuer, IssuerParts};
use crate::management::{ManagementError, ManagementParts};
use crate::metrics::Metrics;
use crate::portal::{Portal, PortalParts};
use crate::registry::{Answered, Leases, Register, RegisterParts, RegistryError, Rules, SyncError, Synced, TlsFiles};
use crate::session::{SealKey, SessionError, Sessions};
use crate::store::{Durable, RegisterNotices, StoreError};
use crate::usage::Usage;
use crate::written::Mistake;

pub(crate) use self::handover::{Files, id_in};
pub use self::log::start as start_log;

/// A node that is built and ready to run.
pub struct Server {
    frame: pingora::server::Server,
    /// The runtime of stores and background work; it lives as long as the server.
    stores: Runtime,
    background: Background,
    drain: Drain,
}

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is in use or not ours.
    #[error("cannot listen on {address} ({listener}): {cause}; stop what listens there, or choose another address")]
    Listen {
        /// Which listener.
        listener: &'static str,
        /// Where.
        address: SocketAddr,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The same, of addresses that are bound while we start.
    #[error("cannot listen on {0:?} within 5 s; stop what listens there, or choose another address")]
    NotListening(Vec<SocketAddr>),
    /// A Unix socket's name has 107 bytes at most.
    #[error("the data folder's path is too long for {0}; choose a shorter one and restart once")]
    SocketName(PathBuf),
    /// The data folder cannot be made or written.
    #[error("cannot write in the data folder {path}: {cause}; make it writable for this user, or name another")]
    Data {
        /// Which folder.
        path: PathBuf,
        /// The system's word.
        cause: std::io::Error,
    },
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Divisions, items, filings.
    #[error(transparent)]
    Register(#[from] RegistryError),
    /// The register's first content.
    #[error(transparent)]
    Filings(#[from] SyncError),
    /// Accounts or keys.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Sessions.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The durable store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The management token.
    #[error(transparent)]
    Management(#[from] ManagementError),
    /// Threads, randomness, the access log's file.
    #[error("cannot start {what}: {cause}; check the limits and paths of this machine")]
    System {
        /// Which part.
        what: &'static str,
        /// The system's word.
        cause: String,
    },
}

impl StartError {
    fn system(what: &'static str, cause: impl ToString) -> Self {
        Self::System { what, cause: cause.to_string() }
    }
}

impl Server {
    /// Builds all rooms. Nothing is served yet; every mistake in a filing is logged, the other filings are served.
    /// `upgrade`: the listening sockets come from the process that runs.
    pub fn build(config: Config, upgrade: bool) -> Result<Self, StartError> {
        // First of all: the frame would install another provider, and tokens need one of this name.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier one is the same
        std::fs::create_dir_all(&config.data_directory)
            .map_err(|cause| StartError::Data { path: config.data_directory.clone(), cause })?;
        if !upgrade {
            can_listen(&config)?;
        } else if !Files::of(&config.data_directory).socket_fits() {
            return Err(StartError::SocketName(Files::of(&config.data_directory).socket));
        }
        let now = Timestamp::now();
        let metrics = Arc::new(Metrics::new().map_err(|cause| StartError::system("metrics", cause))?);
        frame_log::start();
        let stores = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stores")
            .enable_all()
            .build()
            .map_err(|cause| StartError::system("the stores' runtime", cause))?;
        let tls = TlsFiles::of(&config.routes_directory);
        let rooms = stores.block_on(Rooms::build(&config, metrics.clone(), now))?;
        let standing = Arc::<Standing>::default();
        let options = Opt { upgrade, ..Opt::default() };
        let mut frame = pingora::server::Server::new_with_opt_and_conf(options, frame_settings(&config));
        let handover = Handover::new(&config.data_directory, addresses(&config).map(|(_, address)| address).collect());
        let load = |tls, expiry| Resolver::load(tls, metrics.clone(), expiry, now).map(Arc::new);
        let expiry = Some(metrics.certificate_expiry.clone());
        let resolver = config.public.tls.as_ref().map(|tls| load(tls, expiry)).transpose()?;
        let management_tls = config.management.tls.as_ref().map(|tls| {
            let clients = tls.client_ca.as_deref().map(clients_signed_by).transpose()?;
            Ok::<_, CertificateError>((load(&tls.certificates, None)?, clients))
        });
        let management_tls = management_tls.transpose()?;
        let gateway = Gateway::new(rooms.gateway_parts(&config, metrics.clone()))
            .map_err(|cause| StartError::system("the access log", cause))?;
        let checks = gateway.health_checks();
        let usage = gateway.keeps_usage();
        let limits = ConnectionLimits::new(
            &config.limits,
            &config.public.trusted_proxies,
            config.public.proxy_protocol,
            &metrics,
        );
        let visitors = config.public.client_ca.as_deref().map(clients_with_certificates).transpose()?;
        let visitors = visitors.map(|verifier| (verifier, metrics.client_certificates.clone()));
        let public = public_service(&frame, &config, gateway, limits.clone(), resolver.clone(), visitors);
        frame.add_service(Handed::new(public, &handover));
        if !config.public.redirect_listen.is_empty() {
            frame.add_service(Handed::new(redirect_service(&config, limits, &metrics), &handover));
        }
        let ops = ops::router(metrics.clone(), standing.clone());
        frame.add_service(Handed::new(plain_service("metrics", config.metrics_listen, ops), &handover));
        let management = ManagementParts {
            register: rooms.register.clone(),
            tokens: Tokens::new(rooms.durable.clone()),
            realms: rooms.realms.clone(),
            answered: Answered::new(rooms.durable.clone()),
            leases: Leases::new(rooms.durable),
            accounts: rooms.accounts,
            people: rooms.people,
            sessions: rooms.sessions.clone(),
            certificates: config.management.callers.clone(),
            operators_two_factors: config.management.operators_two_factors,
            metrics: metrics.clone(),
        };
        let management = crate::management::router(management)?;
        let management = management_service(config.management.listen, management, management_tls.clone());
        frame.add_service(Handed::new(management, &handover));
        let background = (config.metrics_listen, handover.stopped());
        let drain = Drain {
            standing,
            inflight: metrics.inflight.clone(),
            connections: metrics.connections.clone(),
            bound: config.runtime.drain,
            handover,
            ready: Mutex::default(),
            failed: Arc::default(),
        };
        let filings = Filings {
            directory: config.routes_directory,
            register: rooms.register.clone(),
            metrics,
            tls: Looks { loaded: tls.clone(), last: tls },
        };
        let reload = Reload {
            certificates: resolver.into_iter().chain(management_tls.map(|(shown, _)| shown)).collect(),
            filings,
        };
        let (metrics_listen, left) = background;
        let background = Background {
            register: rooms.register,
            sessions: rooms.sessions,
            keys: rooms.keys,
            vault: rooms.vault,
            realms: rooms.realms,
            issuer: rooms.issuer,
            checks,
            usage,
            reload,
            metrics_listen,
            left,
        };
        Ok(Self { frame, stores, background, drain })
    }

    /// Serves until SIGTERM, SIGINT, or until a successor has taken over. `ready` is called once all listeners accept
    /// connections. `Err`: it never came to that.
    pub fn run(self, ready: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let Self { mut frame, stores, background, drain } = self;
        *drain.ready.lock() = Some(Box::new(ready));
        let failed = drain.failed.clone();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let last = background.start(&stores, &stopped);
        if frame.options.as_ref().is_some_and(|options| options.upgrade) {
            drain.handover.waiting();
        }
        // Last of all, since it takes the sockets of the process that runs; or ends this one when they do not come.
        frame.bootstrap();
        frame.run(RunArgs { shutdown_signal: Box::new(drain) });
        // Nobody listens when every background task has ended already.
        let _ = stop.send(true);
        // A store that is away is not waited for: what a node saw in its last minute is little in a report over weeks.
        let _ = stores.block_on(async { tokio::time::timeout(LAST_WORDS, last).await });
        stores.shutdown_timeout(Duration::from_secs(1));
        failed.lock().take().map_or(Ok(()), |addresses| Err(StartError::NotListening(addresses)))
    }
}

/// How long a node that ends may take to store what it has seen.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The rooms that the listeners share.
struct Rooms {
    durable: Arc<Durable>,
    register: Arc<Register>,
    sessions: Arc<Sessions>,
    accounts: Arc<Accounts>,
    people: Arc<People>,
    vault: Arc<Vault>,
    assertions: Arc<Assertions>,
    usage: Arc<Usage>,
    keys: Arc<Keys>,
    realms: Arc<Realms>,
    issuer: Arc<Issuer>,
    portal: Arc<Portal>,
    waiting_key: [u8; 32],
}

impl Rooms {
    async fn build(config: &Config, metrics: Arc<Metrics>, now: Timestamp) -> Result<Self, StartError> {
        let durable = Arc::new(Durable::of(&config.stores.register).await?);
        let parts = RegisterParts {
            durable: durable.clone(),
            rules: Rules::of(config)?,
            routes_directory: config.routes_directory.clone(),
            sync_at_start: config.register.sync_at_start,
            data_directory: config.data_directory.clone(),
            notices: RegisterNotices::of(&config.stores.sessions)?,
            node: config.register.node.clone(),
            metrics: metrics.clone(),
        };
        let (register, synced) = Register::open(parts, now).await?;
        if let Some(synced) = synced {
            report(&synced, &metrics);
        }
        let seal = SealKey::load_or_create(&config.session.key_file)?;
        let (form_key, waiting_key) = (seal.derive(b"portal forms"), seal.derive(b"waiting rooms"));
        let transaction_key = seal.derive(b"provider sign-ins");
        let (issuer_seal, token_key) = (SealKey::new(seal.derive(b"issuer"))?, seal.derive(b"issuer tokens"));
        let sessions =
            Sessions::open(config.session.clone(), config.stores.sessions.clone(), seal, metrics.clone()).await?;
        let usage = Arc::new(Usage::new(durable.clone()));
        let breached = config.sign_in.breached_passwords.clone();
        let accounts = Arc::new(Accounts::new(durable.clone(), &config.identity, breached, metrics.clone())?);
        let vault = Arc::new(Vault::load_or_create(&config.identity.vault_directory)?);
        let people = Arc::new(People::new(durable.clone(), vault.clone()));
        let messenger = Messenger::of(&config.sign_in.messenger)?;
        let factors = Arc::new(Factors::new(durable.clone(), vault.clone(), messenger, &config.public.origin)?);
        let tries = Tries::new(sessions.store().clone(), config.sign_in.clone(), metrics.clone());
        let keys = Arc::new(Keys::load_or_create(&config.identity, Timestamp::now(), metrics.clone())?);
        let assertions = Arc::new(Assertions::new(&config.identity, keys.clone(), metrics.clone())?);
        let realms = Realms::open(RealmsParts {
            config: config.providers.clone(),
            origin: config.public.origin.clone(),
            durable: durable.clone(),
            short_lived: sessions.store().clone(),
            vault: vault.clone(),
            transaction_key,
            metrics: metrics.clone(),
        });
        let realms = realms.await?;
        let issuer = Issuer::new(IssuerParts {
            sessions: sessions.clone(),
            keys: keys.clone(),
            assertions: assertions.clone(),
            people: people.clone(),
            authority: config.identity.authority_division,
            routes: register.routes().clone(),
            seal: issuer_seal,
            token_key,
            origin: config.public.origin.clone(),
            config: config.issuer.clone(),
            addresses: Arc::new(AddressPolicy::of(config)),
            metrics: metrics.clone(),
        });
        let issuer = Arc::new(issuer.map_err(|cause| StartError::system("the OpenID Provider", cause))?);
        let portal = Arc::new(Portal::new(PortalParts {
            sessions: sessions.clone(),
            accounts: accounts.clone(),
            people: people.clone(),
            routes: register.routes().clone(),
            factors,
            tries,
            keys: keys.clone(),
            realms: realms.clone(),
            issuer: issuer.clone(),
            divisions: register.rules().divisions.clone(),
            items: register.rules().items.clone(),
            form_key,
            session: config.session.clone(),
            metrics,
        }));
        Ok(Self {
            durable,
            register,
            sessions,
            accounts,
            people,
            vault,
            assertions,
            usage,
            keys,
            realms,
            issuer,
            portal,
            waiting_key,
        })
    }

    fn gateway_parts(&self, config: &Config, metrics: Arc<Metrics>) -> GatewayParts {
        GatewayParts {
            routes: self.register.routes().clone(),
            sessions: self.sessions.clone(),
            assertions: self.assertions.clone(),
            people: self.people.clone(),
            authority: config.identity.authority_division,
            usage: self.usage.clone(),
            portal: self.portal.clone(),
            metrics,
            limits: config.limits.clone(),
            rates: config.rates.clone(),
            zone: config.public.zone,
            trusted_proxies: config.public.trusted_proxies.clone(),
            addresses: Arc::new(AddressPolicy::of(config)),
            log: config.log.clone(),
            https: config.public.origin.starts_with("https:"),
            waiting_key: self.waiting_key,
            origins: Origins::of(&config.public),
        }
    }
}

/// Everything that is listened on.
fn addresses(config: &Config) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let public = config.public.listen.iter().map(|address| ("public", *address));
    let redirect = config.public.redirect_listen.iter().map(|address| ("redirect", *address));
    let others = [("management", config.management.listen), ("metrics", config.metrics_listen)];
    public.chain(redirect).chain(others)
}

/// The frame panics in a thread of its own when it cannot bind, so we ask first.
fn can_listen(config: &Config) -> Result<(), StartError> {
    for (listener, address) in addresses(config) {
        TcpListener::bind(address).map_err(|cause| StartError::Listen { listener, address, cause })?;
    }
    Ok(())
}

/// What a look at the files found.
fn report(synced: &Synced, metrics: &Metrics) {
    for mistake in &synced.mistakes {
        let Mistake { severity, .. } = mistake;
        tracing::warn!(?severity, "{mistake}");
    }
    if !synced.left_alone.is_empty() {
        let platforms: Vec<&str> = synced.left_alone.iter().map(PlatformId::as_str).collect();
        tracing::warn!(
            ?platforms,
            "changed through the register since they came from files; their files are left alone"
        );
    }
    metrics.filings_rejected.set(i64::try_from(synced.rejected).unwrap_or(i64::MAX));
}

/// Figures chosen by `benches/side-by-side`; see its README.
fn frame_settings(config: &Config) -> ServerConf {
    ServerConf {
        threads: config.runtime.threads,
        work_stealing: false,
        upstream_keepalive_pool_size: config.limits.upstream_pool,
        max_retries: config.limits.retries_max + 1,
        grace_period_seconds: Some(1), // in-flight requests were waited for before (`shutdown.rs`)
        graceful_shutdown_timeout_seconds: Some(1),
        fast_timeout_to_tokio_threshold_seconds: Some(0), // seconds; `gateway/connection/pulse.rs` says why
        upgrade_sock: Files::of(&config.data_directory).socket.display().to_string(),
        ..ServerConf::default()
    }
}

fn public_service(
    frame: &pingora::server::Server,
    config: &Config,
    gateway: Gateway,
    limits: ConnectionLimits,
    resolver: Option<Arc<Resolver>>,
    visitors: Option<(Arc<dyn ClientCertVerifier>, IntCounter)>,
) -> Service<Front<HttpProxy<Gateway>>> {
    let mut options = HttpServerOptions::default();
    options.keepalive_request_limit = Some(config.limits.keepalive_requests);
    options.allow_connect_method_proxying = true; // `admit` refuses it with a reason and counts it; the frame would not
    options.h2_idle_timeout = Some(config.limits.keepalive);
    let mut proxy = http_proxy(&frame.configuration, gateway);
    proxy.server_options = Some(options);
    let mut service = Service::new("public".to_owned(), Front::new(proxy, limits.clone()));
    service.endpoints().set_pre_tls_callback(Arc::new(limits));
    for address in &config.public.listen {
        // The frame keeps a 64 KiB read buffer per connection; 4 KiB holds nearly every request head and costs no CPU.
        let buffers = L4BufferSettings::default().read(4096);
        let mut listener = ListenerConfig::tcp(address.to_string()).l4_buffer(buffers);
        if let Some(resolver) = &resolver
            && let Ok(mut settings) = match &visitors {
                Some((_, shown)) => TlsSettings::with_callbacks(Box::new(ClientCertificates::new(shown.clone()))),
                None => TlsSettings::intermediate("", ""),
            }
        {
            settings.set_cert_resolver(resolver.clone());
            settings.enable_h2();
            if let Some((verifier, _)) = &visitors {
                settings.set_client_cert_verifier(verifier.clone());
            }
            listener = listener.tls(settings);
        }
        service.add_listener(listener);
    }
    service
}

/// Plain HTTP, sent on to the origin.
fn redirect_service(config: &Config, limits: ConnectionLimits, metrics: &Metrics) -> Service<Front<Redirect>> {
    let redirect = Redirect::new(&config.public, config.limits.clone(), metrics.refusals.clone());
    let mut service = Service::new("redirect".to_owned(), Front::new(redirect, limits));
    service.threads = Some(1);
    for address in &config.public.redirect_listen {
        let buffers = L4BufferSettings::default().read(4096);
        service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    }
    service
}

/// What the management listener shows, and whose certificates its callers must show.
type ManagementTls = (Arc<Resolver>, Option<Arc<dyn ClientCertVerifier>>);

/// By TLS if that is set.
fn management_service(address: SocketAddr, router: axum::Router, tls: Option<ManagementTls>) -> Service<InProcess> {
    let Some((shown, clients)) = tls else { return plain_service("management", address, router) };
    let mut service = Service::new("management".to_owned(), InProcess::new(router));
    if let Ok(mut settings) = TlsSettings::intermediate("", "") {
        settings.set_cert_resolver(shown);
        if let Some(clients) = clients {
            settings.set_client_cert_verifier(clients);
        }
        service.add_tls_with_settings(&address.to_string(), None, settings);
    }
    service
}

fn plain_service(name: &str, address: SocketAddr, router: axum::Router) -> Service<InProcess> {
    let mut service = Service::new(name.to_owned(), InProcess::new(router));
    service.add_tcp(&address.to_string());
    service
}
