//! What is known of a visitor who showed a certificate in the TLS handshake.

/// A certificate whose chain and signature were verified, and whose key the visitor has. Whether that says who somebody is, and
/// how surely, is for sign-in to decide. It goes on to nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Distinguished name of the holder, as the certificate has it, for instance `C=CN, O=Example, CN=Li`.
    pub subject: String,
    /// Distinguished name of the authority.
    pub issuer: String,
    /// Serial number, hexadecimal, lower case; one of its kind within the authority (RFC 5280 section 4.1.2.2).
    pub serial: String,
    /// SHA-256 of the whole certificate (DER).
    pub sha256: [u8; 32],
}
