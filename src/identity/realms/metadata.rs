//! What a provider says of itself (OpenID Connect Discovery 1.0): read once an hour, and believed only for the issuer that was
//! asked, byte for byte.

use serde::Deserialize;
use serde_json::Value;

use crate::config::address_is_safe;

/// Where a provider is found, and what it demands.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    pub(super) pushed_authorization_request_endpoint: Option<String>,
    #[serde(default)]
    pub(super) require_pushed_authorization_requests: bool,
    /// RFC 9207: an answer without `iss` is then somebody else's.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Where an issuer keeps them.
    pub(super) fn address(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
    }

    /// `Err`: why they cannot be used.
    pub(super) fn read(json: Value, issuer: &str, loopback: bool) -> Result<Self, &'static str> {
        let metadata: Self = serde_json::from_value(json).map_err(|_| "its metadata lack what is needed")?;
        if metadata.issuer != issuer {
            return Err("its metadata name another issuer");
        }
        let s256 = |methods: &Vec<String>| methods.iter().any(|method| method == "S256");
        if !metadata.code_challenge_methods_supported.as_ref().is_none_or(s256) {
            return Err("it does not know PKCE with S256");
        }
        if metadata.addresses().any(|address| !address_is_safe(address, loopback)) {
            return Err("its metadata name an address without TLS");
        }
        if metadata.require_pushed_authorization_requests && metadata.pushed_authorization_request_endpoint.is_none() {
            return Err("it demands pushed requests and names no address for them");
        }
        Ok(metadata)
    }

    fn addresses(&self) -> impl Iterator<Item = &String> {
        let needed = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        let further =
            [&self.userinfo_endpoint, &self.end_session_endpoint, &self.pushed_authorization_request_endpoint];
        needed.into_iter().chain(further.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "issuer": "https://id.example.gov", "authorization_endpoint": "https://id.example.gov/auth",
            "token_endpoint": "https://id.example.gov/token", "jwks_uri": "https://keys.example.gov/jwks",
        })
    }

    fn with(key: &str, value: Value) -> Result<Metadata, &'static str> {
        let mut json = good();
        json[key] = value;
        Metadata::read(json, "https://id.example.gov", false)
    }

    #[test]
    fn only_metadata_of_the_issuer_asked_and_with_tls_are_believed() {
        assert!(Metadata::read(good(), "https://id.example.gov", false).is_ok());
        assert!(Metadata::read(good(), "https://id.example.gov/", false).is_err(), "a slash is another issuer");
        assert!(with("issuer", json!("https://ID.example.gov")).is_err(), "case");
        assert!(with("token_endpoint", json!("http://id.example.gov/token")).is_err(), "no TLS");
        assert!(with("end_session_endpoint", json!("javascript:alert(1)")).is_err());
        assert!(with("code_challenge_methods_supported", json!(["plain"])).is_err(), "PKCE downgrade");
        assert!(with("code_challenge_methods_supported", json!(["plain", "S256"])).is_ok());
        assert!(with("require_pushed_authorization_requests", json!(true)).is_err());
        assert!(with("jwks_uri", Value::Null).is_err());
    }
}
