//! A hostile script on one platform's page, in a real browser, on the hosts where it is hardest: portal and platforms are of one
//! site, so that `SameSite` keeps no cookie back. It tries to read and to act at another platform, at the portal and at the
//! account page; every way is tried, and none has an effect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::traveller::{DOMAIN, own_origins};
use crate::support::window::ZHANG;

const PORTAL: &str = "portal.example.localhost";
const SECRET: &str = "the secret of bravo";

/// A platform that shows one page, sets one cookie, and remembers the heads of all requests.
struct Platform {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Platform {
    fn start(text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let platform = Self { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = platform.heads.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heads = heads.clone();
                thread::spawn(move || serve(stream, text, &heads));
            }
        });
        platform
    }

    /// Requests that the gateway let through to it, by the beginning of their first line.
    fn asked(&self, start: &str) -> Vec<String> {
        self.heads.lock().unwrap().iter().filter(|head| head.starts_with(start)).cloned().collect()
    }
}

fn serve(mut stream: TcpStream, text: &str, heads: &Mutex<Vec<String>>) {
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        received.extend_from_slice(&piece[..read]);
        while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received.drain(..end + 4).collect::<Vec<u8>>()).into_owned();
            let kind = if head.contains(".js ") { "text/javascript" } else { "text/html" };
            let body = if kind == "text/html" { format!("<h1 id=here>{text}</h1>") } else { "/* worker */".to_owned() };
            heads.lock().unwrap().push(head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nService-Worker-Allowed: /\r\n\
                 Set-Cookie: __Host-sid=kept; Path=/; Secure; HttpOnly\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

struct Stage {
    gateway: Gateway,
    alpha: Platform,
    bravo: Platform,
    browser: Browser,
}

impl Stage {
    /// Somebody is signed in at the portal, at hostile alpha and at bravo, and looks at alpha's page.
    async fn open() -> Self {
        let (alpha, bravo) = (Platform::start("hostile"), Platform::start(SECRET));
        let gateway = Gateway::with(|setup| {
            own_origins(setup);
            setup.set("public.origin", format!("https://{PORTAL}:{}", setup.public.port()));
            setup.set("public.hosts", [PORTAL, "127.0.0.1"].into_iter().collect::<toml_edit::Array>());
            setup.filings = vec![
                Filing::of("alpha", "330100").untrusted().at(alpha.address).path("/alpha/", "access = \"required\""),
                Filing::of("bravo", "330100")
                    .untrusted()
                    .at(bravo.address)
                    .path("/bravo/", "access = \"required\"")
                    .path("/bravo/open/", "access = \"optional\""),
            ];
        })
        .await;
        gateway.add_account(ZHANG.0, ZHANG.1, "L3");
        let stage = Self { gateway, alpha, bravo, browser: Browser::open().await };
        stage.browser.visit(&stage.at_portal("/bravo/")).await;
        stage.browser.arrives_at("/sign-in").await;
        stage.browser.write("input[name=login]", ZHANG.0).await;
        stage.browser.write("input[name=password]", ZHANG.1).await;
        stage.browser.enter("input[name=password]").await;
        stage.browser.element_with_text("#here", SECRET).await;
        stage.back_to_alpha().await;
        stage
    }

    async fn back_to_alpha(&self) {
        self.browser.visit(&self.at("alpha", "/alpha/")).await;
        self.browser.element_with_text("#here", "hostile").await;
    }

    fn at_portal(&self, path: &str) -> String {
        format!("https://{PORTAL}:{}{path}", self.gateway.public.port())
    }

    fn at(&self, platform: &str, path: &str) -> String {
        format!("https://{platform}.{DOMAIN}:{}{path}", self.gateway.public.port())
    }

    /// Everything a script could want: pages of the portal and of bravo.
    fn targets(&self) -> Value {
        let portal = ["/", "/account", "/sign-out", "/handover"].map(|path| self.at_portal(path));
        let bravo = ["/bravo/", "/bravo/open/"].map(|path| self.at("bravo", path));
        portal.into_iter().chain(bravo).collect()
    }

    /// What the script in alpha's page tells of its tries, one line each.
    async fn tries(&self, script: &str, arguments: Value) -> Vec<String> {
        let told = self.browser.run(&format!("{KIT}{script}"), vec![arguments]).await;
        told.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// The person is signed in as before, at bravo and at the portal.
    async fn nothing_has_changed(&self) {
        self.browser.visit(&self.at_portal("/account")).await;
        assert!(self.browser.has("form[action='/sign-out']").await, "signed out at the portal");
        let before = self.bravo.asked("GET /bravo/ ").len();
        self.browser.visit(&self.at("bravo", "/bravo/")).await;
        self.browser.element_with_text("#here", SECRET).await;
        let heads = self.bravo.asked("GET /bravo/ ");
        let last = heads.last().unwrap();
        assert_eq!(heads.len(), before + 1);
        assert!(last.contains("yimen-assertion: ") && last.contains("__Host-sid=kept"), "{last}");
    }
}

/// `settle(promise)`: what came of it within three seconds. The last argument of a script is where its answer goes.
const KIT: &str = "
const [given, done] = arguments;
const late = new Promise(resolve => setTimeout(() => resolve('nothing'), 3000));
const settle = (name, promise) =>
    Promise.race([promise, late]).then(got => `${name}: got ${got}`, fault => `${name}: ${fault.name}`);
const loaded = element => new Promise(resolve => element.addEventListener('load', () => resolve('a load')));
const all = tries => Promise.all(tries).then(done, fault => done([`the script failed: ${fault}`]));
";

#[tokio::test]
async fn it_reads_nothing_of_the_portal_or_of_another_platform() {
    let stage = Stage::open().await;
    let told = stage
        .tries(
            "all(given.flatMap(url => [
                settle('fetch', fetch(url, { credentials: 'include' }).then(answer => answer.text())),
                settle('window', (async () => {
                    const other = window.open(url);
                    for (let turn = 0; turn < 20; turn++) {
                        await new Promise(resolve => setTimeout(resolve, 50));
                        try { if (other.location.href !== 'about:blank') return other.document.body.innerText; }
                        catch (fault) { other.close(); throw fault; }
                    }
                    throw new DOMException('', 'Severed');
                })()),
                settle('frame', (async () => {
                    const frame = document.createElement('iframe');
                    frame.src = url;
                    document.body.append(frame);
                    await loaded(frame);
                    return frame.contentWindow.document.body.innerText;
                })()),
                settle('script', new Promise((resolve, reject) => {
                    const script = document.createElement('script');
                    script.src = url;
                    script.onerror = () => reject(new DOMException('', 'NotRun'));
                    script.onload = () => resolve('it ran');
                    document.body.append(script);
                })),
            ]))",
            stage.targets(),
        )
        .await;
    assert_eq!(told.len(), 24, "{told:#?}");
    let faults = ["TypeError", "SecurityError", "Severed", "NotRun"];
    assert!(told.iter().all(|line| faults.iter().any(|fault| line.ends_with(fault))), "{told:#?}");
    // What came to bravo by all that: visits in windows of their own, and what brings nobody's name.
    for head in stage.bravo.asked("GET ") {
        let is_visit = head.contains("sec-fetch-dest: document");
        assert!(is_visit || !head.contains("yimen-assertion: ") && !head.contains("__Host-sid"), "{head}");
    }
    stage.nothing_has_changed().await;
}

