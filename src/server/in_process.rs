//! An axum router behind a listening service of the frame, so that its socket survives a hot upgrade as the public one does.

use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tower::ServiceExt;

use crate::management::{PeerCertificate, unreadable};

/// A filing of a thousand routes is some hundred KiB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// What is read and dropped of a longer one, so that its sender reads our answer instead of a reset.
const DROPPED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The page of a thousand platforms is some megabytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// A router that answers in process.
pub(crate) struct InProcess(Router);

impl InProcess {
    pub(crate) fn new(router: Router) -> Self {
        Self(router)
    }

    async fn answer(&self, session: &mut ServerSession) -> Result<Response<Vec<u8>>, StatusCode> {
        session.set_read_timeout(Some(BODY_DEADLINE));
        let body =
            tokio::time::timeout(BODY_DEADLINE, body(session)).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;
        let certificate = certificate(session);
        let header = session.req_header();
        let mut request = Request::new(Body::from(body.freeze()));
        *request.method_mut() = header.method.clone();
        *request.uri_mut() = header.uri.clone();
        *request.headers_mut() = header.headers.clone();
        if let Some(certificate) = certificate {
            request.extensions_mut().insert(certificate);
        }
        let Ok(response) = self.0.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let mut response = Response::from_parts(parts, body.to_vec());
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        Ok(response)
    }
}

async fn body(session: &mut ServerSession) -> Result<BytesMut, StatusCode> {
    let (mut body, mut length) = (BytesMut::new(), 0_usize);
    while let Some(chunk) = session.read_request_body().await.map_err(|_| StatusCode::BAD_REQUEST)? {
        length = length.saturating_add(chunk.len());
        if length <= BODY_BYTES_MAX {
            body.extend_from_slice(&chunk);
        } else if length > DROPPED_BYTES_MAX {
            break;
        }
    }
    if length > BODY_BYTES_MAX { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(body) }
}

/// The certificate that the connection's other side showed.
fn certificate(session: &ServerSession) -> Option<PeerCertificate> {
    let digest = session.digest()?.ssl_digest.as_ref()?;
    digest.cert_digest.as_slice().try_into().ok().map(PeerCertificate)
}

#[async_trait]
impl ServeHttp for InProcess {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        self.answer(session).await.unwrap_or_else(|status| {
            let (media_type, body) = unreadable(status);
            let length = body.len();
            let mut response = Response::new(body);
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
            response
        })
    }
}
