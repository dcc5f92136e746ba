//! One call that has come through the door: who asks, and every part of what is asked, parsed.

use bytes::Bytes;

use super::caller::Caller;
use super::conditions::Conditions;
use super::fault::{Fault, errors, wrong};
use super::parameters::Values;
use crate::domain::{PlatformId, PrincipalId, Right, Timestamp};
use crate::registry::{Expected, Write};
use crate::written::{Document, Fields, Mistakes};

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    /// The id under which our log and the register's record know it.
    pub(super) request_id: String,
    pub(super) now: Timestamp,
    /// Of path and query.
    pub(super) values: Values,
    pub(super) conditions: Conditions,
    pub(super) body: Bytes,
}

impl Call {
    /// The platform of the path.
    pub(super) fn platform(&self) -> Result<PlatformId, Fault> {
        self.values.get("id").ok_or_else(|| Fault::NotFound("such platform".to_owned()))
    }

    /// Whether nothing is to be changed.
    pub(super) fn dry_run(&self) -> bool {
        self.values.text("dry_run") == Some("true")
    }

    /// What the register hears of it.
    pub(super) fn write(&self, expected: Expected) -> Write<'_> {
        Write {
            actor: &self.caller.actor,
            request_id: &self.request_id,
            now: self.now,
            expected,
            dry_run: self.dry_run(),
        }
    }

    /// The body, an object. `Err`: it is none.
    pub(super) fn document(&self) -> Result<Document, Fault> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        Document::json("body", body).map_err(|mistake| Fault::Syntax(vec![wrong(&mistake)]))
    }

    /// Reads the body, an object. `Err`: every mistake in it at once.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Fields<'_>) -> Option<T>) -> Result<T, Fault> {
        let document = self.document()?;
        let mistakes = Mistakes::default();
        let fields = document.fields(&mistakes);
        let value = read(&fields);
        fields.finish();
        let mistakes = mistakes.into_sorted();
        match value {
            Some(value) if errors(&mistakes).is_empty() => Ok(value),
            _ => Err(Fault::Body(errors(&mistakes))),
        }
    }

    pub(super) fn principal(&self) -> &PrincipalId {
        &self.caller.actor.principal
    }

    /// The refusal of a right on something.
    pub(super) fn lacks(&self, right: Right, object: impl Into<String>, hint: &'static str) -> Fault {
        Fault::Forbidden { right, principal: self.principal().clone(), object: object.into(), hint }
    }
}
