//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::remote::{
    Called, EXIT_STATUS, FilingCommand, PlatformCommand, ProposalCommand, ReportCommand, RouteCommand,
};
use crate::demo::{DemoOptions, SamplePlatformOptions};
use crate::domain::{DivisionCode, PlatformId, PrincipalId, Right, Role, SubjectRole, Uscc};

/// Yimen (一门): the single-window gateway of an online government service.
#[derive(Debug, Parser)]
#[command(name = "yimen", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway.
    Serve {
        /// Settings (see deploy/yimen.toml).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Take the listening sockets over from the gateway that runs; `yimen upgrade` starts it so.
        #[arg(long)]
        upgrade: bool,
    },
    /// Replace the running gateway by this binary and the settings as they are now, without losing a request.
    Upgrade {
        /// Settings of the running gateway.
        #[arg(long, value_name = "FILE", default_value = "/etc/yimen/yimen.toml")]
        config: PathBuf,
    },
    /// Run the gateway with three sample platforms and nothing to install.
    Demo(DemoOptions),
    /// Report every mistake in settings, certificate and filings.
    Check {
        /// Settings to check, with the certificate and filings they name.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Exit with 2 when there are only warnings.
        #[arg(long)]
        strict: bool,
        /// How to report.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Explain which platform answers an address, which lost, and why.
    Probe {
        /// HTTP method, such as GET.
        method: String,
        /// Address, such as <https://127.0.0.1:8443/s/330106/002099001000/>.
        url: String,
        /// Settings that name hosts and filings.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Folder of divisions, items and filings, when no settings are given.
        #[arg(long, value_name = "DIR", default_value = "routes")]
        routes: PathBuf,
    },
    /// Manage built-in accounts.
    Account {
        /// Settings that name the store.
        #[arg(long, value_name = "FILE", global = true, default_value = "/etc/yimen/yimen.toml")]
        config: PathBuf,
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// See and end sessions of people, in the store itself.
    Session {
        /// Settings that name the stores.
        #[arg(long, value_name = "FILE", global = true, default_value = "/etc/yimen/yimen.toml")]
        config: PathBuf,
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Manage the keys that sign assertions, and those of the vault.
    Key {
        /// Settings that name the folder of keys.
        #[arg(long, value_name = "FILE", global = true, default_value = "/etc/yimen/yimen.toml")]
        config: PathBuf,
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Make credentials for clients of the OpenID Provider.
    Client {
        #[command(subcommand)]
        command: ClientCommand,
    },
    /// Manage the tokens that open the management API, in the store itself: for the first one, and when none is left.
    Token {
        /// Settings that name the store.
        #[arg(long, value_name = "FILE", global = true, default_value = "/etc/yimen/yimen.toml")]
        config: PathBuf,
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Filings of platforms, over the management API: write them, take them along their way, look back.
    #[command(after_help = EXIT_STATUS)]
    Filing {
        #[command(flatten)]
        called: Called,
        #[command(subcommand)]
        command: FilingCommand,
    },
    /// What takes two people besides filings, over the management API: roles of people, places, provider realms.
    #[command(after_help = EXIT_STATUS)]
    Proposal {
        #[command(flatten)]
        called: Called,
        #[command(subcommand)]
        command: ProposalCommand,
    },
    /// Platforms that a node serves, over the management API.
    #[command(after_help = EXIT_STATUS)]
    Platform {
        #[command(flatten)]
        called: Called,
        #[command(subcommand)]
        command: PlatformCommand,
    },
    /// Routes that a node serves, and those of a filing, over the management API.
    #[command(after_help = EXIT_STATUS)]
    Route {
        #[command(flatten)]
        called: Called,
        #[command(subcommand)]
        command: RouteCommand,
    },
    /// Write documents of a folder as drafts, over the management API; what changes is printed first.
    #[command(after_help = EXIT_STATUS)]
    Apply {
        #[command(flatten)]
        called: Called,
        /// Folder with documents (`*.toml`, `*.json`), or one of them.
        #[arg(short, long, value_name = "DIR")]
        files: PathBuf,
        /// Check and answer as it would be; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print who you are at the management API, and what you may.
    #[command(after_help = EXIT_STATUS)]
    Whoami {
        #[command(flatten)]
        called: Called,
    },
    /// List the nodes that follow the register, over the management API.
    #[command(after_help = EXIT_STATUS)]
    Nodes {
        #[command(flatten)]
        called: Called,
    },
    /// Platforms that nobody needs, and those that do the same, over the management API.
    #[command(after_help = EXIT_STATUS)]
    Report {
        #[command(flatten)]
        called: Called,
        #[command(subcommand)]
        command: ReportCommand,
    },
    /// Write a generated register: realistic filings for load tests.
    SampleRegister {
        /// How many routes (a route is one item in one division).
        #[arg(long, value_name = "N")]
        routes: usize,
        /// Folder with divisions and items to make them from.
        #[arg(long, value_name = "DIR", default_value = "routes")]
        from: PathBuf,
        /// Folder to write to; it can be used as a routes folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Run stand-ins for back-end platforms.
    SamplePlatform(SamplePlatformOptions),
}

/// How `check` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line a mistake.
    Text,
    /// One JSON document.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Add an account; the password comes from stdin or a file.
    Add(Add),
    /// Let an account sign in no more.
    Disable {
        /// Login name.
        login: String,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// Login name.
        login: String,
    },
    /// Set a new password, from stdin or a file.
    Password {
        /// Login name.
        login: String,
        /// File with the password; stdin when absent.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print a recovery code for somebody whose identity was checked at a window: beside the password it sets an authenticator app
    /// anew, once, in place of every factor. Codes of before are good no more.
    RecoveryCode {
        /// Login name.
        login: String,
    },
    /// List all accounts.
    List,
    /// Keep an identity number and a phone, sealed; what is not given stays as it is.
    Personal(PersonalData),
    /// Roles of people for legal persons.
    Role {
        #[command(subcommand)]
        command: RoleCommand,
    },
    /// Delete an account with everything that is kept of its owner, for good, and end its sessions. Records of changes stay,
    /// in which the person is a keyed hash.
    Erase {
        /// Login name.
        login: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct PersonalData {
    /// Login name.
    pub(crate) login: String,
    /// File with the identity number (GB 11643); an empty one takes it away. No argument, since others see those.
    #[arg(long, value_name = "FILE")]
    pub(crate) id_number_file: Option<PathBuf>,
    /// File with the mobile phone; an empty one takes it away.
    #[arg(long, value_name = "FILE")]
    pub(crate) phone_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Let a person act for a legal person.
    Grant(GrantRole),
    /// End a role; sessions that act in it end at once.
    Withdraw {
        /// Its id, from `list`.
        id: uuid::Uuid,
    },
    /// List roles, those that have ended too.
    List {
        /// Of this person.
        #[arg(long)]
        login: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct GrantRole {
    /// Login name of the person.
    pub(crate) login: String,
    /// Unified social credit code of the legal person.
    #[arg(long, value_name = "USCC")]
    pub(crate) usc: Uscc,
    /// Name of the legal person.
    #[arg(long)]
    pub(crate) name: String,
    /// legal_representative or agent.
    #[arg(long, default_value = "agent")]
    pub(crate) role: SubjectRole,
    /// First day, such as 2026-11-24; today when absent.
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<Date>,
    /// Last day.
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Date,
    /// What was seen of it, such as the number of a power of attorney.
    #[arg(long, value_name = "TEXT")]
    pub(crate) evidence: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List the sessions of a person.
    List {
        /// Login name.
        #[arg(long)]
        login: String,
    },
    /// End sessions of a person, on every node; their browser is told that an operator did.
    End {
        /// Login name.
        #[arg(long)]
        login: String,
        /// The one session, from `list`; all of them when absent.
        #[arg(long, value_name = "ID")]
        session: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Login name.
    pub(crate) login: String,
    /// Name to greet with; the login name when absent.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Assurance: L1, L2, L3 or L4.
    #[arg(long, default_value = "L1")]
    pub(crate) assurance: String,
    /// Kind of subject: natural, legal or agent.
    #[arg(long, default_value = "natural")]
    pub(crate) kind: String,
    /// File with the password; stdin when absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Make a secret: itself on stdout, shown this once, for the client; what is filed of it on stderr.
    Secret,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make the next key; it is published at once and signs after `identity.key_lead_minutes`.
    Rotate,
    /// Make the next key of the vault. With many nodes, copy the folder to all of them; then `reseal-vault`.
    RotateVault,
    /// Seal everything anew that an older key of the vault sealed. When it says 0, older key files may be removed.
    ResealVault,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Issue a token and show it, this once: alone on stdout, what it is for on stderr.
    Issue(Issue),
    /// List all tokens, those that have ended too.
    List,
    /// End a token and all that were issued through it; the next call that shows one is refused.
    Revoke {
        /// Its id, from `list`.
        id: uuid::Uuid,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Issue {
    /// What it is for: platform, operator, auditor or viewer.
    #[arg(long)]
    pub(crate) role: Role,
    /// Code of the division whose subtree it is for; 100000 is the nation.
    #[arg(long, value_name = "CODE")]
    pub(crate) division: DivisionCode,
    /// Id of the platform, for the role platform.
    #[arg(long, value_name = "ID")]
    pub(crate) platform: Option<PlatformId>,
    /// Whose it is: each person their own name, in one spelling. The platform's id, or role and division, when absent. Whom the
    /// machine gives tokens are not of one chain of issue, so they may check each other's work.
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<PrincipalId>,
    /// Rights, where they are to be fewer than the role's: read, history, file, submit, review, suspend, retire, rollback,
    /// attest, lease, reserve, issue-tokens, grant-roles, end-sessions, administer.
    #[arg(long, value_name = "RIGHT", value_delimiter = ',')]
    pub(crate) scope: Vec<Right>,
    /// How long it lives.
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
    pub(crate) days: u16,
}
