//! The filings of the sample register as values.

use crate::domain::{Assurance, DivisionCode, ItemCode, Level, Uscc, Zone};
use crate::routing::{
    Access, Action, Covers, Division, DivisionKind, Divisions, Item, Items, Matches, Platform, PlatformState, Route,
    Upstream,
};

/// First of the three ports on which the upstreams of generated platforms are filed.
const FIRST_PORT: usize = 9101;
const PORTS: usize = 3;

/// A group of departments that shares a platform: word, Chinese, English, and what its departments' English names contain.
type Group = (&'static str, &'static str, &'static str, &'static [&'static str]);

const GROUPS: [Group; 6] = [
    ("police", "公安服务平台", "Public security services", &["Public Security", "Immigration", "Traffic"]),
    (
        "welfare",
        "民生保障服务平台",
        "Welfare services",
        &["Human Resources", "Healthcare", "Provident", "Civil", "Disabled", "Veterans"],
    ),
    ("market", "市场监管和税务服务平台", "Market and tax services", &["Market", "Taxation", "Intellectual"]),
    (
        "land",
        "资源建设服务平台",
        "Land, building and transport services",
        &["Ecology", "Natural", "Urban", "Transport", "Water", "Forestry"],
    ),
    ("health", "卫生教育服务平台", "Health and education services", &["Health", "Disease", "Education"]),
    ("affairs", "政务服务平台", "Government services", &[""]), // all that is left
];

const HALL: Group = ("hall", "便民服务中心", "Service hall", &[""]);

/// One generated platform.
pub(super) struct Sample<'a> {
    pub(super) division: &'a Division,
    pub(super) group: Group,
    pub(super) serial: usize,
    pub(super) open: Vec<ItemCode>,   // items that ask for no more than L1
    pub(super) signed: Vec<ItemCode>, // the others
    pub(super) assurance: Assurance,  // the most that one of the others asks for
}

/// The first `routes` routes of the sample register, the nation first and streets last; fewer when the data has no more.
pub fn platforms(routes: usize, divisions: &Divisions, items: &Items) -> Vec<Platform> {
    samples(routes, divisions, items).filter_map(|sample| sample.platform()).collect()
}

pub(super) fn samples<'a>(
    routes: usize,
    divisions: &'a Divisions,
    items: &'a Items,
) -> impl Iterator<Item = Sample<'a>> {
    let mut left = routes;
    let mut serial = 0;
    Level::ALL
        .into_iter()
        .flat_map(move |level| {
            let shares = shares(level, items);
            let at_level =
                divisions.iter().filter(move |division| division.level == level && files(division, divisions));
            at_level.flat_map(move |division| {
                shares.clone().into_iter().map(move |(group, items)| (division, group, items))
            })
        })
        .map_while(move |(division, group, mut items)| {
            items.truncate(left);
            left -= items.len();
            serial += 1;
            (!items.is_empty()).then(|| Sample::new(division, group, serial, &items))
        })
}

fn files(division: &Division, divisions: &Divisions) -> bool {
    let bare = division.level == Level::Province && divisions.children(division.code).is_empty();
    division.kind == DivisionKind::Division && !bare
}

/// The items of a level by group; groups without any are left out.
fn shares(level: Level, items: &Items) -> Vec<(Group, Vec<&Item>)> {
    let groups = if level == Level::Street { vec![HALL] } else { GROUPS.to_vec() };
    let place =
        |item: &Item| groups.iter().position(|(.., words)| words.iter().any(|word| item.department_en.contains(word)));
    let here = |index: usize| {
        items.iter().filter(move |item| item.levels.contains(level)).filter(move |item| place(item) == Some(index))
    };
    let shares = groups.iter().enumerate().map(|(index, group)| (*group, here(index).collect::<Vec<_>>()));
    shares.filter(|(_, items)| !items.is_empty()).collect()
}

impl<'a> Sample<'a> {
    fn new(division: &'a Division, group: Group, serial: usize, items: &[&Item]) -> Self {
        let (open, signed): (Vec<&Item>, Vec<&Item>) = items.iter().partition(|item| item.assurance == Assurance::L1);
        let assurance = signed.iter().map(|item| item.assurance).max().unwrap_or(Assurance::L1);
        let codes = |items: Vec<&Item>| items.iter().map(|item| item.code).collect();
        Self { division, group, serial, open: codes(open), signed: codes(signed), assurance }
    }

    pub(super) fn id(&self) -> String {
        format!("{}-{}", self.group.0, self.division.code)
    }

    pub(super) fn name(&self) -> String {
        format!("{}{}", self.division.name, self.group.1)
    }

    pub(super) fn name_en(&self) -> String {
        format!("{} of {}", self.group.2, self.division.code)
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", FIRST_PORT + self.serial % PORTS)
    }

    pub(super) fn owner(&self) -> Option<Uscc> {
        owner(self.division.code, self.serial)
    }

    /// What `registry::load` makes of the filing that is written for it.
    fn platform(&self) -> Option<Platform> {
        let upstream = Upstream {
            address: self.address().into(),
            weight: 1,
            canary: false,
            tls: false,
            server_name: "127.0.0.1".into(),
            trust: None,
            http2: false,
        };
        let routes = [(Access::Open, Assurance::L1, &self.open), (Access::Required, self.assurance, &self.signed)];
        let route = |(access, assurance, codes): (Access, Assurance, &Vec<ItemCode>)| {
            let divisions = [self.division.code].into();
            let matches = Matches::Items { codes: codes.as_slice().into(), divisions, covers: Covers::Subtree };
            Route { access, assurance, ..Route::new(matches, Action::Proxy) }
        };
        Some(Platform {
            id: self.id().parse().ok()?,
            name: self.name().into(),
            name_en: self.name_en().into(),
            owner: self.owner(),
            function: FUNCTION.into(),
            division: self.division.code,
            level: self.division.level,
            state: PlatformState::Active,
            trusted: false,
            authority: false,
            upstreams: [upstream].into(),
            attributes: Box::default(),
            zones: [Zone::Internet].into(),
            inflight_max: None,
            canary: None,
            health: None,
            clients: Box::default(),
            routes: routes.into_iter().filter(|(.., codes)| !codes.is_empty()).map(route).collect(),
        })
    }
}

/// What every sample platform does.
pub(super) const FUNCTION: &str = "样例：办理政务服务事项";

/// A code of the right shape with right check characters that belongs to nobody we know: authority 11 (organ of state),
/// the division's first six digits, and a serial number as organisation code.
fn owner(division: DivisionCode, serial: usize) -> Option<Uscc> {
    let place: String = division.to_string().chars().take(6).collect();
    let organisation = format!("{serial:08}");
    let mut code = format!("11{place}{organisation}").into_bytes();
    code.push(Uscc::organisation_check(organisation.as_bytes())?);
    code.push(Uscc::check_character(&code)?);
    String::from_utf8(code).ok()?.parse().ok()
}