#[tokio::test]
async fn it_acts_nowhere_in_a_persons_name() {
    let stage = Stage::open().await;
    let told = stage
        .tries(
            "all(given.map(async url => {
                const send = mode => fetch(url, { method: 'POST', mode, credentials: 'include', body: 'a=b' });
                const blind = await settle('blind', send('no-cors').then(answer => answer.type));
                const asked = await settle('cors', send('cors').then(answer => answer.text()));
                const frame = Object.assign(document.createElement('iframe'), { name: url });
                const form = Object.assign(document.createElement('form'), { method: 'post', action: url, target: url });
                document.body.append(frame, form);
                form.submit();
                const posted = await settle('form', loaded(frame));
                return [blind, asked, posted].join(', ');
            }))",
            json!([
                stage.at_portal("/sign-out"),
                stage.at_portal("/account/sessions/end"),
                stage.at("bravo", "/bravo/act"),
                stage.at("bravo", "/bravo/open/act")
            ]),
        )
        .await;
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(told.iter().all(|line| line.starts_with("blind: got opaque, cors: TypeError, form: ")), "{told:#?}");
    for (target, ends) in [
        (stage.at_portal("/sign-out"), "/sign-out"),
        (stage.at_portal("/account/sessions/end"), "/sessions/end"),
        (stage.at("bravo", "/bravo/act"), "/bravo/act"),
        (stage.at("bravo", "/bravo/open/act"), "/open/act"),
    ] {
        stage.back_to_alpha().await;
        let form = "const form = Object.assign(document.createElement('form'), { method: 'post', action: given });
            document.body.append(form); form.submit(); done([])";
        stage.tries(form, json!(target)).await;
        stage.browser.arrives_at(ends).await;
    }
    assert_eq!(stage.bravo.asked("POST /bravo/act"), [] as [String; 0]);
    let nameless = stage.bravo.asked("POST /bravo/open/act");
    assert!(!nameless.is_empty(), "an open door takes what nobody sends, or the test sends nothing");
    for head in nameless {
        assert!(!head.contains("yimen-assertion: ") && !head.contains("cookie: "), "{head}");
    }
    stage.nothing_has_changed().await;
}

