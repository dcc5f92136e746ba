//! `yimen token …`: API tokens, in the store that the settings name. Whoever can write that store needs no token for it; a
//! running gateway sees what changes with the next call.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;

use super::Outcome;
use super::arguments::{Issue, TokenCommand};
use crate::config::Config;
use crate::domain::{Actor, BadPrincipalId, DivisionCode, PlatformId, PrincipalId, Role, Timestamp, Token};
use crate::identity::{Author, IdentityError, NewToken, Revoked, TokenSecret, Tokens};
use crate::registry::{RegistryError, Rules};
use crate::store::{Durable, StoreError, Subtree};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Rows asked for at a time.
const PAGE: u16 = 500;
/// Who issues and revokes here.
const MACHINE: &str = "machine";
/// The nation and all below it.
const EVERYWHERE: Subtree = Subtree(0, u64::MAX);

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Principal(#[from] BadPrincipalId),
    #[error("there is no token {0}; `yimen token list` shows all")]
    Unknown(uuid::Uuid),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("there is no division {0}; look it up in divisions.csv of the routes folder")]
    NoDivision(DivisionCode),
    #[error("cannot start: {0}")]
    System(std::io::Error),
}

pub(crate) fn run(config: &Config, command: TokenCommand) -> Result<Outcome, TokenError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(TokenError::System)?;
    runtime.block_on(async {
        let tokens = Tokens::new(Arc::new(Durable::of(&config.stores.register).await?));
        let now = Timestamp::now();
        match command {
            TokenCommand::Issue(asked) => {
                exists(config, asked.division)?;
                issue(&tokens, asked, now).await
            }
            TokenCommand::List => list(&tokens, now).await,
            TokenCommand::Revoke { id } => {
                let revoked = tokens.revoke(id, author(&MACHINE.parse()?), false, now).await?;
                let Revoked { count, .. } = revoked.ok_or(TokenError::Unknown(id))?;
                Ok(Outcome::done(format!("token {id} revoked, and {count} issued through it\n")))
            }
        }
    })
}

/// A token of a division that does not exist would open nothing, which nobody would understand later.
fn exists(config: &Config, division: DivisionCode) -> Result<(), TokenError> {
    Rules::of(config)?.divisions.find(division).map(|_| ()).ok_or(TokenError::NoDivision(division))
}

async fn issue(tokens: &Tokens, asked: Issue, now: Timestamp) -> Result<Outcome, TokenError> {
    let (token, secret) = issued(tokens, asked, now).await?;
    let secret = secret.as_ref().map_or("", TokenSecret::reveal);
    let Token { id, actor, .. } = &token;
    let whose = format!("{} of {}", actor.role, scope_of(actor));
    let ends = date(token.expires_at);
    let told = format!("token {id} of {}: {whose}, until {ends}; it is shown this once", actor.principal);
    Ok(Outcome { text: format!("{secret}\n"), complaint: told, status: 0 })
}

async fn issued(tokens: &Tokens, asked: Issue, now: Timestamp) -> Result<(Token, Option<TokenSecret>), TokenError> {
    let Issue { role, division, platform, principal, scope, days } = asked;
    let principal = match principal {
        Some(principal) => principal,
        None => default_name(role, division, platform.as_ref()).parse()?,
    };
    let machine: PrincipalId = MACHINE.parse()?;
    let life = Some(DAY * u32::from(days));
    let new = NewToken { principal, role, division, platform, scope, life, issuer: None };
    Ok(tokens.issue(new, &|_| true, author(&machine), false, now).await?)
}

/// Whoever has a shell on the machine.
fn author(machine: &PrincipalId) -> Author<'_> {
    Author { principal: machine, lineage: None, role: MACHINE, request_id: "command line" }
}

fn default_name(role: Role, division: DivisionCode, platform: Option<&PlatformId>) -> String {
    platform.map_or_else(|| format!("{role}-{division}"), ToString::to_string)
}

fn scope_of(actor: &Actor) -> String {
    actor.platform.as_ref().map_or_else(|| actor.division.to_string(), ToString::to_string)
}

async fn list(tokens: &Tokens, now: Timestamp) -> Result<Outcome, TokenError> {
    let mut text = String::from("id\tprincipal\trole\tof\tstate\texpires\tlast used\n");
    let mut after = None;
    loop {
        let page = tokens.list(EVERYWHERE, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(Outcome::done(text)) };
        after = Some(last.id);
        for token in &page {
            let Token { id, actor, .. } = token;
            let used = token.used_at.map_or_else(|| "never".to_owned(), date);
            let (of, state, ends) = (scope_of(actor), token.state(now), date(token.expires_at));
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{id}\t{}\t{}\t{of}\t{state}\t{ends}\t{used}", actor.principal, actor.role);
        }
    }
}

/// To the day, in UTC.
fn date(time: Timestamp) -> String {
    let millis = i64::try_from(time.millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::UTC.to_datetime(time).date().to_string()
}
