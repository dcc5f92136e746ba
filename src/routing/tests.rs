//! What the table answers, on the real divisions and items.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;

use super::*;
use crate::domain::{DivisionCode, ItemCode, Level};

const PORTAL: &str = "zwfw.example.gov";
const CITY_ITEM: &str = "002099039000"; // 12345 hotline: cities and counties

fn data() -> (Arc<Divisions>, Arc<Items>) {
    let open = |name: &str| File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("routes").join(name)).unwrap();
    let divisions = Divisions::read(open("divisions.csv"), GzDecoder::new(open("streets.csv.gz"))).unwrap();
    (Arc::new(divisions), Arc::new(Items::read(open("items.csv")).unwrap()))
}

fn code(text: &str) -> DivisionCode {
    text.parse().unwrap()
}

fn platform(id: &str, division: &str, routes: Vec<Route>) -> Platform {
    Platform {
        id: id.parse().unwrap(),
        name: id.into(),
        name_en: id.into(),
        owner: None,
        function: Box::default(),
        division: code(division),
        level: Level::City,
        state: PlatformState::Active,
        trusted: true,
        authority: true,
        upstreams: Box::default(),
        attributes: Box::default(),
        zones: Box::default(),
        inflight_max: None,
        canary: None,
        health: None,
        clients: Box::default(),
        routes: routes.into(),
    }
}

fn item(division: &str, covers: Covers) -> Route {
    let (codes, divisions) = ([CITY_ITEM.parse().unwrap()].into(), [code(division)].into());
    Route::new(Matches::Items { codes, divisions, covers }, Action::Proxy)
}

fn path(host: Option<&str>, path: &str, kind: PathKind) -> Route {
    Route::new(Matches::Path { host: host.map(Into::into), path: path.into(), kind }, Action::Proxy)
}

fn compile(platforms: Vec<Platform>) -> Compiled {
    let (divisions, items) = data();
    RouteTable::compile(divisions, items, &[PORTAL.to_owned(), "localhost".to_owned()], platforms)
}

fn table(platforms: Vec<Platform>) -> RouteTable {
    let Compiled { table, refused } = compile(platforms);
    assert_eq!(refused, []);
    table
}

fn who(table: &RouteTable, host: &str, path: &str) -> String {
    match table.find(host, path) {
        Answer::Route(found) => format!("{} {}", found.platform.id, found.level),
        Answer::NeedsDivision { item, rest } => format!("needs division for {item}{rest}"),
        Answer::NoRoute(reason) => format!("{reason:?}").split(' ').next().unwrap().to_owned(),
    }
}

fn names(divisions: Vec<&Division>) -> Vec<&str> {
    divisions.into_iter().map(|division| &*division.name).collect()
}

#[test]
fn a_trail_leads_from_the_nation_to_the_street_and_shows_no_placeholder() {
    let (divisions, _) = data();
    assert_eq!(names(divisions.trail(code("330106005"))), ["全国", "浙江省", "杭州市", "西湖区", "翠苑街道"]);
    assert_eq!(names(divisions.trail(code("110101001"))), ["全国", "北京市", "东城区", "东华门街道"]);
    assert_eq!(names(divisions.trail(code("441900003"))), ["全国", "广东省", "东莞市", "东城街道"]);
    assert_eq!(names(divisions.trail(code("429004"))), ["全国", "湖北省", "仙桃市"]);
}

#[test]
fn children_stand_in_code_order_and_those_of_a_placeholder_in_its_place() {
    let (divisions, _) = data();
    assert_eq!(divisions.children(DivisionCode::NATION).len(), 34);
    let beijing = divisions.children(code("110000"));
    assert_eq!((beijing.len(), &*beijing[0].name, beijing[0].level), (16, "东城区", Level::County));
    let hubei = divisions.children(code("420000"));
    assert_eq!(&*hubei.last().unwrap().name, "神农架林区");
    assert!(hubei.is_sorted_by_key(|division| division.code));
    assert_eq!(divisions.children(code("441900"))[0].level, Level::Street);
}

#[test]
fn an_unknown_village_or_street_is_known_by_its_prefix_and_an_unknown_county_is_not() {
    let (divisions, _) = data();
    let nearest = |text| divisions.nearest_known(code(text)).map(|division| division.code.to_string());
    assert_eq!(nearest("330106005001").as_deref(), Some("330106005"));
    assert_eq!(nearest("330106999001").as_deref(), Some("330106"));
    assert_eq!(nearest("441900999").as_deref(), Some("441900"));
    assert_eq!(nearest("330106000").as_deref(), Some("330106")); // no such street
    assert_eq!(nearest("350527000").as_deref(), Some("350527000")); // but here there is
    assert_eq!(nearest("350527000001").as_deref(), Some("350527000"));
    assert_eq!(nearest("330199"), None);
    assert_eq!(nearest("330199001"), None);
}

