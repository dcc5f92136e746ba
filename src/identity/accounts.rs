//! The built-in accounts: adding, changing, and checking a password.

use std::sync::Arc;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::account::{Account, Login, NewAccount};
use super::error::{IdentityError, SignInError};
use super::password::{Checked, Cost, Password};
use super::pool::Pool;
use crate::config::IdentityConfig;
use crate::domain::Timestamp;
use crate::store::{AccountRow, AccountState, Durable, StoreError};

/// The built-in accounts and the threads that check their passwords.
#[derive(Debug)]
pub struct Accounts {
    durable: Arc<Durable>,
    pool: Pool,
    cost: Cost,
    /// What is checked when there is no account, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Accounts {
    /// Starts the password threads; takes as long as one hash. `Err`: no threads, or a cost that Argon2id refuses.
    pub fn new(durable: Arc<Durable>, config: &IdentityConfig) -> Result<Self, IdentityError> {
        let cost = Cost::new(config.argon2_memory_kib, config.argon2_passes)?;
        let decoy = cost.hash(&Uuid::now_v7().to_string())?.into();
        let pool = Pool::start(config.password_threads, config.password_queue).map_err(IdentityError::Threads)?;
        Ok(Self { durable, pool, cost, decoy })
    }

    /// Whose login and password these are. `Refused` says nothing about which of them is wrong, and takes as long for an
    /// account that does not exist or is disabled. A hash of another cost than today's is renewed on the way.
    pub async fn verify(&self, login: &str, password: &str, now: Timestamp) -> Result<Account, SignInError> {
        let row = match login.parse::<Login>() {
            Ok(login) => self.durable.account_by_login(login.as_str()).await?,
            Err(_) => None,
        };
        let stored = row.as_ref().map_or_else(|| self.decoy.clone(), |row| row.password_hash.as_str().into());
        let Checked { right, renewed } = self.check(Zeroizing::new(password.to_owned()), stored).await?;
        match row {
            Some(row) if right && row.state == AccountState::Active => {
                self.renew(row.id, renewed, now).await;
                Ok(row.into())
            }
            _ => Err(SignInError::Refused),
        }
    }

    async fn check(&self, password: Zeroizing<String>, stored: Arc<str>) -> Result<Checked, SignInError> {
        let cost = self.cost.clone();
        self.pool.run(move || cost.check(&password, &stored)).await.map_err(|_| SignInError::Busy)
    }

    async fn renew(&self, id: Uuid, hash: Option<String>, now: Timestamp) {
        let Some(hash) = hash else { return };
        if let Err(error) = self.durable.set_password(id, &hash, now).await {
            tracing::warn!(%error, "a password hash of an older cost stays as it is until the next sign-in");
        }
    }

