//! Roles of people for legal persons: granted, withdrawn, and whether one holds.

use jiff::civil::Date;
use uuid::Uuid;

use super::{By, People};
use crate::domain::{DivisionCode, GrantedRole, Represented, SubjectRole, Timestamp, Uscc};
use crate::identity::error::IdentityError;
use crate::store::{StoreError, Subtree, Writing};

/// A role that does not exist yet.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose: the id of an account.
    pub subject: String,
    /// For whom.
    pub usc: Uscc,
    /// Name of the legal person: 1 to 100 characters.
    pub name: String,
    /// As what.
    pub role: SubjectRole,
    /// First day, in China.
    pub valid_from: Date,
    /// Last day.
    pub valid_until: Date,
    /// The division whose operators may grant and withdraw it; `None`: the nation.
    pub division: Option<DivisionCode>,
    /// What was seen of it: 1 to 200 characters.
    pub evidence: Option<String>,
}

/// Who granted a role.
#[derive(Clone, Copy, Debug)]
pub enum Granted<'a> {
    /// Whoever has the machine, alone.
    ByMachine,
    /// Two people.
    ByTwo {
        /// Who proposed it.
        proposed_by: &'a str,
    },
}

impl People {
    /// Grants a role on the machine. The same person may have several, for one legal person too.
    pub async fn grant_role(&self, grant: Grant, by: By<'_>, now: Timestamp) -> Result<GrantedRole, IdentityError> {
        let mut writing = self.durable.writing().await?;
        let role = self.grant_role_in(&mut writing, grant, Granted::ByMachine, by, now).await?;
        writing.commit().await?;
        Ok(role)
    }

    /// Grants a role in the transaction of whoever decided it. A legal person has one name: `LegalNameDiffers` when others act
    /// for it under another.
    pub async fn grant_role_in(
        &self,
        writing: &mut Writing,
        grant: Grant,
        granted: Granted<'_>,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<GrantedRole, IdentityError> {
        let role = grant.granted(granted, by.actor, now)?;
        if let Some(known) = writing.other_legal_name(role.usc, &role.name, &now.day().to_string()).await? {
            return Err(IdentityError::LegalNameDiffers { usc: role.usc, known });
        }
        writing.grant_role(&role).await?;
        self.note(writing, by, "grant-role", &role.subject, &about(&role), now).await?;
        Ok(role)
    }

    /// Checks a grant and changes nothing.
    pub fn try_grant(grant: Grant, by: By<'_>, now: Timestamp) -> Result<GrantedRole, IdentityError> {
        grant.granted(Granted::ByMachine, by.actor, now)
    }

    /// Withdraws a role; one that was withdrawn before stays as it was. The caller ends the sessions that act in it. On other
    /// nodes it holds no longer than [`People::BOUND`].
    pub async fn withdraw_role(&self, id: Uuid, by: By<'_>, now: Timestamp) -> Result<GrantedRole, IdentityError> {
        let role = self.durable.subject_role(id).await?.ok_or(IdentityError::NoRole(id))?;
        let mut writing = self.durable.writing().await?;
        if writing.withdraw_role(id, by.actor, now).await? {
            self.note(&mut writing, by, "withdraw-role", &role.subject, &about(&role), now).await?;
            writing.commit().await?;
        }
        self.roles.forget(&id);
        self.role(id).await?.ok_or(IdentityError::NoRole(id))
    }

    /// One role.
    pub async fn role(&self, id: Uuid) -> Result<Option<GrantedRole>, IdentityError> {
        Ok(self.durable.subject_role(id).await?)
    }

    /// All roles that a person has or had.
    pub async fn roles_of(&self, subject: &str) -> Result<Vec<GrantedRole>, IdentityError> {
        Ok(self.durable.subject_roles_of(subject).await?)
    }

    /// Whom a person may act for now.
    pub async fn represents(&self, subject: &str, now: Timestamp) -> Result<Vec<Represented>, IdentityError> {
        let roles = self.roles_of(subject).await?;
        Ok(roles.into_iter().filter_map(|role| role.represented(now)).collect())
    }

    /// Up to `limit` roles for legal persons of a subtree, in order of granting.
    pub async fn roles(
        &self,
        subtree: Subtree,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Vec<GrantedRole>, IdentityError> {
        Ok(self.durable.subject_roles(subtree, after, limit).await?)
    }

    /// Whether a role that a session acts in still holds: by its last day at once, by the store within [`People::BOUND`].
    pub async fn role_holds(&self, represented: &Represented, now: Timestamp) -> Result<bool, StoreError> {
        let id = represented.id;
        if now.day() > represented.valid_until {
            return Ok(false);
        }
        let ask = async {
            let role = self.durable.subject_role(id).await?;
            Ok(role.is_some_and(|role| role.state(now) == "valid"))
        };
        self.roles.ask(id, now, ask).await
    }
}

impl Grant {
    fn granted(self, granted: Granted<'_>, by: &str, now: Timestamp) -> Result<GrantedRole, IdentityError> {
        let name = self.name.trim();
        let shaped = (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if !shaped {
            return Err(IdentityError::BadLegalName);
        }
        let evidence = self.evidence.as_deref().map(str::trim);
        if evidence.is_some_and(|text| !(1..=200).contains(&text.chars().count()) || text.chars().any(char::is_control))
        {
            return Err(IdentityError::BadEvidence);
        }
        if self.valid_until < self.valid_from || self.valid_until < now.day() {
            return Err(IdentityError::RoleDays);
        }
        Ok(GrantedRole {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            subject: self.subject,
            usc: self.usc,
            role: self.role,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            division: self.division,
            evidence: evidence.map(str::to_owned),
            granted_by: match granted {
                Granted::ByMachine => by.to_owned(),
                Granted::ByTwo { proposed_by } => proposed_by.to_owned(),
            },
            approved_by: matches!(granted, Granted::ByTwo { .. }).then(|| by.to_owned()),
            granted_at: now,
            withdrawn: None,
        })
    }
}

/// A role in the record: whose it is stands before it.
fn about(role: &GrantedRole) -> String {
    format!("{} {} {}", role.role, role.usc, role.id)
}
