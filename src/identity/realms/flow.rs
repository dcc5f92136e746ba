//! The way of a person to a provider and back: authorization code with PKCE (OpenID Connect Core 3.1, RFC 7636), pushed where
//! that is wanted (RFC 9126), and what came back held against what was asked, in full, before anybody is believed.

use std::sync::Arc;

use reqwest::Url;
use serde_json::Value;

use super::error::ProviderError;
use super::metadata::Metadata;
use super::provider::Provider;
use super::token::{IdToken, Profile, ProviderKeys, Sent, TokenError, id_token};
use super::transaction::{Given, Transaction, challenge};
use crate::config::{CodeUserinfo, RealmConfig, RealmKind, UserinfoToken};
use crate::domain::{Assurance, Timestamp};

/// Longest code that is taken; providers' have some hundred characters.
const CODE_BYTES_MAX: usize = 4096;
/// Longest name to greet with, characters.
const NAME_MAX: usize = 64;

/// What the provider's redirect brought.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Callback {
    /// The code to be traded.
    pub code: Option<String>,
    /// Which sign-in it belongs to.
    pub state: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// Who somebody is at the provider.
#[derive(Debug)]
pub(super) struct Vouched {
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) assurance: Assurance,
    pub(super) methods: Vec<String>,
    pub(super) at: Timestamp,
}

/// Highest level that a realm can prove.
pub(super) fn reach(config: &RealmConfig) -> Assurance {
    config.levels.iter().map(|(_, level)| *level).max().unwrap_or(Assurance::L1)
}

/// What a provider's word is worth here. One that the table does not have is L1.
pub(super) fn level(config: &RealmConfig, word: Option<&str>) -> Assurance {
    let found = word.and_then(|word| config.levels.iter().find(|(known, _)| known == word));
    found.map_or(Assurance::L1, |(_, level)| *level)
}

/// The words that reach what is needed, the least first: that is the order of preference.
fn enough(config: &RealmConfig, needed: Assurance) -> String {
    let mut words: Vec<_> = config.levels.iter().filter(|(_, level)| *level >= needed).collect();
    words.sort_by_key(|(_, level)| *level);
    words.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(" ")
}

