//! What a connection says to raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer as bytes, and whether the connection was closed after it.
#[derive(Debug)]
pub struct Raw {
    pub text: String,
    pub closed: bool,
}

impl Raw {
    /// Status of the first answer; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.text.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    /// A field of the first answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.text.split("\r\n\r\n").next()?.lines();
        lines
            .find_map(|line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)))
            .map(|(_, value)| value)
    }
}

/// How long the first byte of an answer may take: tests run side by side on busy machines.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `bytes` and reads until the other side closes, or has been silent for `silence` after it began to answer.
pub fn say(address: SocketAddr, bytes: &[u8], silence: Duration) -> Raw {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes); // it may be refused before the last byte
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    let closed = loop {
        match stream.read(&mut piece) {
            Ok(0) => break true,
            Ok(read) => {
                answer.extend_from_slice(&piece[..read]);
                stream.set_read_timeout(Some(silence)).unwrap();
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break false,
            Err(_) => break true, // reset: closed with bytes of ours unread
        }
    };
    Raw { text: String::from_utf8_lossy(&answer).into_owned(), closed }
}
