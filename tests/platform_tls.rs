//! TLS and HTTP/2 to platforms: an authority of their own, a certificate for the gateway, trailers. nginx is the platform,
//! and for trailers a server of the test's own.

use std::convert::Infallible;
use std::fs;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use reqwest::Method;
use tempfile::TempDir;

use crate::support::citizen::Citizen;
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::nginx::Nginx;

const NAME: &str = "zwfw.hangzhou.internal";
const OPEN: &str = "access = \"open\"";

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes `{name}.pem` and `{name}.key` into `folder`.
    fn issues(&self, name: &str, usage: ExtendedKeyUsagePurpose, folder: &Path) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::create_dir_all(folder).unwrap();
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

/// nginx with a certificate of `authority`, and `more` in its server's block.
async fn nginx(authority: &Authority, folder: &Path, listen: &str, more: &str) -> Nginx {
    let (certificate, key) = authority.issues(NAME, ExtendedKeyUsagePurpose::ServerAuth, folder);
    let server = format!(
        "ssl_certificate {}; ssl_certificate_key {}; {more}\
         location / {{ return 200 \"$ssl_server_name $server_protocol $ssl_client_s_dn\"; }}",
        certificate.display(),
        key.display()
    );
    Nginx::start(folder, &format!("ssl {listen}"), &server).await
}

/// Puts a file where a platform's filing may name it.
fn put(setup: &Setup, platform: &str, name: &str, text: &str) {
    let folder = setup.folder.path().join("routes/tls").join(platform);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

fn secure(more: &str) -> String {
    format!("tls = true\nserver_name = \"{NAME}\"\n{more}")
}

#[tokio::test]
async fn the_right_authority_answers_and_the_wrong_one_is_502_even_while_others_are_connected() {
    let folder = TempDir::new().unwrap();
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let platform = nginx(&right, folder.path(), "", "").await;
    let gateway = Gateway::with(|setup| {
        let filing = |id: &str, more: &str| {
            Filing::of(id, "330000").at(platform.address).each(&secure(more)).path(&format!("/{id}/"), OPEN)
        };
        put(setup, "right", "ca.pem", &right.pem());
        put(setup, "wrong", "ca.pem", &wrong.pem());
        put(setup, "misnamed", "ca.pem", &right.pem());
        let misnamed = Filing::of("misnamed", "330000").at(platform.address).path("/misnamed/", OPEN);
        setup.filings = vec![
            filing("right", "ca = \"ca.pem\""),
            filing("wrong", "ca = \"ca.pem\""),
            filing("system", ""), // nobody has told this machine's authorities
            misnamed.each("tls = true\nserver_name = \"other.hangzhou.internal\"\nca = \"ca.pem\""),
        ];
    })
    .await;
    let citizen = Citizen::of_http1(&gateway);
    for _ in 0..3 {
        let answer = citizen.get("/right/").await;
        assert_eq!((answer.status, answer.body.trim()), (200, &*format!("{NAME} HTTP/1.1")));
    }
    for path in ["/wrong/", "/system/", "/misnamed/", "/wrong/"] {
        let answer = citizen.get(path).await;
        answer.is_problem(502, "platform-untrusted");
        for secret in [platform.address.port().to_string(), NAME.to_owned(), "Issuer".to_owned(), "/tls/".to_owned()] {
            assert!(!answer.body.contains(&secret) && !format!("{:?}", answer.headers).contains(&secret), "{answer:?}");
        }
    }
    citizen.get("/right/").await.has_status(200);
    assert!(gateway.metric("yimen_upstream_requests_total", "result=\"tls\"").await >= 4.0);
    assert!(gateway.process.errors().contains("no TLS with an instance"), "{}", gateway.process.errors());
}

#[tokio::test]
async fn the_gateway_shows_a_platform_the_certificate_that_its_filing_names_and_no_other_platform_can_use_it() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new("both ways");
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let asks = format!("ssl_verify_client on; ssl_client_certificate {};", ca.display());
    let platform = nginx(&authority, folder.path(), "", &asks).await;
    let gateway = Gateway::with(|setup| {
        for id in ["known", "stranger"] {
            put(setup, id, "ca.pem", &authority.pem());
        }
        let files = setup.folder.path().join("routes/tls/known");
        authority.issues("gateway", ExtendedKeyUsagePurpose::ClientAuth, &files);
        let filing = |id: &str| Filing::of(id, "330000").at(platform.address).path(&format!("/{id}/"), OPEN);
        let whole = "ca = \"ca.pem\"\nclient_certificate = \"gateway.pem\"\nclient_key = \"gateway.key\"";
        setup.filings = vec![
            // In [platform]: for all its instances.
            filing("known").with(whole).with("health = { path = \"/\", every_s = 1 }").each(&secure("")),
            filing("stranger").each(&secure("ca = \"ca.pem\"")),
            filing("thief")
                .each(&secure("ca = \"ca.pem\"\nclient_certificate = \"../known/gateway.pem\"\nclient_key = \"k\"")),
        ];
    })
    .await;
    let citizen = Citizen::of_http1(&gateway);
    let answer = citizen.get("/known/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, &*format!("{NAME} HTTP/1.1 CN=gateway")));
    assert_ne!(citizen.get("/stranger/").await.status, 200, "it has no certificate, and is given nobody's connection");
    citizen.get("/thief/").await.is_problem(404, "no-route");
    gateway.metric_reaches("yimen_health_checks_total", "result=\"ok\"", 2.0).await;
    assert_eq!(gateway.metric("yimen_health_checks_total", "result=\"failed\"").await, 0.0);
}

#[tokio::test]
async fn http2_to_a_platform_is_spoken_over_tls() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new("second");
    let platform = nginx(&authority, folder.path(), "http2", "").await;
    let gateway = Gateway::with(|setup| {
        put(setup, "second", "ca.pem", &authority.pem());
        let filing = Filing::of("second", "330000").at(platform.address).path("/second/", OPEN);
        setup.filings = vec![filing.each(&secure("ca = \"ca.pem\"\nhttp2 = true"))];
    })
    .await;
    for citizen in [Citizen::of(&gateway), Citizen::of_http1(&gateway)] {
        for _ in 0..3 {
            let answer = citizen.get("/second/").await;
            assert_eq!((answer.status, answer.body.trim()), (200, &*format!("{NAME} HTTP/2.0")));
        }
    }
}

