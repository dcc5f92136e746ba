//! Connections to one instance that wait for their next request.
//! Shape: a stack for each instance. A request takes the connection that came last, if it is one of its own thread: another
//! thread's runtime would have to be woken for whatever happens on it. One that the platform has closed, or on which it spoke
//! unasked, is told by reading before it is used, and goes.
//! The frame's pool has a task wait on each connection, which is an eighth of a request's instructions. Nobody waits here: one
//! task for each instance looks at all of them now and then, as long as there are any.
//! Bounded: `limits.upstream_pool` for all instances together; one too many is closed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use pingora::protocols::Stream;
use tokio::io::AsyncReadExt;
use tokio::task::unconstrained;

use super::forward::KEPT_FOR;

/// How long a connection that the platform has closed may stay half open on our side.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many connections all instances may keep, and how many they do.
#[derive(Clone, Debug)]
pub(crate) struct KeptMax {
    max: usize,
    all: Arc<AtomicUsize>,
}

impl KeptMax {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, all: Arc::default() }
    }

    fn take(&self) -> bool {
        let fits = self.all.fetch_add(1, Relaxed) < self.max;
        if !fits {
            self.give_back(1);
        }
        fits
    }

    fn give_back(&self, count: usize) {
        self.all.fetch_sub(count, Relaxed);
    }
}

/// What one instance has.
pub(crate) struct Kept {
    max: KeptMax,
    stack: Mutex<Stack>,
}

#[derive(Default)]
struct Stack {
    waiting: Vec<Waiting>,
    /// Whether a task looks at them.
    looked_at: bool,
}

struct Waiting {
    stream: Stream,
    address: SocketAddr,
    thread: ThreadId,
    until: Instant,
}

impl Kept {
    pub(crate) fn new(max: KeptMax) -> Self {
        Self { max, stack: Mutex::default() }
    }

    /// A connection to `address` on which the next request can go out.
    pub(crate) fn take(&self, address: SocketAddr, now: Instant) -> Option<Stream> {
        loop {
            let mut stream = self.last(address, now)?;
            if is_quiet(&mut stream) {
                return Some(stream);
            }
        }
    }

    fn last(&self, address: SocketAddr, now: Instant) -> Option<Stream> {
        let thread = thread::current().id();
        let fits = |one: &Waiting| one.thread == thread && one.address == address && one.until > now;
        let mut stack = self.stack.lock();
        let index = stack.waiting.iter().rposition(fits)?;
        let taken = stack.waiting.remove(index);
        drop(stack);
        self.max.give_back(1);
        Some(taken.stream)
    }

