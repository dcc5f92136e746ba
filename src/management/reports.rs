//! What auditors and operators read: platforms that nobody needs, and those that do the same.

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::fault::Fault;
use super::operation::Operation;
use super::parameters::{Kind, Parameter};
use crate::domain::{DivisionCode, PlatformId, Right};
use crate::registry::Filter;

const TAG: &str = "Reports";
/// Days without a success that make a zombie when nothing is said: a quarter, in which every yearly or quarterly service that
/// named no season was of use to somebody.
const IDLE_DAYS: u32 = 90;

const DIVISION: Parameter = Parameter::optional("division", Kind::Division, "Of this division and all below it.");
const IDLE: Parameter = Parameter::optional(
    "idle_days",
    Kind::Number { least: 1, most: 390 },
    "So many days of its season without a success make a zombie; 90 when absent. Days are kept for 396.",
);

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/v1/reports/zombies", "listZombies", "ZombiePage", zombies)
            .says(TAG, "Platforms out of which nobody got anything, and all that speaks against each")
            .about("A platform is judged from the day on which it was first filed here. A page may be empty and have a `next`.")
            .asks(&[DIVISION, IDLE])
            .paged()
            .needs(Right::Read),
        Operation::get("/v1/reports/overlaps", "listOverlaps", "OverlapPage", overlaps)
            .says(TAG, "Two platforms for one item and division: who answers, and who stands by")
            .about("As the node that is asked has it. A page may be empty and have a `next`; all of one platform, 500 at most, stand on one.")
            .asks(&[DIVISION])
            .paged()
            .needs(Right::Read),
    ]
}

async fn zombies(management: Management, call: Call) -> Result<Answer, Fault> {
    let (filter, after) = asked(&call)?;
    let idle_days = call.values.get::<u32>("idle_days").unwrap_or(IDLE_DAYS);
    let (actor, limit) = (&call.caller.actor, call.values.limit());
    let page = management.register.zombies(actor, &filter, idle_days, after.as_ref(), limit, call.now).await?;
    Ok(Answer::page(&page.entries, page.next.as_ref().map(PlatformId::as_str)))
}

async fn overlaps(management: Management, call: Call) -> Result<Answer, Fault> {
    let (filter, after) = asked(&call)?;
    let (actor, limit) = (&call.caller.actor, call.values.limit());
    let page = management.register.overlaps(actor, &filter, after.as_ref(), limit, call.now).await?;
    Ok(Answer::page(&page.entries, page.next.as_ref().map(PlatformId::as_str)))
}

fn asked(call: &Call) -> Result<(Filter, Option<PlatformId>), Fault> {
    let filter = Filter { division: call.values.get::<DivisionCode>("division"), ..Filter::default() };
    Ok((filter, call.values.cursor()?))
}
