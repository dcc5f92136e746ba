//! A client sends a person here to sign out (OpenID Connect RP-Initiated Logout 1.0). Without asking, only whoever shows the ID token
//! of this very session ends it; everybody else is asked by a page of ours. Afterwards the browser goes to an address that the
//! client has filed, byte by byte, or stays here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::client::Known;
use super::grant::FAREWELL;
use super::parameters::Parameters;
use super::{Issuer, Refused, address};
use crate::domain::Timestamp;
use crate::session::{Live, SessionId};

const PARAMETERS: [&str; 5] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales"];

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The session ends without a question.
    Ends {
        /// Where the browser goes then; `None`: it stays.
        then: Option<String>,
    },
    /// The person is asked first.
    Asks {
        /// What the form brings back.
        kept: String,
        /// The platform that asks, in Chinese and English, if it is known.
        platform: Option<(String, String)>,
    },
    /// Nobody is signed in.
    Over {
        /// Where the browser goes then; `None`: it stays.
        then: Option<String>,
    },
}

/// What the form of the question brings back.
#[derive(Serialize, Deserialize)]
struct Kept {
    then: Option<String>,
}

impl Issuer {
    /// What follows for a sign-out request. `asked`: its query or form.
    pub async fn farewell(
        &self,
        asked: &[u8],
        session: Option<&Arc<Live>>,
        now: Timestamp,
    ) -> Result<Farewell, Refused> {
        let asked = Parameters::long(asked, &PARAMETERS).map_err(|_| Refused::Unreadable)?;
        let hint = match asked.get("id_token_hint") {
            Some(hint) => Some(self.hint(hint, now).ok_or(Refused::BadHint)?),
            None => None,
        };
        let named = asked.get("client_id");
        if let (Some(hint), Some(named)) = (&hint, named)
            && hint.aud != named
        {
            return Err(Refused::BadHint);
        }
        let client = hint.as_ref().map(|hint| hint.aud.as_str()).or(named);
        let known = client.map(|client| self.known(client)).transpose()?;
        let then = after(known.as_ref(), &asked)?;
        let Some(live) = session else { return Ok(Farewell::Over { then }) };
        let sid = hint.as_ref().and_then(|hint| hint.sid.as_deref()).and_then(SessionId::parse);
        let own = match sid {
            Some(sid) => self.store().signed_on(&sid.key(), now).await? == Some(live.key),
            None => false,
        };
        if own {
            return Ok(Farewell::Ends { then });
        }
        let platform = known.map(|known| (known.platform.name.to_string(), known.platform.name_en.to_string()));
        let kept = self.sealed(&FAREWELL, &Kept { then }).ok_or(Refused::Internal)?;
        Ok(Farewell::Asks { kept, platform })
    }

    /// Where the browser goes after the person said yes, from what the form brought back.
    pub fn after_farewell(&self, kept: &str) -> Result<Option<String>, Refused> {
        self.opened::<Kept>(&FAREWELL, kept).map(|kept| kept.then).ok_or(Refused::Over)
    }
}

/// Where the browser goes: a filed address of a client that we know, or nowhere. Anything else would make us a signpost to
/// anywhere.
fn after(known: Option<&Known>, asked: &Parameters) -> Result<Option<String>, Refused> {
    let Some(wanted) = asked.get("post_logout_redirect_uri") else { return Ok(None) };
    let client = known.and_then(Known::client).ok_or(Refused::AddressNotFiled)?;
    if !client.post_logout_redirect_uris.iter().any(|filed| **filed == *wanted) {
        return Err(Refused::AddressNotFiled);
    }
    Ok(Some(address::with(wanted, &[("state", asked.get("state"))])))
}
