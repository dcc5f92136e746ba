//! Wiring: builds every room from the settings, opens the listeners, starts what runs in the background.
//! Shape: `Server::build` says everything that can go wrong before anything runs; `Server::run` returns after SIGTERM.
//! Fails: `StartError`, one sentence with the next step. Three listeners: public, management, metrics.

mod background;
mod certificate;
mod frame_log;
mod in_process;
mod log;
mod ops;
mod shutdown;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pingora::apps::HttpServerOptions;
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::RunArgs;
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use tokio::runtime::{Builder, Runtime};

use self::background::Background;
use self::certificate::Resolver;
use self::in_process::InProcess;
use self::shutdown::Drain;
use crate::config::{CertificateError, Config, served};
use crate::domain::Timestamp;
use crate::gateway::{ConnectionLimits, Front, Gateway, GatewayParts, Origins};
use crate::identity::{Accounts, Assertions, IdentityError, Keys};
use crate::management::{ManagementError, ManagementParts};
use crate::metrics::Metrics;
use crate::portal::{Portal, PortalParts};
use crate::registry::{self, Loaded, RegistryError};
use crate::routing::LiveTable;
use crate::session::{SealKey, SessionError, Sessions};
use crate::store::{Durable, StoreError};
use crate::written::Mistake;

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
    pub fn build(config: Config) -> Result<Self, StartError> {
        // First of all: the frame would install another provider, and tokens need one of this name.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier one is the same
        std::fs::create_dir_all(&config.data_directory)
            .map_err(|cause| StartError::Data { path: config.data_directory.clone(), cause })?;
        can_listen(&config)?;
        let now = Timestamp::now();
        let metrics = Arc::new(Metrics::new().map_err(|cause| StartError::system("metrics", cause))?);
        frame_log::start();
        let stores = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("stores")
            .enable_all()
            .build()
            .map_err(|cause| StartError::system("the stores' runtime", cause))?;
        let public = &config.public;
        let domain = public.platform_domain.as_ref();
        let loaded = registry::load_under(&config.routes_directory, &public.hosts, domain, now)?;
        report(&loaded, &metrics);
        let rooms = stores.block_on(Rooms::build(&config, &loaded, metrics.clone()))?;
        let draining = Arc::new(AtomicBool::new(false));
        let mut frame = pingora::server::Server::new_with_opt_and_conf(None, frame_settings(&config));
        frame.bootstrap();
        let resolver = resolver(&config, &metrics, now)?;
        let gateway = Gateway::new(rooms.gateway_parts(&config, metrics.clone()))
            .map_err(|cause| StartError::system("the access log", cause))?;
        let limits = ConnectionLimits::new(&config.limits, &config.public.trusted_proxies, &metrics);
        frame.add_service(public_service(&frame, &config, gateway, limits, resolver));
        let ops = ops::router(metrics.clone(), draining.clone());
        frame.add_service(plain_service("metrics", config.metrics_listen, ops));
        let management =
            ManagementParts { routes: rooms.routes.clone(), token_file: config.management.token_file.clone() };
        let management = crate::management::router(management)?;
        frame.add_service(plain_service("management", config.management.listen, management));
        let drain = Drain { draining, inflight: metrics.inflight.clone(), bound: config.runtime.drain };
        let background = Background { sessions: rooms.sessions, keys: rooms.keys };
        Ok(Self { frame, stores, background, drain })
    }

    /// Serves until SIGTERM or SIGINT. `ready` is called once all listeners accept connections.
    pub fn run(self, ready: impl FnOnce() + Send + 'static) {
        let Self { frame, stores, background, drain } = self;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        background.start(&stores, &stopped);
        background::when_running(&stores, frame.watch_execution_phase(), ready);
        frame.run(RunArgs { shutdown_signal: Box::new(drain) });
        // Nobody listens when every background task has ended already.
        let _ = stop.send(true);
        stores.shutdown_timeout(std::time::Duration::from_secs(1));
    }
}

/// The rooms that the listeners share.
struct Rooms {
    routes: Arc<LiveTable>,
    sessions: Arc<Sessions>,
    assertions: Arc<Assertions>,
    keys: Arc<Keys>,
    portal: Arc<Portal>,
}

