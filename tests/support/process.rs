//! Processes of a test: they end with it, and what they said is shown when it fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// The program under test.
pub fn yimen() -> Command {
    Command::new(env!("CARGO_BIN_EXE_yimen"))
}

/// The path of a tool, or a failure that says how to install it.
#[allow(clippy::disallowed_methods, reason = "where tools are is a fact of the machine that tests run on")]
pub fn tool(name: &str, package: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = places.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.unwrap_or_else(|| panic!("{name} is missing; install it with: apt-get install -y {package}"))
}

/// A process that is killed when it is dropped. Its output goes to files in the folder it was given.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Held open: sample platforms end when it closes.
    input: Option<ChildStdin>,
    name: String,
    folder: PathBuf,
}

impl Running {
    /// Starts `command` with `{name}.out` and `{name}.err` in `folder`.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Self {
        let file = |end: &str| File::create(folder.join(format!("{name}.{end}"))).unwrap();
        command.stdin(Stdio::piped()).stdout(file("out")).stderr(file("err"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        Self { input: child.stdin.take(), child, name: name.to_owned(), folder: folder.to_owned() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard output so far.
    pub fn output(&self) -> String {
        self.file("out")
    }

    /// What it wrote to standard error so far.
    pub fn errors(&self) -> String {
        self.file("err")
    }

    fn file(&self, end: &str) -> String {
        fs::read(self.folder.join(format!("{}.{end}", self.name)))
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    }

    /// Its standard input.
    pub fn input_of(&mut self) -> &mut ChildStdin {
        self.input.as_mut().expect("an input that is open")
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{} took no {signal}", self.name);
    }

    /// Resident memory in KiB: now, and the highest so far.
    pub fn resident_kib(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let below = tree_below(self.id()); // a browser's driver leaves its browser behind
        let _ = self.child.kill();
        let _ = self.child.wait();
        for id in below.into_iter().filter(|id| runs(*id)) {
            let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).stderr(Stdio::null()).status();
        }
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}{}", self.name, self.output(), self.errors());
        }
    }
}

/// Process ids of all children of `parent`, from /proc.
pub fn children_of(parent: u32) -> Vec<u32> {
    let stat_of = |id: u32| fs::read_to_string(format!("/proc/{id}/stat")).ok();
    let parent_of = |stat: String| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<u32>().ok();
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat_of(*id).and_then(parent_of) == Some(parent)).collect()
}

/// Process ids of everything that `parent` started, directly or not.
pub fn tree_below(parent: u32) -> Vec<u32> {
    let children = children_of(parent);
    let grandchildren: Vec<u32> = children.iter().flat_map(|child| tree_below(*child)).collect();
    children.into_iter().chain(grandchildren).collect()
}

/// Whether a process still runs (a zombie does not).
pub fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
