//! Back-channel logout: however a session is ended, every client that it signed on to is told, once, in the right words.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use reqwest::Url;
use yimen::config::SessionStoreConfig;
use yimen::domain::Assurance;
use yimen::session::EndReason;

use crate::support::filing::Filing;
use crate::support::issuer::{ORIGIN, Provider, client, parts_of};
use crate::support::redis::Redis;
use crate::support::until;

/// Where a client is told: it writes down what comes, and answers with the statuses it was given, the last one for ever.
#[derive(Clone)]
struct Ear {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Ear {
    fn answering(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ear = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = ear.heard.clone();
        thread::spawn(move || {
            for (turn, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let status = statuses[turn.min(statuses.len() - 1)];
                let told = hear(stream, status); // before the lock: who looks at what was heard may be who sends
                heard.lock().unwrap().extend(told);
            }
        });
        ear
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn filed(&self) -> String {
        format!("backchannel_logout_uri = \"http://{}/logout\"\n", self.address)
    }

    async fn hears(&self, many: usize) {
        let heard = || async { (self.heard().len() >= many).then_some(()) };
        until(&format!("{many} are heard"), Duration::from_secs(20), heard).await;
    }
}

/// The logout token of one call.
fn hear(mut stream: TcpStream, status: u16) -> Option<String> {
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&received).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .split("content-length: ")
                .nth(1)?
                .split("\r\n")
                .next()?
                .parse::<usize>()
                .ok()?;
            if body.len() >= length {
                stream
                    .write_all(
                        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
                    )
                    .ok()?;
                let form = Url::parse(&format!("form:?{body}")).ok()?;
                return form
                    .query_pairs()
                    .find(|(name, _)| name == "logout_token")
                    .map(|(_, token)| token.into_owned());
            }
        }
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        received.extend_from_slice(&piece[..read]);
    }
}

fn filings(ear: &Ear) -> Vec<Filing> {
    let hall = Filing::of("hall", "330100").client(&client("hall", &ear.filed()));
    let hall = hall.client(&client("hall.quiet", "")); // it has filed no address, and is not told
    vec![hall, Filing::of("archive", "530100").client(&client("archive", &ear.filed()))]
}

/// Runs the provider beside what a test does.
async fn beside(provider: &Provider, work: std::pin::Pin<Box<dyn Future<Output = ()> + '_>>) {
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::select! {
        () = Box::pin(provider.issuer.run(stopped)) => panic!("it ended by itself"),
        () = work => {}
    }
}

#[tokio::test]
async fn a_logout_token_says_what_the_standard_wants() {
    let ear = Ear::answering(&[200]);
    let provider = Provider::filing(filings(&ear)).await;
    let live = provider.signed_in("wang").await;
    let id_token = parts_of(&provider.tokens(&live, "hall").await.text("id_token")).1;
    beside(
        &provider,
        Box::pin(async {
            provider.sessions.end(&live.key).await.unwrap();
            ear.hears(1).await;
        }),
    )
    .await;
    let (header, claims) = parts_of(&ear.heard()[0]);
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("logout+jwt"), Some("ES256")));
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(ORIGIN), Some("hall")));
    assert_eq!((&claims["sid"], &claims["sub"]), (&id_token["sid"], &id_token["sub"]));
    assert!(claims["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object());
    assert!(claims["nonce"].is_null() && claims["jti"].as_str().unwrap().len() >= 16);
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 120);
}

