//! Whether a person is asked before a client learns who they are.

use super::client::Known;
use super::request::Request;

/// Nobody is asked: a platform's filing was approved with the attributes it needs, and what it gets is a name of its own for the
/// person. Here is the one place to say otherwise, for platforms outside the authority (`Client::consent`) and for `prompt=consent`.
pub(super) fn is_needed(_known: &Known, _request: &Request) -> bool {
    false
}
