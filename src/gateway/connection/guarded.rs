//! A stream that cuts whoever is too slow.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep_until};

use super::front::Rules;
use super::pace::{Pace, WINDOW};
use super::seats::Seat;
use super::streams::{By, Streams};
use super::watch::{Part, Watch};

/// A connection and what it may take.
pub(super) struct Guarded<S> {
    inner: S,
    watch: Arc<Watch>,
    digest: Arc<ProxyDigest>,
    rules: Arc<Rules>,
    /// When the part under way is over, and which that is. Kept from request to request where it can be.
    timer: Option<(Part, Pin<Box<Sleep>>)>,
    reading: Pace,
    writing: Pace,
    write_timer: Option<Pin<Box<Sleep>>>,
    /// HTTP/2: whose turn it is, and how the visitor gets on with opening windows.
    streams: Option<Box<(Streams, Pace)>>,
    _seat: Option<Seat>,
}

impl<S> Guarded<S> {
    pub(super) fn new(inner: S, watch: Arc<Watch>, rules: Arc<Rules>, seat: Option<Seat>) -> Self {
        let (reading, writing) = (Pace::default(), Pace::default());
        let digest = Arc::new(watch.proxy_digest());
        let streams = matches!(watch.part(), Part::Streams);
        let streams = streams.then(|| Box::new((Streams::new(watch.opened()), Pace::default())));
        Self { inner, watch, digest, rules, timer: None, reading, writing, write_timer: None, streams, _seat: seat }
    }

    fn got(&mut self, bytes: &[u8]) {
        let least = self.rules.window_bytes_min;
        match self.watch.part() {
            Part::Idle if !bytes.is_empty() => self.begin(),
            Part::Body => self.reading.moved(bytes.len(), least, Instant::now),
            Part::Streams => {
                let Some((streams, _)) = self.streams.as_deref_mut() else { return };
                let bodies = streams.follow(By::Visitor, bytes, Instant::now);
                if bodies > 0 {
                    // As many bodies at a time as HTTP/1.1 would take connections for.
                    let together = u64::try_from(streams.to_send()).unwrap_or(u64::MAX).max(1);
                    self.reading.moved(bodies, least.saturating_mul(together), Instant::now);
                }
            }
            _ => {}
        }
    }

    fn said(&mut self, bytes: &[u8]) {
        let Some((streams, opening)) = self.streams.as_deref_mut() else { return };
        let bodies = streams.follow(By::Gateway, bytes, Instant::now);
        if bodies > 0 {
            opening.moved(bodies, self.rules.window_bytes_min, Instant::now);
        }
    }

    /// A request begins: nothing that the last one took counts for it.
    fn begin(&mut self) {
        self.watch.enter(Part::Head);
        self.reading = Pace::default();
        self.timer.take_if(|(set_for, _)| *set_for == Part::Head);
    }

