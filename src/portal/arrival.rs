//! The one place where a browser's session begins, whatever proved who sits there.

use super::call::Call;
use crate::domain::Proof;
use crate::identity::Arrival;
use crate::session::{Person, Place, ProviderSession, Session, SessionError, SessionId};

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

/// The same for somebody whom a provider vouches for. Who was signed in as the same person keeps what they proved before; the
/// proof comes on top. Somebody else begins anew.
pub(super) async fn begin_by_provider(call: &Call, realm: &str, arrival: Arrival) -> Result<SessionId, SessionError> {
    let Arrival { subject, kind, name, proof, sub, sid, .. } = arrival;
    let same = call.visitor.session.as_ref().filter(|live| live.session.subject == subject);
    let mut session = match same {
        Some(live) => {
            let mut session = live.session.clone();
            session.prove(proof);
            session
        }
        None => {
            let place = Place { device: call.device.clone(), network: call.visitor.client_network.clone() };
            let person = Person { subject, kind, realm: realm.to_owned(), name };
            let ends_at = call.now.plus(call.rooms.session.absolute);
            Session { created_at: call.now, ..Session::begun(person, proof, place, ends_at) }
        }
    };
    session.rests_on(ProviderSession { realm: realm.to_owned(), sub, sid });
    call.rooms.sessions.begin(session, call.session_key.as_ref(), call.now).await
}
