//! `yimen probe`: the decision of the route table, explained without a running gateway.

use std::path::Path;

use super::{FAILED, NOT_STARTED, Outcome};
use crate::config;
use crate::domain::Timestamp;
use crate::gateway::Origins;
use crate::registry;
use crate::routing::RouteTable;

/// It is no address.
const USAGE: u8 = 64;

pub(crate) fn probe(method: &str, url: &str, settings: Option<&Path>, routes: &Path) -> Outcome {
    let Some((host, path)) = url.parse().ok().and_then(parts) else {
        return Outcome::failed(
            USAGE,
            format!("`{url}` is no address; write it like https://127.0.0.1:8443/s/330106/ITEM/"),
        );
    };
    let (hosts, routes, origins) = match settings.map(config::load).transpose() {
        Ok(Some(config)) => (config.public.hosts.clone(), config.routes_directory.clone(), Origins::of(&config.public)),
        Ok(None) => (vec![host.clone()], routes.to_owned(), None),
        Err(fault) => return Outcome::failed(NOT_STARTED, fault),
    };
    match registry::load(&routes, &hosts, Timestamp::now()) {
        Ok(loaded) => Outcome::done(explained(&loaded.table, origins.as_ref(), method, &host, &path)),
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}

/// A platform's own host is asked for what its platform answers on the portal's.
fn explained(table: &RouteTable, origins: Option<&Origins>, method: &str, host: &str, path: &str) -> String {
    let own = origins.filter(|origins| origins.is_own(host));
    let explanation = table.explain(method, own.map_or(host, Origins::portal_host), path);
    let platform = explanation.chosen.as_ref().and_then(|chosen| table.platform(chosen.platform.as_str()));
    let origin = origins.zip(platform).filter(|(_, platform)| !platform.trusted);
    let line = origin.map(|(origins, platform)| {
        format!(
            "\n  origin  {}, as the platform is not trusted with the portal's",
            origins.at_platform(&platform.id, "")
        )
    });
    format!("{explanation}{}\n", line.unwrap_or_default())
}

fn parts(uri: http::Uri) -> Option<(String, String)> {
    Some((uri.host()?.to_ascii_lowercase(), uri.path().to_owned()))
}
