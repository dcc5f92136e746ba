//! `yimen account personal|role|erase`, `yimen session …` and `yimen key rotate-vault|reseal-vault`: what is kept of people, in the
//! stores that the settings name. Every change is in the record under the name `machine`; nothing here prints an identity
//! number or a phone in clear.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::account::{AccountError, block_on, open, open_sessions};
use super::arguments::{GrantRole, PersonalData, RoleCommand, SessionCommand};
use crate::config::Config;
use crate::domain::{BadUscc, Credential, GrantedRole, Personal, SubjectRole, Timestamp};
use crate::identity::{Account, By, Grant, IdentityError, Login, People, Vault};
use crate::session::{EndReason, SessionSummary, Sessions};
use crate::store::{Durable, Subtree};

/// Who changes something here.
const MACHINE: By<'static> =
    By { actor: "machine", credential: Some(Credential::Machine), role: "operator", request_id: "" };
/// A value has 32 characters at most; the rest of a wrong file is not read.
const VALUE_BYTES_MAX: u64 = 1024;
/// The nation and all below it.
const EVERYWHERE: Subtree = Subtree(0, u64::MAX);
/// Rows asked for at a time.
const PAGE: u16 = 500;
/// How long the demo's account may act for the sample company.
const SAMPLE_ROLE: Duration = Duration::from_secs(365 * 24 * 3600);

async fn people(config: &Config) -> Result<People, AccountError> {
    let durable = Arc::new(Durable::of(&config.stores.register).await?);
    Ok(People::new(durable, Arc::new(Vault::load_or_create(&config.identity.vault_directory)?)))
}

async fn account(config: &Config, login: &str) -> Result<Account, AccountError> {
    let login: Login = login.parse()?;
    let found = open(config).await?.find(&login).await?;
    Ok(found.ok_or_else(|| IdentityError::NoAccount(login.as_str().to_owned()))?)
}

/// `yimen account personal`.
pub(super) fn keep(config: &Config, data: &PersonalData) -> Result<String, AccountError> {
    block_on(async {
        let (account, people) = (account(config, &data.login).await?, people(config).await?);
        let mut personal = people.personal(&account.id).await?;
        if let Some(file) = &data.id_number_file {
            personal.id_number = value(file)?;
        }
        if let Some(file) = &data.phone_file {
            personal.phone = value(file)?;
        }
        people.set_personal(&account.id, &personal, MACHINE, Timestamp::now()).await?;
        let number = personal.id_number.map_or_else(|| "none".to_owned(), |number| number.masked());
        let phone = personal.phone.map_or_else(|| "none".to_owned(), |phone| phone.masked());
        Ok(format!(
            "account {}: identity number {number}, phone {phone}; sessions have it from the next sign-in\n",
            account.login
        ))
    })
}

/// What the demo's account has besides: the number of somebody who would be 146, and a company that it may act for.
pub(super) fn sample(config: &Config, login: &str) -> Result<(), AccountError> {
    let now = Timestamp::now();
    block_on(async {
        let (account, people) = (account(config, login).await?, people(config).await?);
        if !people.roles_of(&account.id).await?.is_empty() {
            return Ok(()); // a second start
        }
        let personal = Personal { id_number: "330106188001010022".parse().ok(), phone: "13800000000".parse().ok() };
        people.set_personal(&account.id, &personal, MACHINE, now).await?;
        let bad = |why: BadUscc| AccountError::BadValue(why.to_string());
        let grant = Grant {
            subject: account.id,
            usc: "91330106990000017F".parse().map_err(bad)?, // right check characters, and nobody's
            name: "示例公司 Sample company".to_owned(),
            role: SubjectRole::Agent,
            valid_from: now.day(),
            valid_until: now.plus(SAMPLE_ROLE).day(),
            division: None,
            evidence: None,
        };
        people.grant_role(grant, MACHINE, now).await?;
        Ok(())
    })
}

/// The value of a file; `None` for an empty one. No mistake quotes what stands there.
fn value<T: FromStr<Err: std::fmt::Display>>(file: &Path) -> Result<Option<T>, AccountError> {
    let fault = |cause| AccountError::NoFile { from: file.display().to_string(), cause };
    let mut text = zeroize::Zeroizing::new(String::new());
    File::open(file).map_err(fault)?.take(VALUE_BYTES_MAX).read_to_string(&mut text).map_err(fault)?;
    let text = text.trim();
    let bad = |why: T::Err| AccountError::BadValue(format!("{}: {why}", file.display()));
    (!text.is_empty()).then(|| text.parse().map_err(bad)).transpose()
}

/// `yimen account role`.
pub(super) fn roles(config: &Config, command: &RoleCommand) -> Result<String, AccountError> {
    let now = Timestamp::now();
    block_on(async {
        let people = people(config).await?;
        match command {
            RoleCommand::Grant(asked) => {
                let granted = people.grant_role(grant(config, asked, now).await?, MACHINE, now).await?;
                Ok(format!(
                    "role {} granted: {} for {} until {}\n",
                    granted.id, granted.role, granted.usc, granted.valid_until
                ))
            }
            RoleCommand::Withdraw { id } => {
                let role = people.withdraw_role(*id, MACHINE, now).await?;
                let sessions = open_sessions(config).await?;
                let ended = end_sessions_in(&sessions, &role, now).await?;
                Ok(format!("role {id} withdrawn, {ended} sessions that acted in it ended\n"))
            }
            RoleCommand::List { login: Some(login) } => {
                let account = account(config, login).await?;
                Ok(listed(&people.roles_of(&account.id).await?, now))
            }
            RoleCommand::List { login: None } => all(&people, now).await,
        }
    })
}

