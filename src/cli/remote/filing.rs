//! `yimen filing`, `yimen route` and `yimen apply`.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Answered, Client, Failed};
use super::shown::part;
use super::{FilingCommand, Outcome, Output, RouteCommand, Step, difference, documents, shown};

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

pub(super) async fn run(client: &Client, command: FilingCommand, output: Output) -> Result<Outcome, Failed> {
    let step = |step: Step, action: &'static str, body: Option<Value>| taken(client, step, action, body, output);
    match command {
        FilingCommand::List { division, state, owner } => {
            let query = [
                ("division", division.map(|code| code.to_string())),
                ("state", state),
                ("owner", owner.map(|code| code.to_string())),
            ];
            let all = client.all("/v1/filings", &query).await?;
            Ok(shown::list(&all, &["id", "division", "level", "state", "version", "valid_until", "name"], output))
        }
        FilingCommand::Get { id, version: None } => {
            let filing = client.get(&format!("/v1/filings/{id}")).await?.body;
            if output == Output::Json {
                return Ok(shown::document(&filing));
            }
            // On stderr, so that the document alone can be kept in a file: decisions name the version that was read.
            let complaint = format!("version {}", part(&filing, "/version"));
            Ok(Outcome { complaint, ..shown::document(&part(&filing, "/document")) })
        }
        FilingCommand::Get { id, version: Some(version) } => {
            Ok(shown::document(&client.get(&format!("/v1/filings/{id}/history/{version}")).await?.body))
        }
        FilingCommand::Apply(document) => apply(client, &document.file, document.dry_run, output).await,
        FilingCommand::Diff { file } => {
            let document = documents::read(&file)?;
            let old = there(client, &documents::id(&document, &file)?).await?;
            Ok(differing(&old.map_or(json!({}), |there| part(&there.body, "/document")), &document))
        }
        FilingCommand::Validate { file } => {
            let document = documents::read(&file)?;
            let body = client.send(Method::POST, "/v1/validate", &[], Some((JSON, &document))).await?.body;
            Ok(validated(&body, output))
        }
        FilingCommand::Submit(asked) => step(asked, "submit", None).await,
        FilingCommand::Approve(asked) => step(asked.into(), "approve", None).await,
        FilingCommand::Resume(asked) => step(asked.into(), "resume", None).await,
        FilingCommand::Retire(asked) => step(asked, "retire", None).await,
        FilingCommand::Attest(asked) => step(asked, "attest", None).await,
        FilingCommand::Reject { step: asked, reason } => {
            step(asked.into(), "reject", Some(json!({ "reason": reason }))).await
        }
        FilingCommand::Suspend { step: asked, notice } => {
            step(asked, "suspend", Some(json!({ "notice": notice }))).await
        }
        FilingCommand::Rollback { step: asked, to } => {
            step(asked.into(), "rollback", Some(json!({ "version": to }))).await
        }
        FilingCommand::Reserve { id, prefix, host } => {
            let place = match host {
                Some(host) => json!({ "host": host, "prefix": prefix }),
                None => json!({ "prefix": prefix }),
            };
            let path = format!("/v1/filings/{id}/reservations");
            let answer = client.send(Method::POST, &path, &[], Some((JSON, &place))).await?;
            if part(&answer.body, "/kind").is_null() {
                return Ok(shown::one(&answer.body, &["platform", "host", "prefix", "reserved_by"], output));
            }
            let told = "proposed: an operator of the nation approves it with `yimen proposal approve ID`".to_owned();
            let shown = shown::one(&answer.body, &["id", "kind", "division", "state", "object"], output);
            Ok(Outcome { complaint: told, ..shown })
        }
        FilingCommand::History { id } => {
            let all = client.all(&format!("/v1/filings/{id}/history"), &[]).await?;
            Ok(shown::list(&all, &["version", "action", "actor", "state", "at", "reason"], output))
        }
    }
}

async fn taken(
    client: &Client,
    step: Step,
    action: &str,
    body: Option<Value>,
    output: Output,
) -> Result<Outcome, Failed> {
    let Step { id, version, dry_run } = step;
    let tag = match version {
        Some(version) => format!("\"{version}\""),
        None => client.get(&format!("/v1/filings/{id}")).await?.etag.unwrap_or_default(),
    };
    let path = format!("/v1/filings/{id}/{action}{}", query(dry_run));
    let body = body.as_ref().map(|body| (JSON, body));
    let done = client.send(Method::POST, &path, &[("if-match", &tag)], body).await?;
    Ok(shown::done(&done.body, dry_run, output))
}

pub(super) fn query(dry_run: bool) -> &'static str {
    if dry_run { "?dry_run=true" } else { "" }
}

