//! The clients of a filing: programs of the platform that sign people in through the gateway as OpenID Provider.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use reqwest::Url;
use serde_json::{Map, Value};

use super::filing::Known;
use crate::domain::PlatformId;
use crate::routing::{Client, Credentials, Scope};
use crate::written::{Fields, Spot};

/// Clients of one platform: one for each of its programs.
pub(super) const CLIENTS_MAX: usize = 20;
const URIS_MAX: usize = 50;
const URI_BYTES_MAX: usize = 1000;
/// Secrets or keys that count at a time: the one in use and the next.
const CREDENTIALS_MAX: usize = 4;

/// Reads one `[[client]]`; `None` when something in it is wrong.
pub(super) fn read(fields: Fields<'_>, platform: Option<&PlatformId>, known: &Known<'_>) -> Option<Client> {
    let id = id(&fields, platform);
    let redirect_uris = uris(&fields, "redirect_uris");
    if redirect_uris.is_empty() {
        fields.mistake(&fields.spot("redirect_uris"), "at least one address to come back to", None);
    }
    let post_logout_redirect_uris = uris(&fields, "post_logout_redirect_uris");
    let backchannel_logout_uri = backchannel(&fields, known);
    let credentials = credentials(&fields);
    let grants: Vec<(Grant, Spot)> = fields.list("grant_types", "authorization_code or refresh_token");
    let refreshes = grants.iter().any(|(grant, _)| *grant == Grant::Refresh);
    if fields.has("grant_types") && !grants.iter().any(|(grant, _)| *grant == Grant::Code) {
        fields.mistake(&fields.spot("grant_types"), "authorization_code among them", None);
    }
    let mut scopes: Vec<Scope> =
        fields.list::<Scope>("scopes", "scopes such as profile").into_iter().map(|(scope, _)| scope).collect();
    if !scopes.contains(&Scope::OpenId) {
        scopes.insert(0, Scope::OpenId);
    }
    if scopes.contains(&Scope::OfflineAccess) && !refreshes {
        let hint = "add \"refresh_token\" to `grant_types`, or leave the scope out".to_owned();
        fields.mistake(&fields.spot("scopes"), "no offline_access without refresh_token", Some(hint));
    }
    let consent = fields.flag("consent", false);
    let pushes = fields.flag("require_pushed_authorization_requests", false);
    fields.finish();
    Some(Client {
        id: id?,
        redirect_uris,
        post_logout_redirect_uris,
        backchannel_logout_uri,
        credentials: credentials?,
        refreshes,
        pushes,
        consent,
        scopes: scopes.into(),
    })
}

/// Two clients of one name.
pub(super) fn doubled(clients: &[Client]) -> Option<&str> {
    let again = |(index, client): &(usize, &Client)| clients.iter().take(*index).any(|other| other.id == client.id);
    clients.iter().enumerate().find(again).map(|(_, client)| &*client.id)
}

/// `client_id`: the platform's id, or that, a dot and a name; so no two platforms can have the same.
fn id(fields: &Fields<'_>, platform: Option<&PlatformId>) -> Option<Box<str>> {
    let written =
        fields.parsed::<ClientName>("client_id", "the platform's id, a dot and a name, such as hangzhou.hall");
    let platform = platform?.as_str();
    let Some(ClientName(written)) = written else { return (!fields.has("client_id")).then(|| platform.into()) };
    let own = written.strip_prefix(platform).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if !own {
        let hint = format!("write `{platform}`, or `{platform}.` and a name");
        fields.mistake(&fields.spot("client_id"), "a name that begins with the platform's own", Some(hint));
    }
    own.then(|| written.into())
}

fn uris(fields: &Fields<'_>, key: &'static str) -> Box<[Box<str>]> {
    let uris: Vec<_> = fields.list::<ReturnUri>(key, "an https address, such as https://hall.example.gov/callback");
    if uris.len() > URIS_MAX {
        fields.mistake(&fields.spot(key), format!("at most {URIS_MAX} addresses"), None);
    }
    uris.into_iter().map(|(uri, _)| uri.0).collect()
}

