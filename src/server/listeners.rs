//! What is listened on, and how the frame serves it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use pingora::apps::HttpServerOptions;
use pingora::listeners::ListenerConfig;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::proxy::{HttpProxy, http_proxy};
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;
use prometheus::IntCounter;
use rustls::server::danger::ClientCertVerifier;

use super::StartError;
use super::certificate::Resolver;
use super::handover::Files;
use super::in_process::InProcess;
use crate::config::Config;
use crate::gateway::{ClientCertificates, ConnectionLimits, Front, Gateway, Redirect};
use crate::metrics::Metrics;

/// Everything that is listened on.
pub(super) fn addresses(config: &Config) -> impl Iterator<Item = (&'static str, SocketAddr)> {
    let public = config.public.listen.iter().map(|address| ("public", *address));
    let redirect = config.public.redirect_listen.iter().map(|address| ("redirect", *address));
    let others = [("management", config.management.listen), ("metrics", config.metrics_listen)];
    public.chain(redirect).chain(others)
}

/// The frame panics in a thread of its own when it cannot bind, so we ask first.
pub(super) fn can_listen(config: &Config) -> Result<(), StartError> {
    for (listener, address) in addresses(config) {
        TcpListener::bind(address).map_err(|cause| StartError::Listen { listener, address, cause })?;
    }
    Ok(())
}

/// Figures chosen by `benches/side-by-side`; see its README.
pub(super) fn frame_settings(config: &Config) -> ServerConf {
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

pub(super) fn public_service(
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
pub(super) fn redirect_service(
    config: &Config,
    limits: ConnectionLimits,
    metrics: &Metrics,
) -> Service<Front<Redirect>> {
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
pub(super) type ManagementTls = (Arc<Resolver>, Option<Arc<dyn ClientCertVerifier>>);

/// By TLS if that is set.
pub(super) fn management_service(
    address: SocketAddr,
    router: axum::Router,
    tls: Option<ManagementTls>,
) -> Service<InProcess> {
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

pub(super) fn plain_service(name: &str, address: SocketAddr, router: axum::Router) -> Service<InProcess> {
    let mut service = Service::new(name.to_owned(), InProcess::new(router));
    service.add_tcp(&address.to_string());
    service
}
