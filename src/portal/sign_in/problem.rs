//! Why a sign-in did not succeed: status, sentence and metric of each.

use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::identity::{FactorError, SignInError, TryError};
use crate::portal::Language;
use crate::portal::when::span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::portal) enum Problem {
    Refused,
    FormExpired,
    /// A code that is wrong, too old or used.
    WrongCode,
    /// The sign-in was begun too long ago, or finished in another tab.
    HalfGone,
    /// A code could not be sent.
    NotSent,
    /// No passkey of ours, or one that did not answer what it was asked.
    PasskeyRefused,
    /// The passkey of somebody else than who is signed in.
    #[cfg_attr(not(feature = "passkey"), allow(dead_code, reason = "only passkeys use it"))]
    OtherPerson,
    /// Too many tries: seconds to wait.
    TooMany(u64),
    Busy,
    StoreAway,
}

impl From<TryError> for Problem {
    fn from(error: TryError) -> Self {
        match error {
            TryError::TooMany { retry_s } => Self::TooMany(retry_s),
            TryError::Store(cause) => {
                tracing::warn!(%cause, "nobody can sign in while tries cannot be counted");
                Self::StoreAway
            }
        }
    }
}

impl From<FactorError> for Problem {
    fn from(error: FactorError) -> Self {
        match error {
            FactorError::Passkey(_) => Self::PasskeyRefused,
            FactorError::Messenger(cause) => {
                tracing::warn!(%cause, "a one-time code was not sent");
                Self::NotSent
            }
            cause => {
                tracing::warn!(%cause, "nobody can sign in while factors cannot be read");
                Self::StoreAway
            }
        }
    }
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
    pub(in crate::portal) fn status(self) -> StatusCode {
        match self {
            Self::Refused | Self::WrongCode | Self::PasskeyRefused => StatusCode::UNAUTHORIZED,
            Self::OtherPerson => StatusCode::FORBIDDEN,
            Self::FormExpired | Self::HalfGone => StatusCode::BAD_REQUEST,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotSent | Self::Busy | Self::StoreAway => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The label in `yimen_sign_ins_total{result}`.
    pub(in crate::portal) fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::WrongCode | Self::PasskeyRefused | Self::OtherPerson => "wrong_code",
            Self::FormExpired | Self::HalfGone => "expired_form",
            Self::TooMany(_) => "too_many",
            Self::NotSent => "not_sent",
            Self::Busy => "busy",
            Self::StoreAway => "store_away",
        }
    }

    pub(in crate::portal) fn add_headers(self, headers: &mut HeaderMap) {
        match self {
            // A 401 must name a scheme (RFC 9110 section 11.6.1); one that browsers do not know opens no dialogue.
            Self::Refused | Self::WrongCode | Self::PasskeyRefused => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Session realm=\"yimen\""))
            }
            Self::FormExpired | Self::HalfGone | Self::OtherPerson | Self::NotSent => None,
            Self::TooMany(seconds) => headers.insert(RETRY_AFTER, seconds.into()),
            // A full queue of the default length is empty after some 2 s.
            Self::Busy => headers.insert(RETRY_AFTER, HeaderValue::from_static("3")),
            Self::StoreAway => headers.insert(RETRY_AFTER, HeaderValue::from_static("5")),
        };
    }

    pub(in crate::portal) fn sentence(self, language: Language) -> String {
        let (chinese, english) = match self {
            Self::Refused => (
                "账号或密码不正确。请检查大小写和输入法后重试；忘记密码请到政务服务大厅重置。",
                "Account and password do not belong together. Check capitals and keyboard and try again; a forgotten password is reset at a service hall.",
            ),
            Self::FormExpired => (
                "页面停留时间过长，或浏览器没有保存 Cookie，所以没有登录。请重新输入密码再试一次。",
                "The page was open for too long, or the browser keeps no cookies, so you are not signed in. Enter the password and try once more.",
            ),
            Self::WrongCode => (
                "验证码不正确、已过期或已用过。请等待新的验证码后重试。",
                "The code is wrong, too old, or was used already. Wait for the next one and try again.",
            ),
            Self::HalfGone => (
                "登录已超时，或已在其他标签页完成。请重新登录。",
                "This sign-in took too long, or was finished in another tab. Please sign in again.",
            ),
            Self::NotSent => (
                "验证码暂时无法发送。请稍后再试，或使用其他方式。",
                "The code could not be sent. Try again in a moment, or use another way.",
            ),
            Self::PasskeyRefused => (
                "没有通过通行密钥验证。请重试，或使用其他方式。",
                "The passkey was not accepted. Try again, or use another way.",
            ),
            Self::OtherPerson => (
                "这把通行密钥属于另一个账户，没有改变当前登录。如要换账户，请先选择“换一个账户登录”。",
                "This passkey belongs to another account, and nothing has changed. To use that account, choose \"Sign in as somebody else\" first.",
            ),
            Self::TooMany(_) => (
                "尝试次数过多，这次没有核对。请等待 {wait} 后再试；您的账户没有被锁定。",
                "Too many tries, so this one was not checked. Wait {wait} and try again; your account is not locked.",
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
        let wait = if let Self::TooMany(seconds) = self {
            span(Duration::from_secs(seconds), language)
        } else {
            String::new()
        };
        language.pick(chinese, english).replace("{wait}", &wait)
    }
}
