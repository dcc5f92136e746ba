//! By what somebody acts, and through whose hands it came: the chain of issue of a credential, up to its root.
//! Whoever issued a credential may have kept what opens it, so one person could have acted under any two credentials whose
//! chains of issue meet. Maker and checker are two people where that cannot be (four-eyes principle, NIST SP 800-53 AC-5).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use super::{DivisionCode, PrincipalId};

/// What somebody shows to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// A shell on the machine: the root of everything.
    Machine,
    /// The files of a node, written by whoever has the machine.
    Files,
    /// An API token.
    Token(Uuid),
    /// A client certificate that the settings name, by its SHA-256.
    Certificate([u8; 32]),
    /// Known by the principal's name alone: issued by a version that kept no more.
    Unknown,
}

/// One credential of a chain of issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// For whom it speaks.
    pub principal: PrincipalId,
    /// For which division and all below it.
    pub division: DivisionCode,
    /// What is shown.
    pub credential: Credential,
    /// Whether acting by it took the key of a certificate that the settings name for this principal as well. Whoever issued
    /// the token does not have that key, so nobody above could have acted by it.
    pub certified: bool,
}

/// A credential and those through which it was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    issuers: Arc<[Link]>,
    own: Link,
}

impl Link {
    fn is_same_person(&self, other: &Self) -> bool {
        let named = self.principal.is_same(&other.principal);
        named || (self.credential == other.credential && self.credential != Credential::Unknown)
    }
}

impl Lineage {
    /// Of a credential that nobody issued through the API: the machine gave it.
    pub fn root(own: Link) -> Self {
        Self { issuers: Arc::default(), own }
    }

    /// Of somebody whose name alone was kept; `None`: it is no name.
    pub fn of_name(name: &str) -> Option<Self> {
        let (division, credential) = (DivisionCode::NATION, Credential::Unknown);
        Some(Self::root(Link { principal: name.parse().ok()?, division, credential, certified: false }))
    }

    /// Of a credential that was issued by whoever acted by this one.
    #[must_use]
    pub fn child(&self, own: Link) -> Self {
        Self { issuers: self.links().cloned().collect(), own }
    }

    /// The same, acted by together with a certificate of the same principal.
    #[must_use]
    pub fn certified(mut self) -> Self {
        self.own.certified = true;
        self
    }

    /// The credential itself.
    pub fn own(&self) -> &Link {
        &self.own
    }

    /// Through which it was issued, the root first; none: the machine gave it.
    pub fn issuers(&self) -> &[Link] {
        &self.issuers
    }

    /// All of it, the root first and the credential itself last.
    pub fn links(&self) -> impl DoubleEndedIterator<Item = &Link> {
        self.issuers.iter().chain(std::iter::once(&self.own))
    }

    /// Whether one person could have acted under both: one was issued through the other, or both through a third, or they
    /// bear one name. Above a certified link nobody could have acted by what is below it, but who issues what, checks nothing
    /// of it nevertheless.
    pub fn could_be_one_with(&self, other: &Self) -> bool {
        let holds = |lineage: &Self, link: &Link| lineage.links().any(|held| held.is_same_person(link));
        let meet = || self.holders().any(|one| other.holders().any(|two| one.is_same_person(two)));
        holds(self, &other.own) || holds(other, &self.own) || meet()
    }

    /// Whoever could have acted by it: from the credential up to the first that took a key nobody above has.
    fn holders(&self) -> impl Iterator<Item = &Link> {
        let mut cut = false;
        self.links().rev().take_while(move |link| !std::mem::replace(&mut cut, link.certified))
    }

    /// The issuers as they are stored.
    pub fn issuers_text(&self) -> String {
        joined(self.issuers.iter())
    }

    /// The issuers and the credential from what is stored.
    pub fn of_stored(issuers: &str, own: Link) -> Result<Self, BadLineage> {
        let issuers = issuers.split_whitespace().map(str::parse).collect::<Result<Arc<[Link]>, _>>()?;
        Ok(Self { issuers, own })
    }
}

fn joined<'a>(links: impl Iterator<Item = &'a Link>) -> String {
    links.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The text is no chain of issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no chain of issue; read the row again, and restore it from the backup if it stays so")]
pub struct BadLineage(pub String);

impl fmt::Display for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => out.write_str("machine"),
            Self::Files => out.write_str("files"),
            Self::Token(id) => write!(out, "token:{id}"),
            Self::Certificate(fingerprint) => {
                out.write_str("certificate:")?;
                fingerprint.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
            Self::Unknown => out.write_str("unknown"),
        }
    }
}

impl FromStr for Credential {
    type Err = BadLineage;