#[test]
fn divisions_with_a_missing_parent_or_a_code_twice_are_refused_with_the_code() {
    let read = |rows: &str| {
        let divisions = format!("code,name,level,parent,kind\n{rows}");
        Divisions::read(divisions.as_bytes(), "code,name,level,parent\n".as_bytes()).unwrap_err().to_string()
    };
    assert!(read("110101,a,3,110100,division\n").contains("110100 is named as a parent"));
    assert!(read("110000,a,1,,division\n110000,b,1,,division\n").contains("110000 stands there twice"));
    assert!(read("110000,a,1,,division\n110100,b,2,110000,division\n110101001,c,4,110100,division\n110101,d,3,110100,division\n").contains("110101001"));
    assert!(read("11000,a,1,,division\n").contains("11000"));
}

#[test]
fn search_wants_every_word_in_name_department_or_code_in_any_case() {
    let (_, items) = data();
    let found = |text| items.search(text, 10).iter().map(|item| &*item.name_en).collect::<Vec<_>>();
    assert_eq!(found("passport"), ["Ordinary passport issue"]);
    assert_eq!(found("护照"), ["Ordinary passport issue"]);
    assert_eq!(found("IMMIGRATION issue"), ["Ordinary passport issue"]);
    assert_eq!(found("000199001000"), ["Ordinary passport issue"]);
    assert_eq!(found("passport fishing"), Vec::<&str>::new());
    assert_eq!(found("  "), Vec::<&str>::new());
    assert_eq!(items.search("a", 3).len(), 3);
}

#[test]
fn the_nearest_division_answers_and_says_at_which_level() {
    let table = table(vec![
        platform("nation", "100000", vec![item("100000", Covers::Subtree)]),
        platform("hangzhou", "330100", vec![item("330100", Covers::Subtree)]),
        platform("xihu", "330106", vec![item("330106", Covers::Own)]),
    ]);
    let asked = |division: &str| who(&table, PORTAL, &format!("/s/{division}/{CITY_ITEM}/form"));
    assert_eq!(asked("330106"), "xihu county");
    assert_eq!(asked("330106005"), "hangzhou city"); // xihu answers for itself only
    assert_eq!(asked("330106005001"), "hangzhou city");
    assert_eq!(asked("330000"), "nation nation");
    assert_eq!(asked("110100"), "nation nation"); // a placeholder never ends a climb
    assert_eq!(asked("330199"), "UnknownDivision");
}

#[test]
fn above_climbs_on_from_the_answer_and_ends_at_the_nation() {
    let table = table(vec![
        platform("nation", "100000", vec![item("100000", Covers::Subtree)]),
        platform("xihu", "330106", vec![item("330106", Covers::Subtree)]),
    ]);
    let path = format!("/s/330106005/{CITY_ITEM}");
    let Answer::Route(found) = table.find(PORTAL, &path) else { panic!("nobody answers") };
    let above = table.above(&found).unwrap();
    assert_eq!((above.platform.id.as_str(), above.level, above.asked), ("nation", Level::Nation, found.asked));
    assert!(table.above(&above).is_none());
}

#[test]
fn a_suspended_platform_is_passed_over_for_safe_methods_where_its_route_allows_it() {
    let mut route = item("330100", Covers::Subtree);
    route.fallback.suspended = true;
    let mut city = platform("hangzhou", "330100", vec![route]);
    city.state = PlatformState::Suspended { notice: "moving".into() };
    let table = table(vec![platform("nation", "100000", vec![item("100000", Covers::Subtree)]), city]);
    let path = format!("/s/330106/{CITY_ITEM}");
    let Answer::Route(found) = table.find(PORTAL, &path) else { panic!("nobody answers") };
    assert_eq!(found.platform.id.as_str(), "hangzhou");
    assert_eq!(table.past_suspended(found, true).platform.id.as_str(), "nation");
    assert_eq!(table.past_suspended(found, false).platform.id.as_str(), "hangzhou");
}

