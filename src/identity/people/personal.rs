//! Identity number and phone, sealed and found again.

use super::{By, People};
use crate::domain::{IdNumber, Personal, Phone, Timestamp};
use crate::identity::error::IdentityError;
use crate::identity::factors;
use crate::identity::vault::Vault;
use crate::store::{PersonalRow, StoreError};

/// What values are sealed and hashed for; part of every sealed value, so never to be changed.
const ID_NUMBER: &str = "id_number";
const PHONE: &str = "phone";
/// Rows sealed anew at a time.
const BATCH: u16 = 500;

impl People {
    /// What is known of a person. `SealBroken`: a value does not open, which is no reason to say that there is none.
    pub async fn personal(&self, subject: &str) -> Result<Personal, IdentityError> {
        let Some(row) = self.durable.personal(subject).await? else { return Ok(Personal::default()) };
        let opened = |purpose, sealed: &Option<String>| {
            let open = |sealed: &String| self.vault.open(purpose, subject, sealed).ok_or(IdentityError::SealBroken);
            sealed.as_ref().map(open).transpose()
        };
        let (id_number, phone) = (opened(ID_NUMBER, &row.id_number)?, opened(PHONE, &row.phone)?);
        let broken = |_| IdentityError::SealBroken;
        Ok(Personal {
            id_number: id_number.map(|text| text.parse::<IdNumber>().map_err(broken)).transpose()?,
            phone: phone.map(|text| text.parse::<Phone>().map_err(|_| IdentityError::SealBroken)).transpose()?,
        })
    }

    /// Keeps what is known of a person, in the place of what was. `IdNumberTaken` when somebody else has the number.
    pub async fn set_personal(
        &self,
        subject: &str,
        personal: &Personal,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let row = sealed(&self.vault, subject, personal)?;
        let mut writing = self.durable.writing().await?;
        match writing.put_personal(&row).await {
            Ok(()) => {}
            Err(StoreError::Taken { .. }) => return Err(IdentityError::IdNumberTaken),
            Err(error) => return Err(error.into()),
        }
        self.note(&mut writing, by, "set-personal", subject, "", now).await?;
        Ok(writing.commit().await?)
    }

    /// Whose identity number this is.
    pub async fn subject_of(&self, number: &IdNumber) -> Result<Option<String>, IdentityError> {
        let row = self.durable.personal_by_id_tag(&self.vault.tag(ID_NUMBER, number.reveal())).await?;
        Ok(row.map(|row| row.subject))
    }

    /// Seals everything anew that another key than the newest sealed; returns how many rows that were. When it is done no row
    /// needs an older key. A row that does not open stops it, and is left as it is.
    pub async fn reseal(&self) -> Result<u64, IdentityError> {
        let (mut after, mut done) = (String::new(), 0);
        loop {
            let rows = self.durable.personal_after(&after, BATCH).await?;
            let Some(last) = rows.last() else { return Ok(done + factors::reseal(&self.durable, &self.vault).await?) };
            after = last.subject.clone();
            for row in rows.iter().filter(|row| self.is_old(row)) {
                done += u64::from(self.reseal_row(row).await?);
            }
        }
    }

    /// `false`: somebody changed the row meanwhile, with the newest key.
    async fn reseal_row(&self, row: &PersonalRow) -> Result<bool, IdentityError> {
        let again = |purpose, sealed: &Option<String>| {
            let again = |sealed: &String| {
                let text = self.vault.open(purpose, &row.subject, sealed).ok_or(IdentityError::SealBroken)?;
                self.vault.seal(purpose, &row.subject, &text)
            };
            sealed.as_ref().map(again).transpose()
        };
        let new = PersonalRow {
            id_number: again(ID_NUMBER, &row.id_number)?,
            phone: again(PHONE, &row.phone)?,
            ..row.clone()
        };
        Ok(self.durable.reseal_personal(row, &new).await?)
    }

    fn is_old(&self, row: &PersonalRow) -> bool {
        [&row.id_number, &row.phone].into_iter().flatten().any(|sealed| self.vault.is_old(sealed))
    }
}

fn sealed(vault: &Vault, subject: &str, personal: &Personal) -> Result<PersonalRow, IdentityError> {
    let seal = |purpose, text: Option<&str>| text.map(|text| vault.seal(purpose, subject, text)).transpose();
    let (number, phone) =
        (personal.id_number.as_ref().map(IdNumber::reveal), personal.phone.as_ref().map(Phone::reveal));
    Ok(PersonalRow {
        subject: subject.to_owned(),
        id_number: seal(ID_NUMBER, number)?,
        id_tag: number.map(|text| vault.tag(ID_NUMBER, text)),
        phone: seal(PHONE, phone)?,
        phone_tag: phone.map(|text| vault.tag(PHONE, text)),
    })
}
