//! Who may bring what into force: the tables of deploy/RIGHTS.md step by step, maker and checker, stops from above, and places
//! that are nobody's own. The same cases on SQLite and PostgreSQL.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use yimen::domain::{Actor, Role};
use yimen::registry::{FilingState, RegisterError, Reserved, Right, Version};

use crate::support::engine::{Engine, on_both};
use crate::support::register::{
    HANGZHOU, NATION, Office, SHANGHAI, ZHEJIANG, actor, by, bytes, code, document, id, issued, now, operator, owner,
    tried,
};

const NINGBO: &str = "330200";
const NOTARY: &str = "002099029000";

async fn open(engine: &Engine) -> Office {
    Office::open(engine.config()).await
}

on_both! {
    open:
    every_step_needs_what_the_table_says
    nobody_checks_what_their_chain_of_issue_made
    one_issuer_s_two_credentials_are_one_person
    a_certificate_begins_a_chain_of_its_own
    one_name_in_other_letters_is_one_person
    a_rollback_to_one_s_own_document_takes_somebody_else
    a_stop_is_lifted_by_the_level_that_made_it_or_above
    a_stop_is_taken_over_from_above
    what_was_stopped_above_is_not_retired_to_be_filed_anew
    out_of_retirement_leads_a_new_draft_alone
    a_place_that_is_nobody_s_own_takes_two_and_the_nation
    a_place_of_the_division_s_own_is_its_own_only_while_it_is_filed_there
    what_comes_back_finds_its_places_reserved_or_does_not_come_back
    a_platform_has_so_many_places_and_a_principal_so_many_proposals
    what_is_filed_elsewhere_is_not_told_by_a_refusal_or_a_warning
}

/// A document without routes, which takes no place.
fn plain(platform: &str, division: &str) -> Value {
    let mut made = document(platform, division, NOTARY);
    made["route"] = json!([]);
    made
}

fn with(mut document: Value, key: &str, value: Value) -> Value {
    document["platform"][key] = value;
    document
}

/// The first table of deploy/RIGHTS.md: what each step and column needs.
fn table() -> BTreeMap<(String, String), String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/RIGHTS.md")).unwrap();
    let rows: Vec<Vec<String>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| step | plain"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    let cells = rows.iter().skip(2).flat_map(|row| {
        let named = rows[0].iter().skip(1).zip(row.iter().skip(1));
        named.map(|(column, cell)| ((row[0].clone(), column.clone()), cell.clone()))
    });
    cells.collect()
}

/// The document that a column is about, beside a plain one.
fn of_column(platform: &str, column: &str) -> Value {
    let made = plain(platform, HANGZHOU);
    match column {
        "moved" => with(made, "division", json!(NINGBO)),
        "trusted" => with(made, "trusted", json!(true)),
        "authority" => with(made, "authority", json!(true)),
        "attributes" => with(made, "attributes", json!(["name", "id_number"])),
        _ => made,
    }
}

/// Brings a filing to where a step of the table can be tried on it.
async fn prepared(office: &Office, step: &str, column: &str, platform: &str) {
    let (register, hall) = (&office.register, id(platform));
    let (nation, city) = (operator("nation.stop", NATION), operator("city.stop", HANGZHOU));
    let (before, special) = (plain(platform, HANGZHOU), of_column(platform, column));
    let changed = with(special.clone(), "contact", json!("another"));
    let deciding = matches!(step, "put" | "submit" | "approve" | "reject");
    match step {
        "rollback" => {
            office.filed(&special).await;
            office.filed(&with(before, "contact", json!("later"))).await;
        }
        _ if deciding => drop(office.filed(&before).await),
        _ => drop(office.filed(&special).await),
    }
    match column {
        "suspended by the nation" => drop(register.suspend(&by(&nation), &hall, "n").await.unwrap()),
        "retired by the nation" => drop(register.retire(&by(&nation), &hall).await.unwrap()),
        _ if step == "resume" => drop(register.suspend(&by(&city), &hall, "n").await.unwrap()),
        _ => {}
    }
    let maker = operator("maker", NATION);
    if matches!(step, "submit" | "approve" | "reject") {
        register.put(&by(&maker), &hall, &bytes(&changed)).await.unwrap();
    }
    if matches!(step, "approve" | "reject") {
        register.submit(&by(&maker), &hall).await.unwrap();
    }
}

