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
use crate::domain::{
    Actor, Credential, DivisionCode, Lineage, Link, PlatformId, PrincipalId, Right, Role, Timestamp, Token,
};
use crate::store::{Durable, RecordRow, Subtree};

/// Begins every token, so that scanners for leaked secrets know one when they see it.
const PREFIX: &str = "yimen_";
/// The last use is noted this often: often enough to find tokens that nobody uses.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// All API tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    durable: Arc<Durable>,
}

/// Tokens named as ended with the one through which they were issued; more end, and are counted.
const NAMED_MAX: u16 = 1000;

/// A token to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// For whom it speaks.
    pub principal: PrincipalId,
    /// In which role.
    pub role: Role,
    /// For this division and all below it.
    pub division: DivisionCode,
    /// The one platform, for the role `platform`.
    pub platform: Option<PlatformId>,
    /// The rights it is for; none: all that the role has.
    pub scope: Vec<Right>,
    /// How long it lives; [`Token::LIFE`], or as long as its issuer, when nothing is said.
    pub life: Option<Duration>,
    /// Who issues it; `None`: whoever has the machine.
    pub issuer: Option<Issuer>,
}

/// Whoever issues a token through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// By what credential.
    pub lineage: Lineage,
    /// When that ends: what it issued ends no later. `None`: a certificate, which the settings end.
    pub ends_at: Option<Timestamp>,
}

impl NewToken {
    /// The token as it would be issued. `TokenLife`: none, or too long. `TokenOutlives`: longer than its issuer's. `TokenPlatform`:
    /// a platform's without one, or another's with one. `TokenScope`: a right that the role has not. `PrincipalReserved`: a name of
    /// the gateway's own.
    fn untried(self, now: Timestamp) -> Result<Token, IdentityError> {
        let Self { principal, role, division, platform, scope, life, issuer } = self;
        let issuer_ends = issuer.as_ref().and_then(|issuer| issuer.ends_at);
        let expires_at = end(life, issuer_ends, now)?;
        if (role == Role::Platform) != platform.is_some() {
            return Err(IdentityError::TokenPlatform);
        }
        if let Some(right) = scope.iter().find(|right| !right.is_of(role)) {
            return Err(IdentityError::TokenScope { right: *right, role });
        }
        let machine: PrincipalId = "machine".parse().map_err(|_| IdentityError::Crypto("naming the machine"))?;
        if principal.is_reserved() {
            return Err(IdentityError::PrincipalReserved(principal));
        }
        let id = Uuid::now_v7();
        let own = Link { principal, division, credential: Credential::Token(id), certified: false };
        let issued_by = issuer.as_ref().map_or(machine, |issuer| issuer.lineage.own().principal.clone());
        let lineage = match issuer {
            Some(issuer) => issuer.lineage.child(own),
            None => Lineage::root(own),
        };
        let actor = Actor::of(lineage, role, platform);
        Ok(Token { id, actor, scope, issued_by, issued_at: now, expires_at, revoked: None, used_at: None })
    }
}

