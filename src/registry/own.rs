//! The gateway's own pages, as a platform of the same table: no address is a special case in front of it.

use crate::domain::{DivisionCode, Level, Zone};
use crate::routing::{Access, Action, Matches, MethodSet, PathKind, Platform, PlatformState, Route};

/// The id of the gateway as a platform; nobody else's.
pub(super) const OWN_ID: &str = "yimen";

const READ: &[&str] = &["GET"];
const FORM: &[&str] = &["GET", "POST"];
const SEND: &[&str] = &["POST"];

/// Path, how it is compared, whom it lets in, what it takes.
const PAGES: [(&str, PathKind, Access, &[&str]); 33] = [
    ("/", PathKind::Exact, Access::Optional, READ),
    ("/search", PathKind::Exact, Access::Optional, READ),
    ("/region", PathKind::Exact, Access::Optional, FORM),
    ("/sign-in", PathKind::Exact, Access::Optional, FORM),
    ("/sign-in/second", PathKind::Exact, Access::Optional, FORM),
    ("/sign-in/passkey", PathKind::Exact, Access::Optional, FORM),
    ("/sign-in/recovery", PathKind::Exact, Access::Optional, FORM),
    ("/account/factors", PathKind::Exact, Access::Required, SEND),
    ("/sign-out", PathKind::Exact, Access::Optional, FORM), // signing out twice is no error, so no session is required
    ("/account", PathKind::Exact, Access::Required, READ),
    ("/account/sessions/end", PathKind::Exact, Access::Required, SEND),
    ("/account/subject", PathKind::Exact, Access::Required, FORM),
    ("/account/privacy", PathKind::Exact, Access::Required, READ),
    ("/account/consents/withdraw", PathKind::Exact, Access::Required, SEND),
    ("/account/sessions/end-all", PathKind::Exact, Access::Required, FORM),
    ("/account/export", PathKind::Exact, Access::Required, SEND),
    ("/account/erase", PathKind::Exact, Access::Required, FORM),
    ("/consent", PathKind::Exact, Access::Required, FORM),
    ("/sign-in/", PathKind::Prefix, Access::Optional, FORM), // a provider's address, its way back, and its word that a session ended
    ("/account/identities", PathKind::Exact, Access::Required, READ),
    ("/account/identities/link", PathKind::Exact, Access::Required, SEND),
    ("/account/identities/unlink", PathKind::Exact, Access::Required, SEND),
    ("/.well-known/jwks.json", PathKind::Exact, Access::Open, READ),
    ("/.well-known/openid-configuration", PathKind::Exact, Access::Open, READ),
    ("/.well-known/oauth-authorization-server", PathKind::Exact, Access::Open, READ),
    ("/oidc/authorize", PathKind::Exact, Access::Open, FORM), // it looks for the session itself: "unknown" is no "nobody" there
    ("/oidc/logout", PathKind::Exact, Access::Open, FORM),    // the same
    ("/oidc/token", PathKind::Exact, Access::Open, SEND),
    ("/oidc/userinfo", PathKind::Exact, Access::Open, FORM),
    ("/oidc/introspect", PathKind::Exact, Access::Open, SEND),
    ("/oidc/revoke", PathKind::Exact, Access::Open, SEND),
    ("/oidc/par", PathKind::Exact, Access::Open, SEND),
    ("/handover", PathKind::Exact, Access::Open, READ), // it looks for the session itself
];

const BODY_BYTES_MAX: u64 = 64 << 10; // the longest form is sign-in: login, password, token, way back

/// The gateway as a platform: id `yimen`, nation level, its pages on the portal's hosts. `None` only if `yimen` were no
/// good id, which a test rules out.
pub fn own_platform() -> Option<Platform> {
    let route = |(path, kind, access, methods): (&str, PathKind, Access, &[&str])| Route {
        name: path.into(),
        access,
        methods: methods.iter().fold(MethodSet::none(), |set, method| set.and(method).unwrap_or(set)),
        body_bytes_max: BODY_BYTES_MAX,
        ..Route::new(Matches::Path { host: None, path: path.into(), kind }, Action::Gateway)
    };
    Some(Platform {
        id: OWN_ID.parse().ok()?,
        name: "一门".into(),
        name_en: "Yimen".into(),
        owner: None,
        function: Box::default(),
        division: DivisionCode::NATION,
        level: Level::Nation,
        state: PlatformState::Active,
        trusted: true,
        authority: true,
        upstreams: Box::default(),
        attributes: Box::default(),
        zones: [Zone::Internet, Zone::Extranet].into(),
        inflight_max: None,
        canary: None,
        health: None,
        clients: Box::default(),
        routes: PAGES.into_iter().map(route).collect(),
    })
}

/// Whether a path on the portal's hosts is kept for the gateway: the root, service addresses, its own pages and all
/// below their first segment.
pub(super) fn is_reserved(path: &str) -> bool {
    let first = |path: &str| path.split('/').nth(1).unwrap_or_default().to_owned();
    let own = first(path);
    own == "s" || own == ".yimen" || PAGES.iter().any(|(page, ..)| first(page) == own)
}