    /// Adds an account. `LoginTaken` when somebody has the login.
    pub async fn add(&self, new: NewAccount, now: Timestamp) -> Result<Account, IdentityError> {
        let name = new.checked_name()?.to_owned();
        let row = AccountRow {
            id: Uuid::now_v7(),
            login: new.login.as_str().to_owned(),
            name,
            kind: new.kind,
            assurance: new.assurance,
            state: AccountState::Active,
            created_at: now,
            changed_at: now,
            password_hash: self.hash(new.password).await?,
        };
        match self.durable.insert_account(&row).await {
            Ok(()) => Ok(row.into()),
            Err(StoreError::Taken { .. }) => Err(IdentityError::LoginTaken(row.login)),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets a new password. The caller ends the sessions of the account that is returned (ASVS 5.0, 7.4.3).
    pub async fn set_password(&self, login: &Login, new: Password, now: Timestamp) -> Result<Account, IdentityError> {
        let hash = self.hash(new).await?;
        let row = self.row(login).await?;
        let changed = self.durable.set_password(row.id, &hash, now).await?;
        done(changed, login, Account { changed_at: now, ..row.into() })
    }

    /// Lets an account sign in no more. The caller ends the sessions of the account that is returned (ASVS 5.0, 7.4.2).
    pub async fn disable(&self, login: &Login, now: Timestamp) -> Result<Account, IdentityError> {
        self.set_state(login, AccountState::Disabled, now).await
    }

    /// Lets a disabled account sign in again.
    pub async fn enable(&self, login: &Login, now: Timestamp) -> Result<Account, IdentityError> {
        self.set_state(login, AccountState::Active, now).await
    }

    /// Up to 1000 accounts in order of login, those after `after`; start with the empty text.
    pub async fn list(&self, after: &str) -> Result<Vec<Account>, IdentityError> {
        Ok(self.durable.accounts(after).await?.into_iter().map(Account::from).collect())
    }

    async fn set_state(&self, login: &Login, state: AccountState, now: Timestamp) -> Result<Account, IdentityError> {
        let row = self.row(login).await?;
        let changed = self.durable.set_state(row.id, state, now).await?;
        done(changed, login, Account { active: state == AccountState::Active, changed_at: now, ..row.into() })
    }

    async fn hash(&self, password: Password) -> Result<String, IdentityError> {
        let (cost, password) = (self.cost.clone(), password.into_text());
        self.pool.run(move || cost.hash(&password)).await.map_err(|_| IdentityError::Busy)?
    }

    async fn row(&self, login: &Login) -> Result<AccountRow, IdentityError> {
        let row = self.durable.account_by_login(login.as_str()).await?;
        row.ok_or_else(|| IdentityError::NoAccount(login.as_str().to_owned()))
    }
}

fn done(changed: bool, login: &Login, account: Account) -> Result<Account, IdentityError> {
    if changed { Ok(account) } else { Err(IdentityError::NoAccount(login.as_str().to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;
    use crate::domain::{Assurance, SubjectKind};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000)
    }

    fn config(folder: &TempDir) -> IdentityConfig {
        IdentityConfig {
            issuer: "https://one.example".to_owned(),
            keys_directory: folder.path().join("keys"),
            pairwise_key_file: folder.path().join("pairwise"),
            vault_directory: folder.path().join("vault"),
            assertion_life: Duration::from_secs(60),
            key_lead: Duration::from_secs(600),
            argon2_memory_kib: 64, // the rules are the same at any cost
            argon2_passes: 1,
            password_threads: 1,
            password_queue: 4,
        }
    }

    async fn accounts() -> (Accounts, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let durable = Durable::open(&folder.path().join("register.sqlite")).await.unwrap();
        (Accounts::new(Arc::new(durable), &config(&folder)).unwrap(), folder)
    }

    fn wang() -> NewAccount {
        NewAccount {
            login: "wang".parse().unwrap(),
            name: "王小明".to_owned(),
            kind: SubjectKind::Natural,
            assurance: Assurance::L2,
            password: Password::new("correct horse".to_owned()).unwrap(),
        }
    }

    #[tokio::test]
    async fn whoever_knows_the_password_is_let_in() {
        let (accounts, _folder) = accounts().await;
        let added = accounts.add(wang(), now()).await.unwrap();
        let found = accounts.verify(" WANG", "correct horse", now()).await.unwrap();
        assert_eq!(found, added);
        assert_eq!((found.name.as_str(), found.assurance), ("王小明", Assurance::L2));
    }

    #[tokio::test]
    async fn wrong_unknown_malformed_and_disabled_are_one_answer() {
        let (accounts, _folder) = accounts().await;
        accounts.add(wang(), now()).await.unwrap();
        for (login, password) in [("wang", "wrong horse"), ("li", "correct horse"), ("", ""), ("a b", "correct horse")]
        {
            let answer = accounts.verify(login, password, now()).await;
            assert!(matches!(answer, Err(SignInError::Refused)), "{login}: {answer:?}");
        }
        let login: Login = "wang".parse().unwrap();
        assert!(!accounts.disable(&login, now()).await.unwrap().active);
        assert!(matches!(accounts.verify("wang", "correct horse", now()).await, Err(SignInError::Refused)));
        assert!(accounts.enable(&login, now()).await.unwrap().active);
        assert!(accounts.verify("wang", "correct horse", now()).await.is_ok());
    }

    #[tokio::test]
    async fn a_new_password_takes_the_place_of_the_old_one() {
        let (accounts, _folder) = accounts().await;
        accounts.add(wang(), now()).await.unwrap();
        let new = Password::new("battery staple".to_owned()).unwrap();
        accounts.set_password(&"wang".parse().unwrap(), new, now()).await.unwrap();
        assert!(accounts.verify("wang", "battery staple", now()).await.is_ok());
        assert!(matches!(accounts.verify("wang", "correct horse", now()).await, Err(SignInError::Refused)));
    }

    #[tokio::test]
    async fn a_login_belongs_to_one_account_and_mistakes_name_it() {
        let (accounts, _folder) = accounts().await;
        accounts.add(wang(), now()).await.unwrap();
        assert!(matches!(accounts.add(wang(), now()).await, Err(IdentityError::LoginTaken(login)) if login == "wang"));
        let nobody: Login = "nobody".parse().unwrap();
        assert!(
            matches!(accounts.disable(&nobody, now()).await, Err(IdentityError::NoAccount(login)) if login == "nobody")
        );
        assert_eq!(accounts.list("").await.unwrap().len(), 1);
        assert_eq!(accounts.list("wang").await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_check_costs_the_same_whether_the_account_exists_or_not() {
        let (accounts, _folder) = accounts().await;
        accounts.add(wang(), now()).await.unwrap();
        let row = accounts.durable.account_by_login("wang").await.unwrap().unwrap();
        let cost = |hash: &str| hash.split('$').nth(3).unwrap().to_owned();
        assert_eq!(cost(&accounts.decoy), cost(&row.password_hash)); // timing itself would make a test that sometimes fails
    }
}
