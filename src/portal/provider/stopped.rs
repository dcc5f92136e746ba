//! Why somebody was not signed in by a provider, as a page that names it and leads on.

use axum::body::Body;
use axum::response;
use http::StatusCode;

use crate::identity::ProviderError;
use crate::portal::Language;
use crate::portal::call::Call;
use crate::portal::failure::WayOn;
use crate::portal::return_to::ReturnTo;

/// The page.
pub(in crate::portal) fn stopped(
    call: &Call,
    realm: &str,
    error: &ProviderError,
    return_to: &str,
) -> response::Response<Body> {
    tracing::warn!(%error, request_id = call.visitor.request_id, "nobody was signed in by a provider");
    if let ProviderError::Store(_) = error {
        return call.failure(StatusCode::SERVICE_UNAVAILABLE, "session-store-away", WayOn::Retry(5));
    }
    call.count_sign_in("provider");
    let (status, code) = kind(error);
    let again = WayOn::SignIn(ReturnTo::parse(return_to).to_string());
    let way_on = match error {
        // It was finished in another tab: who is signed in has nothing to sign in for.
        ProviderError::NoTransaction if call.visitor.session.is_some() => WayOn::Home,
        ProviderError::LinkedElsewhere => WayOn::Home,
        _ => again,
    };
    let notice = notice(call, realm, error);
    call.failure_because(status, code, way_on, notice.as_deref())
}

fn kind(error: &ProviderError) -> (StatusCode, &'static str) {
    match error {
        ProviderError::NoRealm => (StatusCode::NOT_FOUND, "no-realm"),
        ProviderError::Away { .. } => (StatusCode::SERVICE_UNAVAILABLE, "provider-away"),
        ProviderError::Untrusted { .. } => (StatusCode::BAD_GATEWAY, "provider-untrusted"),
        ProviderError::Refused { .. } => (StatusCode::FORBIDDEN, "provider-refused"),
        ProviderError::TooLow { .. } => (StatusCode::FORBIDDEN, "level-not-reached"),
        ProviderError::NoTransaction => (StatusCode::BAD_REQUEST, "sign-in-over"),
        ProviderError::Disabled => (StatusCode::FORBIDDEN, "account-disabled"),
        ProviderError::LinkedElsewhere => (StatusCode::CONFLICT, "identity-taken"),
        ProviderError::Local(_) | ProviderError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// The sentence that names the provider.
fn notice(call: &Call, realm: &str, error: &ProviderError) -> Option<String> {
    let offer = call.rooms.realms.offer(realm)?;
    let language = call.visitor.language;
    let name = language.pick(&offer.name, &offer.name_en);
    Some(match error {
        ProviderError::Away { .. } => match language {
            Language::Chinese => {
                format!("{name}没有应答，所以没有登录。已登录的用户不受影响。请稍后再试，或选择其他登录方式。")
            }
            Language::English => format!(
                "{name} does not answer, so you are not signed in. Who is signed in already stays so. Try again later, or choose another way to sign in."
            ),
        },
        ProviderError::TooLow { reached, asked, .. } => match language {
            Language::Chinese => {
                format!(
                    "{name}证明的等级为{reached}，此服务需要{asked}，所以没有登录。请在该平台完成更高等级的核验，或选择其他登录方式。"
                )
            }
            Language::English => format!(
                "{name} proved {reached} and this service needs {asked}, so you are not signed in. Have your identity proven further there, or choose another way to sign in."
            ),
        },
        _ => return None,
    })
}
