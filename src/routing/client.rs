//! A program of a platform that signs people in through the gateway as OpenID Provider.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::BadWord;

/// A client as filed, everything in it checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The platform's id, or that, a dot and a name.
    pub id: Box<str>,
    /// Where people may be sent back to, compared byte by byte.
    pub redirect_uris: Box<[Box<str>]>,
    /// Where they may be sent after signing out, compared byte by byte.
    pub post_logout_redirect_uris: Box<[Box<str>]>,
    /// Where it is told that a session has ended.
    pub backchannel_logout_uri: Option<Box<str>>,
    /// How it shows who it is.
    pub credentials: Credentials,
    /// Whether it may refresh what it got, as long as the session is not ended.
    pub refreshes: bool,
    /// Whether it has to push its authorization requests (RFC 9126).
    pub pushes: bool,
    /// Whether people are asked before it learns of them, though its platform is of the gateway's own authority.
    pub consent: bool,
    /// What it may ask for; `openid` is always among it.
    pub scopes: Box<[Scope]>,
}

/// How a client shows who it is, at every address of the provider that it calls by itself.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `client_secret_basic`: SHA-256 of each secret that counts.
    SecretBasic(Box<[[u8; 32]]>),
    /// `client_secret_post`: the same.
    SecretPost(Box<[[u8; 32]]>),
    /// `private_key_jwt`: public keys, each a JWK as JSON.
    PrivateKeyJwt(Box<[Box<str>]>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Credentials {
    /// The word of `token_endpoint_auth_method`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }
}

/// What a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Who it is, by a name that only this platform knows them by.
    #[serde(rename = "openid")]
    OpenId,
    /// The name, if it is filed.
    Profile,
    /// The telephone, if it is filed.
    Phone,
    /// Tokens that can be refreshed.
    OfflineAccess,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::OpenId, Self::Profile, Self::Phone, Self::OfflineAccess];

    /// The word in requests and filings.
    pub fn word(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Phone => "phone",
            Self::OfflineAccess => "offline_access",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = BadWord;

    fn from_str(text: &str) -> Result<Self, BadWord> {
        let known = Self::ALL.into_iter().find(|scope| scope.word() == text);
        known.ok_or(BadWord { word: text.to_owned(), expected: "openid, profile, phone or offline_access" })
    }
}
