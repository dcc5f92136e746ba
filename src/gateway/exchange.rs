//! The short way of the fifth and sixth step: a request without a body is asked and answered in one piece of code, over a
//! connection that the gateway itself keeps (`kept`).
//! Why: the frame carries a request and its answer as two conversations beside each other, with queues between them, because a
//! body may still be going up while the answer comes down. Most requests are a head alone; theirs is one conversation, a head
//! out and an answer back, which costs two thirds of the instructions (`benches/README.md`). Rules are the same: both ways call
//! the same functions in the same order, and `tests/short_way.rs` compares them.
//! By the frame go bodies, upgrades, HTTP/2 to platforms, and heads with fields that are for one hop only (RFC 9110 section
//! 7.6.1), but for the commonest: what such fields do is told in one place.
//! Fails: as by the frame; each try ends in `Fault`, an answer of which something went out ends the visitor's connection or stream
//! when it breaks off. One that is broken before is 502 here, where the frame may have sent its head.

use std::future::Future;

use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Stream;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::v1::client::HttpSession as Asked;
use pingora::proxy::{ProxyHttp, Session as Downstream};
use pingora::{Error, ErrorType};
use tokio::task::unconstrained;

use super::context::Context;
use super::{Gateway, answer, forward};

/// Whether a request goes this way.
pub(super) fn is_for(request: &RequestHeader, ctx: &Context) -> bool {
    let Some(visit) = &ctx.visit else { return false };
    let simple = visit.bodiless && !visit.upgrade && visit.standing.is_http1();
    simple && matches!(request.version, Version::HTTP_11 | Version::HTTP_2) && ends_here(request)
}

/// Whether no field is for one hop only but a `Connection` that names none.
fn ends_here(request: &RequestHeader) -> bool {
    request.headers.iter().all(|(name, value)| match name.as_str() {
        "connection" => [&b"keep-alive"[..], b"close"].iter().any(|word| value.as_bytes().eq_ignore_ascii_case(word)),
        "te" | "trailer" | "transfer-encoding" | "upgrade" | "http2-settings" | "expect" | "keep-alive" => false,
        name => !name.starts_with("proxy-"),
    })
}

