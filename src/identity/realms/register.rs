//! Realms that come and go while the node runs: rows of the durable store, written by the nation's operators, read by every
//! node once a second. A document that cannot be used leaves the realm as it was and is named in the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Realms;
use super::error::RealmError;
use super::provider::Provider;
use crate::config::{ProvidersConfig, RealmConfig, realm};
use crate::domain::{PrincipalId, RealmId, Timestamp};
use crate::identity::people::By;
use crate::store::{Durable, RealmRow, RecordRow, Writing};
use crate::written::{Document, Mistake, Mistakes, Severity};

/// Between two looks at the register.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A country has fewer identity platforms, and people choose from a list.
const REALMS_MAX: usize = 100;

/// Where realms come from.
#[derive(Debug)]
pub(super) struct RegisterOfRealms {
    config: ProvidersConfig,
    durable: Arc<Durable>,
    read: Mutex<Read>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Read {
    revision: Option<u64>,
    /// Realms of the register as they are in use, with the document that each was read from.
    used: BTreeMap<RealmId, (String, Arc<Provider>)>,
}

/// A realm as the management API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmView {
    /// Its id.
    pub id: RealmId,
    /// Chinese name.
    pub name: String,
    /// English name.
    pub name_en: String,
    /// Issuer.
    pub issuer: String,
    /// Whether it stands in this node's settings, where the API changes nothing.
    pub in_settings: bool,
    /// The document, as JSON; of the register's only.
    pub document: Option<String>,
    /// Number of the change that made it so; 0 in the settings.
    pub revision: u64,
    /// Who changed it, and when.
    pub changed: Option<(PrincipalId, Timestamp)>,
}

/// A document that can be a realm.
#[derive(Clone, Debug)]
pub struct RealmDraft {
    config: RealmConfig,
    json: String,
}

impl RealmDraft {
    /// The realm as it would be.
    pub fn view(&self, revision: u64) -> RealmView {
        view(&self.config, Some(self.json.clone()), revision, None)
    }
}

impl RegisterOfRealms {
    pub(super) fn new(config: ProvidersConfig, durable: Arc<Durable>) -> Self {
        Self { config, durable, read: Mutex::default() }
    }

    /// The realms of the settings. `Err`: which of them cannot work, and why.
    pub(super) fn of_settings(&self) -> Result<Vec<Arc<Provider>>, (RealmId, String)> {
        let made = |config: &RealmConfig| {
            let provider = Provider::new(config.clone(), self.config.place.loopback);
            provider.map(Arc::new).map_err(|cause| (config.id.clone(), cause))
        };
        self.config.realms.iter().map(made).collect()
    }

    fn in_settings(&self, id: &RealmId) -> bool {
        self.config.realms.iter().any(|realm| realm.id == *id)
    }

    fn draft(&self, document: &Document) -> Result<RealmDraft, Vec<Mistake>> {
        let mistakes = Mistakes::default();
        let config = realm(document.fields(&mistakes), &self.config.place);
        let mistakes = mistakes.into_sorted();
        let sound = mistakes.iter().all(|mistake| mistake.severity != Severity::Error);
        match config.filter(|_| sound) {
            Some(config) => Ok(RealmDraft { config, json: document.to_json().to_string() }),
            None => Err(mistakes),
        }
    }

    /// The provider of a row: the one in use where its document is the same, so that what it knows is kept.
    fn provider(&self, id: &RealmId, json: &str, used: Option<&(String, Arc<Provider>)>) -> Option<Arc<Provider>> {
        if let Some((_, provider)) = used.filter(|(before, _)| before == json) {
            return Some(provider.clone());
        }
        let mistake = |mistakes: Vec<Mistake>| mistakes.first().map_or_else(String::new, ToString::to_string);
        let made = Document::json("realm", json.as_bytes())
            .map_err(|mistake| mistake.to_string())
            .and_then(|document| self.draft(&document).map_err(mistake))
            .and_then(|draft| Provider::new(draft.config, self.config.place.loopback));
        match made {
            Ok(provider) => Some(Arc::new(provider)),
            Err(why) => {
                tracing::error!(realm = %id, why, "a realm of the register cannot be used; it stays as it was");
                used.map(|(_, provider)| provider.clone())
            }
        }
    }
}

