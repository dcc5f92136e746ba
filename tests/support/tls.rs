//! TLS as a visitor of a test speaks it: raw bytes inside, any certificate is believed and can be looked at.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

/// A visitor who looks at the certificate and believes any.
#[derive(Debug)]
struct Looking;

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A connection with TLS that a test reads and writes bytes on.
pub type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Connects, and asks for `name`.
pub fn connect(address: SocketAddr, name: &str) -> Connection {
    over(TcpStream::connect(address).unwrap(), name)
}

/// Connects as one who can exchange keys by `group` only.
pub fn connect_by(address: SocketAddr, name: &str, group: &'static dyn SupportedKxGroup) -> Connection {
    let provider = CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() };
    with(TcpStream::connect(address).unwrap(), name, provider)
}

/// TLS over a socket that is connected already.
pub fn over(socket: TcpStream, name: &str) -> Connection {
    with(socket, name, aws_lc_rs::default_provider())
}

fn with(socket: TcpStream, name: &str, provider: CryptoProvider) -> Connection {
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions().unwrap();
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Looking)).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut connection = StreamOwned::new(client, socket);
    connection.flush().unwrap();
    connection
}
