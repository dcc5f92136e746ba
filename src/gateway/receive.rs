//! The first four steps in their order: arrive, admit, resolve, protect; and the place at the platform, which is taken last, so
//! that nothing is held while a session is looked up.

use std::time::Instant;

use http::header::COOKIE;
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;
use pingora::proxy::Session as Downstream;

use super::admit::BodySize;
use super::connection::Part;
use super::context::{Context, Visit};
use super::queue::Priority;
use super::rate::Asks;
use super::refusal::Refusal;
use super::resolve::Resolved;
use super::waiting_room::Turn;
use super::{Gateway, admit, arrive, canary, enter, forward, handover, protect, resolve, siblings};
use crate::domain::Timestamp;
use crate::portal::region_of;
use crate::routing::Access;

/// What follows when nothing speaks against a request.
pub(super) enum Step {
    Forward,
    Inside,
    /// A step on the way to a platform's origin.
    Handover,
    Redirect(String),
}

impl Gateway {
    /// What follows for the request, or why not.
    pub(super) async fn receive(&self, downstream: &mut Downstream, ctx: &mut Context) -> Result<Step, Refusal> {
        let seems_known = |headers: &HeaderMap| matches!(protect::session_id(headers), Ok(Some(_)));
        self.has_room(downstream.req_header(), seems_known)?;
        let peer = downstream.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
        ctx.client = arrive::client(peer, downstream.req_header(), &self.parts.trusted_proxies);
        let size = match admit::admit(downstream.req_header_mut(), &self.parts.limits)? {
            BodySize::Known(0) if downstream.is_http2() && !downstream.is_body_empty() => BodySize::Streamed,
            size => size,
        };
        let table = self.parts.routes.snapshot();
        let header = downstream.req_header();
        let asked = self.parts.origins.as_ref().map(|origins| origins.asked(header));
        let asked = asked.as_ref();
        if asked.is_some_and(|asked| asked.reserves(header.uri.path())) {
            return Ok(Step::Handover);
        }
        let region = || {
            region_of(header.headers.get_all(COOKIE).iter().map(http::HeaderValue::as_bytes))
                .map(|code| code.to_string())
        };
        let (zone, metrics) = (self.parts.zone, &self.parts.metrics);
        let resolved = resolve::resolve(header, &table, zone, &self.standings, metrics, asked, region)?;
        let (mut visit, gateway) = match resolved {
            Resolved::Forward(visit) => (visit, false),
            Resolved::Gateway(visit) => (visit, true),
            Resolved::Redirect(location) => return Ok(Step::Redirect(location)),
            Resolved::Elsewhere(visit, address) => {
                let address = self.way_there(header, &visit, address);
                ctx.visit = Some(visit);
                return Err(Refusal::OtherOrigin(address));
            }
        };
        if asked.is_some()
            && !gateway
            && siblings::borrows_cookies(&header.method, &header.headers, || self.origin(header))
        {
            downstream.req_header_mut().remove_header(&COOKIE);
        }
        let route = visit.route().ok_or(Refusal::Internal)?;
        let (body_bytes_max, websocket) = (route.body_bytes_max, route.websocket);
        let open = route.access == Access::Open;
        let is_handover = gateway && downstream.req_header().uri.path() == handover::HANDOVER;
        let resolved_at = Instant::now();
        self.phases.policy.observe((resolved_at - ctx.arrived).as_secs_f64());
        let header = downstream.req_header();
        let limited = self.limited(&mut visit, ctx, header, false).await;
        let mut admitted = match limited {
            Ok(()) => protect::protect(&header.headers, &mut visit, &self.parts.sessions, ctx.now).await,
            refused => refused,
        };
        if admitted.is_ok() {
            // Again, now that we know: a cookie that opens no session is no reason to be kept.
            admitted = self.has_room(header, |_| visit.session.is_some());
        }
        if admitted.is_ok() {
            admitted = self.limited(&mut visit, ctx, header, true).await;
        }
        let authority = (self.parts.authority, &**table.divisions());
        if admitted.is_ok() && protect::asks_more(&visit, authority) {
            // In a box: most requests go without.
            admitted = Box::pin(protect::released(&visit, &self.parts.people, authority, ctx.now)).await;
        }
        // The clock is read as seldom as the figures allow: an open route is let through in the instant it is found.
        ctx.forwarded = Some(resolved_at);
        if !open {
            let known_at = Instant::now();
            self.phases.session.observe((known_at - resolved_at).as_secs_f64());
            ctx.forwarded = Some(known_at);
        }
        visit.bodiless = size == BodySize::Known(0);
        if !visit.bodiless || websocket {
            downstream.set_read_timeout(Some(self.parts.limits.body_idle));
        }
        if !visit.bodiless {
            enter(downstream, Part::Body);
        }
        if let Some(canary) = visit.standing.canary() {
            visit.canary = canary::chosen(canary, &visit, &downstream.req_header().headers, ctx.client);
        }
        // What is sent by a WebSocket is not counted, so nothing that is may come with the wish for one.
        visit.upgrade = forward::settle_upgrade(downstream.req_header_mut(), websocket && visit.bodiless);
        let mut step = admitted.and_then(|()| {
            if matches!(size, BodySize::Known(length) if length > body_bytes_max) {
                return Err(Refusal::BodyTooLarge);
            }
            if gateway {
                let handover = self.parts.origins.is_some() && is_handover;
                return Ok(if handover { Step::Handover } else { Step::Inside });
            }
            self.take_place(&mut visit, downstream.req_header(), ctx.now)?;
            protect::introduce(&mut visit, &self.parts.assertions, &self.parts.usage, ctx.now)?;
            Ok(Step::Forward)
        });
        if matches!(step, Err(Refusal::PlatformBusy)) {
            let header = downstream.req_header();
            let priority = Priority::of(visit.session.is_some(), &header.method, &header.headers);
            // In a box of its own, so that the way of a request that need not wait stays small in memory.
            step = match Box::pin(self.queues.wait(&mut visit.standing, priority)).await {
                Ok(()) => {
                    if let Some(turn) = self.turn(&visit, header, ctx.now) {
                        visit.standing.counters.room.admit(turn);
                    }
                    (ctx.now, ctx.forwarded) = (Timestamp::now(), Some(Instant::now()));
                    protect::introduce(&mut visit, &self.parts.assertions, &self.parts.usage, ctx.now)
                        .map(|()| Step::Forward)
                }
                Err(refusal) => Err(self.waiting_room(&visit, header, ctx.now).unwrap_or(refusal)),
            };
        }
        ctx.visit = Some(visit); // also for refusals: they count for the platform that was asked for
        step
    }

