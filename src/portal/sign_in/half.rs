//! A sign-in of which the password is done and something more is wanted. It lies aside, sealed, for ten minutes, under a cookie of its
//! own; no page but those of the sign-in reads it, so it opens nothing. The counters of tries are the account's, not this state's:
//! beginning anew wins no further try.

use std::time::Duration;

use axum::body::Body;
use http::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;
use super::wanted::Wanted;
use super::{REALM, answer, arrival};
use crate::domain::{Proof, Timestamp};
use crate::identity::{Account, Shown, Trial, Try};
use crate::portal::call::Call;
use crate::portal::cookies;
use crate::session::{Live, Person, SessionError, cookie};

/// The cookie of whoever is on the way in.
pub(in crate::portal) const COOKIE: &str = "__Host-yimen-half";
pub(super) const LIFE: Duration = Duration::from_secs(600);
pub(super) const LIFE_S: u32 = 600;
const KIND: &str = "sign-in";

#[derive(Serialize, Deserialize)]
struct HalfDone {
    account: Uuid,
    password_at: Timestamp,
    step_up: bool,
}

/// Whose password was right, when, and whether it was for proving more in a session that goes on.
pub(super) struct First {
    pub(super) account: Account,
    pub(super) id: Uuid,
    pub(super) at: Timestamp,
    pub(super) step_up: bool,
    half: bool,
}

/// Puts the half-done sign-in aside; the `Set-Cookie` that leads back to it.
pub(super) async fn put(call: &Call, account: Uuid, step_up: bool) -> Result<String, SessionError> {
    let half = HalfDone { account, password_at: call.now, step_up };
    let id = call.rooms.sessions.put_aside(KIND, &half, LIFE, call.now).await?;
    Ok(cookies::set(COOKIE, &id.encoded(), Some(LIFE_S)))
}

/// What is done already: a half-done sign-in, else the password of the session, if it was given recently enough. `Ok(None)`: nothing.
pub(super) async fn first(call: &Call, wanted: &Wanted) -> Result<Option<First>, Problem> {
    let half = match &call.half {
        Some(id) => call.rooms.sessions.aside::<HalfDone>(KIND, id, call.now).await.map_err(|_| Problem::StoreAway)?,
        None => None,
    };
    // Who is asked for more of themselves does not go on with what somebody else has begun in this browser.
    let stepping = wanted.asks() && !wanted.other;
    let others = |half: &HalfDone| stepping && own_session(call).is_some_and(|(_, id)| id != half.account);
    let (id, at, step_up, half) = match (half.filter(|half| !others(half)), own_session(call)) {
        (Some(half), _) => (half.account, half.password_at, half.step_up, true),
        (None, Some((live, id))) => match password_at(live, wanted, call.now) {
            Some(at) => (id, at, true, false),
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    Ok(active(call, id).await?.map(|account| First { account, id, at, step_up, half }))
}

/// The account, if it may still sign in.
pub(super) async fn active(call: &Call, id: Uuid) -> Result<Option<Account>, Problem> {
    call.rooms.accounts.active(id).await.map_err(|cause| {
        tracing::warn!(%cause, "nobody can sign in while accounts cannot be read");
        Problem::StoreAway
    })
}

/// The visitor's session, if it is one of a built-in account.
pub(in crate::portal) fn own_session(call: &Call) -> Option<(&Live, Uuid)> {
    let live = call.visitor.session.as_deref().filter(|live| live.session.realm == REALM)?;
    Some((live, live.session.subject.parse().ok()?))
}

fn password_at(live: &Live, wanted: &Wanted, now: Timestamp) -> Option<Timestamp> {
    let with_password = |proof: &&Proof| proof.methods.iter().any(|method| method == "pwd");
    let at = live.session.proofs.iter().filter(with_password).map(|proof| proof.at).max()?;
    wanted.max_age().is_none_or(|max_age| now.since(at) <= max_age).then_some(at)
}

/// Counts a try at this account's password or codes.
pub(in crate::portal) async fn count(call: &Call, trial: Trial, login: &str, whose: &str) -> Result<(), Problem> {
    let device = call.known.for_account(&call.rooms.forms, login);
    let tried = Try { trial, whose, device, network: &call.visitor.client_network };
    Ok(call.rooms.tries.count(&tried, call.now).await?)
}

/// Somebody has proven enough: a new session, or more in theirs, and back to the page they wanted. The id changes either way.
pub(super) async fn arrive(
    call: &Call,
    account: &Account,
    shown: Shown,
    at: Timestamp,
    step_up: bool,
    wanted: &Wanted,
) -> Result<Response<Body>, Problem> {
    let methods = shown.methods().iter().map(|method| (*method).to_owned()).collect();
    let proof = Proof { assurance: shown.reaches(account.assurance), methods, at };
    let same = own_session(call).filter(|(live, _)| step_up && live.session.subject == account.id);
    let begun = match same {
        Some((live, _)) => arrival::prove(call, live, proof).await,
        None => arrival::begin(call, person(account), proof).await,
    };
    let id = begun.map_err(|error| match error {
        SessionError::Gone => Problem::HalfGone,
        _ => Problem::StoreAway,
    })?;
    call.count_sign_in(if same.is_some() { "stepped_up" } else { "ok" });
    let mut response = answer::with_cookie(answer::see_other(&wanted.return_to), &cookie::set(&id));
    if let Some(known) = call.known.with(&call.rooms.forms, &account.login) {
        response = answer::with_cookie(response, &known);
    }
    if call.half.is_some() {
        response = answer::with_cookie(response, &cleared());
    }
    Ok(response)
}

pub(super) fn cleared() -> String {
    cookies::set(COOKIE, "", Some(0))
}

fn person(account: &Account) -> Person {
    let Account { id, kind, name, .. } = account.clone();
    Person { subject: id, kind, realm: REALM.to_owned(), name }
}

impl First {
    /// Takes the half-done sign-in, which one of all who try can.
    pub(super) async fn take(&self, call: &Call) -> Result<(), Problem> {
        let (true, Some(id)) = (self.half, &call.half) else { return Ok(()) };
        let taken = call.rooms.sessions.take_aside::<HalfDone>(KIND, id, call.now).await;
        taken.map_err(|_| Problem::StoreAway)?.map(drop).ok_or(Problem::HalfGone)
    }
}