/// What a gRPC server answers: a message, and how it went in the trailers.
struct Message(Vec<Frame<Bytes>>);

impl Body for Message {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(if self.0.is_empty() { None } else { Some(Ok(self.0.remove(0))) })
    }
}

async fn collected<B: Body<Data = Bytes> + Unpin>(mut body: B) -> (Vec<u8>, HeaderMap)
where
    B::Error: std::fmt::Debug,
{
    let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame.unwrap().into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap(),
        }
    }
    (bytes, trailers)
}

/// Answers as gRPC does, with what it received: `HTTP/2.0 {te} {body}`.
async fn grpc(request: Request<Incoming>) -> Result<Response<Message>, Infallible> {
    let (head, body) = request.into_parts();
    let te = head.headers.get("te").map(|te| te.to_str().unwrap().to_owned()).unwrap_or_default();
    let (said, _) = collected(body).await;
    let text = format!("{:?} {te} {}", head.version, String::from_utf8_lossy(&said));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("yimen-served-by", "forged".parse().unwrap());
    let frames = vec![Frame::data(Bytes::from(text)), Frame::trailers(trailers)];
    Ok(Response::builder().header("content-type", "application/grpc").body(Message(frames)).unwrap())
}

#[tokio::test]
async fn trailers_of_a_grpc_answer_are_passed_on_but_not_those_that_only_we_may_say() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(grpc)));
        }
    });
    let gateway = Gateway::with(|setup| {
        setup.filings = vec![Filing::of("grpc", "330000").at(address).each("http2 = true").path("/grpc/", OPEN)];
    })
    .await;
    let citizen = Citizen::of(&gateway);
    for n in 0..3 {
        let call = citizen.request(Method::POST, "/grpc/Cases/Count").header("te", "trailers");
        let answer = call.header("content-type", "application/grpc").body(format!("case {n}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
        let (bytes, trailers) = collected(Response::from(answer).into_body()).await;
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("HTTP/2.0 trailers case {n}"));
        assert_eq!(trailers.get("grpc-status").unwrap(), "0");
        assert!(!trailers.contains_key("yimen-served-by"), "{trailers:?}");
    }
}

#[tokio::test]
async fn a_platforms_new_authority_is_believed_without_a_signal_and_a_broken_file_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));
    let platform = nginx(&right, folder.path(), "", "").await;
    let gateway = Gateway::with(|setup| {
        put(setup, "moving", "ca.pem", &wrong.pem());
        let filing = Filing::of("moving", "330000").at(platform.address).path("/moving/", OPEN);
        setup.filings = vec![filing.each(&secure("ca = \"ca.pem\""))];
    })
    .await;
    let citizen = Citizen::of(&gateway);
    citizen.get("/moving/").await.is_problem(502, "platform-untrusted");
    let file = gateway.folder.path().join("routes/tls/moving/ca.pem");
    fs::write(&file, right.pem()).unwrap();
    let answers = || async { (citizen.get("/moving/").await.status == 200).then_some(()) };
    crate::support::until("the new authority is believed", Duration::from_secs(15), answers).await;
    fs::write(&file, "no certificate").unwrap();
    gateway.metric_reaches("yimen_filings_quarantined", "", 1.0).await;
    citizen.get("/moving/").await.has_status(200);
    assert!(gateway.process.errors().contains("ca.pem"), "{}", gateway.process.errors());
}
