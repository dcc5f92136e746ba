//! Answers that tests and people trying things out ask for by the end of a path.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum::body::Body;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, SET_COOKIE, UPGRADE};
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// The longest `/slow` waits: longer than any deadline of a gateway, so that every one of them can be seen.
const SLOW_MAX: Duration = Duration::from_secs(120);
/// A piece of `/bytes`.
static PIECE: [u8; 64 * 1024] = [b'.'; 64 * 1024];
/// Largest WebSocket message echoed.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// What the end of a path asks for.
#[derive(Debug)]
pub(super) enum Special {
    /// `/slow?ms=`: an answer after that time.
    Slow(Duration),
    /// `/bytes?n=`: a body of that many bytes, streamed.
    Bytes(u64),
    /// `/upload`: counts and digests the body without holding it.
    Upload,
    /// `/status?code=`: that status.
    Status(StatusCode),
    /// `/reset`: the connection closed without an answer.
    Reset,
    /// `/cookies`: two cookies set.
    Cookies,
    /// `/redirect?to=`: 302 to there.
    Redirect(HeaderValue),
    /// `/echo`: a WebSocket that says everything back.
    Echo,
}

/// What `uri` asks for; `None` is the ordinary page.
pub(super) fn of(uri: &Uri) -> Option<Special> {
    let query = uri.query().unwrap_or_default();
    let fields: HashMap<&str, &str> = query.split('&').filter_map(|field| field.split_once('=')).collect();
    let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u64>().ok());
    let (_, last) = uri.path().rsplit_once('/')?;
    Some(match last {
        "slow" => Special::Slow(Duration::from_millis(number("ms").unwrap_or(1000)).min(SLOW_MAX)),
        "bytes" => Special::Bytes(number("n")?),
        "upload" => Special::Upload,
        "status" => Special::Status(StatusCode::from_u16(u16::try_from(number("code")?).ok()?).ok()?),
        "reset" => Special::Reset,
        "cookies" => Special::Cookies,
        "redirect" => Special::Redirect(decoded(fields.get("to")?)?),
        "echo" => Special::Echo,
        _ => return None,
    })
}

fn decoded(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&percent_encoding::percent_decode_str(text).collect::<Vec<_>>()).ok()
}

impl Special {
    pub(super) async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        match self {
            Self::Slow(wait) => {
                tokio::time::sleep(wait).await;
                *response.body_mut() = Body::from(format!("after {} ms\n", wait.as_millis()));
            }
            Self::Bytes(count) => {
                response.headers_mut().insert(CONTENT_LENGTH, count.into());
                *response.body_mut() = pieces(count);
            }
            Self::Upload => return upload(request.into_body()).await,
            Self::Status(status) if status.is_informational() => *response.status_mut() = StatusCode::BAD_REQUEST,
            Self::Status(status) => *response.status_mut() = status,
            Self::Cookies => {
                for cookie in ["first=1; Path=/; HttpOnly", "second=2; Path=/; SameSite=Lax"] {
                    response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(cookie));
                }
            }
            Self::Redirect(to) => {
                *response.status_mut() = StatusCode::FOUND;
                response.headers_mut().insert(LOCATION, to);
            }
            Self::Echo => return echo(request),
            Self::Reset => {} // the caller closes the connection instead
        }
        response
    }
}

fn pieces(count: u64) -> Body {
    Body::from_stream(stream::unfold(count, |left| async move {
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE.len());
        let piece = PIECE.get(..size).filter(|piece| !piece.is_empty())?;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(piece)), left - u64::try_from(size).unwrap_or(left)))
    }))
}

/// `{"bytes": …, "sha256": "…"}` of the body.
async fn upload(body: Incoming) -> Response<Body> {
    let mut pieces = Body::new(body).into_data_stream();
    let (mut bytes, mut digest) = (0_u64, Context::new(&SHA256));
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else { return with_status(StatusCode::BAD_REQUEST, "the body broke off\n") };
        bytes += u64::try_from(piece.len()).unwrap_or_default();
        digest.update(&piece);
    }
    let hex: String = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut response = Response::new(Body::from(format!("{{\"bytes\":{bytes},\"sha256\":\"{hex}\"}}")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn echo(mut request: Request<Incoming>) -> Response<Body> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return with_status(StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket\n");
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_BYTES_MAX));
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
        let (mut back, mut forth) = socket.split();
        while let Some(Ok(message)) = forth.next().await {
            let said = message.is_text() || message.is_binary();
            if said && back.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut response = with_status(StatusCode::SWITCHING_PROTOCOLS, "");
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept {
        response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn with_status(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