impl Rooms {
    async fn build(config: &Config, loaded: &Loaded, metrics: Arc<Metrics>) -> Result<Self, StartError> {
        let durable = Arc::new(Durable::open(&config.stores.register).await?);
        let seal = SealKey::load_or_create(&config.session.key_file)?;
        let form_key = seal.derive(b"portal forms");
        let sessions =
            Sessions::open(config.session.clone(), config.stores.sessions.clone(), seal, metrics.clone()).await?;
        let accounts = Arc::new(Accounts::new(durable, &config.identity)?);
        let keys = Arc::new(Keys::load_or_create(&config.identity, Timestamp::now(), metrics.clone())?);
        let assertions = Arc::new(Assertions::new(&config.identity, keys.clone(), metrics.clone())?);
        let portal = Arc::new(Portal::new(PortalParts {
            sessions: sessions.clone(),
            accounts,
            keys: keys.clone(),
            divisions: loaded.divisions.clone(),
            items: loaded.items.clone(),
            form_key,
            session: config.session.clone(),
            metrics,
        }));
        let routes = Arc::new(LiveTable::new(loaded.table.clone()));
        Ok(Self { routes, sessions, assertions, keys, portal })
    }

    fn gateway_parts(&self, config: &Config, metrics: Arc<Metrics>) -> GatewayParts {
        GatewayParts {
            routes: self.routes.clone(),
            sessions: self.sessions.clone(),
            assertions: self.assertions.clone(),
            portal: self.portal.clone(),
            metrics,
            limits: config.limits.clone(),
            zone: config.public.zone,
            trusted_proxies: config.public.trusted_proxies.clone(),
            log: config.log.clone(),
            https: config.public.origin.starts_with("https:"),
            origins: Origins::of(&config.public),
        }
    }
}

/// The frame panics in a thread of its own when it cannot bind, so we ask first.
fn can_listen(config: &Config) -> Result<(), StartError> {
    let public = config.public.listen.iter().map(|address| ("public", *address));
    let others = [("management", config.management.listen), ("metrics", config.metrics_listen)];
    for (listener, address) in public.chain(others) {
        TcpListener::bind(address).map_err(|cause| StartError::Listen { listener, address, cause })?;
    }
    Ok(())
}

fn report(loaded: &Loaded, metrics: &Metrics) {
    for mistake in &loaded.mistakes {
        let Mistake { severity, .. } = mistake;
        tracing::warn!(?severity, "{mistake}");
    }
    metrics.filings_rejected.set(i64::try_from(loaded.filings_rejected).unwrap_or(i64::MAX));
    metrics.table_build.set(loaded.build.as_secs_f64());
    metrics.table_revision.set(1);
    for (kind, count) in [("item", loaded.table.item_routes()), ("path", loaded.table.path_routes())] {
        metrics.table_routes.with_label_values(&[kind]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    for (_, platform) in loaded.table.platforms() {
        metrics.platforms.with_label_values(&[platform.level.word(), platform.state.word()]).inc();
    }
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
        pid_file: config.data_directory.join("yimen.pid").display().to_string(),
        upgrade_sock: config.data_directory.join("upgrade.sock").display().to_string(),
        ..ServerConf::default()
    }
}

fn resolver(config: &Config, metrics: &Metrics, now: Timestamp) -> Result<Option<Arc<Resolver>>, StartError> {
    let Some(files) = &config.public.tls else { return Ok(None) };
    let served = served(files, now)?;
    metrics.certificate_expiry.set(served.not_after.seconds() as f64);
    Ok(Some(Arc::new(Resolver::new(served.certified))))
}

fn public_service(
    frame: &pingora::server::Server,
    config: &Config,
    gateway: Gateway,
    limits: ConnectionLimits,
    resolver: Option<Arc<Resolver>>,
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
            && let Ok(mut settings) = TlsSettings::intermediate("", "")
        {
            settings.set_cert_resolver(resolver.clone());
            settings.enable_h2();
            listener = listener.tls(settings);
        }
        service.add_listener(listener);
    }
    service
}

fn plain_service(name: &str, address: SocketAddr, router: axum::Router) -> Service<InProcess> {
    let mut service = Service::new(name.to_owned(), InProcess::new(router));
    service.add_tcp(&address.to_string());
    service
}
