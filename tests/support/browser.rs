//! A real browser: headless Chromium, driven over WebDriver, with a profile of its own.

use std::process::Command;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use super::process::{Running, tool};
use super::{free_port, until};

/// How long a page may take to show something.
const PAGE_DEADLINE: Duration = Duration::from_secs(20);

/// A browser window; closed when dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    /// Where the driver answers.
    driver_address: String,
    _driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Starts chromedriver on a free port and one browser under it, in Chinese.
    pub async fn open() -> Self {
        let (driver, chromium) = (tool("chromedriver", "chromium-driver"), tool("chromium", "chromium"));
        let profile = tempfile::Builder::new().prefix("yimen-browser-").tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}")).env("HOME", profile.path());
        let driver = Running::start("chromedriver", command, profile.path());
        let data = profile.path().join("profile");
        let arguments = [
            "--headless",
            "--no-sandbox", // containers of CI have no user namespaces
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=zh-CN",
            &format!("--user-data-dir={}", data.display()),
        ];
        let capabilities = json!({
            "acceptInsecureCerts": true,
            "goog:chromeOptions": {
                "binary": chromium,
                "args": arguments,
                "prefs": { "intl.accept_languages": "zh-CN,zh" },
            },
        });
        let address = format!("http://127.0.0.1:{port}");
        let connect = || async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.as_object().unwrap().clone()).connect(&address).await.ok()
        };
        let client = until("chromium starts", Duration::from_secs(60), connect).await;
        client.set_window_size(1280, 1000).await.unwrap();
        Self { client, driver_address: address, _driver: driver, _profile: profile }
    }

    pub async fn visit(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// Waits for the element and clicks it.
    pub async fn click(&self, css: &str) {
        self.on(css, async |element| element.click().await).await;
    }

    /// Writes into a field.
    pub async fn write(&self, css: &str, text: &str) {
        self.on(css, async |element| element.send_keys(text).await).await;
    }

    /// Sends the form that a field belongs to, as Enter does.
    pub async fn enter(&self, css: &str) {
        self.on(css, async |element| element.send_keys("\u{e007}").await).await;
    }

    /// What an element shows.
    pub async fn text(&self, css: &str) -> String {
        self.on(css, async |element| element.text().await).await
    }

    /// Waits until an element shows `text`.
    pub async fn element_with_text(&self, css: &str, text: &str) {
        let shown = || async { self.text(css).await.contains(text).then_some(()) };
        until(&format!("{css} shows {text}"), PAGE_DEADLINE, shown).await;
    }

    /// Whether the page has such an element now.
    pub async fn has(&self, css: &str) -> bool {
        self.client.find(Locator::Css(css)).await.is_ok()
    }

    /// Waits until the address contains `part`.
    pub async fn arrives_at(&self, part: &str) {
        let arrived = || async { self.address().await.contains(part).then_some(()) };
        until(&format!("the browser arrives at {part}"), PAGE_DEADLINE, arrived).await;
    }

    /// Does something with an element. Where the page was left for the next one in between, nothing was done yet: the element
    /// is looked for again.
    async fn on<T>(&self, css: &str, act: impl AsyncFn(Element) -> Result<T, CmdError>) -> T {
        let end = Instant::now() + PAGE_DEADLINE;
        loop {
            match act(self.element(css).await).await {
                Ok(done) => return done,
                Err(error) if error.is_stale_element_reference() && Instant::now() < end => {}
                Err(error) => panic!("{css} at {}: {error}", self.address().await),
            }
        }
    }

    async fn element(&self, css: &str) -> Element {
        match self.client.wait().at_most(PAGE_DEADLINE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!(
                "no {css} at {}: {error}\n{}",
                self.address().await,
                self.client.source().await.unwrap_or_default()
            ),
        }
    }

    /// Runs a script in the page. Its last argument is the function that takes its answer.
    pub async fn run(&self, script: &str, arguments: Vec<serde_json::Value>) -> serde_json::Value {
        self.client.execute_async(script, arguments).await.unwrap()
    }

    /// Gives the browser an authenticator that keeps passkeys and always finds its person (WebDriver extension of WebAuthn level 2,
    /// section 11).
    pub async fn has_an_authenticator(&self) {
        let session = self.client.session_id().await.unwrap().unwrap();
        let url = format!("{}/session/{session}/webauthn/authenticator", self.driver_address);
        let authenticator = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "isUserConsenting": true,
        });
        let answer = super::client().build().unwrap().post(url).json(&authenticator).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "no authenticator: {status} {}", answer.text().await.unwrap());
    }

    /// Ends the browser; its driver ends when dropped.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}
