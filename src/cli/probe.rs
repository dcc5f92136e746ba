//! `yimen probe`: the decision of the route table, explained without a running gateway.

use std::path::Path;

use super::{FAILED, NOT_STARTED, Outcome};
use crate::config;
use crate::domain::Timestamp;
use crate::registry;

/// It is no address.
const USAGE: u8 = 64;

pub(crate) fn probe(method: &str, url: &str, settings: Option<&Path>, routes: &Path) -> Outcome {
    let Some((host, path)) = url.parse().ok().and_then(parts) else {
        return Outcome::failed(
            USAGE,
            format!("`{url}` is no address; write it like https://127.0.0.1:8443/s/330106/ITEM/"),
        );
    };
    let (hosts, routes) = match settings.map(config::load).transpose() {
        Ok(Some(config)) => (config.public.hosts, config.routes_directory),
        Ok(None) => (vec![host.clone()], routes.to_owned()),
        Err(fault) => return Outcome::failed(NOT_STARTED, fault),
    };
    match registry::load(&routes, &hosts, Timestamp::now()) {
        Ok(loaded) => Outcome::done(format!("{}\n", loaded.table.explain(method, &host, &path))),
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}

fn parts(uri: http::Uri) -> Option<(String, String)> {
    Some((uri.host()?.to_ascii_lowercase(), uri.path().to_owned()))
}