async fn step_as(office: &Office, step: &str, column: &str, platform: &str, who: &Actor) -> Result<(), RegisterError> {
    let (register, hall, write) = (&office.register, id(platform), tried(who));
    let changed = bytes(&with(of_column(platform, column), "contact", json!("another")));
    let done = match step {
        "put" => register.put(&write, &hall, &changed).await,
        "submit" => register.submit(&write, &hall).await,
        "approve" => register.approve(&write, &hall).await,
        "reject" => register.reject(&write, &hall, "no").await,
        "suspend" => register.suspend(&write, &hall, "n").await,
        "resume" => register.resume(&write, &hall).await,
        "retire" => register.retire(&write, &hall).await,
        "rollback" => register.rollback(&write, &hall, Version(3)).await,
        "attest" => register.attest(&write, &hall).await,
        other => panic!("the table has a step {other} that no test knows"),
    };
    done.map(drop)
}

async fn every_step_needs_what_the_table_says(office: Office) {
    let table = table();
    assert_eq!(table.len(), 63, "9 steps and 7 columns");
    for (number, ((step, column), needed)) in table.iter().enumerate().filter(|(_, (_, needed))| *needed != "–") {
        let platform = format!("hall-{number}");
        prepared(&office, step, column, &platform).await;
        let allowed: &[&str] = match needed.as_str() {
            "own" => &[HANGZHOU, ZHEJIANG, NATION],
            "both" => &[ZHEJIANG, NATION],
            "nation" | "stop" => &[NATION],
            "owner" => &[],
            other => panic!("{other} is no word of the table"),
        };
        for division in [HANGZHOU, NINGBO, ZHEJIANG, NATION, SHANGHAI, "330106"] {
            let who = operator(&format!("somebody.{division}"), division);
            let done = step_as(&office, step, column, &platform, &who).await;
            let what =
                format!("`{step}` of `{column}` by an operator of {division}: {done:?}, and the table says {needed}");
            match done {
                Ok(()) => assert!(allowed.contains(&division), "{what}"),
                Err(error) => {
                    assert!(!allowed.contains(&division), "{what}");
                    assert!(matches!(error.code(), "forbidden" | "not-found" | "id-taken"), "{what}");
                }
            }
        }
        let own = owner(&platform, HANGZHOU);
        let done = step_as(&office, step, column, &platform, &own).await;
        let owns = matches!((step.as_str(), column.as_str()), ("attest" | "retire" | "put" | "submit", _))
            && !matches!((step.as_str(), column.as_str()), ("put", "moved") | ("retire", "suspended by the nation"));
        assert_eq!(done.is_ok(), owns, "`{step}` of `{column}` by the owner: {done:?}");
    }
}

/// Files a plain document as `maker` and hands it in.
async fn submitted_by(office: &Office, maker: &Actor, platform: &str) {
    office.register.put(&by(maker), &id(platform), &bytes(&plain(platform, HANGZHOU))).await.unwrap();
    office.register.submit(&by(maker), &id(platform)).await.unwrap();
}

async fn approved_by(office: &Office, checker: &Actor, platform: &str) -> &'static str {
    match office.register.approve(&tried(checker), &id(platform)).await {
        Ok(_) => "approved",
        Err(error) => error.code(),
    }
}

