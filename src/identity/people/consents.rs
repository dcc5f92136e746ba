//! Consents: what of a person may go to a platform outside the authority that runs the gateway.

use super::{By, People};
use crate::domain::{PlatformId, Timestamp};
use crate::identity::error::IdentityError;
use crate::store::{ConsentRow, StoreError};

/// What a person said of a platform last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// To whom.
    pub platform: PlatformId,
    /// Which attributes.
    pub attributes: Vec<String>,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it was withdrawn, if it was.
    pub withdrawn_at: Option<Timestamp>,
}

impl From<ConsentRow> for Consent {
    fn from(row: ConsentRow) -> Self {
        let ConsentRow { platform, attributes, given_at, withdrawn_at, .. } = row;
        Self { platform, attributes, given_at, withdrawn_at }
    }
}

impl People {
    /// Whether all of `attributes` may go to the platform. A consent that was given is seen at once on the node where it was
    /// given and within a second on others, one that was withdrawn within [`People::BOUND`].
    pub async fn consents_to(
        &self,
        subject: &str,
        platform: &PlatformId,
        attributes: &[Box<str>],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ask = async {
            let consent = self.durable.consent(subject, platform).await?;
            let covers = |consent: ConsentRow| {
                let named = |attribute: &str| consent.attributes.iter().any(|given| given == attribute);
                consent.withdrawn_at.is_none() && attributes.iter().all(|attribute| named(attribute))
            };
            Ok(consent.is_some_and(covers))
        };
        self.consents.ask(key(subject, platform, attributes), now, ask).await
    }

    /// Keeps a consent.
    pub async fn give_consent(
        &self,
        subject: &str,
        platform: &PlatformId,
        attributes: &[Box<str>],
        by: By<'_>,
        now: Timestamp,
    ) -> Result<(), IdentityError> {
        let row = ConsentRow {
            subject: subject.to_owned(),
            platform: platform.clone(),
            attributes: attributes.iter().map(|attribute| attribute.to_string()).collect(),
            given_at: now,
            withdrawn_at: None,
        };
        let mut writing = self.durable.writing().await?;
        writing.give_consent(&row).await?;
        let about = format!("{platform} {}", row.attributes.join(","));
        self.note(&mut writing, by, "give-consent", subject, &about, now).await?;
        writing.commit().await?;
        self.consents.forget(&key(subject, platform, attributes));
        Ok(())
    }

    /// Withdraws a consent. `false` when there was none.
    pub async fn withdraw_consent(
        &self,
        subject: &str,
        platform: &PlatformId,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<bool, IdentityError> {
        let given = self.durable.consent(subject, platform).await?;
        let mut writing = self.durable.writing().await?;
        let withdrawn = writing.withdraw_consent(subject, platform, now).await?;
        if withdrawn {
            self.note(&mut writing, by, "withdraw-consent", subject, platform.as_str(), now).await?;
            writing.commit().await?;
        }
        if let Some(given) = given {
            self.consents.forget(&key(subject, platform, &given.attributes));
        }
        Ok(withdrawn)
    }

    /// All that a person said.
    pub async fn consents_of(&self, subject: &str) -> Result<Vec<Consent>, IdentityError> {
        Ok(self.durable.consents_of(subject).await?.into_iter().map(Consent::from).collect())
    }
}

/// With the attributes in it, a filing that asks for more is asked about anew.
fn key(subject: &str, platform: &PlatformId, attributes: &[impl AsRef<str>]) -> String {
    let attributes: Vec<&str> = attributes.iter().map(AsRef::as_ref).collect();
    [subject, platform.as_str(), &attributes.join(" ")].join("\0")
}
