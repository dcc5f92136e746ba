//! The steps before the gateway can start, in order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::children::{Children, Trust};
use super::error::DemoError;
use super::filings::{self, SampleFiling, StandIn};
use super::{certificate, files, settings};
use crate::domain::Timestamp;

/// Where the person of the story lives: Hangzhou's West Lake district, and the divisions above it, nearest first.
const HOME: [&str; 4] = ["330106", "330100", "330000", "100000"];
/// Where the same item is asked for a second time: Yunnan, whose item is answered by the ministry.
const ELSEWHERE: &str = "530000";

/// What `yimen demo` takes. Addresses are this machine's only, so a demo is never open to a network by accident.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// Address of the public listener.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub listen: SocketAddr,
    /// Address of the management listener.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444")]
    pub management: SocketAddr,
    /// Address of the metrics listener.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    pub metrics: SocketAddr,
    /// Folder for everything the demo keeps: certificate, keys, databases, filings.
    #[arg(long, value_name = "DIR", default_value = ".yimen-demo")]
    pub data: PathBuf,
    /// Folder with divisions, items and sample filings.
    #[arg(long, value_name = "DIR", default_value = "routes")]
    pub routes: PathBuf,
}

/// The account that people of the demo sign in with.
#[derive(Clone)]
pub struct DemoAccount {
    /// Login.
    pub login: &'static str,
    /// Password, random for each data directory; also in `demo-password` there.
    pub password: String,
}

/// A demo that lacks only its gateway. Its sample platforms end when it is dropped, or with this process.
pub struct Prepared {
    /// Configuration for the gateway.
    pub config: PathBuf,
    /// The account to be added to the register, or given this password if it is there.
    pub account: DemoAccount,
    /// Public origin, such as `https://127.0.0.1:8443`.
    pub origin: String,
    /// Service addresses to try: the first needs a signed-in person, the last is the same item from another province.
    pub tries: [String; 3],
    /// The running sample platforms.
    pub platforms: Children,
}

impl Prepared {
    /// What is printed once the gateway listens, line by line; the last one says that it is ready.
    pub fn lines(&self) -> Vec<String> {
        let Self { account: DemoAccount { login, password }, origin, tries, .. } = self;
        let mut lines = vec![format!("portal {origin}/"), format!("account {login} {password}")];
        lines.extend(tries.iter().map(|path| format!("try {origin}{path}")));
        lines.push(format!("ready {origin}/"));
        lines
    }
}

/// Makes everything under the data directory and starts the sample platforms.
pub fn prepare(options: &DemoOptions, now: Timestamp) -> Result<Prepared, DemoError> {
    let data =
        std::path::absolute(&options.data).map_err(|cause| DemoError::Write { path: options.data.clone(), cause })?;
    files::private_folder(&data)?;
    let public = reachable(options.listen);
    certificate::keep_or_make(&data.join("tls"), public.ip(), now)?;
    let password = password(&data.join("demo-password"))?;

    let filings = SampleFiling::read_all(&options.routes)?;
    let tries = tries(&filings)?;
    let origin = format!("https://{public}");
    let routes = data.join("routes");
    filings::copy_data(&options.routes, &routes)?;
    let jwks = format!("{origin}/.well-known/jwks.json");
    let trust = Trust { jwks: &jwks, certificate: &data.join("tls/certificate.pem"), issuer: &origin };
    let platforms = start_platforms(&filings, &trust, &routes.join("platforms"))?;

    let config = data.join("yimen.toml");
    files::write(&config, 0o600, settings::settings(options, &data, &hosts(public), &origin).as_bytes())?;
    Ok(Prepared { config, account: DemoAccount { login: "demo", password }, origin, tries, platforms })
}

/// The address people type for a listener that may listen everywhere.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}

fn hosts(public: SocketAddr) -> Vec<String> {
    let mut hosts = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let own = public.to_string();
    let own = own.rsplit_once(':').map_or(own.as_str(), |(host, _)| host);
    if !hosts.iter().any(|host| host == own) {
        hosts.push(own.to_owned());
    }
    hosts
}

