//! The running binary replaced by `yimen upgrade`, under clients that ask every request once and count what is lost; and what
//! systemd hears meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::platform::RecordingPlatform;
use crate::support::process::{Running, runs, yimen};
use crate::support::window::Window;
use crate::support::{client, free_port, tls, until};

const REQUEST: &[u8] = b"GET /recorder/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The processes that follow the first one; the last of them is killed at the end.
struct Successors {
    config: PathBuf,
    serving: PathBuf,
    first: u32,
}

impl Successors {
    fn of(gateway: &Gateway) -> Self {
        let serving = gateway.folder.path().join("data/yimen.pid");
        Self { config: gateway.config.clone(), serving, first: gateway.process.id() }
    }

    fn serving(&self) -> Option<u32> {
        fs::read_to_string(&self.serving).ok()?.trim().parse().ok()
    }

    /// Runs `yimen upgrade`: how it ended, and what it said.
    async fn upgrade(&self) -> (bool, String) {
        let mut command = yimen();
        command.arg("upgrade").arg("--config").arg(&self.config);
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (done.status.success(), said)
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        if let Some(id) = self.serving().filter(|id| *id != self.first) {
            let _ = Command::new("kill").args(["-s", "KILL", &id.to_string()]).status();
        }
    }
}

async fn gateway(plaintext: bool, change: impl FnOnce(&mut Setup)) -> (Gateway, Successors) {
    let platform = RecordingPlatform::start();
    let gateway = Gateway::with(|setup| {
        if plaintext {
            setup.plaintext();
        }
        setup.set("runtime.drain_seconds", 2);
        setup.set("limits.keepalive_requests", 1_000_000);
        setup.filings =
            vec![Filing::of("recorder", "330000").at(platform.address).path("/recorder/", "access = \"open\"")];
        change(setup);
    })
    .await;
    let successors = Successors::of(&gateway);
    (gateway, successors)
}

/// What clients saw.
#[derive(Debug, Default)]
struct Seen {
    stop: AtomicBool,
    answered: AtomicUsize,
    /// Answers that said the connection ends.
    last: AtomicUsize,
    /// Requests without a whole answer.
    lost: AtomicUsize,
}

trait Bytes: Read + Write {}
impl<T: Read + Write> Bytes for T {}

/// Asks again and again on one connection until an answer says that it ends; a request without an answer is lost.
fn asks_once_each(seen: &Seen, connect: impl Fn() -> Box<dyn Bytes>, pause: Duration) {
    let mut connection = connect();
    while !seen.stop.load(Relaxed) {
        std::thread::park_timeout(pause);
        match answer(connection.as_mut()) {
            Some(head) => {
                seen.answered.fetch_add(1, Relaxed);
                if head.contains("connection: close") {
                    seen.last.fetch_add(1, Relaxed);
                    connection = connect();
                }
            }
            None => {
                seen.lost.fetch_add(1, Relaxed);
                connection = connect();
            }
        }
    }
}

