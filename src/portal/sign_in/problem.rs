//! Why a sign-in did not succeed: status, sentence and metric of each.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::identity::SignInError;
use crate::portal::Language;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Refused,
    FormExpired,
    Busy,
    StoreAway,
}

impl From<SignInError> for Problem {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::Refused,
            SignInError::Busy => Self::Busy,
            SignInError::Store(cause) => {
                tracing::warn!(%cause, "nobody can sign in while accounts cannot be read");
                Self::StoreAway
            }
        }
    }
}

impl Problem {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Refused => StatusCode::UNAUTHORIZED,
            Self::FormExpired => StatusCode::BAD_REQUEST,
            Self::Busy | Self::StoreAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The label in `yimen_sign_ins_total{result}`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::FormExpired => "expired_form",
            Self::Busy => "busy",
            Self::StoreAway => "store_away",
        }
    }

    pub(super) fn add_headers(self, headers: &mut HeaderMap) {
        match self {
            // A 401 must name a scheme (RFC 9110 section 11.6.1); one that browsers do not know opens no dialogue.
            Self::Refused => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Session realm=\"yimen\"")),
            Self::FormExpired => None,
            // A full queue of the default length is empty after some 2 s.
            Self::Busy => headers.insert(RETRY_AFTER, HeaderValue::from_static("3")),
            Self::StoreAway => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
        };
    }

    pub(super) fn sentence(self, language: Language) -> &'static str {
        let (chinese, english) = match self {
            Self::Refused => (
                "账号或密码不正确。请检查大小写和输入法后重试；忘记密码请到政务服务大厅重置。",
                "Account and password do not belong together. Check capitals and keyboard and try again; a forgotten password is reset at a service hall.",
            ),
            Self::FormExpired => (
                "页面停留时间过长，或浏览器没有保存 Cookie，所以没有登录。请重新输入密码再试一次。",
                "The page was open for too long, or the browser keeps no cookies, so you are not signed in. Enter the password and try once more.",
            ),
            Self::Busy => (
                "现在登录的人较多，还没有核对您的密码。请过几秒再试。",
                "Many people are signing in, and your password has not been checked yet. Try again in a few seconds.",
            ),
            Self::StoreAway => (
                "登录服务正在恢复，这次没有登录成功。请稍后再试。",
                "The sign-in service is recovering, so you could not be signed in. Try again in a moment.",
            ),
        };
        language.pick(chinese, english)
    }
}
