//! The factors of built-in accounts besides their password: set, shown, checked, removed; and recovery codes.
//! Secrets lie sealed by the vault, for their account and purpose alone; recovery codes as keyed hashes.
//! Fails: `FactorError`; a store that did not answer is never "wrong code".

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::error::IdentityError;
use super::messenger::{Message, Messenger, MessengerError};
#[cfg(feature = "passkey")]
use super::passkeys::Passkeys;
use super::totp::TotpSecret;
use super::vault::Vault;
use crate::domain::Timestamp;
use crate::store::{Durable, FactorKind, FactorRow, StoreError};

/// Factors one account may have: a page that people can read.
const FACTORS_MAX: usize = 10;
const RECOVERY_CODES: usize = 10;
/// How long a code that was sent is good (ASVS 5.0, 6.5.5: 10 min at most).
pub const MESSAGE_LIFE: Duration = Duration::from_secs(300);
const LABEL_MAX: usize = 40;

/// Why a factor could not be set, shown or checked.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// Nobody knows.
    #[error("factors cannot be read or written now: {0}")]
    Store(#[from] StoreError),
    /// A value does not open, or randomness is missing.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The code was not sent.
    #[error(transparent)]
    Messenger(#[from] MessengerError),
    /// There are enough.
    #[error("an account has at most {FACTORS_MAX} factors; remove one first")]
    TooMany,
    /// What the browser sent is no answer to what it was asked.
    #[error("the passkey was not accepted: {0}")]
    Passkey(String),
}

/// A factor as its owner sees it.
#[derive(Clone, Debug)]
pub struct Factor {
    /// Names it on the page of its owner; opens nothing.
    pub id: String,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it; of a telephone or mailbox the masked address.
    pub label: String,
    /// When it was set.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}

impl From<FactorRow> for Factor {
    fn from(row: FactorRow) -> Self {
        let FactorRow { id, kind, label, created_at, used_at, .. } = row;
        Self { id: id.to_string(), kind, label, created_at, used_at }
    }
}

/// What the vault binds a secret of codes by time to, beside its account.
const TOTP: &str = "totp";
/// The same of a telephone or mailbox.
const ADDRESS: &str = "address";
/// Rows sealed anew at a time.
const BATCH: u16 = 500;

/// Seals everything anew that another key than the newest sealed; returns how many rows that were.
pub(super) async fn reseal(durable: &Durable, vault: &Vault) -> Result<u64, IdentityError> {
    let (mut after, mut done) = (Uuid::nil(), 0);
    loop {
        let rows = durable.factors_after(after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(done) };
        after = last.id;
        for row in &rows {
            let purpose = match row.kind {
                FactorKind::Totp => TOTP,
                FactorKind::Sms | FactorKind::Mail => ADDRESS,
                FactorKind::Passkey => continue, // a public key
            };
            if vault.is_old(&row.content) {
                let owner = row.account.to_string();
                let text = vault.open(purpose, &owner, &row.content).ok_or(IdentityError::SealBroken)?;
                done += u64::from(durable.reseal_factor(row, &vault.seal(purpose, &owner, &text)?).await?);
            }
        }
    }
}

/// All factors of all accounts.
#[derive(Debug)]
pub struct Factors {
    pub(super) durable: Arc<Durable>,
    vault: Arc<Vault>,
    messenger: Option<Messenger>,
    #[cfg(feature = "passkey")]
    pub(super) passkeys: Option<Passkeys>,
}

impl Factors {
    /// `origin`: of the portal, as people see it; passkeys are for its host, which must be a name.
    pub fn new(
        durable: Arc<Durable>,
        vault: Arc<Vault>,
        messenger: Option<Messenger>,
        origin: &str,
    ) -> Result<Self, IdentityError> {
        #[cfg(not(feature = "passkey"))]
        let _ = origin;
        #[cfg(feature = "passkey")]
        let passkeys = Passkeys::of(origin)?;
        Ok(Self {
            durable,
            vault,
            messenger,
            #[cfg(feature = "passkey")]
            passkeys,
        })
    }

    /// The factors of an account, in order of setting.
    pub async fn of(&self, account: Uuid) -> Result<Vec<Factor>, FactorError> {
        Ok(self.durable.factors(account).await?.into_iter().map(Factor::from).collect())
    }

    /// Whether codes can be sent.
    pub fn sends(&self) -> bool {
        self.messenger.is_some()
    }

    /// Whether passkeys can be set and shown here.
    pub fn has_passkeys(&self) -> bool {
        #[cfg(feature = "passkey")]
        return self.passkeys.is_some();
        #[cfg(not(feature = "passkey"))]
        return false;
    }

    /// Sets codes by time, if `code` is right for `secret` now; that code is used by it.
    pub async fn set_totp(
        &self,
        account: Uuid,
        secret: &TotpSecret,
        code: &str,
        now: Timestamp,
    ) -> Result<bool, FactorError> {
        let Some(step) = secret.step_of(&digits(code), now, 0) else { return Ok(false) };
        let content = self.vault.seal(TOTP, &account.to_string(), &secret.base32())?;
        let row = FactorRow { last_step: step, ..new_row(account, FactorKind::Totp, "", content, now) };
        self.insert(row).await.map(|()| true)
    }

    /// The same after a loss: the new secret takes the place of every factor the account had. `false`: the code is wrong.
    pub async fn recover(
        &self,
        account: Uuid,
        secret: &TotpSecret,
        code: &str,
        now: Timestamp,
    ) -> Result<bool, FactorError> {
        let Some(step) = secret.step_of(&digits(code), now, 0) else { return Ok(false) };
        let before = self.durable.factors(account).await?;
        let content = self.vault.seal(TOTP, &account.to_string(), &secret.base32())?;
        let row = FactorRow { last_step: step, ..new_row(account, FactorKind::Totp, "", content, now) };
        self.durable.insert_factor(&row).await?; // first: a fault in between leaves one factor too many, never none
        for row in before {
            self.durable.remove_factor(account, row.id).await?;
        }
        Ok(true)
    }

    /// Whether this is a code by time of the account that was not used before. Of twenty who show one code, one is right.
    pub async fn check_totp(&self, account: Uuid, code: &str, now: Timestamp) -> Result<bool, FactorError> {
        let code = digits(code);
        for row in self.durable.factors(account).await?.iter().filter(|row| row.kind == FactorKind::Totp) {
            let secret = self.vault.open(TOTP, &account.to_string(), &row.content);
            let secret = secret.and_then(|text| TotpSecret::parse(&text)).ok_or(UNREADABLE)?;
            let Some(step) = secret.step_of(&code, now, row.last_step) else { continue };
            return Ok(self.durable.use_factor(row.id, step, now).await?);
        }
        Ok(false)
    }

    /// Sends a new code to an address that is to become a factor, and returns the code.
    pub async fn send_to(
        &self,
        kind: FactorKind,
        address: &str,
        language: &str,
        now: Timestamp,
    ) -> Result<Zeroizing<String>, FactorError> {
        let messenger = self.messenger.as_ref().ok_or_else(MessengerError::none)?;
        let code = message_code()?;
        messenger.send(&Message { kind, address, code: &code, life: MESSAGE_LIFE, language }, now).await?;
        Ok(code)
    }

    /// Sends a new code to the account's factor of this id, and returns the code with the factor's kind; `None`: no such factor.
    pub async fn send(
        &self,
        account: Uuid,
        id: &str,
        language: &str,
        now: Timestamp,
    ) -> Result<Option<(FactorKind, Zeroizing<String>)>, FactorError> {
        let rows = self.durable.factors(account).await?;
        let sendable = |row: &&FactorRow| matches!(row.kind, FactorKind::Sms | FactorKind::Mail);
        let Some(row) = rows.iter().filter(sendable).find(|row| row.id.to_string() == id) else { return Ok(None) };
        let address = self.vault.open(ADDRESS, &account.to_string(), &row.content).ok_or(UNREADABLE)?;
        Ok(Some((row.kind, self.send_to(row.kind, &address, language, now).await?)))
    }

    /// Sets an address that a code has just come back from.
    pub async fn set_address(
        &self,
        account: Uuid,
        kind: FactorKind,
        address: &str,
        now: Timestamp,
    ) -> Result<(), FactorError> {
        let content = self.vault.seal(ADDRESS, &account.to_string(), address)?;
        self.insert(new_row(account, kind, &masked(address), content, now)).await
    }

    /// Removes a factor; the last one takes the recovery codes with it. `false`: the account has no such factor.
    pub async fn remove(&self, account: Uuid, id: &str) -> Result<bool, FactorError> {
        let Ok(id) = id.parse() else { return Ok(false) };
        let removed = self.durable.remove_factor(account, id).await?;
        if removed && self.durable.factors(account).await?.is_empty() {
            self.durable.set_recovery_codes(account, &[]).await?;
        }
        Ok(removed)
    }

    /// Ten new recovery codes of 80 random bits; those before are good no more.
    pub async fn new_recovery_codes(&self, account: Uuid) -> Result<Vec<String>, FactorError> {
        let codes = (0..RECOVERY_CODES).map(|_| recovery_code()).collect::<Result<Vec<_>, _>>()?;
        let hashes: Vec<String> = codes.iter().map(|code| self.recovery_hash(account, code)).collect();
        self.durable.set_recovery_codes(account, &hashes).await?;
        Ok(codes)
    }

    /// The same with a single one, for somebody who stands at a window.
    pub async fn one_recovery_code(&self, account: Uuid) -> Result<String, FactorError> {
        let code = recovery_code()?;
        self.durable.set_recovery_codes(account, &[self.recovery_hash(account, &code)]).await?;
        Ok(code)
    }

    /// Takes a recovery code: each is good once, whoever tries at the same time.
    pub async fn take_recovery_code(&self, account: Uuid, code: &str) -> Result<bool, FactorError> {
        Ok(self.durable.take_recovery_code(account, &self.recovery_hash(account, code)).await?)
    }

    /// Recovery codes that are left.
    pub async fn recovery_codes(&self, account: Uuid) -> Result<u64, FactorError> {
        Ok(self.durable.recovery_codes(account).await?)
    }

    fn recovery_hash(&self, account: Uuid, code: &str) -> String {
        let letters: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
        self.vault.tag("recovery code", &format!("{account}\0{}", letters.to_ascii_uppercase()))
    }

    pub(super) async fn insert(&self, row: FactorRow) -> Result<(), FactorError> {
        if self.durable.factors(row.account).await?.len() >= FACTORS_MAX {
            return Err(FactorError::TooMany);
        }
        Ok(self.durable.insert_factor(&row).await?)
    }
}

const UNREADABLE: FactorError = FactorError::Store(StoreError::Corrupt { what: "a factor" });

pub(super) fn new_row(account: Uuid, kind: FactorKind, label: &str, content: String, now: Timestamp) -> FactorRow {
    let label = label.chars().filter(|letter| !letter.is_control()).take(LABEL_MAX).collect();
    FactorRow {
        id: Uuid::now_v7(),
        account,
        kind,
        label,
        content,
        handle: None,
        last_step: 0,
        created_at: now,
        used_at: now,
    }
}

/// People write `123 456`.
fn digits(code: &str) -> String {
    code.chars().filter(|letter| !letter.is_whitespace()).take(16).collect()
}

/// `138****8000`, `w***@example.gov`.
fn masked(address: &str) -> String {
    match address.split_once('@') {
        Some((name, host)) => format!("{}***@{host}", name.chars().take(1).collect::<String>()),
        None => {
            let letters: Vec<char> = address.chars().collect();
            let hidden = |place: usize| place >= 3 && place + 4 < letters.len();
            letters.iter().enumerate().map(|(place, letter)| if hidden(place) { '*' } else { *letter }).collect()
        }
    }
}

/// Six digits, all alike (ASVS 5.0, 6.5.1: 20 bits at least; 4 295 values of 2³² are drawn again).
fn message_code() -> Result<Zeroizing<String>, IdentityError> {
    loop {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes).map_err(|_| IdentityError::Crypto("drawing random numbers"))?;
        let number = u32::from_be_bytes(bytes);
        if number < 4_294_000_000 {
            return Ok(Zeroizing::new(format!("{:06}", number % 1_000_000)));
        }
    }
}

fn recovery_code() -> Result<String, IdentityError> {
    let secret = TotpSecret::random()?.base32();
    let letters: Vec<char> = secret.chars().take(16).collect();
    Ok(letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked() {
        assert_eq!(masked("13800138000"), "138****8000");
        assert_eq!(masked("+8613800138000"), "+86*******8000");
        assert_eq!(masked("wang@example.gov"), "w***@example.gov");
    }

    #[test]
    fn a_recovery_code_is_four_groups_of_four() {
        let code = recovery_code().unwrap();
        assert_eq!((code.len(), code.split('-').count()), (19, 4), "{code}");
        assert_ne!(code, recovery_code().unwrap());
    }
}
