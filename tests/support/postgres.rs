//! A real PostgreSQL of a test's own: own folder, free port, ended with the test. The server refuses to run as root, so where
//! the tests do, Debian's `postgres` user runs it.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a missing tool ends the test with the command that installs it; only the test's own thread sleeps"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use yimen::config::{PostgresConfig, RegisterStoreConfig};

use super::free_port;

const HINT: &str = "PostgreSQL is missing; run: apt-get install postgresql";
const START_DEADLINE: Duration = Duration::from_secs(60);

pub struct Postgres {
    port: u16,
    folder: TempDir,
    server: Option<Child>,
}

impl Postgres {
    /// A server that answers, with an empty database.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("yimen-postgres-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            let given = Command::new("chown").arg("postgres").arg(&data).status().expect("chown");
            assert!(given.success(), "{HINT}");
        }
        let mut made = as_server("initdb");
        made.args(["--pgdata", data.to_str().unwrap(), "--username", "yimen", "--auth", "trust"]).args([
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        let made = made.output().expect(HINT);
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut postgres = Self { port: free_port(), folder, server: None };
        postgres.serve();
        postgres
    }

    pub fn url(&self) -> String {
        format!("postgres://yimen@127.0.0.1:{}/postgres", self.port)
    }

    pub fn config(&self) -> RegisterStoreConfig {
        RegisterStoreConfig::Postgres(PostgresConfig { url: self.url(), password_file: None, ca_file: None })
    }

    /// Ends at once, as in a crash.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let pid = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let pid = pid.lines().next().unwrap_or_default().to_owned();
        if !pid.is_empty() {
            let _ = Command::new("kill").args(["-s", "QUIT", &pid]).stderr(Stdio::null()).status();
        }
        let end = Instant::now() + START_DEADLINE;
        while server.try_wait().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    /// Starts again on the same port, with everything that was committed.
    pub fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// What one statement gives, unaligned.
    pub fn ask(&self, sql: &str) -> String {
        let output = Command::new(binary("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "yimen", "-d", "postgres", "-At", "-c", sql])
            .output()
            .expect(HINT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Everything in it, as text.
    pub fn dump(&self) -> Vec<u8> {
        let mut command = Command::new(binary("pg_dump"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "yimen", "-d", "postgres", "--inserts"]);
        let output = command.output().expect(HINT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn serve(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = as_server("postgres");
        command
            .args(["-D", self.data().to_str().unwrap(), "-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB"]) // the machine does not lose its power in a test
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(command.spawn().expect(HINT));
        let end = Instant::now() + START_DEADLINE;
        let ready = || {
            let mut asked = Command::new(binary("pg_isready"));
            asked.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).stdout(Stdio::null());
            asked.status().expect(HINT).success()
        };
        while !ready() {
            let told = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "PostgreSQL does not answer: {}", told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
        if is_root() {
            let _ = Command::new("rm").arg("-rf").arg(self.data()).status(); // another user's files
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A program of the server, run by a user that it accepts.
fn as_server(name: &str) -> Command {
    let program = binary(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]).arg(program);
    command.current_dir("/");
    command
}

/// Debian keeps each version's programs in a folder of its own.
fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect(HINT);
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    let found = versions.into_iter().rev().map(|version| version.join("bin").join(name));
    found.into_iter().find(|path: &PathBuf| Path::new(path).is_file()).expect(HINT)
}
