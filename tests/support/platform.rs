//! Platforms of a test: sample platforms in a process of their own, and one that writes down every byte it gets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::process::{Running, yimen};
use super::until;

/// A process of sample platforms.
#[derive(Debug)]
pub struct SamplePlatforms {
    pub process: Running,
    addresses: Vec<(String, SocketAddr)>,
}

impl SamplePlatforms {
    /// Starts one process for `ids`, which believes the gateway at `origin` with `certificate`.
    pub async fn start(ids: &[&str], origin: &str, certificate: &Path, folder: &Path) -> Self {
        let mut command = yimen();
        command.arg("sample-platform").args(["--jwks", &format!("{origin}/.well-known/jwks.json"), "--issuer", origin]);
        command.arg("--ca").arg(certificate);
        for id in ids {
            command.args(["--serve", &format!("{id}=127.0.0.1:0")]);
        }
        let process = Running::start("sample-platforms", command, folder);
        let listening = || async {
            let output = process.output();
            let lines = output.lines().map(|line| {
                let (id, address) = line.strip_prefix("listening ").unwrap().split_once(' ').unwrap();
                (id.to_owned(), address.parse().unwrap())
            });
            Some(lines.collect::<Vec<_>>()).filter(|found| found.len() == ids.len() && output.ends_with('\n'))
        };
        let addresses = until("sample platforms listen", Duration::from_secs(10), listening).await;
        Self { process, addresses }
    }

    /// Where a platform listens.
    pub fn at(&self, id: &str) -> SocketAddr {
        self.addresses.iter().find(|(known, _)| known == id).unwrap_or_else(|| panic!("no platform {id}")).1
    }
}

/// A platform that writes down the bytes of each request and answers all alike, or with what it was told.
#[derive(Clone, Debug)]
pub struct RecordingPlatform {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl RecordingPlatform {
    /// Answers `200 OK` with an empty body.
    pub fn start() -> Self {
        Self::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }

    /// Answers with these bytes, whatever is asked.
    pub fn answering(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let platform = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&platform.requests);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let requests = Arc::clone(&requests);
                thread::spawn(move || record(stream, &requests, answer));
            }
        });
        platform
    }

    /// Header blocks received so far, each with its request line, as they came.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The header block of the only request.
    pub fn the_request(&self) -> String {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "not one request but {requests:#?}");
        requests[0].clone()
    }
}

fn record(mut stream: TcpStream, requests: &Mutex<Vec<String>>, answer: &[u8]) {
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        received.extend_from_slice(&piece[..read]);
        while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = received.drain(..end + 4).collect();
            requests.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
}
