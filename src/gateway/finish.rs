//! The last step: one count, one observation, one line.

use std::time::Instant;

use pingora::proxy::Session as Downstream;

use super::access_log::Line;
use super::context::Context;
use super::counters::Counters;
use crate::config::AccessLog as Which;

/// What one finished request leaves behind. Returns when it was finished.
pub(crate) fn finish(
    downstream: &Downstream,
    ctx: &Context,
    nobody: &Counters,
    log: Option<&super::access_log::AccessLog>,
    which: Which,
) -> Instant {
    let status = downstream.response_written().map_or(0, |answer| answer.status.as_u16());
    let counters = ctx.visit.as_ref().map_or(nobody, |visit| &visit.standing.counters);
    let ended = Instant::now();
    let elapsed = ended - ctx.arrived;
    let method = &downstream.req_header().method;
    counters.count(method, status);
    counters.duration.observe(elapsed.as_secs_f64());
    let wanted = which == Which::All || (which == Which::Errors && !(100..400).contains(&status));
    let Some(log) = log.filter(|_| wanted) else { return ended };
    let visit = ctx.visit.as_ref();
    log.write(&Line {
        now: ctx.now,
        request_id: ctx.request_id.as_str(),
        client: ctx.client,
        method: if method.as_str().len() <= 16 { method.as_str() } else { "other" },
        platform: visit.map_or("", |visit| visit.platform.id.as_str()),
        route: visit.and_then(|visit| visit.route()).map_or("", |route| &route.name),
        level: visit.map_or("", |visit| visit.level.word()),
        status,
        code: ctx.refusal.as_ref().map_or("", |refusal| refusal.status_and_code().1),
        bytes: downstream.body_bytes_sent(),
        duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
    });
    ended
}
