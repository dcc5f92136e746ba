//! The commands: what `yimen` does when a person types it. Each returns what to print and the exit status; `main.rs` prints.
//! Exit status (of those that call a running gateway: `remote`): 0 done · 1 `check` found mistakes · 2 only warnings, with `--strict` · 64 usage · 70 it failed while running ·
//! 78 it did not start (sysexits.h: EX_USAGE, EX_SOFTWARE, EX_CONFIG).

mod account;
mod arguments;
mod check;
mod people;
mod probe;
mod remote;
mod serve;
mod token;
mod upgrade;

use std::io;
use std::path::Path;

pub use arguments::Arguments;

use self::arguments::{AccountCommand, ClientCommand, Command, KeyCommand, SessionCommand, TokenCommand};
use self::remote::Call;
use crate::config::{self, Config, ConfigError};
use crate::demo;
use crate::domain::Timestamp;
use crate::identity::{Keys, client_secret};
use crate::registry::sample;

/// What a command leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// For stdout.
    pub text: String,
    /// For stderr.
    pub complaint: String,
    /// Exit status.
    pub status: u8,
}

impl Outcome {
    fn done(text: impl Into<String>) -> Self {
        Self { text: text.into(), complaint: String::new(), status: 0 }
    }

    fn failed(status: u8, complaint: impl ToString) -> Self {
        Self { text: String::new(), complaint: complaint.to_string(), status }
    }
}

/// It did not start.
const NOT_STARTED: u8 = 78;
/// It failed while running.
const FAILED: u8 = 70;

/// Carries out a command. Long-running ones print by `say` while they run.
pub fn run(arguments: Arguments, say: fn(&str)) -> Outcome {
    match arguments.command {
        Command::Serve { config, upgrade } => with_config(&config, |config| serve::serve(config, upgrade, || {})),
        Command::Upgrade { config } => upgrade::upgrade(&config, say),
        Command::Demo(options) => serve::demo(&options, say),
        Command::Check { config, strict, format } => check::check(&config, strict, format),
        Command::Probe { method, url, config, routes } => probe::probe(&method, &url, config.as_deref(), &routes),
        Command::Account { config, command } => with_config(&config, |config| account(&config, &command)),
        Command::Key { config, command } => with_config(&config, |config| key(&config, &command)),
        Command::Session { config, command } => with_config(&config, |config| session(&config, &command)),
        Command::Client { command: ClientCommand::Secret } => secret(),
        Command::Token { config, command } => with_config(&config, |config| token(&config, command)),
        Command::Filing { called, command } => remote::run(&called, Call::Filing(command)),
        Command::Proposal { called, command } => remote::run(&called, Call::Proposal(command)),
        Command::Platform { called, command } => remote::run(&called, Call::Platform(command)),
        Command::Route { called, command } => remote::run(&called, Call::Route(command)),
        Command::Apply { called, files, dry_run } => remote::run(&called, Call::Apply { files, dry_run }),
        Command::Whoami { called } => remote::run(&called, Call::Whoami),
        Command::Report { called, command } => remote::run(&called, Call::Report(command)),
        Command::Nodes { called } => remote::run(&called, Call::Nodes),
        Command::SampleRegister { routes, from, out } => match sample::write(routes, &from, &out) {
            Ok(written) => Outcome::done(format!(
                "{} filings with {} routes written to {}\n",
                written.filings,
                written.routes,
                out.display()
            )),
            Err(fault) => Outcome::failed(FAILED, fault),
        },
        Command::SamplePlatform(options) => match demo::run_sample_platform(options) {
            Ok(()) => Outcome::done(""),
            Err(fault) => Outcome::failed(NOT_STARTED, fault),
        },
    }
}

fn with_config(path: &Path, use_it: impl FnOnce(Config) -> Outcome) -> Outcome {
    match config::load(path) {
        Ok(config) => use_it(config),
        Err(fault @ (ConfigError::Unreadable { .. } | ConfigError::Mistakes(_))) => {
            Outcome::failed(NOT_STARTED, format!("gateway did not start: {fault}"))
        }
    }
}

fn account(config: &Config, command: &AccountCommand) -> Outcome {
    match account::run(config, command, io::stdin().lock()) {
        Ok(text) => Outcome::done(text),
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}

fn token(config: &Config, command: TokenCommand) -> Outcome {
    token::run(config, command).unwrap_or_else(|fault| Outcome::failed(FAILED, fault))
}

fn session(config: &Config, command: &SessionCommand) -> Outcome {
    match people::sessions(config, command) {
        Ok(text) => Outcome::done(text),
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}

fn secret() -> Outcome {
    match client_secret() {
        Ok((secret, hash)) => Outcome {
            text: format!("{}\n", *secret),
            complaint: format!("give it to the client, and file: secret_sha256 = [\"{hash}\"]"),
            status: 0,
        },
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}

fn key(config: &Config, command: &KeyCommand) -> Outcome {
    let done = match command {
        KeyCommand::Rotate => return rotate(config),
        KeyCommand::RotateVault => people::rotate_vault(config),
        KeyCommand::ResealVault => people::reseal(config),
    };
    done.map_or_else(|fault| Outcome::failed(FAILED, fault), Outcome::done)
}

fn rotate(config: &Config) -> Outcome {
    match Keys::rotate(&config.identity.keys_directory, Timestamp::now()) {
        Ok(kid) => Outcome::done(format!(
            "new key {kid}: shown at /.well-known/jwks.json from now on, signs in {} min\n",
            config.identity.key_lead.as_secs() / 60
        )),
        Err(fault) => Outcome::failed(FAILED, fault),
    }
}
