//! Any JSON, any order of calls, any principal: the management API answers each call with a status below 500, says why it
//! refuses, and holds no filing that its own check would not take. The calls come from its own OpenAPI document, and from a
//! number that a failure names, so that it can be run again.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::clerk::{Clerk, Told, document};
use crate::support::gateway::Gateway;
use crate::support::window::UNFILED;

/// Calls of a run, and the number that it starts from; `YIMEN_TEST_CALLS` and `YIMEN_TEST_SEED` say others.
const CALLS: u64 = 600;
const SEED: u64 = 20_261_124;
const HANGZHOU: &str = "330100";

/// A generator of numbers that are the same in every run (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let rolled = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(rolled).unwrap() % sides
    }

    fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }

    fn hits(&mut self, of: usize) -> bool {
        self.roll(of) == 0
    }
}

/// What somebody may write for a parameter.
fn word(dice: &mut Dice) -> String {
    let words = [
        "hall",
        "park",
        "nobody",
        "330100",
        "330000",
        "310000",
        "1",
        "0",
        "-1",
        "*",
        "",
        "%00",
        "..%2f",
        "9999999999",
        UNFILED,
    ];
    match dice.roll(20) {
        0 => "x".repeat(3000),
        1 => "127.0.0.1:9".to_owned(),
        2 => "019a0000-0000-7000-8000-000000000000".to_owned(),
        3 => "%E4%B8%80%E9%97%A8".to_owned(),
        _ => (*dice.one_of(&words)).to_owned(),
    }
}

/// Any JSON.
fn junk(dice: &mut Dice, depth: u32) -> Value {
    match dice.roll(if depth == 0 { 7 } else { 9 }) {
        0 => Value::Null,
        1 => json!(dice.hits(2)),
        2 => json!(dice.one_of(&[0_i64, -1, 7, i64::MAX, i64::MIN])),
        3 => json!(1.5e300),
        4 => json!("\u{0}"),
        5 => json!(word(dice)),
        6 => json!("字".repeat(dice.roll(2000))),
        7 => (0..dice.roll(4)).map(|_| junk(dice, depth - 1)).collect(),
        _ => (0..dice.roll(4)).map(|_| (word(dice), junk(dice, depth - 1))).collect(),
    }
}

/// A good document with something in it changed, added or left out.
fn spoilt(dice: &mut Dice, document: &mut Value) {
    let place = match document {
        Value::Object(fields) if !fields.is_empty() => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = dice.one_of(&keys).clone();
            match dice.roll(12) {
                0 => return drop(fields.remove(&key)),
                1 => return drop(fields.insert(word(dice), junk(dice, 2))),
                _ => fields.get_mut(&key).unwrap(),
            }
        }
        Value::Array(entries) if !entries.is_empty() => {
            let at = dice.roll(entries.len());
            if dice.hits(8) {
                return entries.push(entries[at].clone());
            }
            &mut entries[at]
        }
        leaf => return *leaf = junk(dice, 2),
    };
    spoilt(dice, place);
}

/// An operation of the document: method, path, whether it takes a body.
struct Operation {
    method: String,
    path: String,
    parameters: Vec<(String, String)>,
    has_body: bool,
}

fn operations(openapi: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: parameters.map(|one| (text(&one["in"]), text(&one["name"]))).collect(),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(found.len() > 30, "{} operations", found.len());
    found
}

/// A call of an operation; its own callers' tokens are not ended by it, which would end the test.
async fn call(dice: &mut Dice, operation: &Operation, clerk: &Clerk, good: &Value) -> Told {
    let Operation { method, path, parameters, has_body } = operation;
    let (mut path, mut query, mut fields) = (path.clone(), Vec::new(), Vec::new());
    for (place, name) in parameters {
        match place.as_str() {
            "path" if name == "id" && dice.roll(4) > 0 && !path.contains("/tokens/") => {
                path = path.replace("{id}", "hall");
            }
            "path" => path = path.replace(&format!("{{{name}}}"), &word(dice)),
            "query" if dice.hits(3) => query.push(format!("{name}={}", word(dice))),
            "header" if dice.roll(3) > 0 => fields.push((name.clone(), if dice.hits(3) { "\"7\"" } else { "*" })),
            _ => {}
        }
    }
    let body = has_body.then(|| {
        let mut body = if dice.hits(4) { json!({}) } else { good.clone() };
        (0..dice.roll(3)).for_each(|_| spoilt(dice, &mut body));
        if dice.hits(10) { junk(dice, 4) } else { body }
    });
    let target = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    clerk.call(&format!("{method} {target}"), &fields, body).await
}

#[allow(clippy::disallowed_methods, reason = "a test has no configuration file")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test]
async fn no_call_of_anybody_ends_in_a_fault_or_in_a_filing_that_the_check_refuses() {
    let gateway = Gateway::with(|_| {}).await;
    let clerks = [
        Clerk::platform(&gateway, "hall", HANGZHOU),
        Clerk::operator(&gateway, "330000"),
        Clerk::operator(&gateway, "100000"),
        Clerk::of(&gateway, "--role auditor --division 310000"),
        Clerk::with_token(&gateway, "yimen_nobody"),
    ];
    let openapi = clerks[2].get("/openapi.json").await.has_status(200).body;
    let operations = operations(&openapi);
    let good = document("hall", HANGZHOU, UNFILED, SocketAddr::from(([127, 0, 0, 1], 9)));
    clerks[0].files(&good).await;
    let (calls, seed) = (number("YIMEN_TEST_CALLS", CALLS), number("YIMEN_TEST_SEED", SEED));
    let mut dice = Dice(seed);
    let mut refused = 0;
    for turn in 0..calls {
        let (operation, clerk) = (dice.one_of(&operations), dice.one_of(&clerks));
        if operation.path.ends_with("/retire") && turn < calls / 2 {
            continue; // a filing that is gone has no more ways to go
        }
        let told = call(&mut dice, operation, clerk, &good).await;
        let what = format!(
            "seed {seed}, call {turn}, {} {}: {} {:#}",
            operation.method, operation.path, told.status, told.body
        );
        assert!(told.status < 500, "{what}");
        if told.status >= 400 {
            refused += 1;
            assert_eq!(told.header("content-type"), "application/problem+json", "{what}");
            assert!(told.body["code"].is_string() && told.body["detail"].is_string(), "{what}");
        }
    }
    assert!((calls / 4..calls).contains(&refused), "{refused} of {calls} calls were refused");
    let filings = clerks[2].get("/v1/filings").await.has_status(200).body;
    for filing in filings["entries"].as_array().unwrap() {
        let id = filing["id"].as_str().unwrap();
        let view = clerks[2].get(&format!("/v1/filings/{id}")).await.has_status(200).body;
        let kept = view["document"].clone();
        if kept.is_null() {
            assert_eq!(
                (&view["state"], &view["in_force"]),
                (&json!("retired"), &Value::Null),
                "a draft that was withdrawn"
            );
            continue;
        }
        let checked = clerks[2].call("POST /v1/validate", &[], Some(kept.clone())).await.has_status(200).body;
        assert_eq!(checked["valid"], true, "{id}: {checked:#} of {kept:#}");
    }
    gateway.restarted().await;
}
