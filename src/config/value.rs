//! What a value of the settings may be: texts that parse, or say how to write them.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use super::used::{AccessLog, LogFormat};

/// A host name or address, lower case, without port.
pub(super) struct Host(pub(super) String);

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = bracketed.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
        if address || (!text.is_empty() && text.bytes().all(good)) {
            Ok(Self(text.to_owned()))
        } else {
            Err("write it in lower case, without scheme, port or path")
        }
    }
}

/// Scheme, host and port.
pub(super) struct Origin(pub(super) String);

impl FromStr for Origin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let uri: http::Uri = text.parse().map_err(|_| "it is no URL")?;
        let bare = uri.path_and_query().is_none_or(|path| path == "/") && !text.ends_with('/');
        let scheme = matches!(uri.scheme_str(), Some("https" | "http"));
        if scheme && bare && uri.host().is_some() {
            Ok(Self(text.to_owned()))
        } else {
            Err("write no path and no slash at the end")
        }
    }
}

pub(super) enum StoreUrl {
    Sqlite(PathBuf),
    Redis(String),
}

impl FromStr for StoreUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if !text.starts_with("redis://") && !text.starts_with("rediss://") {
            return Err("known are sqlite:PATH, redis:// and rediss://");
        }
        if text.contains('@') {
            return Err("write no user or password here; use redis_user and redis_password_file");
        }
        Ok(Self::Redis(text.to_owned()))
    }
}

pub(super) enum RegisterUrl {
    Sqlite(PathBuf),
    Postgres(String),
}

impl FromStr for RegisterUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let Some(rest) = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) else {
            return Err("known are sqlite:PATH and postgres://; what must last is never kept in Redis");
        };
        match rest.split_once('@') {
            Some((user, _)) if user.contains(':') => Err("write no password here; use register_password_file"),
            Some((user, place)) if !user.is_empty() && !place.contains(['?', '#']) && place.contains('/') => {
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err("write postgres://USER@HOST:PORT/DATABASE and no more"),
        }
    }
}

/// Name of a node: it stands in tables and metrics.
pub(super) struct NodeName(pub(super) String);

impl FromStr for NodeName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let shaped = (1..=63).contains(&text.len()) && text.bytes().all(allowed);
        if shaped { Ok(Self(text.to_owned())) } else { Err("write 1 to 63 of letters, digits and - . _") }
    }
}

/// The machine's own name.
pub(super) fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().parse::<NodeName>().map_or_else(|_| "node".to_owned(), |name| name.0)
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("choose one of the two"),
        }
    }
}

impl FromStr for AccessLog {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "all" => Ok(Self::All),
            "errors" => Ok(Self::Errors),
            "off" => Ok(Self::Off),
            _ => Err("choose one of the three"),
        }
    }
}
