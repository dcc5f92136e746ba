//! What this node serves now: platforms, their instances and leases, their routes, and why an address is answered as it is.

use std::time::Duration;

use http::Method;
use serde::Serialize;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::{Kind, Parameter};
use crate::domain::{Assurance, DivisionCode, ItemCode, PlatformId, Right, Timestamp};
use crate::registry::{Lease, Object, may};
use crate::routing::{Action, Found, Matches, Platform, Route, RouteTable};

const TAG: &str = "In force";
const LEASES: &str = "/v1/platforms/{id}/instances/{address}/lease";
const ID: Parameter = Parameter::required("id", Kind::Platform, "Id of the platform.");
const ADDRESS: Parameter = Parameter::required("address", Kind::Address, "`host:port` of the instance, as filed.");
const DIVISION: Parameter = Parameter::optional("division", Kind::Division, "Of this division and all below it.");

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/platforms", "listPlatforms", "PlatformPage", platforms)
            .says(TAG, "Platforms that this node serves, by id")
            .needs(Right::Read)
            .asks(&[DIVISION])
            .paged(),
        Operation::get("/v1/platforms/{id}", "getPlatform", "Platform", platform)
            .says(TAG, "One platform that this node serves")
            .needs(Right::Read)
            .of(&[ID]),
        Operation::get("/v1/platforms/{id}/instances", "listInstances", "Instances", instances)
            .says(TAG, "Its instances, what they said of themselves and what this node found of them")
            .needs(Right::Read)
            .of(&[ID]),
        Operation::new(Method::PUT, LEASES, "renewLease", "LeaseView", renew)
            .says(TAG, "An instance is alive, and will be for some seconds (30 when absent)")
            .about(
                "An instance that once said so and says so no more gets no requests until it does; its filing stays.",
            )
            .needs(Right::Lease)
            .of(&[ID, ADDRESS])
            .takes(Takes::Json("Lease")),
        Operation::new(Method::DELETE, LEASES, "endLease", "Instances", end)
            .says(TAG, "An instance says no more of itself; answers all instances")
            .needs(Right::Lease)
            .of(&[ID, ADDRESS]),
        Operation::get("/v1/routes", "listRoutes", "RoutePage", routes)
            .says(TAG, "Routes that this node serves, by platform and number")
            .needs(Right::Read)
            .asks(&[DIVISION, Parameter::optional("platform", Kind::Platform, "Of this platform.")])
            .asks(&[Parameter::optional("item", Kind::Item, "For this item.")])
            .paged(),
        Operation::get("/v1/probe", "probe", "Explanation", probe)
            .says(TAG, "Who answers an address, who lost, and why")
            .needs(Right::Read)
            .asks(&[
                Parameter::optional("method", Kind::Method, "GET when absent."),
                Parameter::required("host", Kind::Host, "The host asked."),
                Parameter::required("path", Kind::Path, "The path asked."),
            ]),
    ]
}

#[derive(Serialize)]
struct PlatformView<'a> {
    id: &'a PlatformId,
    name: &'a str,
    name_en: &'a str,
    division: DivisionCode,
    level: &'static str,
    state: &'static str,
    routes: usize,
    instances: usize,
}

impl<'a> From<&'a Platform> for PlatformView<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self {
            id: &platform.id,
            name: &platform.name,
            name_en: &platform.name_en,
            division: platform.division,
            level: platform.level.word(),
            state: platform.state.word(),
            routes: platform.routes.len(),
            instances: platform.upstreams.len(),
        }
    }
}

/// The platforms of a table that the caller may see and asked for, by id, behind `after`.
fn seen<'a>(management: &Management, call: &Call, table: &'a RouteTable, after: Option<&str>) -> Vec<&'a Platform> {
    let divisions = management.register.divisions();
    let division: Option<DivisionCode> = call.values.get("division");
    let asked = |platform: &&Platform| {
        division.is_none_or(|of| divisions.is_within(platform.division, of))
            && after.is_none_or(|after| platform.id.as_str() >= after)
            && call.values.text("platform").is_none_or(|id| platform.id.as_str() == id)
            && sees(management, call, platform)
    };
    let mut all: Vec<&Platform> = table.platforms().map(|(_, platform)| &**platform).filter(asked).collect();
    all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    all
}

