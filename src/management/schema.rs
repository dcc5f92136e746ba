//! What the document says of bodies: one schema for each thing that the API takes or answers.

use utoipa::openapi::schema::{AdditionalProperties, Array, Object, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr};

use crate::domain::{Level, Right, Role, SubjectRole};
use crate::registry::{Action, FilingState, ProposalKind};

pub(super) const PLATFORM_ID: &str = "^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$";
pub(super) const REALM_ID: &str = "^[a-z][a-z0-9-]{0,30}[a-z0-9]$";
pub(super) const DIVISION: &str = "^[1-9][0-9]{5}([0-9]{3}([0-9]{3})?)?$";
pub(super) const ITEM: &str = "^[0-9A-HJ-NP-RTUWXY]{12}$";
pub(super) const OWNER: &str = "^[0-9A-HJ-NPQRTUWXY]{18}$";
pub(super) const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
/// Something that somebody showed, as it names itself.
const CREDENTIAL: &str = "^(machine|files|unknown|token:[0-9a-f-]{36}|certificate:[0-9a-f]{64})$";
const PRINCIPAL: &str = "^[A-Za-z0-9._@:-]{1,100}$";
/// One line for people.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]{1,500}$";
const LOGIN: &str = r"^[^\x00-\x20\x7f-\x9f]{1,64}$";
const HOST: &str = r"^[a-z0-9._:\[\]-]{1,253}$";
const DAY: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";

pub(super) fn of_type(kind: Type) -> Schema {
    Schema::Object(Object::with_type(kind))
}

pub(super) fn text_of(pattern: &str) -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build())
}

fn text() -> Schema {
    of_type(Type::String)
}

fn flag() -> Schema {
    of_type(Type::Boolean)
}

pub(super) fn words(words: &[&'static str]) -> Schema {
    let object = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()));
    Schema::Object(object.build())
}

pub(super) fn number(least: u64, most: u64) -> Schema {
    let bound = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let object = ObjectBuilder::new().schema_type(Type::Integer);
    Schema::Object(object.minimum(Some(bound(least))).maximum(Some(bound(most))).build())
}

/// Milliseconds since 1970.
fn time() -> Schema {
    let about = "Milliseconds since 1970-01-01 UTC.";
    let object = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_usize)).description(Some(about));
    Schema::Object(object.build())
}

fn count() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0_usize)).build())
}

fn list(of: impl Into<RefOr<Schema>>, most: usize) -> Schema {
    Schema::Array(ArrayBuilder::new().items(of.into()).max_items(Some(most)).build())
}

fn any_list(of: impl Into<RefOr<Schema>>) -> Schema {
    Schema::Array(Array::new(of))
}

pub(super) fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// This, or nothing.
fn maybe(schema: impl Into<RefOr<Schema>>) -> Schema {
    let null = Object::with_type(SchemaType::new(Type::Null));
    Schema::OneOf(OneOfBuilder::new().item(null).item(schema).build())
}

/// An object of these and no other keys; a key with `?` may be left out.
fn object<'a>(about: &str, keys: impl IntoIterator<Item = (&'a str, RefOr<Schema>)>) -> Schema {
    let start = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(about))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    let built = keys.into_iter().fold(start, |object, (key, schema)| match key.strip_suffix('?') {
        Some(key) => object.property(key, schema),
        None => object.property(key, schema).required(key),
    });
    Schema::Object(built.build())
}

fn any_object(about: &str) -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(Type::Object).description(Some(about)).build())
}

macro_rules! keys {
    ($($key:literal: $schema:expr),* $(,)?) => { [$(($key, RefOr::<Schema>::from($schema))),*] };
}

/// All schemas by name.
pub(super) fn all() -> Vec<(&'static str, Schema)> {
    let mut all = vec![("Problem", problem()), ("Wrong", wrong())];
    all.extend(of_principals());
    all.extend(of_filings());
    all.extend(of_documents());
    all.extend(of_nodes());
    all.extend(of_reports());
    all.extend(of_people());
    all.extend(of_realms());
    all.extend(of_proposals());
    all
}

