//! Tokens over the API: an operator issues them for its subtree.

use std::time::Duration;

use http::Method;
use serde::Serialize;
use uuid::Uuid;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::{Kind, Parameter};
use crate::domain::{Actor, DivisionCode, PlatformId, PrincipalId, Right, Role, Timestamp, Token};
use crate::identity::{Author, NewToken};
use crate::registry::{Object, may};

const TAG: &str = "Tokens";
const ID: Parameter = Parameter::required("id", Kind::Uuid, "Id of the token.");
/// Who acts without a token: the command on the machine, and a node that takes its files over.
const RESERVED: [&str; 2] = ["machine", "files"];
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/tokens", "listTokens", "TokenPage", list)
            .says(TAG, "Tokens of your subtree, in order of issue")
            .about("A page may have fewer entries than asked for, and go on: `next` says so.")
            .needs(Right::IssueTokens)
            .paged(),
        Operation::get("/v1/tokens/{id}", "getToken", "Token", get)
            .says(TAG, "One token")
            .needs(Right::IssueTokens)
            .of(&[ID]),
        Operation::new(Method::POST, "/v1/tokens", "issueToken", "Token", issue)
            .says(TAG, "Issue a token; `token` of the answer is shown this once")
            .about(
                "For your subtree, with no more rights than yours. Another operator's is for a division below yours, so \
                 that nobody makes a second person of themselves to check what they made. A repetition under the same \
                 Idempotency-Key answers without `token`.",
            )
            .needs(Right::IssueTokens)
            .takes(Takes::Json("NewToken"))
            .makes(),
        Operation::new(Method::POST, "/v1/tokens/{id}/revoke", "revokeToken", "Token", revoke)
            .says(TAG, "End a token: the next call that shows it is refused")
            .needs(Right::IssueTokens)
            .of(&[ID]),
    ]
}

#[derive(Serialize)]
struct TokenView<'a> {
    /// None of a token that was tried and not issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Uuid>,
    principal: &'a PrincipalId,
    role: Role,
    division: DivisionCode,
    platform: Option<&'a PlatformId>,
    scope: &'a [Right],
    state: &'static str,
    issued_by: &'a PrincipalId,
    issued_at: Timestamp,
    expires_at: Timestamp,
    revoked_by: Option<&'a PrincipalId>,
    revoked_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenView<'a> {
    fn of(token: &'a Token, now: Timestamp) -> Self {
        Self {
            id: Some(token.id),
            principal: &token.actor.principal,
            role: token.actor.role,
            division: token.actor.division,
            platform: token.actor.platform.as_ref(),
            scope: &token.scope,
            state: token.state(now),
            issued_by: &token.issued_by,
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            revoked_by: token.revoked.as_ref().map(|(by, _)| by),
            revoked_at: token.revoked.as_ref().map(|(_, at)| *at),
            used_at: token.used_at,
            token: None,
        }
    }
}

fn within(management: &Management, call: &Call, actor: &Actor) -> bool {
    let object = Object { division: actor.division, platform: actor.platform.as_ref() };
    may(&call.caller.actor, Right::IssueTokens, object, management.register.divisions())
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let after = call.values.cursor()?;
    let limit = call.values.limit();
    let found = management.tokens.list(after, limit).await?;
    let next = found.last().filter(|_| found.len() == usize::from(limit)).map(|last| last.id.to_string());
    let seen = found.iter().filter(|token| within(&management, &call, &token.actor));
    let seen: Vec<_> = seen.map(|token| TokenView::of(token, call.now)).collect();
    Ok(Answer::page(&seen, next.as_deref()))
}

/// The token of the path, if the caller may know of it.
async fn found(management: &Management, call: &Call) -> Result<Token, Fault> {
    let unknown = || Fault::NotFound("such token".to_owned());
    let id: Uuid = call.values.get("id").ok_or_else(unknown)?;
    let token = management.tokens.get(id).await?;
    token.filter(|token| within(management, call, &token.actor)).ok_or_else(unknown)
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    Ok(Answer::of(&TokenView::of(&found(&management, &call).await?, call.now)))
}