async fn nobody_checks_what_their_chain_of_issue_made(office: Office) {
    let nation = operator("nation", NATION);
    let province = issued(&nation, "province", Role::Operator, ZHEJIANG, None);
    let city = issued(&province, "city", Role::Operator, HANGZHOU, None);
    let platform = issued(&city, "hall.owner", Role::Platform, HANGZHOU, Some("hall"));
    let stranger = operator("stranger", HANGZHOU);
    // A city's operator issues a platform's token, files with it and approves; or somebody further up does.
    submitted_by(&office, &platform, "hall").await;
    for above in [&city, &province, &nation] {
        assert_eq!(approved_by(&office, above, "hall").await, "self-review", "{}", above.principal);
    }
    assert_eq!(approved_by(&office, &stranger, "hall").await, "approved");
    // And the other way round: what an upper operator made is checked by nobody whom it made.
    submitted_by(&office, &nation, "upper").await;
    for below in [&province, &city] {
        assert_eq!(approved_by(&office, below, "upper").await, "self-review", "{}", below.principal);
    }
    assert_eq!(approved_by(&office, &stranger, "upper").await, "approved");
    // One who only handed it in is a maker too.
    let register = &office.register;
    register.put(&by(&stranger), &id("handed"), &bytes(&plain("handed", HANGZHOU))).await.unwrap();
    register.submit(&by(&city), &id("handed")).await.unwrap();
    assert_eq!(approved_by(&office, &province, "handed").await, "self-review");
    assert_eq!(approved_by(&office, &operator("third", HANGZHOU), "handed").await, "approved");
}

async fn one_issuer_s_two_credentials_are_one_person(office: Office) {
    let nation = operator("nation", NATION);
    let [one, other] = ["one", "other"].map(|name| issued(&nation, name, Role::Operator, HANGZHOU, None));
    let puppet = issued(&nation, "puppet", Role::Platform, HANGZHOU, Some("hall"));
    submitted_by(&office, &puppet, "hall").await;
    assert_eq!(approved_by(&office, &one, "hall").await, "self-review", "whoever issued both has both");
    submitted_by(&office, &one, "second").await;
    assert_eq!(approved_by(&office, &other, "second").await, "self-review");
    // Cousins: one of them through somebody else.
    let between = issued(&nation, "between", Role::Operator, ZHEJIANG, None);
    let cousin = issued(&between, "cousin", Role::Operator, HANGZHOU, None);
    assert_eq!(approved_by(&office, &cousin, "second").await, "self-review");
    let elsewhere = issued(&operator("second.root", NATION), "elsewhere", Role::Operator, HANGZHOU, None);
    assert_eq!(approved_by(&office, &elsewhere, "second").await, "approved");
}

async fn a_certificate_begins_a_chain_of_its_own(office: Office) {
    let nation = operator("nation", NATION);
    let certified = |name: &str| {
        let mut who = issued(&nation, name, Role::Operator, HANGZHOU, None);
        who.lineage = who.lineage.certified();
        who
    };
    let (one, other) = (certified("one"), certified("other"));
    submitted_by(&office, &one, "hall").await;
    assert_eq!(approved_by(&office, &other, "hall").await, "approved", "the nation has neither's key");
    assert_eq!(approved_by(&office, &nation, "hall").await, "self-review", "but it issued the maker's token");
    let platform = issued(&one, "hall.owner", Role::Platform, HANGZHOU, Some("owned"));
    submitted_by(&office, &platform, "owned").await;
    assert_eq!(approved_by(&office, &one, "owned").await, "self-review");
    assert_eq!(approved_by(&office, &other, "owned").await, "approved");
}

async fn one_name_in_other_letters_is_one_person(office: Office) {
    submitted_by(&office, &operator("li.lei", HANGZHOU), "hall").await;
    for same in ["li.lei", "Li.Lei", "LI.LEI"] {
        assert_eq!(approved_by(&office, &operator(same, NATION), "hall").await, "self-review", "{same}");
    }
    assert_eq!(approved_by(&office, &operator("li.lei2", NATION), "hall").await, "approved");
}

