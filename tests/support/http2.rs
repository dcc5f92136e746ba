//! HTTP/2 frame by frame (RFC 9113), for what no client library would send.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, flags, stream, payload: payload.into() }
    }

    /// As sent (section 4.1).
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// A field block of literals, never indexed and never Huffman coded (RFC 7541 section 6.2.2), so that every byte is ours.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name.as_ref());
        string(&mut block, value.as_ref());
    }
    block
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(length @ ..127) => block.push(length),
        _ => {
            block.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
    }
    block.extend(text);
}

/// How a stream went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `:status` 200.
    Ok,
    /// Another status.
    OtherStatus,
    /// The stream or the connection was ended.
    Ended,
    /// Nothing within the time.
    Silence,
}

/// A connection that says what it is told to.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    received: Vec<u8>,
}

impl Connection {
    /// TLS with `h2` chosen, and the preface sent.
    pub fn open(address: SocketAddr, certificate: &Path) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // an earlier connection did it
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        tcp.set_write_timeout(Some(Duration::from_secs(10))).unwrap(); // who stops reading has had enough, too
        let mut connection = Self { stream: StreamOwned::new(tls, tcp), received: Vec::new() };
        let settings = Frame::new(SETTINGS, 0, 0, []).bytes();
        assert!(connection.send(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), settings].concat()));
        connection
    }

    /// Whether the other side still takes bytes.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// The next frame; `Err`: the connection is over; `None`: nothing within `patience`.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Frame>, ()> {
        let end = Instant::now() + patience;
        let mut piece = [0; 4096];
        loop {
            if let Some(frame) = self.take() {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(()),
                Ok(read) => self.received.extend_from_slice(&piece[..read]),
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    if Instant::now() > end {
                        return Ok(None);
                    }
                }
                Err(_) => return Err(()),
            }
        }
    }

    /// Whether the connection ends within this time, whatever is said on it.
    pub fn ended_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.next(end.saturating_duration_since(Instant::now())).is_err() {
                return true;
            }
        }
        false
    }

    fn take(&mut self) -> Option<Frame> {
        let head = self.received.get(..9)?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.received.get(9..9 + length)?.to_vec();
        self.received.drain(..9 + length);
        Some(Frame { kind, flags, stream, payload })
    }

    /// Waits for what becomes of a stream.
    pub fn outcome(&mut self, stream: u32, patience: Duration) -> Outcome {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            match self.next(end.saturating_duration_since(Instant::now())) {
                Err(()) => return Outcome::Ended,
                Ok(None) => return Outcome::Silence,
                Ok(Some(frame)) => match frame.kind {
                    // RFC 7541 appendix A: entry 8 of the static table is `:status: 200`.
                    HEADERS if frame.stream == stream && frame.payload.first() == Some(&0x88) => return Outcome::Ok,
                    HEADERS if frame.stream == stream => return Outcome::OtherStatus,
                    RST_STREAM if frame.stream == stream => return Outcome::Ended,
                    GOAWAY => return Outcome::Ended,
                    _ => {}
                },
            }
        }
        Outcome::Silence
    }
}
