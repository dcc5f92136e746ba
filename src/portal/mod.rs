//! Every page a person sees, and the key set that platforms fetch.
//! Shape: request and `Visitor` ── `Portal::answer` ──▶ response, by an axum router called in process. `page.html` lies beside the
//! code that fills it; all pages share `frame`. Chinese and English; every step works with links and forms, but for
//! passkeys, which no browser shows without a script.
//! Cost:  some 20 µs a page; a password check waits on identity's threads, not here.
//! Fails: with a page that says what to do now (`failure`). A session store that does not answer never means "signed out".
//! Knows: issuer, session, identity, routing, audit. Its answers carry their own security headers; the gateway adds its own.

mod account;
mod answer;
mod arrival;
mod call;
mod consent;
mod cookies;
#[cfg(test)]
mod desk;
mod device;
mod ended;
mod erasure;
#[cfg(test)]
mod factor_tests;
mod factors;
mod failure;
mod form;
mod frame;
mod home;
mod identities;
mod key_set;
mod known_device;
mod language;
mod oidc;
#[cfg(test)]
mod people_tests;
mod privacy;
mod provider;
mod region;
mod return_to;
mod router;
mod sign_in;
mod sign_out;
mod subject;
#[cfg(test)]
mod tests;
mod when;

pub use failure::{Failure, WayOn, failure_page, sentence, title};
pub use frame::CONTENT_SECURITY_POLICY;
pub use language::Language;
pub use region::region_of;
pub use router::{Portal, PortalParts, Visitor};
