//! The rooms behind the listeners, in the order in which they need one another.

use std::sync::Arc;

use super::StartError;
use super::reload::report;
use crate::config::{AddressPolicy, Config};
use crate::domain::Timestamp;
use crate::gateway::{GatewayParts, Origins};
use crate::identity::{Accounts, Assertions, Factors, Keys, Messenger, People, Realms, RealmsParts, Tries, Vault};
use crate::issuer::{Issuer, IssuerParts};
use crate::metrics::Metrics;
use crate::portal::{Portal, PortalParts};
use crate::registry::{Register, RegisterParts, Rules};
use crate::session::{SealKey, Sessions};
use crate::store::{Durable, RegisterNotices};
use crate::usage::Usage;

/// The rooms that the listeners share.
pub(super) struct Rooms {
    pub(super) durable: Arc<Durable>,
    pub(super) register: Arc<Register>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) people: Arc<People>,
    pub(super) vault: Arc<Vault>,
    pub(super) assertions: Arc<Assertions>,
    pub(super) usage: Arc<Usage>,
    pub(super) keys: Arc<Keys>,
    pub(super) realms: Arc<Realms>,
    pub(super) issuer: Arc<Issuer>,
    pub(super) portal: Arc<Portal>,
    pub(super) waiting_key: [u8; 32],
}

impl Rooms {
    pub(super) async fn build(config: &Config, metrics: Arc<Metrics>, now: Timestamp) -> Result<Self, StartError> {
        let durable = Arc::new(Durable::of(&config.stores.register).await?);
        let parts = RegisterParts {
            durable: durable.clone(),
            rules: Rules::of(config)?,
            routes_directory: config.routes_directory.clone(),
            sync_at_start: config.register.sync_at_start,
            data_directory: config.data_directory.clone(),
            notices: RegisterNotices::of(&config.stores.sessions)?,
            node: config.register.node.clone(),
            metrics: metrics.clone(),
        };
        let (register, synced) = Register::open(parts, now).await?;
        if let Some(synced) = synced {
            report(&synced, &metrics);
        }
        let seal = SealKey::load_or_create(&config.session.key_file)?;
        let (form_key, waiting_key) = (seal.derive(b"portal forms"), seal.derive(b"waiting rooms"));
        let transaction_key = seal.derive(b"provider sign-ins");
        let (issuer_seal, token_key) = (SealKey::new(seal.derive(b"issuer"))?, seal.derive(b"issuer tokens"));
        let sessions =
            Sessions::open(config.session.clone(), config.stores.sessions.clone(), seal, metrics.clone()).await?;
        let usage = Arc::new(Usage::new(durable.clone()));
        let breached = config.sign_in.breached_passwords.clone();
        let accounts = Arc::new(Accounts::new(durable.clone(), &config.identity, breached, metrics.clone())?);
        let vault = Arc::new(Vault::load_or_create(&config.identity.vault_directory)?);
        let people = Arc::new(People::new(durable.clone(), vault.clone()));
        let messenger = Messenger::of(&config.sign_in.messenger)?;
        let factors = Arc::new(Factors::new(durable.clone(), vault.clone(), messenger, &config.public.origin)?);
        let tries = Tries::new(sessions.store().clone(), config.sign_in.clone(), metrics.clone());
        let keys = Arc::new(Keys::load_or_create(&config.identity, Timestamp::now(), metrics.clone())?);
        let assertions = Arc::new(Assertions::new(&config.identity, keys.clone(), metrics.clone())?);
        let realms = Realms::open(RealmsParts {
            config: config.providers.clone(),
            origin: config.public.origin.clone(),
            durable: durable.clone(),
            short_lived: sessions.store().clone(),
            vault: vault.clone(),
            transaction_key,
            metrics: metrics.clone(),
        });
        let realms = realms.await?;
        let issuer = Issuer::new(IssuerParts {
            sessions: sessions.clone(),
            keys: keys.clone(),
            assertions: assertions.clone(),
            people: people.clone(),
            authority: config.identity.authority_division,
            routes: register.routes().clone(),
            seal: issuer_seal,
            token_key,
            origin: config.public.origin.clone(),
            config: config.issuer.clone(),
            addresses: Arc::new(AddressPolicy::of(config)),
            metrics: metrics.clone(),
        });
        let issuer = Arc::new(issuer.map_err(|cause| StartError::system("the OpenID Provider", cause))?);
        let portal = Arc::new(Portal::new(PortalParts {
            sessions: sessions.clone(),
            accounts: accounts.clone(),
            people: people.clone(),
            routes: register.routes().clone(),
            factors,
            tries,
            keys: keys.clone(),
            realms: realms.clone(),
            issuer: issuer.clone(),
            divisions: register.rules().divisions.clone(),
            items: register.rules().items.clone(),
            form_key,
            session: config.session.clone(),
            metrics,
        }));
        Ok(Self {
            durable,
            register,
            sessions,
            accounts,
            people,
            vault,
            assertions,
            usage,
            keys,
            realms,
            issuer,
            portal,
            waiting_key,
        })
    }

    pub(super) fn gateway_parts(&self, config: &Config, metrics: Arc<Metrics>) -> GatewayParts {
        GatewayParts {
            routes: self.register.routes().clone(),
            sessions: self.sessions.clone(),
            assertions: self.assertions.clone(),
            people: self.people.clone(),
            authority: config.identity.authority_division,
            usage: self.usage.clone(),
            portal: self.portal.clone(),
            metrics,
            limits: config.limits.clone(),
            rates: config.rates.clone(),
            zone: config.public.zone,
            trusted_proxies: config.public.trusted_proxies.clone(),
            addresses: Arc::new(AddressPolicy::of(config)),
            log: config.log.clone(),
            https: config.public.origin.starts_with("https:"),
            waiting_key: self.waiting_key,
            origins: Origins::of(&config.public),
        }
    }
}
