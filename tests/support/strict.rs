//! A platform that reads what it gets as strictly as RFC 9112 allows anybody to, and writes it down byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The platform.
#[derive(Clone, Debug)]
pub struct StrictPlatform {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Arrived>>,
}

/// What reached the platform so far.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Every request that can be read in one way only, as it came.
    pub requests: Vec<StrictRequest>,
    /// Why something could not be read, with its bytes.
    pub faults: Vec<String>,
}

/// One request, unambiguous.
#[derive(Clone, Debug, Default)]
pub struct StrictRequest {
    pub target: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// All of its bytes, framing included.
    pub bytes: Vec<u8>,
}

impl StrictPlatform {
    /// Listens, and answers each request it understands with an empty 200.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let platform = Self { address: listener.local_addr().unwrap(), arrived: Arc::default() };
        let arrived = Arc::clone(&platform.arrived);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let arrived = Arc::clone(&arrived);
                thread::spawn(move || serve(stream, &arrived));
            }
        });
        platform
    }

    /// A copy of what arrived.
    pub fn arrived(&self) -> Arrived {
        self.arrived.lock().unwrap().clone()
    }
}

/// Reads requests until the other side ends, or says something that has two meanings.
fn serve(mut stream: TcpStream, arrived: &Mutex<Arrived>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match request(&received) {
            Ok(Some((request, length))) => {
                received.drain(..length);
                arrived.lock().unwrap().requests.push(request);
                if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                    return;
                }
                continue;
            }
            Ok(None) => {}
            Err(why) => {
                let text = String::from_utf8_lossy(&received).into_owned();
                arrived.lock().unwrap().faults.push(format!("{why}: {text:?}"));
                return;
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return, // a request that broke off reached nobody
            Ok(read) => received.extend_from_slice(&piece[..read]),
        }
    }
}

/// The first request of `bytes` and its length; `None`: more bytes are needed.
fn request(bytes: &[u8]) -> Result<Option<(StrictRequest, usize)>, &'static str> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "bytes that are no text in a head")?;
    if head.bytes().any(|byte| byte == 0) || head.replace("\r\n", "").contains(['\r', '\n']) {
        return Err("a bare line end or NUL");
    }
    let mut lines = head.split("\r\n");
    let target = request_line(lines.next().unwrap_or_default())?;
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let all = |wanted: &str| {
        fields
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
    };
    if all("host").len() != 1 {
        return Err("not one Host");
    }
    let rest = &bytes[end + 4..];
    let body = match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => Some((Vec::new(), 0)),
        ([length], []) => plain(rest, length)?,
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => chunked(rest)?,
        _ => return Err("its length is said in more than one way"),
    };
    let Some((body, length)) = body else { return Ok(None) };
    let length = end + 4 + length;
    Ok(Some((StrictRequest { target, fields, body, bytes: bytes[..length].to_vec() }, length)))
}

fn request_line(line: &str) -> Result<String, &'static str> {
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words.as_slice() else { return Err("a request line that is none") };
    if !is_token(method) {
        return Err("a method that is no token");
    }
    let graphic = target.bytes().all(|byte| byte.is_ascii_graphic());
    let odd = ["//", "/../", "/./", "\\", "%2f", "%2F", "%5c", "%00", ";", "#"];
    if !target.starts_with('/')
        || !graphic
        || odd.iter().any(|odd| target.split('?').next().unwrap_or_default().contains(odd))
    {
        return Err("a target with two meanings");
    }
    Ok((*target).to_owned())
}

fn field(line: &str) -> Result<(String, String), &'static str> {
    let (name, value) = line.split_once(':').ok_or("a line without a colon")?;
    if !is_token(name) {
        return Err("a field name that is no token");
    }
    if value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
        return Err("a control character in a value");
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn is_token(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(good)
}

fn plain(rest: &[u8], length: &str) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let canonical = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let length: usize = length.parse().ok().filter(|_| canonical).ok_or("a length with two meanings")?;
    Ok(rest.get(..length).map(|body| (body.to_vec(), length)))
}

/// RFC 9112 section 7.1, without extensions and trailers.
fn chunked(rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(line) = find(&rest[at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&rest[at..at + line]).map_err(|_| "a chunk size that is no text")?;
        let hex = !size.is_empty() && size.len() <= 8 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(size, 16).ok().filter(|_| hex).ok_or("a chunk size with two meanings")?;
        at += line + 2;
        let Some(chunk) = rest.get(at..at + size + 2) else { return Ok(None) };
        let (data, line_end) = chunk.split_at(size);
        if line_end != b"\r\n" {
            return Err("a chunk that does not end where it says, or a trailer");
        }
        body.extend_from_slice(data);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
