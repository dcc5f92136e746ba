//! Platforms mounted by path share the portal's origin: what their answers may do there, and which cookies they get back.

use std::process::Output;

use yimen::domain::PlatformId;

use crate::support::citizen::Citizen;
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::platform::RecordingPlatform;
use crate::support::process::yimen;
use crate::support::traveller::{DOMAIN, Traveller, own_origins};
use crate::support::window::{NOTARY, QUALIFICATION, Window};

const GREEDY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: sid=1; Path=/; HttpOnly\r\n\
    Set-Cookie: deep=2; domain=localhost; path=/alpha/deep\r\nSet-Cookie: __Host-yimen=stolen; Path=/; Secure\r\n\
    Set-Cookie: yimen.beta.sid=forged; Path=/beta\r\nClear-Site-Data: \"*\"\r\nService-Worker-Allowed: /\r\n\r\n";

fn filing(id: &str, platform: &RecordingPlatform) -> Filing {
    Filing::of(id, "330100").at(platform.address)
}

async fn gateway(filings: Vec<Filing>) -> Gateway {
    Gateway::with(|setup| setup.filings = filings).await
}

fn cookie_line(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("cookie: ").or(line.strip_prefix("Cookie: ")))
}

#[tokio::test]
async fn each_finds_its_own_cookies_in_the_jar_and_no_others() {
    let (alpha, beta) = (RecordingPlatform::answering(GREEDY), RecordingPlatform::start());
    let open = "access = \"open\"";
    let gateway = gateway(vec![
        filing("alpha", &alpha).path("/alpha/", open).item(QUALIFICATION, open),
        filing("beta", &beta).path("/beta/", open),
    ])
    .await;
    let citizen = Citizen::of(&gateway);
    citizen.set_cookie("__Host-yimen-region", "330106");
    citizen.set_cookie("script", "of whom?");
    let answer = citizen.get("/alpha/x").await;
    let set: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(
        set,
        [
            "yimen.alpha.sid=1; HttpOnly; Path=/alpha",
            "yimen.alpha.deep=2; Path=/alpha/deep",
            "yimen.alpha.yimen.beta.sid=forged; Path=/alpha"
        ]
    );
    for gone in ["clear-site-data", "service-worker-allowed"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    citizen.get("/alpha/deep/y").await.has_status(200);
    citizen.get("/beta/x").await.has_status(200);
    let heads = alpha.requests();
    assert_eq!(cookie_line(&heads[0]), None, "{}", heads[0]);
    let back = cookie_line(&heads[1]).unwrap();
    assert_eq!(back, "deep=2; sid=1; yimen.beta.sid=forged");
    assert_eq!(cookie_line(&beta.the_request()), None, "{}", beta.the_request());
    // At a service address the platform answers below `/s`.
    let answer = citizen.get(&format!("/s/330106/{QUALIFICATION}/")).await;
    assert_eq!(answer.header("set-cookie"), "yimen.alpha.sid=1; HttpOnly; Path=/s");
}

#[tokio::test]
async fn on_a_host_of_its_own_a_platform_keeps_its_cookies_names_and_reaches_no_sibling() {
    let platform = RecordingPlatform::answering(GREEDY);
    let gateway = Gateway::with(|setup| {
        own_origins(setup);
        setup.filings = vec![filing("hangzhou", &platform).untrusted().path("/alpha/", "access = \"open\"")];
    })
    .await;
    let traveller = Traveller::of(&gateway);
    let answer = traveller.get(&traveller.at("hangzhou", "/alpha/x")).await;
    let set: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    let kept = ["sid=1; Path=/; HttpOnly", "deep=2; path=/alpha/deep", "yimen.beta.sid=forged; Path=/beta"];
    assert_eq!(set, kept);
    assert_eq!((answer.header("clear-site-data"), answer.header("service-worker-allowed")), ("", ""));
    traveller.get(&traveller.at("hangzhou", "/alpha/x")).await.has_status(200);
    assert_eq!(cookie_line(&platform.requests()[1]), Some("deep=2; sid=1; yimen.beta.sid=forged"));
}

#[tokio::test]
async fn an_address_that_only_we_can_reach_becomes_a_path() {
    let window = Window::open().await;
    let citizen = window.citizen();
    let inside = window.platforms.at("hangzhou");
    let redirected = async |to: &str| {
        let to = percent_encoding::utf8_percent_encode(to, percent_encoding::NON_ALPHANUMERIC).to_string();
        let answer = citizen.get(&format!("/hangzhou/x/redirect?to={to}")).await;
        answer.has_status(302);
        answer.header("location").to_owned()
    };
    assert_eq!(redirected(&format!("http://{inside}/hangzhou/next?a=b")).await, "/hangzhou/next?a=b");
    assert_eq!(redirected(&format!("http://{inside}//evil.example/")).await, "/.//evil.example/");
    for other in ["/hangzhou/next", "next", "https://elsewhere.example/a"] {
        assert_eq!(redirected(other).await, other);
    }
}

#[tokio::test]
async fn check_warns_of_platforms_that_share_the_portals_origin() {
    let filings = || {
        vec![
            Filing::of("hangzhou", "330100").untrusted().item(NOTARY, "").at(([127, 0, 0, 1], 9).into()),
            Filing::of("kunming", "530100").path("/kunming/", "").at(([127, 0, 0, 1], 9).into()),
        ]
    };
    let mut shared = Setup::new();
    shared.filings = filings();
    let told = check(&shared);
    assert!(told.contains("public.platform_domain") && told.contains("and 1 more share the portal's origin"), "{told}");
    assert!(told.ends_with("0 errors, 1 warnings\n"), "{told}");

    let mut own = Setup::new();
    own_origins(&mut own);
    own.filings = filings();
    let told = check(&own);
    assert!(told.contains("kunming.toml") && told.contains("platform.trusted"), "{told}");
    assert!(told.ends_with("0 errors, 1 warnings\n"), "{told}");

    // A host below the domain is a platform's by its id alone.
    let thief: PlatformId = "thief".parse().unwrap();
    let host = format!("host = \"ministry.{DOMAIN}\"");
    own.filings.push(Filing::of(thief.as_str(), "530100").at(([127, 0, 0, 1], 9).into()).path("/", &host));
    let told = check(&own);
    assert!(told.contains("thief.toml") && told.contains("a host outside the platforms' domain"), "{told}");
}

fn check(setup: &Setup) -> String {
    let Output { stdout, .. } = yimen().arg("check").arg("--config").arg(setup.write()).output().unwrap();
    String::from_utf8(stdout).unwrap()
}

#[tokio::test]
async fn probe_names_the_origin_that_an_address_belongs_to() {
    let mut setup = Setup::new();
    own_origins(&mut setup);
    setup.filings = vec![Filing::of("hangzhou", "330100").untrusted().item(NOTARY, "").at(([127, 0, 0, 1], 9).into())];
    let config = setup.write();
    let origin = format!("https://hangzhou.{DOMAIN}:{}", setup.public.port());
    for host in [setup.public.to_string(), format!("hangzhou.{DOMAIN}:1")] {
        let url = format!("https://{host}/s/330106/{NOTARY}/");
        let probed = yimen().args(["probe", "--config"]).arg(&config).args(["GET", &url]).output().unwrap();
        let told = String::from_utf8(probed.stdout).unwrap();
        assert!(told.contains("chosen  hangzhou") && told.contains(&format!("origin  {origin}")), "{url}: {told}");
    }
}
