//! The one place where a browser's session begins, whatever proved who sits there.

use super::call::Call;
use crate::domain::{Personal, Proof, Represented};
use crate::identity::IdentityError;
use crate::session::{Person, Place, Session, SessionError, SessionId};

/// A new session with a new id. The one of the old cookie, whoever's it was, ends in the same step (ASVS 5.0, 7.2.4).
/// `Err`: the store did not answer, and whatever cookie there is stays.
pub(super) async fn begin(call: &Call, person: Person, proof: Proof) -> Result<SessionId, SessionError> {
    let place = Place { device: call.device.clone(), network: call.visitor.client_network.clone() };
    let (roles, personal) = known(call, &person.subject).await.map_err(|error| {
        tracing::warn!(%error, request_id = call.visitor.request_id, "nobody can sign in while it is unknown who they are");
        SessionError::StoreAway
    })?;
    let begun = Session::begun(person, proof, place, call.now.plus(call.rooms.session.absolute));
    let session = Session { roles, personal, ..begun };
    let begun = call.rooms.sessions.begin(session, call.session_key.as_ref(), call.now).await;
    begun.inspect_err(|error| {
        tracing::warn!(%error, request_id = call.visitor.request_id, "nobody can sign in while sessions cannot be kept");
    })
}

/// What a session carries of its person, so that nothing is asked for it while requests are under way.
async fn known(call: &Call, subject: &str) -> Result<(Vec<Represented>, Personal), IdentityError> {
    let people = &call.rooms.people;
    tokio::try_join!(people.represents(subject, call.now), people.personal(subject))
}
