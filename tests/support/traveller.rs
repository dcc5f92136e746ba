//! Somebody who goes from origin to origin as a browser does: each host has its own cookies, redirects are steps to look at.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, RequestBuilder, Url};

use super::citizen::Answer;
use super::client;
use super::gateway::{Gateway, Setup};

/// The domain of platforms' own origins in tests.
pub const DOMAIN: &str = "services.example.localhost";

/// Redirects that a visit may take: more than the longest way through sign-in.
const STEPS_MAX: usize = 10;

/// Gives platforms origins of their own, with a certificate that names them.
pub fn own_origins(setup: &mut Setup) {
    setup.set("public.platform_domain", DOMAIN);
    let names = ["localhost", "127.0.0.1", "portal.example.localhost", &format!("*.{DOMAIN}")].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(setup.certificate_file(), made.cert.pem()).unwrap();
    std::fs::write(setup.folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// A browser without a window.
#[derive(Debug)]
pub struct Traveller {
    client: Client,
    portal: String,
    port: u16,
    cookies: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

/// The end of a visit, and the answers on the way.
#[derive(Debug)]
pub struct Journey {
    pub url: Url,
    pub answer: Answer,
    pub steps: Vec<(Url, Answer)>,
}

impl Traveller {
    pub fn of(gateway: &Gateway) -> Self {
        let authority = std::fs::read(gateway.folder.path().join("certificate.pem")).unwrap();
        let mut builder = client().tls_certs_only([Certificate::from_pem(&authority).unwrap()]);
        for host in ["ministry", "hangzhou", "kunming", "nobody", "yimen"] {
            builder = builder.resolve(&format!("{host}.{DOMAIN}"), gateway.public);
        }
        Self {
            client: builder.redirect(Policy::none()).build().unwrap(),
            portal: gateway.origin.clone(),
            port: gateway.public.port(),
            cookies: Mutex::default(),
        }
    }

    /// An address on the portal's origin.
    pub fn at_portal(&self, target: &str) -> String {
        format!("{}{target}", self.portal)
    }

    /// An address on a platform's own origin.
    pub fn at(&self, platform: &str, target: &str) -> String {
        format!("https://{platform}.{DOMAIN}:{}{target}", self.port)
    }

    /// A request with the cookies of its host.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let host = Url::parse(url).unwrap().host_str().unwrap().to_owned();
        let request = self.client.request(method, url);
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<String> =
            cookies.get(&host).into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { request } else { request.header(COOKIE, pairs.join("; ")) }
    }

    /// Sends it, keeps the cookies of the answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let start = std::time::Instant::now();
        let answer = request.send().await.unwrap();
        let host = answer.url().host_str().unwrap().to_owned();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        let mut cookies = self.cookies.lock().unwrap();
        for line in headers.get_all(SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(!line.to_ascii_lowercase().contains("domain"), "a cookie beyond its host: {line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let jar = cookies.entry(host.clone()).or_default();
            if value.is_empty() {
                jar.remove(name)
            } else {
                jar.insert(name.to_owned(), value.to_owned())
            };
        }
        Answer { status, headers, body, took: start.elapsed() }
    }

    /// A program asks for JSON.
    pub async fn get(&self, url: &str) -> Answer {
        self.send(self.request(Method::GET, url).header(ACCEPT, "application/json")).await
    }

    /// One step of a person who opens a page.
    pub async fn step(&self, url: &str) -> Answer {
        let request = self.request(Method::GET, url).header(ACCEPT, "text/html").header("sec-fetch-mode", "navigate");
        self.send(request.header("sec-fetch-dest", "document")).await
    }

    /// A person opens a page and is led on to where it ends.
    pub async fn visit(&self, url: &str) -> Journey {
        self.follow(url, Vec::new()).await
    }

    async fn follow(&self, url: &str, mut steps: Vec<(Url, Answer)>) -> Journey {
        let mut url = Url::parse(url).unwrap();
        loop {
            let answer = self.step(url.as_str()).await;
            let Some(location) = answer.headers.get(LOCATION).filter(|_| answer.status == 303) else {
                return Journey { url, answer, steps };
            };
            let next = url.join(location.to_str().unwrap()).unwrap();
            steps.push((url, answer));
            assert!(steps.len() <= STEPS_MAX, "it turns in circles: {steps:#?}");
            url = next;
        }
    }

    /// Opens a page, signs in where asked to, and ends where the form leads.
    pub async fn visit_signing_in(&self, url: &str, (login, password): (&str, &str)) -> Journey {
        let Journey { url, answer, steps } = self.visit(url).await;
        assert_eq!(url.path(), "/sign-in", "not at sign-in but at {url}: {}", answer.body);
        let fields = [
            ("login", login),
            ("password", password),
            ("csrf", &answer.field("csrf")),
            ("return_to", &unescaped(&answer.field("return_to"))),
        ];
        let form = self.request(Method::POST, url.as_str()).header(ACCEPT, "text/html").header("origin", &self.portal);
        let answer = self.send(form.header("sec-fetch-site", "same-origin").form(&fields)).await;
        answer.has_status(303);
        let next = url.join(answer.header("location")).unwrap();
        self.follow(next.as_str(), steps.into_iter().chain([(url, answer)]).collect()).await
    }

    /// A cookie that this traveller has for a host.
    pub fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(host)?.get(name).cloned()
    }

    /// Puts a cookie in by hand.
    pub fn set_cookie(&self, host: &str, name: &str, value: &str) {
        self.cookies.lock().unwrap().entry(host.to_owned()).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Takes all cookies of a host away.
    pub fn forget(&self, host: &str) {
        self.cookies.lock().unwrap().remove(host);
    }
}

/// The host of a platform.
pub fn host(platform: &str) -> String {
    format!("{platform}.{DOMAIN}")
}

fn unescaped(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&")
}
