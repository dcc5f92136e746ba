//! Every page a person sees, and the key set that platforms fetch.
//! Shape: request and `Visitor` ── `Portal::answer` ──▶ response, by an axum router called in process. `page.html` lies beside the
//! code that fills it; all pages share `frame`. Chinese and English; no script; every step works with links and forms.
//! Cost:  some 20 µs a page; a password check waits on identity's threads, not here.
//! Fails: with a page that says what to do now (`failure`). A session store that does not answer never means "signed out".
//! Knows: session, identity, routing, audit. Its answers carry their own security headers; the gateway adds its own.

mod account;
mod answer;
mod arrival;
mod call;
mod cookies;
#[cfg(test)]
mod desk;
mod device;
mod failure;
mod form;
mod frame;
mod home;
mod identities;
mod key_set;
mod language;
mod provider;
mod region;
mod return_to;
mod router;
mod sign_in;
mod sign_out;
#[cfg(test)]
mod tests;
mod when;

pub use failure::{Failure, WayOn, failure_page, sentence, title};
pub use frame::CONTENT_SECURITY_POLICY;
pub use language::Language;
pub use region::region_of;
pub use router::{Portal, PortalParts, Visitor};
