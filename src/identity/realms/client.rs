//! How this gateway proves to a provider that it is the client that was filed there.

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::header::HeaderValue;
use serde_json::json;
use zeroize::Zeroizing;

use super::outgoing::secret;
use crate::config::{ClientProof, RealmConfig};
use crate::domain::Timestamp;

/// A client assertion is used at once.
const ASSERTION_LIFE_S: u64 = 60;
/// RFC 7523 section 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a client shows: fields of the form, or a header.
pub(super) struct Shown {
    client_id: String,
    secret: Option<(&'static str, Zeroizing<String>)>,
    header: Option<HeaderValue>,
}

impl Shown {
    pub(super) fn fields(&self) -> Vec<(&str, &str)> {
        let mut fields = vec![];
        if self.header.is_none() {
            fields.push(("client_id", self.client_id.as_str()));
        }
        if let Some((name, value)) = &self.secret {
            fields.push((name, value.as_str()));
            if *name == "client_assertion" {
                fields.push(("client_assertion_type", ASSERTION_TYPE));
            }
        }
        fields
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.clone()
    }
}

/// `Err`: the file cannot be read, or holds something else.
pub(super) async fn shown(config: &RealmConfig, now: Timestamp) -> Result<Shown, String> {
    let client_id = config.client_id.clone();
    match &config.client {
        ClientProof::SecretBasic(path) => {
            let secret = secret(path).await?;
            // RFC 6749 section 2.3.1: both are encoded as in a form before they are joined.
            let pair = Zeroizing::new(format!("{}:{}", form_encoded(&client_id), form_encoded(&secret)));
            let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            let mut header = HeaderValue::from_str(&header).map_err(|_| "a secret cannot be sent".to_owned())?;
            header.set_sensitive(true);
            Ok(Shown { client_id, secret: None, header: Some(header) })
        }
        ClientProof::SecretPost(path) => {
            Ok(Shown { client_id, secret: Some(("client_secret", secret(path).await?)), header: None })
        }
        ClientProof::PrivateKeyJwt(path) => {
            let unfit = || format!("{} holds no P-256 key in PKCS#8 PEM; make one with openssl", path.display());
            let pem = secret(path).await?;
            let (key, public) = read(&pem).ok_or_else(unfit)?;
            let assertion = assertion(config, &key, &public, now).ok_or_else(unfit)?;
            Ok(Shown { client_id, secret: Some(("client_assertion", Zeroizing::new(assertion))), header: None })
        }
    }
}

/// RFC 7523 section 3. The audience is the issuer alone, so that no other provider can use it.
fn assertion(config: &RealmConfig, key: &EncodingKey, public: &Jwk, now: Timestamp) -> Option<String> {
    let mut jti = [0; 16];
    rand::fill(&mut jti).ok()?;
    let mut header = Header::new(Algorithm::ES256);
    header.kid = public.common.key_id.clone();
    let claims = json!({
        "iss": config.client_id, "sub": config.client_id, "aud": config.issuer, "jti": URL_SAFE_NO_PAD.encode(jti),
        "iat": now.seconds(), "exp": now.seconds() + ASSERTION_LIFE_S,
    });
    encode(&header, &claims, key).ok()
}

/// The public half of a client's key, as the provider must file it; `None`: the realm has none, or it cannot be read here.
pub(super) async fn public_key(config: &RealmConfig) -> Option<Jwk> {
    let ClientProof::PrivateKeyJwt(path) = &config.client else { return None };
    read(&secret(path).await.ok()?).map(|(_, public)| public)
}

fn read(pem: &str) -> Option<(EncodingKey, Jwk)> {
    let key = EncodingKey::from_ec_pem(pem.as_bytes()).ok()?;
    let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256).ok()?;
    public.common.key_id = Some(public.thumbprint(ThumbprintHash::SHA256).ok()?);
    public.common.public_key_use = Some(PublicKeyUse::Signature);
    Some((key, public))
}

fn form_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
