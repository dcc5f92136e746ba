//! The test kit. It speaks the domain: a `Window` is a gateway with its platforms, each its own process; a `Citizen` comes
//! to it with cookies; a `Browser` is a real one. Nothing here sleeps for a fixed time: it waits for what must become true.
#![allow(dead_code, reason = "a kit serves tests that come and go")]

pub mod browser;
pub mod citizen;
pub mod filing;
pub mod gateway;
pub mod node;
pub mod platform;
pub mod process;
pub mod redis;
pub mod window;

use std::future::Future;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A port nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