async fn revoke(management: Management, call: Call) -> Result<Answer, Fault> {
    let token = found(&management, &call).await?;
    if call.dry_run() {
        return Ok(Answer::of(&TokenView::of(&token, call.now)));
    }
    management.tokens.revoke(token.id, author(&call), call.now).await?;
    tracing::info!(request_id = call.request_id, token = %token.id, "token revoked");
    get(management, call).await
}

async fn issue(management: Management, call: Call) -> Result<Answer, Fault> {
    let new = asked(&management, &call)?;
    allowed(&management, &call, &new)?;
    if call.dry_run() {
        let token = new.untried(call.now)?;
        return Ok(Answer::of(&TokenView { id: None, ..TokenView::of(&token, call.now) }));
    }
    let (token, secret) = management.tokens.issue(new, author(&call), call.now).await?;
    tracing::info!(request_id = call.request_id, token = %token.id, "token issued");
    let kept = TokenView::of(&token, call.now);
    let shown = TokenView { token: Some(secret.reveal()), ..TokenView::of(&token, call.now) };
    Ok(Answer::of(&shown).kept_as(&kept).made(format!("/v1/tokens/{}", token.id), false))
}

fn author(call: &Call) -> Author<'_> {
    let actor = &call.caller.actor;
    Author { principal: &actor.principal, role: actor.role.word(), request_id: &call.request_id }
}

fn asked(management: &Management, call: &Call) -> Result<NewToken, Fault> {
    call.read(|fields| {
        let principal = fields.required::<PrincipalId>("principal", "whose it is: each person their own name");
        if principal.as_ref().is_some_and(|principal| RESERVED.contains(&principal.as_str())) {
            fields.mistake(&fields.spot("principal"), "a name that the gateway does not use itself", None);
        }
        let role = fields.required("role", "platform, operator, auditor or viewer");
        let division = fields.required::<DivisionCode>("division", "the division whose subtree it is for");
        let platform = fields.parsed::<PlatformId>("platform", "the id of a platform");
        let scope = fields.list::<Right>("scope", "rights").into_iter().map(|(right, _)| right).collect::<Vec<_>>();
        let days = fields.number("days", Token::LIFE.as_secs() / DAY.as_secs(), 1..=366);
        if let Some(code) = division
            && management.register.divisions().find(code).is_none()
        {
            fields.mistake(
                &fields.spot("division"),
                "a division that exists",
                Some("look it up in divisions.csv".into()),
            );
        }
        if let Some(role) = role {
            if (role == Role::Platform) != fields.has("platform") {
                let expected = if role == Role::Platform { "the one platform it is for" } else { "no platform" };
                fields.mistake(&fields.spot("platform"), expected, None);
            }
            if let Some(right) = scope.iter().find(|right| !right.is_of(role)) {
                let hint = format!("{role} has no right `{right}`");
                fields.mistake(&fields.spot("scope"), "rights that the role has", Some(hint));
            }
        }
        let actor = Actor { principal: principal?, role: role?, division: division?, platform };
        let life = DAY * u32::try_from(days).unwrap_or(1);
        Some(NewToken { actor, scope, life, issued_by: call.principal().clone() })
    })
}

fn allowed(management: &Management, call: &Call, new: &NewToken) -> Result<(), Fault> {
    let right = Right::IssueTokens;
    let NewToken { actor, scope, .. } = new;
    let own = &call.caller;
    if !within(management, call, actor) {
        let hint = "ask an operator of that division";
        return Err(call.lacks(right, format!("division {}", actor.division), hint));
    }
    if actor.role == Role::Operator && actor.division == own.actor.division {
        let hint = "an operator's token is issued from above, or by `yimen token issue` on the machine";
        return Err(call.lacks(right, format!("operators of division {}", actor.division), hint));
    }
    let given = Right::ALL.into_iter().filter(|right| right.is_of(actor.role));
    let mut given = given.filter(|right| scope.is_empty() || scope.contains(right));
    // What no operator has is the platform's alone, and comes with its role.
    match given.find(|right| right.is_of(own.actor.role) && !own.has(*right)) {
        Some(missing) => Err(call.lacks(missing, "anything", "a token gives no right that its issuer was not given")),
        None => Ok(()),
    }
}
