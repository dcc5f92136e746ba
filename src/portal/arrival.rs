//! The one place where a browser's session begins, whatever proved who sits there.

use super::call::Call;
use crate::domain::{Personal, Proof, Represented};
use crate::identity::{Arrival, IdentityError};
use crate::session::{Live, Person, Place, ProviderSession, Session, SessionError, SessionId, SessionKey};

/// A new session with a new id. The one of the old cookie, whoever's it was, ends in the same step (ASVS 5.0, 7.2.4).
/// `Err`: the store did not answer, and whatever cookie there is stays.
pub(super) async fn begin(call: &Call, person: Person, proof: Proof) -> Result<SessionId, SessionError> {
    let session = fresh(call, person, proof).await?;
    kept(call, session, call.session_key.as_ref()).await
}

/// The session of somebody who has proven more, or anew: the same person, limits and further proofs, and a new id; the old one ends
/// in the same step, on every node (ASVS 5.0, 7.2.4). `Gone`: it ended meanwhile, and one more proof is no sign-in.
pub(super) async fn prove(call: &Call, live: &Live, proof: Proof) -> Result<SessionId, SessionError> {
    let mut session = live.session.clone();
    session.prove(proof);
    renew(call, live, session).await
}

/// The same session under a new id, after something of the account or of the session has changed. `Gone`: it ended meanwhile.
pub(super) async fn renew(call: &Call, live: &Live, session: Session) -> Result<SessionId, SessionError> {
    noted(call, call.rooms.sessions.go_on(session, &live.key, call.now).await)
}

/// The same for somebody whom a provider vouches for. Who was signed in as the same person keeps what they proved before; the
/// proof comes on top. Somebody else begins anew, as does who was signed out meanwhile: by what the provider says alone.
pub(super) async fn begin_by_provider(call: &Call, realm: &str, arrival: Arrival) -> Result<SessionId, SessionError> {
    let Arrival { subject, kind, name, proof, sub, sid, .. } = arrival;
    let rests_on = ProviderSession { realm: realm.to_owned(), sub, sid };
    let same = call.visitor.session.as_ref().filter(|live| live.session.subject == subject);
    if let Some(live) = same {
        let mut session = live.session.clone();
        session.prove(proof.clone());
        session.rests_on(rests_on.clone());
        match renew(call, live, session).await {
            Err(SessionError::Gone) => {}
            begun => return begun,
        }
    }
    let mut session = fresh(call, Person { subject, kind, realm: realm.to_owned(), name }, proof).await?;
    session.rests_on(rests_on);
    kept(call, session, call.session_key.as_ref()).await
}

/// A session that begins now, with what it carries of its person, so that nothing is asked for it while requests are under way.
async fn fresh(call: &Call, person: Person, proof: Proof) -> Result<Session, SessionError> {
    let place = Place { device: call.device.clone(), network: call.visitor.client_network.clone() };
    let (roles, personal) = known(call, &person.subject).await.map_err(|error| {
        tracing::warn!(%error, request_id = call.visitor.request_id, "nobody can sign in while it is unknown who they are");
        SessionError::StoreAway
    })?;
    let begun = Session::begun(person, proof, place, call.now.plus(call.rooms.session.absolute));
    Ok(Session { created_at: call.now, roles, personal, ..begun })
}

async fn known(call: &Call, subject: &str) -> Result<(Vec<Represented>, Personal), IdentityError> {
    let people = &call.rooms.people;
    tokio::try_join!(people.represents(subject, call.now), people.personal(subject))
}

async fn kept(call: &Call, session: Session, replaces: Option<&SessionKey>) -> Result<SessionId, SessionError> {
    noted(call, call.rooms.sessions.begin(session, replaces, call.now).await)
}

fn noted(call: &Call, begun: Result<SessionId, SessionError>) -> Result<SessionId, SessionError> {
    begun.inspect_err(|error| {
        if !matches!(error, SessionError::Gone) {
            tracing::warn!(%error, request_id = call.visitor.request_id, "nobody can sign in while sessions cannot be kept");
        }
    })
}