async fn grant(config: &Config, asked: &GrantRole, now: Timestamp) -> Result<Grant, AccountError> {
    let account = account(config, &asked.login).await?;
    Ok(Grant {
        subject: account.id,
        usc: asked.usc,
        name: asked.name.clone(),
        role: asked.role,
        valid_from: asked.from.unwrap_or_else(|| now.day()),
        valid_until: asked.until,
        division: asked.usc.division(),
        evidence: asked.evidence.clone(),
    })
}

async fn end_sessions_in(sessions: &Sessions, role: &GrantedRole, now: Timestamp) -> Result<usize, AccountError> {
    let acts = |summary: &SessionSummary| summary.session.acts_in(role.id);
    Ok(sessions.end_those(&role.subject, acts, EndReason::RoleEnded, now).await?)
}

async fn all(people: &People, now: Timestamp) -> Result<String, AccountError> {
    let (mut roles, mut after) = (Vec::new(), None);
    loop {
        let page = people.roles(EVERYWHERE, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(listed(&roles, now)) };
        after = Some(last.id);
        roles.extend(page);
    }
}

fn listed(roles: &[GrantedRole], now: Timestamp) -> String {
    let mut text = String::from("id\taccount\tusc\tname\trole\tfrom\tuntil\tstate\n");
    for role in roles {
        let GrantedRole { id, subject, usc, name, role: as_what, valid_from, valid_until, .. } = role;
        let state = role.state(now);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{id}\t{subject}\t{usc}\t{name}\t{as_what}\t{valid_from}\t{valid_until}\t{state}");
    }
    text
}

/// `yimen account erase`.
pub(super) fn erase(config: &Config, login: &str) -> Result<String, AccountError> {
    let now = Timestamp::now();
    block_on(async {
        let (account, people) = (account(config, login).await?, people(config).await?);
        people.erase(&account.id, MACHINE, now).await?;
        let ended = open_sessions(config).await?.end_all(&account.id, None, EndReason::Erased, now).await?;
        Ok(format!(
            "account {} erased with all that was kept of its owner, {ended} sessions ended; records of changes stay, and name nobody\n",
            account.login
        ))
    })
}

/// `yimen session`.
pub(super) fn sessions(config: &Config, command: &SessionCommand) -> Result<String, AccountError> {
    let now = Timestamp::now();
    block_on(async {
        let (SessionCommand::List { login } | SessionCommand::End { login, .. }) = command;
        let (account, sessions) = (account(config, login).await?, open_sessions(config).await?);
        let people = people(config).await?;
        let handle = match command {
            SessionCommand::List { .. } => {
                people.record(MACHINE, "list-sessions", &account.id, "", now).await?;
                return Ok(shown(&sessions, &sessions.of_subject(&account.id, now).await?));
            }
            SessionCommand::End { session, .. } => session,
        };
        people.record(MACHINE, "end-sessions", &account.id, handle.as_deref().unwrap_or("all"), now).await?;
        let ended = match handle {
            None => sessions.end_all(&account.id, None, EndReason::Operator, now).await?,
            Some(handle) => {
                let wanted = |summary: &SessionSummary| sessions.handle(&summary.key) == *handle;
                sessions.end_those(&account.id, wanted, EndReason::Operator, now).await?
            }
        };
        match handle {
            Some(handle) if ended == 0 => Err(AccountError::NoSession(handle.clone())),
            _ => Ok(format!("{ended} sessions of account {} ended\n", account.login)),
        }
    })
}

fn shown(sessions: &Sessions, list: &[SessionSummary]) -> String {
    let mut text = String::from("id\trealm\tdevice\tnetwork\tacting for\tbegun\tlast seen\n");
    for SessionSummary { key, session, last_seen } in list {
        let acting = session.represented.as_ref().map_or("-", |represented| represented.usc.as_str());
        let (id, begun, seen) = (sessions.handle(key), time(session.created_at), time(*last_seen));
        let (realm, device, network) = (&session.realm, &session.device, &session.network);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{id}\t{realm}\t{device}\t{network}\t{acting}\t{begun}\t{seen}");
    }
    text
}

/// `yimen key rotate-vault`.
pub(super) fn rotate_vault(config: &Config) -> Result<String, AccountError> {
    let file = Vault::rotate(&config.identity.vault_directory)?;
    Ok(format!(
        "new key {file} in {}: this node seals with it within 15 s; copy it to all nodes, then `yimen key reseal-vault`\n",
        config.identity.vault_directory.display()
    ))
}

/// `yimen key reseal-vault`.
pub(super) fn reseal(config: &Config) -> Result<String, AccountError> {
    block_on(async {
        let done = people(config).await?.reseal().await?;
        Ok(format!("{done} records sealed anew with the newest key; at 0, older key files may be removed\n"))
    })
}

fn time(time: Timestamp) -> String {
    let millis = i64::try_from(time.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}