/// The filing as it is; `None`: there is none.
async fn there(client: &Client, id: &str) -> Result<Option<Answered>, Failed> {
    match client.get(&format!("/v1/filings/{id}")).await {
        Err(Failed::Refused { status: 404, .. }) => Ok(None),
        other => other.map(Some),
    }
}

async fn apply(client: &Client, file: &Path, dry_run: bool, output: Output) -> Result<Outcome, Failed> {
    let document = documents::read(file)?;
    let id = documents::id(&document, file)?;
    let old = there(client, &id).await?.and_then(|there| there.etag);
    let field = old.as_deref().map_or(("if-none-match", "*"), |tag| ("if-match", tag));
    let path = format!("/v1/filings/{id}{}", query(dry_run));
    let done = client.send(Method::PUT, &path, &[field], Some((JSON, &document))).await?;
    Ok(shown::done(&done.body, dry_run, output))
}

/// Applies every document of a folder, what changes printed before it does. Goes on after a refusal, and tells it.
pub(super) async fn apply_all(client: &Client, path: &Path, dry_run: bool, output: Output) -> Result<Outcome, Failed> {
    let (mut all, mut complaints, mut status) = (String::new(), Vec::new(), 0);
    for file in documents::all(path)? {
        let document = documents::read(&file)?;
        let id = documents::id(&document, &file)?;
        let old = there(client, &id).await?.map_or(json!({}), |there| part(&there.body, "/document"));
        let lines = difference::lines(&old, &document);
        if lines.is_empty() {
            continue;
        }
        if output == Output::Text {
            all += &format!("{id}\n  {}\n", lines.join("\n  "));
        }
        match apply(client, &file, dry_run, output).await {
            Ok(done) => all += &done.text,
            Err(failed @ Failed::Refused { .. }) => {
                let told = failed.told(output);
                status = told.status.max(status);
                complaints.push(format!("{id}: {}", told.complaint));
            }
            Err(other) => return Err(other),
        }
    }
    if all.is_empty() && complaints.is_empty() && output == Output::Text {
        all = "nothing differs\n".to_owned();
    }
    Ok(Outcome { text: all, complaint: complaints.join("\n"), status })
}

fn differing(old: &Value, new: &Value) -> Outcome {
    let lines = difference::lines(old, new);
    let status = u8::from(!lines.is_empty());
    Outcome { text: lines.iter().map(|line| format!("{line}\n")).collect(), complaint: String::new(), status }
}

fn validated(body: &Value, output: Output) -> Outcome {
    let valid = part(body, "/valid") == Value::Bool(true);
    let status = if valid { 0 } else { 65 };
    if output == Output::Json {
        return Outcome { status, ..shown::document(body) };
    }
    let told = |key: &str, word: &str| -> String {
        let list = body.get(key).and_then(Value::as_array).into_iter().flatten();
        list.map(|wrong| format!("{word}{}\n", shown::wrong(wrong).trim_start())).collect()
    };
    let end = if valid { "it could be submitted\n" } else { "" };
    let text = format!("{}{}{end}", told("errors", ""), told("warnings", "warning: "));
    Outcome { text, complaint: String::new(), status }
}

pub(super) async fn routes(client: &Client, command: RouteCommand, output: Output) -> Result<Outcome, Failed> {
    match command {
        RouteCommand::List { platform, division, item } => {
            let query = [
                ("platform", platform.map(|id| id.to_string())),
                ("division", division.map(|code| code.to_string())),
                ("item", item.map(|code| code.to_string())),
            ];
            let all = client.all("/v1/routes", &query).await?;
            let columns = ["platform", "route", "action", "access", "assurance", "host", "path", "items", "divisions"];
            Ok(shown::list(&all, &columns, output))
        }
        RouteCommand::Get { id } => {
            let filing = client.get(&format!("/v1/filings/{id}")).await?.body;
            Ok(shown::document(&json!({ "route": part(&filing, "/document/route") })))
        }
        RouteCommand::Diff { id, file } => {
            let filing = client.get(&format!("/v1/filings/{id}")).await?.body;
            let old = json!({ "route": part(&filing, "/document/route") });
            Ok(differing(&old, &only_routes(&file)?))
        }
        RouteCommand::Apply { id, document } => {
            let tag = client.get(&format!("/v1/filings/{id}")).await?.etag.unwrap_or_default();
            let path = format!("/v1/filings/{id}{}", query(document.dry_run));
            let patch = only_routes(&document.file)?;
            let body = Some((MERGE_PATCH, &patch));
            let done = client.send(Method::PATCH, &path, &[("if-match", &tag)], body).await?;
            Ok(shown::done(&done.body, document.dry_run, output))
        }
    }
}

fn only_routes(file: &Path) -> Result<Value, Failed> {
    match part(&documents::read(file)?, "/route") {
        routes @ Value::Array(_) => Ok(json!({ "route": routes })),
        _ => Err(Failed::Input(format!("{}: no [[route]] in it", file.display()))),
    }
}
