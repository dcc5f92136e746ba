//! Any calls on the register by anybody, in any order: nothing comes into force that deploy/RIGHTS.md forbids, no stop is lifted
//! from below, and nobody who could be one of its makers checks a document. What may be is told here once more, by other means
//! than the program's: divisions by the digits of their codes, chains of issue by the names on the way to the root.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use yimen::domain::{Actor, Role};
use yimen::registry::{FilingState, Version};

use crate::support::engine::{Engine, on_both};
use crate::support::register::{Office, actor, by, bytes, document, id, issued, operator};

/// Calls of a run, and the number that it starts from; `YIMEN_TEST_CALLS` and `YIMEN_TEST_SEED` say others.
const CALLS: u64 = 3000;
/// Calls on two platforms, before two others take their turn: most ways end in a stop from above.
const OF_TWO: u64 = 60;
const SEED: u64 = 20_261_129;
const DIVISIONS: [&str; 4] = ["330100", "330200", "330000", "100000"];

async fn open(engine: &Engine) -> Office {
    Office::open(engine.config()).await
}

on_both! {
    open:
    nothing_that_is_forbidden_ever_comes_into_force
}

/// A generator of numbers that are the same in every run (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % sides
    }

    fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// Somebody, and all through whom they could act: themselves and everybody above.
struct Somebody {
    actor: Actor,
    persons: BTreeSet<String>,
}

impl Somebody {
    fn of(actor: Actor) -> Self {
        let persons = actor.lineage.links().map(|link| link.principal.to_string().to_lowercase()).collect();
        Self { actor, persons }
    }

    fn covers(&self, division: &str) -> bool {
        let own = self.actor.division.to_string();
        own == "100000" || division.starts_with(own.trim_end_matches("00"))
    }
}

fn everybody(names: &[String; 2]) -> Vec<Somebody> {
    let [hall, park] = names;
    let (one, two) = (operator("nation.one", "100000"), operator("nation.two", "100000"));
    let province = issued(&one, "province", Role::Operator, "330000", None);
    let city = issued(&province, "city", Role::Operator, "330100", None);
    let second = issued(&two, "city.two", Role::Operator, "330100", None);
    let hall = issued(&city, "hall.owner", Role::Platform, "330100", Some(hall));
    let park = issued(&two, "park.owner", Role::Platform, "330000", Some(park));
    let alone = [("third", "330000"), ("fourth", "330100"), ("CITY", "330200"), ("fifth", "100000")];
    let alone = alone.map(|(name, division)| operator(name, division));
    let auditor = actor("auditor", Role::Auditor, "100000", None);
    [one, two, province, city, second, hall, park, auditor].into_iter().chain(alone).map(Somebody::of).collect()
}

/// A document of a platform, with what is extraordinary thrown in.
fn any_document(dice: &mut Dice, platform: &str) -> Value {
    let own = if platform.starts_with("hall") { "330100" } else { "330000" };
    let division = if dice.roll(3) > 0 { own } else { DIVISIONS[dice.roll(DIVISIONS.len())] };
    let mut made = document(platform, division, "002099029000");
    made["route"] = match dice.roll(12) {
        0 => json!([{ "path": format!("/{platform}"), "access": "open" }]),
        _ => json!([]),
    };
    made["platform"]["contact"] = json!(format!("contact {}", dice.roll(1000)));
    for (key, value) in [
        ("trusted", json!(true)),
        ("authority", json!(true)),
        ("attributes", json!(["name", "phone"])),
        ("attributes", json!(["name"])),
    ] {
        if dice.roll(10) == 0 {
            made["platform"][key] = value;
        }
    }
    made
}

/// What of a document is the nation's to bring into force.
fn is_extraordinary(document: &Value) -> bool {
    let platform = &document["platform"];
    let more = platform["attributes"].as_array().is_some_and(|list| list.iter().any(|attribute| attribute != "name"));
    platform["trusted"] == true || platform["authority"] == true || more
}

/// What this test knows of a filing, from what it saw done.
#[derive(Default)]
struct Known {
    in_force: Option<Value>,
    division: String,
    state: Option<FilingState>,
    stopped_by: Option<String>,
    /// Who put or submitted since the last decision.
    makers: Vec<BTreeSet<String>>,
    draft: Option<Value>,
    submitted: bool,
    /// Each version.
    past: Vec<Past>,
    made_by: Vec<BTreeSet<String>>,
}

/// A version of a filing: the document in force after it, and who made that.
struct Past {
    version: u64,
    in_force: Option<Value>,
    made_by: Vec<BTreeSet<String>>,
}

