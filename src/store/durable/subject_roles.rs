//! Roles of people for legal persons.

use jiff::civil::Date;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::register::Writing;
use super::{Durable, Subtree, failed, number, time};
use crate::domain::{GrantedRole, Timestamp, Uscc};
use crate::store::StoreError;

/// Roles of one person; nobody acts for more.
const OF_ONE_MAX: i64 = 1000;

/// A select of whole rows and its conditions, put together when this is compiled.
macro_rules! select {
    ($before:literal, order, $rest:literal) => {
        concat!(select!($before), division_order!("COALESCE(division, '100000')"), $rest)
    };
    ($rest:literal) => {
        concat!(
            "SELECT id, subject, usc, name, role, valid_from, valid_until, granted_by, granted_at, withdrawn_by, ",
            "withdrawn_at, division, evidence, approved_by FROM subject_role ",
            $rest
        )
    };
}

impl Durable {
    /// The role with this id.
    pub async fn subject_role(&self, id: Uuid) -> Result<Option<GrantedRole>, StoreError> {
        let work = sqlx::query(select!("WHERE id = $1")).bind(id.to_string()).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(role).transpose()
    }

    /// All roles that a person has or had, in order of granting.
    pub async fn subject_roles_of(&self, subject: &str) -> Result<Vec<GrantedRole>, StoreError> {
        let work = sqlx::query(select!("WHERE subject = $1 ORDER BY id LIMIT $2"))
            .bind(subject)
            .bind(OF_ONE_MAX)
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(role).collect()
    }

    /// Up to `limit` roles for legal persons of a subtree in order of granting, those after `after`.
    pub async fn subject_roles(
        &self,
        subtree: Subtree,
        after: Option<Uuid>,
        limit: u16,
    ) -> Result<Vec<GrantedRole>, StoreError> {
        let select = select!("WHERE id > $1 AND ", order, " BETWEEN $2 AND $3 ORDER BY id LIMIT $4");
        let (first, last) = subtree.bounds();
        let work = sqlx::query(select)
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(first)
            .bind(last)
            .bind(i64::from(limit))
            .fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(role).collect()
    }
}

impl Writing {
    /// Adds a role.
    pub async fn grant_role(&mut self, role: &GrantedRole) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO subject_role (id, subject, usc, name, role, valid_from, valid_until, granted_by, granted_at, \
                              division, evidence, approved_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let query = sqlx::query(INSERT)
            .bind(role.id.to_string())
            .bind(role.subject.clone())
            .bind(role.usc.as_str().to_owned())
            .bind(role.name.clone())
            .bind(role.role.word())
            .bind(role.valid_from.to_string())
            .bind(role.valid_until.to_string())
            .bind(role.granted_by.clone())
            .bind(number(role.granted_at))
            .bind(role.division.map(|division| division.to_string()))
            .bind(role.evidence.clone())
            .bind(role.approved_by.clone());
        self.run(query).await.map(drop)
    }

    /// Under which other name somebody acts for a legal person on `today` or later, if anybody does.
    pub async fn other_legal_name(&mut self, usc: Uscc, name: &str, today: &str) -> Result<Option<String>, StoreError> {
        let select = "SELECT name FROM subject_role WHERE usc = $1 AND name <> $2 AND withdrawn_at IS NULL AND valid_until >= $3 \
                      ORDER BY id DESC LIMIT 1";
        let query = sqlx::query(select).bind(usc.as_str().to_owned()).bind(name.to_owned()).bind(today.to_owned());
        self.optional(query).await?.map(|row| row.try_get(0).map_err(failed)).transpose()
    }

    /// Ends a role. `false` when there is none, or it was withdrawn before.
    pub async fn withdraw_role(&mut self, id: Uuid, by: &str, now: Timestamp) -> Result<bool, StoreError> {
        let update =
            "UPDATE subject_role SET withdrawn_by = $2, withdrawn_at = $3 WHERE id = $1 AND withdrawn_at IS NULL";
        let query = sqlx::query(update).bind(id.to_string()).bind(by.to_owned()).bind(number(now));
        Ok(self.run(query).await? == 1)
    }
}

const UNREADABLE: StoreError = StoreError::Corrupt { what: "a role for a legal person" };

fn role(row: &AnyRow) -> Result<GrantedRole, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
    let day = |column: &str| text(column)?.parse::<Date>().map_err(|_| UNREADABLE);
    let withdrawn_at = row.try_get::<Option<i64>, _>("withdrawn_at").map_err(failed)?.map(time).transpose()?;
    let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
    let withdrawn_by = maybe("withdrawn_by")?;
    Ok(GrantedRole {
        id: text("id")?.parse().map_err(|_| UNREADABLE)?,
        subject: text("subject")?,
        usc: text("usc")?.parse().map_err(|_| UNREADABLE)?,
        name: text("name")?,
        role: text("role")?.parse().map_err(|_| UNREADABLE)?,
        valid_from: day("valid_from")?,
        valid_until: day("valid_until")?,
        division: maybe("division")?.map(|code| code.parse()).transpose().map_err(|_| UNREADABLE)?,
        evidence: maybe("evidence")?,
        granted_by: text("granted_by")?,
        approved_by: maybe("approved_by")?,
        granted_at: time(row.try_get("granted_at").map_err(failed)?)?,
        withdrawn: withdrawn_by.zip(withdrawn_at),
    })
}