/// When a token ends: nobody hands on what outlives their own.
fn end(life: Option<Duration>, issuer_ends: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, IdentityError> {
    let expires_at = now.plus(life.unwrap_or(Token::LIFE));
    match (life, issuer_ends) {
        (Some(life), _) if life.is_zero() || life > Token::LIFE_MAX => Err(IdentityError::TokenLife),
        (Some(_), Some(ends)) if expires_at > ends => Err(IdentityError::TokenOutlives),
        (None, Some(ends)) => Ok(expires_at.min(ends)),
        _ => Ok(expires_at),
    }
}

/// Who issues or revokes, as the record has it.
#[derive(Clone, Copy, Debug)]
pub struct Author<'a> {
    /// Who.
    pub principal: &'a PrincipalId,
    /// By what credential; `None` for whoever has a shell on the machine.
    pub lineage: Option<&'a Lineage>,
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

    /// Issues a token, with its record in the same step; of a dry run everything but that, and without a secret. `covers`: whether
    /// the issuer answers for a division. `Err` as [`NewToken`] says; `PrincipalTaken`: the name was somebody else's before;
    /// `IssuerEnded`: the issuer was revoked meanwhile; or the store.
    pub async fn issue(
        &self,
        new: NewToken,
        covers: &(dyn Fn(DivisionCode) -> bool + Sync),
        author: Author<'_>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<(Token, Option<TokenSecret>), IdentityError> {
        let issuer = new.issuer.as_ref().map(|issuer| issuer.lineage.clone());
        let token = new.untried(now)?;
        let mut writing = self.durable.writing().await?;
        if let Some(issuer) = issuer {
            if !writing.holds(issuer.own().credential, now).await? {
                return Err(IdentityError::IssuerEnded(issuer.own().principal.clone()));
            }
            let first = writing.first_of_name(&token.actor.principal).await?;
            if first.is_some_and(|first| !may_share_name(&first, &issuer, &token.actor.principal, covers)) {
                return Err(IdentityError::PrincipalTaken(token.actor.principal));
            }
        }
        if dry_run {
            return Ok((token, None));
        }
        let secret = secret()?;
        writing.insert_token(&token, &hash(secret.reveal())).await?;
        writing.record(&record("issue-token", &object(token.id), author, now)).await?;
        writing.commit().await?;
        Ok((token, Some(secret)))
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

    /// Up to `limit` tokens of a subtree in order of issue, from the one after `after` on.
    pub async fn list(&self, subtree: Subtree, after: Option<Uuid>, limit: u16) -> Result<Vec<Token>, IdentityError> {
        Ok(self.durable.tokens(subtree, after, limit).await?)
    }

    /// Ends a token and all that were issued through it, with the record in the same step; the next call that shows one is refused.
    /// `None`: there is none of that id.
    pub async fn revoke(
        &self,
        id: Uuid,
        author: Author<'_>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Option<Revoked>, IdentityError> {
        let mut writing = self.durable.writing().await?;
        if writing.token(id).await?.is_none() {
            return Ok(None);
        }
        if let Some(lineage) = author.lineage
            && !writing.holds(lineage.own().credential, now).await?
        {
            return Err(IdentityError::IssuerEnded(author.principal.clone()));
        }
        let through = writing.issued_through(id, NAMED_MAX, now).await?;
        let count = writing.revoke_tokens(id, author.principal, now).await?;
        if !dry_run {
            let told = format!("{} and {count} issued through it", object(id));
            writing.record(&record("revoke-token", &told, author, now)).await?;
            writing.commit().await?;
        }
        Ok(Some(Revoked { through, count }))
    }
}

/// What ended with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Tokens that were issued through it, the first 1,000 in order of issue.
    pub through: Vec<Token>,
    /// How many there were.
    pub count: u64,
}

/// Whether an issuer may give out another token in a name that `first` bore before all others: their own name, or one that
/// was given out in their own subtree. A name is one person's, and its history is theirs.
fn may_share_name(
    first: &Token,
    issuer: &Lineage,
    name: &PrincipalId,
    covers: &(dyn Fn(DivisionCode) -> bool + Sync),
) -> bool {
    let given_by = first.actor.lineage.issuers().last().map_or(DivisionCode::NATION, |link| link.division);
    issuer.own().principal == *name || (first.actor.principal == *name && covers(given_by))
}

fn object(id: Uuid) -> String {
    format!("token {id}")
}

