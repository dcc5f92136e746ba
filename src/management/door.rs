//! The door: what every call goes through before it is carried out, in the order in which it can be refused, and what every
//! answer gets on its way out.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use super::Management;
use super::answer::Answer;
use super::call::Call;
use super::caller::PeerCertificate;
use super::conditions::Conditions;
use super::fault::Fault;
use super::operation::{Operation, Takes};
use super::parameters::Values;
use crate::domain::Timestamp;
use crate::problem::Wrong;
use crate::registry::{HeldKey, KeptAnswer, Repeated};

/// The listener gives no more than this (`body-too-large`); a second look costs nothing.
const BODY_BYTES_MAX: usize = 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Answers a request at a path that has these operations.
pub(super) async fn answer(
    management: Management,
    operations: Arc<[Operation]>,
    path: RawPathParams,
    request: Request,
) -> Response {
    let request_id = Uuid::now_v7().simple().to_string();
    let only_head = request.method() == Method::HEAD;
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>();
    let mut response = match carried_out(&management, &operations, path, request, &request_id).await {
        Ok(answer) => answer.into_response(),
        Err(fault) => fault.respond(&request_id),
    };
    management.metrics.management_requests.with_label_values(&[class(response.status())]).inc();
    if writes && response.status().is_success() {
        tracing::info!(request_id, "a management call was carried out");
    }
    finished(&mut response, &request_id);
    if only_head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

/// Nothing of it may be kept on its way, and it has the id under which we know it.
pub(super) fn finished(response: &mut Response, request_id: &str) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

async fn carried_out(
    management: &Management,
    operations: &[Operation],
    path: Vec<(String, String)>,
    request: Request,
    request_id: &str,
) -> Result<Answer, Fault> {
    let now = Timestamp::now();
    let (parts, body) = request.into_parts();
    let certificate = parts.extensions.get::<PeerCertificate>().copied();
    let caller = management.callers.admit(&parts.headers, certificate, &management.metrics, now).await?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method };
    let allowed = || Fault::Method { allow: allow(operations) };
    let operation = operations.iter().find(|operation| operation.method == method).ok_or_else(allowed)?;
    if let Some(right) = operation.right {
        caller.must_have(right)?;
    }
    let values = Values::of_query(parts.uri.query().unwrap_or_default(), &operation.query);
    let values = values.and_then(|values| values.and_path(&path, &operation.path_parameters));
    let (values, conditions) = match (values, Conditions::of(&parts.headers)) {
        (Ok(values), Ok(conditions)) => (values, conditions),
        (values, conditions) => {
            let wrongs = values.err().into_iter().chain(conditions.err()).flatten().collect();
            return Err(Fault::Parameters(wrongs));
        }
    };
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| Fault::Syntax(Vec::new()))?;
    media_type(operation, &parts.headers, &body)?;
    let key = key(operation, &parts.headers)?;
    let call = Call { caller, request_id: request_id.to_owned(), now, values, conditions, body };
    match key {
        Some(key) => {
            once(management, operation, call, &key, parts.uri.path_and_query().map_or("", |all| all.as_str())).await
        }
        None => (operation.run)(management.clone(), call).await,
    }
}

/// The methods of a path, as `Allow` has them.
pub(super) fn allow(operations: &[Operation]) -> String {
    let mut methods: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.join(", ")
}

fn media_type(operation: &Operation, headers: &HeaderMap, body: &Bytes) -> Result<(), Fault> {
    let expected = match operation.takes {
        Takes::Nothing if body.is_empty() || !operation.writes() => return Ok(()),
        Takes::Nothing => {
            let got = format!("{} bytes", body.len());
            let expected = "no body".to_owned();
            let wrong = Wrong { pointer: Some(String::new()), parameter: None, got, expected, hint: None };
            return Err(Fault::Syntax(vec![wrong]));
        }
        Takes::Json(_) => "application/json",
        Takes::MergePatch(_) => "application/merge-patch+json",
    };
    let got = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let essence = got.as_deref().and_then(|got| got.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let got = got.map_or_else(|| "none".to_owned(), |got| got.chars().take(80).collect());
    Err(Fault::MediaType { expected, got })
}

/// The `Idempotency-Key` of a call that takes one, its quotes taken off. A short one is no random one.
fn key(operation: &Operation, headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next().filter(|_| operation.takes_key()) else { return Ok(None) };
    let text = key.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if fits && (8..=255).contains(&text.len()) && keys.next().is_none() {
        return Ok(Some(text.to_owned()));
    }
    Err(Fault::Parameters(vec![Wrong {
        pointer: None,
        parameter: Some(IDEMPOTENCY_KEY.to_string()),
        got: text.chars().take(80).collect(),
        expected: "one key of 8 to 255 letters, digits, - and _".to_owned(),
        hint: Some("a random UUID is one".to_owned()),
    }]))
}

/// Carries a call out, unless it was: then answers what was answered.
async fn once(
    management: &Management,
    operation: &Operation,
    call: Call,
    key: &str,
    address: &str,
) -> Result<Answer, Fault> {
    let credential = call.caller.actor.lineage.own().credential;
    let (now, body) = (call.now, call.body.clone());
    let request = [operation.method.as_str().as_bytes(), address.as_bytes(), &body];
    match management.answered.before(credential, key, &request, now).await? {
        Repeated::Done(kept) => Ok(again(kept)),
        Repeated::UnderWay => Err(Fault::KeyUnderWay),
        Repeated::Other => Err(Fault::KeyReused),
        Repeated::No(held) => {
            let answer = (operation.run)(management.clone(), call).await;
            remember(management, &held, answer.as_ref().ok()).await;
            answer
        }
    }
}

/// A good answer is kept. A refusal changed nothing, so the key is free for the corrected call.
async fn remember(management: &Management, key: &HeldKey, answer: Option<&Answer>) {
    let remembered = match answer {
        Some(answer) => management.answered.keep(key, &kept(answer)).await,
        None => management.answered.give_back(key).await,
    };
    if let Err(error) = remembered {
        tracing::warn!(cause = ?error, "an answer is not kept; its key is free again in a minute");
    }
}

fn kept(answer: &Answer) -> KeptAnswer {
    let fields = answer.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let body = answer.kept.clone().or_else(|| answer.body.clone());
    KeptAnswer { status: answer.status.as_u16(), fields, body }
}

fn again(kept: KeptAnswer) -> Answer {
    let line = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.parse().ok()?, value.to_owned()))
    };
    let fields = kept.fields.lines().filter_map(line).collect();
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    Answer { status, fields, body: kept.body, kept: None }
}