async fn a_rollback_to_one_s_own_document_takes_somebody_else(office: Office) {
    let register = &office.register;
    let (maker, checker) = (operator("li.lei", HANGZHOU), operator("han.meimei", HANGZHOU));
    submitted_by(&office, &maker, "hall").await;
    let first = register.approve(&by(&checker), &id("hall")).await.unwrap().filing.summary.version;
    let better = bytes(&with(plain("hall", HANGZHOU), "contact", json!("better")));
    register.put(&by(&checker), &id("hall"), &better).await.unwrap();
    register.submit(&by(&checker), &id("hall")).await.unwrap();
    register.approve(&by(&maker), &id("hall")).await.unwrap();
    let back = async |who: &Actor| match register.rollback(&tried(who), &id("hall"), first).await {
        Ok(_) => "done",
        Err(error) => error.code(),
    };
    assert_eq!(back(&maker).await, "self-review", "their own document, which was replaced");
    assert_eq!(back(&issued(&maker, "puppet", Role::Operator, HANGZHOU, None)).await, "self-review");
    assert_eq!(back(&checker).await, "done");
    // What only lifts a stop brings no document.
    register.suspend(&by(&checker), &id("hall"), "n").await.unwrap();
    let last = register.history(&maker, &id("hall"), None, 10).await.unwrap().entries[1].version;
    assert!(register.rollback(&tried(&maker), &id("hall"), last).await.is_ok());
}

async fn a_stop_is_lifted_by_the_level_that_made_it_or_above(office: Office) {
    let register = &office.register;
    let approved = office.filed(&plain("hall", HANGZHOU)).await.filing.summary.version;
    let [city, province, nation] =
        [("city", HANGZHOU), ("province", ZHEJIANG), ("nation", NATION)].map(|(name, of)| operator(name, of));
    let suspended = register.suspend(&by(&province), &id("hall"), "n").await.unwrap();
    assert_eq!(suspended.filing.stopped_by, ZHEJIANG.parse().ok());
    assert_eq!(code(register.resume(&by(&city), &id("hall")).await), "forbidden");
    assert_eq!(code(register.rollback(&by(&city), &id("hall"), approved).await), "forbidden");
    assert_eq!(code(register.retire(&by(&city), &id("hall")).await), "forbidden");
    assert_eq!(code(register.retire(&by(&owner("hall", HANGZHOU)), &id("hall")).await), "forbidden");
    assert!(register.resume(&tried(&nation), &id("hall")).await.is_ok());
    let other = bytes(&with(plain("hall", HANGZHOU), "contact", json!("x")));
    register.put(&by(&owner("hall", HANGZHOU)), &id("hall"), &other).await.unwrap();
    register.submit(&by(&owner("hall", HANGZHOU)), &id("hall")).await.unwrap();
    let still = register.approve(&by(&city), &id("hall")).await.unwrap();
    assert_eq!((still.filing.summary.state, still.filing.stopped_by), (FilingState::Suspended, ZHEJIANG.parse().ok()));
    let lifted = register.resume(&by(&province), &id("hall")).await.unwrap();
    assert_eq!((lifted.filing.summary.state, lifted.filing.stopped_by), (FilingState::Approved, None));
    // One's own stop is one's own.
    register.suspend(&by(&city), &id("hall"), "n").await.unwrap();
    register.resume(&by(&city), &id("hall")).await.unwrap();
}

async fn a_stop_is_taken_over_from_above(office: Office) {
    let register = &office.register;
    office.filed(&plain("hall", HANGZHOU)).await;
    let (city, nation) = (operator("city", HANGZHOU), operator("nation", NATION));
    register.suspend(&by(&city), &id("hall"), "the city's").await.unwrap();
    assert_eq!(code(register.suspend(&by(&city), &id("hall"), "again").await), "wrong-state");
    let taken = register.suspend(&by(&nation), &id("hall"), "the nation's").await.unwrap();
    assert_eq!((taken.filing.notice.as_deref(), taken.filing.stopped_by), (Some("the nation's"), NATION.parse().ok()));
    assert_eq!(code(register.resume(&by(&city), &id("hall")).await), "forbidden");
    assert_eq!(code(register.suspend(&by(&city), &id("hall"), "n").await), "wrong-state");
    register.resume(&by(&nation), &id("hall")).await.unwrap();
    // A retirement too.
    register.retire(&by(&owner("hall", HANGZHOU)), &id("hall")).await.unwrap();
    assert_eq!(office.view("hall").await.stopped_by, HANGZHOU.parse().ok());
    assert_eq!(code(register.retire(&by(&city), &id("hall")).await), "wrong-state");
    register.retire(&by(&nation), &id("hall")).await.unwrap();
    assert_eq!(office.view("hall").await.stopped_by, NATION.parse().ok());
}