fn password(path: &Path) -> Result<String, DemoError> {
    if path.is_file() {
        return Ok(files::read(path)?.trim().to_owned());
    }
    let mut random = [0_u8; 12]; // 96 bits: nobody guesses it, and it can still be typed
    rand::fill(&mut random).map_err(|_| DemoError::Certificate("the system gave no random numbers".to_owned()))?;
    let password = URL_SAFE_NO_PAD.encode(random);
    files::write(path, 0o600, format!("{password}\n").as_bytes())?;
    Ok(password)
}

fn start_platforms(filings: &[SampleFiling], trust: &Trust<'_>, folder: &Path) -> Result<Children, DemoError> {
    let mut children = Children::default();
    for stand_in in StandIn::ALL {
        let own = || filings.iter().filter(|filing| filing.stand_in == stand_in);
        let serve: Vec<_> = own().flat_map(|filing| std::iter::repeat_n(filing.named(), filing.upstreams())).collect();
        if serve.is_empty() {
            continue;
        }
        let mut addresses = children.start(stand_in.name(), &serve, trust)?.into_iter();
        for filing in own() {
            let of_it: Vec<_> = addresses.by_ref().take(filing.upstreams()).collect();
            filing.write(folder, &of_it)?;
        }
    }
    Ok(children)
}

/// Three addresses that show the climb: an item that Hangzhou answers for a signed-in person, one that Zhejiang answers,
/// and the first again from Yunnan, where only the ministry answers it.
fn tries(filings: &[SampleFiling]) -> Result<[String; 3], DemoError> {
    let offered = |division: &'static str| {
        filings.iter().filter(move |filing| filing.division == division).flat_map(SampleFiling::items)
    };
    let offers = |division: &'static str, item: &str| offered(division).any(|(other, _)| other == item);
    let nearest = |item: &str| HOME.iter().find(|division| offers(division, item));
    let [home, city, province, nation] = HOME;
    let at_city = |(item, signed_in): &(String, bool)| {
        *signed_in && nearest(item) == Some(&city) && offers(nation, item) && !offers(ELSEWHERE, item)
    };
    let at_province = |(item, _): &(String, bool)| nearest(item) == Some(&province);
    let nothing = || DemoError::NothingToTry { division: home };
    let (first, _) = offered(city).find(at_city).ok_or_else(nothing)?;
    let (second, _) = offered(province).find(at_province).ok_or_else(nothing)?;
    Ok([format!("/s/{home}/{first}/"), format!("/s/{home}/{second}/"), format!("/s/{ELSEWHERE}/{first}/")])
}

#[cfg(test)]
mod tests {
    use super::super::filings::tests::sample_routes;
    use super::*;

    #[test]
    fn the_addresses_to_try_show_city_province_and_ministry() {
        let routes = sample_routes();
        let filings = SampleFiling::read_all(routes.path()).unwrap();
        let expected = ["/s/330106/002099001000/", "/s/330106/000115035000/", "/s/530000/002099001000/"];
        assert_eq!(tries(&filings).unwrap(), expected.map(str::to_owned));
    }

    #[test]
    fn without_filings_for_hangzhou_the_demo_says_so() {
        let said = tries(&[]).unwrap_err().to_string();
        assert!(said.contains("330106"), "{said}");
    }

    #[test]
    fn the_password_stays_the_same_for_a_data_directory() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("demo-password");
        let first = password(&path).unwrap();
        assert_eq!(first.len(), 16);
        assert_eq!(password(&path).unwrap(), first);
    }

    #[test]
    fn a_listener_for_everybody_is_reached_at_this_machine() {
        let public = reachable("0.0.0.0:8443".parse().unwrap());
        assert_eq!(public.to_string(), "127.0.0.1:8443");
        assert_eq!(hosts(public), ["127.0.0.1", "localhost"]);
        assert_eq!(hosts("[::1]:8443".parse().unwrap()), ["127.0.0.1", "localhost", "[::1]"]);
    }
}
