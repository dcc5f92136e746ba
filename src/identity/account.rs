//! A built-in account, as the rest of the gateway sees it: without its password.

use std::fmt;
use std::str::FromStr;

use super::error::IdentityError;
use super::password::Password;
use crate::domain::{Assurance, SubjectKind, Timestamp};
use crate::store::{AccountRow, AccountState};

/// What a person types to say who they are: lower case, 1 to 64 letters, digits and `. _ - + @`.
#[derive(Clone, PartialEq, Eq)]
pub struct Login(String);

impl Login {
    /// The login as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Login(…)") // it names a person
    }
}

impl FromStr for Login {
    type Err = IdentityError;

    /// Spaces around it are dropped and capitals made small: telephones add both.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let login = text.trim().to_lowercase();
        let allowed = |letter: char| letter.is_alphanumeric() || "._-+@".contains(letter);
        let shaped = (1..=64).contains(&login.chars().count()) && login.chars().all(allowed);
        if shaped { Ok(Self(login)) } else { Err(IdentityError::BadLogin(text.to_owned())) }
    }
}

/// An account that does not exist yet.
#[derive(Debug)]
pub struct NewAccount {
    /// Login; unique.
    pub login: Login,
    /// Name to greet with.
    pub name: String,
    /// Whom it speaks for.
    pub kind: SubjectKind,
    /// How sure we are who it is.
    pub assurance: Assurance,
    /// Its password.
    pub password: Password,
}

impl NewAccount {
    /// The name if it can be shown: 1 to 64 characters, none of them a control character.
    pub(super) fn checked_name(&self) -> Result<&str, IdentityError> {
        let name = self.name.trim();
        let shaped = (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if shaped { Ok(name) } else { Err(IdentityError::BadName) }
    }
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Stable for the life of the account; platforms never see it, only pairwise values made from it.
    pub id: String,
    /// Login.
    pub login: String,
    /// Name to greet with.
    pub name: String,
    /// Whom it speaks for.
    pub kind: SubjectKind,
    /// How sure we are who it is.
    pub assurance: Assurance,
    /// Whether it may sign in.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its password or state last changed.
    pub changed_at: Timestamp,
}

impl fmt::Debug for Account {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Account").field("active", &self.active).finish_non_exhaustive()
    }
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        Self {
            id: row.id.to_string(),
            login: row.login,
            name: row.name,
            kind: row.kind,
            assurance: row.assurance,
            active: row.state == AccountState::Active,
            created_at: row.created_at,
            changed_at: row.changed_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_loses_what_a_telephone_adds() {
        assert_eq!(" Demo ".parse::<Login>().unwrap().as_str(), "demo");
        assert_eq!("王小明".parse::<Login>().unwrap().as_str(), "王小明");
        for bad in ["", "  ", "a b", "a\u{0}b", "a'--", &"x".repeat(65)] {
            assert!(bad.parse::<Login>().is_err(), "{bad} passed");
        }
    }

    #[test]
    fn logins_and_names_do_not_get_into_logs() {
        let login: Login = "wang".parse().unwrap();
        assert!(!format!("{login:?}").contains("wang"));
    }
}
