//! `yimen upgrade`: starts this binary beside the gateway that runs, has it take the listening sockets over, and tells the
//! old process to end when its last connections do. Whatever fails on the way, the old one goes on serving.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::arguments::Format;
use super::{FAILED, Outcome, check};
use crate::config::{self, Config};
use crate::server::{Files, id_in};

/// Loading takes seconds with more than a million routes; nobody waits for it.
const LOAD_DEADLINE: Duration = Duration::from_secs(120);
/// From the signal to serving: a second or two. Less than the old process waits, so that this command is the one that ends it.
const SERVE_DEADLINE: Duration = Duration::from_secs(20);
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why the gateway was not replaced.
#[derive(Debug, thiserror::Error)]
enum UpgradeError {
    #[error("{0}; correct this first")]
    Check(String),
    #[error("no gateway runs ({0} names none); start one with `yimen serve`")]
    NotRunning(PathBuf),
    #[error("another upgrade is under way ({0} is held); wait for its end")]
    Busy(PathBuf),
    #[error("the data folder's path is too long for {0}; choose a shorter one and restart once")]
    SocketName(PathBuf),
    #[error("cannot {what}: {cause}; run this as the gateway's user")]
    System { what: &'static str, cause: String },
    #[error("the new process ended with {0} before it served; its log says why")]
    Ended(ExitStatus),
    #[error("the new process was not ready to take over within {} s; its log says why", LOAD_DEADLINE.as_secs())]
    NotReady,
    #[error("the new process did not serve within {} s; both logs say why", SERVE_DEADLINE.as_secs())]
    NotServing,
}

impl UpgradeError {
    fn system(what: &'static str, cause: impl ToString) -> Self {
        Self::System { what, cause: cause.to_string() }
    }
}

pub(crate) fn upgrade(path: &Path, say: fn(&str)) -> Outcome {
    let runtime = Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(|cause| UpgradeError::system("start", cause))
        .and_then(|runtime| runtime.block_on(carry_out(path, say)));
    match done {
        Ok(()) => Outcome::done(""),
        Err(fault @ UpgradeError::NotRunning(_)) => Outcome::failed(FAILED, fault),
        Err(fault) => Outcome::failed(FAILED, format!("not replaced, the old process goes on: {fault}")),
    }
}

async fn carry_out(path: &Path, say: fn(&str)) -> Result<(), UpgradeError> {
    let checked = check::check(path, false, Format::Text);
    if checked.status != 0 {
        return Err(UpgradeError::Check(checked.text.trim_end().to_owned()));
    }
    let config = config::load(path).map_err(|mistakes| UpgradeError::Check(mistakes.to_string()))?;
    let files = Files::of(&config.data_directory);
    if !files.socket_fits() {
        return Err(UpgradeError::SocketName(files.socket));
    }
    let _turn = turn(&files)?;
    let old = Old::find(&files)?;
    let _ = fs::remove_file(&files.socket); // of an upgrade that failed; there is none as a rule
    let mut new = old.successor(path)?;
    let replaced = replace(&old, &mut new, &files).await;
    if let Err(fault) = replaced {
        let _ = new.kill().await; // it may have ended by itself
        return Err(fault);
    }
    let serving = new.id().unwrap_or_default();
    say(&format!("process {serving} serves"));
    say(&old.last_word(&files, &config).await);
    Ok(())
}

/// One upgrade at a time.
fn turn(files: &Files) -> Result<File, UpgradeError> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&files.lock);
    let file = open.map_err(|cause| UpgradeError::system("write in the data folder", cause))?;
    file.try_lock().map_err(|_| UpgradeError::Busy(files.lock.clone()))?;
    Ok(file)
}

async fn replace(old: &Old, new: &mut Child, files: &Files) -> Result<(), UpgradeError> {
    until(new, LOAD_DEADLINE, UpgradeError::NotReady, || files.socket.exists()).await?;
    kill(old.pid(), Signal::SIGQUIT).map_err(|cause| UpgradeError::system("signal the old process", cause))?;
    let id = new.id();
    until(new, SERVE_DEADLINE, UpgradeError::NotServing, || id_in(&files.serving) == id).await
}

