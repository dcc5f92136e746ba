//! What systemd hears from us (`sd_notify`): ready, reloading, stopping, and that we are alive. Without it nothing is said.

use std::io;
use std::net::SocketAddr;

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

/// All listeners accept connections, and this is the process to watch: after a hot upgrade it is another than before.
pub(crate) fn serving() {
    say(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
}

/// Certificates and filings are loaded anew; `serving` says when that is over.
pub(crate) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        say(&[NotifyState::Reloading, now]);
    }
}

/// We end, and nobody follows us.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(cause) = sd_notify::notify(state) {
        tracing::warn!(%cause, "the service manager did not hear us");
    }
}

/// Says that we are alive while we are, if systemd wants to hear it (`WatchdogSec=`), until `stopped`: after a hot upgrade
/// the successor speaks for itself.
pub(crate) async fn watched(metrics: SocketAddr, mut stopped: watch::Receiver<bool>) {
    let Some(within) = sd_notify::watchdog_enabled() else { return };
    let every = within / 3; // systemd advises half; a third leaves room for a look that takes long
    while timeout(every, stopped.wait_for(|stop| *stop)).await.is_err() {
        match timeout(every, look(metrics)).await {
            Ok(Ok(())) => say(&[NotifyState::Watchdog]),
            _ => tracing::error!("/live does not answer; systemd will end this process if that lasts"),
        }
    }
}

/// Whether a listening service of the frame still turns.
async fn look(metrics: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(metrics).await?;
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    if start == *b"HTTP/1.1 200" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