    /// Takes a place at the platform. While people wait for a page, one who is not signed in gets a page in turn only.
    fn take_place(&self, visit: &mut Visit, header: &RequestHeader, now: Timestamp) -> Result<(), Refusal> {
        if visit.standing.counters.room.is_empty() {
            return visit.standing.take();
        }
        let (turn, free) = (self.turn(visit, header, now), visit.standing.free());
        let in_turn = visit.session.is_none() && opens_page(header);
        if in_turn && !visit.standing.counters.room.is_turn_of(turn, free, now) {
            return Err(Refusal::PlatformBusy);
        }
        visit.standing.take()?;
        if let Some(turn) = turn {
            visit.standing.counters.room.admit(turn);
        }
        Ok(())
    }

    /// The visitor's ticket for the platform's waiting room, when a page is asked for and anybody waits there.
    fn turn(&self, visit: &Visit, header: &RequestHeader, now: Timestamp) -> Option<Turn> {
        let asks = !visit.standing.counters.room.is_empty() && opens_page(header);
        asks.then(|| self.tickets.read(&header.headers, &visit.platform.id, now)).flatten()
    }

    /// The waiting room, for a person who opens a page; `None` for others, and when it is full.
    fn waiting_room(&self, visit: &Visit, header: &RequestHeader, now: Timestamp) -> Option<Refusal> {
        if !opens_page(header) {
            return None;
        }
        let turn = self.tickets.read(&header.headers, &visit.platform.id, now);
        let wait = visit.standing.counters.room.enter(&self.tickets, turn, &visit.platform.id, now)?;
        Some(Refusal::WaitingRoom(Box::new(wait)))
    }

    /// Whether this gateway may work on one more request of such a priority.
    fn has_room(&self, header: &RequestHeader, known: impl FnOnce(&HeaderMap) -> bool) -> Result<(), Refusal> {
        let priority = || Priority::of(known(&header.headers), &header.method, &header.headers);
        self.queues.admit(self.parts.metrics.inflight.get(), priority)
    }

    /// Counts the request for the rate policies; `known`: those by person.
    async fn limited(
        &self,
        visit: &mut Visit,
        ctx: &Context,
        header: &RequestHeader,
        known: bool,
    ) -> Result<(), Refusal> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let asks = Asks { client: ctx.client, path: header.uri.path(), now: ctx.now };
        Box::pin(rates.count(visit, &asks, known)).await // in a box: where no policy is set, nobody has room for it
    }

    /// Where an address leads that belongs to another origin: by the hand-over where a session may be of use there.
    fn way_there(&self, header: &RequestHeader, visit: &Visit, address: String) -> String {
        let Some(origins) = &self.parts.origins else { return address };
        let optional = visit.route().is_some_and(|route| route.access == Access::Optional);
        let known = || matches!(protect::session_id(&header.headers), Ok(Some(_)));
        let enters = !visit.platform.trusted && optional && origins.asked(header).own.is_none();
        if enters && protect::is_top_level(&header.method, &header.headers) && known() {
            return origins.at_platform(&visit.platform.id, &handover::entrance(resolve::target(header)));
        }
        address
    }

    /// The origin that was asked, as a browser names it.
    fn origin(&self, header: &RequestHeader) -> String {
        let (scheme, default) = if self.parts.https { ("https://", ":443") } else { ("http://", ":80") };
        let host = admit::host_field(header);
        [scheme, host.strip_suffix(default).unwrap_or(host)].concat()
    }
}

/// Whether a person's browser opens a page of its own.
fn opens_page(header: &RequestHeader) -> bool {
    header.method == Method::GET
        && protect::wants_page(&header.headers)
        && protect::is_top_level(&header.method, &header.headers)
}
