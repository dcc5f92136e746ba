//! A platform that misbehaves, in the way it is told to at the moment, and counts what reached it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How it behaves towards each request that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 200 with two bytes.
    Answering,
    /// Takes the request, and says nothing until the mood changes.
    Silent,
    /// Takes the request and closes the connection.
    Closing,
    /// 404 for `/health`, else 200.
    NoHealth,
    /// Closes at a place that the number of the request decides: at once, within the head of the request, after it, within the
    /// head of the answer, within its body; or answers well.
    Random,
}

/// The platform; its threads end with the test's process.
#[derive(Clone, Debug)]
pub struct FaultyPlatform {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mood: Mutex<Mood>,
    changed: Condvar,
    received: AtomicUsize,
    posts: AtomicUsize,
    /// How often each target was asked for, with its method.
    targets: Mutex<HashMap<String, usize>>,
    turns: AtomicU64,
    /// The next request is closed upon.
    once: AtomicBool,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl FaultyPlatform {
    pub fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Shared {
            mood: Mutex::new(mood),
            changed: Condvar::new(),
            received: AtomicUsize::new(0),
            posts: AtomicUsize::new(0),
            targets: Mutex::default(),
            turns: AtomicU64::new(0),
            once: AtomicBool::new(false),
        };
        let platform = Self { address: listener.local_addr().unwrap(), shared: Arc::new(shared) };
        let shared = Arc::clone(&platform.shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        platform
    }

    /// From now on; whoever waits for an answer gets one in the new mood.
    pub fn becomes(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
        self.shared.changed.notify_all();
    }

    /// Closes the connection of the next request instead of an answer, and behaves as before from then on.
    pub fn closes_once(&self) {
        self.shared.once.store(true, Ordering::SeqCst);
    }

    /// Requests whose first line reached it.
    pub fn received(&self) -> usize {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// How often this path was asked for.
    pub fn asked_for(&self, path: &str) -> usize {
        let of_it = |line: &&String| line.split(' ').nth(1) == Some(path);
        let targets = self.shared.targets.lock().unwrap();
        targets.iter().filter(|(line, _)| of_it(line)).map(|(_, count)| count).sum()
    }

    /// The request lines that reached it, each with how often it did.
    pub fn targets(&self) -> HashMap<String, usize> {
        self.shared.targets.lock().unwrap().clone()
    }

    /// POST requests whose first line reached it.
    pub fn posts(&self) -> usize {
        self.shared.posts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut received = Vec::new();
        loop {
            let place = if self.mood() == Mood::Random { self.place() } else { u64::MAX };
            let Some(head) = self.head(&mut stream, &mut received, place) else { return };
            if !self.body(&mut stream, &mut received, &head) {
                return;
            }
            if !self.answer(&mut stream, place, &head) {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    /// Where the next request ends, 0 to 15; most end well. A fixed sequence, so that a failure can be seen again.
    fn place(&self) -> u64 {
        let turn = self.turns.fetch_add(1, Ordering::SeqCst).wrapping_add(1);
        turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60
    }

    /// Reads up to the empty line; a request counts once its first line is here, whatever becomes of it.
    fn head(&self, stream: &mut TcpStream, received: &mut Vec<u8>, place: u64) -> Option<String> {
        let (mut piece, mut counted) = ([0; 4096], false);
        loop {
            if !counted && received.windows(2).any(|two| two == b"\r\n") {
                counted = true;
                self.received.fetch_add(1, Ordering::SeqCst);
                let line = received.split(|byte| *byte == b'\r').next().unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                *self.targets.lock().unwrap().entry(line).or_default() += 1;
                if received.starts_with(b"POST ") {
                    self.posts.fetch_add(1, Ordering::SeqCst);
                }
                if place == 1 {
                    return None; // with bytes unread or not, as it happens: a reset or an end
                }
            }
            if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = received.drain(..end + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            match stream.read(&mut piece) {
                Ok(read @ 1..) => received.extend_from_slice(&piece[..read]),
                _ => return None,
            }
        }
    }

    fn body(&self, stream: &mut TcpStream, received: &mut Vec<u8>, head: &str) -> bool {
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let mut piece = [0; 4096];
        while received.len() < length.unwrap_or(0) {
            match stream.read(&mut piece) {
                Ok(read @ 1..) => received.extend_from_slice(&piece[..read]),
                _ => return false,
            }
        }
        received.drain(..length.unwrap_or(0));
        true
    }

    /// Whether the connection goes on.
    fn answer(&self, stream: &mut TcpStream, place: u64, head: &str) -> bool {
        let mut mood = self.mood.lock().unwrap();
        while *mood == Mood::Silent {
            mood = self.changed.wait(mood).unwrap();
        }
        let now = *mood;
        drop(mood);
        let now = if self.once.swap(false, Ordering::SeqCst) { Mood::Closing } else { now };
        if now == Mood::NoHealth && head.starts_with("GET /health ") {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_ok();
        }
        let said = match (now, place) {
            (Mood::Closing, _) | (Mood::Random, 2) => 0,
            (Mood::Random, 3) => ANSWER.len() / 2, // within the head
            (Mood::Random, 4) => ANSWER.len() - 1, // within the body
            _ => ANSWER.len(),
        };
        // Answered well, and then closed without a word: the next request on it meets a closed door.
        stream.write_all(&ANSWER[..said]).is_ok() && said == ANSWER.len() && place != 5
    }
}

/// An address that takes no connections: whoever comes waits for an answer to the first packet.
#[derive(Debug)]
pub struct Unreachable {
    pub address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _filled: Vec<TcpStream>,
}

impl Unreachable {
    /// A listener whose short queue is full, and is never emptied.
    pub fn start() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filled = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            filled.push(stream);
        }
        Self { address, _listener: listener, _filled: filled }
    }
}
