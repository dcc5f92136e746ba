//! Connections of a sample platform, and the choice of what to answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::keys::Keys;
use super::page::{Outcome, Page, Received};
use super::special::{self, Special};
use crate::domain::{PlatformId, Timestamp};
use crate::identity::{AssertionProfile, VerifyError, verify};

/// Connections at a time; more wait in the listen queue. Four times what a gateway keeps to one instance.
const CONNECTIONS_MAX: usize = 4096;
/// Deadline for a request's header (10 s); also how long an idle connection is kept.
const HEADER_DEADLINE: Duration = Duration::from_secs(60);

/// One platform that is stood in for.
#[derive(Debug)]
pub(super) struct Platform {
    pub(super) id: PlatformId,
    pub(super) name: String,
    /// `iss` of the assertions it believes.
    pub(super) issuer: String,
    pub(super) keys: Arc<Keys>,
}

/// Accepts connections until the process ends.
pub(super) async fn run(listener: TcpListener, platform: Arc<Platform>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let platform = Arc::clone(&platform);
                tokio::spawn(async move {
                    serve(stream, platform).await;
                    drop(place);
                });
            }
            // Out of file handles, most likely: give the open connections time to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(stream: TcpStream, platform: Arc<Platform>) {
    let _ = stream.set_nodelay(true);
    let answers = service_fn(move |request| answer(Arc::clone(&platform), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .serve_connection(TokioIo::new(stream), answers)
        .with_upgrades();
    let _ = connection.await; // a peer that went away, or `/reset`: neither is worth a line
}

/// The connection is closed without an answer: what `/reset` asks for.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer, as asked")]
struct Reset;

async fn answer(platform: Arc<Platform>, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    match special::of(request.uri()) {
        Some(Special::Reset) => Err(Reset),
        Some(special) => Ok(special.answer(request).await),
        None => {
            let Ok(shown) = platform.show(&request).await;
            Ok(shown)
        }
    }
}

impl Platform {
    async fn show(&self, request: &Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let received = Received {
            platform: self.id.as_str(),
            name: &self.name,
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            headers: lines(request.headers()),
            assertion: self.check(request.headers()).await,
        };
        let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let (media_type, body) = if accepts.contains("text/html") {
            ("text/html; charset=utf-8", Page { received: &received }.render().unwrap_or_default())
        } else {
            ("application/json", serde_json::to_string(&received).unwrap_or_default())
        };
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(media_type));
        Ok(response)
    }

    /// What the request's assertion is worth. More than one is refused: the gateway sends one or none.
    async fn check(&self, headers: &HeaderMap) -> Outcome {
        let mut tokens = headers.get_all("yimen-assertion").iter();
        let (token, more) = (tokens.next(), tokens.next());
        let refused = |why: &str| Outcome::Refused { why: why.to_owned() };
        let Some(token) = token else { return Outcome::Absent };
        match (token.to_str(), more) {
            (Ok(token), None) => self.verified(token).await.unwrap_or_else(|why| Outcome::Refused { why }),
            (_, Some(_)) => refused("the request has more than one assertion"),
            (Err(_), None) => refused("the assertion has bytes that no token has"),
        }
    }

    async fn verified(&self, token: &str) -> Result<Outcome, String> {
        let profile = AssertionProfile { issuer: self.issuer.clone(), audience: self.id.to_string() };
        let away = || "the gateway's key set could not be fetched".to_owned();
        let now = Timestamp::now();
        let keys = self.keys.set(false).await.ok_or_else(away)?;
        let claims = match verify(&profile, token, &keys, now) {
            Err(VerifyError::UnknownKey(_)) => {
                let keys = self.keys.set(true).await.ok_or_else(away)?; // the key may be new
                verify(&profile, token, &keys, now)
            }
            known => known,
        };
        let claims = claims.map_err(|refusal| refusal.to_string())?;
        Ok(Outcome::Verified { claims: Box::new(claims) })
    }
}

fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