fn backchannel(fields: &Fields<'_>, known: &Known<'_>) -> Option<Box<str>> {
    let LogoutUri { uri, host, port, clear } =
        fields.parsed("backchannel_logout_uri", "the address that is told of the end of a session")?;
    let spot = fields.spot("backchannel_logout_uri");
    if let Err(why) = known.addresses.admits(&host, port) {
        let hint = format!("{why}; a node whose platforms are there names the network in `register.upstreams_allowed`");
        fields.mistake(&spot, "an address that platforms may have", Some(hint));
        return None;
    }
    if clear {
        fields.warning(&spot, "https", Some("on the way anybody can read who signs out".to_owned()));
    }
    Some(uri)
}

fn credentials(fields: &Fields<'_>) -> Option<Credentials> {
    const METHODS: &str = "client_secret_basic, client_secret_post or private_key_jwt";
    let method = fields.parsed::<Method>("token_endpoint_auth_method", METHODS);
    let method = if fields.has("token_endpoint_auth_method") { method? } else { Method::Basic };
    let secrets: Vec<_> =
        fields.list::<SecretHash>("secret_sha256", "64 hexadecimal digits: see `yimen client secret`");
    let hashes: Box<[[u8; 32]]> = secrets.into_iter().map(|(hash, _)| hash.0).collect();
    let keys = fields.table("jwks").map(jwks);
    let (wanted, other) =
        if method == Method::PrivateKey { ("jwks", "secret_sha256") } else { ("secret_sha256", "jwks") };
    if fields.has(other) {
        fields.mistake(&fields.spot(other), format!("no `{other}` beside {}", method.word()), None);
    }
    let count = if method == Method::PrivateKey { keys.as_ref().map_or(0, |keys| keys.len()) } else { hashes.len() };
    if !(1..=CREDENTIALS_MAX).contains(&count) {
        let hint = match method {
            Method::PrivateKey => "write its public keys as [[client.jwks.keys]]",
            _ => "make a secret with `yimen client secret`, and write the hash that it prints",
        };
        fields.mistake(&fields.spot(wanted), format!("1 to {CREDENTIALS_MAX} of them"), Some(hint.to_owned()));
        return None;
    }
    Some(match method {
        Method::Basic => Credentials::SecretBasic(hashes),
        Method::Post => Credentials::SecretPost(hashes),
        Method::PrivateKey => Credentials::PrivateKeyJwt(keys?),
    })
}

fn jwks(fields: Fields<'_>) -> Box<[Box<str>]> {
    let keys = fields.tables("keys").into_iter().filter_map(key).collect();
    fields.finish();
    keys
}

/// A public key (RFC 7517). A private one is refused: its `d` is an unknown key here.
fn key(fields: Fields<'_>) -> Option<Box<str>> {
    let mut written = Map::new();
    for name in ["kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"] {
        if let Some(text) = fields.parsed::<String>(name, "a text of a public key (RFC 7517)") {
            written.insert(name.to_owned(), Value::String(text));
        }
    }
    let text = Value::Object(written).to_string();
    let usable =
        serde_json::from_str::<Jwk>(&text).ok().filter(fits).is_some_and(|key| DecodingKey::from_jwk(&key).is_ok());
    if !usable {
        let hint = "write kty, crv, x and y, or kty, n and e, as they stand in the client's key set".to_owned();
        fields.mistake(&fields.spot("kty"), "a P-256, Ed25519 or RSA key of 2048 bits or more", Some(hint));
    }
    fields.finish();
    usable.then(|| text.into())
}

fn fits(key: &Jwk) -> bool {
    match &key.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => ec.curve == EllipticCurve::P256,
        AlgorithmParameters::OctetKeyPair(pair) => pair.curve == EllipticCurve::Ed25519,
        AlgorithmParameters::RSA(rsa) => rsa.n.len() >= 342, // 2048 bits in base64url
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grant {
    Code,
    Refresh,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Basic,
    Post,
    PrivateKey,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKey => "private_key_jwt",
        }
    }
}

