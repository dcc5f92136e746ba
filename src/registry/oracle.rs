//! The table of the whole sample register against a brute-force oracle that knows nothing of its structure.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::load::data;
use super::sample;
use crate::domain::{DivisionCode, ItemCode};
use crate::routing::{Answer, Covers, Divisions, Items, Matches, NoRoute, Platform, RouteTable};

const HOST: &str = "zwfw.example.gov";
const ALL_ROUTES: usize = 1_250_174; // computed from the data by hand, apart from this program

/// Traps: cities without counties, counties right under a province, municipalities, groups, islands, villages, and
/// codes that do not exist.
const TRAPS: [&str; 29] = [
    "350527",
    "350527000",
    "350527000001",
    "330106000",
    "330106005000",
    "441900",
    "441900003",
    "441900999",
    "441900003001",
    "442000",
    "442000001",
    "460400",
    "460400100",
    "429004",
    "429004001",
    "429000",
    "110000",
    "110100",
    "110101",
    "110101001",
    "110101001001",
    "500200",
    "460321",
    "460321451",
    "460300",
    "100000",
    "710000",
    "330199",
    "999999",
];

struct World {
    table: RouteTable,
    holders: HashMap<(ItemCode, u64), (String, Covers)>,
    parents: HashMap<u64, u64>,
    codes: Vec<String>,
    items: Vec<ItemCode>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
    let (divisions, items) = data(&routes).unwrap();
    let platforms = with_gaps(sample::platforms(usize::MAX, &divisions, &items));
    let holders = holders(&platforms);
    let compiled = RouteTable::compile(divisions, Arc::clone(&items), &[HOST.to_owned()], platforms);
    assert_eq!(compiled.refused, []);
    assert_eq!(compiled.table.item_routes(), ALL_ROUTES);
    let parents = parents(&routes);
    let codes = parents.keys().map(u64::to_string).collect();
    World { table: compiled.table, holders, parents, codes, items: items.iter().map(|item| item.code).collect() }
});

/// Every fifth platform answers for its own division only, so that climbs go further than one step.
fn with_gaps(mut platforms: Vec<Platform>) -> Vec<Platform> {
    for platform in platforms.iter_mut().step_by(5) {
        for route in Arc::make_mut(&mut platform.routes) {
            if let Matches::Items { covers, .. } = &mut route.matches {
                *covers = Covers::Own;
            }
        }
    }
    platforms
}

fn holders(platforms: &[Platform]) -> HashMap<(ItemCode, u64), (String, Covers)> {
    let mut holders = HashMap::new();
    for platform in platforms {
        for route in platform.routes.iter() {
            let Matches::Items { codes, divisions, covers } = &route.matches else { continue };
            for code in codes {
                for division in divisions {
                    holders.insert((*code, division.number()), (platform.id.to_string(), *covers));
                }
            }
        }
    }
    holders
}

/// Parent of every code, read from the files on a way of its own.
fn parents(routes: &Path) -> HashMap<u64, u64> {
    let mut parents = HashMap::from([(100_000, 0)]);
    let streets = GzDecoder::new(File::open(routes.join("streets.csv.gz")).unwrap());
    let divisions = File::open(routes.join("divisions.csv")).unwrap();
    let mut add = |reader: Box<dyn std::io::Read>| {
        for row in csv::Reader::from_reader(reader).records() {
            let row = row.unwrap();
            parents.insert(row[0].parse().unwrap(), row[3].parse().unwrap_or(100_000));
        }
    };
    add(Box::new(divisions));
    add(Box::new(streets));
    parents
}

/// Who answers, by walking up one code at a time.
fn oracle(world: &World, division: &str, item: ItemCode) -> Result<String, &'static str> {
    let asked: u64 = division.parse().unwrap();
    let mut code = asked;
    while !world.parents.contains_key(&code) {
        if code < 1_000_000 {
            return Err("no such division");
        }
        code /= 1000;
    }
    while code != 0 {
        match world.holders.get(&(item, code)) {
            Some((platform, covers)) if *covers == Covers::Subtree || code == asked => return Ok(platform.clone()),
            _ => code = world.parents[&code],
        }
    }
    Err("not handled")
}

fn table(world: &World, division: &str, item: ItemCode) -> Result<String, &'static str> {
    match world.table.find(HOST, &format!("/s/{division}/{item}/apply")) {
        Answer::Route(found) => Ok(found.platform.id.to_string()),
        Answer::NoRoute(NoRoute::UnknownDivision) => Err("no such division"),
        Answer::NoRoute(NoRoute::NotHandled { .. }) => Err("not handled"),
        other => panic!("{division} {item}: {other:?}"),
    }
}

/// Divisions: known ones, their villages and unknown streets, traps, and any number of the right length.
fn division() -> impl Strategy<Value = String> {
    let known = (0..WORLD.codes.len()).prop_map(|at| WORLD.codes[at].clone());
    let below = (0..WORLD.codes.len(), 0..1000_u32).prop_map(|(at, last)| format!("{}{last:03}", WORLD.codes[at]));
    let trap = (0..TRAPS.len()).prop_map(|at| TRAPS[at].to_owned());
    let any = (100_000..1_000_000_u32).prop_map(|code| code.to_string());
    prop_oneof![5 => known, 2 => below, 2 => trap, 1 => any]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_address_of_the_whole_register_is_answered_as_the_oracle_says(division in division(), item in 0..72_usize) {
        let item = WORLD.items[item];
        prop_assert_eq!(table(&WORLD, &division, item), oracle(&WORLD, &division, item), "{} {}", division, item);
    }
}

#[test]
fn traps_are_answered_as_the_oracle_says_for_every_item() {
    for division in TRAPS {
        for item in &WORLD.items {
            assert_eq!(table(&WORLD, division, *item), oracle(&WORLD, division, *item), "{division} {item}");
        }
    }
}

#[test]
fn changing_one_filing_gives_the_table_that_compiling_all_would_give() {
    let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("routes");
    let (divisions, items): (Arc<Divisions>, Arc<Items>) = data(&routes).unwrap();
    let before = sample::platforms(20_000, &divisions, &items);
    let compile = |platforms| {
        RouteTable::compile(Arc::clone(&divisions), Arc::clone(&items), &[HOST.to_owned()], platforms).table
    };
    let after = with_gaps(before.clone());
    let mut changed = compile(before.clone());
    for platform in after.iter().step_by(5) {
        changed = changed.with(platform.clone()).unwrap();
    }
    let gone = &after[7].id;
    changed = changed.without(gone);
    let fresh = compile(after.iter().filter(|platform| platform.id != *gone).cloned().collect());
    assert_eq!(changed.item_routes(), fresh.item_routes());
    let division = |at: usize| divisions.iter().nth(at).map(|division| division.code);
    for code in (0..divisions.len()).step_by(11).filter_map(division).chain([DivisionCode::NATION]) {
        for item in items.iter() {
            let path = format!("/s/{code}/{}", item.code);
            let answer = |table: &RouteTable| match table.find(HOST, &path) {
                Answer::Route(found) => Some((found.platform.id.clone(), found.route_index, found.level)),
                _ => None,
            };
            assert_eq!(answer(&changed), answer(&fresh), "{path}");
        }
    }
}