#[test]
fn an_exact_path_goes_before_the_longest_prefix_and_a_prefix_ends_on_a_segment() {
    let table = table(vec![platform(
        "zhejiang",
        "330000",
        vec![
            path(None, "/open", PathKind::Prefix),
            path(None, "/open/data/", PathKind::Prefix),
            path(None, "/open/data", PathKind::Exact),
            path(Some("data.example"), "/", PathKind::Prefix),
        ],
    )]);
    let route = |host: &str, path: &str| match table.find(host, path) {
        Answer::Route(found) => Ok(found.route_index),
        Answer::NoRoute(reason) => Err(reason),
        Answer::NeedsDivision { .. } => panic!("{path}"),
    };
    assert_eq!(route(PORTAL, "/open"), Ok(0));
    assert_eq!(route("localhost", "/open/"), Ok(0));
    assert_eq!(route(PORTAL, "/open/data"), Ok(2));
    assert_eq!(route(PORTAL, "/open/data/"), Ok(1));
    assert_eq!(route(PORTAL, "/open/data/a/b/c/d"), Ok(1));
    assert_eq!(route(PORTAL, "/open/database"), Ok(0));
    assert_eq!(route(PORTAL, "/opening"), Err(NoRoute::NoPath));
    assert_eq!(route(PORTAL, "/"), Err(NoRoute::NoPath));
    assert_eq!(route("data.example", "/anything/at/all"), Ok(3));
    assert_eq!(route("data.example", &format!("/s/330106/{CITY_ITEM}")), Ok(3));
    assert_eq!(route("elsewhere.example", "/open"), Err(NoRoute::UnknownHost));
}

#[test]
fn a_path_of_the_portal_that_fits_a_service_address_goes_before_it() {
    for (filed, kind) in [("/", PathKind::Prefix), ("/s", PathKind::Prefix), ("/s/330106", PathKind::Prefix)] {
        let table = table(vec![
            platform("nation", "100000", vec![item("100000", Covers::Subtree)]),
            platform("shadow", "330100", vec![path(None, filed, kind)]),
        ]);
        assert_eq!(who(&table, PORTAL, &format!("/s/330106/{CITY_ITEM}")), "shadow city", "{filed}");
    }
}

#[test]
fn a_service_address_says_what_is_missing_from_it() {
    let table = table(vec![]);
    let asked = |path: &str| who(&table, PORTAL, path);
    assert_eq!(asked(&format!("/s/{CITY_ITEM}/form/1")), format!("needs division for {CITY_ITEM}/form/1"));
    assert_eq!(asked(&format!("/s/{CITY_ITEM}")), format!("needs division for {CITY_ITEM}"));
    assert_eq!(asked(&format!("/s/330106/{CITY_ITEM}")), "NotHandled");
    assert_eq!(asked("/s/330106/999999999999/"), "UnknownItem");
    assert_eq!(asked("/s/330106/form"), "UnknownItem");
    assert_eq!(asked("/s/099999999999"), "UnknownItem");
    assert_eq!(asked(&format!("/s/999999/{CITY_ITEM}")), "UnknownDivision");
    assert_eq!(asked(&format!("/s/hangzhou/{CITY_ITEM}")), "UnknownDivision");
    for nothing in ["/s", "/s/", "/s/330106", "/s/330106/", "/s//", "/elsewhere"] {
        assert_eq!(asked(nothing), "NoPath", "{nothing}");
    }
}

#[test]
fn two_filings_for_one_place_are_refused_naming_the_holder_and_the_rest_loads() {
    let Compiled { table, refused } = compile(vec![
        platform("first", "330100", vec![item("330100", Covers::Subtree), path(None, "/a", PathKind::Prefix)]),
        platform("second", "330100", vec![path(None, "/b", PathKind::Prefix), item("330100", Covers::Own)]),
        platform("third", "330100", vec![path(None, "/c", PathKind::Prefix), path(None, "/a/", PathKind::Prefix)]),
        platform("fourth", "330100", vec![path(None, "/b", PathKind::Prefix)]), // free, as `second` is not in force
        platform("fifth", "330100", vec![item("330106", Covers::Own), item("330106", Covers::Subtree)]),
    ]);
    let told: Vec<(usize, String)> = refused.iter().map(|error| (error.route().unwrap(), error.to_string())).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0].0, 1);
    assert!(told[0].1.starts_with(
        "service item 002099039000 12345热线诉求提交 in division 330100 杭州市 belongs to platform first;"
    ));
    assert!(told[1].1.starts_with("path prefix /a on the portal's hosts belongs to platform first;"), "{}", told[1].1);
    assert!(told[2].1.contains("belongs to platform fifth"), "{}", told[2].1);
    assert_eq!(who(&table, PORTAL, "/b"), "fourth city");
    assert_eq!(who(&table, PORTAL, "/c"), "NoPath");
    assert!(table.platform("second").is_none() && table.platform("first").is_some());
}

#[test]
fn a_filing_for_an_unknown_item_or_a_placeholder_is_refused() {
    let mut unknown = item("330100", Covers::Own);
    let codes = ["999999999999".parse::<ItemCode>().unwrap()].into();
    unknown.matches = Matches::Items { codes, divisions: [code("330100")].into(), covers: Covers::Own };
    let placeholder = item("110100", Covers::Own);
    let refused = compile(vec![
        platform("odd-item", "330100", vec![unknown]),
        platform("odd-place", "110000", vec![placeholder]),
    ])
    .refused;
    assert!(matches!(refused[0], RoutingError::UnknownItem { .. }), "{refused:?}");
    assert!(matches!(refused[1], RoutingError::UnknownDivision { .. }), "{refused:?}");
}

