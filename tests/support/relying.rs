//! Programs of platforms that sign people in through the gateway: openid-client on Node.js, and Apache with mod_auth_openidc. Each is
//! a process of its own, and knows of the gateway its address and nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::gateway::Gateway;
use super::issuer::{SECRET, hash};
use super::process::{Running, tool};
use super::until;

/// Starting a script and asking for discovery takes a moment on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A program on Node.js.
#[derive(Debug)]
pub struct NodeClient {
    pub base: String,
    process: Running,
}

impl NodeClient {
    /// What a platform files for a program at this port.
    pub fn filed(client_id: &str, port: u16, more: &str) -> String {
        let base = format!("http://localhost:{port}");
        format!(
            "client_id = \"{client_id}\"\nredirect_uris = [\"{base}/callback\"]\npost_logout_redirect_uris = [\"{base}/bye\"]\n\
             backchannel_logout_uri = \"{base}/logout\"\n{more}"
        )
    }

    /// The credential of most.
    pub fn secret() -> String {
        format!("secret_sha256 = [\"{}\"]\n", hash(SECRET))
    }

    /// Starts it. `settings`: `client_id`, `port`, `scope`, and `secret` or `key`.
    pub async fn start(gateway: &Gateway, mut settings: Value) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openid-client/client.mjs");
        let modules = modules();
        // Packages are found beside the script, so it runs from where they are.
        let copy = modules.join(format!("client-{}.mjs", std::process::id()));
        fs::copy(script, &copy).unwrap();
        settings["issuer"] = gateway.origin.clone().into();
        let port = settings["port"].as_u64().unwrap();
        let mut command = Command::new(tool("node", "nodejs"));
        command.arg(&copy).env("NODE_EXTRA_CA_CERTS", gateway.folder.path().join("certificate.pem"));
        let name = format!("client-{port}");
        let mut process = Running::start(&name, command, gateway.folder.path());
        process.write(&format!("{settings}\n"));
        let listens = || async { process.output().contains("listening").then_some(()) };
        until("the client listens", START, listens).await;
        Self { base: format!("http://localhost:{port}"), process }
    }

    /// What it complained of.
    pub fn errors(&self) -> String {
        self.process.errors()
    }
}

/// The packages of tests/openid-client, installed once for all tests.
fn modules() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openid-client");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap(); // another test may be at it; ends with the file
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openid-client");
    let wanted = fs::read(source.join("package-lock.json")).unwrap();
    if fs::read(folder.join(".installed")).ok().as_ref() != Some(&wanted) {
        for name in ["package.json", "package-lock.json"] {
            fs::copy(source.join(name), folder.join(name)).unwrap();
        }
        let mut npm = Command::new(tool("npm", "npm"));
        let done = npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).output().unwrap();
        assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
        fs::write(folder.join(".installed"), wanted).unwrap();
    }
    folder
}

/// Apache with mod_auth_openidc before a page.
#[derive(Debug)]
pub struct ApacheClient {
    pub base: String,
    process: Running,
    folder: TempDir,
}

const APACHE: &str = "apache2 libapache2-mod-auth-openidc";

impl ApacheClient {
    /// What a platform files for it.
    pub fn filed(client_id: &str, port: u16) -> String {
        let base = format!("http://localhost:{port}");
        format!(
            "client_id = \"{client_id}\"\nredirect_uris = [\"{base}/callback\"]\npost_logout_redirect_uris = [\"{base}/open/bye.html\"]\n\
             backchannel_logout_uri = \"{base}/callback?logout=backchannel\"\nscopes = [\"profile\"]\nsecret_sha256 = [\"{}\"]\n",
            hash(SECRET)
        )
    }

    /// Starts it as an unprivileged process.
    pub async fn start(gateway: &Gateway, client_id: &str, port: u16) -> Self {
        let folder = tempfile::Builder::new().prefix("yimen-apache-").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["www", "www/open", "run"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("www/index.html"), "<body id=\"page\">the archive</body>").unwrap();
        fs::write(path("www/open/bye.html"), "<body id=\"page\">bye</body>").unwrap();
        fs::copy(gateway.folder.path().join("certificate.pem"), path("ca.pem")).unwrap();
        fs::set_permissions(path("ca.pem"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path("apache.conf"), configuration(folder.path(), &gateway.origin, client_id, port)).unwrap();
        let program = tool("apache2", APACHE);
        assert!(Path::new("/usr/lib/apache2/modules/mod_auth_openidc.so").exists(), "run: apt-get install -y {APACHE}");
        let root = fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = if root {
            let given = Command::new("chown").args(["-R", "www-data"]).arg(path("run")).status().unwrap();
            assert!(given.success());
            let mut command = Command::new(tool("setpriv", "util-linux"));
            command.args(["--reuid", "www-data", "--regid", "www-data", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.arg("-f").arg(path("apache.conf")).arg("-DFOREGROUND").current_dir("/").stdin(Stdio::null());
        let mut process = Running::start("apache", command, folder.path());
        let base = format!("http://localhost:{port}");
        let end = std::time::Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(path("run/error.log")).unwrap_or_default();
            assert!(process.ended().is_none() && std::time::Instant::now() < end, "{}{}", process.errors(), log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { base, process, folder }
    }

    /// Its error log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("run/error.log")).unwrap_or_default()
    }
}

fn configuration(folder: &Path, issuer: &str, client_id: &str, port: u16) -> String {
    let folder = folder.display();
    let mut text = String::new();
    for module in ["mpm_event", "authn_core", "authz_core", "authz_user", "mime", "dir", "auth_openidc"] {
        text.push_str(&format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"));
    }
    text + &format!(
        "ServerRoot {folder}\nDefaultRuntimeDir {folder}/run\nPidFile {folder}/run/pid\nErrorLog {folder}/run/error.log\n\
         Listen 127.0.0.1:{port}\nServerName http://localhost:{port}\nUseCanonicalName On\nStartServers 1\nTypesConfig /etc/mime.types\n\
         DocumentRoot {folder}/www\nDirectoryIndex index.html\nMutex file:{folder}/run default\n\
         OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration\nOIDCClientID {client_id}\nOIDCClientSecret {SECRET}\n\
         OIDCRedirectURI http://localhost:{port}/callback\nOIDCScope \"openid profile\"\nOIDCPKCEMethod S256\n\
         OIDCCABundlePath {folder}/ca.pem\nOIDCSSLValidateServer On\nOIDCCryptoPassphrase {SECRET}\nOIDCCacheType shm\n\
         OIDCInfoHook id_token userinfo\n\
         <Location />\nAuthType openid-connect\nRequire valid-user\n</Location>\n\
         <Location /open>\nRequire all granted\nAuthType None\n</Location>\n"
    )
}

impl Running {
    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) {
        self.input_of().write_all(text.as_bytes()).unwrap();
    }
}