/// The head of the answer, in small letters; the recording platform's have no body.
fn answer(connection: &mut dyn Bytes) -> Option<String> {
    connection.write_all(REQUEST).ok()?;
    let (mut head, mut piece) = (Vec::new(), [0; 1024]);
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read(&mut piece) {
            Ok(read @ 1..) => head.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    head.starts_with("http/1.1 200").then_some(head)
}

fn socket(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// Some that never pause, some that do.
fn clients(seen: &Arc<Seen>, connect: impl Fn() -> Box<dyn Bytes> + Send + Copy + 'static) {
    for pause_ms in [0, 1, 3, 20, 100, 700] {
        let seen = seen.clone();
        std::thread::spawn(move || asks_once_each(&seen, connect, Duration::from_millis(pause_ms)));
    }
}

/// How many upgrades follow one another: three, or what `YIMEN_TEST_UPGRADES` says (ten take a minute).
#[allow(clippy::disallowed_methods, reason = "a test has no configuration file")]
fn upgrades() -> usize {
    std::env::var("YIMEN_TEST_UPGRADES").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

async fn upgrades_in_a_row(gateway: &Gateway, successors: &Successors, seen: &Seen) {
    for _ in 0..upgrades() {
        let old = successors.serving().unwrap();
        let answered = seen.answered.load(Relaxed);
        let (replaced, said) = successors.upgrade().await;
        assert!(replaced, "{said}\n{}", gateway.process.errors());
        let new = successors.serving().unwrap();
        assert!(new != old && said.contains(&format!("process {new} serves")), "{said}");
        until("the old process ends", Duration::from_secs(15), || async { (!runs(old)).then_some(()) }).await;
        let more = || async { (seen.answered.load(Relaxed) > answered + 50).then_some(()) };
        until("requests go on", Duration::from_secs(10), more).await;
    }
    seen.stop.store(true, Relaxed);
}

#[tokio::test]
async fn upgrades_in_a_row_lose_no_request() {
    let (gateway, successors) = gateway(true, |_| {}).await;
    let (address, seen) = (gateway.public, Arc::<Seen>::default());
    clients(&seen, move || Box::new(socket(address)));
    upgrades_in_a_row(&gateway, &successors, &seen).await;
    assert_eq!(seen.lost.load(Relaxed), 0, "{seen:?}\n{}", gateway.process.errors());
    assert!(seen.last.load(Relaxed) >= upgrades() * 5, "connections ended with an answer that said so: {seen:?}");
    gateway.metric_reaches("yimen_http_requests_total", "", 50.0).await; // the metrics listener went along
}

#[tokio::test]
async fn upgrades_in_a_row_lose_no_request_over_tls_and_http2() {
    let (gateway, successors) = gateway(false, |_| {}).await;
    let (address, seen) = (gateway.public, Arc::<Seen>::default());
    clients(&seen, move || Box::new(tls::over(socket(address), "localhost")));
    let streams = Arc::<Seen>::default();
    let over_http2: Vec<_> = (0..4).map(|_| tokio::spawn(streams_once_each(address, streams.clone()))).collect();
    upgrades_in_a_row(&gateway, &successors, &seen).await;
    streams.stop.store(true, Relaxed);
    for one in over_http2 {
        one.await.unwrap();
    }
    assert_eq!(seen.lost.load(Relaxed), 0, "{seen:?}\n{}", gateway.process.errors());
    assert_eq!(streams.lost.load(Relaxed), 0, "{streams:?}\n{}", gateway.process.errors());
    assert!(streams.answered.load(Relaxed) > 100, "{streams:?}");
}

/// HTTP/2 streams, none asked for twice.
async fn streams_once_each(address: SocketAddr, seen: Arc<Seen>) {
    let client = client().tls_danger_accept_invalid_certs(true).retry(reqwest::retry::never()).build().unwrap();
    while !seen.stop.load(Relaxed) {
        let answer = client.get(format!("https://{address}/recorder/")).send().await;
        match answer {
            Ok(answer) if answer.status() == 200 && answer.version() == reqwest::Version::HTTP_2 => {
                seen.answered.fetch_add(1, Relaxed);
            }
            other => {
                eprintln!("{other:?}");
                seen.lost.fetch_add(1, Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_successor_that_cannot_start_leaves_the_old_process_serving() {
    let (gateway, successors) = gateway(true, |_| {}).await;
    let address = gateway.public;
    let good = fs::read_to_string(&gateway.config).unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let mut connection = socket(address);
    assert!(answer(&mut connection).is_some());
    for (wrong, why) in [
        (good.replace("[limits]", "[limit]"), "limit"),
        (
            good.replace("[metrics]", &format!("[metrics]\nlisten = \"{}\" #", taken.local_addr().unwrap())),
            "before it served",
        ),
    ] {
        let wrong = if why == "limit" { wrong } else { without_second_listen(&wrong) };
        fs::write(&gateway.config, wrong).unwrap();
        let (replaced, said) = successors.upgrade().await;
        assert!(!replaced && said.contains("the old process goes on") && said.contains(why), "{said}");
        assert!(answer(&mut connection).is_some(), "after: {said}");
        assert_eq!(successors.serving(), Some(gateway.process.id()));
    }
    fs::write(&gateway.config, good).unwrap();
    let (replaced, said) = successors.upgrade().await;
    assert!(replaced, "a failed try is in nobody's way: {said}");
    assert!(answer(&mut connection).unwrap().contains("connection: close"));
}

/// The settings with only the first `listen` under `[metrics]`.
fn without_second_listen(settings: &str) -> String {
    let (before, metrics) = settings.split_once("[metrics]").unwrap();
    let mut seen = false;
    let lines = metrics.lines().filter(|line| !line.starts_with("listen") || !std::mem::replace(&mut seen, true));
    format!("{before}[metrics]{}", lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn a_signal_to_go_without_a_successor_changes_nothing() {
    let (mut gateway, successors) = gateway(true, |_| {}).await;
    let address = gateway.public;
    gateway.process.signal("QUIT");
    let told = || async { gateway.process.errors().contains("no successor waits").then_some(()) };
    until("the log says so", Duration::from_secs(10), told).await;
    assert!(answer(&mut socket(address)).is_some());
    assert!(gateway.process.ended().is_none());
    gateway.process.signal("TERM");
    until("it ends on SIGTERM", Duration::from_secs(10), || async { (!runs(gateway.process.id())).then_some(()) })
        .await;
    assert_eq!(successors.serving(), None, "the file with its id is gone");
    let (replaced, said) = successors.upgrade().await;
    assert!(!replaced && said.contains("no gateway runs"), "{said}");
}

/// What systemd would hear, in order.
struct Heard(UnixDatagram);

impl Heard {
    /// Waits for a message with this line; what came before it.
    fn until(&self, line: &str) -> Vec<String> {
        let (mut before, mut piece) = (Vec::new(), [0; 1024]);
        loop {
            let read = self.0.recv(&mut piece).unwrap_or_else(|error| panic!("no {line} after {before:?}: {error}"));
            let message = String::from_utf8_lossy(&piece[..read]).into_owned();
            if message.lines().any(|said| said == line) {
                return before;
            }
            before.push(message);
        }
    }
}

#[tokio::test]
async fn systemd_hears_of_the_start_of_life_of_a_reload_of_the_successor_and_of_the_end() {
    let mut setup = Setup::new();
    setup.set("runtime.drain_seconds", 1);
    let (folder, config) = (setup.folder.path().to_owned(), setup.write());
    let heard = Heard(UnixDatagram::bind(folder.join("notify.sock")).unwrap());
    heard.0.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = yimen();
    command.arg("serve").arg("--config").arg(&config).env("NOTIFY_SOCKET", folder.join("notify.sock"));
    command.env("WATCHDOG_USEC", "600000");
    let first = Running::start("gateway", command, &folder);
    let successors = Successors { config, serving: folder.join("data/yimen.pid"), first: first.id() };
    heard.until(&format!("MAINPID={}", first.id()));
    heard.until("WATCHDOG=1");
    first.signal("HUP");
    heard.until("RELOADING=1");
    heard.until("READY=1");
    let (replaced, said) = successors.upgrade().await;
    assert!(replaced, "{said}");
    let second = successors.serving().unwrap();
    heard.until(&format!("MAINPID={second}"));
    until("the first process ends", Duration::from_secs(10), || async { (!runs(first.id())).then_some(()) }).await;
    let before = heard.until("WATCHDOG=1"); // of the second: it has the surroundings of the first
    assert!(!before.iter().any(|message| message.contains("STOPPING")), "the service goes on: {before:?}");
    assert!(Command::new("kill").args(["-s", "TERM", &second.to_string()]).status().unwrap().success());
    heard.until("STOPPING=1");
}

/// How long WebSockets get that are open when a successor takes over.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn open_websockets_go_on_until_the_grace_ends_and_new_ones_come_to_the_successor() {
    let window = Window::with(|setup| {
        setup.plaintext();
        setup.set("runtime.drain_seconds", i64::try_from(GRACE.as_secs()).unwrap());
    })
    .await;
    let (successors, address) =
        (Successors::of(&window.gateway), format!("ws://{}/hangzhou/echo", window.gateway.public));
    let mut open = Vec::new();
    for _ in 0..3 {
        let (mut socket, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
        assert!(echoes(&mut socket, "before").await);
        open.push(socket);
    }
    let old = successors.serving().unwrap();
    let (replaced, said) = successors.upgrade().await;
    let since = Instant::now();
    assert!(replaced, "{said}");
    assert!(runs(old), "it waits for those under way");
    let (mut new, _) = tokio_tungstenite::connect_async(&address).await.unwrap();
    assert!(echoes(&mut new, "to the successor").await);

    let mut echoed = 0;
    while since.elapsed() < GRACE - Duration::from_secs(2) {
        for socket in &mut open {
            assert!(echoes(socket, "during").await, "closed after {:?} of {GRACE:?}", since.elapsed());
        }
        echoed += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(echoed > 10, "{echoed}");
    until("the old process ends", GRACE * 2, || async { (!runs(old)).then_some(()) }).await;
    assert!(since.elapsed() > GRACE - Duration::from_secs(1), "before its time: {:?}", since.elapsed());
    for socket in &mut open {
        assert!(!echoes(socket, "after").await, "the process that had it is gone");
    }
    assert!(echoes(&mut new, "after").await);
}

type WebSocket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Whether a message comes back.
async fn echoes(socket: &mut WebSocket, text: &str) -> bool {
    let asked = socket.send(Message::text(text)).await;
    asked.is_ok() && matches!(socket.next().await, Some(Ok(answer)) if answer == Message::text(text))
}
