//! Where a person goes who was sent here to sign in: on to the sign-in page, or back to the client with a code or an error.
//! Before client and redirect address are known to be good, nobody is sent anywhere. What is on its way through sign-in travels in
//! the address, sealed: no store keeps it, a page can be loaded again, and any number of tabs go their own ways.

use std::sync::Arc;
use std::time::Duration;

use super::client::Known;
use super::grant::{Authorized, Grant, PUSHED, RESUME, SIGN_ON, SignOn};
use super::once::Kind;
use super::parameters::Parameters;
use super::push;
use super::request::{PARAMETERS, Prompt, Request, Wrong};
use super::{Issuer, Refused, address, consent};
use crate::domain::{Assurance, PlatformId, Timestamp};
use crate::identity::SubjectClaims;
use crate::session::{Live, Session, SessionId, SessionKey};
use crate::store::{PutSignOn, StoreError};

const PATH: &str = "/oidc/authorize";
/// A request on its way is good for as long as the form of the sign-in page.
const LIFE: Duration = Duration::from_secs(3600);
/// A person who came back so often and still is not what the client needs cannot become it here.
const SENT_MAX: u8 = 5;

/// Where the browser goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the client.
    Client {
        /// The whole address.
        address: String,
        /// Whether a page lies between: the browser comes out of a form of ours, which it lets end on our own origin only.
        by_page: bool,
    },
    /// To the sign-in page, and back.
    SignIn(Box<SignIn>),
    /// To the page that asks for consent, and back.
    Consent {
        /// Which platform wants to know.
        platform: PlatformId,
        /// Path and query to come back to.
        back: String,
    },
    /// To the same request as a navigation: a form of another site brings no cookie along.
    Again(String),
}

/// What the sign-in page is to see to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Path and query to come back to.
    pub back: String,
    /// The least assurance that will do, if there is one.
    pub assurance: Option<Assurance>,
    /// How old the proof may be.
    pub max_age_s: Option<u64>,
    /// Languages that the client thinks the person reads, the best first (BCP 47).
    pub ui_locales: Option<String>,
}

/// Why a session is not enough.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lacks {
    SignIn,
    Assurance,
}

impl Issuer {
    /// What follows for an authorization request. `asked`: its query or form.
    pub async fn authorize(&self, asked: &[u8], session: Option<&Arc<Live>>, now: Timestamp) -> Result<Step, Refused> {
        let step = self.step(asked, session, now).await;
        let result = match &step {
            Ok(Step::Client { address, .. }) if address.contains("code=") && !address.contains("error=") => "code",
            Ok(Step::Client { .. }) => "error",
            Ok(Step::SignIn(_) | Step::Again(_)) => "sign_in",
            Ok(Step::Consent { .. }) => "consent",
            Err(_) => "refused",
        };
        self.metrics.issuer_authorizations.with_label_values(&[result]).inc();
        step
    }

    /// The login that a client thinks somebody has, of a request on its way: `back` is what `SignIn` said.
    pub fn login_hint(&self, back: &str) -> Option<String> {
        let sealed = back.strip_prefix(PATH)?.strip_prefix("?resume=")?;
        self.opened::<Request>(&RESUME, sealed)?.login_hint.filter(|hint| hint.len() <= 64)
    }

