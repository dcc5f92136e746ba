//! Who answers an address, timed on the whole sample register: 1,250,174 routes by item and 100,000 by path.
//! Prints build time, memory for each route, the time to change one filing and the time to load the same register from
//! TOML filings, then times look-ups of random addresses (budget of DESIGN section 9: 300 ns, 100 bytes a route).
//! Run: `cargo bench --bench look_up`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot be set up ends")]

#[path = "../src/allocator.rs"]
mod allocator;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use yimen::domain::{DivisionCode, ItemCode, Level, Timestamp};
use yimen::registry::{load, sample};
use yimen::routing::{Access, Answer, Divisions, Items, Matches, PathKind, Platform, PlatformState, RouteTable};

/// The allocator of the served program: where platforms lie in memory is most of what a random look-up costs.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

const HOST: &str = "zwfw.example.gov";
const ADDRESSES: usize = 100_000; // most of the table is touched, and caches behave as in service
const PATHS: usize = 100_000;

fn main() {
    let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
    let loaded = load(&routes, &hosts(), Timestamp::now()).expect("the routes directory loads");
    let (divisions, items) = (loaded.divisions, loaded.items);
    let table = built(&divisions, &items);
    changed(&table);
    let mut criterion = Criterion::default().configure_from_args().sample_size(30);
    let kinds = [
        ("direct", direct(&table), found as Look),
        ("direct_and_read", direct(&table), found_and_read),
        ("climb", climbing(&table), found),
        ("village", villages(&table), found),
        ("miss", missing(&table), found),
        ("path", paths(), found),
    ];
    for (kind, addresses, look) in kinds {
        let mut next = addresses.iter().cycle();
        criterion.bench_function(&format!("look_up/{kind}"), |bencher| {
            bencher.iter_custom(|rounds| {
                let started = cpu_time();
                for _ in 0..rounds {
                    let path = next.next().map_or("", String::as_str);
                    black_box(look(black_box(&table), path));
                }
                cpu_time().saturating_sub(started)
            });
        });
    }
    criterion.final_summary();
    if std::env::args().any(|argument| argument == "--bench") {
        loaded_from_filings(&routes);
    }
}

type Look = fn(&RouteTable, &str) -> bool;

fn found(table: &RouteTable, path: &str) -> bool {
    matches!(table.find(black_box(HOST), path), Answer::Route(_))
}

/// Reads of the platform and the route what the gateway asks next: that comes from memory too.
fn found_and_read(table: &RouteTable, path: &str) -> bool {
    let Answer::Route(found) = table.find(black_box(HOST), path) else { return false };
    found.platform.state == PlatformState::Active && found.route.access == Access::Open
}

fn hosts() -> Vec<String> {
    vec![HOST.to_owned()]
}

fn built(divisions: &Arc<Divisions>, items: &Arc<Items>) -> RouteTable {
    let before = resident_bytes();
    let mut platforms = sample::platforms(usize::MAX, divisions, items);
    file_paths(&mut platforms);
    let filings = platforms.len();
    let started = Instant::now();
    let compiled = RouteTable::compile(Arc::clone(divisions), Arc::clone(items), &hosts(), platforms);
    let took = started.elapsed();
    assert_eq!(compiled.refused, []);
    let routes = compiled.table.item_routes() + compiled.table.path_routes();
    let bytes = resident_bytes().saturating_sub(before);
    println!("build: {routes} routes of {filings} filings in {took:.2?}, {} bytes a route", bytes / routes);
    compiled.table
}

/// Gives paths to the first platforms: 100 each.
fn file_paths(platforms: &mut [Platform]) {
    for (platform, number) in platforms.iter_mut().take(PATHS / 100).zip(0..) {
        let Some(pattern) = platform.routes.first().cloned() else { continue };
        let path = |page| Matches::Path { host: None, path: path_of(number, page).into(), kind: PathKind::Prefix };
        let paths = (0..100).map(|page| {
            let mut route = pattern.clone();
            route.matches = path(page);
            route
        });
        platform.routes = platform.routes.iter().cloned().chain(paths).collect();
    }
}

fn path_of(platform: usize, page: usize) -> String {
    format!("/platform-{platform}/page-{page}")
}

fn changed(table: &RouteTable) {
    let platform = table.platform("hall-330106005").expect("the sample has this hall");
    let started = Instant::now();
    let next = table.with(Platform::clone(platform)).expect("the change is good");
    println!("change of one filing ({} routes): {:.2?}", next.item_routes(), started.elapsed());
}

/// `ADDRESSES` picks from divisions × items, spread by a fixed stride so that every run asks the same.
fn addresses(table: &RouteTable, fits: impl Fn(Level, ItemCode) -> bool, tail: &str) -> Vec<String> {
    let rows: Vec<(DivisionCode, Level)> = table.divisions().iter().map(|row| (row.code, row.level)).collect();
    let codes: Vec<ItemCode> = table.items().iter().map(|item| item.code).collect();
    let pick = |turn: usize| {
        let (division, level) = *rows.get(turn * 7919 % rows.len())?;
        let item = *codes.get(turn * 31 % codes.len())?;
        fits(level, item).then(|| format!("/s/{division}{tail}/{item}/apply/step-1"))
    };
    (0..).filter_map(pick).take(ADDRESSES).collect()
}

fn handled(table: &RouteTable, level: Level, item: ItemCode) -> bool {
    table.items().find(item).is_some_and(|item| item.levels.contains(level))
}

fn direct(table: &RouteTable) -> Vec<String> {
    addresses(table, |level, item| handled(table, level, item), "")
}

fn climbing(table: &RouteTable) -> Vec<String> {
    let above = |level, item| Level::ALL.into_iter().any(|other| other < level && handled(table, other, item));
    addresses(table, |level, item| !handled(table, level, item) && above(level, item), "")
}

fn villages(table: &RouteTable) -> Vec<String> {
    addresses(table, |level, _| level == Level::Street, "201")
}

fn missing(table: &RouteTable) -> Vec<String> {
    let above = |level, item| Level::ALL.into_iter().any(|other| other <= level && handled(table, other, item));
    addresses(table, |level, item| !above(level, item), "")
}

fn paths() -> Vec<String> {
    let path = |turn: usize| format!("{}/form/3", path_of(turn * 7919 % (PATHS / 100), turn * 31 % 100));
    (0..ADDRESSES).map(path).collect()
}

fn loaded_from_filings(routes: &Path) {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sample-register");
    let started = Instant::now();
    let written = sample::write(usize::MAX, routes, &out).expect("the sample register is written");
    println!("written: {} filings, {} routes in {:.2?}", written.filings, written.routes, started.elapsed());
    let started = Instant::now();
    let loaded = load(&out, &hosts(), Timestamp::now()).expect("the sample register loads");
    println!(
        "loaded from TOML: {} routes in {:.2?}, of it compiling {:.2?}",
        loaded.table.item_routes(),
        started.elapsed(),
        loaded.build
    );
    fs::remove_dir_all(&out).expect("the sample register is removed");
}

/// CPU time of this thread: unlike the clock it does not count what other programs do on the same cores.
fn cpu_time() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(schedstat.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0))
}

/// Memory of this process that is in RAM; 0 where there is no /proc.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
