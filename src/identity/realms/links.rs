//! Whose identity at a provider is whose here. The key is issuer and subject, never an e-mail address or a name: those can be
//! had by somebody else tomorrow. The first sign-in makes a subject of its own; an account of ours gets an identity only when
//! its owner, signed in, proves that identity too.

use std::sync::Arc;

use uuid::Uuid;

use super::super::vault::Vault;
use super::error::ProviderError;
use crate::config::RealmConfig;
use crate::domain::{SubjectKind, Timestamp};
use crate::store::{AccountState, Durable, LinkRow, StoreError};

/// What the vault's names are hashed for.
const PURPOSE: &str = "provider subject";

/// The table of identities.
#[derive(Debug)]
pub(super) struct Links {
    durable: Arc<Durable>,
    vault: Arc<Vault>,
}

/// An identity in a person's own list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// By which it can be taken away; tells nothing of who that is at the provider.
    pub identity: String,
    /// The realm by which it came.
    pub realm: String,
    /// When.
    pub linked_at: Timestamp,
    /// When it was last used.
    pub seen_at: Timestamp,
}

/// Who an identity is here.
pub(super) struct Found {
    pub(super) subject: String,
    pub(super) kind: SubjectKind,
    /// The account's own name, when it belongs to one.
    pub(super) name: Option<String>,
}

impl Links {
    pub(super) fn new(durable: Arc<Durable>, vault: Arc<Vault>) -> Self {
        Self { durable, vault }
    }

    /// Issuer and subject hold no line end, so that no two pairs read alike.
    fn identity(&self, issuer: &str, sub: &str) -> String {
        self.vault.tag(PURPOSE, &format!("{issuer}\n{sub}"))
    }

    /// The subject of an identity; a new one for an identity that never came before. `Disabled`: its account may not sign in.
    pub(super) async fn subject(
        &self,
        config: &RealmConfig,
        sub: &str,
        now: Timestamp,
    ) -> Result<Found, ProviderError> {
        let identity = self.identity(&config.issuer, sub);
        let subject = match self.durable.linked_subject(&identity, now).await? {
            Some(subject) => subject,
            None => self.first(config, identity, now).await?,
        };
        let account = match subject.parse::<Uuid>() {
            Ok(id) => self.durable.account_by_id(id).await?,
            Err(_) => None,
        };
        match account {
            Some(account) if account.state != AccountState::Active => Err(ProviderError::Disabled),
            Some(account) => Ok(Found { subject, kind: account.kind, name: Some(account.name) }),
            None => Ok(Found { subject, kind: config.subject, name: None }),
        }
    }

    /// Makes a subject. Of two sign-ins at the same moment one makes it, and both are it.
    async fn first(&self, config: &RealmConfig, identity: String, now: Timestamp) -> Result<String, ProviderError> {
        let subject = Uuid::now_v7().to_string();
        let realm = config.id.to_string();
        let row = LinkRow { identity, realm, subject, linked_at: now, seen_at: now };
        if self.durable.link(&row).await? {
            return Ok(row.subject);
        }
        let other = self.durable.linked_subject(&row.identity, now).await?;
        other.ok_or(ProviderError::Store(StoreError::Corrupt { what: "a linked identity" }))
    }

    /// Links an identity to an account whose owner has proven both. `LinkedElsewhere`: it belongs to another subject.
    pub(super) async fn link(
        &self,
        config: &RealmConfig,
        sub: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let identity = self.identity(&config.issuer, sub);
        let row = LinkRow {
            identity,
            realm: config.id.to_string(),
            subject: subject.to_owned(),
            linked_at: now,
            seen_at: now,
        };
        if self.durable.link(&row).await? {
            return Ok(());
        }
        match self.durable.linked_subject(&row.identity, now).await? {
            Some(holder) if holder == subject => Ok(()),
            _ => Err(ProviderError::LinkedElsewhere),
        }
    }

    /// The identities of a subject, and whether it could do without one: it has an account of ours.
    pub(super) async fn of(&self, subject: &str) -> Result<(Vec<Linked>, bool), StoreError> {
        let linked = |row: LinkRow| Linked {
            identity: row.identity,
            realm: row.realm,
            linked_at: row.linked_at,
            seen_at: row.seen_at,
        };
        let all = self.durable.links_of(subject).await?.into_iter().map(linked).collect();
        Ok((all, self.has_account(subject).await?))
    }

    /// Takes an identity from an account. One that has no account here keeps its only identity: without it nobody could ever
    /// be that subject again.
    pub(super) async fn unlink(&self, subject: &str, identity: &str) -> Result<bool, StoreError> {
        Ok(self.has_account(subject).await? && self.durable.unlink(subject, identity).await?)
    }

    async fn has_account(&self, subject: &str) -> Result<bool, StoreError> {
        match subject.parse::<Uuid>() {
            Ok(id) => Ok(self.durable.account_by_id(id).await?.is_some()),
            Err(_) => Ok(false),
        }
    }
}