    /// The same request as an address: for one that came as a form, to which another site's browser brings no cookie.
    pub fn authorize_again(&self, asked: &[u8]) -> Result<Step, Refused> {
        let asked = std::str::from_utf8(asked).map_err(|_| Refused::Unreadable)?;
        let plain =
            asked.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'\\'));
        if plain { Ok(Step::Again(format!("{PATH}?{asked}"))) } else { Err(Refused::Unreadable) }
    }

    async fn step(&self, asked: &[u8], session: Option<&Arc<Live>>, now: Timestamp) -> Result<Step, Refused> {
        let read = Parameters::long(asked, &PARAMETERS).map_err(|_| Refused::Unreadable)?;
        if let Some(sealed) = read.get("resume") {
            let request = self.opened::<Request>(&RESUME, sealed).filter(|request| now.since(request.at) < LIFE);
            let request = request.ok_or(Refused::Over)?;
            return self.answered(request, session, now).await;
        }
        let known = self.known(read.get("client_id").ok_or(Refused::UnknownClient)?)?;
        if let Some(pushed) = read.get("request_uri").and_then(|uri| uri.strip_prefix(push::PREFIX)) {
            let request = self.pushed(pushed, &known, now).await?;
            return self.answered(request, session, now).await;
        }
        let asked = Parameters::read(asked, &PARAMETERS).map_err(|_| Refused::Unreadable)?;
        let redirect_uri = self.redirect_uri(&known, &asked)?;
        let pushes = known.client().is_some_and(|client| client.pushes);
        let request = match self.request(&known, redirect_uri, &asked, now) {
            Ok(_) if pushes => Err(Wrong("invalid_request", "this client pushes its requests (RFC 9126)")),
            request => request,
        };
        match request {
            Ok(request) => self.answered(request, session, now).await,
            Err(wrong) => Ok(self.error(redirect_uri, asked.get("state"), wrong, false)),
        }
    }

    /// The address to come back to: one of the filed ones, byte by byte (RFC 9700 section 4.1.3).
    pub(super) fn redirect_uri<'a>(&self, known: &Known, asked: &'a Parameters) -> Result<&'a str, Refused> {
        let wanted = asked.get("redirect_uri").ok_or(Refused::AddressNotFiled)?;
        let filed = known.client().is_some_and(|client| client.redirect_uris.iter().any(|filed| **filed == *wanted));
        if filed { Ok(wanted) } else { Err(Refused::AddressNotFiled) }
    }

    /// A request that was pushed by this client; it is good once.
    async fn pushed(&self, name: &str, known: &Known, now: Timestamp) -> Result<Request, Refused> {
        let sealed = self.store().take(&push::name(name), now).await?.ok_or(Refused::Over)?;
        let request: Option<Request> = self.seal.open_of(&PUSHED, &sealed);
        let own = |request: &Request| known.client().is_some_and(|client| *client.id == *request.client);
        let request = request.filter(own).ok_or(Refused::Over)?;
        Ok(Request { at: now, ..request })
    }

    async fn answered(&self, request: Request, session: Option<&Arc<Live>>, now: Timestamp) -> Result<Step, Refused> {
        // Again: what was filed may have changed while the person signed in.
        let known = self.known(&request.client)?;
        let filed =
            known.client().is_some_and(|client| client.redirect_uris.iter().any(|uri| **uri == *request.redirect_uri));
        if !filed {
            return Err(Refused::AddressNotFiled);
        }
        let by_page = request.sent > 0;
        let wrong = |wrong| Ok(self.error(&request.redirect_uri, request.state.as_deref(), wrong, by_page));
        match self.lacking(&request, &known, session, now) {
            Err(lacks) if request.prompt == Prompt::None => wrong(match lacks {
                Lacks::SignIn => Wrong("login_required", "the person has to sign in"),
                Lacks::Assurance => Wrong("interaction_required", "the person has to prove more"),
            }),
            Err(_) if request.sent >= SENT_MAX => {
                wrong(Wrong("unmet_authentication_requirements", "the person cannot prove as much"))
            }
            Err(_) => self.sign_in(request, now),
            Ok(live) => {
                if !self.role_holds(&live.session, now).await? {
                    return wrong(Wrong("interaction_required", "the role that the person acts in has ended"));
                }
                if self.asks_for_consent(&known, &request, &live.session, now).await? {
                    return match request.prompt {
                        Prompt::None => wrong(Wrong("consent_required", "the person has to be asked")),
                        _ => self.consent(request, &known),
                    };
                }
                match self.code(&request, &known, live, now).await? {
                    Some(code) => Ok(self.back(&request, &code, by_page)),
                    None if request.prompt == Prompt::None => wrong(Wrong("login_required", "the session has ended")),
                    None => self.sign_in(request, now),
                }
            }
        }
    }

    /// The session, if it is enough for this request.
    fn lacking<'a>(
        &self,
        request: &Request,
        known: &Known,
        session: Option<&'a Arc<Live>>,
        now: Timestamp,
    ) -> Result<&'a Arc<Live>, Lacks> {
        let live = session.ok_or(Lacks::SignIn)?;
        let session = &live.session;
        let meant = |sub: &String| *sub == self.claims(known, &[], session).sub;
        if !request.sub.as_ref().is_none_or(meant) || (request.prompt == Prompt::Login && request.sent == 0) {
            return Err(Lacks::SignIn);
        }
        // A proof given in the very moment of the request was given before it.
        let since = now.since(request.at).saturating_sub(Duration::from_millis(1));
        let age = match (request.prompt, request.max_age_s) {
            (Prompt::Login, _) => Some(since),
            // Proven since the client asked is fresh, however short an age it wants.
            (_, Some(seconds)) => Some(Duration::from_secs(seconds).max(since)),
            (_, None) => None,
        };
        if !session.proves(Assurance::L1, age, now) {
            return Err(Lacks::SignIn);
        }
        let needed = request.assurance.unwrap_or(Assurance::L1);
        if session.proves(needed, age, now) { Ok(live) } else { Err(Lacks::Assurance) }
    }

    fn sign_in(&self, request: Request, now: Timestamp) -> Result<Step, Refused> {
        let (assurance, ui_locales) = (request.assurance, request.ui_locales.clone());
        let max_age_s = if request.prompt == Prompt::Login { Some(0) } else { request.max_age_s };
        let at = if request.sent == 0 { now } else { request.at };
        let sent = Request { sent: request.sent + 1, at, ..request };
        let sealed = self.sealed(&RESUME, &sent).ok_or(Refused::Internal)?;
        let back = format!("{PATH}?resume={sealed}");
        Ok(Step::SignIn(Box::new(SignIn { back, assurance, max_age_s, ui_locales })))
    }

    fn consent(&self, request: Request, known: &Known) -> Result<Step, Refused> {
        let sent = Request { consent: false, sent: request.sent.max(1), ..request };
        let sealed = self.sealed(&RESUME, &sent).ok_or(Refused::Internal)?;
        Ok(Step::Consent { platform: known.platform.id.clone(), back: format!("{PATH}?resume={sealed}") })
    }

    /// Who a session speaks for, in words that only this client's platform knows.
    fn claims(&self, known: &Known, asked: &[Box<str>], session: &Session) -> SubjectClaims {
        let pairwise = |subject: &str| self.assertions.subject_at(&known.platform.id, subject);
        SubjectClaims::of(&consent::subject(session), asked, pairwise)
    }

    /// A code for this client; `None`: the session has ended meanwhile. What is given by it ends with the session, and with the last
    /// day of the role that it acts in.
    async fn code(
        &self,
        request: &Request,
        known: &Known,
        live: &Live,
        now: Timestamp,
    ) -> Result<Option<String>, Refused> {
        let session = &live.session;
        let claims = self.claims(known, &consent::asked(known, request), session);
        let Some((sign_on, sid)) = self.signed_on(request, live, &claims.sub, now).await? else { return Ok(None) };
        let once = self.once(Kind::Code, None).ok_or(Refused::Internal)?;
        let grant = Grant {
            id: once.grant,
            client: request.client.clone(),
            platform: known.platform.id.clone(),
            sign_on,
            sid,
            claims,
            scopes: request.scopes.clone(),
            acr: session.assurance,
            amr: session.methods.clone(),
            auth_time: session.authenticated_at.seconds(),
            ends_at: ends_at(session),
        };
        let authorized = Authorized {
            grant,
            redirect_uri: request.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            nonce: request.nonce.clone(),
        };
        let sealed = self.seal.seal_of(&once.bound(), &authorized).ok_or(Refused::Internal)?;
        let kept = self.store().put_once(&once.name(), &sealed, self.config.code_life, now).await?;
        if kept { Ok(Some(self.encoded(&once))) } else { Err(Refused::Internal) }
    }

    /// The client's sign-on at this session, with its `sid`: a new one, or the one from before.
    async fn signed_on(
        &self,
        request: &Request,
        live: &Live,
        sub: &str,
        now: Timestamp,
    ) -> Result<Option<(SessionKey, String)>, Refused> {
        let id = SessionId::random().ok_or(Refused::Internal)?;
        let new = SignOn { client: request.client.clone(), sid: id.encoded(), sub: sub.to_owned() };
        let value = self.seal.seal_of(&SIGN_ON, &new).ok_or(Refused::Internal)?;
        let key = id.key();
        let ends_at = live.session.ends_at;
        let put = PutSignOn { parent: &live.key, client: &request.client, key: &key, value: &value, ends_at };
        let value = match self.store().sign_on(put, now).await {
            Ok(value) => value,
            Err(StoreError::ParentGone) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let there: SignOn = self.seal.open_of(&SIGN_ON, &value).ok_or(Refused::Internal)?;
        let key = SessionId::parse(&there.sid).ok_or(Refused::Internal)?.key();
        Ok(Some((key, there.sid)))
    }

    /// RFC 6749 section 4.1.2, with RFC 9207's `iss`.
    fn back(&self, request: &Request, code: &str, by_page: bool) -> Step {
        let parameters = [("code", Some(code)), ("state", request.state.as_deref()), ("iss", Some(&*self.origin))];
        Step::Client { address: address::with(&request.redirect_uri, &parameters), by_page }
    }

    fn error(&self, redirect_uri: &str, state: Option<&str>, Wrong(code, why): Wrong, by_page: bool) -> Step {
        let parameters =
            [("error", Some(code)), ("error_description", Some(why)), ("state", state), ("iss", Some(&*self.origin))];
        Step::Client { address: address::with(redirect_uri, &parameters), by_page }
    }
}

fn ends_at(session: &Session) -> Timestamp {
    let role = session.represented.as_ref().map(|represented| Timestamp::end_of(represented.valid_until));
    role.map_or(session.ends_at, |role| role.min(session.ends_at))
}
