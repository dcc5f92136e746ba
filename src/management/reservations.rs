//! Reservations: which hosts and path prefixes a platform may file.

use http::Method;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::{Kind, Parameter};
use super::proposals;
use crate::domain::Right;
use crate::registry::{Expected, Reserved};

const TAG: &str = "Reservations";
const PATH: &str = "/v1/filings/{id}/reservations";
const ID: Parameter = Parameter::required("id", Kind::Platform, "Id of the platform; it need not be filed yet.");
const PLACE: [Parameter; 2] = [
    Parameter::optional("host", Kind::Host, "The portal's when absent."),
    Parameter::required("prefix", Kind::Path, "A path prefix, on segments; `/` is the whole host."),
];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(PATH, "listReservations", "Reservations", list)
            .says(TAG, "Places reserved to a platform")
            .needs(Right::Read)
            .of(&[ID]),
        Operation::new(Method::POST, PATH, "reserve", "Reservation", reserve)
            .says(TAG, "Reserve a host and path prefix, or propose to")
            .about(
                "`/330200/…` on the portal's hosts is division 330200's own, and reserved at once. Any other place is a name in the \
                 whole country: it is proposed, and an operator of the nation approves. The same again changes nothing.",
            )
            .needs(Right::Reserve)
            .of(&[ID])
            .takes(Takes::Json("NewReservation"))
            .proposes()
            .fails(&[409]),
        Operation::new(Method::DELETE, PATH, "release", "Reservations", release)
            .says(TAG, "Take a reservation back; answers those that are left")
            .about("What is in force there goes on; it can no more be filed.")
            .needs(Right::Reserve)
            .of(&[ID])
            .asks(&PLACE)
            .fails(&[409, 422]),
    ]
}

async fn list(management: Management, call: Call) -> Result<Answer, Fault> {
    let entries = management.register.reservations(&call.caller.actor, &call.platform()?).await?;
    Ok(Answer::of(&serde_json::json!({ "entries": entries })))
}

async fn reserve(management: Management, call: Call) -> Result<Answer, Fault> {
    let id = call.platform()?;
    let (host, prefix) = call.read(|fields| {
        let host = fields.parsed::<String>("host", "a host in lower case, without port");
        Some((host, fields.required::<String>("prefix", "a path prefix such as /weather")?))
    })?;
    let write = call.write(Expected::Any);
    match management.register.reserve(&write, &id, host.as_deref(), &prefix).await? {
        Reserved::Done(made) => Ok(Answer::of(&made)),
        Reserved::Proposed(row) => proposals::proposed(&management, &call, &row).await,
    }
}

async fn release(management: Management, call: Call) -> Result<Answer, Fault> {
    let id = call.platform()?;
    let (host, prefix) = (call.values.text("host"), call.values.text("prefix").unwrap_or_default());
    management.register.release(&call.write(Expected::Any), &id, host, prefix).await?;
    list(management, call).await
}