#[test]
fn a_change_that_takes_anothers_place_leaves_the_table_as_it_was() {
    let before = table(vec![
        platform("first", "330100", vec![item("330100", Covers::Subtree), path(None, "/a", PathKind::Prefix)]),
        platform("other", "330106", vec![path(None, "/b", PathKind::Prefix)]),
    ]);
    let greedy = |route| platform("other", "330106", vec![route]);
    assert!(matches!(before.with(greedy(item("330100", Covers::Own))), Err(RoutingError::Taken { .. })));
    assert!(matches!(before.with(greedy(path(None, "/a", PathKind::Prefix))), Err(RoutingError::Taken { .. })));
    let after = before.with(greedy(path(None, "/c/d", PathKind::Prefix))).unwrap();
    assert_eq!(who(&after, PORTAL, "/c/d/e"), "other city");
    assert_eq!(who(&after, PORTAL, "/b"), "NoPath");
    assert_eq!(who(&before, PORTAL, "/b"), "other city"); // requests that began with it end with it
    let gone = after.without(&"first".parse().unwrap());
    assert_eq!(who(&gone, PORTAL, "/a"), "NoPath");
    assert_eq!((gone.item_routes(), gone.path_routes()), (0, 1));
}

#[test]
fn publishing_counts_revisions_and_a_snapshot_stays_what_it_was() {
    let live = LiveTable::new(table(vec![]));
    let old = live.snapshot();
    assert_eq!(live.publish(table(vec![platform("new", "330100", vec![path(None, "/a", PathKind::Exact)])])), 2);
    assert_eq!((old.revision(), live.snapshot().revision()), (1, 2));
    assert_eq!(who(&old, PORTAL, "/a"), "NoPath");
    assert_eq!(who(&live.snapshot(), PORTAL, "/a"), "new city");
}

#[test]
fn probe_tells_who_answers_and_why_each_other_lost() {
    let table = table(vec![
        platform("nation", "100000", vec![item("100000", Covers::Subtree)]),
        platform("zhejiang", "330000", vec![item("330000", Covers::Subtree)]),
        platform("xihu", "330106", vec![item("330106", Covers::Own)]),
    ]);
    let told = table.explain("GET", PORTAL, &format!("/s/330106005/{CITY_ITEM}")).to_string();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "GET zwfw.example.gov/s/330106005/002099039000",
            "  result  forwarded, if the access rules of the route let it pass",
            "  chosen  zhejiang zhejiang, route 0, level province, filed for 330000 浙江省",
            "  lost    street 330106005 翠苑街道: the item is not handled at this level, and nobody has filed it there",
            "  lost    xihu xihu, route 0, level county, filed for 330106 西湖区: it answers for its own division only",
            "  lost    city 330100 杭州市: nobody has filed the item there",
            "  lost    nation nation, route 0, level nation, filed for 100000 全国: a nearer or more specific route answers",
        ]
    );
    let none = table.explain("GET", PORTAL, "/nothing");
    assert_eq!(serde_json::to_value(&none).unwrap()["verdict"]["verdict"], "no-route");
}

#[test]
fn get_brings_head_and_other_methods_only_themselves() {
    let get = MethodSet::none().and("GET").unwrap();
    assert_eq!(
        (get.to_string().as_str(), get.allows("HEAD"), get.allows("POST"), get.allows("get")),
        ("GET, HEAD", true, false, false)
    );
    assert_eq!(MethodSet::ALL.to_string(), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    assert!(MethodSet::none().and("TRACE").is_none() && !MethodSet::ALL.allows("TRACE"));
}

#[test]
fn an_overlap_names_who_answers_and_who_stands_by() {
    let table = table(vec![
        platform("nation", "100000", vec![item("100000", Covers::Subtree)]),
        platform("zhejiang", "330000", vec![item("330000", Covers::Own)]),
        platform("xihu", "330106", vec![item("330106", Covers::Own), path(None, "/a", PathKind::Prefix)]),
    ]);
    let overlaps = |platform| table.overlaps(platform).map(|overlap| overlap.other.to_string()).collect::<Vec<_>>();
    assert_eq!(overlaps("xihu"), ["nation"], "the province answers for itself alone");
    assert_eq!(overlaps("zhejiang"), ["nation"]);
    assert!(overlaps("nation").is_empty() && overlaps("nobody").is_empty());
}
