//! Who calls, and the nodes that follow the register.

use http::Method;
use serde::Serialize;
use uuid::Uuid;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::caller::Shown;
use super::fault::Fault;
use super::operation::Operation;
use crate::domain::{DivisionCode, PlatformId, PrincipalId, Right, Role, Timestamp};
use crate::registry::{Expected, NodeStatus, Nodes};

const TAG: &str = "Nodes and callers";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/whoami", "whoami", "Principal", whoami).says(TAG, "Who you are, and what you may"),
        Operation::get("/v1/nodes", "listNodes", "Nodes", nodes)
            .says(TAG, "All nodes and the revision that each serves")
            .about("For the nation's operators and auditors.")
            .needs(Right::History),
        Operation::new(Method::POST, "/v1/nodes/confirm", "confirmShrunken", "Confirmed", confirm)
            .says(TAG, "Let nodes take a set of filings that is much smaller than what they serve, once")
            .needs(Right::Administer),
    ]
}

#[derive(Serialize)]
struct Whoami<'a> {
    principal: &'a PrincipalId,
    role: Role,
    division: DivisionCode,
    division_name: Option<&'a str>,
    platform: Option<&'a PlatformId>,
    rights: Vec<Right>,
    shown: &'static str,
    token: Option<Uuid>,
    expires_at: Option<Timestamp>,
}

async fn whoami(management: Management, call: Call) -> Result<Answer, Fault> {
    let caller = &call.caller;
    let (shown, token, expires_at) = match caller.shown {
        Shown::Token { id, expires_at } => ("token", Some(id), Some(expires_at)),
        Shown::Certificate => ("certificate", None, None),
    };
    let division = management.register.divisions().find(caller.actor.division);
    Ok(Answer::of(&Whoami {
        principal: &caller.actor.principal,
        role: caller.actor.role,
        division: caller.actor.division,
        division_name: division.map(|division| &*division.name),
        platform: caller.actor.platform.as_ref(),
        rights: caller.rights(),
        shown,
        token,
        expires_at,
    }))
}

#[derive(Serialize)]
struct NodeView<'a> {
    name: &'a str,
    revision: u64,
    seen_at: Timestamp,
    standing: &'a str,
    quarantined: Vec<QuarantineView<'a>>,
}

#[derive(Serialize)]
struct QuarantineView<'a> {
    platform: &'a PlatformId,
    reason: &'a str,
}

impl<'a> From<&'a NodeStatus> for NodeView<'a> {
    fn from(node: &'a NodeStatus) -> Self {
        let quarantined = node.quarantined.iter().map(|(platform, reason)| QuarantineView { platform, reason });
        Self {
            name: &node.name,
            revision: node.revision,
            seen_at: node.seen_at,
            standing: &node.standing,
            quarantined: quarantined.collect(),
        }
    }
}

async fn nodes(management: Management, call: Call) -> Result<Answer, Fault> {
    let Nodes { revision, nodes } = management.register.nodes(&call.caller.actor).await?;
    let nodes: Vec<NodeView<'_>> = nodes.iter().map(Into::into).collect();
    Ok(Answer::of(&serde_json::json!({ "revision": revision, "nodes": nodes })))
}

async fn confirm(management: Management, call: Call) -> Result<Answer, Fault> {
    let revision = management.register.confirm(&call.write(Expected::Any)).await?;
    Ok(Answer::of(&serde_json::json!({ "revision": revision })))
}