fn sees(management: &Management, call: &Call, platform: &Platform) -> bool {
    let object = Object { division: platform.division, platform: Some(&platform.id) };
    may(&call.caller.actor, Right::Read, object, management.register.divisions())
}

async fn platforms(management: Management, call: Call) -> Result<Answer, Fault> {
    let table = management.register.routes().snapshot();
    let after: Option<String> = call.values.cursor()?;
    let found = seen(&management, &call, &table, after.as_deref());
    let mut rest = found.into_iter().filter(|platform| after.as_deref() != Some(platform.id.as_str()));
    let page: Vec<PlatformView<'_>> = rest.by_ref().take(call.values.limit().into()).map(Into::into).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(|last| last.id.as_str());
    Ok(Answer::page(&page, next))
}

/// Does something with the platform of the path. `NotFound` also when the caller may not see it.
fn with_platform<T>(
    management: &Management,
    call: &Call,
    work: impl FnOnce(&Platform) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let id = call.platform()?;
    let table = management.register.routes().snapshot();
    let platform = table.platform(id.as_str()).filter(|platform| sees(management, call, platform));
    work(platform.ok_or_else(|| Fault::NotFound(format!("platform {id} in force on this node")))?)
}

async fn platform(management: Management, call: Call) -> Result<Answer, Fault> {
    with_platform(&management, &call, |platform| Ok(Answer::of(&PlatformView::from(platform))))
}

#[derive(Serialize)]
struct LeaseView {
    state: &'static str,
    renewed_at: Timestamp,
    expires_at: Timestamp,
}

impl LeaseView {
    fn of(lease: &Lease, now: Timestamp) -> Self {
        let state = if lease.is_lost(now) { "lost" } else { "alive" };
        Self { state, renewed_at: lease.renewed_at, expires_at: lease.expires_at }
    }
}

#[derive(Serialize)]
struct InstanceView<'a> {
    address: &'a str,
    weight: u16,
    canary: bool,
    tls: bool,
    lease: Option<LeaseView>,
    /// What this node found.
    health: HealthView,
}

#[derive(Serialize)]
struct HealthView {
    state: &'static str,
    breaker: &'static str,
    since: Option<Timestamp>,
}

impl HealthView {
    /// `found`: what speaks against an instance. `state` is its checks' word, or `unchecked`.
    fn of(found: Option<Found>, is_checked: bool) -> Self {
        let state = match found {
            Some(Found { down: true, .. }) => "down",
            _ if is_checked => "up",
            _ => "unchecked",
        };
        let breaker = if found.is_some_and(|found| found.breaker_open) { "open" } else { "closed" };
        Self { state, breaker, since: found.map(|found| found.since) }
    }
}

async fn instances(management: Management, call: Call) -> Result<Answer, Fault> {
    let leases = management.leases.all().await?;
    let live = management.register.routes().clone();
    let known = live.instances();
    with_platform(&management, &call, |platform| {
        let said =
            |address: &str| leases.iter().find(|lease| lease.platform == platform.id && lease.address == address);
        let view = platform.upstreams.iter().map(|upstream| InstanceView {
            address: &upstream.address,
            weight: upstream.weight,
            canary: upstream.canary,
            tls: upstream.tls,
            lease: said(&upstream.address).map(|lease| LeaseView::of(lease, call.now)),
            health: HealthView::of(known.found(&platform.id, &upstream.address), platform.health.is_some()),
        });
        Ok(Answer::of(&serde_json::json!({ "entries": view.collect::<Vec<_>>() })))
    })
}

/// The instance of the path, if the caller may speak for it.
fn spoken_for(management: &Management, call: &Call) -> Result<(PlatformId, String), Fault> {
    let address = call.values.text("address").unwrap_or_default();
    with_platform(management, call, |platform| {
        let object = Object { division: platform.division, platform: Some(&platform.id) };
        if !may(&call.caller.actor, Right::Lease, object, management.register.divisions()) {
            let hint = "its owner and the operators of its division may";
            return Err(call.lacks(Right::Lease, format!("platform {}", platform.id), hint));
        }
        if platform.upstreams.iter().any(|upstream| &*upstream.address == address) {
            return Ok((platform.id.clone(), address.to_owned()));
        }
        Err(Fault::NotFound(format!("instance {address} of platform {}", platform.id)))
    })
}

