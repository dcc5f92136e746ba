//! Commands that call the management API of a running gateway, this machine's or another's: `filing`, `proposal`, `platform`,
//! `route`, `apply`, `whoami`, `node`.
//! Exit status: 0 done · 1 `diff` found differences · 64 usage · 65 the call was refused (EX_DATAERR) · 66 a file cannot be read
//! (EX_NOINPUT) · 69 nobody answered, or the store is away (EX_UNAVAILABLE) · 77 token refused or right missing (EX_NOPERM).

mod client;
mod difference;
mod documents;
mod filing;
mod shown;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use self::client::{Client, Failed};
use super::Outcome;
use crate::domain::{DivisionCode, ItemCode, PlatformId, Uscc};

/// Told by `--help` of each of these commands.
pub(super) const EXIT_STATUS: &str = "Exit status: 0 done; 1 `diff` found differences; 64 usage; 65 refused (mistakes, state, \
    conflict); 66 a file cannot be read; 69 no answer, or the store is away; 77 token refused or right missing.";

/// Whom to call, and as who.
#[derive(Args, Clone, Debug)]
pub(crate) struct Called {
    /// The management API.
    #[arg(long, value_name = "URL", global = true, default_value = "http://127.0.0.1:8444")]
    pub(super) server: String,
    /// File with a token, from `yimen token issue`.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) token_file: Option<PathBuf>,
    /// File with the authority of the server's certificate (PEM); the system's when absent.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) ca: Option<PathBuf>,
    /// File with a client certificate and its key (PEM).
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) client_certificate: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, global = true, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people: tables with tabs, one line a thing.
    Text,
    /// The API's own answer; a refusal is its problem document, on stderr.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum FilingCommand {
    /// List filings of your subtree.
    List {
        /// Of this division and all below it.
        #[arg(long, value_name = "CODE")]
        division: Option<DivisionCode>,
        /// In this state: draft, submitted, approved, suspended or retired.
        #[arg(long)]
        state: Option<String>,
        /// Of this owner.
        #[arg(long, value_name = "USCC")]
        owner: Option<Uscc>,
    },
    /// Print the newest document, or that of a version.
    Get {
        /// The platform.
        id: PlatformId,
        /// A version of the history.
        #[arg(long)]
        version: Option<u64>,
    },
    /// Write a document as draft: TOML, or JSON by the name's end.
    Apply(Document),
    /// Print what `apply` would change; exit 1 when there is something.
    Diff {
        /// The document.
        file: PathBuf,
    },
    /// Print what is wrong with a document; nothing is kept.
    Validate {
        /// The document.
        file: PathBuf,
    },
    /// Hand the draft in for review.
    Submit(Step),
    /// Put what was submitted into force.
    Approve(Decision),
    /// Send it back to draft.
    Reject {
        #[command(flatten)]
        step: Decision,
        /// Why, in one line for the owner.
        #[arg(long)]
        reason: String,
    },
    /// Take the platform off for a while.
    Suspend {
        #[command(flatten)]
        step: Step,
        /// What people are told, in one line.
        #[arg(long)]
        notice: String,
    },
    /// Serve it again.
    Resume(Decision),
    /// End it: 410 from now on.
    Retire(Step),
    /// Say for its owner that it is in use.
    Attest(Step),
    /// Reserve a path prefix, of a host or of the portal, to a platform: before it can file a path.
    Reserve {
        /// The platform.
        id: PlatformId,
        /// The path prefix, such as /weather.
        prefix: String,
        /// The host; the portal's when absent.
        #[arg(long)]
        host: Option<String>,
    },
    /// Print who changed what, newest first.
    History {
        /// The platform.
        id: PlatformId,
    },
    /// Make what is in force what it was at a version.
    Rollback {
        #[command(flatten)]
        step: Decision,
        /// The version.
        #[arg(long, value_name = "VERSION")]
        to: u64,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Document {
    /// The document.
    pub(super) file: PathBuf,
    /// Check and answer as it would be; change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Step {
    /// The platform.
    pub(super) id: PlatformId,
    /// The version that you have read; the newest when absent.
    #[arg(long, value_name = "VERSION")]
    pub(super) version: Option<u64>,
    /// Check and answer as it would be; change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Decision {
    /// The platform.
    pub(super) id: PlatformId,
    /// The version that you have read, as `get` and `list` show it: whatever is newer is not decided on.
    #[arg(long, value_name = "VERSION")]
    pub(super) version: u64,
    /// Check and answer as it would be; change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl From<Decision> for Step {
    fn from(Decision { id, version, dry_run }: Decision) -> Self {
        Self { id, version: Some(version), dry_run }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProposalCommand {
    /// List what waits for a second person in your subtree, and what was decided.
    List {
        /// Only what waits.
        #[arg(long)]
        open: bool,
    },
    /// Print one.
    Get {
        /// Its id.
        id: uuid::Uuid,
    },
    /// Approve what somebody else proposed: it is in effect at once.
    Approve {
        /// Its id.
        id: uuid::Uuid,
        /// Check and answer as it would be; change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Reject it, or take your own back.
    Reject {
        /// Its id.
        id: uuid::Uuid,
        /// Why, in one line for whoever proposed it.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlatformCommand {
    /// List platforms that the node serves.
    List {
        /// Of this division and all below it.
        #[arg(long, value_name = "CODE")]
        division: Option<DivisionCode>,
    },
    /// Print one, with its instances.
    Get {
        /// The platform.
        id: PlatformId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// List platforms out of which nobody got anything, and why.
    Zombies {
        /// So many days of its season without a success make a zombie.
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        idle_days: u32,
        /// Of this division and all below it.
        #[arg(long, value_name = "CODE")]
        division: Option<DivisionCode>,
    },
    /// List where two platforms have filed one item for one division: who answers, and who stands by.
    Overlaps {
        /// Of this division and all below it.
        #[arg(long, value_name = "CODE")]
        division: Option<DivisionCode>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// List routes that the node serves.
    List {
        /// Of this platform.
        #[arg(long, value_name = "ID")]
        platform: Option<PlatformId>,
        /// Of this division and all below it.
        #[arg(long, value_name = "CODE")]
        division: Option<DivisionCode>,
        /// For this item.
        #[arg(long, value_name = "CODE")]
        item: Option<ItemCode>,
    },
    /// Print the routes of the newest document.
    Get {
        /// The platform.
        id: PlatformId,
    },
    /// Replace the routes of a platform by those of a file, as draft; the rest of its document stays.
    Apply {
        /// The platform.
        id: PlatformId,
        #[command(flatten)]
        document: Document,
    },
    /// Print what `apply` would change; exit 1 when there is something.
    Diff {
        /// The platform.
        id: PlatformId,
        /// File with routes.
        file: PathBuf,
    },
}

/// What is called.
pub(super) enum Call {
    Filing(FilingCommand),
    Proposal(ProposalCommand),
    Platform(PlatformCommand),
    Route(RouteCommand),
    Apply { files: PathBuf, dry_run: bool },
    Whoami,
    Nodes,
    Report(ReportCommand),
}

/// Calls it.
pub(super) fn run(called: &Called, call: Call) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match (runtime, Client::new(called)) {
        (Ok(runtime), Ok(client)) => runtime.block_on(carried_out(&client, call, called.output)),
        (Err(cause), _) => Err(Failed::Local(cause.to_string())),
        (_, Err(failed)) => Err(failed),
    };
    done.unwrap_or_else(|failed| failed.told(called.output))
}

async fn carried_out(client: &Client, call: Call, output: Output) -> Result<Outcome, Failed> {
    match call {
        Call::Filing(command) => filing::run(client, command, output).await,
        Call::Proposal(command) => proposal(client, command, output).await,
        Call::Route(command) => filing::routes(client, command, output).await,
        Call::Apply { files, dry_run } => filing::apply_all(client, &files, dry_run, output).await,
        Call::Platform(PlatformCommand::List { division }) => {
            let all = client.all("/v1/platforms", &[("division", division.map(|code| code.to_string()))]).await?;
            Ok(shown::list(&all, &["id", "division", "level", "state", "routes", "instances", "name"], output))
        }
        Call::Platform(PlatformCommand::Get { id }) => {
            let platform = client.get(&format!("/v1/platforms/{id}")).await?.body;
            let instances = client.get(&format!("/v1/platforms/{id}/instances")).await?.body;
            let instances = shown::part(&instances, "/entries");
            Ok(shown::document(&serde_json::json!({ "platform": platform, "instances": instances })))
        }
        Call::Whoami => {
            let body = client.get("/v1/whoami").await?.body;
            Ok(shown::one(&body, &["principal", "role", "division", "division_name", "platform", "rights"], output))
        }
        Call::Report(ReportCommand::Zombies { idle_days, division }) => {
            let asked =
                [("idle_days", Some(idle_days.to_string())), ("division", division.map(|code| code.to_string()))];
            let all = client.all("/v1/reports/zombies", &asked).await?;
            Ok(shown::list(&all, &["platform", "filing/division", "filing/name", "last_success", "reasons"], output))
        }
        Call::Report(ReportCommand::Overlaps { division }) => {
            let asked = [("division", division.map(|code| code.to_string()))];
            let all = client.all("/v1/reports/overlaps", &asked).await?;
            Ok(shown::list(&all, &["item", "division", "platform", "other", "other_division"], output))
        }
        Call::Nodes => {
            let body = client.get("/v1/nodes").await?.body;
            let nodes = body.get("nodes").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
            Ok(shown::list(&nodes, &["name", "revision", "standing", "seen_at"], output))
        }
    }
}

async fn proposal(client: &Client, command: ProposalCommand, output: Output) -> Result<Outcome, Failed> {
    let decide = |id: uuid::Uuid, what: &str| format!("/v1/proposals/{id}/{what}");
    let columns = ["id", "kind", "division", "state", "proposed_by", "decided_by", "object"];
    match command {
        ProposalCommand::List { open } => {
            let all = client.all("/v1/proposals", &[("open", open.then(|| "true".to_owned()))]).await?;
            Ok(shown::list(&all, &columns, output))
        }
        ProposalCommand::Get { id } => Ok(shown::document(&client.get(&format!("/v1/proposals/{id}")).await?.body)),
        ProposalCommand::Approve { id, dry_run } => {
            let path = format!("{}{}", decide(id, "approve"), filing::query(dry_run));
            let body = client.send(reqwest::Method::POST, &path, &[], None).await?.body;
            let shown = if output == Output::Json { body } else { shown::part(&body, "/proposal") };
            Ok(shown::one(&shown, &columns, output))
        }
        ProposalCommand::Reject { id, reason } => {
            let body = serde_json::json!({ "reason": reason });
            let body = Some(("application/json", &body));
            let body = client.send(reqwest::Method::POST, &decide(id, "reject"), &[], body).await?.body;
            Ok(shown::one(&body, &columns, output))
        }
    }
}
