//! Sample platforms: stand-ins for back-end platforms, which show what reached them and check who the gateway says it is for.
//! Shape: one process, one socket for each `--serve ID=ADDR`; plain HTTP/1.1; any path gets a page, a few endings do more
//! (`special.rs`). Cost: bodies stream, at most 4,096 connections. Fails: one sentence when it cannot start, then never.
//! Knows: `identity`, for assertions. It masks nothing, for it is a sample: a real platform would not show headers.

mod keys;
mod page;
mod server;
mod special;

use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use self::keys::{Keys, KeysError};
use self::server::Platform;
use crate::domain::{BadPlatformId, PlatformId};

/// What `yimen sample-platform` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct SamplePlatformOptions {
    /// A platform to stand in for and the address to listen at; port 0 takes a free one. Once for each platform.
    #[arg(long, value_name = "ID=ADDR", required = true)]
    pub serve: Vec<Serve>,
    /// A platform's name for its page.
    #[arg(long, value_name = "ID=TEXT")]
    pub name: Vec<Named>,
    /// Address of the gateway's key set (https).
    #[arg(long, value_name = "URL")]
    pub jwks: String,
    /// Certificate authority of that address, PEM.
    #[arg(long, value_name = "PEM_FILE")]
    pub ca: PathBuf,
    /// `iss` that assertions must have: the gateway's public origin.
    #[arg(long, value_name = "ORIGIN")]
    pub issuer: String,
}

/// A platform and where it listens.
#[derive(Clone, Debug)]
pub struct Serve {
    id: PlatformId,
    address: SocketAddr,
}

/// A platform and its name.
#[derive(Clone, Debug)]
pub struct Named {
    id: PlatformId,
    name: String,
}

/// An option's text has not the form asked for.
#[derive(Debug, thiserror::Error)]
pub enum BadOption {
    /// No `=` in it.
    #[error("write ID=VALUE, such as hangzhou=127.0.0.1:0")]
    Shape,
    /// The part before `=`.
    #[error(transparent)]
    Id(#[from] BadPlatformId),
    /// The part after `=`.
    #[error("`{0}` is no address; write IP:PORT, such as 127.0.0.1:0")]
    Address(String),
}

impl FromStr for Serve {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, BadOption> {
        let (id, address) = text.split_once('=').ok_or(BadOption::Shape)?;
        let address = address.parse().map_err(|_| BadOption::Address(address.to_owned()))?;
        Ok(Self { id: id.parse()?, address })
    }
}

impl FromStr for Named {
    type Err = BadOption;

    fn from_str(text: &str) -> Result<Self, BadOption> {
        let (id, name) = text.split_once('=').ok_or(BadOption::Shape)?;
        Ok(Self { id: id.parse()?, name: name.to_owned() })
    }
}

/// Why the sample platforms did not start; one sentence each.
#[derive(Debug, thiserror::Error)]
pub enum SamplePlatformError {
    /// An address is taken or not ours.
    #[error("{id} cannot listen at {address}: {cause}; choose another port, 0 takes a free one")]
    Listen {
        /// The platform.
        id: PlatformId,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The certificate authority cannot be read.
    #[error("cannot read {path}: {cause}; --ca names the PEM file that the gateway's certificate is checked with")]
    Authority {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The client for the key set cannot be made.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The system gave no threads, signals or output.
    #[error("the system refused what a server needs: {0}; look at its limits (ulimit -a)")]
    System(#[from] io::Error),
}

/// Serves until standard input closes or SIGTERM comes. Prints `listening ID ADDR` for each platform, in the order asked for.
pub fn run_sample_platform(options: SamplePlatformOptions) -> Result<(), SamplePlatformError> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // main may have done it already
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: SamplePlatformOptions) -> Result<(), SamplePlatformError> {
    let authority =
        fs::read(&options.ca).map_err(|cause| SamplePlatformError::Authority { path: options.ca, cause })?;
    let keys = Arc::new(Keys::new(options.jwks, &authority)?);
    for Serve { id, address } in options.serve {
        let listen = |cause| SamplePlatformError::Listen { id: id.clone(), address, cause };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let bound = listener.local_addr()?;
        let name = options.name.iter().find(|named| named.id == id).map_or_else(|| id.to_string(), |n| n.name.clone());
        let platform = Platform { id: id.clone(), name, issuer: options.issuer.clone(), keys: Arc::clone(&keys) };
        tokio::spawn(server::run(listener, Arc::new(platform)));
        let mut out = io::stdout().lock();
        writeln!(out, "listening {id} {bound}")?;
        out.flush()?;
    }
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = input_closed() => {}
    }
    Ok(())
}

/// Ready when standard input ends: whoever started us holds its other end, so we never outlive them.
fn input_closed() -> oneshot::Receiver<()> {
    let (closed, wait) = oneshot::channel();
    thread::spawn(move || {
        let mut ignored = [0_u8; 256];
        while matches!(io::stdin().read(&mut ignored), Ok(read) if read > 0) {}
        let _ = closed.send(());
    });
    wait
}
