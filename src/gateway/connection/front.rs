//! The application before the frame's: seats, and the guard around each stream.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::PreTlsProcess;
use pingora::protocols::l4::socket::SocketAddr as Address;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::protocols::{ALPN, GetProxyDigest, GetSocketDigest, SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType};
use prometheus::{IntCounter, IntCounterVec};
use tokio::io::AsyncRead;
use tokio::time::timeout;

use super::guarded::Guarded;
use super::pace::WINDOW;
use super::proxy_protocol::{self, Sender};
use super::pulse::Pulse;
use super::seats::{Full, Seat, Seats};
use super::watch::{Part, Watch};
use crate::config::{LimitsConfig, Network};
use crate::metrics::Metrics;

/// What connections may take: one for all listeners of the gateway.
#[derive(Clone)]
pub struct ConnectionLimits {
    rules: Arc<Rules>,
    seats: Arc<Seats>,
    /// Whether connections from trusted networks begin with a PROXY header.
    proxied: bool,
}

/// Limits of a connection's parts, and what counts those who overstep them.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) handshake: Duration,
    pub(super) idle: Duration,
    pub(super) head: Duration,
    pub(super) window_bytes_min: u64,
    pub(super) malformed: IntCounter,
    cut: IntCounterVec,
    refused: IntCounterVec,
}

impl Rules {
    pub(super) fn count_cut(&self, part: Part) {
        let word = match part {
            Part::Handshake => "handshake",
            Part::Idle => return, // the usual end of a connection
            Part::Head => "head",
            Part::Body => "body",
            Part::Answer | Part::Streams => "answer",
        };
        self.cut.with_label_values(&[word]).inc();
    }
}

impl ConnectionLimits {
    /// As set; connections from `trusted` networks are not counted by address, or, where such connections are `proxied`,
    /// by the address that their PROXY header names.
    pub fn new(limits: &LimitsConfig, trusted: &[Network], proxied: bool, metrics: &Metrics) -> Self {
        let rules = Rules {
            handshake: limits.handshake,
            idle: limits.keepalive,
            head: limits.header,
            window_bytes_min: limits.rate_bytes_min * WINDOW.as_secs(),
            malformed: metrics.malformed.clone(),
            cut: metrics.connections_cut.clone(),
            refused: metrics.connections_refused.clone(),
        };
        let (max, per_address_max) = (limits.connections_max, limits.connections_per_address_max);
        let seats = Seats::new(max, per_address_max, trusted.to_vec(), metrics.connections.clone());
        Self { rules: Arc::new(rules), seats, proxied }
    }

    /// A seat for a new connection, and its visitor's address where a balancer names another than the socket's.
    /// `None`: the connection is to be closed, and is counted.
    async fn seat(
        &self,
        stream: &mut (impl AsyncRead + Unpin + Send + ?Sized),
        digest: Option<&SocketDigest>,
    ) -> Option<(Seat, Option<SocketAddr>)> {
        let address = digest.and_then(|digest| digest.peer_addr()?.as_inet().map(|address| address.ip()));
        let refuse = |full: Full| self.rules.refused.with_label_values(&[full.word()]).inc();
        let mut seat = self.seats.take(address).map_err(refuse).ok()?;
        if !self.proxied || !address.is_some_and(|address| self.seats.is_trusted(address)) {
            return Some((seat, None));
        }
        match self.sender(stream).await? {
            Sender::Own => Some((seat, None)),
            Sender::Visitor(visitor) => {
                seat.count(visitor.ip()).map_err(refuse).ok()?;
                Some((seat, Some(visitor)))
            }
        }
    }

    async fn sender(&self, stream: &mut (impl AsyncRead + Unpin + Send + ?Sized)) -> Option<Sender> {
        match timeout(self.rules.head, proxy_protocol::read(stream)).await {
            Ok(Ok(sender)) => return Some(sender),
            Ok(Err(_)) => self.rules.malformed.inc(),
            Err(_) => self.rules.count_cut(Part::Head),
        }
        None
    }
}

/// Before TLS: a seat, and one deadline for the handshake.
#[async_trait]
impl PreTlsProcess for ConnectionLimits {
    async fn process(&self, stream: &mut L4Stream) -> pingora::Result<()> {
        let known = stream.get_socket_digest();
        let Some((seat, visitor)) = self.seat(stream, known.as_deref()).await else {
            return Error::e_explain(ErrorType::AcceptError, "no seat, or no PROXY header");
        };
        let socket = known.and_then(|known| known.peer_addr().cloned());
        let digest = digest(stream.as_raw_fd(), visitor.map(Address::Inet).or(socket));
        let watch = Watch::new(Part::Handshake);
        let proxy_digest = watch.proxy_digest();
        let nothing = Guarded::new(tokio::io::empty(), watch.clone(), self.rules.clone(), None);
        let inner = std::mem::replace(stream, L4Stream::from(VirtualSocketStream::new(Box::new(nothing))));
        let guarded = Guarded::new(inner, watch, self.rules.clone(), Some(seat));
        *stream = L4Stream::from(VirtualSocketStream::new(Box::new(guarded)));
        stream.set_proxy_digest(proxy_digest);
        stream.set_socket_digest(digest);
        Ok(())
    }
}

/// What the phases will take for the other end of the socket.
fn digest(fd: RawFd, address: Option<Address>) -> SocketDigest {
    let digest = SocketDigest::from_raw_fd(fd);
    // New: it cannot be set already.
    let _ = digest.peer_addr.set(address);
    digest
}

/// The frame's application behind our limits.
pub struct Front<A> {
    inner: Arc<A>,
    limits: ConnectionLimits,
    pulse: Pulse,
}

impl<A> Front<A> {
    /// `inner` gets the connections that have a seat.
    pub fn new(inner: A, limits: ConnectionLimits) -> Self {
        Self { inner: Arc::new(inner), limits, pulse: Pulse::default() }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        self.pulse.keep();
        let before_tls = stream.get_proxy_digest();
        let seat = match before_tls.as_deref().and_then(Watch::in_proxy_digest) {
            Some(watch) => {
                watch.enter(Part::Streams); // from here on the guard above TLS sees more than the one below
                None
            }
            None => {
                let known = stream.get_socket_digest();
                let (seat, visitor) = self.limits.seat(&mut stream, known.as_deref()).await?;
                if let Some(visitor) = visitor {
                    stream.set_socket_digest(digest(stream.id(), Some(Address::Inet(visitor))));
                }
                Some(seat)
            }
        };
        let http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let watch = Watch::new(if http2 { Part::Streams } else { Part::Idle });
        let guarded = Guarded::new(stream, watch, self.limits.rules.clone(), seat);
        self.inner.process_new(Box::new(guarded), shutdown).await
    }

    /// Called when no more connections are taken. The frame's own application would now close idle ones under clients that
    /// are about to ask; they get an answer that says it is the last one, and the end of the process closes the rest.
    async fn cleanup(&self) {}
}