    /// Keeps a connection whose last answer was read to its end, as long as if it had come `now`: a moment of the request that is
    /// over, which costs no look at the clock.
    pub(crate) fn keep(self: &Arc<Self>, stream: Stream, address: SocketAddr, now: Instant) {
        if !self.max.take() {
            return;
        }
        let waiting = Waiting { stream, address, thread: thread::current().id(), until: now + KEPT_FOR };
        let mut stack = self.stack.lock();
        stack.waiting.push(waiting);
        if !std::mem::replace(&mut stack.looked_at, true) {
            drop(stack);
            tokio::spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Closes what nobody will use. Whether somebody has to look again.
    fn look(&self, now: Instant) -> bool {
        let mut stack = self.stack.lock();
        let gone =
            stack.waiting.extract_if(.., |one| one.until <= now || !is_quiet(&mut one.stream)).collect::<Vec<_>>();
        stack.looked_at = !stack.waiting.is_empty();
        let again = stack.looked_at;
        drop(stack);
        self.max.give_back(gone.len());
        again
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.max.give_back(self.stack.get_mut().waiting.len());
    }
}

async fn look_after(kept: Weak<Kept>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !kept.upgrade().is_some_and(|kept| kept.look(Instant::now())) {
            return;
        }
    }
}

/// Whether nothing came that nobody asked for, the end of the connection included.
fn is_quiet(stream: &mut Stream) -> bool {
    // Without the runtime's budget, which would say "nothing yet" of a closed connection too.
    unconstrained(stream.read(&mut [0])).now_or_never().is_none()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

    fn kept(max: usize) -> Arc<Kept> {
        Arc::new(Kept::new(KeptMax::new(max)))
    }

    /// Keeps one more connection and returns the platform's end of it.
    fn one_more(kept: &Arc<Kept>, now: Instant) -> DuplexStream {
        let (ours, platforms) = duplex(64);
        kept.keep(Box::new(ours), ADDRESS, now);
        platforms
    }

    fn counted(kept: &Kept) -> (usize, usize) {
        (kept.stack.lock().waiting.len(), kept.max.all.load(Relaxed))
    }

    #[tokio::test]
    async fn the_connection_that_came_last_goes_first_and_each_goes_once() {
        let (kept, now) = (kept(10), Instant::now());
        let (_first, mut last) = (one_more(&kept, now), one_more(&kept, now));
        let mut taken = kept.take(ADDRESS, now).unwrap();
        taken.write_all(b"a").await.unwrap();
        assert_eq!(last.read_u8().await.unwrap(), b'a');
        assert!(kept.take(ADDRESS, now).is_some() && kept.take(ADDRESS, now).is_none());
        assert_eq!(counted(&kept), (0, 0));
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_or_spoke_unasked_is_not_used() {
        let (kept, now) = (kept(10), Instant::now());
        let _good = one_more(&kept, now);
        drop(one_more(&kept, now));
        let mut forging = one_more(&kept, now);
        forging.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        assert!(kept.take(ADDRESS, now).is_some(), "the good one lies below the two");
        assert_eq!(counted(&kept), (0, 0));
    }

    #[tokio::test]
    async fn nobody_gets_one_of_another_address_or_thread_or_one_that_waited_too_long() {
        let (kept, now) = (kept(10), Instant::now());
        let _platforms = one_more(&kept, now);
        let elsewhere = SocketAddr::new(ADDRESS.ip(), 8081);
        assert!(kept.take(elsewhere, now).is_none());
        assert!(kept.take(ADDRESS, now + KEPT_FOR).is_none());
        let other = kept.clone();
        assert!(thread::spawn(move || other.take(ADDRESS, now).is_none()).join().unwrap());
        assert!(kept.take(ADDRESS, now).is_some());
    }

    #[tokio::test]
    async fn one_too_many_is_closed_and_what_is_gone_makes_room() {
        let (kept, now) = (kept(2), Instant::now());
        let (_one, two, mut three) = (one_more(&kept, now), one_more(&kept, now), one_more(&kept, now));
        assert_eq!(three.read(&mut [0]).await.unwrap(), 0, "closed");
        drop(two);
        assert!(kept.look(now), "one is left to look after");
        assert_eq!(counted(&kept), (1, 1));
        let _four = one_more(&kept, now);
        assert_eq!(counted(&kept), (2, 2));
        assert!(!kept.look(now + KEPT_FOR));
        assert_eq!(counted(&kept), (0, 0));
    }

    #[tokio::test]
    async fn an_instance_that_is_gone_keeps_nothing() {
        let (kept, now) = (kept(10), Instant::now());
        let (max, mut platforms) = (kept.max.clone(), one_more(&kept, now));
        drop(kept);
        assert_eq!((platforms.read(&mut [0]).await.unwrap(), max.all.load(Relaxed)), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_closes_what_the_platform_has_closed_and_ends_with_the_last() {
        let kept = kept(10);
        drop(one_more(&kept, Instant::now()));
        let _other = one_more(&kept, Instant::now());
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert_eq!(counted(&kept), (1, 1));
        drop(_other);
        tokio::time::sleep(LOOK_EVERY * 2).await;
        assert_eq!((counted(&kept), kept.stack.lock().looked_at), ((0, 0), false));
    }
}
