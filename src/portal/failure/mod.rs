//! The page for everything that the gateway itself refuses or fails, and the words for it: what happened, and what to do now.

mod texts;

use askama::Template;

use self::texts::text;
use super::frame::{Frame, rendered};
use super::language::Language;
use super::return_to::ReturnTo;

/// What a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayOn {
    /// Go to the start page.
    Home,
    /// Sign in and come back to this path.
    SignIn(String),
    /// Sign in, or prove more, at this address of ours.
    SignInAt(String),
    /// The same, in another tab: what was sent with this page's request was not passed on, and the form is still in the browser.
    SignInAside(String),
    /// Try again after so many seconds.
    Retry(u32),
    /// Stay: the page asks again by itself.
    Wait {
        /// People in front.
        ahead: usize,
        /// Until it asks.
        seconds: u32,
    },
    /// Choose another region and come back to this path.
    Region(String),
    /// Go to this address, which we made.
    Address(String),
}

/// Something that did not work.
#[derive(Clone, Debug)]
pub struct Failure<'a> {
    /// HTTP status.
    pub status: u16,
    /// Reason code, as in `Yimen-Error`.
    pub code: &'a str,
    /// Language of the page.
    pub language: Language,
    /// The id under which our log knows the request.
    pub request_id: &'a str,
    /// What the person can do.
    pub way_on: WayOn,
    /// What the platform's filing says about it, in place of our sentence.
    pub notice: Option<&'a str>,
    /// Origin of the portal, for a page on another one; empty on its own.
    pub portal: &'a str,
}

/// A few words for a code. A code that is not in the list has those of `internal`.
pub fn title(code: &str, language: Language) -> &'static str {
    let text = text(code);
    language.pick(text.title_zh, text.title_en)
}

/// A sentence with the next step for a code.
pub fn sentence(code: &str, language: Language) -> &'static str {
    let text = text(code);
    language.pick(text.sentence_zh, text.sentence_en)
}

#[derive(Template)]
#[template(path = "failure/page.html", config = "src/portal/askama.toml")]
struct Page<'a> {
    frame: Frame,
    failure: &'a Failure<'a>,
    sentence: &'a str,
    back: ReturnTo,
}

/// The page, complete with its style: it needs nothing else from a gateway that may be in trouble.
pub fn failure_page(failure: &Failure<'_>) -> String {
    let back = match &failure.way_on {
        WayOn::SignIn(path) | WayOn::Region(path) => ReturnTo::parse(path),
        _ => ReturnTo::home(),
    };
    let portal = failure.portal.to_owned();
    let frame = Frame { portal, ..Frame::bare(title(failure.code, failure.language), failure.language) };
    let sentence = failure.notice.unwrap_or_else(|| sentence(failure.code, failure.language));
    rendered(&Page { frame, failure, sentence, back })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(code: &str, language: Language, way_on: WayOn, notice: Option<&str>) -> String {
        failure_page(&Failure { status: 503, code, language, request_id: "r-1", way_on, notice, portal: "" })
    }

    #[test]
    fn every_code_has_a_page_in_both_languages_with_a_way_on() {
        for code in texts::codes() {
            for language in [Language::Chinese, Language::English] {
                let page = page(code, language, WayOn::Home, None);
                for part in [title(code, language), sentence(code, language), "r-1", code] {
                    let part = askama::filters::escape(part, askama::filters::Html).unwrap().to_string();
                    assert!(page.contains(&part), "{code} {language:?} lacks {part}");
                }
                assert!(page.contains("href=\"/\""), "{code} leads nowhere");
            }
        }
    }

    #[test]
    fn each_way_on_leads_somewhere() {
        let to = |way_on| page("no-instance", Language::English, way_on, None);
        assert!(to(WayOn::SignIn("/s/330106/x?a=b".into())).contains("/sign-in?return_to=/s/330106/x%3Fa%3Db\""));
        assert!(to(WayOn::Region("/s/330106/x".into())).contains("/region?return_to=/s/330106/x\""));
        let aside = to(WayOn::SignInAside("/sign-in?return_to=/&assurance=L3".into()));
        assert!(aside.contains("target=\"_blank\"") && aside.contains("was not sent"), "{aside}");
        assert!(to(WayOn::Retry(30)).contains("30 seconds"));
        assert!(to(WayOn::Wait { ahead: 7, seconds: 3 }).contains("<strong>7</strong>"));
        assert!(!to(WayOn::SignIn("//evil.example".into())).contains("evil"));
    }

    #[test]
    fn on_another_origin_every_link_leads_to_the_portal() {
        let (way_on, portal) = (WayOn::SignIn("/s/330106/x".into()), "https://one.example");
        let failure = Failure {
            status: 401,
            code: "sign-in-needed",
            language: Language::English,
            request_id: "r-1",
            way_on,
            notice: None,
            portal,
        };
        let page = failure_page(&failure);
        assert!(page.contains("href=\"https://one.example/sign-in?return_to=/s/330106/x\""), "{page}");
        assert!(!page.contains("href=\"/"), "a link to the platform's own paths: {page}");
    }

    #[test]
    fn a_notice_of_a_filing_is_shown_and_never_run() {
        let page = page("maintenance", Language::Chinese, WayOn::Home, Some("<script>周日维护</script>"));
        assert!(page.contains("周日维护") && !page.contains("<script>"), "{page}");
        assert!(!page.contains(sentence("maintenance", Language::Chinese)));
    }

    #[test]
    fn an_unknown_code_has_the_words_of_internal() {
        assert_eq!(title("no-such-code", Language::English), title("internal", Language::English));
    }
}
