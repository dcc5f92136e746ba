//! `yimen account …`: built-in accounts, in the store that the settings name. What changes who may sign in also ends the
//! sessions that are open (ASVS 5.0, 7.4.2 and 7.4.3); a running gateway hears of it at once.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Builder;

use super::arguments::{AccountCommand, Add};
use crate::config::Config;
use crate::domain::{BadAssurance, BadSubjectKind, Timestamp};
use crate::identity::{Account, Accounts, FactorError, Factors, IdentityError, Login, NewAccount, Password, Vault};
use crate::metrics::Metrics;
use crate::session::{EndReason, SealKey, SessionError, Sessions};
use crate::store::{Durable, StoreError};

/// A password has 128 characters at most; the rest of a wrong file is not read.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("cannot read the password from {from}: {cause}")]
    Unreadable { from: String, cause: io::Error },
    #[error(transparent)]
    Assurance(#[from] BadAssurance),
    #[error(transparent)]
    Kind(#[from] BadSubjectKind),
    #[error("cannot read {from}: {cause}")]
    NoFile { from: String, cause: io::Error },
    #[error("{0}")]
    BadValue(String),
    #[error("there is no session {0} of this person; `yimen session list` shows all")]
    NoSession(String),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Factor(#[from] FactorError),
    #[error("the account is changed, but its open sessions did not end: {0}; end them when the store answers again")]
    Sessions(#[from] SessionError),
    #[error("cannot start: {0}")]
    System(String),
}

pub(crate) fn run(config: &Config, command: &AccountCommand, stdin: impl Read) -> Result<String, AccountError> {
    let now = Timestamp::now();
    let accounts = |work| with_accounts(config, work);
    match command {
        AccountCommand::Add(add) => {
            let new = new_account(add, stdin)?;
            let added = accounts(Work::Add(new, now))?;
            Ok(format!("account {} added\n", added.login))
        }
        AccountCommand::Disable { login } => {
            let changed = accounts(Work::Disable(login.parse()?, now))?;
            Ok(format!("account {} disabled, its sessions ended\n", changed.login))
        }
        AccountCommand::Enable { login } => {
            let changed = accounts(Work::Enable(login.parse()?, now))?;
            Ok(format!("account {} enabled\n", changed.login))
        }
        AccountCommand::Password { login, password_file } => {
            let password = password(password_file.as_deref(), stdin)?;
            let changed = accounts(Work::Password(login.parse()?, password, now))?;
            Ok(format!("account {} has a new password, its sessions ended\n", changed.login))
        }
        AccountCommand::RecoveryCode { login } => recovery_code(config, &login.parse()?),
        AccountCommand::List => list(config),
        AccountCommand::Personal(data) => super::people::keep(config, data),
        AccountCommand::Role { command } => super::people::roles(config, command),
        AccountCommand::Erase { login } => super::people::erase(config, login),
    }
}

/// Makes the demo's account, or gives it this password again.
pub(crate) fn ensure(config: &Config, login: &str, password: &str) -> Result<(), AccountError> {
    let now = Timestamp::now();
    let login: Login = login.parse()?;
    let new = NewAccount {
        login: login.clone(),
        name: "示例用户 Sample person".to_owned(),
        kind: crate::domain::SubjectKind::Natural,
        assurance: crate::domain::Assurance::L3,
        password: Password::new(password.to_owned())?,
    };
    match with_accounts(config, Work::Add(new, now)) {
        Err(AccountError::Identity(IdentityError::LoginTaken(_))) => Ok(()), // a second start keeps account and sessions
        other => other.map(|_| ()),
    }
}

enum Work {
    Add(NewAccount, Timestamp),
    Disable(Login, Timestamp),
    Enable(Login, Timestamp),
    Password(Login, Password, Timestamp),
}

fn with_accounts(config: &Config, work: Work) -> Result<Account, AccountError> {
    block_on(async {
        let accounts = open(config).await?;
        match work {
            Work::Add(new, now) => Ok(accounts.add(new, now).await?),
            Work::Enable(login, now) => Ok(accounts.enable(&login, now).await?),
            Work::Disable(login, now) => {
                end_sessions(config, accounts.disable(&login, now).await?, EndReason::Disabled).await
            }
            Work::Password(login, new, now) => {
                end_sessions(config, accounts.set_password(&login, new, now).await?, EndReason::Credentials).await
            }
        }
    })
}

async fn end_sessions(config: &Config, account: Account, reason: EndReason) -> Result<Account, AccountError> {
    let sessions = open_sessions(config).await?;
    sessions.end_all(&account.id, None, reason, Timestamp::now()).await?;
    Ok(account)
}

pub(super) async fn open_sessions(config: &Config) -> Result<Arc<Sessions>, AccountError> {
    let seal = SealKey::load_or_create(&config.session.key_file)?;
    let metrics = Arc::new(Metrics::new().map_err(|cause| AccountError::System(cause.to_string()))?);
    Ok(Sessions::open(config.session.clone(), config.stores.sessions.clone(), seal, metrics).await?)
}

pub(super) async fn open(config: &Config) -> Result<Accounts, AccountError> {
    let durable = Arc::new(Durable::of(&config.stores.register).await?);
    let metrics = Arc::new(Metrics::new().map_err(|cause| AccountError::System(cause.to_string()))?);
    Ok(Accounts::new(durable, &config.identity, config.sign_in.breached_passwords.clone(), metrics)?)
}

fn recovery_code(config: &Config, login: &Login) -> Result<String, AccountError> {
    block_on(async {
        let account = open(config).await?.find(login).await?;
        let account = account.ok_or_else(|| IdentityError::NoAccount(login.as_str().to_owned()))?;
        let id = account.id.parse().map_err(|_| AccountError::System("the account's id cannot be read".to_owned()))?;
        let vault = Arc::new(Vault::load_or_create(&config.identity.vault_directory)?);
        let durable = Arc::new(Durable::of(&config.stores.register).await?);
        let code = Factors::new(durable, vault, None, &config.public.origin)?.one_recovery_code(id).await?;
        Ok(format!("{code}\n"))
    })
}

fn list(config: &Config) -> Result<String, AccountError> {
    block_on(async {
        let accounts = open(config).await?;
        let mut text = String::from("login\tname\tkind\tassurance\tstate\n");
        let mut after = String::new();
        loop {
            let page = accounts.list(&after).await?;
            let Some(last) = page.last() else { return Ok(text) };
            after = last.login.clone();
            for Account { login, name, kind, assurance, active, .. } in &page {
                let state = if *active { "active" } else { "disabled" };
                // Writing to a `String` cannot fail.
                let _ = writeln!(text, "{login}\t{name}\t{kind}\t{assurance}\t{state}");
            }
        }
    })
}

pub(super) fn block_on<T>(work: impl Future<Output = Result<T, AccountError>>) -> Result<T, AccountError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| AccountError::System(cause.to_string()))?.block_on(work)
}

fn new_account(add: &Add, stdin: impl Read) -> Result<NewAccount, AccountError> {
    Ok(NewAccount {
        login: add.login.parse()?,
        name: add.name.clone().unwrap_or_else(|| add.login.clone()),
        kind: add.kind.parse()?,
        assurance: add.assurance.parse()?,
        password: password(add.password_file.as_deref(), stdin)?,
    })
}

fn password(file: Option<&Path>, stdin: impl Read) -> Result<Password, AccountError> {
    let from = file.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let mut text = String::new();
    let read = match file.map(PathBuf::from).map(fs::File::open).transpose() {
        Ok(Some(file)) => file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text),
        Ok(None) => stdin.take(PASSWORD_BYTES_MAX).read_to_string(&mut text),
        Err(cause) => return Err(AccountError::Unreadable { from, cause }),
    };
    read.map_err(|cause| AccountError::Unreadable { from, cause })?;
    Ok(Password::new(text.trim_end_matches(['\r', '\n']).to_owned())?)
}
