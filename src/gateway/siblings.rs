//! Requests that a page of another origin makes. Platforms' hosts are of one site with each other and often with the portal,
//! and there `SameSite` keeps no cookie back: a script of one platform could post a form to another with the person's cookies.
//! So what another site gets from the browser is what a sibling gets from us: the cookies of a plain visit to a page, else none.
//! Source: Fetch Metadata (`Sec-Fetch-Site`, `-Mode`, `-Dest`), which no script can set; where it is missing, `Origin`.

use http::header::ORIGIN;
use http::{HeaderMap, Method};

use super::protect::is_top_level;

/// Whether cookies came along that must not count. `origin`: what the browser calls the origin it asked.
pub(crate) fn borrows_cookies(method: &Method, headers: &HeaderMap, origin: impl FnOnce() -> String) -> bool {
    let visit = is_top_level(method, headers);
    match headers.get("sec-fetch-site") {
        // Between sites the browser has held `SameSite` against each cookie already.
        Some(site) => site == "same-site" && !visit,
        None => headers.get(ORIGIN).is_some_and(|from| !visit && from.as_bytes() != origin().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borrows(method: &Method, fields: &[(&'static str, &'static str)]) -> bool {
        let headers = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        borrows_cookies(method, &headers, || "https://b.example".to_owned())
    }

    #[test]
    fn a_sibling_may_lead_a_person_to_a_page_and_no_more() {
        let site = ("sec-fetch-site", "same-site");
        let (page, frame) = (("sec-fetch-dest", "document"), ("sec-fetch-dest", "iframe"));
        let navigate = ("sec-fetch-mode", "navigate");
        assert!(!borrows(&Method::GET, &[site, navigate, page]));
        assert!(borrows(&Method::POST, &[site, navigate, page]), "a form");
        assert!(borrows(&Method::GET, &[site, navigate, frame]), "a frame");
        assert!(borrows(&Method::GET, &[site, ("sec-fetch-mode", "cors")]), "fetch");
        assert!(borrows(&Method::GET, &[site, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")]));
        assert!(borrows(&Method::GET, &[site, ("sec-fetch-mode", "websocket")]));
    }

    #[test]
    fn the_platforms_own_pages_people_and_programs_keep_their_cookies() {
        for site in ["same-origin", "none", "cross-site"] {
            assert!(!borrows(&Method::POST, &[("sec-fetch-site", site), ("origin", "https://a.example")]), "{site}");
        }
        assert!(!borrows(&Method::POST, &[]));
        assert!(!borrows(&Method::POST, &[("origin", "https://b.example")]));
        assert!(borrows(&Method::POST, &[("origin", "https://a.example")]), "an older browser");
    }
}