async fn what_was_stopped_above_is_not_retired_to_be_filed_anew(office: Office) {
    let register = &office.register;
    let (city, nation) = (operator("city", HANGZHOU), operator("nation", NATION));
    // A draft that the nation withdrew stays withdrawn for the city, whoever files it again.
    register.put(&by(&owner("hall", HANGZHOU)), &id("hall"), &bytes(&plain("hall", HANGZHOU))).await.unwrap();
    register.retire(&by(&nation), &id("hall")).await.unwrap();
    let again = bytes(&with(plain("hall", HANGZHOU), "contact", json!("again")));
    register.put(&by(&owner("hall", HANGZHOU)), &id("hall"), &again).await.unwrap();
    register.submit(&by(&owner("hall", HANGZHOU)), &id("hall")).await.unwrap();
    assert_eq!(code(register.approve(&by(&city), &id("hall")).await), "forbidden");
    assert_eq!(register.approve(&by(&nation), &id("hall")).await.unwrap().filing.stopped_by, None);
}

async fn out_of_retirement_leads_a_new_draft_alone(office: Office) {
    let register = &office.register;
    let version = office.filed(&plain("hall", HANGZHOU)).await.filing.summary.version;
    let (city, nation) = (operator("city", HANGZHOU), operator("nation", NATION));
    register.retire(&by(&city), &id("hall")).await.unwrap();
    for who in [&city, &nation] {
        assert_eq!(code(register.rollback(&by(who), &id("hall"), version).await), "wrong-state");
        assert_eq!(code(register.resume(&by(who), &id("hall")).await), "wrong-state");
        assert_eq!(code(register.suspend(&by(who), &id("hall"), "n").await), "wrong-state");
    }
    let platform = owner("hall", HANGZHOU);
    register.put(&by(&platform), &id("hall"), &bytes(&plain("hall", HANGZHOU))).await.unwrap();
    register.submit(&by(&platform), &id("hall")).await.unwrap();
    let back = register.approve(&by(&city), &id("hall")).await.unwrap();
    assert_eq!((back.filing.summary.state, back.filing.stopped_by), (FilingState::Approved, None));
}

async fn a_place_that_is_nobody_s_own_takes_two_and_the_nation(office: Office) {
    let register = &office.register;
    let city = operator("city", HANGZHOU);
    register.put(&by(&city), &id("hall"), &bytes(&plain("hall", HANGZHOU))).await.unwrap();
    for (host, prefix) in [(None, "/tax"), (Some("zwfw.zj.gov.cn"), "/"), (None, "/330200/x"), (None, "/3301001")] {
        let what = format!("{host:?} {prefix}");
        let Ok(Reserved::Proposed(row)) = register.reserve(&by(&city), &id("hall"), host, prefix).await else {
            panic!("{what}: reserved by one");
        };
        let approve = async |who: &Actor| match register.approval(&by(who), row.id).await {
            Ok(_) => "begun",
            Err(error) => error.code(),
        };
        assert_eq!(approve(&operator("other", HANGZHOU)).await, "forbidden", "{what}");
        assert_eq!(approve(&operator("province", ZHEJIANG)).await, "forbidden", "{what}");
        assert_eq!(approve(&operator("elsewhere", SHANGHAI)).await, "not-found", "{what}");
        assert_eq!(approve(&operator("CITY", NATION)).await, "self-review", "{what}");
        assert_eq!(approve(&issued(&city, "puppet", Role::Operator, NATION, None)).await, "self-review", "{what}");
        assert_eq!(approve(&actor("viewer", Role::Viewer, NATION, None)).await, "not-found", "{what}");
        let nation = operator("nation", NATION);
        let mut decision = register.approval(&by(&nation), row.id).await.unwrap();
        let made = register.reserve_approved(&mut decision, &by(&nation)).await.unwrap();
        decision.commit(&by(&nation)).await.unwrap();
        let names = (made.reserved_by.to_string(), made.approved_by.map(|by| by.to_string()));
        assert_eq!(names, ("city".to_owned(), Some("nation".to_owned())), "{what}");
        assert_eq!(approve(&nation).await, "proposal-decided", "{what}");
        assert!(
            matches!(register.reserve(&by(&city), &id("hall"), host, prefix).await, Ok(Reserved::Done(_))),
            "{what}"
        );
    }
    // One that is rejected, taken back or out of date comes into effect no more.
    let propose = async || match register.reserve(&by(&city), &id("hall"), None, "/weather").await {
        Ok(Reserved::Proposed(row)) => row,
        other => panic!("{other:?}"),
    };
    let (row, nation) = (propose().await, operator("nation", NATION));
    register.reject_proposal(&by(&city), row.id, "a mistake").await.unwrap();
    assert_eq!(code(register.approval(&by(&nation), row.id).await.map(drop)), "proposal-decided");
    let row = propose().await;
    let later = yimen::registry::Write { now: row.expires_at, ..by(&nation) };
    assert_eq!(code(register.approval(&later, row.id).await.map(drop)), "proposal-decided");
    // What somebody took meanwhile is looked at again.
    office.filed(&plain("rival", SHANGHAI)).await;
    office.reserved(&id("rival"), None, "/weather").await;
    let mut decision = register.approval(&by(&nation), row.id).await.unwrap();
    assert_eq!(code(register.reserve_approved(&mut decision, &by(&nation)).await), "place-taken");
    drop(decision);
    assert_eq!(register.reservations(&nation, &id("hall")).await.unwrap().len(), 4);
}

