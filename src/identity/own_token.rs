//! Tokens that we signed and that come back to us, such as an `id_token_hint`.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode_header};
use serde::de::DeserializeOwned;

use super::keys::Keys;
use super::verify::decoded;
use crate::domain::Timestamp;

impl Keys {
    /// The claims of a token of this type that one of the published keys signed, the retired ones among them. Whether its time is
    /// over is not looked at: whoever asks about the past may be answered. `None` for anything else.
    pub fn own<T: DeserializeOwned>(&self, token: &str, token_type: &str, issuer: &str, now: Timestamp) -> Option<T> {
        let header = decode_header(token).ok()?;
        if header.alg != Algorithm::ES256 || header.typ.as_deref() != Some(token_type) {
            return None;
        }
        let public = self.public(&header.kid?, now)?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.validate_exp = false;
        validation.validate_aud = false; // every client's; the caller looks at whose
        decoded(token, &DecodingKey::from_jwk(&public).ok()?, &validation).ok()
    }
}
