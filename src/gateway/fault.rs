//! What went wrong with one try at an instance, and whether the request may be tried again.
//! Tried again is what was not sent at all (any method), and what the platform took but did not answer when the method is
//! idempotent (RFC 9110 section 9.2.2: GET, HEAD, OPTIONS, PUT, DELETE) and its body is still at hand whole: a POST of which
//! a byte may have gone out is never sent twice. At most `limits.retries_max` times, within the platform's budget (`retry.rs`).
//! Nobody waits for a second deadline: what ran into the first-byte deadline is not tried again, nor is an answer that is no
//! HTTP. Overriding the frame's `error_while_proxy` drops its own rule, so all of that rule stands here again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use pingora::proxy::Session as Downstream;
use pingora::{Error, ErrorSource, ErrorType};

use super::context::Context;
use super::instance::Instance;
use super::refusal::Refusal;
use super::{Gateway, forward};
use crate::domain::Timestamp;

/// What an instance did with a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: refused, or no such name. Nothing was sent.
    Connect,
    /// No TLS, or a certificate that nobody we believe vouches for. Nothing was sent.
    Untrusted,
    /// No connection within its deadline. Nothing was sent.
    ConnectTimeout,
    /// No answer within the deadline.
    Timeout,
    /// It cut the connection.
    Reset,
    /// A kept connection was closed when it was used again, or the stream was refused unprocessed: the usual end of such a
    /// connection, which says nothing of the instance.
    Stale,
    /// Its answer is no clean HTTP.
    Garbled,
}

impl Fault {
    pub(crate) fn of_connect(error: &Error) -> Self {
        match error.etype() {
            ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Self::ConnectTimeout,
            ErrorType::TLSHandshakeFailure | ErrorType::InvalidCert | ErrorType::HandshakeError => Self::Untrusted,
            _ => Self::Connect,
        }
    }

    /// `None`: not the instance's doing. `reused`: the connection had served others before.
    pub(crate) fn of(error: &Error, reused: bool) -> Option<Self> {
        if *error.esource() != ErrorSource::Upstream {
            return None;
        }
        Some(match error.etype() {
            ErrorType::ReadTimedout | ErrorType::WriteTimedout => Self::Timeout,
            // The frame marks what a server refused without looking at it (RFC 9113 section 8.7).
            ErrorType::H2Error if error.retry() => Self::Stale,
            ErrorType::InvalidHTTPHeader | ErrorType::InvalidH2 | ErrorType::H2Error => Self::Garbled,
            kind if ["InvalidChunk", "InvalidTrailerEnd"].contains(&kind.as_str()) => Self::Garbled,
            _ if reused => Self::Stale,
            _ => Self::Reset,
        })
    }

    fn refusal(self) -> Refusal {
        match self {
            Self::Connect => Refusal::ConnectFailed,
            Self::Untrusted => Refusal::PlatformUntrusted,
            Self::ConnectTimeout | Self::Timeout => Refusal::PlatformTimeout,
            Self::Reset | Self::Stale => Refusal::PlatformReset,
            Self::Garbled => Refusal::PlatformGarbled,
        }
    }

    /// The word of `yimen_upstream_requests_total`.
    fn result(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Untrusted => "tls",
            Self::ConnectTimeout | Self::Timeout => "timeout",
            Self::Reset | Self::Stale => "reset",
            Self::Garbled => "protocol",
        }
    }

    /// The word of `yimen_upstream_retries_total`; `None`: never tried again.
    fn reason(self) -> Option<&'static str> {
        match self {
            Self::Connect | Self::Untrusted | Self::ConnectTimeout => Some("connect"),
            Self::Reset => Some("reset"),
            Self::Stale => Some("stale"),
            Self::Timeout | Self::Garbled => None,
        }
    }

    /// Whether not a byte of the request went out.
    fn before_sending(self) -> bool {
        matches!(self, Self::Connect | Self::Untrusted | Self::ConnectTimeout)
    }

    /// Whether another try at the same instance makes sense when there is no other.
    fn may_repeat(self) -> bool {
        matches!(self, Self::Reset | Self::Stale)
    }
}

