//! Secrets of clients of the OpenID Provider. The filing has the hash; the secret is shown once and kept by nobody here.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::error::IdentityError;

/// A new secret of 256 random bits, and what is filed of it: its SHA-256 in hex. A plain hash will do, since nobody finds 256 random
/// bits by trying.
pub fn client_secret() -> Result<(Zeroizing<String>, String), IdentityError> {
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(&mut random[..]).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(&random[..]));
    let hash = digest(&SHA256, secret.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((secret, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_and_only_its_hash_is_filed() {
        let ((secret, filed), (other, _)) = (client_secret().unwrap(), client_secret().unwrap());
        assert_eq!((secret.len(), filed.len()), (43, 64));
        assert_ne!(*secret, *other);
        let hash: String =
            digest(&SHA256, secret.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(filed, hash);
    }
}