/// A text that does not fit; the sentence says what would.
struct Bad(&'static str);

impl fmt::Display for Bad {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl FromStr for Grant {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        match text {
            "authorization_code" => Ok(Self::Code),
            "refresh_token" => Ok(Self::Refresh),
            _ => Err(Bad("there is no other grant")),
        }
    }
}

impl FromStr for Method {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let known = [Self::Basic, Self::Post, Self::PrivateKey].into_iter().find(|method| method.word() == text);
        known.ok_or(Bad("choose one of the three; a client without a credential cannot be told from another"))
    }
}

struct ClientName(String);

impl FromStr for ClientName {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let shaped = (1..=100).contains(&text.len()) && text.bytes().all(allowed) && !text.ends_with('.');
        if shaped { Ok(Self(text.to_owned())) } else { Err(Bad("write 1 to 100 of a-z, 0-9, - and .")) }
    }
}

/// SHA-256 of a secret of 256 bits, in hex: nobody finds the secret by trying.
struct SecretHash([u8; 32]);

impl FromStr for SecretHash {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let bad = Bad("write the SHA-256 that `yimen client secret` prints; never the secret itself");
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')) {
            return Err(bad);
        }
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            let pair = text.get(at..at + 2).ok_or(Bad("write 64 digits"))?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Bad("write 64 digits"))?;
        }
        Ok(Self(hash))
    }
}

/// Where people are sent: `https`, or `http` on the person's own machine (RFC 8252 section 7.3, for trying out); in the one form
/// that every reader of addresses reads alike.
struct ReturnUri(Box<str>);

impl FromStr for ReturnUri {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let url = address(text)?;
        let local = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match url.scheme() {
            "https" => Ok(Self(text.into())),
            "http" if local => Ok(Self(text.into())),
            _ => Err(Bad("begin it with https://")),
        }
    }
}

struct LogoutUri {
    uri: Box<str>,
    host: String,
    port: u16,
    clear: bool,
}

impl FromStr for LogoutUri {
    type Err = Bad;

    fn from_str(text: &str) -> Result<Self, Bad> {
        let url = address(text)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Bad("begin it with https://"));
        }
        let host = url.host_str().ok_or(Bad("name a host"))?.trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().ok_or(Bad("name a port"))?;
        Ok(Self { uri: text.into(), host, port, clear: url.scheme() == "http" })
    }
}

fn address(text: &str) -> Result<Url, Bad> {
    if text.len() > URI_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['\\', '*']) {
        return Err(Bad("write at most 1000 letters of ASCII, without * and backslash"));
    }
    let url = Url::parse(text).map_err(|_| Bad("write a whole address, with scheme and host"))?;
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(Bad("leave out # and everything before an @"));
    }
    let named = url.host().is_some_and(|host| match host.to_string().trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => !address.is_unspecified(),
        Err(_) => true,
    });
    if !named || url.as_str() != text {
        return Err(Bad(
            "write it as browsers do: small letters in front, a slash after the host, no default port, no dot segments",
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_readers_could_read_in_two_ways_is_no_redirect_uri() {
        for good in ["https://hall.example.gov/callback", "https://hall.example.gov/?a=b", "http://127.0.0.1:8080/cb"] {
            assert!(good.parse::<ReturnUri>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/callback",
            "hall.example.gov/callback",
            "http://hall.example.gov/callback",
            "https://hall.example.gov",
            "https://HALL.example.gov/",
            "https://hall.example.gov:443/",
            "https://hall.example.gov/a/../b",
            "https://hall.example.gov/a/%2e%2e/b",
            "https://hall.example.gov/#here",
            "https://user@hall.example.gov/",
            "https://hall.example.gov\\@evil.example/",
            "https://*.example.gov/",
            "https://hall.example.gov/ callback",
            "javascript:alert(1)",
            "https://0.0.0.0/",
        ] {
            assert!(bad.parse::<ReturnUri>().is_err(), "{bad} passed");
        }
    }
}