    fn from_str(text: &str) -> Result<Self, BadLineage> {
        let bad = || BadLineage(text.to_owned());
        match text.split_once(':') {
            None if text == "machine" => Ok(Self::Machine),
            None if text == "files" => Ok(Self::Files),
            None if text == "unknown" => Ok(Self::Unknown),
            Some(("token", id)) => id.parse().map(Self::Token).map_err(|_| bad()),
            Some(("certificate", digits)) => fingerprint(digits).map(Self::Certificate).ok_or_else(bad),
            _ => Err(bad()),
        }
    }
}

fn fingerprint(digits: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certified = if self.certified { "/certified" } else { "" };
        write!(out, "{}/{}/{}{certified}", self.principal, self.division, self.credential)
    }
}

impl FromStr for Link {
    type Err = BadLineage;

    fn from_str(text: &str) -> Result<Self, BadLineage> {
        let bad = || BadLineage(text.to_owned());
        let mut parts = text.split('/');
        let (Some(principal), Some(division), Some(credential), certified, None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        Ok(Self {
            principal: principal.parse().map_err(|_| bad())?,
            division: division.parse().map_err(|_| bad())?,
            credential: credential.parse()?,
            certified: match certified {
                None => false,
                Some("certified") => true,
                Some(_) => return Err(bad()),
            },
        })
    }
}

impl fmt::Display for Lineage {
    /// As it is stored: links with a space between, the root first.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&joined(self.links()))
    }
}

impl FromStr for Lineage {
    type Err = BadLineage;

    fn from_str(text: &str) -> Result<Self, BadLineage> {
        let (issuers, own) = text.rsplit_once(' ').unwrap_or(("", text));
        Self::of_stored(issuers, own.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(principal: &str, number: u128) -> Link {
        Link {
            principal: principal.parse().unwrap(),
            division: DivisionCode::NATION,
            credential: Credential::Token(Uuid::from_u128(number)),
            certified: false,
        }
    }

    fn nation() -> Lineage {
        Lineage::root(link("nation", 1))
    }

    #[test]
    fn whoever_issued_a_credential_could_act_by_it_and_so_could_those_above() {
        let city = nation().child(link("city", 2));
        let platform = city.child(link("platform", 3));
        for one in [&nation(), &city, &platform] {
            for other in [&nation(), &city, &platform] {
                assert!(one.could_be_one_with(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn two_credentials_of_one_issuer_could_be_one_persons() {
        let [one, other] = [link("a", 2), link("b", 3)].map(|own| nation().child(own));
        assert!(one.could_be_one_with(&other));
        let elsewhere = Lineage::root(link("second", 4)).child(link("c", 5));
        assert!(!one.could_be_one_with(&elsewhere) && !elsewhere.could_be_one_with(&one));
    }

    #[test]
    fn a_certificate_s_key_is_nobody_else_s_but_the_chain_still_counts() {
        let [one, other] = [link("a", 2), link("b", 3)].map(|own| nation().child(own).certified());
        assert!(!one.could_be_one_with(&other), "each needed a key of their own");
        assert!(one.could_be_one_with(&nation()) && nation().could_be_one_with(&one), "one issued the other");
        let platform = one.child(link("platform", 4));
        assert!(platform.could_be_one_with(&one) && !platform.could_be_one_with(&other));
        assert!(platform.could_be_one_with(&nation()), "it is in the chain");
    }

    #[test]
    fn one_name_is_one_person_in_any_letters() {
        let [one, other] = [link("Li.Lei", 1), link("li.lei", 2)].map(Lineage::root);
        assert!(one.could_be_one_with(&other));
        let unknown = |name: &str| Lineage::root(Link { credential: Credential::Unknown, ..link(name, 0) });
        assert!(!unknown("a").could_be_one_with(&unknown("b")), "what is unknown is no one thing");
    }

    #[test]
    fn a_chain_is_read_as_it_was_written_and_nothing_else_is() {
        let certificate = Link { credential: Credential::Certificate([0xab; 32]), certified: true, ..link("root", 0) };
        let chain = Lineage::root(certificate).child(link("city", 2)).child(link("li.lei@x:y-z", 3));
        assert_eq!(chain.to_string().parse(), Ok(chain.clone()));
        assert_eq!(Lineage::of_stored(&chain.issuers_text(), chain.own().clone()), Ok(chain));
        for own in [Credential::Machine, Credential::Files, Credential::Unknown] {
            let root = Lineage::root(Link { credential: own, ..link("x", 0) });
            assert_eq!(root.to_string().parse(), Ok(root));
        }
        for bad in
            ["", "a", "a/100000", "a/100000/token:x", "a/1/machine", "a/100000/machine/x", "a/100000/certificate:zz"]
        {
            assert!(bad.parse::<Lineage>().is_err(), "{bad}");
        }
    }
}
