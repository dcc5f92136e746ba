//! The register with the whole sample: 1,250,174 routes of some sixty thousand filings in an SQLite file.
//! Prints how long files take to become the register's first content, how long a node takes to start from the register and from
//! its copy (budget of DESIGN section 9: 3 s and 1.5 s), and how long one approval takes until this node serves it (50 ms).
//! Run: `cargo bench --bench register`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot be set up ends"
)]

#[path = "../src/allocator.rs"]
mod allocator;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use yimen::config::RegisterStoreConfig;
use yimen::domain::{Actor, Credential, DivisionCode, Lineage, Link, PlatformId, Role, Timestamp};
use yimen::metrics::Metrics;
use yimen::registry::{AddressPolicy, Expected, Register, RegisterParts, Rules, Write, sample};
use yimen::store::{Durable, RegisterNotices};

/// The allocator of the served program.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

const CHANGES: usize = 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(timed());
}

async fn timed() {
    let folder = tempfile::tempdir().unwrap();
    let routes = folder.path().join("routes");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
    let written = sample::write(2_000_000, &from, &routes).unwrap();
    println!("{} filings, {} routes", written.filings, written.routes);
    let register = opened("files into an empty register, and the table", folder.path()).await;
    changed(&register).await;
    drop(register);
    drop(opened("a start from the copy", folder.path()).await);
    fs::remove_file(folder.path().join("register.copy")).unwrap();
    drop(opened("a start from the register", folder.path()).await);
}

async fn opened(what: &str, folder: &Path) -> Arc<Register> {
    let routes = folder.join("routes");
    let rules = Rules::read(&routes, vec!["zwfw.example.gov".to_owned()], None, AddressPolicy::everything()).unwrap();
    let store = RegisterStoreConfig::Sqlite(folder.join("register.db"));
    let parts = RegisterParts {
        durable: Arc::new(Durable::of(&store).await.unwrap()),
        rules,
        routes_directory: routes,
        sync_at_start: false,
        data_directory: folder.to_owned(),
        notices: RegisterNotices::none(),
        node: "bench".to_owned(),
        metrics: Arc::new(Metrics::new().unwrap()),
    };
    let started = Instant::now();
    let (register, _) = Register::open(parts, Timestamp::now()).await.unwrap();
    let table = register.routes().snapshot();
    println!("{what}: {:.2} s, {} routes", started.elapsed().as_secs_f64(), table.item_routes());
    register
}

/// Suspends and resumes one filing of the nation, which has the most routes, again and again.
async fn changed(register: &Register) {
    let (principal, division, credential) = ("bench".parse().unwrap(), DivisionCode::NATION, Credential::Machine);
    let lineage = Lineage::root(Link { principal, division, credential, certified: false });
    let actor = Actor::of(lineage, Role::Operator, None);
    let id: PlatformId = register.routes().snapshot().platforms().nth(1).unwrap().1.id.clone();
    let mut took = Vec::new();
    for round in 0..CHANGES {
        let write =
            Write { actor: &actor, request_id: "", now: Timestamp::now(), expected: Expected::Any, dry_run: false };
        let started = Instant::now();
        if round % 2 == 0 {
            register.suspend(&write, &id, "bench").await.unwrap();
        } else {
            register.resume(&write, &id).await.unwrap();
        }
        took.push(started.elapsed());
    }
    took.sort();
    println!("one filing changed, written and served: median {:?}, longest {:?}", took[CHANGES / 2], took[CHANGES - 1]);
}
