//! What a session is.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Assurance, PlatformId, Proof, SubjectKind, Timestamp};
use crate::store::SessionKey;

/// Who somebody is, as the realm they come from says.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// Stable id in the realm (never shown to a platform as it is).
    pub subject: String,
    /// Whom they speak for.
    pub kind: SubjectKind,
    /// Which realm the identity comes from; `accounts` for the built-in ones.
    pub realm: String,
    /// Name to greet with.
    pub name: String,
}

/// Where somebody sits, for their own list of sessions.
#[derive(Clone, PartialEq)]
pub struct Place {
    /// Device label such as `Firefox on Linux`.
    pub device: String,
    /// Network such as `203.0.113.0/24`.
    pub network: String,
}

/// A session at a provider that this one rests on: the provider ends it by one of these names.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderSession {
    /// The realm.
    pub realm: String,
    /// The person there.
    pub sub: String,
    /// The session there, if the provider names it.
    pub sid: Option<String>,
}

impl ProviderSession {
    /// The names under which the store finds the session.
    pub(super) fn labels(&self) -> impl Iterator<Item = Vec<u8>> {
        let sid = self.sid.as_deref().map(|sid| Self::by_sid(&self.realm, sid));
        [Self::by_sub(&self.realm, &self.sub)].into_iter().chain(sid)
    }

    /// An id of a realm holds no zero, so that no two names read alike.
    pub(super) fn by_sid(realm: &str, sid: &str) -> Vec<u8> {
        [realm.as_bytes(), b"\0sid\0", sid.as_bytes()].concat()
    }

    pub(super) fn by_sub(realm: &str, sub: &str) -> Vec<u8> {
        [realm.as_bytes(), b"\0sub\0", sub.as_bytes()].concat()
    }
}

/// The record of a signed-in person.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Stable id of the account in its realm (never shown to a platform as it is).
    pub subject: String,
    /// Whom it speaks for.
    pub kind: SubjectKind,
    /// Which realm the identity comes from; `accounts` for the built-in ones.
    pub realm: String,
    /// Name to greet with.
    pub name: String,
    /// How sure we are who it is: the highest of `proofs`.
    pub assurance: Assurance,
    /// RFC 8176 method names, such as `pwd`: those of all `proofs`.
    pub methods: Vec<String>,
    /// When the person last proved who they are: the latest of `proofs`.
    pub authenticated_at: Timestamp,
    /// What it rests on, one proof of a level at most, oldest first. `prove` adds one and keeps the three fields above in line.
    #[serde(default)]
    pub proofs: Vec<Proof>,
    /// Sessions at providers that it rests on, the oldest first.
    #[serde(default)]
    pub providers: Vec<ProviderSession>,
    /// When the session began.
    pub created_at: Timestamp,
    /// Absolute end; idle end is kept by the store.
    pub ends_at: Timestamp,
    /// Device label such as `Firefox on Linux`, for the person's own list.
    pub device: String,
    /// Network such as `203.0.113.0/24`, for the person's own list.
    pub network: String,
    /// A child session opens one platform only and ends with its parent.
    pub parent: Option<SessionKey>,
    /// The platform a child session opens.
    pub platform: Option<PlatformId>,
}

impl Session {
    /// A session that begins with this proof and ends at `ends_at` at the latest.
    pub fn begun(person: Person, proof: Proof, place: Place, ends_at: Timestamp) -> Self {
        Self {
            subject: person.subject,
            kind: person.kind,
            realm: person.realm,
            name: person.name,
            assurance: proof.assurance,
            methods: proof.methods.clone(),
            authenticated_at: proof.at,
            created_at: proof.at,
            ends_at,
            device: place.device,
            network: place.network,
            parent: None,
            platform: None,
            proofs: vec![proof],
            providers: Vec::new(),
        }
    }

    /// Notes that it rests on a session at a provider; of one realm the last counts.
    pub fn rests_on(&mut self, provider: ProviderSession) {
        self.providers.retain(|other| other.realm != provider.realm);
        self.providers.push(provider);
    }

    /// Takes a further proof of the same person.
    pub fn prove(&mut self, proof: Proof) {
        self.assurance = self.assurance.max(proof.assurance);
        self.authenticated_at = self.authenticated_at.max(proof.at);
        let new = proof.methods.iter().filter(|method| !self.methods.contains(method)).cloned().collect::<Vec<_>>();
        self.methods.extend(new);
        self.proofs.retain(|older| older.assurance > proof.assurance); // the others say nothing that this one does not
        self.proofs.push(proof);
    }

    /// Whether one of its proofs reaches `needed` and is no older than `max_age`: a later weaker proof refreshes no stronger one.
    pub fn proves(&self, needed: Assurance, max_age: Option<Duration>, now: Timestamp) -> bool {
        if self.proofs.is_empty() {
            // Begun by a version that kept no proofs apart.
            let whole = Proof { assurance: self.assurance, methods: Vec::new(), at: self.authenticated_at };
            return whole.meets(needed, max_age, now);
        }
        self.proofs.iter().any(|proof| proof.meets(needed, max_age, now))
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Person").field("kind", &self.kind).field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderSession {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderSession").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Place").finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    /// What may stand in a log: nothing of the person, device or network.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, realm, assurance, created_at, ends_at, platform, .. } = self;
        let mut fields = out.debug_struct("Session");
        fields.field("kind", kind).field("realm", realm).field("assurance", assurance);
        fields.field("created_at", created_at).field("ends_at", ends_at).field("platform", platform);
        fields.finish_non_exhaustive()
    }
}

/// A session as the gateway holds it for a while. As long as its record does not change it stays the same `Arc`, so that
/// what is made from it (assertions) can be kept beside it.
#[derive(Debug)]
pub struct Live {
    /// Where the store has it.
    pub key: SessionKey,
    /// The record.
    pub session: Session,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn proof(assurance: Assurance, method: &str, seconds: u64) -> Proof {
        Proof { assurance, methods: vec![method.to_owned()], at: at(seconds) }
    }

    fn session() -> Session {
        let person = Person {
            subject: "0198".into(),
            kind: SubjectKind::Natural,
            realm: "accounts".into(),
            name: "李雷".into(),
        };
        let place = Place { device: "Firefox".into(), network: "203.0.113.0/24".into() };
        Session::begun(person, proof(Assurance::L2, "pwd", 100), place, at(9999))
    }

    #[test]
    fn a_later_weaker_proof_refreshes_no_stronger_one() {
        let mut session = session();
        session.prove(proof(Assurance::L3, "otp", 200));
        session.prove(proof(Assurance::L2, "pwd", 500));
        assert_eq!((session.assurance, session.authenticated_at), (Assurance::L3, at(500)));
        assert_eq!(session.methods, ["pwd", "otp"]);
        let minute = Some(Duration::from_secs(60));
        assert!(session.proves(Assurance::L2, minute, at(520)));
        assert!(!session.proves(Assurance::L3, minute, at(520)), "the proof of L3 is 320 s old");
        assert!(session.proves(Assurance::L3, None, at(520)));
        assert!(!session.proves(Assurance::L4, None, at(520)));
    }

    #[test]
    fn of_many_proofs_of_a_level_the_latest_stays() {
        let mut session = session();
        (0..100).for_each(|turn| session.prove(proof(Assurance::L1, "pwd", 200 + turn)));
        assert_eq!((session.proofs.len(), session.methods.len()), (2, 1));
        assert_eq!((session.assurance, session.authenticated_at), (Assurance::L2, at(299)));
    }
}