async fn every_way_in_which_a_session_is_ended_is_told(provider: Provider, ear: Ear) {
    provider.files(&filings(&ear));
    beside(
        &provider,
        Box::pin(async {
            for way in ["sign-out", "own list", "limit", "another person"] {
                let before = ear.heard().len();
                let live = provider.signed_in("wang").await;
                for client in ["hall", "archive", "hall.quiet"] {
                    provider.tokens(&live, client).await;
                }
                match way {
                    "sign-out" => provider.sessions.end(&live.key).await.unwrap(),
                    "own list" => assert_eq!(
                        provider.sessions.end_all("wang", None, EndReason::Elsewhere, provider.now()).await.unwrap(),
                        1
                    ),
                    "limit" => {
                        for _ in 0..20 {
                            provider.signed_in("wang").await;
                        }
                    }
                    _ => drop(provider.proven("li", Assurance::L2, Some(&live)).await),
                }
                ear.hears(before + 2).await;
                let audiences: Vec<String> = ear.heard()[before..]
                    .iter()
                    .map(|token| parts_of(token).1["aud"].as_str().unwrap().to_owned())
                    .collect();
                assert!(
                    audiences.contains(&"hall".to_owned()) && audiences.contains(&"archive".to_owned()),
                    "{way}: {audiences:?}"
                );
                provider.sessions.end_all("wang", None, EndReason::Elsewhere, provider.now()).await.unwrap();
                assert_eq!(ear.heard().len(), before + 2, "{way}: told twice");
            }
        }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_which_a_session_is_ended_is_told_on_sqlite() {
    let ear = Ear::answering(&[200]);
    every_way_in_which_a_session_is_ended_is_told(Provider::open().await, ear).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_which_a_session_is_ended_is_told_on_redis() {
    let (redis, ear) = (Redis::start(), Ear::answering(&[200]));
    let provider = Provider::on(SessionStoreConfig::Redis(redis.config())).await;
    every_way_in_which_a_session_is_ended_is_told(provider, ear).await;
}

#[tokio::test]
async fn step_up_ends_nothing_and_the_clients_go_on() {
    let ear = Ear::answering(&[200]);
    let provider = Provider::filing(filings(&ear)).await;
    let live = provider.signed_in("wang").await;
    let tokens = provider.tokens(&live, "hall").await;
    beside(
        &provider,
        Box::pin(async {
            let higher = provider.proven("wang", Assurance::L3, Some(&live)).await;
            assert!(provider.opens(&tokens.text("access_token")).await);
            let again = provider.tokens(&higher, "hall").await;
            let sid = |told: &crate::support::issuer::Told| parts_of(&told.text("id_token")).1["sid"].clone();
            assert_eq!(sid(&tokens), sid(&again));
            assert_eq!(ear.heard().len(), 0);
            provider.sessions.end(&higher.key).await.unwrap();
            ear.hears(1).await;
            assert!(!provider.opens(&tokens.text("access_token")).await);
        }),
    )
    .await;
}

#[tokio::test]
async fn a_client_that_fails_is_told_again_and_one_that_refuses_is_not() {
    let (failing, refusing) = (Ear::answering(&[500, 200]), Ear::answering(&[400]));
    let hall = Filing::of("hall", "330100").client(&client("hall", &failing.filed()));
    let archive = Filing::of("archive", "530100").client(&client("archive", &refusing.filed()));
    let provider = Provider::filing(vec![hall, archive]).await;
    let live = provider.signed_in("wang").await;
    provider.tokens(&live, "hall").await;
    provider.tokens(&live, "archive").await;
    beside(
        &provider,
        Box::pin(async {
            provider.sessions.end(&live.key).await.unwrap();
            failing.hears(2).await;
            let counted = |result: &str| provider.metrics.backchannel_logouts.with_label_values(&[result]).get();
            let told = || async { (counted("ok") == 1 && counted("refused") == 1).then_some(()) };
            until("both are counted", Duration::from_secs(10), told).await;
        }),
    )
    .await;
    assert_eq!(refusing.heard().len(), 1);
    let (first, second) = (parts_of(&failing.heard()[0]).1, parts_of(&failing.heard()[1]).1);
    assert_ne!(first["jti"], second["jti"], "a client may refuse a token that it has seen");
}

#[tokio::test]
async fn an_address_of_the_gateway_s_own_machine_is_not_called() {
    let inside = "backchannel_logout_uri = \"http://169.254.169.254/latest/\"\n";
    let provider = Provider::filing(vec![Filing::of("hall", "330100").client(&client("hall", inside))]).await;
    let live = provider.signed_in("wang").await;
    provider.tokens(&live, "hall").await;
    beside(
        &provider,
        Box::pin(async {
            provider.sessions.end(&live.key).await.unwrap();
            let blocked = || async {
                (provider.metrics.backchannel_logouts.with_label_values(&["blocked"]).get() == 1).then_some(())
            };
            until("it is counted", Duration::from_secs(10), blocked).await;
        }),
    )
    .await;
}