async fn a_place_of_the_division_s_own_is_its_own_only_while_it_is_filed_there(office: Office) {
    let register = &office.register;
    let province = operator("province", ZHEJIANG);
    let mut hall = plain("hall", HANGZHOU);
    hall["route"] = json!([{ "path": "/330100/data", "access": "open" }]);
    register.put(&by(&province), &id("hall"), &bytes(&hall)).await.unwrap();
    let own = register.reserve(&by(&operator("city", HANGZHOU)), &id("hall"), None, "/330100").await.unwrap();
    assert!(matches!(own, Reserved::Done(ref made) if made.approved_by.is_none()), "{own:?}");
    register.submit(&by(&province), &id("hall")).await.unwrap();
    register.approve(&by(&operator("city", HANGZHOU)), &id("hall")).await.unwrap();
    // Filed for another city, the same path is a name like any other.
    hall["platform"]["division"] = json!(NINGBO);
    register.put(&by(&province), &id("hall"), &bytes(&hall)).await.unwrap();
    assert_eq!(code(register.submit(&by(&province), &id("hall")).await), "not-reserved");
}

async fn what_comes_back_finds_its_places_reserved_or_does_not_come_back(office: Office) {
    let register = &office.register;
    let city = operator("city", HANGZHOU);
    let mut hall = plain("hall", HANGZHOU);
    hall["route"] = json!([{ "path": "/weather", "access": "open" }]);
    office.filed(&hall).await;
    let plainly = office.filed(&plain("hall", HANGZHOU)).await.filing.summary.version;
    register.release(&by(&city), &id("hall"), None, "/weather").await.unwrap();
    assert_eq!(code(register.rollback(&by(&city), &id("hall"), Version(3)).await), "not-reserved");
    office.reserved(&id("hall"), None, "/weather").await;
    register.rollback(&by(&city), &id("hall"), Version(3)).await.unwrap();
    register.suspend(&by(&city), &id("hall"), "n").await.unwrap();
    register.release(&by(&city), &id("hall"), None, "/weather").await.unwrap();
    assert_eq!(code(register.resume(&by(&city), &id("hall")).await), "not-reserved");
    register.rollback(&by(&city), &id("hall"), plainly).await.unwrap();
    assert_eq!(office.view("hall").await.summary.state, FilingState::Approved);
}