#[tokio::test]
async fn it_plants_no_worker_and_no_cookie_where_others_answer() {
    let stage = Stage::open().await;
    let mut scopes = vec![
        json!([stage.at("bravo", "/bravo/sw.js"), stage.at("bravo", "/")]),
        json!([stage.at_portal("/sw.js"), stage.at_portal("/")]),
        json!(["/alpha/sw.js", stage.at("bravo", "/")]),
        json!(["/alpha/sw.js", stage.at_portal("/")]),
        json!(["/alpha/sw.js", "/"]), // where tickets pass
    ];
    let told = stage
        .tries(
            "all(given.map(([script, scope]) =>
                settle('worker', navigator.serviceWorker.register(script, { scope }).then(made => made.scope))))",
            Value::from(std::mem::take(&mut scopes)),
        )
        .await;
    assert!(told.len() == 5 && told.iter().all(|line| line == "worker: SecurityError"), "{told:#?}");

    let told = stage
        .tries(
            "const names = ['__Host-yimen', '__Host-yimen-nonce', '__Host-yimen-region', '__Host-sid', 'tossed'];
            const above = ['example.localhost', 'services.example.localhost', 'portal.example.localhost',
                'bravo.services.example.localhost'];
            for (const name of names) for (const domain of above) {
                document.cookie = `${name}=evil; Domain=${domain}; Path=/; Secure`;
                document.cookie = `${name}=evil; Domain=${domain}; Path=/account; Secure`;
                if (name !== 'tossed') document.cookie = `=${name}=evil; Domain=${domain}; Path=/; Secure`;
            }
            done(document.cookie.split('; '))",
            Value::Null,
        )
        .await;
    // A plain name can be tossed over the whole site: that is what `__Host-` is for.
    assert!(!told.is_empty() && told.iter().all(|cookie| cookie == "tossed=evil"), "{told:#?}");
    stage.nothing_has_changed().await;
    let last = stage.bravo.asked("GET /bravo/ ").pop().unwrap();
    assert!(last.contains("tossed=evil") && !last.contains("__Host-sid=evil"), "{last}");
    assert!(!stage.alpha.asked("GET /alpha/ ").is_empty());
}