fn of_realms() -> [(&'static str, Schema); 4] {
    let level = || words(&["L1", "L2", "L3", "L4"]);
    let levels = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("The provider's words for how sure it is, and what each is worth here."))
        .additional_properties(Some(AdditionalProperties::RefOr(level().into())))
        .build();
    let url = || text_of("^https?://[!-~]{1,2000}$");
    let (file, pointer, token) = (|| text_of("^[^/]{1,255}$"), || text_of("^/.{0,199}$"), || text_of("^[!-~]{1,255}$"));
    let algorithms = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let name = || text_of(r"^[^\x00-\x1f\x7f-\x9f]{1,64}$");
    let realm = keys! {
        "id": text_of(REALM_ID), "name": name(), "name_en": name(), "issuer": url(), "client_id": token(),
        "kind?": words(&["oidc", "code-userinfo"]),
        "client_auth?": words(&["client_secret_basic", "client_secret_post", "private_key_jwt"]),
        "client_secret_file?": file(), "client_key_file?": file(), "ca_file?": file(), "scopes?": list(token(), 50),
        "levels?": Schema::Object(levels), "subject?": words(&["natural", "legal"]), "deadline_ms?": number(100, 30_000),
        "algorithms?": list(words(&algorithms), 9), "par?": flag(), "authorize_url?": url(), "token_url?": url(),
        "userinfo_url?": url(), "userinfo_token?": words(&["bearer", "form"]), "token_pointer?": pointer(),
        "subject_pointer?": pointer(), "name_pointer?": pointer(), "level_pointer?": pointer(), "reauthenticates?": flag(),
    };
    let view = keys! {
        "id": text_of(REALM_ID), "name": text(), "name_en": text(), "issuer": text(), "in_settings": flag(),
        "version": count(), "changed_by": maybe(text_of(PRINCIPAL)), "changed_at": maybe(time()),
        "document": maybe(any_object("As it was written; of the register's only.")),
        "client_key?": maybe(any_object("Public key (RFC 7517) that the provider must file for this client.")),
    };
    [
        ("Realm", object("A provider realm, in the form of `[[realm]]` of the settings.", realm)),
        ("RealmView", object("A realm.", view)),
        ("Realms", object("All of them.", keys! { "entries": any_list(reference("RealmView")) })),
        ("RealmGone", object("A realm that was taken away.", keys! { "id": text_of(REALM_ID) })),
    ]
}

fn problem() -> Schema {
    object(
        "A problem document (RFC 9457).",
        keys! {
            "type": text(), "status": number(400, 599), "title": text(), "detail": text(), "code": text(),
            "request_id": text(), "right?": words(&Right::ALL.map(Right::word)), "current?": text(),
            "errors?": any_list(reference("Wrong")),
        },
    )
}

fn wrong() -> Schema {
    object(
        "One thing that is wrong with a request, or worth a look.",
        keys! {
            "pointer?": text(), "parameter?": text(), "got": text(), "expected": text(), "hint?": text(),
        },
    )
}

fn rights() -> Schema {
    list(words(&Right::ALL.map(Right::word)), Right::ALL.len())
}

