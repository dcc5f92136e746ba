//! Why nobody was signed in by a provider. A person gets a page by kind; the reason is for the log, and names nobody.

use crate::domain::{Assurance, RealmId};
use crate::store::StoreError;

/// What can go wrong between us and a provider.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No realm of that id, or one that cannot prove what is needed.
    #[error("there is no realm for this; choose another on the sign-in page")]
    NoRealm,
    /// It did not answer, or only that it cannot now.
    #[error("{realm} is away ({cause}); look at the way to it from this machine")]
    Away {
        /// Which one.
        realm: RealmId,
        /// What happened.
        cause: String,
    },
    /// What it said cannot be believed.
    #[error("{realm} said what cannot be believed: {reason}; ask its operator")]
    Untrusted {
        /// Which one.
        realm: RealmId,
        /// What is wrong with it.
        reason: String,
    },
    /// It refused: the person went back, or it does not know this gateway.
    #[error("{realm} refused with `{code}`; look at the client that is filed there")]
    Refused {
        /// Which one.
        realm: RealmId,
        /// Its word, of the closed set of RFC 6749 and OpenID Connect Core.
        code: &'static str,
    },
    /// It proved less than was needed.
    #[error("{realm} proved {reached} where {asked} was asked; look at `levels` of the realm")]
    TooLow {
        /// Which one.
        realm: RealmId,
        /// What it proved.
        reached: Assurance,
        /// What was needed.
        asked: Assurance,
    },
    /// The sign-in is unknown, over, finished already, or was begun by another browser.
    #[error("no such sign-in is under way in this browser; begin again")]
    NoTransaction,
    /// The account that this identity belongs to may not sign in.
    #[error("the account of this identity is disabled; `yimen account enable` lets it in again")]
    Disabled,
    /// The identity belongs to somebody else here.
    #[error("this identity is linked already; unlink it where it is")]
    LinkedElsewhere,
    /// Something of this machine: a secret's file, randomness.
    #[error("{0}")]
    Local(String),
    /// A store did not answer; nothing is known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ProviderError {
    /// The label of the metric.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoRealm => "no_realm",
            Self::Away { .. } => "away",
            Self::Untrusted { .. } => "untrusted",
            Self::Refused { .. } => "refused",
            Self::TooLow { .. } => "too_low",
            Self::NoTransaction => "no_transaction",
            Self::Disabled => "disabled",
            Self::LinkedElsewhere => "linked_elsewhere",
            Self::Local(_) => "local",
            Self::Store(_) => "store_away",
        }
    }
}

/// Why a realm of the register was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RealmError {
    /// The settings hold it.
    #[error("realm {0} stands in the settings of this node; change it there, or choose another id")]
    InSettings(RealmId),
    /// It is not there.
    #[error("there is no realm {0}")]
    NotFound(RealmId),
    /// It changed, or is there already.
    #[error("the realm has changed")]
    Changed {
        /// Its revision now; `None`: it is not there.
        current: Option<u64>,
    },
    /// As many as there may be.
    #[error("there are 100 realms, and no more; take one away first")]
    TooMany,
    /// The register did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
