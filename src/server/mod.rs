//! Wiring: builds every room from the settings, opens the listeners, starts what runs in the background.
//! Shape: `Server::build` says everything that can go wrong before anything runs; `Server::run` returns after SIGTERM, or when
//! a successor has taken over.
//! Fails: `StartError`, one sentence with the next step. Three listeners: public, management, metrics.

mod background;
mod certificate;
mod error;
mod frame_log;
mod handover;
mod in_process;
mod listeners;
mod log;
mod ops;
mod reload;
mod rooms;
mod service_manager;
mod shutdown;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::server::RunArgs;
use pingora::server::configuration::Opt;
use tokio::runtime::{Builder, Runtime};

use self::background::Background;
use self::certificate::Resolver;
use self::handover::{Handed, Handover};
use self::listeners::{
    addresses, can_listen, frame_settings, management_service, plain_service, public_service, redirect_service,
};
use self::ops::Standing;
use self::reload::{Filings, Looks, Reload};
use self::rooms::Rooms;
use self::shutdown::Drain;
use crate::config::{CertificateError, Config, clients_signed_by, clients_with_certificates};
use crate::domain::Timestamp;
use crate::gateway::{ConnectionLimits, Gateway};
use crate::identity::Tokens;
use crate::management::ManagementParts;
use crate::metrics::Metrics;
use crate::registry::{Answered, Leases, TlsFiles};

pub use self::error::StartError;
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
        let (metrics_listen, left) = (config.metrics_listen, handover.stopped());
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
