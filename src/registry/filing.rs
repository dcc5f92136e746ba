//! A filing as read: who a platform is, who approved it, and what of it is to be served.

use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;

use super::own::OWN_ID;
use super::words::{Address, Attribute, FilingState, Host, Line};
use super::{canary, client, health, route, trust};
use crate::config::AddressPolicy;
use crate::domain::{DivisionCode, PlatformDomain, PlatformId, Season, Uscc, Zone};
use crate::routing::{
    Action, Client, Division, DivisionKind, Divisions, Items, Platform, PlatformState, Route, Trust, Upstream,
};
use crate::written::{Document, Fields, Mistakes};

/// What filings are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// All divisions.
    pub divisions: &'a Divisions,
    /// All items.
    pub items: &'a Items,
    /// Hosts of the portal: lower case, without port.
    pub portal_hosts: &'a [String],
    /// Where each platform has a folder of its name with certificates and keys.
    pub tls_directory: &'a Path,
    /// The domain under which platforms have origins of their own, if there is one.
    pub platform_domain: Option<&'a PlatformDomain>,
    /// Where instances may be.
    pub addresses: &'a AddressPolicy,
}

/// What a filing is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A file: it names its state, and what its state asks for must be there.
    File,
    /// A draft of the register: what an approval asks for may still be missing; a state in it counts for nothing.
    Draft,
    /// A document of the register that is to be in force: everything must be there.
    Whole,
}

/// Routes of one filing: a nation's items in all its divisions are one route, so whoever needs more files by mistake.
const ROUTES_MAX: usize = 10_000;

/// A platform's request to be served (备案), DESIGN section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// The platform as it would be served; its state is decided by [`Filing::in_force`].
    pub platform: Platform,
    /// Who owns it.
    pub owner: Uscc,
    /// What it does.
    pub function: Box<str>,
    /// Whom it serves.
    pub scope: Box<str>,
    /// Who approved that it was built.
    pub approving_body: Option<Box<str>>,
    /// When that was.
    pub approved_on: Option<Date>,
    /// Where its money comes from.
    pub funding: Box<str>,
    /// Number of the filing.
    pub filing_number: Option<Box<str>>,
    /// Last day on which it is served.
    pub valid_until: Option<Date>,
    /// When in a year it is meant to be used; `None`: all the year.
    pub season: Option<Season>,
    /// Whom to ask.
    pub contact: Box<str>,
    /// Where it stands on its way.
    pub state: FilingState,
    /// What people are told while it is suspended; may be empty.
    pub notice: Box<str>,
}

impl Filing {
    /// Reads a filing. Every mistake and warning is noted in `mistakes`; `None` when one of them is an error.
    pub fn read(document: &Document, mistakes: &Mistakes, known: &Known<'_>, form: Form) -> Option<Self> {
        let root = document.fields(mistakes);
        if !root.has("platform") {
            root.mistake(
                &root.spot("platform"),
                "a table [platform]",
                Some("begin the filing with [platform]".to_owned()),
            );
        }
        // Each list is read to its end first: collecting into an `Option` would stop at the first mistake.
        let fields = root.table("platform");
        let id = fields
            .as_ref()
            .and_then(|fields| fields.required::<PlatformId>("id", "the platform's name in addresses and tokens"));
        if let (Some(own), Some(fields)) = (id.as_ref().filter(|id| id.as_str() == OWN_ID), &fields) {
            let hint = format!("`{own}` is the gateway itself");
            fields.mistake(&fields.spot("id"), "a name of the platform's own", Some(hint));
        }
        let folder = id.as_ref().map(|id| known.tls_directory.join(id.as_str()));
        let shared = fields.as_ref().and_then(|fields| trust::read(fields, folder.as_deref()));
        let upstreams: Vec<Option<Upstream>> = root
            .tables("upstream")
            .into_iter()
            .map(|fields| upstream(fields, folder.as_deref(), shared.as_ref(), known.addresses))
            .collect();
        let trusted = fields.as_ref().is_some_and(|fields| fields.flag("trusted", false));
        let division = fields.as_ref().and_then(|fields| division(fields, known));
        let asked = route::Asked { known, division, trusted };
        let mut tables = root.tables("route");
        if tables.len() > ROUTES_MAX {
            let hint = format!("there are {}; list items and divisions in fewer routes", tables.len());
            root.mistake(&root.spot("route"), format!("at most {ROUTES_MAX} routes"), Some(hint));
            tables.clear();
        }
        let routes: Vec<Option<Route>> = tables.into_iter().map(|fields| route::read(fields, &asked)).collect();
        if routes.is_empty() && !root.has("client") && mistakes.errors() == 0 {
            root.warning(
                &root.spot("route"),
                "a route to serve",
                Some("add [[route]] with `items` or `path`".to_owned()),
            );
        }
        if routes.iter().flatten().any(|route| route.action == Action::Proxy) && !root.has("upstream") {
            let hint = "add [[upstream]] with `address = \"host:port\"`".to_owned();
            root.mistake(&root.spot("upstream"), "an instance to forward to", Some(hint));
        }
        let clients = clients(&root, id.as_ref(), known);
        let filing = fields.and_then(|fields| {
            platform(
                fields,
                (known, form),
                id,
                division,
                trusted,
                upstreams.into_iter().collect(),
                routes.into_iter().collect(),
            )
        });
        root.finish();
        let filing = filing.zip(clients);
        let filing =
            filing.map(|(filing, clients)| Self { platform: Platform { clients, ..filing.platform }, ..filing });
        filing.filter(|_| mistakes.errors() == 0)
    }

