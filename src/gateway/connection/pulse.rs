//! A timer for every thread that serves connections.
//! Deadlines of the frame are the runtime's timers, not the frame's own (`fast_timeout_to_tokio_threshold_seconds`): those read
//! the clock twice as often, stay in a tree until their time is over, used or not, and keep a thread awake that looks at the tree a
//! hundred times a second. But a timer that would fire before all others of a thread makes the runtime wake that thread by a system
//! call, though it is the one that is running. Where a timer that is due soon is always there, no request sets an earlier one.

use std::collections::HashSet;
use std::thread::{self, ThreadId};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

/// Shorter than the deadlines that every request sets (first byte, idle pool: seconds); long enough to cost nothing.
const EVERY: Duration = Duration::from_millis(500);

/// Threads that have such a timer: as many as `runtime.threads`.
#[derive(Debug, Default)]
pub(super) struct Pulse(Mutex<HashSet<ThreadId>>);

impl Pulse {
    /// Sees to the timer of this thread, each of which has a runtime of its own (`work_stealing` is off).
    pub(super) fn keep(&self) {
        if self.0.lock().insert(thread::current().id()) {
            tokio::spawn(async {
                loop {
                    sleep(EVERY).await;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Handle;

    use super::*;

    #[tokio::test]
    async fn a_thread_has_one_pulse_however_many_connections_it_serves() {
        let pulse = Pulse::default();
        for _connection in 0..3 {
            pulse.keep();
        }
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    }
}
