//! The test kit. It speaks the domain: a `Window` is a gateway with its platforms, each its own process; a `Citizen` comes
//! to it with cookies; a `Browser` is a real one. Nothing here sleeps for a fixed time: it waits for what must become true.
#![allow(dead_code, reason = "a kit serves tests that come and go")]

pub mod browser;
pub mod citizen;
pub mod clerk;
pub mod engine;
pub mod faulty;
pub mod filing;
pub mod gateway;
pub mod http2;
pub mod nginx;
pub mod node;
pub mod oidc_provider;
pub mod platform;
pub mod postgres;
pub mod process;
pub mod provider;
pub mod raw;
pub mod redis;
pub mod register;
pub mod strict;
pub mod tls;
pub mod traveller;
pub mod window;

use std::future::Future;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

/// Below 32768, where the kernel takes ports for outgoing connections: a port from there may be in use a moment later.
const PORTS: std::ops::Range<u16> = 12_000..32_000;

/// A port nobody listens on, kept for this test's process until it ends: tests run side by side and each wants its own.
pub fn free_port() -> u16 {
    let width = u32::from(PORTS.end - PORTS.start);
    let start = std::process::id().wrapping_mul(7919) % width; // processes that start together begin far apart
    let free = |port: &u16| kept(*port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut tries = (0..width).map(|step| PORTS.start + u16::try_from((start + step) % width).unwrap());
    tries.find(free).expect("a free port")
}

/// Whether nobody had kept this port; an abstract socket of its name ends with the process that holds it.
fn kept(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("yimen-test-port-{port}")).unwrap();
    UnixListener::bind_addr(&name).map(std::mem::forget).is_ok()
}

/// A client without proxies of the environment, with the program's own cryptography.
pub fn client() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier client did it
    reqwest::Client::builder().no_proxy()
}

/// Waits until `condition` gives a value; panics with `what` after `deadline`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, deadline: Duration, condition: impl Fn() -> F) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {deadline:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
