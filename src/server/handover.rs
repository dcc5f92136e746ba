//! A hot upgrade, seen from both processes. The one that runs gives its listening sockets to the successor that waits for
//! them, waits until that one says it serves, and only then takes no more connections. Whatever goes wrong before, it goes
//! on as if nothing had been asked.
//! Shape: the successor writes its id into `yimen.next`, binds `upgrade.sock` and waits (the frame does that) ── sockets ──▶ it serves and writes its id into
//! `yimen.pid` ──▶ the old one writes its own into `yimen.draining` and ends its connections.
//! The frame's own way is not used: it stops the server when nobody waits for the sockets, stops it after a fixed time
//! whether or not the successor serves, and closes idle connections under clients that are about to ask.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ListenFds, RuntimeOpts, ShutdownWatch};
use pingora::services::Service;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// So long a successor may take from getting the sockets to serving; it has loaded everything before.
const SUCCESSOR_DEADLINE: Duration = Duration::from_secs(30);
/// So long sockets that were not taken over may take to be bound; that is done at once, or somebody else has the address.
const BIND_DEADLINE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// `sun_path` of a Unix socket address has 108 bytes, the last one zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// The files by which processes of one data folder know of each other.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// Where a successor waits for the sockets.
    pub(crate) socket: PathBuf,
    /// The id of the one that waits.
    next: PathBuf,
    /// The id of the process that serves.
    pub(crate) serving: PathBuf,
    /// The id of one that ends its last connections.
    pub(crate) draining: PathBuf,
    /// Held by `yimen upgrade`.
    pub(crate) lock: PathBuf,
}

impl Files {
    pub(crate) fn of(data_directory: &Path) -> Self {
        let [socket, next, serving, draining, lock] =
            ["upgrade.sock", "yimen.next", "yimen.pid", "yimen.draining", "upgrade.lock"]
                .map(|name| data_directory.join(name));
        Self { socket, next, serving, draining, lock }
    }

    /// Whether a Unix socket can have the name.
    pub(crate) fn socket_fits(&self) -> bool {
        self.socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
    }
}

/// The process id in a file; `None` when there is none.
pub(crate) fn id_in(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether a process of this id is there.
fn lives(id: u32) -> bool {
    Path::new("/proc").join(id.to_string()).exists()
}

/// Writes our id so that a reader finds it whole or not at all.
fn write_id(file: &Path) -> io::Result<()> {
    let new = file.with_extension(std::process::id().to_string()); // two processes may write at once
    fs::write(&new, format!("{}\n", std::process::id()))?;
    fs::rename(new, file)
}

/// Why the sockets were not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("no successor waits at {0}; start one with `yimen upgrade`, which does all of it")]
    NobodyWaits(String),
    #[error("the sockets could not be sent: {0}")]
    NotSent(String),
    #[error("the successor ended, or did not serve within 30 s; its log says why")]
    NotServing,
}

/// What the listening services and the end of the process share.
pub(crate) struct Handover {
    files: Files,
    addresses: Vec<SocketAddr>,
    /// The frame's table of listening sockets.
    sockets: OnceLock<ListenFds>,
    stop: watch::Sender<bool>,
}

impl Handover {
    pub(crate) fn new(data_directory: &Path, addresses: Vec<SocketAddr>) -> Arc<Self> {
        let (stop, _) = watch::channel(false);
        Arc::new(Self { files: Files::of(data_directory), addresses, sockets: OnceLock::new(), stop })
    }

    /// Waits until every address is bound and says that we serve. `Err`: those that are not bound within 5 s.
    pub(crate) async fn serving(&self) -> Result<(), Vec<SocketAddr>> {
        let end = Instant::now() + BIND_DEADLINE;
        loop {
            let missing: Vec<SocketAddr> =
                self.addresses.iter().filter(|address| !self.is_bound(**address)).copied().collect();
            if missing.is_empty() {
                break;
            }
            if Instant::now() > end {
                return Err(missing);
            }
            sleep(LOOK_EVERY).await;
        }
        if let Err(cause) = write_id(&self.files.serving) {
            tracing::warn!(%cause, "cannot write {}; `yimen upgrade` will not find this process", self.files.serving.display());
        }
        Ok(())
    }

    fn is_bound(&self, address: SocketAddr) -> bool {
        self.sockets.get().is_some_and(|sockets| sockets.lock().get(&address.to_string()).is_some())
    }

    /// Says that we are about to wait for the sockets of the process that runs.
    pub(crate) fn waiting(&self) {
        if let Err(cause) = write_id(&self.files.next) {
            tracing::warn!(%cause, "cannot write {}", self.files.next.display());
        }
    }

    /// Gives the sockets away and waits until the successor serves; its id. `Err`: nobody took over, and we go on.
    pub(crate) async fn hand_over(&self) -> Result<u32, HandoverError> {
        let (socket, sockets) = (self.files.socket.display().to_string(), self.sockets.get().cloned());
        if !self.files.socket.exists() {
            return Err(HandoverError::NobodyWaits(socket));
        }
        let send = move || match sockets {
            Some(sockets) => sockets.lock().send_to_sock(socket.as_str()).map_err(|cause| cause.to_string()),
            None => Err("none is bound".to_owned()),
        };
        let sent = tokio::task::spawn_blocking(send).await.unwrap_or_else(|fault| Err(fault.to_string()));
        sent.map_err(HandoverError::NotSent)?;
        let end = Instant::now() + SUCCESSOR_DEADLINE;
        while Instant::now() < end && id_in(&self.files.next).is_none_or(lives) {
            if let Some(id) = id_in(&self.files.serving).filter(|id| *id != std::process::id()) {
                return Ok(id);
            }
            sleep(LOOK_EVERY).await;
        }
        Err(HandoverError::NotServing)
    }

    /// No more connections; answers say that theirs ends.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Turns true when `stop` is called.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Says that we end our last connections.
    pub(crate) fn draining(&self) {
        if let Err(cause) = write_id(&self.files.draining) {
            tracing::warn!(%cause, "cannot write {}", self.files.draining.display());
        }
    }

    /// Takes back what we have said about ourselves.
    pub(crate) fn ended(&self) {
        for file in [&self.files.next, &self.files.serving, &self.files.draining] {
            if id_in(file) == Some(std::process::id()) {
                let _ = fs::remove_file(file); // the next start writes it anew
            }
        }
    }
}

/// A listening service of the frame that stops when we say so and whose sockets we know.
pub(crate) struct Handed<S> {
    inner: S,
    handover: Arc<Handover>,
}

impl<S> Handed<S> {
    pub(crate) fn new(inner: S, handover: &Arc<Handover>) -> Self {
        Self { inner, handover: handover.clone() }
    }
}

#[async_trait]
impl<S: Service> Service for Handed<S> {
    async fn start_service(&mut self, fds: Option<ListenFds>, _shutdown: ShutdownWatch, listeners_per_fd: usize) {
        if let Some(fds) = &fds {
            self.handover.sockets.get_or_init(|| fds.clone());
        }
        self.inner.start_service(fds, self.handover.stopped(), listeners_per_fd).await;
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn threads(&self) -> Option<usize> {
        self.inner.threads()
    }

    fn runtime_opts_override(&self, global: &RuntimeOpts) -> Option<RuntimeOpts> {
        self.inner.runtime_opts_override(global)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.inner.listen_addresses()
    }
}
