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
use crate::identity::{Author, IdentityError, Issuer, NewToken, Revoked};
use crate::registry::{Object, may};

const TAG: &str = "Tokens";
const ID: Parameter = Parameter::required("id", Kind::Uuid, "Id of the token.");
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/tokens", "listTokens", "TokenPage", list)
            .says(TAG, "Tokens of your subtree, in order of issue")
            .needs(Right::IssueTokens)
            .paged(),
        Operation::get("/v1/tokens/{id}", "getToken", "Token", get)
            .says(TAG, "One token")
            .needs(Right::IssueTokens)
            .of(&[ID]),
        Operation::new(Method::POST, "/v1/tokens", "issueToken", "Token", issue)
            .says(TAG, "Issue a token; `token` of the answer is shown this once")
            .about(
                "For your subtree, with no more rights than yours, and not for longer. Another operator's is for a division below \
                 yours. Whatever you issue is of your chain of issue: nobody in it checks what another in it made, and with your \
                 token it ends. A name is one person's, and belongs to the subtree that first had it. A repetition under the \
                 same Idempotency-Key answers without `token`.",
            )
            .needs(Right::IssueTokens)
            .takes(Takes::Json("NewToken"))
            .makes(),
        Operation::new(Method::POST, "/v1/tokens/{id}/revoke", "revokeToken", "TokenRevoked", revoke)
            .says(TAG, "End a token and all that were issued through it: the next call that shows one is refused")
            .about("`issued_through` names what ends with it, 1,000 at most; `?dry_run=true` shows it and ends nothing.")
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
    /// By what credential, where the caller may see whose it is.
    issuer: Option<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    revoked_by: Option<&'a PrincipalId>,
    revoked_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> TokenView<'a> {
    fn of(token: &'a Token, management: &Management, call: &Call) -> Self {
        let now = call.now;
        let issuer = token.actor.lineage.issuers().last().filter(|link| {
            let object = Object { division: link.division, platform: None };
            may(&call.caller.actor, Right::IssueTokens, object, management.register.divisions())
        });
        Self {
            id: Some(token.id),
            principal: &token.actor.principal,
            role: token.actor.role,
            division: token.actor.division,
            platform: token.actor.platform.as_ref(),
            scope: &token.scope,
            state: token.state(now),
            issued_by: &token.issued_by,
            issuer: issuer.map(|link| link.credential.to_string()),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            revoked_by: token.revoked.as_ref().map(|(by, _)| by),
            revoked_at: token.revoked.as_ref().map(|(_, at)| *at),
            used_at: token.used_at,
            token: None,
        }
    }
}

fn within(management: &Management, call: &Call, division: DivisionCode, platform: Option<&PlatformId>) -> bool {
    let object = Object { division, platform };
    may(&call.caller.actor, Right::IssueTokens, object, management.register.divisions())
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let (after, limit) = (call.values.cursor()?, call.values.limit());
    let subtree = management.register.subtree(call.caller.actor.division);
    let found = match subtree {
        Some(subtree) => management.tokens.list(subtree, after, limit + 1).await?,
        None => Vec::new(),
    };
    let seen = found.iter().take(limit.into()).map(|token| TokenView::of(token, &management, &call));
    let seen: Vec<_> = seen.collect();
    let next = seen.last().and_then(|last| last.id).filter(|_| found.len() > usize::from(limit));
    Ok(Answer::page(&seen, next.map(|id| id.to_string()).as_deref()))
}

/// The token of the path, if the caller may know of it.
async fn found(management: &Management, call: &Call) -> Result<Token, Fault> {
    let unknown = || Fault::NotFound("such token".to_owned());
    let id: Uuid = call.values.get("id").ok_or_else(unknown)?;
    let token = management.tokens.get(id).await?;
    let seen = |Actor { division, platform, .. }: &Actor| within(management, call, *division, platform.as_ref());
    token.filter(|token| seen(&token.actor)).ok_or_else(unknown)
}

async fn get(management: Management, call: Call) -> Result<Answer, Fault> {
    let token = found(&management, &call).await?;
    Ok(Answer::of(&TokenView::of(&token, &management, &call)))
}

#[derive(Serialize)]
struct RevokedView<'a> {
    #[serde(flatten)]
    token: TokenView<'a>,
    /// What ended with it, or would.
    issued_through: Vec<TokenView<'a>>,
    /// How many those are.
    issued_through_count: u64,
}