    /// Nothing came. Whether the visitor has used up the time for this part.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let part = self.watch.part();
        match part {
            Part::Answer | Part::Streams => return false,
            Part::Body if self.rules.window_bytes_min == 0 => return false,
            Part::Body => drop(self.reading.waits(Instant::now())),
            Part::Handshake | Part::Idle | Part::Head => {}
        }
        let known = self.timer.take_if(|(set_for, _)| *set_for == part);
        let mut timer = match known {
            Some((_, timer)) => timer,
            None => Box::pin(sleep_until(self.end(part, Instant::now()).into())),
        };
        // A timer is not set anew whenever its part begins or moves on: it fires, and looks how late it really is.
        while timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            let end = self.end(part, now);
            if matches!(part, Part::Handshake | Part::Head) || end <= now {
                return true;
            }
            timer.as_mut().reset(end.into());
        }
        self.timer = Some((part, timer));
        false
    }

    /// HTTP/2: nothing comes, or nothing can go. For which part the visitor has used up the time.
    fn is_late_on_streams(&mut self, context: &mut Context<'_>) -> Option<Part> {
        let (part, end) = self.first_end()?;
        let known = self.timer.take_if(|(set_for, _)| *set_for == Part::Streams);
        let mut timer = known.map_or_else(|| Box::pin(sleep_until(end.into())), |(_, timer)| timer);
        let mut due = Some((part, end));
        if timer.deadline() > end.into() {
            timer.as_mut().reset(end.into());
        }
        while timer.as_mut().poll(context).is_ready() {
            let (part, end) = due.take().or_else(|| self.first_end())?;
            if end <= Instant::now() {
                return Some(part);
            }
            timer.as_mut().reset(end.into());
        }
        self.timer = Some((Part::Streams, timer));
        None
    }

    /// HTTP/2: what the visitor has to do first, and until when. `None`, without a look at the clock, where it is our turn.
    fn first_end(&mut self) -> Option<(Part, Instant)> {
        let (streams, opening) = self.streams.as_deref_mut()?;
        let rated = self.rules.window_bytes_min > 0;
        let unfinished = streams.unfinished_since().map(|since| (Part::Head, since + self.rules.head));
        let sends = rated && streams.to_send() > 0;
        let opens = rated && streams.waits_for_window();
        if !streams.has_uploads() {
            self.reading = Pace::default(); // nothing that earlier bodies took counts for the next
        } else if !sends {
            self.reading.rests(Instant::now);
        }
        if !opens {
            opening.rests(Instant::now);
        }
        if !sends && !opens {
            return unfinished;
        }
        let now = Instant::now();
        let body = sends.then(|| (Part::Body, now + self.reading.waits(now)));
        let answer = opens.then(|| (Part::Answer, now + opening.waits(now)));
        [unfinished, body, answer].into_iter().flatten().min_by_key(|(_, end)| *end)
    }

    /// When the part is over, as it looks now.
    fn end(&mut self, part: Part, now: Instant) -> Instant {
        match part {
            Part::Handshake => self.watch.opened() + self.rules.handshake,
            Part::Idle => self.watch.idle_since() + self.rules.idle,
            Part::Head => now + self.rules.head,
            Part::Body | Part::Answer | Part::Streams => now + self.reading.waits(now),
        }
    }

    fn cut<T>(&self, part: Part) -> Poll<io::Result<T>> {
        self.watch.note_cut();
        self.rules.count_cut(part);
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the visitor was too slow")))
    }

    fn wrote<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
        bytes: fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let Poll::Pending = written else {
            if let Poll::Ready(Ok(written)) = &written {
                self.writing.moved(bytes(written), self.rules.window_bytes_min, Instant::now);
            }
            self.write_timer = None;
            return written;
        };
        if self.rules.window_bytes_min == 0 {
            return Poll::Pending;
        }
        let left = self.writing.waits(Instant::now());
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until((Instant::now() + left).into())));
        ready!(timer.as_mut().poll(context));
        self.cut(Part::Answer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) => this.got(buffer.filled().get(before..).unwrap_or_default()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending if this.streams.is_some() => {
                if let Some(part) = this.is_late_on_streams(context) {
                    return this.cut(part);
                }
            }
            Poll::Pending if this.is_late(context) => return this.cut(this.watch.part()),
            Poll::Pending => {}
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            this.said(bytes.get(..*written).unwrap_or_default());
        }
        this.wrote(context, written, |written| *written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, parts);
        if let Poll::Ready(Ok(written)) = &written
            && this.streams.is_some()
        {
            let mut left = *written;
            for part in parts {
                let taken = part.len().min(left);
                this.said(part.get(..taken).unwrap_or_default());
                left -= taken;
            }
        }
        this.wrote(context, written, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(context);
        // What was written may have closed a window, and nothing else might wake us then.
        if flushed.is_ready()
            && this.streams.is_some()
            && let Some(part) = this.is_late_on_streams(context)
        {
            return this.cut(part);
        }
        this.wrote(context, flushed, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.inner).poll_shutdown(context);
        this.wrote(context, shut, |()| 0)
    }
}

/// A connection that ends within a header, other than by our cutting it, brought something that is no request.
impl<S> Drop for Guarded<S> {
    fn drop(&mut self) {
        if self.watch.part() == Part::Head && !self.watch.was_cut() {
            self.rules.malformed.inc();
        }
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guarded").field("part", &self.watch.part()).finish_non_exhaustive()
    }
}

/// Below TLS.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> VirtualSocket for Guarded<S> {
    fn set_socket_option(&self, _option: VirtualSockOpt) -> io::Result<()> {
        Ok(()) // the listener has set them when it accepted
    }
}

#[async_trait]
impl Shutdown for Guarded<Stream> {
    async fn shutdown(&mut self) {
        // A peer that reads nothing would hold up the end of its own connection.
        let _ = tokio::time::timeout(WINDOW, self.inner.shutdown()).await;
    }
}

impl UniqueID for Guarded<Stream> {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Guarded<Stream> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Guarded<Stream> {
    /// Nothing of ours asks, and the frame would have it made anew for every request.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}

impl GetProxyDigest for Guarded<Stream> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl GetSocketDigest for Guarded<Stream> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }

    fn set_socket_digest(&mut self, digest: SocketDigest) {
        self.inner.set_socket_digest(digest);
    }
}

#[async_trait]
impl Peek for Guarded<Stream> {}