#[allow(clippy::disallowed_methods, reason = "a test has no configuration file")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn nothing_that_is_forbidden_ever_comes_into_force(office: Office) {
    let (calls, seed) = (number("YIMEN_TEST_CALLS", CALLS), number("YIMEN_TEST_SEED", SEED));
    let mut dice = Dice(seed);
    let register = &office.register;
    let mut names = [String::new(), String::new()];
    let (mut known, mut people) = ([Known::default(), Known::default()], Vec::new());
    let (mut done, mut decided) = (0, 0);
    for turn in 0..calls {
        if turn % OF_TWO == 0 {
            names = ["hall", "park"].map(|name| format!("{name}-{turn}"));
            (known, people) = ([Known::default(), Known::default()], everybody(&names));
        }
        let at = dice.roll(known.len());
        let (name, filing) = (&names[at], &mut known[at]);
        let proposed = any_document(&mut dice, name);
        let past: Vec<u64> = filing.past.iter().map(|past| past.version).collect();
        let back = if past.is_empty() { 1 } else { *dice.one_of(&past) };
        let steps = [
            "put", "put", "submit", "submit", "approve", "approve", "approve", "suspend", "resume", "retire",
            "rollback", "reject",
        ];
        let mut step = *dice.one_of(&steps);
        if step == "retire" && dice.roll(3) > 0 {
            step = "approve"; // a filing that is gone has no more ways to go
        }
        // Owners do most of the writing; whoever has written once checks nothing until somebody has.
        let owns = |who: &&Somebody| who.actor.platform.as_ref().is_some_and(|own| own.as_str() == name);
        let own = people.iter().find(owns).filter(|_| matches!(step, "put" | "submit") && dice.roll(6) > 0);
        let who = own.unwrap_or_else(|| dice.one_of(&people));
        let (platform, write) = (id(name), by(&who.actor));
        let result = match step {
            "put" => register.put(&write, &platform, &bytes(&proposed)).await,
            "submit" => register.submit(&write, &platform).await,
            "approve" => register.approve(&write, &platform).await,
            "suspend" => register.suspend(&write, &platform, "n").await,
            "resume" => register.resume(&write, &platform).await,
            "retire" => register.retire(&write, &platform).await,
            "rollback" => register.rollback(&write, &platform, Version(back)).await,
            _ => register.reject(&write, &platform, "no").await,
        };
        let what = format!("seed {seed}, call {turn}: `{step}` of {name} by {}", who.actor.lineage);
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                let justified = match error.code() {
                    "self-review" => {
                        let made = if step == "approve" { &filing.makers } else { of_version(filing, back) };
                        made.iter().any(|maker| could_be_one(maker, who))
                    }
                    // What somebody of the nation's operators may not do is nobody's.
                    "forbidden" => who.actor.role != Role::Operator || !who.covers("100000"),
                    _ => true,
                };
                assert!(justified, "{what}: {error}");
                continue;
            }
        };
        if !result.changed {
            continue;
        }
        done += 1;
        let view = &result.filing;
        let version = view.summary.version.0;
        let state = view.summary.state;
        match step {
            "put" => {
                (filing.draft, filing.submitted) = (Some(view.document.clone()), false);
                filing.makers.push(who.persons.clone());
            }
            "submit" => {
                filing.submitted = true;
                filing.makers.push(who.persons.clone());
            }
            "reject" => filing.submitted = false,
            "approve" | "resume" | "rollback" => {
                decided += 1;
                let document = match step {
                    "approve" => filing.draft.take().filter(|_| std::mem::take(&mut filing.submitted)),
                    "resume" => filing.in_force.clone(),
                    _ => filing.past.iter().find(|past| past.version == back).unwrap().in_force.clone(),
                };
                let document = document.unwrap_or_else(|| panic!("{what}: nothing was there to be in force"));
                may_bring(filing, &document, who, step, back, &what);
                let lifted = filing.stopped_by.is_some() && state == FilingState::Approved;
                if lifted {
                    let stop = filing.stopped_by.clone().unwrap();
                    assert!(who.covers(&stop), "{what}: it lifts what {stop} stopped");
                    assert!(
                        filing.state != Some(FilingState::Retired) || step == "approve",
                        "{what}: out of retirement"
                    );
                }
                filing.made_by = match step {
                    "approve" => std::mem::take(&mut filing.makers),
                    "rollback" => of_version(filing, back).to_vec(),
                    _ => filing.made_by.clone(),
                };
                document["platform"]["division"].as_str().unwrap().clone_into(&mut filing.division);
                filing.in_force = Some(document);
            }
            "suspend" | "retire" => {
                if let Some(stop) = &filing.stopped_by {
                    assert!(who.covers(stop), "{what}: it changes what {stop} stopped");
                }
                if step == "retire" {
                    (filing.draft, filing.submitted) = (None, false);
                }
            }
            _ => {}
        }
        filing.state = Some(state);
        filing.stopped_by = view.stopped_by.map(|division| division.to_string());
        let stopped = matches!(state, FilingState::Suspended | FilingState::Retired);
        assert!(!stopped || filing.stopped_by.is_some(), "{what}: nobody stopped it");
        filing.past.push(Past { version, in_force: filing.in_force.clone(), made_by: filing.made_by.clone() });
    }
    println!("{done} of {calls} calls did something, {decided} decided");
    assert!(done > calls / 8 && decided > calls / 100, "{done} of {calls} calls did something, {decided} decided");
}

fn of_version(filing: &Known, version: u64) -> &[BTreeSet<String>] {
    filing.past.iter().find(|past| past.version == version).map_or(&[], |past| &past.made_by)
}

fn could_be_one(maker: &BTreeSet<String>, who: &Somebody) -> bool {
    !maker.is_disjoint(&who.persons)
}

/// Holds what a step brought into force against the rules.
fn may_bring(filing: &Known, document: &Value, who: &Somebody, step: &str, back: u64, what: &str) {
    assert_eq!(who.actor.role, Role::Operator, "{what}");
    let after = document["platform"]["division"].as_str().unwrap();
    assert!(who.covers(after), "{what}: it is for {after}");
    assert!(filing.division.is_empty() || who.covers(&filing.division), "{what}: it was of {}", filing.division);
    assert!(!is_extraordinary(document) || who.covers("100000"), "{what}: {:#}", document["platform"]);
    assert!(document["route"].as_array().is_none_or(Vec::is_empty), "{what}: nobody reserved its path");
    let made: &[BTreeSet<String>] = match step {
        "approve" => &filing.makers,
        "rollback" if Some(document) != filing.in_force.as_ref() => of_version(filing, back),
        _ => &[],
    };
    assert!(!made.iter().any(|maker| could_be_one(maker, who)), "{what}: made by {made:?}");
}