fn record<'a>(action: &'a str, object: &'a str, author: Author<'a>, at: Timestamp) -> RecordRow<'a> {
    let Author { principal, lineage, role, request_id } = author;
    RecordRow {
        at,
        actor: principal.as_str(),
        credential: Some(lineage.map_or(Credential::Machine, |lineage| lineage.own().credential)),
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
        NewToken {
            principal: "li.lei".parse().unwrap(),
            role,
            division: "330100".parse().unwrap(),
            platform: platform.map(|id| id.parse().unwrap()),
            scope: scope.to_vec(),
            life: None,
            issuer: None,
        }
    }

    async fn issued(tokens: &Tokens, new: NewToken) -> Result<(Token, String), IdentityError> {
        let (token, secret) = tokens.issue(new, &|_| true, machine(), false, NOW).await?;
        Ok((token, secret.unwrap().reveal().to_owned()))
    }

    /// One that `of` issues in a name.
    fn by(of: &Token, name: &str) -> NewToken {
        let issuer = Some(Issuer { lineage: of.actor.lineage.clone(), ends_at: Some(of.expires_at) });
        NewToken { principal: name.parse().unwrap(), issuer, ..new(Role::Operator, None, &[]) }
    }

    fn machine() -> Author<'static> {
        static MACHINE: LazyLock<PrincipalId> = LazyLock::new(|| "machine".parse().unwrap());
        Author { principal: &MACHINE, lineage: None, role: "machine", request_id: "command line" }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn a_token_opens_until_it_expires_or_is_revoked_and_is_stored_as_a_hash_only() {
        let (folder, tokens) = tokens().await;
        let (made, secret) = issued(&tokens, new(Role::Operator, None, &[Right::Read])).await.unwrap();
        let shown = secret.as_str();
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
        let author = Author { principal: &by, lineage: None, role: "operator", request_id: "request-7" };
        assert!(tokens.revoke(made.id, author, true, NOW).await.unwrap().is_some());
        assert!(tokens.admit(shown, NOW).await.unwrap().is_some(), "it was only tried");
        assert!(tokens.revoke(made.id, author, false, NOW).await.unwrap().is_some());
        assert!(tokens.revoke(Uuid::nil(), author, false, NOW).await.unwrap().is_none());
        assert_eq!(tokens.admit(shown, NOW).await.unwrap(), None, "revoked");
        assert!(tokens.revoke(made.id, machine(), false, NOW).await.unwrap().is_some());
        assert_eq!(tokens.get(made.id).await.unwrap().unwrap().revoked, Some((by, NOW)), "the first one's word stays");
    }

    #[tokio::test]
    async fn issue_and_revocation_are_in_the_record() {
        let (folder, tokens) = tokens().await;
        let (made, _) = issued(&tokens, new(Role::Viewer, None, &[])).await.unwrap();
        let by = "han.meimei".parse().unwrap();
        let author = Author { principal: &by, lineage: None, role: "operator", request_id: "request-7" };
        tokens.revoke(made.id, author, false, NOW).await.unwrap();
        let address = format!("sqlite:{}", folder.path().join("register.db").display());
        let file = sqlx::AnyPool::connect(&address).await.unwrap();
        let rows =
            sqlx::query("SELECT actor || ' ' || role || ' ' || action || ' ' || object FROM record ORDER BY sequence");
        let rows = rows.fetch_all(&file).await.unwrap();
        let told: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        let id = made.id;
        assert_eq!(
            told,
            [
                format!("machine machine issue-token token {id}"),
                format!("han.meimei operator revoke-token token {id} and 0 issued through it")
            ]
        );
    }

    #[tokio::test]
    async fn the_last_use_is_noted_once_a_minute() {
        let (_folder, tokens) = tokens().await;
        let (made, secret) = issued(&tokens, new(Role::Viewer, None, &[])).await.unwrap();
        for (after, noted) in [(0, 0), (59, 0), (60, 60), (61, 60), (119, 60), (120, 120)] {
            let at = |seconds| NOW.plus(Duration::from_secs(seconds));
            tokens.admit(&secret, at(after)).await.unwrap().unwrap();
            assert_eq!(tokens.get(made.id).await.unwrap().unwrap().used_at, Some(at(noted)), "after {after} s");
        }
    }

    #[tokio::test]
    async fn what_no_token_may_be_is_refused() {
        let (_folder, tokens) = tokens().await;
        let refused = async |new: NewToken| issued(&tokens, new).await.unwrap_err();
        assert!(matches!(refused(new(Role::Platform, None, &[])).await, IdentityError::TokenPlatform));
        assert!(matches!(refused(new(Role::Viewer, Some("hangzhou"), &[])).await, IdentityError::TokenPlatform));
        let scope = new(Role::Viewer, None, &[Right::Read, Right::Review]);
        assert!(matches!(refused(scope).await, IdentityError::TokenScope { right: Right::Review, .. }));
        for life in [Duration::ZERO, Token::LIFE_MAX + Duration::from_secs(1)] {
            let new = NewToken { life: Some(life), ..new(Role::Viewer, None, &[]) };
            assert!(matches!(refused(new).await, IdentityError::TokenLife));
        }
        for own in ["machine", "files", "Machine"] {
            let new = NewToken { principal: own.parse().unwrap(), ..new(Role::Viewer, None, &[]) };
            assert!(matches!(refused(new).await, IdentityError::PrincipalReserved(_)), "{own}");
        }
        assert_eq!(tokens.list(Subtree(0, u64::MAX), None, 10).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_token_takes_all_along_that_were_issued_through_it() {
        let (_folder, tokens) = tokens().await;
        let (root, _) =
            issued(&tokens, NewToken { principal: "root".parse().unwrap(), ..new(Role::Operator, None, &[]) })
                .await
                .unwrap();
        let (child, _) = issued(&tokens, by(&root, "child")).await.unwrap();
        let (grandchild, secret) = issued(&tokens, by(&child, "grandchild")).await.unwrap();
        let (other, others) = issued(&tokens, new(Role::Operator, None, &[])).await.unwrap();
        let tried = tokens.revoke(root.id, machine(), true, NOW).await.unwrap().unwrap();
        let ids = |revoked: &Revoked| revoked.through.iter().map(|token| token.id).collect::<Vec<_>>();
        assert_eq!((ids(&tried), tried.count), (vec![child.id, grandchild.id], 2));
        assert!(tokens.admit(&secret, NOW).await.unwrap().is_some(), "it was only tried");
        let revoked = tokens.revoke(root.id, machine(), false, NOW).await.unwrap().unwrap();
        assert_eq!(ids(&revoked), ids(&tried));
        assert_eq!(tokens.admit(&secret, NOW).await.unwrap(), None);
        assert!(tokens.admit(&others, NOW).await.unwrap().is_some(), "{}", other.id);
        // What was admitted before the end of its chain issues nothing after it.
        assert!(matches!(issued(&tokens, by(&child, "late")).await, Err(IdentityError::IssuerEnded(_))));
        assert_eq!(tokens.revoke(root.id, machine(), false, NOW).await.unwrap().unwrap().count, 0);
    }

    #[tokio::test]
    async fn a_token_outlives_none_through_which_it_was_issued() {
        let (_folder, tokens) = tokens().await;
        let day = Duration::from_secs(24 * 3600);
        let short = NewToken { life: Some(day), principal: "root".parse().unwrap(), ..new(Role::Operator, None, &[]) };
        let (root, _) = issued(&tokens, short).await.unwrap();
        let (child, _) = issued(&tokens, by(&root, "child")).await.unwrap();
        assert_eq!(child.expires_at, root.expires_at, "the usual life is cut");
        let long = NewToken { life: Some(2 * day), ..by(&root, "other") };
        assert!(matches!(issued(&tokens, long).await, Err(IdentityError::TokenOutlives)));
        let (tail, _) = issued(&tokens, NewToken { life: Some(day), ..by(&child, "tail") }).await.unwrap();
        assert_eq!(tail.expires_at, root.expires_at);
    }

    #[tokio::test]
    async fn a_name_belongs_to_the_subtree_that_first_had_it() {
        let (_folder, tokens) = tokens().await;
        let named = |name: &str| NewToken { principal: name.parse().unwrap(), ..new(Role::Operator, None, &[]) };
        let (root, _) = issued(&tokens, named("root")).await.unwrap();
        let (child, _) = issued(&tokens, by(&root, "child")).await.unwrap();
        issued(&tokens, by(&child, "grandchild")).await.unwrap();
        // The tokens here are all of 330100; who answers for what is said by the caller.
        let issue = async |new: NewToken, covers: &[&str]| {
            let covers = |division: DivisionCode| covers.contains(&division.to_string().as_str());
            tokens.issue(new, &covers, machine(), true, NOW).await.map(drop)
        };
        let taken = |result| matches!(result, Err(IdentityError::PrincipalTaken(_)));
        assert!(taken(issue(by(&child, "root"), &["330100"]).await), "the machine named it, for the nation");
        assert!(taken(issue(by(&child, "ROOT"), &["330100", "100000"]).await), "other letters are no other name");
        assert!(issue(by(&root, "root"), &["330100"]).await.is_ok(), "one's own");
        assert!(issue(by(&root, "grandchild"), &["330100"]).await.is_ok(), "given out in its subtree");
        assert!(taken(issue(by(&root, "grandchild"), &["330200"]).await));
        assert!(issue(by(&root, "nobody.yet"), &[]).await.is_ok());
        // Names stay with who had them, when their tokens have ended.
        tokens.revoke(child.id, machine(), false, NOW).await.unwrap();
        assert!(taken(issue(by(&root, "grandchild"), &["330200"]).await));
        assert!(issue(NewToken { issuer: None, ..by(&root, "child") }, &[]).await.is_ok(), "the machine gives any");
    }
}
