//! `yimen demo` from its first line to its end.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::process::{Running, children_of, runs, yimen};
use crate::support::{free_port, until};

/// A demo on free ports with a data directory of its own.
pub struct Demo {
    pub process: Running,
    pub lines: Vec<String>,
    pub config: std::path::PathBuf,
    pub management: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Demo {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("yimen-demo-").tempdir().unwrap();
        let process = Running::start("demo", command(free_port(), folder.path()), folder.path());
        let process = Mutex::new(process);
        let ready = || async {
            let mut process = process.lock().unwrap();
            if let Some(status) = process.ended() {
                panic!("the demo ended with {status}: {}", process.errors());
            }
            let lines: Vec<String> = process.output().lines().map(str::to_owned).collect();
            lines.last().is_some_and(|line| line.starts_with("ready ")).then_some(lines)
        };
        let lines = until("the demo is ready", Duration::from_secs(60), ready).await;
        let config = folder.path().join("data/yimen.toml");
        let settings: toml_edit::DocumentMut = std::fs::read_to_string(&config).unwrap().parse().unwrap();
        let management = settings["management"]["listen"].as_str().unwrap().parse().unwrap();
        Self { process: process.into_inner().unwrap(), lines, config, management, _folder: folder }
    }

    /// What stands after a line's first word.
    pub fn told(&self, word: &str) -> Vec<&str> {
        self.lines.iter().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
    }
}

fn command(port: u16, folder: &Path) -> std::process::Command {
    let mut command = yimen();
    command.arg("demo").args(["--listen", &format!("127.0.0.1:{port}")]).arg("--data").arg(folder.join("data"));
    for other in ["--management", "--metrics"] {
        command.args([other, &format!("127.0.0.1:{}", free_port())]);
    }
    command.arg("--routes").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("routes"));
    command
}

#[tokio::test]
async fn it_says_where_to_go_and_ends_with_everything_it_started() {
    let mut demo = Demo::start().await;
    let words: Vec<&str> = demo.lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["portal", "account", "try", "try", "try", "ready"], "{:#?}", demo.lines);
    let children = children_of(demo.process.id());
    assert_eq!(children.len(), 3, "sample platforms: {children:?}");
    demo.process.signal("TERM");
    let demo = Mutex::new(&mut demo.process);
    let ended = || async { demo.lock().unwrap().ended() };
    let status = until("the demo ends", Duration::from_secs(20), ended).await;
    assert!(status.success(), "{status}");
    let gone = || async { (!children.iter().any(|child| runs(*child))).then_some(()) };
    until("the sample platforms end", Duration::from_secs(5), gone).await;
}

#[tokio::test]
async fn its_platforms_end_even_when_it_is_killed() {
    let demo = Demo::start().await;
    let children = children_of(demo.process.id());
    assert_eq!(children.len(), 3, "sample platforms: {children:?}");
    demo.process.signal("KILL");
    let gone = || async { (!children.iter().any(|child| runs(*child))).then_some(()) };
    until("the sample platforms end", Duration::from_secs(5), gone).await;
}

#[tokio::test]
async fn a_taken_port_is_one_sentence_and_status_78() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let port = taken.local_addr().unwrap().port();
    does_not_start(command(port, folder.path()), folder.path(), &port.to_string()).await;
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_one_sentence_and_status_78() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "a file where a folder should be").unwrap();
    does_not_start(command(free_port(), folder.path()), folder.path(), "--data").await;
}

async fn does_not_start(command: std::process::Command, folder: &Path, named: &str) {
    let process = Running::start("demo", command, folder);
    let id = process.id();
    let process = Mutex::new(process);
    let ended = || async { process.lock().unwrap().ended() };
    let status = until("the demo gives up", Duration::from_secs(30), ended).await;
    let process = process.into_inner().unwrap();
    assert_eq!(status.code(), Some(78), "{}", process.errors());
    let said = process.errors();
    assert_eq!(said.lines().count(), 1, "not one sentence: {said}");
    assert!(said.contains(named), "{said}");
    let left = || async { children_of(id).is_empty().then_some(()) };
    until("nothing is left running", Duration::from_secs(5), left).await;
    assert!(!process.output().contains("ready"), "{}", process.output());
}
