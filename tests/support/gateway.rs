//! The gateway of a test: the real binary with a configuration of its own, on free ports, in a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Value, value};

use super::filing::Filing;
use super::process::{Running, yimen};
use super::{client, free_port, until};

/// How long a gateway may take until it is ready: the tests run unoptimised code on busy machines.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// A gateway that is about to start.
#[derive(Debug)]
pub struct Setup {
    pub folder: TempDir,
    pub public: SocketAddr,
    pub metrics: SocketAddr,
    pub filings: Vec<Filing>,
    /// Further TOML at the end of the settings.
    pub more: String,
    settings: DocumentMut,
}

impl Setup {
    /// The configuration that `yimen demo` writes, without filings.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("yimen-test-").tempdir().unwrap();
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut setup = Self {
            public: address(),
            metrics: address(),
            filings: Vec::new(),
            more: String::new(),
            settings: DocumentMut::new(),
            folder,
        };
        let path = |name: &str| setup.folder.path().join(name).display().to_string();
        let settings = [
            ("public.listen", setup.public.to_string()),
            ("public.origin", format!("https://{}", setup.public)),
            ("public.certificate", path("certificate.pem")),
            ("public.key", path("key.pem")),
            ("management.listen", address().to_string()),
            ("metrics.listen", setup.metrics.to_string()),
            ("data.directory", path("data")),
            ("routes.directory", path("routes")),
            ("stores.sessions", format!("sqlite:{}", path("data/sessions.db"))),
            ("stores.register", format!("sqlite:{}", path("data/register.db"))),
            ("log.format", "text".to_owned()),
        ];
        settings.into_iter().for_each(|(key, text)| setup.set(key, text));
        setup.set("public.hosts", ["127.0.0.1", "localhost"].into_iter().collect::<toml_edit::Array>());
        setup.set("register.upstreams_allowed", ["127.0.0.0/8", "::1/128"].into_iter().collect::<toml_edit::Array>());
        setup.certificate();
        setup.data();
        setup
    }

    /// Sets `section.key`.
    pub fn set(&mut self, key: &str, to: impl Into<Value>) {
        let (section, name) = key.split_once('.').unwrap();
        let table = self.settings.entry(section).or_insert(toml_edit::table());
        table[name] = value(to.into());
    }

    /// No TLS: for tests that speak in raw bytes.
    pub fn plaintext(&mut self) {
        self.set("public.plaintext", true);
        let public = self.settings["public"].as_table_mut().unwrap();
        public.remove("certificate");
        public.remove("key");
    }

    /// Public origin.
    pub fn origin(&self) -> String {
        self.settings["public"]["origin"].as_str().unwrap().to_owned()
    }

    /// The certificate that visitors and sample platforms trust.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    fn certificate(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(self.certificate_file(), made.cert.pem()).unwrap();
        fs::write(self.folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn data(&self) {
        let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("routes"), self.folder.path().join("routes"));
        fs::create_dir_all(to.join("platforms")).unwrap();
        fs::create_dir_all(self.folder.path().join("data")).unwrap();
        for name in ["divisions.csv", "streets.csv.gz", "items.csv"] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }

    /// Writes configuration and filings; the path of the configuration.
    pub fn write(&self) -> PathBuf {
        let platforms = self.folder.path().join("routes/platforms");
        self.filings.iter().for_each(|filing| filing.write(&platforms));
        let config = self.folder.path().join("yimen.toml");
        fs::write(&config, format!("{}\n{}", self.settings, self.more)).unwrap();
        config
    }

    /// Starts the gateway and waits until it is ready.
    pub async fn start(self) -> Gateway {
        let config = self.write();
        let mut command = yimen();
        command.arg("serve").arg("--config").arg(&config);
        let plaintext = self.settings["public"].get("plaintext").and_then(Item::as_bool) == Some(true);
        let (public, metrics, origin) = (self.public, self.metrics, self.origin());
        let process = Running::start("gateway", command, self.folder.path());
        let mut gateway = Gateway { process, public, metrics, origin, plaintext, config, folder: self.folder };
        gateway.wait_ready().await;
        gateway
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub process: Running,
    pub public: SocketAddr,
    pub metrics: SocketAddr,
    /// Public origin, such as `https://127.0.0.1:41234`.
    pub origin: String,
    /// Whether the public listener speaks without TLS.
    pub plaintext: bool,
    pub config: PathBuf,
    pub folder: TempDir,
}

impl Gateway {
    /// A gateway with what `change` does to its setup.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::new();
        change(&mut setup);
        setup.start().await
    }

    async fn wait_ready(&mut self) {
        let ready = format!("http://{}/ready", self.metrics);
        let client = client().build().unwrap();
        let end = std::time::Instant::now() + READY_DEADLINE;
        while !client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            if let Some(status) = self.process.ended() {
                panic!("the gateway ended with {status}: {}", self.process.errors());
            }
            assert!(std::time::Instant::now() < end, "the gateway was not ready within {READY_DEADLINE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The same gateway, ended and started again with what its configuration says now.
    pub async fn restarted(mut self) -> Self {
        let mut command = yimen();
        command.arg("serve").arg("--config").arg(&self.config);
        self.process.signal("TERM");
        let ended = std::time::Instant::now() + READY_DEADLINE;
        while self.process.ended().is_none() {
            assert!(std::time::Instant::now() < ended, "the gateway did not end within {READY_DEADLINE:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.process = Running::start("gateway", command, self.folder.path());
        self.wait_ready().await;
        self
    }

    /// The metrics page.
    pub async fn metrics_page(&self) -> String {
        let client = client().build().unwrap();
        client.get(format!("http://{}/metrics", self.metrics)).send().await.unwrap().text().await.unwrap()
    }

    /// The sum of all samples of a metric whose labels contain `labels`; 0 when there is none.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let page = self.metrics_page().await;
        let of_it = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            (rest.starts_with('{') || rest.starts_with(' ')) && rest.contains(labels)
        };
        page.lines().filter(of_it).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    /// Waits until a metric has reached `least`.
    pub async fn metric_reaches(&self, name: &str, labels: &str, least: f64) {
        let reached = || async { (self.metric(name, labels).await >= least).then_some(()) };
        until(&format!("{name}{{{labels}}} ≥ {least}"), Duration::from_secs(10), reached).await;
    }

    /// Adds an account whose identity is as sure as `assurance` says.
    pub fn add_account(&self, login: &str, password: &str, assurance: &str) {
        let file = self.folder.path().join("password");
        fs::write(&file, password).unwrap();
        let mut command = yimen();
        command.args(["account", "add"]).arg("--config").arg(&self.config).arg("--password-file").arg(&file);
        let done = command.args(["--assurance", assurance, login]).output().unwrap();
        assert!(done.status.success(), "account add: {}", String::from_utf8_lossy(&done.stderr));
    }
}