/// Waits for what the new process must do, as long as it lives.
async fn until(
    new: &mut Child,
    deadline: Duration,
    late: UpgradeError,
    done: impl Fn() -> bool,
) -> Result<(), UpgradeError> {
    let end = Instant::now() + deadline;
    while !done() {
        if let Ok(Some(status)) = new.try_wait() {
            return Err(UpgradeError::Ended(status));
        }
        if Instant::now() > end {
            return Err(late);
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The gateway that runs.
struct Old {
    id: u32,
    /// `/proc/{id}`.
    folder: PathBuf,
}

impl Old {
    fn find(files: &Files) -> Result<Self, UpgradeError> {
        let found = id_in(&files.serving).map(|id| Self { id, folder: PathBuf::from(format!("/proc/{id}")) });
        found.filter(Self::is_a_gateway).ok_or_else(|| UpgradeError::NotRunning(files.serving.clone()))
    }

    /// Not somebody else who was given the id after a gateway died.
    fn is_a_gateway(&self) -> bool {
        let words = fs::read(self.folder.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"serve" || word == b"demo")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.id).unwrap_or(i32::MAX))
    }

    /// Starts the process that is to follow, with the surroundings of the old one: environment, folder, and where it logs.
    fn successor(&self, config: &Path) -> Result<Child, UpgradeError> {
        let system = |what| move |cause: io::Error| UpgradeError::system(what, cause);
        let program = std::env::current_exe().map_err(system("find this program"))?;
        let config = std::path::absolute(config).map_err(system("find the settings"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--upgrade", "--config"]).arg(config);
        command.stdin(Stdio::null()).stdout(self.sink(1)).stderr(self.sink(2)).process_group(0);
        if let Ok(folder) = fs::read_link(self.folder.join("cwd")) {
            command.current_dir(folder);
        }
        if let Ok(environment) = fs::read(self.folder.join("environ")) {
            command.env_clear().envs(variables(&environment));
        }
        command.spawn().map_err(system("start the new process"))
    }

    /// Where the old process writes, if that is a file, a terminal or a pipe; where this command does, if it is a socket.
    fn sink(&self, number: u8) -> Stdio {
        let opened = OpenOptions::new().append(true).open(self.folder.join(format!("fd/{number}")));
        opened.map_or_else(|_| Stdio::inherit(), Stdio::from)
    }

    async fn last_word(&self, files: &Files, config: &Config) -> String {
        let end = Instant::now() + DRAIN_DEADLINE;
        while self.is_a_gateway() {
            if id_in(&files.draining) == Some(self.id) {
                let bound = config.runtime.drain.as_secs();
                return format!(
                    "process {} takes no more connections and ends with its last, within {bound} s",
                    self.id
                );
            }
            if Instant::now() > end {
                return format!("process {} does not say that it ends; look at its log, both serve now", self.id);
            }
            sleep(LOOK_EVERY).await;
        }
        format!("process {} has ended", self.id)
    }
}

/// `WATCHDOG_PID` names the old process; the rest is as good for the new one.
fn variables(environment: &[u8]) -> BTreeMap<OsString, OsString> {
    let pairs = environment.split(|byte| *byte == 0).filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value.get(1..)?).to_owned()))
    });
    pairs.filter(|(name, _)| name != "WATCHDOG_PID").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_on_but_for_the_watched_process() {
        let read = variables(b"PATH=/bin\0EMPTY=\0WATCHDOG_PID=7\0WATCHDOG_USEC=9\0A=b=c\0nonsense\0\0");
        let read: Vec<_> = read.iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect();
        assert_eq!(read, ["A=b=c", "EMPTY=", "PATH=/bin", "WATCHDOG_USEC=9"]);
    }
}
