//! What filings are read by on a node, owned: data, portal, addresses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use super::addresses::AddressPolicy;
use super::error::RegistryError;
use super::filing::{Filing, Form, Known};
use super::load::data;
use super::own::own_platform;
use crate::config::Config;
use crate::domain::PlatformDomain;
use crate::routing::{Compiled, Divisions, Items, Platform, PlatformState, RouteTable};
use crate::store::InForceRow;
use crate::written::{Document, Mistake, Mistakes};

/// What filings are read by, and compiled with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// All divisions.
    pub divisions: Arc<Divisions>,
    /// All items.
    pub items: Arc<Items>,
    portal_hosts: Vec<String>,
    tls_directory: PathBuf,
    platform_domain: Option<PlatformDomain>,
    addresses: AddressPolicy,
}

/// A filing that was read.
pub(super) struct Read {
    pub(super) filing: Filing,
    pub(super) warnings: Vec<Mistake>,
    /// The document as it is kept.
    pub(super) document: String,
}

impl Rules {
    /// The rules of a node. `Err`: the data files of its routes directory cannot be read.
    pub fn of(config: &Config) -> Result<Self, RegistryError> {
        let public = &config.public;
        let own = public.listen.iter().chain(&public.redirect_listen).copied();
        let own = own.chain([config.management.listen, config.metrics_listen]).collect();
        let addresses = AddressPolicy::new(config.register.upstreams_allowed.clone(), own);
        Self::read(&config.routes_directory, public.hosts.clone(), public.platform_domain.clone(), addresses)
    }

    /// The rules of a routes directory. `portal_hosts`: lower case, without port. `Err`: its data files cannot be read.
    pub fn read(
        directory: &Path,
        portal_hosts: Vec<String>,
        platform_domain: Option<PlatformDomain>,
        addresses: AddressPolicy,
    ) -> Result<Self, RegistryError> {
        let (divisions, items) = data(directory)?;
        let tls_directory = directory.join("tls");
        Ok(Self { divisions, items, portal_hosts, tls_directory, platform_domain, addresses })
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known {
            divisions: &self.divisions,
            items: &self.items,
            portal_hosts: &self.portal_hosts,
            tls_directory: &self.tls_directory,
            platform_domain: self.platform_domain.as_ref(),
            addresses: &self.addresses,
        }
    }

    /// Reads a document of the register. `Err`: every mistake, and the warnings.
    pub(super) fn filing(&self, name: &str, document: &[u8], form: Form) -> Result<Read, Vec<Mistake>> {
        let document = Document::json(name, document).map_err(|mistake| vec![mistake])?;
        let mistakes = Mistakes::default();
        match Filing::read(&document, &mistakes, &self.known(), form) {
            Some(filing) => Ok(Read { filing, warnings: mistakes.into_sorted(), document: kept(&document) }),
            None => Err(mistakes.into_sorted()),
        }
    }

    /// A filing in force as the table serves it. `Err`: the first reason why it cannot be.
    pub(super) fn platform(&self, row: &InForceRow, today: Date) -> Result<(Platform, Option<Date>), String> {
        let read = self.filing(row.platform.as_str(), row.document.as_bytes(), Form::Whole);
        let filing = read
            .map(|read| read.filing)
            .map_err(|mistakes| mistakes.first().map_or_else(|| "it does not read".to_owned(), ToString::to_string))?;
        let expired = filing.valid_until.is_some_and(|last| last < today);
        let state = match row.state.as_str() {
            "retired" => PlatformState::Retired,
            "suspended" => PlatformState::Suspended { notice: row.notice.clone().unwrap_or_default().into() },
            _ if expired => PlatformState::Expired,
            _ => PlatformState::Active,
        };
        Ok((Platform { state, ..filing.platform }, filing.valid_until))
    }

    /// The table of these platforms and our own pages.
    pub(super) fn compile(&self, platforms: Vec<Platform>) -> Compiled {
        let platforms = own_platform().into_iter().chain(platforms).collect();
        RouteTable::compile(Arc::clone(&self.divisions), Arc::clone(&self.items), &self.portal_hosts, platforms)
    }
}

/// A document as the register keeps it: JSON with its keys in order, without what is a matter of its way through the register.
pub(super) fn kept(document: &Document) -> String {
    let mut json = document.to_json();
    if let Some(platform) = json.get_mut("platform").and_then(serde_json::Value::as_object_mut) {
        platform.remove("state");
        platform.remove("notice");
    }
    json.to_string()
}
