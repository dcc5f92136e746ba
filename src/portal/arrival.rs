//! The one place where a browser's session begins, whatever proved who sits there.

use super::call::Call;
use crate::domain::Proof;
use crate::session::{Live, Person, Place, Session, SessionError, SessionId};

/// A new session with a new id. The one of the old cookie, whoever's it was, ends in the same step (ASVS 5.0, 7.2.4).
/// `Err`: the store did not answer, and whatever cookie there is stays.
pub(super) async fn begin(call: &Call, person: Person, proof: Proof) -> Result<SessionId, SessionError> {
    let place = Place { device: call.device.clone(), network: call.visitor.client_network.clone() };
    let session = Session::begun(person, proof, place, call.now.plus(call.rooms.session.absolute));
    let begun = call.rooms.sessions.begin(session, call.session_key.as_ref(), call.now).await;
    begun.inspect_err(|error| {
        tracing::warn!(%error, request_id = call.visitor.request_id, "nobody can sign in while sessions cannot be kept");
    })
}

/// The session of somebody who has proven more, or anew: the same person, limits and further proofs, and a new id; the old one ends
/// in the same step, on every node (ASVS 5.0, 7.2.4).
pub(super) async fn prove(call: &Call, live: &Live, proof: Proof) -> Result<SessionId, SessionError> {
    let mut session = live.session.clone();
    session.prove(proof);
    renew(call, live, session).await
}

/// The same session under a new id, after something of the account has changed.
pub(super) async fn renew(call: &Call, live: &Live, session: Session) -> Result<SessionId, SessionError> {
    let begun = call.rooms.sessions.begin(session, Some(&live.key), call.now).await;
    begun.inspect_err(|error| {
        tracing::warn!(%error, request_id = call.visitor.request_id, "no session can go on under a new id while sessions cannot be kept");
    })
}