async fn revoke(management: Management, call: Call) -> Result<Answer, Fault> {
    let token = found(&management, &call).await?;
    let revoked = management.tokens.revoke(token.id, author(&call), call.dry_run(), call.now).await?;
    let Revoked { through, count } = revoked.ok_or_else(|| Fault::NotFound("such token".to_owned()))?;
    let token = found(&management, &call).await?;
    if !call.dry_run() {
        tracing::info!(request_id = call.request_id, token = %token.id, through = count, "token revoked");
    }
    let view = |token| TokenView::of(token, &management, &call);
    let issued_through = through.iter().map(view).collect();
    Ok(Answer::of(&RevokedView { token: view(&token), issued_through, issued_through_count: count }))
}

async fn issue(management: Management, call: Call) -> Result<Answer, Fault> {
    let new = asked(&management, &call)?;
    allowed(&management, &call, &new)?;
    let own = call.caller.actor.division;
    let divisions = management.register.divisions();
    let covers = |division: DivisionCode| divisions.is_within(division, own);
    let issued = management.tokens.issue(new, &covers, author(&call), call.dry_run(), call.now).await?;
    let (token, Some(secret)) = issued else {
        return Ok(Answer::of(&TokenView { id: None, ..TokenView::of(&issued.0, &management, &call) }));
    };
    tracing::info!(request_id = call.request_id, token = %token.id, "token issued");
    let kept = TokenView::of(&token, &management, &call);
    let shown = TokenView { token: Some(secret.reveal()), ..TokenView::of(&token, &management, &call) };
    Ok(Answer::of(&shown).kept_as(&kept).made(format!("/v1/tokens/{}", token.id), false))
}

fn author(call: &Call) -> Author<'_> {
    let actor = &call.caller.actor;
    let (principal, lineage) = (&actor.principal, Some(&actor.lineage));
    Author { principal, lineage, role: actor.role.word(), request_id: &call.request_id }
}

fn asked(management: &Management, call: &Call) -> Result<NewToken, Fault> {
    call.read(|fields| {
        let principal = fields.required::<PrincipalId>("principal", "whose it is: each person their own name");
        if principal.as_ref().is_some_and(PrincipalId::is_reserved) {
            fields.mistake(&fields.spot("principal"), "a name that the gateway does not use itself", None);
        }
        let role = fields.required("role", "platform, operator, auditor or viewer");
        let division = fields.required::<DivisionCode>("division", "the division whose subtree it is for");
        let platform = fields.parsed::<PlatformId>("platform", "the id of a platform");
        let scope = fields.list::<Right>("scope", "rights").into_iter().map(|(right, _)| right).collect::<Vec<_>>();
        let days = fields.has("days").then(|| fields.number("days", 1, 1..=366));
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
        let life = days.map(|days| DAY * u32::try_from(days).unwrap_or(1));
        let issuer = Some(Issuer { lineage: call.caller.actor.lineage.clone(), ends_at: call.caller.ends_at() });
        let (principal, role, division) = (principal?, role?, division?);
        Some(NewToken { principal, role, division, platform, scope, life, issuer })
    })
}

fn allowed(management: &Management, call: &Call, new: &NewToken) -> Result<(), Fault> {
    let right = Right::IssueTokens;
    let NewToken { principal, role, division, platform, scope, .. } = new;
    let own = &call.caller;
    if !within(management, call, *division, platform.as_ref()) {
        let hint = "ask an operator of that division";
        return Err(call.lacks(right, format!("division {division}"), hint));
    }
    if *role == Role::Operator && *division == own.actor.division {
        let hint = "an operator's token is issued from above, or by `yimen token issue` on the machine";
        return Err(call.lacks(right, format!("operators of division {division}"), hint));
    }
    // Whom the settings name, the machine named.
    if management.callers.names(principal)
        && own.actor.division != DivisionCode::NATION
        && own.actor.principal != *principal
    {
        return Err(Fault::Identity(IdentityError::PrincipalTaken(principal.clone())));
    }
    let given = Right::ALL.into_iter().filter(|right| right.is_of(*role));
    let mut given = given.filter(|right| scope.is_empty() || scope.contains(right));
    // What no operator has is the platform's alone, and comes with its role.
    match given.find(|right| right.is_of(own.actor.role) && !own.has(*right)) {
        Some(missing) => Err(call.lacks(missing, "anything", "a token gives no right that its issuer was not given")),
        None => Ok(()),
    }
}