fn of_proposals() -> [(&'static str, Schema); 3] {
    let proposal = keys! {
        "id?": text_of(UUID), "kind": words(&ProposalKind::ALL.map(ProposalKind::word)), "division": text_of(DIVISION),
        "object": any_object("What would come into effect; of its kind."), "proposed_by": text_of(PRINCIPAL),
        "credential": text_of(CREDENTIAL), "proposed_at": time(), "expires_at": time(),
        "state": words(&["open", "expired", "approved", "rejected"]), "decided_by": maybe(text_of(PRINCIPAL)),
        "decided_at": maybe(time()), "reason": maybe(text()),
    };
    let decided = keys! {
        "proposal": reference("Proposal"), "made": any_object("What is in effect now: a role, a reservation, a realm."),
    };
    [
        ("Proposal", object("What takes effect when a second person approves it.", proposal)),
        ("ProposalPage", page("Proposal")),
        ("Decided", object("What an approval did.", decided)),
    ]
}

fn of_principals() -> [(&'static str, Schema); 6] {
    let role = || words(&Role::ALL.map(Role::word));
    let id = || text_of(PLATFORM_ID);
    let token = || {
        keys! {
            "id?": text_of(UUID), "principal": text_of(PRINCIPAL), "role": role(), "division": text_of(DIVISION),
            "platform": maybe(id()), "scope": rights(), "state": words(&["active", "expired", "revoked"]),
            "issued_by": text_of(PRINCIPAL), "issuer": maybe(text_of(CREDENTIAL)), "issued_at": time(), "expires_at": time(),
            "revoked_by": maybe(text_of(PRINCIPAL)), "revoked_at": maybe(time()), "used_at": maybe(time()),
            "token?": text(),
        }
    };
    [
        (
            "Principal",
            object(
                "Whoever calls.",
                keys! {
                    "principal": text_of(PRINCIPAL), "role": role(), "division": text_of(DIVISION),
                    "division_name": maybe(text()), "platform": maybe(id()), "rights": rights(),
                    "shown": words(&["token", "certificate"]), "token": maybe(text_of(UUID)),
                    "expires_at": maybe(time()),
                },
            ),
        ),
        ("Token", object("A token; itself only in the answer that issued it.", token())),
        (
            "TokenRevoked",
            object("A token that ended, and what ended with it.", {
                let mut keys: Vec<_> = token().into();
                keys.push(("issued_through", any_list(reference("Token")).into()));
                keys.push(("issued_through_count", count().into()));
                keys
            }),
        ),
        ("TokenPage", page("Token")),
        (
            "NewToken",
            object(
                "What a token is to be for.",
                keys! {
                    "principal": text_of(PRINCIPAL), "role": role(), "division": text_of(DIVISION), "platform?": id(),
                    "scope?": rights(), "days?": number(1, 366),
                },
            ),
        ),
        ("Lease", object("How long an instance is alive.", keys! { "seconds?": number(5, 3600) })),
    ]
}

fn page(of: &str) -> Schema {
    object("Part of a list.", keys! { "entries": any_list(reference(of)), "next": maybe(text()) })
}

fn state() -> Schema {
    words(&FilingState::ALL.map(FilingState::word))
}

fn summary() -> Vec<(&'static str, RefOr<Schema>)> {
    keys! {
        "id": text_of(PLATFORM_ID), "name": text(), "name_en": text(), "owner": text_of(OWNER),
        "division": text_of(DIVISION), "level": words(&Level::ALL.map(Level::word)), "state": state(),
        "expired": flag(), "version": count(), "in_force": maybe(count()), "draft": maybe(reference("Draft")),
        "valid_until": maybe(text_of(DAY)), "attested_at": maybe(time()), "created_at": time(), "changed_at": time(),
    }
    .into()
}

fn of_filings() -> Vec<(&'static str, Schema)> {
    let mut filing = summary();
    filing.extend(keys! {
        "notice": maybe(text()), "stopped_by": maybe(text_of(DIVISION)),
        "document": any_object("A filing, as `Filing` says."),
        "document_in_force": maybe(any_object("The one in force, where another is on its way.")),
        "quarantined": any_list(reference("Quarantined")),
    });
    vec![
        ("FilingSummary", object("A filing in a list.", summary())),
        ("FilingPage", page("FilingSummary")),
        ("FilingView", object("A filing with its documents.", filing)),
        (
            "Draft",
            object(
                "A document on its way.",
                keys! { "version": count(), "state": state(), "submitted_by": maybe(text()), "reason": maybe(text()) },
            ),
        ),
        ("Quarantined", object("A node that could not take a document.", keys! { "node": text(), "reason": text() })),
        (
            "Done",
            object(
                "What a write did, or would do.",
                keys! {
                    "filing": reference("FilingView"), "created": flag(), "changed": flag(),
                    "warnings": any_list(reference("Wrong")),
                },
            ),
        ),
        (
            "Change",
            object(
                "One change of a filing.",
                keys! {
                    "version": count(), "action": words(&Action::ALL.map(Action::word)), "actor": text(),
                    "credential": maybe(text_of(CREDENTIAL)), "at": time(),
                    "reason": maybe(text()), "state": state(), "in_force": maybe(count()), "has_document": flag(),
                    "before": maybe(text()), "after": text(), "request_id": text(),
                },
            ),
        ),
        ("ChangePage", page("Change")),
        ("Reason", object("Why.", keys! { "reason": text_of(LINE) })),
        ("Notice", object("What people are told.", keys! { "notice": text_of(LINE) })),
        ("ToVersion", object("Back to this one.", keys! { "version": number(1, 1 << 53) })),
        (
            "Validation",
            object(
                "What is wrong with a document.",
                keys! {
                    "valid": flag(), "errors": any_list(reference("Wrong")), "warnings": any_list(reference("Wrong")),
                },
            ),
        ),
        (
            "Reservation",
            object(
                "A place that only one platform may file.",
                keys! {
                    "host": maybe(text()), "prefix": text(), "platform": text(), "reserved_by": text(),
                    "approved_by": maybe(text()), "at": time(),
                },
            ),
        ),
        ("Reservations", object("All of a platform.", keys! { "entries": any_list(reference("Reservation")) })),
        (
            "NewReservation",
            object(
                "Host (the portal's when absent) and path prefix.",
                keys! { "host?": text_of(HOST), "prefix": text_of("^/[!-~]{0,255}$") },
            ),
        ),
    ]
}

fn of_reports() -> Vec<(&'static str, Schema)> {
    let id = || text_of(PLATFORM_ID);
    let reasons = ["unused", "nothing-succeeds", "expired", "unattested", "stale-health", "overlapping"];
    vec![
        ("ZombiePage", page("Zombie")),
        (
            "Zombie",
            object(
                "A platform out of which nobody got anything.",
                keys! {
                    "filing": reference("FilingSummary"), "platform": id(), "zombie": flag(),
                    "reasons": any_list(reference("Reason")), "last_success": maybe(time()), "spans": any_list(reference("Span")),
                },
            ),
        ),
        (
            "Reason",
            object(
                "What speaks against it.",
                keys! {
                    "reason": words(&reasons), "idle_days?": count(), "valid_until?": text_of(DAY), "last?": maybe(text_of(DAY)),
                    "platforms?": any_list(id()),
                },
            ),
        ),
        (
            "Span",
            object(
                "Use within the last days.",
                keys! { "days": count(), "requests": count(), "failures": count(), "people": count() },
            ),
        ),
        ("OverlapPage", page("Overlap")),
        (
            "Overlap",
            object(
                "Two platforms for one item and division: `platform` answers, `other` stands by.",
                keys! {
                    "item": text_of(ITEM), "division": text_of(DIVISION), "platform": id(), "other": id(),
                    "other_division": text_of(DIVISION),
                },
            ),
        ),
    ]
}

fn of_people() -> Vec<(&'static str, Schema)> {
    let role = || words(&SubjectRole::ALL.map(SubjectRole::word));
    let login = || text_of(LOGIN);
    vec![
        (
            "SubjectRole",
            object(
                "A person's role for a legal person.",
                keys! {
                    "id": text_of(UUID), "account": text(), "usc": text_of(OWNER), "name": text(), "role": role(),
                    "valid_from": text_of(DAY), "valid_until": text_of(DAY),
                    "state": words(&["valid", "future", "over", "withdrawn"]), "evidence": maybe(text()),
                    "granted_by": text(), "approved_by": maybe(text()),
                    "granted_at": time(), "withdrawn_by": maybe(text()), "withdrawn_at": maybe(time()),
                },
            ),
        ),
        ("SubjectRolePage", page("SubjectRole")),
        (
            "NewSubjectRole",
            object(
                "Who may act for whom, and how long.",
                keys! {
                    "login": login(), "usc": text_of(OWNER), "name": text_of(r"^[^\x00-\x1f\x7f-\x9f]{1,100}$"),
                    "role": role(), "valid_from?": text_of(DAY), "valid_until": text_of(DAY),
                    "evidence?": text_of(r"^[^\x00-\x1f\x7f-\x9f]{1,200}$"),
                },
            ),
        ),
        ("SessionsOf", object("Whose.", keys! { "login": login() })),
        (
            "Session",
            object(
                "A session of a person.",
                keys! {
                    "id": text(), "realm": text(), "device": text(), "network": text(),
                    "acting_for": maybe(text_of(OWNER)), "begun_at": time(), "last_seen": time(),
                },
            ),
        ),
        ("Sessions", object("All of a person.", keys! { "entries": any_list(reference("Session")) })),
        (
            "SessionsToEnd",
            object(
                "Whose, and which; all when absent.",
                keys! { "login": login(), "session?": text_of("^[0-9a-f]{32}$") },
            ),
        ),
        ("SessionsEnded", object("How many.", keys! { "ended": count() })),
    ]
}

fn of_nodes() -> Vec<(&'static str, Schema)> {
    vec![
        ("Nodes", object("All nodes.", keys! { "revision": count(), "nodes": any_list(reference("Node")) })),
        (
            "Node",
            object(
                "A node that follows the register.",
                keys! {
                    "name": text(), "revision": count(), "seen_at": time(), "standing": text(),
                    "quarantined": any_list(reference("NodeQuarantine")),
                },
            ),
        ),
        ("NodeQuarantine", object("A filing that it could not take.", keys! { "platform": text(), "reason": text() })),
        ("Confirmed", object("What nodes may take now.", keys! { "revision": count() })),
        (
            "Platform",
            object(
                "A platform in force on this node.",
                keys! {
                    "id": text_of(PLATFORM_ID), "name": text(), "name_en": text(), "division": text_of(DIVISION),
                    "level": words(&Level::ALL.map(Level::word)),
                    "state": words(&["active", "suspended", "expired", "retired"]), "routes": count(),
                    "instances": count(),
                },
            ),
        ),
        ("PlatformPage", page("Platform")),
        (
            "Instance",
            object(
                "An instance of a platform.",
                keys! {
                    "address": text(), "weight": count(), "canary": flag(), "tls": flag(),
                    "lease": maybe(reference("LeaseView")), "health": reference("Health"),
                },
            ),
        ),
        (
            "Health",
            object(
                "What this node found of an instance; `since` when it is down or its breaker open.",
                keys! {
                    "state": words(&["up", "down", "unchecked"]), "breaker": words(&["closed", "open"]),
                    "since": maybe(time()),
                },
            ),
        ),
        (
            "LeaseView",
            object(
                "What an instance last said.",
                keys! { "state": words(&["alive", "lost"]), "renewed_at": time(), "expires_at": time() },
            ),
        ),
        ("Instances", object("All of a platform.", keys! { "entries": any_list(reference("Instance")) })),
        (
            "Route",
            object(
                "A route in force on this node.",
                keys! {
                    "platform": text_of(PLATFORM_ID), "route": count(), "name": text(), "action": text(),
                    "access": text(), "assurance": text(), "items": any_list(text()), "divisions": any_list(text()),
                    "covers": maybe(text()), "host": maybe(text()), "path": maybe(text()), "match": maybe(text()),
                },
            ),
        ),
        ("RoutePage", page("Route")),
        ("Explanation", any_object("Who answers an address, who lost, and why.")),
    ]
}

fn of_documents() -> Vec<(&'static str, Schema)> {
    vec![
        (
            "Filing",
            object(
                "A filing, in the form of `routes/platforms/*.toml`.",
                keys! {
                    "platform": reference("FilingPlatform"), "upstream?": list(reference("FilingUpstream"), 1000),
                    "route?": list(reference("FilingRoute"), 1000), "client?": list(reference("FilingClient"), 20),
                },
            ),
        ),
        ("FilingPlatform", filing_platform()),
        ("FilingUpstream", filing_upstream()),
        ("FilingRoute", filing_route()),
        ("FilingClient", filing_client()),
        ("Document", any_object("Anything that may be a filing.")),
        ("FilingPatch", any_object("A merge patch (RFC 7396) of a filing: `null` takes a key away.")),
    ]
}

fn filing_platform() -> Schema {
    object(
        "Who a platform is.",
        keys! {
            "id": text_of(PLATFORM_ID), "name": text_of(LINE), "name_en": text_of(LINE), "owner": text_of(OWNER),
            "division": text_of(DIVISION), "function": text_of(LINE), "scope": text_of(LINE),
            "approving_body?": text_of(LINE), "approved_on?": text_of(DAY), "funding": text_of(LINE),
            "filing_number?": text_of(LINE), "valid_until?": text_of(DAY), "contact": text_of(LINE),
            "trusted?": flag(), "authority?": flag(), "zones?": list(words(&["internet", "extranet"]), 2),
            "attributes?": list(text_of("^[a-z_]{1,40}$"), 40), "inflight_max?": number(1, 1_000_000),
            "ca?": text(), "client_certificate?": text(), "client_key?": text(),
            "health?": object("How instances are checked.", keys! {
                "path?": text_of("^/[!-~]{0,255}$"), "tcp?": flag(), "every_s?": number(1, 3600), "timeout_ms?": number(10, 60_000),
            }),
            "canary?": object("Who meets a new version.", keys! {
                "share?": number(0, 100), "header?": text(), "divisions?": list(text_of(DIVISION), 1000),
            }),
        },
    )
}

fn filing_upstream() -> Schema {
    object(
        "An instance.",
        keys! {
            "address": text_of(r"^[a-z0-9._:\[\]-]{1,253}:[0-9]{1,5}$"), "weight?": number(1, 100), "tls?": flag(),
            "http2?": flag(), "canary?": flag(), "server_name?": text_of(HOST), "ca?": text(),
            "client_certificate?": text(), "client_key?": text(),
        },
    )
}

fn filing_client() -> Schema {
    let uri = || text_of("^https?://[!-~]{1,1000}$");
    let key = keys! {
        "kty": words(&["EC", "OKP", "RSA"]), "kid?": text(), "use?": text(), "alg?": text(), "crv?": text(), "x?": text(),
        "y?": text(), "n?": text(), "e?": text(),
    };
    object(
        "A program of the platform that signs people in through the gateway (OpenID Connect). Of a secret only its hash is filed.",
        keys! {
            "client_id?": text_of("^[a-z0-9.-]{1,100}$"), "redirect_uris": list(uri(), 50),
            "post_logout_redirect_uris?": list(uri(), 50), "backchannel_logout_uri?": uri(),
            "token_endpoint_auth_method?": words(&["client_secret_basic", "client_secret_post", "private_key_jwt"]),
            "secret_sha256?": list(text_of("^[0-9a-f]{64}$"), 4),
            "jwks?": object("Public keys (RFC 7517).", keys! { "keys": list(object("A public key.", key), 4) }),
            "grant_types?": list(words(&["authorization_code", "refresh_token"]), 2),
            "scopes?": list(words(&["openid", "profile", "phone", "offline_access"]), 4),
            "require_pushed_authorization_requests?": flag(), "consent?": flag(),
        },
    )
}

fn filing_route() -> Schema {
    let methods = words(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    object(
        "What of the platform is reachable: `items` or `path`.",
        keys! {
            "name?": text_of(LINE), "items?": list(text_of(ITEM), 10_000), "divisions?": list(text_of(DIVISION), 10_000),
            "covers?": words(&["self", "subtree"]), "host?": text_of(HOST), "path?": text_of("^/[!-~]{0,255}$"),
            "match?": words(&["exact", "prefix"]), "access?": words(&["open", "optional", "required"]),
            "assurance?": words(&["L1", "L2", "L3", "L4"]), "subject?": words(&["natural", "legal", "agent"]),
            "max_age_s?": count(), "methods?": list(methods, 7), "body_bytes_max?": count(), "websocket?": flag(),
            "fallback?": list(words(&["unhealthy", "suspended"]), 2), "audit?": flag(),
            "action?": words(&["proxy", "gone", "maintenance"]), "notice?": text_of(LINE), "retry_after_s?": count(),
            "deadlines?": object("In milliseconds.", keys! {
                "connect_ms?": count(), "first_byte_ms?": count(), "idle_ms?": count(), "total_ms?": count(),
            }),
        },
    )
}