async fn a_platform_has_so_many_places_and_a_principal_so_many_proposals(office: Office) {
    let register = &office.register;
    let city = operator("city", HANGZHOU);
    register.put(&by(&city), &id("hall"), &bytes(&plain("hall", HANGZHOU))).await.unwrap();
    for number in 0..100 {
        let prefix = format!("/330100/{number}");
        register.reserve(&by(&city), &id("hall"), None, &prefix).await.unwrap();
    }
    assert_eq!(code(register.reserve(&by(&city), &id("hall"), None, "/330100/100").await), "too-many");
    register.reserve(&by(&city), &id("hall"), None, "/330100/7").await.unwrap(); // it has that one
    register.release(&by(&city), &id("hall"), None, "/330100/7").await.unwrap();
    register.reserve(&by(&city), &id("hall"), None, "/330100/100").await.unwrap();
    register.put(&by(&city), &id("other"), &bytes(&plain("other", HANGZHOU))).await.unwrap();
    for number in 0..200 {
        register.reserve(&by(&city), &id("other"), None, &format!("/name-{number}")).await.unwrap();
    }
    assert_eq!(code(register.reserve(&by(&city), &id("other"), None, "/one-more").await), "too-many");
    let second = operator("second", HANGZHOU);
    register.reserve(&by(&second), &id("other"), None, "/one-more").await.unwrap();
}

async fn what_is_filed_elsewhere_is_not_told_by_a_refusal_or_a_warning(office: Office) {
    let register = &office.register;
    let mut shanghai = plain("shanghai-hall", SHANGHAI);
    shanghai["route"] = json!([{ "path": "/hall", "access": "open" }]);
    office.filed(&shanghai).await;
    let (hangzhou, there, nowhere) = (operator("o", HANGZHOU), id("shanghai-hall"), id("nobody"));
    // Of what is there and of what is not the same is told.
    for platform in [&there, &nowhere] {
        let told = |result: Result<_, RegisterError>| {
            let told = result.err().map(|error| error.to_string().replace(platform.as_str(), "X"));
            told.unwrap_or_else(|| panic!("done"))
        };
        let absent = told(register.get(&hangzhou, platform, now()).await.map(drop));
        assert!(absent.contains("there is no"), "{absent}");
        for refused in [
            told(register.suspend(&tried(&hangzhou), platform, "n").await.map(drop)),
            told(register.approve(&tried(&hangzhou), platform).await.map(drop)),
            told(register.retire(&tried(&hangzhou), platform).await.map(drop)),
            told(register.reserve(&tried(&hangzhou), platform, None, "/330100").await.map(drop)),
            told(register.release(&tried(&hangzhou), platform, None, "/hall").await.map(drop)),
            told(register.reservations(&hangzhou, platform).await.map(drop)),
            told(register.history(&hangzhou, platform, None, 10).await.map(drop)),
            told(register.document(&hangzhou, platform, Version(1)).await.map(drop)),
        ] {
            assert_eq!(refused, absent);
        }
    }
    // A warning names whom the caller may see.
    let mut rival = plain("rival", HANGZHOU);
    rival["route"] = json!([{ "path": "/hall/deeper", "access": "open" }]);
    let warned = async |who: &Actor, name: &str| {
        let mut document = rival.clone();
        document["platform"]["id"] = json!(name);
        let done = register.put(&tried(who), &id(name), &bytes(&document)).await.unwrap();
        done.warnings.iter().map(ToString::to_string).collect::<String>()
    };
    let told = warned(&hangzhou, "rival").await;
    assert!(told.contains("another platform") && !told.contains("shanghai"), "{told}");
    assert!(warned(&operator("n", NATION), "rival-2").await.contains("platform shanghai-hall"));
    let missing = register.put(&tried(&hangzhou), &there, &bytes(&plain("shanghai-hall", HANGZHOU))).await.unwrap_err();
    assert_eq!(missing.to_string(), "the id shanghai-hall is taken; choose another");
    assert!(matches!(
        register.approve(&tried(&owner("shanghai-hall", SHANGHAI)), &there).await,
        Err(RegisterError::Forbidden { right: Right::Review, .. })
    ));
}