async fn renew(management: Management, call: Call) -> Result<Answer, Fault> {
    let (platform, address) = spoken_for(&management, &call)?;
    let seconds = call.read(|fields| Some(fields.number("seconds", Lease::LIFE.as_secs(), 5..=3600)))?;
    let life = Duration::from_secs(seconds);
    let lease = if call.dry_run() {
        Lease { platform, address, renewed_at: call.now, expires_at: call.now.plus(life) }
    } else {
        management.leases.renew(&platform, &address, life, call.now).await?
    };
    Ok(Answer::of(&LeaseView::of(&lease, call.now)))
}

async fn end(management: Management, call: Call) -> Result<Answer, Fault> {
    let (platform, address) = spoken_for(&management, &call)?;
    if !call.dry_run() {
        management.leases.end(&platform, &address).await?;
    }
    instances(management, call).await
}

#[derive(Serialize)]
struct RouteView<'a> {
    platform: &'a PlatformId,
    route: usize,
    name: &'a str,
    action: &'static str,
    access: String,
    assurance: Assurance,
    items: Vec<String>,
    divisions: Vec<String>,
    covers: Option<String>,
    host: Option<&'a str>,
    path: Option<&'a str>,
    #[serde(rename = "match")]
    kind: Option<String>,
}

impl<'a> RouteView<'a> {
    fn of(platform: &'a Platform, number: usize, route: &'a Route) -> Self {
        let action = match route.action {
            Action::Proxy => "proxy",
            Action::Gateway => "gateway",
            Action::Gone { .. } => "gone",
            Action::Maintenance { .. } => "maintenance",
        };
        let mut view = Self {
            platform: &platform.id,
            route: number,
            name: &route.name,
            action,
            access: route.access.to_string(),
            assurance: route.assurance,
            items: Vec::new(),
            divisions: Vec::new(),
            covers: None,
            host: None,
            path: None,
            kind: None,
        };
        match &route.matches {
            Matches::Items { codes, divisions, covers } => {
                view.items = codes.iter().map(ToString::to_string).collect();
                view.divisions = divisions.iter().map(ToString::to_string).collect();
                view.covers = Some(covers.to_string());
            }
            Matches::Path { host, path, kind } => {
                (view.host, view.path, view.kind) = (host.as_deref(), Some(&**path), Some(kind.to_string()));
            }
        }
        view
    }

    fn place(&self) -> String {
        format!("{}:{}", self.platform, self.route)
    }
}

async fn routes(management: Management, call: Call) -> Result<Answer, Fault> {
    let table = management.register.routes().snapshot();
    let after: Option<String> = call.values.cursor()?;
    let (after, number) = after.as_deref().and_then(|last| last.rsplit_once(':')).unzip();
    let number: Option<usize> = number.and_then(|number| number.parse().ok());
    let item: Option<ItemCode> = call.values.get("item");
    let for_item = |route: &Route| match (&route.matches, item) {
        (_, None) => true,
        (Matches::Items { codes, .. }, Some(item)) => codes.contains(&item),
        (Matches::Path { .. }, Some(_)) => false,
    };
    let behind =
        |platform: &Platform, at: usize| Some(platform.id.as_str()) != after || number.is_none_or(|last| at > last);
    let found = seen(&management, &call, &table, after);
    let mut rest = found.into_iter().flat_map(|platform| {
        let of_it = platform.routes.iter().enumerate();
        of_it
            .filter(move |(at, route)| behind(platform, *at) && for_item(route))
            .map(move |(at, route)| (platform, at, route))
    });
    let views =
        rest.by_ref().take(call.values.limit().into()).map(|(platform, at, route)| RouteView::of(platform, at, route));
    let page: Vec<RouteView<'_>> = views.collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(RouteView::place);
    Ok(Answer::page(&page, next.as_deref()))
}

async fn probe(management: Management, call: Call) -> Result<Answer, Fault> {
    let text = |name: &str| call.values.text(name).unwrap_or_default();
    let method = call.values.text("method").unwrap_or("GET");
    Ok(Answer::of(&management.register.routes().snapshot().explain(method, text("host"), text("path"))))
}
