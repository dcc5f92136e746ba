//! API tokens: what programs and people show at the management API, and for whom each speaks.
//! A token is 256 random bits, so its SHA-256 is stored as it is: a slow or salted hash protects what people choose, and
//! here there is nothing to guess. It is looked up by that hash, so how long a wrong one takes says nothing of a right one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::IdentityError;
use crate::domain::{Actor, PrincipalId, Right, Role, Timestamp, Token};
use crate::store::{Durable, RecordRow};

/// Begins every token, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "yimen_";
/// The last use is noted this often: often enough to find tokens that nobody uses.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// All API tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    durable: Arc<Durable>,
}

/// A token to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// For whom it speaks, in which role and subtree.
    pub actor: Actor,
    /// The rights it is for; none: all that the role has.
    pub scope: Vec<Right>,
    /// How long it lives.
    pub life: Duration,
    /// Who issues it.
    pub issued_by: PrincipalId,
}

impl NewToken {
    /// The token as it would be issued. `TokenLife`: none, or too long. `TokenPlatform`: a platform's without one, or another's
    /// with one. `TokenScope`: a right that the role has not.
    pub fn untried(self, now: Timestamp) -> Result<Token, IdentityError> {
        let Self { actor, scope, life, issued_by } = self;
        if life.is_zero() || life > Token::LIFE_MAX {
            return Err(IdentityError::TokenLife);
        }
        if (actor.role == Role::Platform) != actor.platform.is_some() {
            return Err(IdentityError::TokenPlatform);
        }
        if let Some(right) = scope.iter().find(|right| !right.is_of(actor.role)) {
            return Err(IdentityError::TokenScope { right: *right, role: actor.role });
        }
        let (id, expires_at) = (Uuid::now_v7(), now.plus(life));
        Ok(Token { id, actor, scope, issued_by, issued_at: now, expires_at, revoked: None, used_at: None })
    }
}

/// Who issues or revokes, as the record has it.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who.
    pub principal: &'a PrincipalId,
    /// In which role; `machine` for whoever has a shell on it.
    pub role: &'a str,
    /// The request; a name of the call where there is none.
    pub request_id: &'a str,
}

/// The token itself; shown once.
pub struct TokenSecret(Zeroizing<String>);

impl TokenSecret {
    /// As it goes behind `Authorization: Bearer`.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenSecret")
    }
}

impl Tokens {
    /// The tokens of a durable store.
    pub fn new(durable: Arc<Durable>) -> Self {
        Self { durable }
    }

    /// Issues a token, with its record in the same step; `Err` as [`NewToken::untried`] says, or the store.
    pub async fn issue(
        &self,
        new: NewToken,
        author: Author<'_>,
        now: Timestamp,
    ) -> Result<(Token, TokenSecret), IdentityError> {
        let (token, secret) = (new.untried(now)?, secret()?);
        let mut writing = self.durable.writing().await?;
        writing.insert_token(&token, &hash(secret.reveal())).await?;
        writing.record(&record("issue-token", &object(token.id), author, now)).await?;
        writing.commit().await?;
        Ok((token, secret))
    }

    /// Whose token this is, while it opens anything. `Ok(None)`: unknown, expired or revoked; all the same to the caller.
    pub async fn admit(&self, shown: &str, now: Timestamp) -> Result<Option<Token>, IdentityError> {
        let found = self.durable.token_by_hash(&hash(shown)).await?;
        let Some(token) = found.filter(|token| token.state(now) == "active") else { return Ok(None) };
        if token.used_at.is_none_or(|used| now.since(used) >= NOTE_EVERY)
            && let Err(error) = self.durable.token_used(token.id, now).await
        {
            tracing::warn!(%error, "the last use of a token is not noted");
        }
        Ok(Some(token))
    }

    /// One token.
    pub async fn get(&self, id: Uuid) -> Result<Option<Token>, IdentityError> {
        Ok(self.durable.token_by_id(id).await?)
    }

    /// Up to `limit` tokens in order of issue, from the one after `after` on.
    pub async fn list(&self, after: Option<Uuid>, limit: u16) -> Result<Vec<Token>, IdentityError> {
        Ok(self.durable.tokens(after, limit).await?)
    }

    /// Ends a token, with its record in the same step; the next call that shows it is refused. `false`: there is none of that id.
    pub async fn revoke(&self, id: Uuid, author: Author<'_>, now: Timestamp) -> Result<bool, IdentityError> {
        let mut writing = self.durable.writing().await?;
        if !writing.revoke_token(id, author.principal, now).await? {
            return Ok(false);
        }
        writing.record(&record("revoke-token", &object(id), author, now)).await?;
        writing.commit().await?;
        Ok(true)
    }
}

fn object(id: Uuid) -> String {
    format!("token {id}")
}

fn record<'a>(action: &'a str, object: &'a str, author: Author<'a>, at: Timestamp) -> RecordRow<'a> {
    let Author { principal, role, request_id } = author;
    RecordRow {
        at,
        actor: principal.as_str(),
        role,
        action,
        object,
        before: None,
        after: None,
        result: "ok",
        request_id,
    }
}

fn secret() -> Result<TokenSecret, IdentityError> {
    let mut random = Zeroizing::new([0_u8; 32]);
    rand::fill(&mut random[..]).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
    Ok(TokenSecret(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&random[..])))))
}

