//! Whether a person is asked before a client learns who they are: where something of them would leave for a platform outside the
//! authority that runs the gateway, and they have not agreed. It is the same question, and the same answer, as for a platform behind
//! the proxy; where nothing leaves but a name of its own, nobody is asked, whatever `prompt` says.

use super::client::Known;
use super::request::Request;
use super::{Issuer, Refused};
use crate::domain::Timestamp;
use crate::identity::{self, Subject};
use crate::routing::Scope;
use crate::session::Session;

/// What of the attributes that the platform filed this request asks for.
pub(super) fn asked(known: &Known, request: &Request) -> Vec<Box<str>> {
    let asks = |word: &str| match word {
        "name" => request.name,
        "phone" => request.scopes.contains(&Scope::Phone),
        "actor" => true, // who acts is part of whom a token is about
        _ => false,      // no scope is for an identity number
    };
    known.platform.attributes.iter().filter(|word| asks(word)).cloned().collect()
}

/// Who a session speaks for.
pub(super) fn subject(session: &Session) -> Subject<'_> {
    Subject {
        id: &session.subject,
        kind: session.kind,
        name: &session.name,
        personal: &session.personal,
        represented: session.represented.as_ref(),
    }
}

impl Issuer {
    /// Whether the person has to be asked first.
    pub(super) async fn asks_for_consent(
        &self,
        known: &Known,
        request: &Request,
        session: &Session,
        now: Timestamp,
    ) -> Result<bool, Refused> {
        let platform = &known.platform;
        let leaves = identity::leaves(session.represented.is_some(), &asked(known, request));
        let own = platform.is_of(self.authority, self.routes.snapshot().divisions());
        let asks_anyway = known.client().is_some_and(|client| client.consent);
        if !leaves || own && !asks_anyway {
            return Ok(false);
        }
        if request.consent {
            return Ok(true); // the way back from the page comes without this wish
        }
        Ok(!self.people.consents_to(&session.subject, &platform.id, &platform.attributes, now).await?)
    }

    /// Whether the role that the session acts in holds, if it acts in one.
    pub(super) async fn role_holds(&self, session: &Session, now: Timestamp) -> Result<bool, Refused> {
        match &session.represented {
            Some(represented) => Ok(self.people.role_holds(represented, now).await?),
            None => Ok(true),
        }
    }
}
