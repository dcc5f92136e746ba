//! What pingora calls, about in the order in which it does: hooks that lead to the files where the work is.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::HttpPeer;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session as Downstream};
use pingora::{Error, ErrorSource, ErrorType};

use super::connection::{self, Part, Watch};
use super::context::{Context, Inflight};
use super::fields::change_request;
use super::receive::Step;
use super::refusal::Refusal;
use super::{Gateway, answer, enter, exchange, finish, forward, framing, handover, inside};
use crate::domain::Timestamp;

const CONTINUE: bool = false;
const ANSWERED: bool = true;
const BY_THE_FRAME: bool = true;

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.ids.next())
    }

    /// None: the frame's compression module would look at every request for nothing.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<()> {
        ctx.inflight = Some(Inflight::enter(&self.parts.metrics.inflight));
        let limits = &self.parts.limits;
        if downstream.is_http2() || limits.rate_bytes_min == 0 {
            downstream.set_write_timeout(Some(limits.body_idle)); // else the guard's least rate cuts sooner, and costs no timer
        }
        downstream.set_total_drain_timeout(Some(limits.body_idle));
        if downstream.get_keepalive().is_some() {
            downstream.set_keepalive(Some(0)); // no limit of the frame's own, and no timer for it: the guard ends idle connections
        }
        enter(downstream, Part::Answer);
        Ok(())
    }

    async fn request_filter(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<bool> {
        let received = AssertUnwindSafe(self.receive(downstream, ctx)).catch_unwind().await;
        let step = received.unwrap_or_else(|_| {
            self.parts.metrics.panics.inc();
            Err(Refusal::Internal)
        });
        match step {
            Ok(Step::Forward) => return Ok(CONTINUE),
            Ok(Step::Inside) => {
                // In boxes of their own, so that the way of every proxied request stays small in memory.
                if let Err(refusal) = Box::pin(inside::answer(&self.parts, downstream, ctx)).await? {
                    Box::pin(self.refuse(downstream, ctx, refusal)).await?;
                }
            }
            Ok(Step::Handover) => {
                if let Err(refusal) = Box::pin(handover::answer(&self.parts, downstream, ctx)).await? {
                    Box::pin(self.refuse(downstream, ctx, refusal)).await?;
                }
            }
            Ok(Step::Redirect(location)) => {
                let id = ctx.request_id;
                Box::pin(answer::redirect(downstream, 307, &location, id.as_str(), self.parts.https)).await?;
            }
            Err(refusal) => Box::pin(self.refuse(downstream, ctx, refusal)).await?,
        }
        Ok(ANSWERED)
    }

    async fn proxy_upstream_filter(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<bool> {
        if !exchange::is_for(downstream.req_header(), ctx) {
            return Ok(BY_THE_FRAME);
        }
        self.exchange(downstream, ctx).await?;
        Ok(!BY_THE_FRAME)
    }

    async fn request_body_filter(
        &self,
        downstream: &mut Downstream,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        if end {
            enter(downstream, Part::Answer);
        }
        let Some(visit) = &ctx.visit else { return Ok(()) };
        ctx.body_bytes += body.as_ref().map_or(0, |chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        let limit = visit.route().map_or(0, |route| route.body_bytes_max);
        if ctx.body_bytes > limit && !visit.upgrade {
            ctx.refusal = Some(Refusal::BodyTooLarge);
            return Error::e_explain(ErrorType::HTTPStatus(413), "body over the route's limit");
        }
        Ok(())
    }

    async fn upstream_peer(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<Box<HttpPeer>> {
        let (instance, address) = self.choose(downstream, ctx).await?;
        Ok(forward::way_to(&instance, address, ctx))
    }

    async fn connected_to_upstream(
        &self,
        _downstream: &mut Downstream,
        reused: bool,
        _peer: &HttpPeer,
        #[cfg(unix)] _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        if !reused {
            self.connected(ctx);
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        downstream: &mut Downstream,
        _peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        self.not_connected(downstream, ctx, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        downstream: &mut Downstream,
        error: Box<Error>,
        ctx: &mut Context,
        reused: bool,
    ) -> Box<Error> {
        self.broken_off(downstream, ctx, error, reused)
    }

    async fn upstream_request_filter(
        &self,
        downstream: &mut Downstream,
        request: &mut RequestHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        change_request(request, |parts| self.dress(&mut parts.headers, downstream, ctx))
    }

    async fn response_filter(
        &self,
        _downstream: &mut Downstream,
        answer: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        self.answered(answer, ctx)
    }

    /// Trailers may say no more than header fields may.
    fn upstream_response_trailer_filter(
        &self,
        _downstream: &mut Downstream,
        trailers: &mut HeaderMap,
        _ctx: &mut Context,
    ) -> pingora::Result<()> {
        answer::drop_what_is_ours(trailers);
        trailers.remove(SET_COOKIE); // no browser keeps one from there, and it would pass by what settles cookies
        Ok(())
    }

    fn response_body_filter(
        &self,
        downstream: &mut Downstream,
        body: &mut Option<Bytes>,
        end: bool,
        ctx: &mut Context,
    ) -> pingora::Result<Option<Duration>> {
        let rate = self.parts.limits.rate_bytes_min;
        if rate > 0
            && downstream.is_http2()
            && let Some(chunk) = body
        {
            // The guard cuts a connection on which all waits for the visitor; this ends one stream among others.
            downstream.set_write_timeout(Some(connection::time_to_read(chunk.len(), rate)));
        }
        if end { Ok(None) } else { answer::in_time(ctx).map(|()| None) }
    }

    async fn fail_to_proxy(&self, downstream: &mut Downstream, error: &Error, ctx: &mut Context) -> FailToProxy {
        let cut = Watch::of(downstream.digest()).is_some_and(Watch::was_cut);
        let refusal = ctx.refusal.take().unwrap_or_else(|| if cut { Refusal::BodyTimeout } else { refusal_of(error) });
        let (status, code) = refusal.status_and_code();
        // The frame's own words name addresses and header text, so only the kind of error goes into the log.
        tracing::info!(
            request_id = ctx.request_id.as_str(),
            code,
            kind = error.etype().as_str(),
            "request not answered by a platform"
        );
        let visitor_left = !cut
            && *error.esource() == ErrorSource::Downstream
            && matches!(error.etype(), ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed);
        if visitor_left || downstream.response_written().is_some() {
            // Too late for an answer: the connection ends, so that half a body is not taken for a whole one.
            ctx.refusal = Some(refusal);
            return FailToProxy { error_code: if visitor_left { 0 } else { status }, can_reuse_downstream: false };
        }
        downstream.set_keepalive(None);
        if let Err(fault) = self.refuse(downstream, ctx, refusal).await {
            tracing::debug!(kind = fault.etype().as_str(), "visitor left before the answer");
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    /// The frame would log addresses, paths and queries; `fail_to_proxy` and the access log say what may be said.
    fn suppress_error_log(&self, _downstream: &Downstream, _ctx: &Context, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _downstream: &Downstream,
        _ctx: &Context,
        _error: &Error,
        _context: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    async fn logging(&self, downstream: &mut Downstream, _error: Option<&Error>, ctx: &mut Context) {
        let ended = finish::finish(downstream, ctx, &self.nobody, Some(&self.access_log), self.parts.log.access);
        // What still comes on a connection that is about to be closed is the rest of a body, not another request.
        if downstream.get_keepalive().is_some()
            && let Some(watch) = Watch::of(downstream.digest())
        {
            watch.answered(ended);
        }
    }
}

/// What both ways to a platform have in common: the frame's, and the short one (`exchange`).
impl Gateway {
    pub(super) fn connected(&self, ctx: &Context) {
        if let Some(forwarded) = ctx.forwarded {
            self.phases.connect.observe(forwarded.elapsed().as_secs_f64());
        }
    }

    /// Makes the request of a try out of the visitor's.
    pub(super) fn dress(
        &self,
        fields: &mut HeaderMap,
        downstream: &Downstream,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        (ctx.refusal, ctx.body_bytes) = (None, 0); // of an earlier try
        let proto = if self.parts.https { "https" } else { "http" };
        match &ctx.visit {
            Some(visit) => forward::dress(fields, visit, ctx, Watch::of(downstream.digest()), proto),
            None => Ok(()),
        }
    }

    /// Makes the answer out of an instance's.
    pub(super) fn answered(&self, answer: &mut ResponseHeader, ctx: &mut Context) -> pingora::Result<()> {
        let (Some(visit), Some(instance)) = (&ctx.visit, ctx.tried.last()) else { return Ok(()) };
        // A visitor who did not ask to switch would read whatever follows as an answer to the next request.
        let unasked = answer.status == StatusCode::SWITCHING_PROTOCOLS && !visit.upgrade;
        if unasked || !framing::is_clear(answer) {
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "answer with two meanings").into_up());
        }
        if let Some(forwarded) = ctx.forwarded.take() {
            self.phases.first_byte.observe(forwarded.elapsed().as_secs_f64());
        }
        visit.standing.counters.upstream_ok.inc();
        if instance.breaker.answered(Timestamp::now) {
            visit.standing.show(instance, Timestamp::now());
        }
        answer::dress(answer, visit, ctx, self.parts.https);
        Ok(())
    }
}

fn refusal_of(error: &Error) -> Refusal {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(413)) => Refusal::BodyTooLarge,
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Refusal::BodyTimeout,
        (ErrorSource::Downstream, _) => Refusal::BadRequest,
        (_, ErrorType::ReadTimedout | ErrorType::WriteTimedout) => Refusal::PlatformTimeout,
        (ErrorSource::Upstream, ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 | ErrorType::H2Error) => {
            Refusal::PlatformGarbled
        }
        (ErrorSource::Upstream, _) => Refusal::PlatformReset,
        _ => Refusal::Internal,
    }
}
