//! What the provider says of itself (OpenID Connect Discovery 1.0 section 3, RFC 8414). The same for every client.

use bytes::Bytes;
use serde_json::json;

use crate::routing::Scope;

pub(super) fn of(origin: &str) -> Bytes {
    let at = |path: &str| format!("{origin}{path}");
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let algorithms = ["ES256", "PS256", "EdDSA"];
    let document = json!({
        "issuer": origin,
        "authorization_endpoint": at("/oidc/authorize"),
        "token_endpoint": at("/oidc/token"),
        "userinfo_endpoint": at("/oidc/userinfo"),
        "jwks_uri": at("/.well-known/jwks.json"),
        "introspection_endpoint": at("/oidc/introspect"),
        "revocation_endpoint": at("/oidc/revoke"),
        "pushed_authorization_request_endpoint": at("/oidc/par"),
        "require_pushed_authorization_requests": false,
        "end_session_endpoint": at("/oidc/logout"),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "scopes_supported": Scope::ALL.map(Scope::word),
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "subject_type", "represented",
            "act", "name", "phone_number",
        ],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "require_request_uri_registration": false,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "acr_values_supported": ["L1", "L2", "L3", "L4"],
        "prompt_values_supported": ["none", "login", "consent"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["zh-CN", "en"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    document.to_string().into()
}