impl Gateway {
    /// The instance to ask, and where it listens.
    pub(super) async fn choose(
        &self,
        downstream: &Downstream,
        ctx: &mut Context,
    ) -> pingora::Result<(Arc<Instance>, SocketAddr)> {
        let chosen = forward::choose(ctx).await;
        if chosen.is_ok() && ctx.tried.len() > 1 {
            ctx.forwarded = Some(Instant::now());
        }
        chosen.map_err(|refusal| {
            let mut error = Error::explain(ErrorType::HTTPStatus(503), "no instance");
            let unknown_name = refusal == Refusal::ConnectFailed;
            error.set_retry(unknown_name && self.after_fault(downstream, ctx, Fault::Connect));
            // After a failed try the failure is the better answer than "none left".
            ctx.refusal.get_or_insert(refusal);
            error
        })
    }

    /// What becomes of a request to whose instance there is no connection.
    pub(super) fn not_connected(
        &self,
        downstream: &Downstream,
        ctx: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let fault = Fault::of_connect(&error);
        if fault == Fault::Untrusted
            && let (Some(visit), Some(instance)) = (&ctx.visit, ctx.tried.last())
        {
            // The TLS library's words, with the name that was asked for: nobody finds the wrong certificate without them.
            let cause = error.context.as_ref().map(|context| context.as_str()).unwrap_or_default();
            tracing::warn!(platform = %visit.platform.id, address = instance.address(), cause, "no TLS with an instance");
        }
        let retry = self.after_fault(downstream, ctx, fault);
        error.set_retry(retry);
        error
    }

    /// What becomes of a request that was under way.
    pub(super) fn broken_off(
        &self,
        downstream: &Downstream,
        ctx: &mut Context,
        mut error: Box<Error>,
        reused: bool,
    ) -> Box<Error> {
        let fault = Fault::of(&error, reused).filter(|_| ctx.forwarded.is_some()); // else the answer had begun
        let retry = fault.is_some_and(|fault| self.after_fault(downstream, ctx, fault));
        error.set_retry(retry);
        error
    }

    /// Notes a fault of the instance in use; whether the request is to be tried again.
    fn after_fault(&self, downstream: &Downstream, ctx: &mut Context, fault: Fault) -> bool {
        let retry = self.may_retry(downstream, ctx, fault);
        let (Some(visit), Some(instance)) = (&ctx.visit, ctx.tried.last()) else { return false };
        ctx.refusal = Some(fault.refusal());
        ctx.again = retry && fault.may_repeat();
        if retry && fault == Fault::Stale {
            return true; // its next try decides what is said of the instance
        }
        let counters = &visit.standing.counters;
        counters.upstream_failed(fault.result());
        if instance.breaker.failed(ctx.now, Timestamp::now()) {
            visit.standing.show(instance, Timestamp::now());
            tracing::warn!(platform = %visit.platform.id, address = instance.address(), "instance taken out, it does not answer");
        }
        retry
    }

    fn may_retry(&self, downstream: &Downstream, ctx: &Context, fault: Fault) -> bool {
        let (Some(visit), Some(reason)) = (&ctx.visit, fault.reason()) else { return false };
        let whole = || !downstream.as_ref().retry_buffer_truncated() && downstream.response_written().is_none();
        let method: &Method = &downstream.req_header().method;
        let safe = fault.before_sending() || (method.is_idempotent() && whole() && !visit.upgrade);
        let left = ctx.tried.len() <= self.parts.limits.retries_max;
        let somewhere = fault.may_repeat() || visit.standing.has_other(&ctx.tried);
        if !(safe && left && somewhere) {
            return false;
        }
        let counters = &visit.standing.counters;
        let granted = counters.budget.take(counters.upstream_ok.get(), Timestamp::now());
        counters.retried(if granted { reason } else { "no_budget" });
        granted
    }
}
