//! Two nodes on one PostgreSQL and one Redis: what is decided is served by both within a second, and by both still when the
//! stores are gone; a write cut off at any moment leaves the old or the new, never half of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::citizen::Citizen;
use crate::support::filing::Filing;
use crate::support::gateway::{Gateway, Setup};
use crate::support::platform::RecordingPlatform;
use crate::support::postgres::Postgres;
use crate::support::redis::Redis;
use crate::support::register::{HANGZHOU, Office, SHANGHAI, ZHEJIANG, by, bytes, code, document, id, operator, owner};
use crate::support::until;

const PENSION: &str = "002099006000";
const NOTARY: &str = "002099029000";
const AT_XIHU: &str = "/s/330106/002099006000/";
const ALWAYS: &str = "/s/330106/002099029000/";
/// What is decided is in force everywhere.
const EVERYWHERE: Duration = Duration::from_secs(1);

fn node(name: &str, postgres: &Postgres, redis: &Redis) -> Setup {
    let mut setup = Setup::new();
    setup.set("stores.register", postgres.url());
    setup.set("stores.sessions", redis.config().url);
    setup.set("register.node", name);
    setup
}

/// Somebody who asks one address without a pause; a failure is whatever is no 200.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn on(gateway: &Gateway, path: &'static str) -> Self {
        let citizen = Citizen::of(gateway);
        let (stop, asked, failed) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (stopping, counted, wrong) = (stop.clone(), asked.clone(), failed.clone());
        let task = tokio::spawn(async move {
            while !stopping.load(Ordering::Relaxed) {
                let answer = citizen.get(path).await;
                counted.fetch_add(1, Ordering::Relaxed);
                if answer.status != 200 {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { stop, asked, failed, task }
    }

    async fn ends_without_a_failure(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        assert_eq!(self.failed.load(Ordering::Relaxed), 0, "of {asked} requests");
        asked
    }
}

/// Waits until both nodes answer so, and says how long it took.
async fn both_answer(nodes: [&Gateway; 2], path: &str, status: u16, part: &str) -> Duration {
    let started = Instant::now();
    for node in nodes {
        let citizen = Citizen::of(node);
        let answers = || async {
            let answer = citizen.get(path).await;
            (answer.status == status && answer.body.contains(part)).then_some(())
        };
        until(&format!("{path} is answered {status}"), Duration::from_secs(10), answers).await;
    }
    started.elapsed()
}

fn at(platform: &RecordingPlatform, id: &str, division: &str, item: &str) -> Value {
    let mut document = document(id, division, item);
    document["upstream"] = json!([{ "address": platform.address.to_string() }]);
    document
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_is_in_force_on_both_nodes_and_stays_so_without_the_stores() {
    let (mut postgres, mut redis) = (Postgres::start(), Redis::start());
    let platform = RecordingPlatform::start();
    let (first, second) =
        (node("node-1", &postgres, &redis).start().await, node("node-2", &postgres, &redis).start().await);
    let nodes = [&first, &second];
    let office = Office::with_word(postgres.config(), &redis).await;
    let register = &office.register;
    office.filed(&at(&platform, "always-there", ZHEJIANG, NOTARY)).await;
    both_answer(nodes, ALWAYS, 200, "").await;
    let load = [Load::on(&first, ALWAYS), Load::on(&second, ALWAYS)];

    // Hangzhou's platform files itself, Hangzhou's operator hands it in, Zhejiang's approves.
    let (hall, hangzhou) = (id("hangzhou-hall"), operator("hangzhou.operator", HANGZHOU));
    let filing = bytes(&at(&platform, "hangzhou-hall", HANGZHOU, PENSION));
    register.put(&by(&owner("hangzhou-hall", HANGZHOU)), &hall, &filing).await.unwrap();
    register.submit(&by(&hangzhou), &hall).await.unwrap();
    assert_eq!(code(register.approve(&by(&hangzhou), &hall).await), "self-review");
    assert_eq!(code(register.approve(&by(&operator("shanghai.operator", SHANGHAI)), &hall).await), "not-found");
    let approved = register.approve(&by(&operator("zhejiang.operator", ZHEJIANG)), &hall).await.unwrap();
    let took = both_answer(nodes, AT_XIHU, 200, "").await;
    println!("approved: on both nodes after {took:?}");
    assert!(took < EVERYWHERE, "{took:?}");

    register.suspend(&by(&hangzhou), &hall, "系统维护，周一恢复").await.unwrap();
    let took = both_answer(nodes, AT_XIHU, 503, "系统维护，周一恢复").await;
    println!("suspended: on both nodes after {took:?}");
    assert!(took < EVERYWHERE, "{took:?}");
    register.rollback(&by(&hangzhou), &hall, approved.filing.summary.version).await.unwrap();
    let took = both_answer(nodes, AT_XIHU, 200, "").await;
    println!("rolled back: on both nodes after {took:?}");
    assert!(took < EVERYWHERE, "{took:?}");

    let nation = operator("nation.operator", "100000");
    let reported = || async {
        let told = register.nodes(&nation).await.unwrap();
        let current = told.nodes.iter().filter(|node| node.revision == told.revision && node.standing == "current");
        (current.count() == 2).then_some(())
    };
    until("both nodes report the revision", Duration::from_secs(10), reported).await;
    for load in load {
        println!("under load: {} requests, none failed", load.ends_without_a_failure().await);
    }

    // Both stores are gone: both nodes go on, and a third starts from its copy.
    postgres.stop();
    redis.stop();
    for node in nodes {
        node.metric_falls("yimen_register_up", 0.0).await;
        let ready = crate::support::client().build().unwrap().get(format!("http://{}/ready", node.metrics));
        let ready = ready.send().await.unwrap();
        assert_eq!(ready.status(), 200);
        assert!(ready.text().await.unwrap().contains("\"register\""));
    }
    both_answer(nodes, AT_XIHU, 200, "").await;
    let refused = register.suspend(&by(&hangzhou), &hall, "n").await;
    assert_eq!(code(refused), "register-away");
    let third = node("node-3", &postgres, &redis);
    let copy = first.folder.path().join("data/register.copy");
    std::fs::copy(copy, third.folder.path().join("data/register.copy")).unwrap();
    let third = third.start().await;
    both_answer([&third, &second], AT_XIHU, 200, "").await;
    postgres.restart();
    for node in [&first, &second, &third] {
        node.metric_reaches("yimen_register_up", "", 1.0).await;
    }
    register.suspend(&by(&hangzhou), &hall, "again").await.unwrap();
    both_answer([&third, &second], AT_XIHU, 503, "again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_killed_at_any_moment_of_a_write_leaves_the_old_or_the_new() {
    let postgres = Postgres::start();
    let mut setup = Setup::new();
    setup.set("stores.register", postgres.url());
    let platform = RecordingPlatform::start();
    let write = |folder: &std::path::Path, round: usize| {
        // One write of many filings: all of them are of one round, or none is.
        for number in 0..10 {
            let name = format!("hall-{number}");
            let filing =
                Filing::of(&name, HANGZHOU).at(platform.address).path(&format!("/{name}/"), "access = \"open\"");
            filing.write(folder);
            let path = folder.join(format!("{name}.toml"));
            let text = std::fs::read_to_string(&path).unwrap().replace("answers tests", &format!("round {round}"));
            std::fs::write(path, text).unwrap();
        }
    };
    let folder = setup.folder.path().join("routes/platforms");
    write(&folder, 0);
    let mut gateway = setup.start().await;
    let (mut taken, mut random) = (0, 7_u64);
    for round in 1..=50 {
        write(&folder, round);
        gateway.process.signal("HUP");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_micros(random >> 33 & 0xffff)).await; // up to 65 ms: reading, writing, publishing
        gateway.process.signal("KILL");
        gateway = gateway.restarted().await;
        let rounds = postgres.ask(
            "SELECT DISTINCT (v.document::json)->'platform'->>'function' FROM filing f JOIN filing_version v \
             ON v.platform_id = f.platform_id AND v.version = f.in_force",
        );
        let stands: usize = rounds.strip_prefix("round ").and_then(|number| number.parse().ok()).unwrap_or_else(|| {
            panic!("round {round}: {rounds:?} are in force together");
        });
        taken += usize::from(stands == round);
        let broken = postgres.ask(
            "SELECT count(*) FROM filing f WHERE f.version <> (SELECT max(v.version) FROM filing_version v WHERE \
             v.platform_id = f.platform_id) OR NOT EXISTS (SELECT 1 FROM filing_version v WHERE v.platform_id = f.platform_id \
             AND v.version = f.in_force AND v.document IS NOT NULL) OR EXISTS (SELECT 1 FROM filing_version v, filing_version w \
             WHERE v.platform_id = f.platform_id AND w.platform_id = f.platform_id AND w.version = v.version + 1 \
             AND w.before_hash <> v.after_hash)",
        );
        assert_eq!(broken, "0", "round {round}");
        let unrecorded = postgres.ask(
            "SELECT r.sequence - (SELECT count(*) FROM record), r.revision - (SELECT max(revision) FROM filing) FROM register r",
        );
        assert_eq!(unrecorded, "0|0", "round {round}");
        let served = Citizen::of(&gateway).get("/hall-9/").await;
        assert_eq!(served.status, 200, "round {round}");
    }
    println!("of 50 writes that were cut off, {taken} had been made");
}
