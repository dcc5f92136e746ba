//! The guide of README.md, as somebody follows it who types what stands there.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::demo::Demo;
use crate::support::client;
use crate::support::platform::RecordingPlatform;

/// The commands between two marks of README.md.
fn commands(mark: &str) -> String {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("<!-- guide: {mark} -->\n```sh\n")).unwrap();
    rest.split_once("\n```").unwrap().0.to_owned()
}

/// Types commands into a shell in `folder`; what they print.
fn typed(commands: &str, folder: &Path) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_yimen")).parent().unwrap().display().to_string();
    let script = format!("set -eu\nPATH=\"{program}:$PATH\"\n{commands}");
    let done = Command::new("bash").args(["-c", &script]).current_dir(folder).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{commands}\n--- out:\n{out}\n--- errors:\n{errors}");
    out.into_owned()
}

async fn followed(way: &str) {
    let demo = Demo::start().await;
    let platform = RecordingPlatform::start();
    let folder = tempfile::tempdir().unwrap();
    let here = |text: String| {
        let portal = demo.told("portal")[0].trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
        text.replace(".yimen-demo/yimen.toml", &demo.config.display().to_string())
            .replace("127.0.0.1:8444", &demo.management.to_string())
            .replace("yimen filing", &format!("yimen filing --server http://{}", demo.management))
            .replace(":8443", &format!(":{portal}"))
            .replace("127.0.0.1:9000", &platform.address.to_string())
    };
    typed(&here(commands("tokens")), folder.path());
    typed(&here(commands("filing")), folder.path());
    typed(&here(commands(way)), folder.path());
    let http = client().tls_danger_accept_invalid_certs(true);
    let first = here(commands("visit")).rsplit(' ').next().unwrap().trim().to_owned();
    let address: reqwest::Url = first.parse().unwrap();
    let host = address.host_str().unwrap().to_owned();
    let at = ([127, 0, 0, 1], address.port().unwrap()).into();
    let http = http.resolve(&host, at).build().unwrap();
    let answered = || async { (http.get(&first).send().await.ok()?.status() == 200).then_some(()) };
    crate::support::until("the first request is proxied", Duration::from_secs(10), answered).await;
    assert!(!platform.requests().is_empty());
}

#[tokio::test]
async fn a_newcomer_with_the_command_line_gets_to_the_first_proxied_request() {
    followed("command line").await;
}

#[tokio::test]
async fn a_newcomer_with_curl_gets_to_the_first_proxied_request() {
    followed("curl").await;
}

#[tokio::test]
async fn reports_are_read_by_the_command_line() {
    let demo = Demo::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (config, server) = (demo.config.display(), demo.management);
    typed(&format!("yimen token issue --config {config} --role auditor --division 100000 > token"), folder.path());
    let report =
        |what: &str| typed(&format!("yimen report {what} --server http://{server} --token-file token"), folder.path());
    assert_eq!(report("zombies --idle-days 1").lines().count(), 1, "a heading: all were filed today");
    let overlaps = report("overlaps");
    assert!(overlaps.lines().count() > 1 && overlaps.contains("hangzhou"), "{overlaps}");
}