impl Realms {
    /// Looks at the register once a second, until `shutdown` says `true` or its sender is gone.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        let look = async {
            let mut ticks = interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                self.look().await;
            }
        };
        tokio::select! {
            () = look => {}
            _ = shutdown.wait_for(|stop| *stop) => {}
        }
    }

    /// Takes over what changed in the register. While it does not answer, the realms stay as they are.
    pub async fn look(&self) {
        let register = &self.register;
        let Ok(revision) = register.durable.realms_revision().await else { return };
        if register.read.lock().revision == Some(revision) {
            return;
        }
        let Ok(rows) = register.durable.realms().await else { return };
        // What was read may be newer than the number; the next look finds out.
        let mut read = register.read.lock();
        let mut used = BTreeMap::new();
        for RealmRow { id, document, .. } in rows {
            let Some(json) = document.filter(|_| !register.in_settings(&id)) else { continue };
            if let Some(provider) = register.provider(&id, &json, read.used.get(&id)) {
                used.insert(id, (json, provider));
            }
        }
        *read = Read { revision: Some(revision), used };
        let before = self.set.load();
        let own = before.iter().filter(|provider| register.in_settings(&provider.config.id)).cloned();
        let set = own.chain(read.used.values().map(|(_, provider)| provider.clone())).collect();
        self.set.store(Arc::new(set));
        if revision > 0 {
            tracing::info!(revision, "provider realms taken over from the register");
        }
    }

    /// All realms: those of the settings first, then those of the register by id.
    pub async fn list(&self) -> Result<Vec<RealmView>, RealmError> {
        let rows = self.register.durable.realms().await?;
        let own = self
            .register
            .config
            .realms
            .iter()
            .map(|config| RealmView { in_settings: true, ..view(config, None, 0, None) });
        let registered = rows.into_iter().filter(|row| !self.register.in_settings(&row.id));
        Ok(own.chain(registered.filter_map(|row| self.view_of(row))).collect())
    }

    /// One realm.
    pub async fn get(&self, id: &RealmId) -> Result<RealmView, RealmError> {
        let found = self.list().await?.into_iter().find(|view| view.id == *id);
        found.ok_or_else(|| RealmError::NotFound(id.clone()))
    }

    fn view_of(&self, row: RealmRow) -> Option<RealmView> {
        let RealmRow { document, revision, changed_by, changed_at, .. } = row;
        let json = document?;
        let document = Document::json("realm", json.as_bytes()).ok()?;
        let config = self.register.draft(&document).ok()?.config;
        Some(view(&config, Some(json), revision, Some((changed_by, changed_at))))
    }

    /// Reads a document. `Err`: every mistake in it.
    pub fn draft(&self, id: &RealmId, document: &Document) -> Result<RealmDraft, Vec<Mistake>> {
        let draft = self.register.draft(document)?;
        if draft.config.id != *id {
            let mistakes = Mistakes::default();
            let fields = document.fields(&mistakes);
            fields.mistake(&fields.spot("id"), format!("{id}, as in the address"), None);
            return Err(mistakes.into_sorted());
        }
        Ok(draft)
    }

    /// Writes a realm, or takes it away (`None`), in the transaction of whoever decided it. `expected` is the revision it must
    /// have; `Some(0)`: it must not be there. After the commit, [`Realms::look`] takes it over.
    pub async fn write_in(
        &self,
        writing: &mut Writing,
        id: &RealmId,
        draft: Option<&RealmDraft>,
        expected: Option<u64>,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<(), RealmError> {
        if self.register.in_settings(id) {
            return Err(RealmError::InSettings(id.clone()));
        }
        let rows = writing.realms().await?;
        let row = rows.iter().find(|row| row.id == *id);
        let current = row.filter(|row| row.document.is_some()).map(|row| row.revision);
        if draft.is_none() && current.is_none() {
            return Err(RealmError::NotFound(id.clone()));
        }
        if expected.is_some_and(|expected| expected != current.unwrap_or(0)) {
            return Err(RealmError::Changed { current });
        }
        let there = rows.iter().filter(|row| row.document.is_some()).count();
        if draft.is_some() && current.is_none() && there >= REALMS_MAX {
            return Err(RealmError::TooMany);
        }
        let (was, json) = (row.map_or(0, |row| row.revision), draft.map(|draft| draft.json.as_str()));
        if !writing.write_realm(id, json, was, by.actor, now).await? {
            return Err(RealmError::Changed { current: None });
        }
        let action = if draft.is_some() { "put-realm" } else { "delete-realm" };
        let By { actor, credential, role, request_id } = by;
        let (object, before, after, result) = (id.as_str(), None, None, "ok");
        let record = RecordRow { at: now, actor, credential, role, action, object, before, after, result, request_id };
        Ok(writing.record(&record).await?)
    }

    /// Tries to write a realm, and changes nothing. `Err` as [`Realms::write_in`].
    pub async fn try_write(
        &self,
        id: &RealmId,
        draft: Option<&RealmDraft>,
        expected: Option<u64>,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<(), RealmError> {
        let mut writing = self.register.durable.writing().await?;
        self.write_in(&mut writing, id, draft, expected, by, now).await
    }

    /// Takes a realm away.
    pub async fn remove(
        &self,
        id: &RealmId,
        expected: Option<u64>,
        by: By<'_>,
        now: Timestamp,
    ) -> Result<(), RealmError> {
        let mut writing = self.register.durable.writing().await?;
        self.write_in(&mut writing, id, None, expected, by, now).await?;
        writing.commit().await?;
        self.look().await;
        Ok(())
    }
}

fn view(
    config: &RealmConfig,
    document: Option<String>,
    revision: u64,
    changed: Option<(PrincipalId, Timestamp)>,
) -> RealmView {
    RealmView {
        id: config.id.clone(),
        name: config.name.clone(),
        name_en: config.name_en.clone(),
        issuer: config.issuer.clone(),
        in_settings: false,
        document,
        revision,
        changed,
    }
}
