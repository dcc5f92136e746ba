//! One line per request, as JSON, for collectors. No path, query, name, cookie or full address is in it.
//! Shape: requests append to one buffer; a thread of its own writes it out ten times a second. Cost on the request's way:
//! one short lock and a copy. Fails: a disk too slow for the buffer costs lines, counted, never a request its time.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::IntCounter;

use crate::domain::Timestamp;

/// Lines waiting for the disk: about 10 000; a disk that is further behind than that does not catch up soon.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// What one line says.
pub(crate) struct Line<'a> {
    pub(crate) now: Timestamp,
    pub(crate) request_id: &'a str,
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: &'a str,
    pub(crate) platform: &'a str,
    pub(crate) route: &'a str,
    pub(crate) level: &'a str,
    pub(crate) status: u16,
    pub(crate) code: &'a str,
    pub(crate) bytes: usize,
    pub(crate) duration_us: u64,
}

/// The access log; dropping it writes what is left.
pub(crate) struct AccessLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    stop: AtomicBool,
    dropped: IntCounter,
}

#[derive(Default)]
struct Waiting {
    lines: String,
    /// The last second that was spelled out, and how.
    second: u64,
    spelled: String,
}

impl AccessLog {
    /// Opens `path` for appending, or stdout.
    pub(crate) fn open(path: Option<&Path>, dropped: IntCounter) -> io::Result<Self> {
        let mut sink: Sink = match path {
            Some(path) => Sink::File(OpenOptions::new().create(true).append(true).open(path)?),
            None => Sink::Stdout,
        };
        let shared = Arc::new(Shared { waiting: Mutex::default(), stop: AtomicBool::new(false), dropped });
        let theirs = shared.clone();
        let write = move || {
            let mut lines = String::new();
            loop {
                let last = theirs.stop.load(Ordering::Acquire);
                std::mem::swap(&mut lines, &mut theirs.waiting.lock().lines);
                // A sink that refuses (a closed pipe, a full disk) must not stop the gateway; the lines are gone and counted.
                if sink.write(lines.as_bytes()).is_err() {
                    theirs.dropped.inc_by(u64::try_from(lines.lines().count()).unwrap_or(0));
                }
                lines.clear();
                if last {
                    return;
                }
                thread::park_timeout(FLUSH_EVERY);
            }
        };
        let writer = thread::Builder::new().name("access-log".to_owned()).spawn(write)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Appends a line.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut waiting = self.shared.waiting.lock();
        if waiting.lines.len() > WAITING_BYTES_MAX {
            self.shared.dropped.inc();
            return;
        }
        waiting.append(line);
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
            // The thread ends by itself; one that panicked has nothing left to write.
            let _ = writer.join();
        }
    }
}

enum Sink {
    File(File),
    Stdout,
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Stdout => io::stdout().lock().write_all(bytes),
        }
    }
}

impl Waiting {
    fn append(&mut self, line: &Line<'_>) {
        if self.second != line.now.seconds() || self.spelled.is_empty() {
            self.second = line.now.seconds();
            let second = i64::try_from(self.second).unwrap_or_default();
            self.spelled = jiff::Timestamp::from_second(second)
                .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S").to_string())
                .unwrap_or_default();
        }
        let Self { lines, spelled, .. } = self;
        let mut number = itoa::Buffer::new();
        let millis = line.now.millis() % 1000;
        // Each text that is known here is pushed by itself: its length is known to the compiler, and no copy is called for.
        lines.push_str("{\"time\":\"");
        lines.push_str(spelled);
        lines.push_str(match millis {
            0..10 => ".00",
            10..100 => ".0",
            _ => ".",
        });
        lines.push_str(number.format(millis));
        lines.push_str("Z\",\"request_id\":\"");
        lines.push_str(line.request_id);
        lines.push_str("\",\"client\":\"");
        network(lines, line.client);
        lines.push_str("\",\"route\":\"");
        // A filing's word; what JSON would have to escape is left out.
        let odd = |letter: char| matches!(letter, '"' | '\\') || letter.is_control();
        line.route.split(odd).for_each(|part| lines.push_str(part));
        // Every other text here is ours (ids, method words, codes): none needs escaping.
        lines.push_str("\",\"method\":\"");
        lines.push_str(line.method);
        lines.push_str("\",\"platform\":\"");
        lines.push_str(line.platform);
        lines.push_str("\",\"level\":\"");
        lines.push_str(line.level);
        lines.push_str("\",\"code\":\"");
        lines.push_str(line.code);
        lines.push_str("\",\"status\":");
        lines.push_str(number.format(line.status));
        lines.push_str(",\"bytes\":");
        lines.push_str(number.format(line.bytes));
        lines.push_str(",\"duration_us\":");
        lines.push_str(number.format(line.duration_us));
        lines.push_str("}\n");
    }
}

/// The network instead of the address: /24 or /48 (writing to a `String` cannot fail).
fn network(lines: &mut String, client: Option<IpAddr>) {
    let _ = match client {
        Some(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            for octet in [a, b, c] {
                lines.push_str(itoa::Buffer::new().format(octet));
                lines.push('.');
            }
            lines.write_str("0/24")
        }
        Some(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            write!(lines, "{a:x}:{b:x}:{c:x}::/48")
        }
        None => lines.write_str("unknown"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_without_the_address_of_the_person() {
        let mut waiting = Waiting::default();
        let line = Line {
            now: Timestamp::from_millis(1_764_000_000_007),
            request_id: "0a",
            client: Some("203.0.113.77".parse().unwrap()),
            method: "GET",
            platform: "hangzhou",
            route: "notary",
            level: "city",
            status: 200,
            code: "",
            bytes: 1024,
            duration_us: 250,
        };
        waiting.append(&line);
        let parsed: serde_json::Value = serde_json::from_str(&waiting.lines).unwrap();
        assert_eq!(parsed["time"], "2025-11-24T16:00:00.007Z");
        assert_eq!(parsed["client"], "203.0.113.0/24");
        assert_eq!((&parsed["status"], &parsed["duration_us"]), (&200.into(), &250.into()));
    }
}
