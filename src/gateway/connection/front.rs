//! The application before the frame's: seats, and the guard around each stream.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::PreTlsProcess;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::protocols::{ALPN, GetProxyDigest, GetSocketDigest, SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType};
use prometheus::{IntCounter, IntCounterVec};

use super::guarded::Guarded;
use super::pace::WINDOW;
use super::seats::{Seat, Seats};
use super::watch::{Part, Watch};
use crate::config::{LimitsConfig, Network};
use crate::metrics::Metrics;

/// What connections may take: one for all listeners of the gateway.
#[derive(Clone)]
pub struct ConnectionLimits {
    rules: Arc<Rules>,
    seats: Arc<Seats>,
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
    /// As set; connections from `trusted` networks are not counted by address.
    pub fn new(limits: &LimitsConfig, trusted: &[Network], metrics: &Metrics) -> Self {
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
        Self { rules: Arc::new(rules), seats }
    }

    fn seat(&self, digest: Option<&SocketDigest>) -> Option<Seat> {
        let address = digest.and_then(|digest| digest.peer_addr()?.as_inet().map(|address| address.ip()));
        let seat = self.seats.take(address);
        seat.map_err(|full| self.rules.refused.with_label_values(&[full.word()]).inc()).ok()
    }
}

/// Before TLS: a seat, and one deadline for the handshake.
#[async_trait]
impl PreTlsProcess for ConnectionLimits {
    async fn process(&self, stream: &mut L4Stream) -> pingora::Result<()> {
        let Some(seat) = self.seat(stream.get_socket_digest().as_deref()) else {
            return Error::e_explain(ErrorType::AcceptError, "too many connections");
        };
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        if let Some(known) = stream.get_socket_digest() {
            // Set a moment ago: it cannot be there already.
            let _ = digest.peer_addr.set(known.peer_addr().cloned());
        }
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

/// The frame's application behind our limits.
pub struct Front<A> {
    inner: Arc<A>,
    limits: ConnectionLimits,
}

impl<A> Front<A> {
    /// `inner` gets the connections that have a seat.
    pub fn new(inner: A, limits: ConnectionLimits) -> Self {
        Self { inner: Arc::new(inner), limits }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let before_tls = stream.get_proxy_digest();
        let seat = match before_tls.as_deref().and_then(Watch::in_proxy_digest) {
            Some(watch) => {
                watch.enter(Part::Streams); // from here on the guard above TLS sees more than the one below
                None
            }
            None => Some(self.limits.seat(stream.get_socket_digest().as_deref())?),
        };
        let http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        let watch = Watch::new(if http2 { Part::Streams } else { Part::Idle });
        let guarded = Guarded::new(stream, watch, self.limits.rules.clone(), seat);
        self.inner.process_new(Box::new(guarded), shutdown).await
    }

    async fn cleanup(&self) {
        self.inner.cleanup().await;
    }
}
