//! Provider realms over the API: the nation's operators add, change and take away by which platforms people sign in; every node
//! follows within a second. Secrets never come this way: a document names files of `providers.secrets_directory`.

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::{Fault, errors};
use super::operation::{Condition, Operation, Takes};
use super::parameters::{Kind, Parameter};
use super::people::by;
use super::proposals::{self, unreadable};
use crate::domain::{DivisionCode, PrincipalId, RealmId, Right, Timestamp};
use crate::identity::RealmView;
use crate::registry::{Decision, Expected, ProposalKind, Version};
use crate::written::Document;

const TAG: &str = "Provider realms";
const ID: Parameter = Parameter::required("id", Kind::Realm, "Id of the realm.");
const PATH: &str = "/v1/realms/{id}";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/realms", "listRealms", "Realms", list)
            .says(TAG, "All realms: those of this node's settings, then those of the register")
            .about("For the nation's operators.")
            .needs(Right::Administer),
        Operation::get(PATH, "getRealm", "RealmView", get)
            .says(TAG, "One realm, with the public key that its provider must file")
            .needs(Right::Administer)
            .of(&[ID])
            .when(Condition::Read),
        Operation::new(Method::PUT, PATH, "putRealm", "RealmView", put)
            .says(TAG, "Propose a realm, or a change of one; somebody else approves it, and all nodes follow within a second")
            .about(
                "New with `If-None-Match: *`, else with `If-Match`. Files are plain names in `providers.secrets_directory` of \
                 every node. Who is signed in stays so. By a realm anybody can sign in, so it takes two operators of the nation.",
            )
            .needs(Right::Administer)
            .of(&[ID])
            .takes(Takes::Json("Realm"))
            .when(Condition::Put)
            .proposes()
            .fails(&[409]),
        Operation::new(Method::DELETE, PATH, "deleteRealm", "RealmGone", delete)
            .says(TAG, "Take a realm away: nobody signs in by it any more; identities stay linked")
            .needs(Right::Administer)
            .of(&[ID])
            .when(Condition::Change)
            .fails(&[409]),
    ]
}

#[derive(Serialize)]
struct View<'a> {
    id: &'a RealmId,
    name: &'a str,
    name_en: &'a str,
    issuer: &'a str,
    in_settings: bool,
    version: u64,
    changed_by: Option<&'a PrincipalId>,
    changed_at: Option<Timestamp>,
    document: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<Value>,
}

impl<'a> View<'a> {
    fn of(view: &'a RealmView) -> Self {
        Self {
            id: &view.id,
            name: &view.name,
            name_en: &view.name_en,
            issuer: &view.issuer,
            in_settings: view.in_settings,
            version: view.revision,
            changed_by: view.changed.as_ref().map(|(by, _)| by),
            changed_at: view.changed.as_ref().map(|(_, at)| *at),
            document: view.document.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            client_key: None,
        }
    }
}

/// Realms are the nation's: by them everybody signs in.
fn allowed(call: &Call) -> Result<(), Fault> {
    if call.caller.actor.division == DivisionCode::NATION {
        return Ok(());
    }
    Err(call.lacks(Right::Administer, "provider realms", "an operator of the nation has it"))
}

fn id(call: &Call) -> Result<RealmId, Fault> {
    call.values.get("id").ok_or_else(|| Fault::NotFound("such realm".to_owned()))
}

fn revision(expected: Expected) -> Option<u64> {
    match expected {
        Expected::Any => None,
        Expected::Absent => Some(0),
        Expected::Version(Version(number)) => Some(number),
    }
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    allowed(&call)?;
    let realms = management.realms.list().await?;
    let views: Vec<View<'_>> = realms.iter().map(View::of).collect();
    Ok(Answer::of(&serde_json::json!({ "entries": views })))
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    allowed(&call)?;
    let view = management.realms.get(&id(&call)?).await?;
    let version = Version(view.revision);
    if call.conditions.has(version) {
        return Ok(Answer::known(version));
    }
    let key = management.realms.client_key(&view.id).await;
    let client_key = key.and_then(|key| serde_json::to_value(key).ok());
    Ok(Answer::of(&View { client_key, ..View::of(&view) }).at(version))
}

async fn put(management: Management, call: Call) -> Result<Answer, Fault> {
    allowed(&call)?;
    let (id, expected) = (id(&call)?, call.conditions.of_put()?);
    let document = call.document()?;
    let draft = management.realms.draft(&id, &document).map_err(|mistakes| Fault::Body(errors(&mistakes)))?;
    let before = management.realms.list().await?.into_iter().find(|view| view.id == id);
    if before.is_none() && expected == Expected::Any {
        return Err(Fault::ConditionFailed(None)); // `If-Match: *` is for what is there (RFC 9110 section 13.1.1)
    }
    management.realms.try_write(&id, Some(&draft), revision(expected), by(&call), call.now).await?;
    let version = before.as_ref().map_or(0, |view| view.revision);
    let object = json!({ "id": id, "version": version, "document": document.to_json() });
    let (register, write) = (&management.register, call.write(Expected::Any));
    let row = register.propose(&write, ProposalKind::Realm, DivisionCode::NATION, &object).await?;
    proposals::proposed(&management, &call, &row).await
}

/// Carries a proposed realm out, in the transaction of its approval: on the revision for which it was proposed, and on no other.
pub(super) async fn write_approved(
    management: &Management,
    call: &Call,
    decision: &mut Decision,
) -> Result<Value, Fault> {
    let object: Value = serde_json::from_str(&decision.row.object).map_err(|_| unreadable())?;
    let part = |key: &str| object.get(key).ok_or_else(unreadable);
    let id: RealmId = part("id")?.as_str().and_then(|id| id.parse().ok()).ok_or_else(unreadable)?;
    let version = part("version")?.as_u64().ok_or_else(unreadable)?;
    let text = part("document")?.to_string();
    let document = Document::json("realm", text.as_bytes()).map_err(|_| unreadable())?;
    let draft = management.realms.draft(&id, &document).map_err(|mistakes| Fault::Body(errors(&mistakes)))?;
    management.realms.write_in(&mut decision.writing, &id, Some(&draft), Some(version), by(call), call.now).await?;
    Ok(json!(View::of(&draft.view(version))))
}

async fn delete(management: Management, call: Call) -> Result<Answer, Fault> {
    allowed(&call)?;
    let (id, expected) = (id(&call)?, call.conditions.of_change()?);
    if call.dry_run() {
        management.realms.try_write(&id, None, revision(expected), by(&call), call.now).await?;
    } else {
        management.realms.remove(&id, revision(expected), by(&call), call.now).await?;
    }
    tracing::info!(request_id = call.request_id, realm = %id, dry_run = call.dry_run(), "provider realm taken away");
    Ok(Answer::of(&serde_json::json!({ "id": id })))
}
