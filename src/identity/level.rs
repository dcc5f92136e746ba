//! Which proof gives which assurance, in one table. The account's own assurance is the ceiling: it says how well it was found out
//! who the account belongs to, which no proof of having come back can better. Source: GB/T 36633 and NIST SP 800-63B-4 (a password
//! alone is one factor; a passkey with user verification is two; a code by short message only beside a password).
//!
//! | proof | level at most |
//! |---|---|
//! | password | L2 |
//! | password and a code by e-mail | L2: a mailbox is a password again |
//! | password and a code by short message | L3 |
//! | password and a code by time | L3 |
//! | passkey with user verification | L3 |
//! | recovery code | none: it opens the setting of a factor and nothing else |
//!
//! L4 is a certificate or a check at a window; no factor here is either.

use crate::domain::Assurance;

/// What was shown besides the password, or in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Nothing but the password.
    Password,
    /// Password and a code by time.
    Totp,
    /// Password and a code by short message.
    Sms,
    /// Password and a code by e-mail.
    Mail,
    /// A passkey, with user verification.
    Passkey,
}

impl Shown {
    /// The assurance that this proof gives for an account whose identity is as sure as `ceiling`.
    pub fn reaches(self, ceiling: Assurance) -> Assurance {
        let most = match self {
            Self::Password | Self::Mail => Assurance::L2,
            Self::Totp | Self::Sms | Self::Passkey => Assurance::L3,
        };
        most.min(ceiling)
    }

    /// RFC 8176 names.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::Totp => &["pwd", "otp", "mfa"],
            Self::Sms => &["pwd", "sms", "mfa"],
            Self::Mail => &["pwd", "otp"],
            Self::Passkey => &["pop", "user", "mfa"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_factor_never_reaches_l3_and_nothing_exceeds_the_account() {
        use Assurance::{L1, L2, L3, L4};
        for (shown, reached) in [
            (Shown::Password, [L1, L2, L2, L2]),
            (Shown::Mail, [L1, L2, L2, L2]),
            (Shown::Totp, [L1, L2, L3, L3]),
            (Shown::Sms, [L1, L2, L3, L3]),
            (Shown::Passkey, [L1, L2, L3, L3]),
        ] {
            assert_eq!([L1, L2, L3, L4].map(|ceiling| shown.reaches(ceiling)), reached, "{shown:?}");
        }
    }
}
