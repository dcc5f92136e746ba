//! npm `oidc-provider` as the identity platform: a real one, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::{Running, tool};
use super::until;

/// The secret by which the gateway proves itself where it has no key.
pub const SECRET: &str = "oidc-provider-secret";

/// A running platform. It knows `zhang`, checked by name and number, and `li`, who is not.
#[derive(Debug)]
pub struct OidcProvider {
    pub issuer: String,
    _process: Running,
}

impl OidcProvider {
    /// On this port, for the realm `nation` of a gateway at `origin`. `client_key`: by which the gateway proves itself; by a
    /// secret when `Null`. `par`: whether it demands pushed requests.
    pub async fn start(port: u16, origin: &str, client_key: Value, par: bool, folder: &Path) -> Self {
        let asked = json!({
            "port": port, "client_id": "yimen", "client_secret": SECRET, "client_key": client_key, "par": par,
            "redirect_uri": format!("{origin}/sign-in/nation/callback"),
            "post_logout_redirect_uri": format!("{origin}/sign-out"),
            "backchannel_logout_uri": format!("{origin}/sign-in/nation/back-channel-logout"),
            "accounts": [
                { "login": "zhang", "name": "张三", "acr": "urn:example:real-name" },
                { "login": "li", "name": "李四", "acr": "urn:example:basic" },
                { "login": "wang", "name": "王五" },
            ],
        });
        let mut command = Command::new(tool("node", "nodejs"));
        command.arg(installed().join("provider.mjs")).arg(asked.to_string());
        command.env("NODE_TLS_REJECT_UNAUTHORIZED", "0"); // the gateway's certificate is of the test's own making
        let process = Running::start("oidc-provider", command, folder);
        let ready = || async { process.output().contains("ready").then_some(()) };
        until("oidc-provider is ready", Duration::from_secs(60), ready).await;
        Self { issuer: format!("http://127.0.0.1:{port}"), _process: process }
    }
}

fn installed() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    tool("npm", "npm");
    let folder = root.join("target/oidc_provider");
    let done = Command::new("sh").arg(root.join("tests/oidc_provider/install.sh")).arg(&folder).output().unwrap();
    assert!(done.status.success(), "npm ci: {}", String::from_utf8_lossy(&done.stderr));
    folder
}
