//! Closed sets of words that filings use for how a route behaves.

use std::fmt;
use std::str::FromStr;

/// The text is none of the words that may stand here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not known here; write {expected}")]
pub struct BadWord {
    /// What was written.
    pub word: String,
    /// The words that may stand here.
    pub expected: &'static str,
}

/// An enum of words: the enum, its words, how it is read and shown.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident ($expected:literal) { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The word used in filings and API.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = BadWord;

            fn from_str(text: &str) -> Result<Self, BadWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(BadWord { word: text.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

words! {
    /// Whom a route lets in.
    Access ("open, optional or required") {
        /// Everybody; sessions are not looked at, so no store is asked.
        Open = "open",
        /// Everybody; who is signed in is told to the platform.
        Optional = "optional",
        /// Only who is signed in, with the route's assurance.
        Required = "required",
    }
}

words! {
    /// For whom a platform answers an item.
    Covers ("self or subtree") {
        /// Only for exactly the division filed.
        Own = "self",
        /// For the division and all below it that have nobody nearer.
        Subtree = "subtree",
    }
}

words! {
    /// How a path is compared.
    PathKind ("exact or prefix") {
        /// Byte for byte.
        Exact = "exact",
        /// The path itself and everything below it, on whole segments.
        Prefix = "prefix",
    }
}
