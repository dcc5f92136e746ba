//! The fifth step: a healthy instance, deadlines on everything, and a request that carries our word about the visitor
//! and nothing that only we may say.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, FORWARDED, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::RequestHeader;
use pingora::upstreams::peer::HttpPeer;

use super::connection::{Sender, Watch};
use super::context::{Context, Visit};
use super::fields::value;
use super::instance::Instance;
use super::jar;
use super::origins::Ground;
use super::refusal::Refusal;
use super::tls_peer::RETRIES;
use crate::routing::Deadlines;
use crate::session::cookie;

const ASSERTION: HeaderName = HeaderName::from_static("yimen-assertion");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Fields that `dress` adds at most.
const OURS_MAX: usize = 5;

/// A WebSocket may be silent this long: browsers and servers ping more often than that.
const WEBSOCKET_IDLE: Duration = Duration::from_secs(600);
/// How long a connection waits for its next request: below the 60 s after which servers hang up as a rule.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(50);

/// The instance to ask, and where it listens; `Err` when none is left.
pub(crate) async fn choose(ctx: &mut Context) -> Result<(Arc<Instance>, SocketAddr), Refusal> {
    let Some(visit) = &ctx.visit else { return Err(Refusal::Internal) };
    let same = || ctx.tried.last().filter(|_| ctx.again).cloned();
    let instance = visit.standing.pick(&ctx.tried, ctx.now, visit.canary).or_else(same).ok_or(Refusal::NoInstance)?;
    let address = instance.socket_address().await;
    ctx.tried.push(instance.clone());
    address.map(|address| (instance, address)).ok_or(Refusal::ConnectFailed)
}

/// How the frame gets there, within the route's deadlines.
pub(crate) fn way_to(instance: &Instance, address: SocketAddr, ctx: &Context) -> Box<HttpPeer> {
    let deadlines = deadlines(ctx);
    let upgrade = ctx.visit.as_ref().is_some_and(|visit| visit.upgrade);
    let mut peer = instance.peer(address);
    let options = &mut peer.options;
    options.connection_timeout = millis(deadlines.connect_ms);
    options.total_connection_timeout = millis(deadlines.connect_ms.saturating_mul(2)); // with the TLS handshake
    options.read_timeout = if upgrade { Some(WEBSOCKET_IDLE) } else { millis(deadlines.first_byte_ms) };
    options.write_timeout = millis(deadlines.idle_ms);
    options.idle_timeout = Some(KEPT_FOR);
    if ctx.tried.len() > 1 {
        // Connections that were kept may all have ended at once: a second try has one that nobody used before.
        peer.group_key |= RETRIES;
    }
    peer
}

/// Those of the route.
pub(crate) fn deadlines(ctx: &Context) -> Deadlines {
    ctx.visit.as_ref().and_then(|visit| visit.route()).map_or_else(Deadlines::default, |route| route.deadlines)
}

/// As the frame has its limits.
pub(crate) fn millis(number: u32) -> Option<Duration> {
    Some(Duration::from_millis(number.into()))
}

/// Makes the platform's request out of the visitor's: our fields in, our cookies out. It comes after the fields that the visitor's
/// `Connection` names are out, so nobody can name ours away.
pub(crate) fn dress(
    fields: &mut HeaderMap,
    visit: &Visit,
    ctx: &Context,
    watch: Option<&Watch>,
    proto: &'static str,
) -> pingora::Result<()> {
    // `Host` goes on as it came, so it is not said again.
    let made;
    let sender = match watch.and_then(|watch| watch.sender(ctx.client, proto)) {
        Some(known) => known,
        None => {
            made = Sender::new(ctx.client, proto)?;
            &made
        }
    };
    strip_cookies(fields, visit)?;
    fields.reserve(OURS_MAX);
    fields.insert(FORWARDED, sender.forwarded.clone());
    fields.insert(FORWARDED_FOR, sender.address.clone());
    fields.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    fields.insert(REQUEST_ID, ctx.request_id.header());
    if let Some(assertion) = &visit.assertion {
        fields.insert(ASSERTION, assertion.clone());
    }
    Ok(())
}

fn strip_cookies(fields: &mut HeaderMap, visit: &Visit) -> pingora::Result<()> {
    if !fields.contains_key(COOKIE) {
        return Ok(());
    }
    let (platform, shared) = (&visit.platform.id, visit.ground == Ground::Shared);
    let fields_of = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let stripped: Vec<Cow<'_, [u8]>> = if shared {
        fields_of.map(|field| Cow::Owned(jar::own_cookies(field, platform))).collect()
    } else {
        fields_of.map(cookie::strip).collect()
    };
    // HTTP/2 may split the field; HTTP/1.1 has one, joined by "; " (RFC 9113 section 8.2.3).
    let left: Vec<&[u8]> = stripped.iter().map(AsRef::as_ref).filter(|field: &&[u8]| !field.is_empty()).collect();
    let joined = left.join(b"; ".as_slice());
    if joined.is_empty() {
        fields.remove(COOKIE);
    } else {
        fields.insert(COOKIE, value(joined)?);
    }
    Ok(())
}

/// Lets an upgrade through to WebSocket only (a GET: RFC 6455 section 4.1), and only where it is allowed; any other wish is
/// forgotten, which RFC 9110 section 7.8 allows a server to do.
pub(crate) fn settle_upgrade(request: &mut RequestHeader, allowed: bool) -> bool {
    let Some(wish) = request.headers.get(UPGRADE) else { return false };
    let websocket = allowed && request.method == Method::GET && wish.as_bytes().eq_ignore_ascii_case(b"websocket");
    if !websocket {
        request.remove_header(&UPGRADE);
    }
    websocket
}
