//! The sample platforms as processes of their own, three of them: a ministry's, Zhejiang's, Hangzhou's.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::DemoError;

/// How long a sample platform may take to listen (10 s: a hundred times what it takes on an idle machine).
const START_DEADLINE: Duration = Duration::from_secs(10);

/// Child processes that end when this is dropped, and also when this process ends in any way: each reads a pipe whose
/// other end only we hold, and ends when it closes.
#[derive(Debug, Default)]
pub struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill(); // it may have ended before
            let _ = child.wait();
        }
    }
}

impl Children {
    /// Process ids, for lines that tell people what runs.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(Child::id)
    }

    /// Starts one process for the `platforms` (id and name) and waits until it listens for each: the addresses, in order.
    pub(super) fn start(
        &mut self,
        name: &'static str,
        platforms: &[(String, String)],
        trust: &Trust<'_>,
    ) -> Result<Vec<SocketAddr>, DemoError> {
        let failed = |why: String| DemoError::Platforms { name, why };
        let mut child = command(platforms, trust)?.spawn().map_err(|cause| failed(cause.to_string()))?;
        let lines = child.stdout.take().map(lines_of);
        self.0.push(child);
        let lines = lines.ok_or_else(|| failed("its output cannot be read".to_owned()))?;
        let deadline = Instant::now() + START_DEADLINE;
        platforms.iter().map(|(id, _)| listening(&lines, id, deadline).map_err(failed)).collect()
    }
}

/// What a sample platform needs to check an assertion.
#[derive(Debug)]
pub(super) struct Trust<'a> {
    /// Address of the gateway's key set.
    pub(super) jwks: &'a str,
    /// The certificate that the gateway shows there.
    pub(super) certificate: &'a Path,
    /// `iss` of the assertions.
    pub(super) issuer: &'a str,
}

fn command(platforms: &[(String, String)], trust: &Trust<'_>) -> Result<Command, DemoError> {
    let mut command = Command::new(std::env::current_exe().map_err(DemoError::OwnFile)?);
    command.arg("sample-platform").args(["--jwks", trust.jwks, "--issuer", trust.issuer]);
    command.arg("--ca").arg(trust.certificate);
    for (id, name) in platforms {
        command.arg("--serve").arg(format!("{id}=127.0.0.1:0")).arg("--name").arg(format!("{id}={name}"));
    }
    // A group of its own: Ctrl-C is for the gateway, which finishes its requests first; the platforms end after it.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    Ok(command)
}

/// The lines a child prints, read by a thread that ends with the child.
fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.try_send(line); // after the start nobody listens, and nothing more is printed
        }
    });
    lines
}

fn listening(lines: &Receiver<String>, id: &str, deadline: Instant) -> Result<SocketAddr, String> {
    let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).map_err(|error| match error {
        RecvTimeoutError::Timeout => format!("{id} did not listen within {} s", START_DEADLINE.as_secs()),
        RecvTimeoutError::Disconnected => format!("the process ended before {id} listened"),
    })?;
    let address = line.strip_prefix("listening ").and_then(|rest| rest.strip_prefix(id)?.trim().parse().ok());
    address.ok_or_else(|| format!("`{line}` was printed instead of where {id} listens"))
}
