//! Which page answers which path, and the way in and out of the router.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use tower::ServiceExt;

use super::call::{Call, Rooms};
use super::failure::WayOn;
use super::form::Forms;
use super::language::Language;
use super::return_to::ReturnTo;
use super::{account, answer, home, identities, key_set, provider, region, sign_in, sign_out};
use crate::config::SessionConfig;
use crate::domain::{ClientCertificate, DivisionCode, Timestamp};
use crate::identity::{Accounts, Keys, Realms};
use crate::metrics::Metrics;
use crate::routing::{Divisions, Items};
use crate::session::{Live, Sessions};

/// The longest page is the list of a county's streets, far below.
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the portal is built of.
pub struct PortalParts {
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Who may sign in.
    pub accounts: Arc<Accounts>,
    /// What platforms verify with.
    pub keys: Arc<Keys>,
    /// Providers by which people sign in.
    pub realms: Arc<Realms>,
    /// The tree that the region picker walks.
    pub divisions: Arc<Divisions>,
    /// What can be searched for.
    pub items: Arc<Items>,
    /// Key of the tokens in forms; the same on every node.
    pub form_key: [u8; 32],
    /// How long sessions last.
    pub session: SessionConfig,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Who asks, as the gateway found out.
#[derive(Debug)]
pub struct Visitor {
    /// The session, if one was found.
    pub session: Option<Arc<Live>>,
    /// Whether a session cookie was sent. With no session: it has ended, or the store did not answer.
    pub cookie_present: bool,
    /// Network such as `203.0.113.0/24`, for the person's own list of sessions.
    pub client_network: String,
    /// The id under which our log knows the request.
    pub request_id: String,
    /// Language of the page.
    pub language: Language,
    /// Scheme, host and port as the browser sees them.
    pub origin: String,
    /// The region of their choice.
    pub region: Option<DivisionCode>,
    /// The certificate they showed, where `public.client_ca` asks for one; for sign-in, and never for a platform.
    pub certificate: Option<ClientCertificate>,
}

/// The pages.
#[derive(Debug)]
pub struct Portal {
    rooms: Arc<Rooms>,
    router: Router,
}

impl Portal {
    /// Builds the router.
    pub fn new(parts: PortalParts) -> Self {
        let PortalParts { sessions, accounts, keys, realms, divisions, items, form_key, session, metrics } = parts;
        let forms = Forms::new(&form_key);
        let rooms = Arc::new(Rooms { sessions, accounts, keys, realms, divisions, items, forms, session, metrics });
        let router = Router::new()
            .route("/", get(home::show))
            .route("/search", get(home::show))
            .route("/region", get(region::show).post(region::choose))
            .route("/sign-in", get(sign_in::show).post(sign_in::submit))
            .route("/sign-in/{realm}", get(provider::depart))
            .route("/sign-in/{realm}/callback", get(provider::arrive))
            .route("/sign-in/{realm}/back-channel-logout", post(provider::logout))
            .route("/sign-out", get(sign_out::show).post(sign_out::submit))
            .route("/account", get(account::show))
            .route("/account/sessions/end", post(account::end))
            .route("/account/identities", get(identities::show))
            .route("/account/identities/link", post(identities::link))
            .route("/account/identities/unlink", post(identities::unlink))
            .route("/.well-known/jwks.json", get(key_set::show))
            .fallback(no_page)
            .method_not_allowed_fallback(no_method);
        Self { rooms, router }
    }

    /// Answers a request whose body has been read within a limit. Never fails: a fault is a page too.
    pub async fn answer(&self, request: Request<Bytes>, visitor: Visitor) -> Response<Bytes> {
        self.answer_at(request, visitor, Timestamp::now()).await
    }

    pub(super) async fn answer_at(&self, request: Request<Bytes>, visitor: Visitor, now: Timestamp) -> Response<Bytes> {
        let call = Arc::new(Call::new(self.rooms.clone(), visitor, &request, now));
        let response = match chosen_language(&request) {
            Some((language, page)) => answer::with_cookie(answer::see_other(&page), &language.choice()),
            None => self.page(request, call.clone()).await,
        };
        let (parts, body) = response.into_parts();
        match to_bytes(body, PAGE_BYTES_MAX).await {
            Ok(body) => Response::from_parts(parts, body),
            Err(_) => Response::from_parts(parts, Bytes::new()), // the body lies in memory: reading it cannot fail
        }
    }

    async fn page(&self, request: Request<Bytes>, call: Arc<Call>) -> Response<Body> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(call);
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// `?lang=` on any page: the choice, and the page without it.
fn chosen_language(request: &Request<Bytes>) -> Option<(Language, ReturnTo)> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let query = request.uri().query()?;
    let language = query.split('&').find_map(|pair| Language::from_word(pair.strip_prefix("lang=")?))?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("lang=")).collect();
    let path = request.uri().path();
    let page = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    Some((language, ReturnTo::parse(&page)))
}

async fn no_page(Extension(call): Extension<Arc<Call>>) -> Response<Body> {
    call.failure(StatusCode::NOT_FOUND, "no-route", WayOn::Home)
}

async fn no_method(Extension(call): Extension<Arc<Call>>) -> Response<Body> {
    call.failure(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", WayOn::Home)
}
