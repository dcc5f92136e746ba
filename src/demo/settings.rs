//! The configuration file of the demo's gateway: the same keys as a real one, nothing of its own.

use std::net::SocketAddr;
use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::prepare::DemoOptions;

/// Browsers find every name that ends in `.localhost` on their own machine (RFC 6761 section 6.3). Two labels, because no client
/// takes a certificate's star in front of a single one.
pub(super) const PLATFORM_DOMAIN: &str = "yimen.localhost";

/// The text of `yimen.toml` for a gateway at `origin`, with everything it keeps under `data`.
pub(super) fn settings(options: &DemoOptions, data: &Path, hosts: &[String], origin: &str) -> String {
    let under = |name: &str| value(data.join(name).display().to_string());
    let sqlite = |name: &str| value(format!("sqlite:{}", data.join(name).display()));
    let listen = |address: SocketAddr| value(address.to_string());
    let sections = [
        (
            "public",
            vec![
                ("listen", listen(options.listen)),
                ("hosts", value(hosts.iter().collect::<Array>())),
                ("origin", value(origin)),
                ("platform_domain", value(PLATFORM_DOMAIN)),
                ("certificate", under("tls/certificate.pem")),
                ("key", under("tls/key.pem")),
            ],
        ),
        ("management", vec![("listen", listen(options.management))]),
        ("metrics", vec![("listen", listen(options.metrics))]),
        ("data", vec![("directory", value(data.display().to_string()))]),
        ("routes", vec![("directory", under("routes"))]),
        ("stores", vec![("sessions", sqlite("sessions.db")), ("register", sqlite("register.db"))]),
        (
            "register",
            vec![
                // The sample platforms are this machine's, and have other ports each time.
                ("upstreams_allowed", value(["127.0.0.0/8", "::1/128"].into_iter().collect::<Array>())),
                ("sync_at_start", value(true)),
            ],
        ),
        // No short messages go out from a demo: whoever tries them reads the codes here.
        ("sign_in", vec![("code_file", under("codes.jsonl"))]),
        // stdout is for the lines that say where to go.
        ("log", vec![("format", value("text")), ("access_file", under("access.log"))]),
    ];
    let mut document = DocumentMut::new();
    for (name, entries) in sections {
        document.insert(name, Item::Table(entries.into_iter().collect::<Table>()));
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_where_everything_is() {
        let options = DemoOptions {
            listen: "127.0.0.1:8443".parse().unwrap(),
            management: "127.0.0.1:8444".parse().unwrap(),
            metrics: "127.0.0.1:9464".parse().unwrap(),
            data: "/data".into(),
            routes: "routes".into(),
        };
        let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let text = settings(&options, Path::new("/data"), &hosts, "https://127.0.0.1:8443");
        let start = "[public]\nlisten = \"127.0.0.1:8443\"\nhosts = [\"127.0.0.1\", \"localhost\"]\n\
                     origin = \"https://127.0.0.1:8443\"\nplatform_domain = \"yimen.localhost\"\ncertificate = \"/data/tls/certificate.pem\"\n";
        assert!(text.starts_with(start), "{text}");
        assert!(text.contains("[stores]\nsessions = \"sqlite:/data/sessions.db\"\n"), "{text}");
    }
}
