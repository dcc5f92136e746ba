//! The words: division, level, service item, platform, owner, assurance, subject and its roles, principal.
//! Shape: text ── parse ──▶ a type that can only hold a good value. Cost: a few compares, no allocation but for `PlatformId`.
//! Fails: one sentence for each word, with what was expected. Knows: nothing; every room may use it.

mod assurance;
mod client_certificate;
mod division;
mod item;
mod lineage;
mod owner;
mod personal;
mod platform;
mod platform_domain;
mod principal;
mod proof;
mod realm;
mod represented;
mod right;
mod season;
mod subject;
mod time;
mod token;
mod zone;

pub use assurance::{Assurance, BadAssurance};
pub use client_certificate::ClientCertificate;
pub use division::{BadDivisionCode, BadLevel, DivisionCode, Level};
pub use item::{BadItemCode, ItemCode};
pub use lineage::{BadLineage, Credential, Lineage, Link};
pub use owner::{BadUscc, Uscc};
pub use personal::{BadIdNumber, BadPhone, IdNumber, Personal, Phone};
pub use platform::{BadPlatformId, PlatformId};
pub use platform_domain::{BadPlatformDomain, PlatformDomain};
pub use principal::{Actor, BadPrincipalId, BadRole, PrincipalId, Role};
pub use proof::Proof;
pub use realm::{BadRealmId, RealmId};
pub use represented::{BadSubjectRole, GrantedRole, Represented, SubjectRole};
pub use right::{BadRight, Right};
pub use season::{BadSeason, Season};
pub use subject::{BadSubjectKind, SubjectKind};
pub use time::Timestamp;
pub use token::Token;
pub use zone::{BadZone, Zone};
