//! What is known of people, sealed by whoever asks for it to be kept, and found again by keyed hashes.

use sqlx::Row;
use sqlx::any::AnyRow;

use super::register::Writing;
use super::{Durable, failed};
use crate::store::StoreError;

/// One person's values, sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonalRow {
    /// Whose: the id of an account.
    pub subject: String,
    /// Identity number.
    pub id_number: Option<String>,
    /// Keyed hash of the identity number; nobody else has the same.
    pub id_tag: Option<String>,
    /// Phone.
    pub phone: Option<String>,
    /// Keyed hash of the phone.
    pub phone_tag: Option<String>,
}

impl Durable {
    /// What is known of a person.
    pub async fn personal(&self, subject: &str) -> Result<Option<PersonalRow>, StoreError> {
        let select = "SELECT subject, id_number, id_tag, phone, phone_tag FROM personal WHERE subject = $1";
        let work = sqlx::query(select).bind(subject).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(personal).transpose()
    }

    /// Whose identity number has this keyed hash.
    pub async fn personal_by_id_tag(&self, tag: &str) -> Result<Option<PersonalRow>, StoreError> {
        let select = "SELECT subject, id_number, id_tag, phone, phone_tag FROM personal WHERE id_tag = $1";
        let work = sqlx::query(select).bind(tag).fetch_optional(self.reader().await?);
        self.asked(work).await?.as_ref().map(personal).transpose()
    }

    /// Up to `limit` rows by subject, those after `after`; start with the empty text.
    pub async fn personal_after(&self, after: &str, limit: u16) -> Result<Vec<PersonalRow>, StoreError> {
        let select = "SELECT subject, id_number, id_tag, phone, phone_tag FROM personal WHERE subject > $1 ORDER BY subject LIMIT $2";
        let work = sqlx::query(select).bind(after).bind(i64::from(limit)).fetch_all(self.reader().await?);
        self.asked(work).await?.iter().map(personal).collect()
    }

    /// Puts values that were sealed anew in the place of `old`. `false` when the row has changed since it was read.
    pub async fn reseal_personal(&self, old: &PersonalRow, new: &PersonalRow) -> Result<bool, StoreError> {
        let update = "UPDATE personal SET id_number = $2, phone = $3 WHERE subject = $1 \
                      AND COALESCE(id_number, '') = $4 AND COALESCE(phone, '') = $5";
        let work = sqlx::query(update)
            .bind(&old.subject)
            .bind(&new.id_number)
            .bind(&new.phone)
            .bind(old.id_number.as_deref().unwrap_or_default())
            .bind(old.phone.as_deref().unwrap_or_default())
            .execute(self.writer().await?);
        Ok(self.asked(work).await?.rows_affected() == 1)
    }
}

impl Writing {
    /// Writes what is known of a person. `Taken` when somebody else has the identity number.
    pub async fn put_personal(&mut self, row: &PersonalRow) -> Result<(), StoreError> {
        let upsert = "INSERT INTO personal (subject, id_number, id_tag, phone, phone_tag) VALUES ($1, $2, $3, $4, $5) \
                      ON CONFLICT (subject) DO UPDATE SET id_number = excluded.id_number, id_tag = excluded.id_tag, \
                      phone = excluded.phone, phone_tag = excluded.phone_tag";
        let query = sqlx::query(upsert)
            .bind(row.subject.clone())
            .bind(row.id_number.clone())
            .bind(row.id_tag.clone())
            .bind(row.phone.clone())
            .bind(row.phone_tag.clone());
        self.run(query).await.map(drop)
    }

    /// Deletes an account and all that is kept of its owner. `false` when there was no such account.
    pub async fn erase(&mut self, subject: &str) -> Result<bool, StoreError> {
        // Every table that holds something of a person, and how it names them; a table that is new comes into this list.
        for delete in [
            "DELETE FROM subject_role WHERE subject = $1",
            "DELETE FROM personal WHERE subject = $1",
            "DELETE FROM consent WHERE subject = $1",
            "DELETE FROM factor WHERE account_id = $1",
            "DELETE FROM recovery_code WHERE account_id = $1",
            "DELETE FROM linked_identity WHERE subject = $1",
        ] {
            self.run(sqlx::query(delete).bind(subject.to_owned())).await?;
        }
        Ok(self.run(sqlx::query("DELETE FROM account WHERE id = $1").bind(subject.to_owned())).await? == 1)
    }
}

fn personal(row: &AnyRow) -> Result<PersonalRow, StoreError> {
    let maybe = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
    Ok(PersonalRow {
        subject: row.try_get("subject").map_err(failed)?,
        id_number: maybe("id_number")?,
        id_tag: maybe("id_tag")?,
        phone: maybe("phone")?,
        phone_tag: maybe("phone_tag")?,
    })
}
