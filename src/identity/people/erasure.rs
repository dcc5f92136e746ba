//! The end of an account.

use super::{By, People};
use crate::domain::Timestamp;
use crate::identity::error::IdentityError;

impl People {
    /// Deletes an account with everything that is kept of its owner. What stays: records of changes, in which the person is a
    /// keyed hash of an id that nothing leads to any more. The caller ends the sessions. `false` when there was none.
    pub async fn erase(&self, subject: &str, by: By<'_>, now: Timestamp) -> Result<bool, IdentityError> {
        let roles = self.durable.subject_roles_of(subject).await?;
        let mut writing = self.durable.writing().await?;
        let erased = writing.erase(subject).await?;
        if erased {
            self.note(&mut writing, by, "erase-account", subject, "", now).await?;
            writing.commit().await?;
        }
        roles.iter().for_each(|role| self.roles.forget(&role.id));
        Ok(erased)
    }
}
