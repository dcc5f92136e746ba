//! `yimen serve` and `yimen demo`: the same server, built from settings a person wrote or the demo wrote.

use super::{NOT_STARTED, Outcome};
use crate::config::{self, Config};
use crate::demo::{self, DemoOptions};
use crate::domain::Timestamp;
use crate::server::{Server, start_log};

pub(crate) fn serve(config: Config, upgrade: bool, ready: impl FnOnce() + Send + 'static) -> Outcome {
    start_log(config.log.format);
    match Server::build(config, upgrade).and_then(|server| server.run(ready)) {
        Ok(()) => Outcome::done(""),
        Err(fault) => Outcome::failed(NOT_STARTED, format!("gateway did not start: {fault}")),
    }
}

pub(crate) fn demo(options: &DemoOptions, say: fn(&str)) -> Outcome {
    let did_not_start =
        |fault: &dyn std::fmt::Display| Outcome::failed(NOT_STARTED, format!("demo did not start: {fault}"));
    let prepared = match demo::prepare(options, Timestamp::now()) {
        Ok(prepared) => prepared,
        Err(fault) => return did_not_start(&fault),
    };
    let config = match config::load(&prepared.config) {
        Ok(config) => config,
        Err(fault) => return did_not_start(&fault),
    };
    if let Err(fault) = super::account::ensure(&config, prepared.account.login, &prepared.account.password) {
        return did_not_start(&fault);
    }
    if let Err(fault) = super::people::sample(&config, prepared.account.login) {
        return did_not_start(&fault);
    }
    let lines = prepared.lines();
    serve(config, false, move || lines.iter().for_each(|line| say(line))) // the sample platforms end when `prepared` is dropped here
}
