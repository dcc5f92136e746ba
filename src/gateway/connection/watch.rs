//! Which part of the conversation a connection is in: the phases write it, the stream reads it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pingora::http::ResponseHeader;
use pingora::protocols::Digest;
use pingora::protocols::raw_connect::ProxyDigest;

use super::sender::Sender;

/// A part of the conversation, each with a limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    /// TLS is being agreed on: one deadline.
    Handshake,
    /// Nothing was asked yet, or not again: the idle time of connections.
    Idle,
    /// A header has begun: one deadline for all of it.
    Head,
    /// A body is being sent to us: a least rate.
    Body,
    /// It is our turn to speak: no limit on what we read.
    Answer,
    /// HTTP/2: many conversations, which the frame keeps apart.
    Streams,
}

/// Shared by a connection's stream and the phases of its requests, which find it in the connection's digest.
#[derive(Debug)]
pub(crate) struct Watch {
    part: AtomicU8,
    /// Whether the stream was cut by us.
    cut: AtomicU8,
    opened: Instant,
    /// Milliseconds after `opened` since when nothing is asked.
    idle_since: AtomicU64,
    sender: OnceLock<Sender>,
}

impl Watch {
    pub(super) fn new(part: Part) -> Arc<Self> {
        let [part, cut] = [part as u8, 0].map(AtomicU8::new);
        Arc::new(Self { part, cut, opened: Instant::now(), idle_since: AtomicU64::new(0), sender: OnceLock::new() })
    }

    /// The watch of the connection that a request came by.
    pub(crate) fn of(digest: Option<&Digest>) -> Option<&Self> {
        Self::in_proxy_digest(digest?.proxy_digest.as_deref()?).map(|watch| &**watch)
    }

    pub(super) fn in_proxy_digest(digest: &ProxyDigest) -> Option<&Arc<Self>> {
        digest.user_data.as_ref()?.downcast_ref()
    }

    /// The frame has a place for what a proxy in front of it said; nothing of ours reads the answer in it.
    pub(super) fn proxy_digest(self: &Arc<Self>) -> ProxyDigest {
        let answer = ResponseHeader::from(http::Response::new(()).into_parts().0);
        ProxyDigest::new(Box::new(answer), Some(Box::new(self.clone())))
    }

    pub(crate) fn part(&self) -> Part {
        const PARTS: [Part; 5] = [Part::Handshake, Part::Idle, Part::Head, Part::Body, Part::Answer];
        PARTS.get(usize::from(self.part.load(Relaxed))).copied().unwrap_or(Part::Streams)
    }

    /// HTTP/2 stays HTTP/2.
    pub(crate) fn enter(&self, part: Part) {
        if self.part() != Part::Streams {
            self.part.store(part as u8, Relaxed);
        }
    }

    /// The answer is written; `at` is the moment.
    pub(crate) fn answered(&self, at: Instant) {
        self.idle_since.store(millis(at.saturating_duration_since(self.opened)), Relaxed);
        self.enter(Part::Idle);
    }

    /// The visitor of this connection in header fields; `None` when the connection's first request came from somebody else.
    pub(crate) fn sender(&self, client: Option<IpAddr>, proto: &str) -> Option<&Sender> {
        if self.sender.get().is_none() {
            // Another request of the connection, by HTTP/2, may have been quicker: it says the same.
            let _ = self.sender.set(Sender::new(client, proto).ok()?);
        }
        self.sender.get().filter(|sender| sender.is(client))
    }

    pub(super) fn idle_since(&self) -> Instant {
        self.opened + Duration::from_millis(self.idle_since.load(Relaxed))
    }

    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    pub(super) fn note_cut(&self) {
        self.cut.store(1, Relaxed);
    }

    /// Whether the stream was cut because the visitor was too slow.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut.load(Relaxed) != 0
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