    /// The platform to serve `today`, or to answer for while it is suspended, expired or retired; `None` for drafts
    /// and what waits for review.
    pub fn in_force(self, today: Date) -> Option<Platform> {
        let expired = self.valid_until.is_some_and(|last| last < today);
        let state = match self.state {
            FilingState::Draft | FilingState::Submitted => return None,
            FilingState::Retired => PlatformState::Retired,
            FilingState::Suspended => PlatformState::Suspended { notice: self.notice },
            FilingState::Approved if expired => PlatformState::Expired,
            FilingState::Approved => PlatformState::Active,
        };
        Some(Platform { state, ..self.platform })
    }
}

fn platform(
    fields: Fields<'_>,
    (known, form): (&Known<'_>, Form),
    id: Option<PlatformId>,
    division: Option<&Division>,
    trusted: bool,
    upstreams: Option<Box<[Upstream]>>,
    routes: Option<Arc<[Route]>>,
) -> Option<Filing> {
    let line = |key, expected: &str| fields.required::<Line>(key, expected).map(|line| line.0);
    let (name, name_en) = (line("name", "its name in Chinese"), line("name_en", "its name in English"));
    let owner = fields.required::<Uscc>("owner", "the owner's unified social credit code");
    let (function, scope) = (line("function", "what it does"), line("scope", "whom it serves"));
    let (funding, contact) = (line("funding", "where its money comes from"), line("contact", "whom to ask"));
    let state = state(&fields, form);
    let later = |key, expected: &str| fields.parsed::<Line>(key, expected).map(|line| line.0);
    let approving_body = later("approving_body", "who approved it");
    let filing_number = later("filing_number", "the number of the filing");
    let approved_on = fields.parsed::<Date>("approved_on", "the day of approval, such as \"2026-03-01\"");
    let valid_until = fields.parsed::<Date>("valid_until", "the last day of validity, such as \"2027-02-28\"");
    for key in ["approving_body", "approved_on", "filing_number", "valid_until"] {
        if (form == Form::Whole || state.is_some_and(FilingState::was_approved)) && !fields.has(key) {
            let hint = match form {
                Form::File => format!("write `{key} = \"…\"`, or `state = \"draft\"` until it is known"),
                Form::Draft | Form::Whole => format!("write `{key}` before you submit the filing"),
            };
            fields.mistake(&fields.spot(key), "a value, as a filing in force has one", Some(hint));
        }
    }
    if let (Some(from), Some(until)) = (approved_on, valid_until)
        && until < from
    {
        fields.mistake(&fields.spot("valid_until"), format!("a day after {from}, the day of approval"), None);
    }
    let season =
        fields.parsed::<Season>("season", "the first and the last day of its season, such as \"06-01..07-31\"");
    let notice = later("notice", "what people are told while it is suspended").unwrap_or_default();
    let zones: Box<[Zone]> =
        fields.list::<Zone>("zones", "internet or extranet").into_iter().map(|(zone, _)| zone).collect();
    let zones = if fields.has("zones") { zones } else { [Zone::Internet].into() };
    let authority = fields.flag("authority", false);
    if authority && owner.is_some_and(|owner| !owner.is_public_body()) {
        let hint =
            "its owner's code is no public body's (GB 32100: they begin with 1); people are asked first".to_owned();
        fields.mistake(&fields.spot("authority"), "false", Some(hint));
    }
    let attributes = fields.list::<Attribute>("attributes", "names of attributes of a person");
    let attributes = attributes.into_iter().map(|(attribute, _)| attribute.0).collect();
    let inflight_max = fields.has("inflight_max").then(|| fields.number("inflight_max", 1, 1..=1_000_000));
    let inflight_max = inflight_max.and_then(|number| u32::try_from(number).ok());
    let health = fields.table("health").and_then(health::read);
    let canary = fields.table("canary").and_then(|table| canary::read(table, known));
    let (new, old) = upstreams.iter().flatten().partition::<Vec<_>, _>(|upstream| upstream.canary);
    if fields.has("canary") == new.is_empty() || (old.is_empty() && !new.is_empty()) {
        let hint =
            Some("mark the instances of the new version `canary = true`, and leave others as they are".to_owned());
        fields.mistake(
            &fields.spot("canary"),
            "who meets the canary, with an instance of it and one of the old version",
            hint,
        );
    }
    fields.finish();
    let division = division?;
    Some(Filing {
        platform: Platform {
            id: id?,
            name: name?,
            name_en: name_en?,
            owner,
            function: function.clone().unwrap_or_default(),
            division: division.code,
            level: division.level,
            state: PlatformState::Active,
            trusted,
            authority,
            upstreams: upstreams?,
            attributes,
            zones,
            inflight_max,
            canary,
            health,
            clients: Box::default(), // the caller has read them
            routes: routes?,
        },
        owner: owner?,
        function: function?,
        scope: scope?,
        approving_body,
        approved_on,
        funding: funding?,
        filing_number,
        valid_until,
        season,
        contact: contact?,
        state: state?,
        notice,
    })
}

fn clients(root: &Fields<'_>, platform: Option<&PlatformId>, known: &Known<'_>) -> Option<Box<[Client]>> {
    let mut tables = root.tables("client");
    if tables.len() > client::CLIENTS_MAX {
        root.mistake(&root.spot("client"), format!("at most {} clients", client::CLIENTS_MAX), None);
        tables.clear();
    }
    // Read to its end first, as the others.
    let clients: Vec<Option<Client>> = tables.into_iter().map(|fields| client::read(fields, platform, known)).collect();
    let clients: Box<[Client]> = clients.into_iter().collect::<Option<_>>()?;
    if let Some(id) = client::doubled(&clients) {
        let hint = format!("`{id}` is there twice; give one another `client_id`");
        root.mistake(&root.spot("client"), "clients of different names", Some(hint));
    }
    Some(clients)
}

/// In the register the state is a matter of its way there; a document that names one may come from a file.
fn state(fields: &Fields<'_>, form: Form) -> Option<FilingState> {
    const WORDS: &str = "draft, submitted, approved, suspended or retired";
    match form {
        Form::File => fields.required("state", WORDS),
        Form::Draft | Form::Whole => {
            fields.parsed::<FilingState>("state", WORDS);
            Some(FilingState::Draft)
        }
    }
}

fn division<'a>(fields: &Fields<'_>, known: &Known<'a>) -> Option<&'a Division> {
    let code =
        fields.required::<DivisionCode>("division", "the code of the division whose government answers for it")?;
    let found = known.divisions.find(code).filter(|division| division.kind != DivisionKind::Placeholder);
    if found.is_none() {
        fields.mistake(&fields.spot("division"), "a division that exists", Some(division_hint(known, code)));
    }
    found
}

/// What to write in place of a division that is unknown or only groups others.
pub(super) fn division_hint(known: &Known<'_>, code: DivisionCode) -> String {
    match known.divisions.trail(code).last().or(known.divisions.nearest_known(code).as_ref()) {
        Some(near) if near.code != code => format!("the nearest above it is {} {}", near.code, near.name),
        _ => "look it up in divisions.csv".to_owned(),
    }
}

fn upstream(
    fields: Fields<'_>,
    folder: Option<&Path>,
    shared: Option<&Arc<Trust>>,
    addresses: &AddressPolicy,
) -> Option<Upstream> {
    let address = fields.required::<Address>("address", "where an instance listens, as host:port");
    if let Some(Err(why)) = address.as_ref().map(|address| addresses.admits(&address.host, address.port)) {
        let hint = format!("{why}; a node whose platforms are there names the network in `register.upstreams_allowed`");
        fields.mistake(&fields.spot("address"), "an address that platforms may have", Some(hint));
    }
    let weight = u16::try_from(fields.number("weight", 1, 1..=100)).unwrap_or(1);
    let (tls, http2) = (fields.flag("tls", false), fields.flag("http2", false));
    let canary = fields.flag("canary", false);
    let server_name = fields.parsed::<Host>("server_name", "the name in its certificate");
    let own = trust::read(&fields, folder);
    if fields.has("ca") && !tls {
        fields.mistake(
            &fields.spot("tls"),
            "true, as `ca` says whom to believe",
            Some("write `tls = true`".to_owned()),
        );
    }
    fields.finish();
    let trust = own.or_else(|| shared.cloned()).filter(|_| tls);
    let Address { whole, host, .. } = address?;
    Some(Upstream {
        address: whole,
        weight,
        canary,
        tls,
        server_name: server_name.map_or(host, |name| bare(&name.0)),
        trust,
        http2,
    })
}

/// An IPv6 address without its brackets, as TLS names it.
fn bare(host: &str) -> Box<str> {
    host.trim_matches(['[', ']']).into()
}
