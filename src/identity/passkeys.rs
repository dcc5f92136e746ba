//! Passkeys (WebAuthn level 3), by `webauthn-rs`. Discoverable credentials, so that nobody types who they are and no page tells
//! whether an account has one; user verification always, so that one passkey is two factors (something had, and a finger, face or
//! PIN); no attestation, which would tell us of people's devices and would not make us surer of the person.
//! What the browser is asked is a challenge in the page; what we expect lies aside, sealed, for minutes, and is taken once.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use super::error::IdentityError;
use super::factors::{FactorError, Factors, new_row};
use crate::domain::Timestamp;
use crate::store::{FactorKind, FactorRow};

/// The verifier of one origin.
#[derive(Debug)]
pub(super) struct Passkeys(Webauthn);

impl Passkeys {
    /// `None` for an origin whose host is an address: a passkey belongs to a name.
    pub(super) fn of(origin: &str) -> Result<Option<Self>, IdentityError> {
        let Ok(url) = origin.parse::<Url>() else { return Ok(None) };
        let Some(host) = url.domain() else { return Ok(None) };
        let built = WebauthnBuilder::new(host, &url).and_then(|builder| builder.rp_name("一门 Yimen").build());
        built.map(|webauthn| Some(Self(webauthn))).map_err(|_| IdentityError::Crypto("preparing passkeys"))
    }
}

/// What a passkey that is being set must answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setting(PasskeyRegistration);

/// What a passkey that is being shown must answer.
#[derive(Debug, Serialize, Deserialize)]
pub struct Showing(DiscoverableAuthentication);

fn refused(error: impl std::fmt::Display) -> FactorError {
    FactorError::Passkey(error.to_string())
}

fn written(error: serde_json::Error) -> FactorError {
    refused(error)
}

impl Factors {
    fn verifier(&self) -> Result<&Webauthn, FactorError> {
        self.passkeys.as_ref().map(|passkeys| &passkeys.0).ok_or_else(|| refused("this site's address is no name"))
    }

    /// What the browser is asked to set a passkey for an account, as JSON, and what to put aside.
    pub async fn begin_passkey(&self, account: Uuid, login: &str, name: &str) -> Result<(Value, Setting), FactorError> {
        let rows = self.durable.factors(account).await?;
        let known = rows.iter().filter_map(|row| Some(passkey(row)?.cred_id().clone())).collect();
        let begun = self.verifier()?.start_passkey_registration(account, login, name, Some(known)).map_err(refused)?;
        let mut asked = serde_json::to_value(&begun.0).map_err(written)?;
        if let Some(selection) = asked.pointer_mut("/publicKey/authenticatorSelection") {
            // The library leaves it to the authenticator; without it nobody could sign in by passkey alone.
            selection["residentKey"] = json!("required");
            selection["requireResidentKey"] = json!(true);
        }
        Ok((asked, Setting(begun.1)))
    }

    /// Sets the passkey that answered.
    pub async fn set_passkey(
        &self,
        account: Uuid,
        setting: &Setting,
        answer: &str,
        label: &str,
        now: Timestamp,
    ) -> Result<(), FactorError> {
        let answer: RegisterPublicKeyCredential = serde_json::from_str(answer).map_err(written)?;
        let made = self.verifier()?.finish_passkey_registration(&answer, &setting.0).map_err(refused)?;
        let content = serde_json::to_string(&made).map_err(written)?;
        let handle = Some(hex(made.cred_id()));
        self.insert(FactorRow { handle, ..new_row(account, FactorKind::Passkey, label, content, now) }).await
    }

    /// What the browser is asked to show a passkey, as JSON, and what to put aside.
    pub fn ask_passkey(&self) -> Result<(Value, Showing), FactorError> {
        let (asked, state) = self.verifier()?.start_discoverable_authentication().map_err(refused)?;
        let mut asked = serde_json::to_value(&asked).map_err(written)?;
        if let Some(asked) = asked.as_object_mut() {
            asked.remove("mediation"); // asked for by a button, not by a field
        }
        Ok((asked, Showing(state)))
    }

    /// Whose passkey answered, if it is one of ours and answered what it was asked. `Ok(None)`: it is not.
    pub async fn check_passkey(
        &self,
        showing: Showing,
        answer: &str,
        now: Timestamp,
    ) -> Result<Option<Uuid>, FactorError> {
        let Ok(answer) = serde_json::from_str::<PublicKeyCredential>(answer) else { return Ok(None) };
        let verifier = self.verifier()?;
        let Ok((account, handle)) = verifier.identify_discoverable_authentication(&answer) else { return Ok(None) };
        let handle = hex(handle);
        let rows = self.durable.factors(account).await?;
        let Some(row) = rows.iter().find(|row| row.handle.as_deref() == Some(&handle)) else { return Ok(None) };
        let mut known = passkey(row).ok_or_else(|| refused("it cannot be read"))?;
        let key = DiscoverableKey::from(&known);
        let shown = match verifier.finish_discoverable_authentication_v2(&answer, showing.0, &key) {
            Ok(shown) if shown.user_verified() => shown,
            _ => return Ok(None), // also a counter that went back: perhaps a copy of the authenticator
        };
        known.update_credential(&shown);
        let content = serde_json::to_string(&known).map_err(written)?;
        Ok(self.durable.keep_factor(row.id, &content, now).await?.then_some(account))
    }
}

fn passkey(row: &FactorRow) -> Option<Passkey> {
    (row.kind == FactorKind::Passkey).then(|| serde_json::from_str(&row.content).ok()).flatten()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