/// Where the browser goes.
pub(super) async fn departure(
    provider: &Provider,
    transaction: &Transaction,
    given: &Given,
    redirect_uri: &str,
    now: Timestamp,
) -> Result<String, ProviderError> {
    let config = &provider.config;
    let mut asked = vec![
        ("response_type", "code".to_owned()),
        ("client_id", config.client_id.clone()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("state", given.state.clone()),
        ("code_challenge", challenge(&transaction.verifier)),
        ("code_challenge_method", "S256".to_owned()),
    ];
    if !config.scopes.is_empty() {
        asked.push(("scope", config.scopes.clone()));
    }
    let par = match &config.kind {
        RealmKind::CodeUserinfo(adapter) => return provider_address(provider, &adapter.authorize_url, &asked),
        RealmKind::Oidc { par, .. } => *par,
    };
    let metadata = provider.metadata(now).await?;
    asked.push(("nonce", transaction.nonce.clone()));
    // Always: with `max_age` a provider must say when the person last proved who they are.
    asked.push(("max_age", transaction.max_age_s.to_string()));
    // Also where nothing is needed: many providers say how sure they are only when they are asked.
    let words = enough(config, transaction.assurance);
    if !words.is_empty() {
        asked.push(("acr_values", words));
    }
    if !par && !metadata.require_pushed_authorization_requests {
        return provider_address(provider, &metadata.authorization_endpoint, &asked);
    }
    let address = metadata.pushed_authorization_request_endpoint.as_deref();
    let address = address.ok_or_else(|| provider.untrusted("it takes no pushed requests"))?;
    let form = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let pushed = provider.as_client(address, form, now).await?;
    let request_uri = pushed.get("request_uri").and_then(Value::as_str);
    let request_uri =
        request_uri.ok_or_else(|| provider.untrusted("its answer to a pushed request has no request_uri"))?;
    let short = [("client_id", config.client_id.clone()), ("request_uri", request_uri.to_owned())];
    provider_address(provider, &metadata.authorization_endpoint, &short)
}

fn provider_address(
    provider: &Provider,
    endpoint: &str,
    query: &[(&'static str, String)],
) -> Result<String, ProviderError> {
    let mut url = Url::parse(endpoint).map_err(|_| provider.untrusted("its address for sign-in is none"))?;
    url.query_pairs_mut().extend_pairs(query.iter().map(|(name, value)| (name, value.as_str())));
    Ok(url.into())
}

/// Who came back. `transaction` is the one that was taken for this browser.
pub(super) async fn arrival(
    provider: &Provider,
    transaction: &Transaction,
    callback: &Callback,
    redirect_uri: &str,
    now: Timestamp,
) -> Result<Vouched, ProviderError> {
    let config = &provider.config;
    if transaction.issuer != config.issuer {
        return Err(provider.untrusted("the realm has another provider since this sign-in began"));
    }
    let metadata = if provider.is_oidc() { Some(provider.metadata(now).await?) } else { None };
    if let Some(metadata) = &metadata {
        right_issuer(provider, metadata, callback)?; // before the code is shown to anybody (RFC 9207 section 2.4)
    }
    if let Some(error) = &callback.error {
        return Err(provider.refused(error));
    }
    let code = callback.code.as_deref().filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
    let code = code.ok_or_else(|| provider.untrusted("it sent the person back without a code"))?;
    let form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", transaction.verifier.as_str()),
    ];
    let vouched = match (&config.kind, metadata) {
        (RealmKind::CodeUserinfo(adapter), _) => {
            let tokens = provider.as_client(&adapter.token_url, form, now).await?;
            by_userinfo(provider, adapter, &tokens, now).await?
        }
        (RealmKind::Oidc { algorithms, .. }, Some(metadata)) => {
            let tokens = provider.as_client(&metadata.token_endpoint, form, now).await?;
            let profile = Profile { issuer: &config.issuer, client_id: &config.client_id, algorithms };
            by_id_token(provider, &metadata, &profile, transaction, &tokens, now).await?
        }
        (RealmKind::Oidc { .. }, None) => return Err(provider.untrusted("it has no metadata")),
    };
    if vouched.assurance < transaction.assurance {
        let (reached, asked) = (vouched.assurance, transaction.assurance);
        return Err(ProviderError::TooLow { realm: config.id.clone(), reached, asked });
    }
    Ok(vouched)
}

fn right_issuer(provider: &Provider, metadata: &Metadata, callback: &Callback) -> Result<(), ProviderError> {
    match &callback.iss {
        Some(iss) if *iss != provider.config.issuer => Err(provider.untrusted("its answer names another issuer")),
        None if metadata.authorization_response_iss_parameter_supported => {
            Err(provider.untrusted("its answer does not name its issuer"))
        }
        _ => Ok(()),
    }
}

async fn by_id_token(
    provider: &Provider,
    metadata: &Metadata,
    profile: &Profile<'_>,
    transaction: &Transaction,
    tokens: &Value,
    now: Timestamp,
) -> Result<Vouched, ProviderError> {
    let text = |key: &str| tokens.get(key).and_then(Value::as_str);
    let token = text("id_token").ok_or_else(|| provider.untrusted("its answer has no id_token"))?;
    let access_token = text("access_token").unwrap_or_default();
    let sent = Sent { nonce: &transaction.nonce, access_token, max_age_s: transaction.max_age_s };
    let believed = checked(provider, now, |keys| id_token(profile, token, &sent, keys, now)).await?;
    let mut name = believed.name.clone();
    if name.is_none()
        && let Some(address) = metadata.userinfo_endpoint.as_deref().filter(|_| !access_token.is_empty())
    {
        name = own_name(provider, address, access_token, &believed).await?;
    }
    Ok(Vouched {
        assurance: level(&provider.config, believed.acr.as_deref()),
        sub: believed.sub,
        sid: believed.sid,
        name: name.and_then(|name| greeting(&name)),
        methods: believed.amr,
        at: believed.auth_time,
    })
}

/// The name in the user information, if it is of the same person (OpenID Connect Core section 5.3.2). A provider that gives
/// none does not keep anybody out: the name is for greeting only.
async fn own_name(
    provider: &Provider,
    address: &str,
    token: &str,
    believed: &IdToken,
) -> Result<Option<String>, ProviderError> {
    let info = match provider.userinfo(address, token, false).await {
        Ok(info) => info,
        Err(error) => {
            tracing::warn!(%error, "no name for a person who signed in");
            return Ok(None);
        }
    };
    if info.get("sub").and_then(Value::as_str) != Some(&believed.sub) {
        return Err(provider.untrusted("its user information is of somebody else"));
    }
    Ok(info.get("name").and_then(Value::as_str).map(str::to_owned))
}

/// Checks a token with the keys we have, and once more with new ones where it names one that we do not.
pub(super) async fn checked<T>(
    provider: &Provider,
    now: Timestamp,
    check: impl Fn(&Arc<ProviderKeys>) -> Result<T, TokenError>,
) -> Result<T, ProviderError> {
    let mut outcome = check(&provider.keys(false, now).await?);
    if matches!(outcome, Err(TokenError::UnknownKey)) {
        outcome = check(&provider.keys(true, now).await?);
    }
    outcome.map_err(|error| match error {
        TokenError::Bad(reason) => provider.untrusted(reason),
        TokenError::UnknownKey => provider.untrusted("its token names a key that is not in its key set"),
    })
}

async fn by_userinfo(
    provider: &Provider,
    adapter: &CodeUserinfo,
    tokens: &Value,
    now: Timestamp,
) -> Result<Vouched, ProviderError> {
    let token = text_at(tokens, &adapter.token_pointer);
    let token = token.ok_or_else(|| provider.untrusted("its answer has no token where the realm says"))?;
    let in_form = adapter.userinfo_token == UserinfoToken::Form;
    let info = provider.userinfo(&adapter.userinfo_url, &token, in_form).await?;
    let sub = text_at(&info, &adapter.subject_pointer).filter(|sub| (1..=255).contains(&sub.len()));
    let sub = sub.filter(|sub| !sub.chars().any(char::is_control));
    let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| text_at(&info, pointer));
    let oldest = MAX_AGE_S * 1000;
    Ok(Vouched {
        sub: sub.ok_or_else(|| provider.untrusted("its user information has no subject where the realm says"))?,
        sid: None,
        name: at(&adapter.name_pointer).and_then(|name| greeting(&name)),
        assurance: level(&provider.config, at(&adapter.level_pointer).as_deref()),
        methods: Vec::new(),
        // How long ago a platform asked for proof that does not say so is unknown: as long as a session may be, then.
        at: if adapter.reauthenticates { now } else { Timestamp::from_millis(now.millis().saturating_sub(oldest)) },
    })
}

/// Longest time since the person proved who they are, when a route asks for none: as long as a session may last by default.
pub(super) const MAX_AGE_S: u64 = 12 * 3600;

/// A text, number or flag as text.
fn text_at(json: &Value, pointer: &str) -> Option<String> {
    match json.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A name that can stand on a page; `None` for one that cannot.
fn greeting(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|letter| !letter.is_control()).take(NAME_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ClientProof;
    use crate::domain::SubjectKind;

    fn realm(levels: &[(&str, Assurance)]) -> RealmConfig {
        RealmConfig {
            id: "nation".parse().unwrap(),
            name: "国家平台".into(),
            name_en: "Nation".into(),
            issuer: "https://id.example.gov".into(),
            client_id: "yimen".into(),
            client: ClientProof::SecretBasic("secret".into()),
            scopes: "openid".into(),
            levels: levels.iter().map(|(word, level)| ((*word).to_owned(), *level)).collect(),
            subject: SubjectKind::Natural,
            ca_file: None,
            deadline: std::time::Duration::from_secs(5),
            kind: RealmKind::Oidc { algorithms: Vec::new(), par: false },
        }
    }

    #[test]
    fn the_words_that_reach_a_level_are_asked_for_the_least_first() {
        let realm = realm(&[("window", Assurance::L4), ("form", Assurance::L1), ("face", Assurance::L3)]);
        assert_eq!(enough(&realm, Assurance::L2), "face window");
        assert_eq!(enough(&realm, Assurance::L4), "window");
        assert_eq!(reach(&realm), Assurance::L4);
        assert_eq!(reach(&self::realm(&[])), Assurance::L1);
    }

    #[test]
    fn a_word_that_is_not_in_the_table_is_l1_whatever_it_looks_like() {
        let realm = realm(&[("L2", Assurance::L3)]);
        assert_eq!(level(&realm, Some("L2")), Assurance::L3);
        for unknown in [Some("L4"), Some("l2"), Some(""), Some("L2 "), None] {
            assert_eq!(level(&realm, unknown), Assurance::L1, "{unknown:?}");
        }
    }

    #[test]
    fn a_name_can_stand_on_a_page() {
        assert_eq!(greeting(" 李\n雷\u{7} "), Some("李雷".to_owned()));
        assert_eq!(greeting(" \u{0} "), None);
        assert_eq!(greeting(&"长".repeat(100)).map(|name| name.chars().count()), Some(NAME_MAX));
    }
}
