//! One address of a platform: where it is, how it is reached, and whether anything speaks against it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};

use super::breaker::Breaker;
use super::checked::Checked;
use super::kept::Kept;
use super::tls_peer::TlsPeer;
use crate::config::AddressPolicy;
use crate::domain::PlatformId;
use crate::routing::Upstream;

/// A name is looked up again after this long: the usual order of a DNS entry's life.
const NAME_LIFE: Duration = Duration::from_secs(30);
/// Streams of one connection: what HTTP/2 servers allow as a rule.
const HTTP2_STREAMS: usize = 100;
/// Bytes of an answer on their way: the size that nginx and Envoy's guide for edges have.
const HTTP2_STREAM_WINDOW: u32 = 64 * 1024;
const HTTP2_PING: Duration = Duration::from_secs(10);
const NAME_DEADLINE: Duration = Duration::from_secs(1);

/// One address of a platform.
pub(crate) struct Instance {
    pub(super) upstream: Upstream,
    /// Goes on when the filing changes and the address stays.
    pub(crate) breaker: Arc<Breaker>,
    /// Connections to it that wait for a request; they go on like the breaker.
    pub(crate) kept: Arc<Kept>,
    /// What its checks say, shared by all instances of the same address and check; `None`: nobody checks it.
    pub(crate) checked: Option<Arc<Checked>>,
    /// Whether it once said that it was alive and says so no more.
    lost: AtomicBool,
    tls: Option<TlsPeer>,
    addresses: Arc<AddressPolicy>,
    /// The address when it is filed as numbers; names are looked up now and then.
    fixed: Option<SocketAddr>,
    resolved: Mutex<Option<(SocketAddr, Instant)>>,
}

impl Instance {
    pub(super) fn new(
        upstream: &Upstream,
        (breaker, kept): (Arc<Breaker>, Arc<Kept>),
        checked: Option<Arc<Checked>>,
        platform: &PlatformId,
        addresses: Arc<AddressPolicy>,
    ) -> Self {
        Self {
            upstream: upstream.clone(),
            breaker,
            kept,
            checked,
            lost: AtomicBool::new(false),
            tls: TlsPeer::of(upstream, platform),
            addresses,
            fixed: upstream.address.parse().ok(),
            resolved: Mutex::new(None),
        }
    }

    /// Whether its lease is lost. Returns whether that is news.
    pub(super) fn lose(&self, lost: bool) -> bool {
        self.lost.swap(lost, Ordering::Relaxed) != lost
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub(super) fn is_checked_by(&self, checked: Option<&Arc<Checked>>) -> bool {
        match (&self.checked, checked) {
            (Some(known), Some(checked)) => Arc::ptr_eq(known, checked),
            (known, checked) => known.is_none() && checked.is_none(),
        }
    }

    /// Whether its checks speak against it.
    pub(crate) fn is_down(&self) -> bool {
        self.checked.as_ref().is_some_and(|checked| checked.is_down())
    }

    /// Whether its checks or its lease speak against it.
    pub(crate) fn is_out(&self) -> bool {
        self.is_lost() || self.is_down()
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// As far as we know: neither requests nor checks nor its own silence speak against it.
    pub(crate) fn is_up(&self) -> bool {
        !self.breaker.is_open() && !self.is_out()
    }

    pub(crate) fn address(&self) -> &str {
        &self.upstream.address
    }

    /// How the frame gets to `address`.
    pub(crate) fn peer(&self, address: SocketAddr) -> Box<HttpPeer> {
        let name = if self.upstream.tls { self.upstream.server_name.to_string() } else { String::new() };
        let mut peer = Box::new(HttpPeer::new(address, self.upstream.tls, name));
        if let Some(tls) = &self.tls {
            tls.tell(&mut peer);
        }
        if self.upstream.http2 {
            speak_http2(&mut peer.options);
        }
        peer
    }

    /// Where it listens; `None` when the name cannot be looked up within a second.
    pub(crate) async fn socket_address(&self) -> Option<SocketAddr> {
        match self.fixed {
            Some(address) => Some(address),
            None => self.looked_up().await,
        }
    }

    async fn looked_up(&self) -> Option<SocketAddr> {
        let known = *self.resolved.lock();
        if let Some((address, at)) = known
            && at.elapsed() < NAME_LIFE
        {
            return Some(address);
        }
        let lookup = tokio::net::lookup_host(self.upstream.address.as_ref());
        let mut found = tokio::time::timeout(NAME_DEADLINE, lookup).await.ok()?.ok()?.peekable();
        let admitted = |address: &SocketAddr| self.addresses.admits_address(address.ip(), address.port()).is_ok();
        // A name that leads to an address no filing may have leads nowhere, not to where it led before.
        let before = known.filter(|_| found.peek().is_none()).map(|(address, _)| address);
        let address = found.find(admitted).or(before)?;
        *self.resolved.lock() = Some((address, Instant::now()));
        Some(address)
    }
}

/// The frame's own figures are one stream a connection and windows of 8 MiB, which a visitor who reads slowly would fill.
fn speak_http2(options: &mut PeerOptions) {
    options.set_http_version(2, 2);
    options.max_h2_streams = HTTP2_STREAMS;
    options.h2_stream_window_size = Some(HTTP2_STREAM_WINDOW);
    // All streams' windows together, so that visitors who do not read hold up nobody else on the connection.
    options.h2_connection_window_size = u32::try_from(HTTP2_STREAMS).ok().map(|streams| streams * HTTP2_STREAM_WINDOW);
    options.h2_ping_interval = Some(HTTP2_PING); // or a connection into a black hole would be used until TCP gives up
}