impl Gateway {
    /// Asks instances until one answers or no further try is allowed.
    pub(super) async fn exchange(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<()> {
        loop {
            match self.ask(downstream, ctx).await {
                Err(error) if error.retry() => {}
                ended => return ended,
            }
        }
    }

    async fn ask(&self, downstream: &mut Downstream, ctx: &mut Context) -> pingora::Result<()> {
        let (instance, address) = self.choose(downstream, ctx).await?;
        // Kept connections may all have ended at once: a second try has one that nobody used before.
        let kept = if ctx.tried.len() == 1 { instance.kept.take(address, ctx.arrived) } else { None };
        let reused = kept.is_some();
        let (stream, slot) = match kept {
            Some((stream, slot)) => (stream, Some(slot)),
            None => {
                let peer = forward::way_to(&instance, address, ctx);
                // In a box: most requests find a connection.
                let made: pingora::Result<Stream> = Box::pin(self.connector.new_stream(&*peer)).await;
                (made.map_err(|error| self.not_connected(downstream, ctx, error.into_up()).into_up())?, None)
            }
        };
        if !reused {
            self.connected(ctx);
        }
        let mut platform = Asked::new(stream);
        let deadlines = forward::deadlines(ctx);
        platform.read_timeout = forward::millis(deadlines.first_byte_ms);
        platform.write_timeout = forward::millis(deadlines.idle_ms); // a head fits the socket's buffer as a rule: no timer is made
        if let Err(error) = self.converse(downstream, &mut platform, ctx).await {
            return Err(self.broken_off(downstream, ctx, error, reused));
        }
        platform.respect_keepalive();
        // At once or not at all: what is to be closed is not waited for.
        if platform.is_body_done()
            && let Some(Some(stream)) = platform.reuse().now_or_never()
        {
            instance.kept.keep(stream, slot, address, ctx.arrived);
        }
        Ok(())
    }

    async fn converse(
        &self,
        downstream: &mut Downstream,
        platform: &mut Asked,
        ctx: &mut Context,
    ) -> pingora::Result<()> {
        let request = self.request(downstream, ctx)?;
        platform.write_request_header(Box::new(request)).await.map_err(Error::into_up)?;
        let head = self.head(downstream, platform, ctx).await?;
        let mut ended = platform.is_body_done();
        let mut tasks = vec![HttpTask::Header(Box::new(head), ended)];
        // Most bodies come with their head, and go on with it.
        if !ended && let Some(chunk) = unconstrained(platform.read_body_bytes()).now_or_never() {
            tasks.push(self.chunk(downstream, platform, chunk.map_err(Error::into_up)?, ctx)?);
            ended = platform.is_body_done();
        }
        let mut written = downstream.write_response_tasks(tasks).await?;
        while !ended && !written {
            let chunk = unless_left(downstream, platform.read_body_bytes()).await?;
            let task = self.chunk(downstream, platform, chunk, ctx)?;
            ended = platform.is_body_done();
            written = downstream.write_response_tasks(vec![task]).await?;
        }
        Ok(())
    }

    fn request(&self, downstream: &Downstream, ctx: &mut Context) -> pingora::Result<RequestHeader> {
        let mut parts = downstream.req_header().as_owned_parts();
        parts.version = Version::HTTP_11;
        parts.headers.remove(CONNECTION);
        if let Some(authority) = parts.uri.authority() {
            // HTTP/2 need not say it twice (RFC 9113 section 8.3.1).
            let host = HeaderValue::from_str(authority.as_str());
            parts.headers.insert(HOST, host.or_else(|_| Error::e_explain(ErrorType::InternalError, "no host"))?);
        }
        self.dress(&mut parts.headers, downstream, ctx)?;
        Ok(RequestHeader::from(parts))
    }

    /// The head of the answer; what comes before it (RFC 9110 section 15.2) goes on as it comes.
    async fn head(
        &self,
        downstream: &mut Downstream,
        platform: &mut Asked,
        ctx: &mut Context,
    ) -> pingora::Result<ResponseHeader> {
        loop {
            unless_left(downstream, platform.read_response()).await?;
            let read = platform.resp_header().map(|head| ResponseHeader::from(head.as_owned_parts()));
            let mut head = read.ok_or_else(|| Error::explain(ErrorType::InternalError, "no head was read"))?;
            if !head.status.is_informational() {
                if !platform.is_body_done() {
                    chunk_endless(&mut head)?;
                }
                self.answered(&mut head, ctx)?;
                return Ok(head);
            }
            self.answered(&mut head, ctx)?;
            answer::in_time(ctx)?;
            downstream.write_response_tasks(vec![HttpTask::Header(Box::new(head), false)]).await?;
        }
    }

    fn chunk(
        &self,
        downstream: &mut Downstream,
        platform: &mut Asked,
        mut chunk: Option<bytes::Bytes>,
        ctx: &mut Context,
    ) -> pingora::Result<HttpTask> {
        let end = platform.is_body_done();
        self.response_body_filter(downstream, &mut chunk, end, ctx)?;
        Ok(HttpTask::Body(chunk, end))
    }
}

/// A body that only the end of the platform's connection ends is sent in chunks, so that the visitor's need not end too.
fn chunk_endless(head: &mut ResponseHeader) -> pingora::Result<()> {
    if !head.headers.contains_key(TRANSFER_ENCODING) && !head.headers.contains_key(CONTENT_LENGTH) {
        head.set_version(Version::HTTP_11);
        head.insert_header(TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}

/// What the platform says; `Err` when the visitor leaves before.
async fn unless_left<T>(
    downstream: &mut Downstream,
    platform: impl Future<Output = pingora::Result<T>>,
) -> pingora::Result<T> {
    tokio::pin!(platform);
    tokio::select! {
        biased;
        said = &mut platform => return said.map_err(Error::into_up),
        left = downstream.read_body_or_idle(true) => drop(left.map_err(Error::into_down)?),
    }
    platform.await.map_err(Error::into_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_here_with(fields: &[(&'static str, &str)]) -> bool {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        fields.iter().for_each(|(name, value)| assert!(request.append_header(*name, *value).is_ok()));
        ends_here(&request)
    }

    #[test]
    fn what_browsers_send_ends_here() {
        assert!(ends_here_with(&[("Host", "a"), ("Accept", "*/*"), ("Cookie", "a=b"), ("Sec-Fetch-Mode", "navigate")]));
        assert!(ends_here_with(&[("Connection", "Keep-Alive")]) && ends_here_with(&[("Connection", "close")]));
    }

    #[test]
    fn fields_for_one_hop_are_left_to_the_frame() {
        for connection in ["X-Forwarded-For", "close, X-A", "keep-alive, TE", "Upgrade", "", "keep-alive "] {
            assert!(!ends_here_with(&[("Connection", connection)]), "{connection:?}");
        }
        assert!(!ends_here_with(&[("Connection", "close"), ("Connection", "X-A")]));
        let names = "TE Trailer Transfer-Encoding Upgrade HTTP2-Settings Expect Keep-Alive Proxy-Connection Proxy-Authorization";
        for name in names.split(' ') {
            assert!(!ends_here_with(&[(name, "a")]), "{name}");
        }
    }
}
