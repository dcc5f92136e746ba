//! Threads for work that takes milliseconds, so that it never holds up the threads that proxy. A bounded queue before them:
//! when it is full the answer is "busy", at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use std::{io, thread};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Longest wait of a person for a password check: a full queue of the default length takes about 2 s.
const DEADLINE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(super) struct Pool {
    queue: SyncSender<Job>,
}

/// The queue is full, or the deadline is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

impl Pool {
    /// Threads that end when the pool is dropped.
    pub(super) fn start(threads: usize, waiting_max: usize) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(waiting_max);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads.max(1) {
            let jobs = jobs.clone();
            thread::Builder::new().name("passwords".to_owned()).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on one of the threads; not at all when nobody waits for it any more by the time it is its turn.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(work()); // nobody waits any more: nothing is lost
            }
        });
        self.queue.try_send(job).map_err(|_| Busy)?;
        match tokio::time::timeout(DEADLINE, answered).await {
            Ok(Ok(done)) => Ok(done),
            _ => Err(Busy),
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().recv(); // the lock is the queue's head: one thread waits there, the others behind it
        let Ok(job) = job else { return };
        let _ = catch_unwind(AssertUnwindSafe(job)); // whoever waits is told by the dropped sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_is_busy_at_once_and_recovers() {
        let pool = Arc::new(Pool::start(1, 1).unwrap());
        let (started, has_started) = sync_channel(1);
        let (release, released) = sync_channel::<()>(1);
        let first = spawn(&pool, move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        });
        tokio::task::spawn_blocking(move || has_started.recv().unwrap()).await.unwrap();
        pool.queue.try_send(Box::new(|| ())).unwrap();
        assert_eq!(pool.run(|| 3).await, Err(Busy));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        while pool.run(|| 4).await != Ok(4) {
            tokio::task::yield_now().await;
        }
    }

    fn spawn(pool: &Arc<Pool>, work: impl FnOnce() + Send + 'static) -> tokio::task::JoinHandle<Result<(), Busy>> {
        let pool = pool.clone();
        tokio::spawn(async move { pool.run(work).await })
    }

    #[tokio::test]
    async fn a_panic_is_busy_for_one_and_nothing_for_the_next() {
        let pool = Pool::start(1, 4).unwrap();
        assert_eq!(pool.run(|| -> u8 { panic!("in a job") }).await, Err(Busy));
        assert_eq!(pool.run(|| 7).await, Ok(7));
    }
}
