//! Connections to one instance that wait for their next request.
//! Shape: a stack for each instance. A request takes the connection that came last, if it is one of its own thread: another
//! thread's runtime would have to be woken for whatever happens on it. One that the platform has closed, or on which it spoke
//! unasked, is told by reading before it is used, and goes.
//! The frame's pool has a task wait on each connection, which is an eighth of a request's instructions. Nobody waits here: one
//! task for each instance looks at all of them now and then, as long as there are any.
//! Bounded: `limits.upstream_pool` for all instances together, a quarter of it for one. Where no more may be kept, the instance's own
//! oldest gives way.

use std::collections::VecDeque;
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

/// How many connections all instances may keep.
#[derive(Clone, Debug)]
pub(crate) struct KeptMax {
    max: usize,
    all: Arc<AtomicUsize>,
}

impl KeptMax {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, all: Arc::default() }
    }

    fn one(&self) -> Option<Slot> {
        let slot = Slot(self.all.clone());
        (self.all.fetch_add(1, Relaxed) < self.max).then_some(slot) // else it is given back at once
    }

    /// What one instance may have, so that the burst of one platform does not take all from the others.
    fn share(&self) -> usize {
        self.max.div_ceil(4)
    }
}

/// The right to be kept. A connection that was kept has it while it is in use, too: who is asked often is not put off for those
/// who are asked now and then.
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What one instance has.
pub(crate) struct Kept {
    max: KeptMax,
    stack: Mutex<Stack>,
}

#[derive(Default)]
struct Stack {
    /// The one that came last at the back.
    waiting: VecDeque<Waiting>,
    /// Whether a task looks at them.
    looked_at: bool,
}

struct Waiting {
    stream: Stream,
    slot: Slot,
    address: SocketAddr,
    thread: ThreadId,
    until: Instant,
}

impl Kept {
    pub(crate) fn new(max: KeptMax) -> Self {
        Self { max, stack: Mutex::default() }
    }

    /// A connection to `address` on which the next request can go out.
    pub(crate) fn take(&self, address: SocketAddr, now: Instant) -> Option<(Stream, Slot)> {
        loop {
            let mut last = self.last(address, now)?;
            if is_quiet(&mut last.stream) {
                return Some((last.stream, last.slot));
            }
        }
    }

    fn last(&self, address: SocketAddr, now: Instant) -> Option<Waiting> {
        let thread = thread::current().id();
        let fits = |one: &Waiting| one.thread == thread && one.address == address && one.until > now;
        let mut stack = self.stack.lock();
        let index = stack.waiting.iter().rposition(fits)?;
        stack.waiting.remove(index)
    }

    /// Keeps a connection whose last answer was read to its end, as long as if it had come `now`: a moment of the request that is
    /// over, which costs no look at the clock. `slot`: its own, if it was kept before.
    pub(crate) fn keep(self: &Arc<Self>, stream: Stream, slot: Option<Slot>, address: SocketAddr, now: Instant) {
        let slot = slot.or_else(|| self.max.one());
        let (thread, until) = (thread::current().id(), now + KEPT_FOR);
        let mut stack = self.stack.lock();
        let full = slot.is_none() || stack.waiting.len() >= self.max.share();
        let oldest = if full { stack.waiting.pop_front() } else { None }; // closed when the lock is free again
        let (oldest, freed) = oldest.map(|oldest| (oldest.stream, oldest.slot)).unzip();
        let Some(slot) = slot.or(freed) else { return };
        stack.waiting.push_back(Waiting { stream, slot, address, thread, until });
        let looked_at = std::mem::replace(&mut stack.looked_at, true);
        drop(stack);
        drop(oldest);
        if !looked_at {
            tokio::spawn(look_after(Arc::downgrade(self)));
        }
    }

    /// Closes what nobody will use. Whether somebody has to look again.
    fn look(&self, now: Instant) -> bool {
        let mut waiting = std::mem::take(&mut self.stack.lock().waiting); // who comes meanwhile makes a connection
        waiting.retain_mut(|one| one.until > now && is_quiet(&mut one.stream));
        let mut stack = self.stack.lock();
        waiting.append(&mut stack.waiting);
        stack.waiting = waiting;
        stack.looked_at = !stack.waiting.is_empty();
        stack.looked_at
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
        kept.keep(Box::new(ours), None, ADDRESS, now);
        platforms
    }

    fn counted(kept: &Kept) -> (usize, usize) {
        (kept.stack.lock().waiting.len(), kept.max.all.load(Relaxed))
    }

    #[tokio::test]
    async fn the_connection_that_came_last_goes_first_and_each_goes_once() {
        let (kept, now) = (kept(10), Instant::now());
        let (_first, mut last) = (one_more(&kept, now), one_more(&kept, now));
        let (mut taken, slot) = kept.take(ADDRESS, now).unwrap();
        taken.write_all(b"a").await.unwrap();
        assert_eq!(last.read_u8().await.unwrap(), b'a');
        assert!(kept.take(ADDRESS, now).is_some() && kept.take(ADDRESS, now).is_none());
        assert_eq!(counted(&kept), (0, 1), "who is in use and was kept may be kept again");
        drop(slot);
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

    async fn is_closed(mut platforms: DuplexStream) -> bool {
        matches!(platforms.read(&mut [0]).now_or_never(), Some(Ok(0)))
    }

    #[tokio::test]
    async fn an_instance_has_a_quarter_and_its_oldest_gives_way() {
        let (kept, now) = (kept(8), Instant::now());
        let (one, two, three) = (one_more(&kept, now), one_more(&kept, now), one_more(&kept, now));
        assert!(is_closed(one).await && !is_closed(two).await && !is_closed(three).await);
        assert_eq!(counted(&kept), (2, 2));
    }

    #[tokio::test]
    async fn where_all_are_full_who_has_some_changes_the_oldest_and_who_has_none_gets_none() {
        let (max, now) = (KeptMax::new(2), Instant::now());
        let [busy, other] = [(), ()].map(|()| Arc::new(Kept::new(max.clone())));
        let _first = one_more(&busy, now);
        let (_taken, slot) = busy.take(ADDRESS, now).unwrap();
        let _second = one_more(&other, now);
        let stranger = Arc::new(Kept::new(max.clone()));
        assert!(is_closed(one_more(&stranger, now)).await, "both are taken, one by a connection in use");
        let (ours, platforms) = duplex(64);
        busy.keep(Box::new(ours), Some(slot), ADDRESS, now);
        assert!(!is_closed(platforms).await, "who was kept is kept again");
        let _newest = one_more(&other, now);
        assert_eq!((counted(&busy), counted(&other)), ((1, 2), (1, 2)));
    }

    #[tokio::test]
    async fn what_is_gone_makes_room() {
        let (kept, now) = (kept(8), Instant::now());
        let (one, _two) = (one_more(&kept, now), one_more(&kept, now));
        drop(one);
        assert!(kept.look(now), "one is left to look after");
        assert_eq!(counted(&kept), (1, 1));
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
