//! What a client asks for when it sends a person to sign in, checked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Issuer;
use super::client::Known;
use super::parameters::Parameters;
use crate::domain::{Assurance, Timestamp};
use crate::routing::Scope;

/// What is read of an authorization request; everything else in it is ignored (RFC 6749 section 3.1).
pub(super) const PARAMETERS: [&str; 19] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "acr_values",
    "claims",
    "id_token_hint",
    "login_hint",
    "ui_locales",
    "request",
    "request_uri",
    "resume",
];

/// How much a person is to be bothered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Prompt {
    /// As much as it takes.
    Usual,
    /// Not at all.
    None,
    /// They sign in, whoever is signed in.
    Login,
}

/// An authorization request that may be answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    /// S256 of the verifier, in base64url.
    pub(super) challenge: String,
    pub(super) scopes: Vec<Scope>,
    /// Whether the name is asked for, by scope or by `claims`.
    pub(super) name: bool,
    pub(super) prompt: Prompt,
    /// Whether `prompt` says `consent`.
    pub(super) consent: bool,
    pub(super) max_age_s: Option<u64>,
    /// The least that will do.
    pub(super) assurance: Option<Assurance>,
    /// Whom the client means, by the name that it knows them by.
    pub(super) sub: Option<String>,
    pub(super) login_hint: Option<String>,
    pub(super) ui_locales: Option<String>,
    /// When it came, so that a proof given since counts as fresh.
    pub(super) at: Timestamp,
    /// How often the person was sent to sign in for it.
    pub(super) sent: u8,
}

/// An error that goes back to the client: the standard's word, and ours for whoever looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str, pub(super) &'static str);

const INVALID: &str = "invalid_request";

impl Issuer {
    /// Reads a request of a known client whose `redirect_uri` is good.
    pub(super) fn request(
        &self,
        known: &Known,
        redirect_uri: &str,
        asked: &Parameters,
        now: Timestamp,
    ) -> Result<Request, Wrong> {
        let client = known.client().ok_or(Wrong("server_error", "the client is gone"))?;
        form(asked)?;
        let scopes = scopes(asked, &client.scopes)?;
        let (prompt, consent) = prompt(asked)?;
        let claims = claims(asked)?;
        let sub = match asked.get("id_token_hint") {
            None => None,
            Some(hint) => match self.hint(hint, now).filter(|hint| hint.aud == *client.id) {
                Some(hint) => Some(hint.sub),
                None => return Err(Wrong(INVALID, "id_token_hint is no token of this client")),
            },
        };
        let text = |name| asked.get(name).map(str::to_owned);
        Ok(Request {
            client: client.id.to_string(),
            redirect_uri: redirect_uri.to_owned(),
            state: text("state"),
            nonce: text("nonce"),
            challenge: challenge(asked)?,
            name: claims.name || scopes.contains(&Scope::Profile),
            scopes,
            prompt,
            consent,
            max_age_s: max_age(asked)?,
            assurance: least(asked.get("acr_values").unwrap_or_default().split(' ')).max(claims.assurance),
            sub,
            login_hint: text("login_hint"),
            ui_locales: text("ui_locales"),
            at: now,
            sent: 0,
        })
    }
}

fn form(asked: &Parameters) -> Result<(), Wrong> {
    if asked.get("request").is_some() {
        return Err(Wrong("request_not_supported", "push the request instead (RFC 9126)"));
    }
    if asked.get("request_uri").is_some() {
        return Err(Wrong("request_uri_not_supported", "only addresses that a push has given are taken"));
    }
    match asked.get("response_type") {
        Some("code") => {}
        Some(_) => return Err(Wrong("unsupported_response_type", "only code is given")),
        None => return Err(Wrong(INVALID, "response_type is missing")),
    }
    match asked.get("response_mode") {
        None | Some("query") => Ok(()),
        Some(_) => Err(Wrong(INVALID, "only response_mode=query is answered")),
    }
}

/// RFC 9700 section 2.1.1: S256 and nothing else, from everybody.
fn challenge(asked: &Parameters) -> Result<String, Wrong> {
    let challenge = asked.get("code_challenge").ok_or(Wrong(INVALID, "code_challenge is missing (PKCE)"))?;
    if asked.get("code_challenge_method") != Some("S256") {
        return Err(Wrong(INVALID, "code_challenge_method must be S256"));
    }
    let coded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if challenge.len() != 43 || !challenge.bytes().all(coded) {
        return Err(Wrong(INVALID, "code_challenge is no SHA-256 in base64url"));
    }
    Ok(challenge.to_owned())
}

/// Those asked for that are filed; unknown ones are ignored (OpenID Connect Core 3.1.2.1).
fn scopes(asked: &Parameters, filed: &[Scope]) -> Result<Vec<Scope>, Wrong> {
    let words: Vec<&str> = asked.get("scope").unwrap_or_default().split(' ').collect();
    if !words.contains(&Scope::OpenId.word()) {
        return Err(Wrong("invalid_scope", "openid is missing"));
    }
    Ok(filed.iter().copied().filter(|scope| words.contains(&scope.word())).collect())
}

fn prompt(asked: &Parameters) -> Result<(Prompt, bool), Wrong> {
    let words: Vec<&str> = asked.get("prompt").unwrap_or_default().split(' ').filter(|word| !word.is_empty()).collect();
    let has = |word| words.contains(&word);
    if has("none") {
        return if words.len() == 1 {
            Ok((Prompt::None, false))
        } else {
            Err(Wrong(INVALID, "prompt=none stands alone"))
        };
    }
    // Whoever would choose an account signs in with it.
    let login = has("login") || has("select_account");
    Ok((if login { Prompt::Login } else { Prompt::Usual }, has("consent")))
}

fn max_age(asked: &Parameters) -> Result<Option<u64>, Wrong> {
    let Some(text) = asked.get("max_age") else { return Ok(None) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()); // parse() would take "+1"
    let seconds = text.parse().ok().filter(|_| digits);
    seconds.map(Some).ok_or(Wrong(INVALID, "max_age is no number of seconds"))
}

/// The least of the levels that a client would be content with: nobody is asked for more. Words that are no level of ours count
/// for nothing.
fn least<'a>(words: impl Iterator<Item = &'a str>) -> Option<Assurance> {
    words.filter_map(|word| word.parse().ok()).min()
}

#[derive(Default)]
struct Claims {
    assurance: Option<Assurance>,
    name: bool,
}

/// OpenID Connect Core 5.5. Of it we know `acr` in the ID token and `name`.
fn claims(asked: &Parameters) -> Result<Claims, Wrong> {
    let Some(text) = asked.get("claims") else { return Ok(Claims::default()) };
    let claims: Value = serde_json::from_str(text).map_err(|_| Wrong(INVALID, "claims is no JSON"))?;
    if !claims.is_object() {
        return Err(Wrong(INVALID, "claims is no object"));
    }
    let acr = claims.pointer("/id_token/acr");
    let values = acr.and_then(|acr| acr.get("values")).and_then(Value::as_array).into_iter().flatten();
    let words: Vec<&str> = values.chain(acr.and_then(|acr| acr.get("value"))).filter_map(Value::as_str).collect();
    let essential = acr.and_then(|acr| acr.get("essential")).and_then(Value::as_bool) == Some(true);
    let assurance = least(words.iter().copied());
    if essential && !words.is_empty() && assurance.is_none() {
        return Err(Wrong("unmet_authentication_requirements", "no acr of these is ours; L1 to L4 are"));
    }
    let name = claims.pointer("/userinfo/name").is_some() || claims.pointer("/id_token/name").is_some();
    Ok(Claims { assurance, name })
}
