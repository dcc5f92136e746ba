//! Plain HTTP on port 80: sends visitors of our hosts on to the same address by https, and does nothing else. The way on
//! begins with the configured origin, so nobody is sent elsewhere. One request on a connection; seats and deadlines are the
//! public listener's (`Front`). Fails: a host that is not ours is a 404, an odd request the refusal it gets there.

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use prometheus::IntCounterVec;

use super::connection::{Part, Watch};
use super::refusal::Refusal;
use super::{admit, host};
use crate::config::{LimitsConfig, PublicConfig};
use crate::portal::{Language, sentence, title};
use crate::problem::{MEDIA_TYPE, Problem};

/// The application behind `public.redirect_listen`.
pub struct Redirect {
    origin: String,
    hosts: Vec<String>,
    limits: LimitsConfig,
    refusals: IntCounterVec,
}

impl Redirect {
    /// Sends the hosts of `public` on to its origin.
    pub fn new(public: &PublicConfig, limits: LimitsConfig, refusals: IntCounterVec) -> Self {
        Self { origin: public.origin.clone(), hosts: public.hosts.clone(), limits, refusals }
    }

    fn way_on(&self, header: &mut RequestHeader) -> Result<HeaderValue, Refusal> {
        admit::admit(header, &self.limits)?;
        let asked = header.headers.get(HOST).and_then(|value| value.to_str().ok()).and_then(host::canonical);
        let ours = asked.is_some_and(|(name, _)| self.hosts.iter().any(|host| *host == name));
        let target = header.uri.path_and_query().filter(|_| ours).ok_or(Refusal::NoRoute)?;
        HeaderValue::from_str(&format!("{}{target}", self.origin)).map_err(|_| Refusal::BadPath)
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Vec<u8>> {
        let (status, code) = refusal.status_and_code();
        self.refusals.with_label_values(&[code]).inc();
        let (title, detail) = (title(code, Language::English), sentence(code, Language::English).to_owned());
        let mut response = Response::new(Problem::new(status, code, title, detail, "").body());
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response.headers_mut().insert("yimen-error", HeaderValue::from_static(code));
        response
    }
}

#[async_trait]
impl ServeHttp for Redirect {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        if let Some(watch) = Watch::of(session.digest()) {
            watch.enter(Part::Answer);
        }
        session.set_keepalive(None); // what may follow is a body that nobody wants, or belongs on the other port
        let mut response = match self.way_on(session.req_header_mut()) {
            Ok(location) => {
                let mut response = Response::new(Vec::new());
                *response.status_mut() = StatusCode::PERMANENT_REDIRECT; // keeps the method (RFC 9110 section 15.4.9)
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Err(refusal) => self.refuse(&refusal),
        };
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        response
    }
}
