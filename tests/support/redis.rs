//! A real Redis of a test's own: free port, own folder, killed with the test.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a missing tool ends the test with the command that installs it; only the test's own thread sleeps"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use yimen::config::RedisConfig;

use super::free_port;

pub struct Redis {
    port: u16,
    folder: TempDir,
    more: Vec<String>,
    server: Child,
}

impl Redis {
    /// A Redis that answers.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more settings, such as `--requirepass`.
    pub fn with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let more: Vec<String> =
            more.iter().map(|word| word.replace("{folder}", folder.path().to_str().unwrap())).collect();
        let port = free_port();
        let server = serve(port, folder.path(), &more);
        Self { port, folder, more, server }
    }

    pub fn config(&self) -> RedisConfig {
        RedisConfig {
            url: format!("redis://127.0.0.1:{}/0", self.port),
            user: None,
            password_file: None,
            ca_file: None,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `kill -9`, which a cut one dies of too: connections break, new ones are refused.
    pub fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts again on the same port, with what it had written down (everything acknowledged).
    pub fn restart(&mut self) {
        self.stop();
        self.server = serve(self.port, self.folder.path(), &self.more);
    }

    /// Starts again on the same port and remembers nothing.
    pub fn restart_empty(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(self.folder.path().join("appendonlydir")); // may not be there
        self.server = serve(self.port, self.folder.path(), &self.more);
    }

    /// A black hole: the system accepts connections and bytes, and nobody answers.
    pub fn cut(&self) {
        self.signal("-STOP");
    }

    pub fn restore(&self) {
        self.signal("-CONT");
    }

    /// The answer to one command, as `redis-cli` would show it; a thread of the test waits for it.
    pub fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output().expect(HINT);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Every byte it would keep: an RDB image of all keys and values.
    pub fn image(&self) -> Vec<u8> {
        self.ask(&["CONFIG", "SET", "rdbcompression", "no"]);
        self.ask(&["SAVE"]);
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.server.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

const HINT: &str = "redis-server is missing; run: apt-get install redis-server";

fn serve(port: u16, folder: &Path, more: &[String]) -> Child {
    let mut server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir", folder.to_str().unwrap()])
        .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(HINT);
    let end = Instant::now() + Duration::from_secs(20);
    while !answers(port) {
        assert!(server.try_wait().unwrap().is_none(), "redis-server ended at once");
        assert!(Instant::now() < end, "redis-server does not answer");
        std::thread::sleep(Duration::from_millis(10));
    }
    server
}

/// Any reply counts, a demand for a password too; `-LOADING` does not.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = [0; 8];
    stream.write_all(b"PING\r\n").is_ok()
        && matches!(stream.read(&mut answer), Ok(length) if length > 0 && !answer.starts_with(b"-LOADIN"))
}
