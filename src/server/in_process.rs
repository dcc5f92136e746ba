//! An axum router behind a listening service of the frame, so that its socket survives a hot upgrade as the public one does.

use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::BytesMut;
use http::{Request, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tower::ServiceExt;

/// Requests here are small: filings come by file in this slice.
const BODY_BYTES_MAX: usize = 1024 * 1024;
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
        let header = session.req_header();
        let mut request = Request::new(Body::from(body.freeze()));
        *request.method_mut() = header.method.clone();
        *request.uri_mut() = header.uri.clone();
        *request.headers_mut() = header.headers.clone();
        let Ok(response) = self.0.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let mut response = Response::from_parts(parts, body.to_vec());
        let length = response.body().len();
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        Ok(response)
    }
}

async fn body(session: &mut ServerSession) -> Result<BytesMut, StatusCode> {
    let mut body = BytesMut::new();
    while let Some(chunk) = session.read_request_body().await.map_err(|_| StatusCode::BAD_REQUEST)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[async_trait]
impl ServeHttp for InProcess {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        self.answer(session).await.unwrap_or_else(|status| {
            let mut response = Response::new(Vec::new());
            *response.status_mut() = status;
            response.headers_mut().insert(http::header::CONTENT_LENGTH, 0.into());
            response
        })
    }
}