/// SHA-256 in hex.
fn hash(shown: &str) -> String {
    digest::digest(&digest::SHA256, shown.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    async fn tokens() -> (tempfile::TempDir, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::open(&folder.path().join("register.db")).await.unwrap();
        (folder, Tokens::new(Arc::new(durable)))
    }

    fn new(role: Role, platform: Option<&str>, scope: &[Right]) -> NewToken {
        let actor = Actor {
            principal: "li.lei".parse().unwrap(),
            role,
            division: "330100".parse().unwrap(),
            platform: platform.map(|id| id.parse().unwrap()),
        };
        NewToken { actor, scope: scope.to_vec(), life: Token::LIFE, issued_by: "machine".parse().unwrap() }
    }

    fn machine() -> Author<'static> {
        static MACHINE: LazyLock<PrincipalId> = LazyLock::new(|| "machine".parse().unwrap());
        Author { principal: &MACHINE, role: "machine", request_id: "command line" }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn a_token_opens_until_it_expires_or_is_revoked_and_is_stored_as_a_hash_only() {
        let (folder, tokens) = tokens().await;
        let (made, secret) = tokens.issue(new(Role::Operator, None, &[Right::Read]), machine(), NOW).await.unwrap();
        let shown = secret.reveal();
        assert!(shown.starts_with("yimen_") && shown.len() == 49, "{}", shown.len());
        let found = tokens.admit(shown, NOW).await.unwrap().unwrap();
        assert_eq!((found.id, &found.actor, &found.scope), (made.id, &made.actor, &made.scope));
        assert_eq!(tokens.admit(&format!("{shown}x"), NOW).await.unwrap(), None);
        assert_eq!(tokens.admit("", NOW).await.unwrap(), None);
        assert_eq!(tokens.admit(shown, made.expires_at).await.unwrap(), None, "expired");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(shown.len()).any(|part| part == shown.as_bytes()), "the token is on the disk");
        }
        let by = "han.meimei".parse().unwrap();
        let author = Author { principal: &by, role: "operator", request_id: "request-7" };
        assert!(tokens.revoke(made.id, author, NOW).await.unwrap());
        assert!(!tokens.revoke(Uuid::nil(), author, NOW).await.unwrap());
        assert_eq!(tokens.admit(shown, NOW).await.unwrap(), None, "revoked");
        assert!(tokens.revoke(made.id, machine(), NOW).await.unwrap());
        assert_eq!(tokens.get(made.id).await.unwrap().unwrap().revoked, Some((by, NOW)), "the first one's word stays");
    }

    #[tokio::test]
    async fn issue_and_revocation_are_in_the_record() {
        let (folder, tokens) = tokens().await;
        let (made, _) = tokens.issue(new(Role::Viewer, None, &[]), machine(), NOW).await.unwrap();
        let by = "han.meimei".parse().unwrap();
        let author = Author { principal: &by, role: "operator", request_id: "request-7" };
        tokens.revoke(made.id, author, NOW).await.unwrap();
        let address = format!("sqlite:{}", folder.path().join("register.db").display());
        let file = sqlx::AnyPool::connect(&address).await.unwrap();
        let rows =
            sqlx::query("SELECT actor || ' ' || role || ' ' || action || ' ' || object FROM record ORDER BY sequence");
        let rows = rows.fetch_all(&file).await.unwrap();
        let told: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        let id = made.id;
        assert_eq!(
            told,
            [format!("machine machine issue-token token {id}"), format!("han.meimei operator revoke-token token {id}")]
        );
    }

    #[tokio::test]
    async fn the_last_use_is_noted_once_a_minute() {
        let (_folder, tokens) = tokens().await;
        let (made, secret) = tokens.issue(new(Role::Viewer, None, &[]), machine(), NOW).await.unwrap();
        for (after, noted) in [(0, 0), (59, 0), (60, 60), (61, 60), (119, 60), (120, 120)] {
            let at = |seconds| NOW.plus(Duration::from_secs(seconds));
            tokens.admit(secret.reveal(), at(after)).await.unwrap().unwrap();
            assert_eq!(tokens.get(made.id).await.unwrap().unwrap().used_at, Some(at(noted)), "after {after} s");
        }
    }

    #[tokio::test]
    async fn what_no_token_may_be_is_refused() {
        let (_folder, tokens) = tokens().await;
        let refused = async |new: NewToken| tokens.issue(new, machine(), NOW).await.unwrap_err();
        assert!(matches!(refused(new(Role::Platform, None, &[])).await, IdentityError::TokenPlatform));
        assert!(matches!(refused(new(Role::Viewer, Some("hangzhou"), &[])).await, IdentityError::TokenPlatform));
        let scope = new(Role::Viewer, None, &[Right::Read, Right::Review]);
        assert!(matches!(refused(scope).await, IdentityError::TokenScope { right: Right::Review, .. }));
        for life in [Duration::ZERO, Token::LIFE_MAX + Duration::from_secs(1)] {
            let new = NewToken { life, ..new(Role::Viewer, None, &[]) };
            assert!(matches!(refused(new).await, IdentityError::TokenLife));
        }
        assert_eq!(tokens.list(None, 10).await.unwrap(), []);
    }
}
