//! Who may do what, as callers of the management API meet it: tokens and their chains, names, decisions, lists.

use serde_json::{Value, json};

use crate::support::clerk::{Clerk, OWNER, Told, document, on_machine};
use crate::support::engine::{Engine, on_both};
use crate::support::gateway::Gateway;
use crate::support::window::UNFILED;

const HANGZHOU: &str = "330100";
const NINGBO: &str = "330200";

async fn open(engine: &Engine) -> Gateway {
    Gateway::with(|setup| setup.set("stores.register", engine.url())).await
}

on_both! {
    open:
    whoever_issued_a_platform_s_token_does_not_approve_what_it_files
    a_token_that_ends_takes_along_what_was_issued_through_it
    a_name_is_one_person_s
    a_repetition_is_one_s_own
    a_decision_names_the_version_that_was_read
    a_page_shows_nothing_of_what_lies_elsewhere
}

fn filing(id: &str, division: &str) -> Value {
    document(id, division, UNFILED, "127.0.0.1:9".parse().unwrap())
}

fn operator(principal: &str, division: &str) -> Value {
    json!({ "principal": principal, "role": "operator", "division": division })
}

fn platform(principal: &str, id: &str, division: &str) -> Value {
    json!({ "principal": principal, "role": "platform", "division": division, "platform": id })
}

async fn whoever_issued_a_platform_s_token_does_not_approve_what_it_files(gateway: Gateway) {
    let nation = Clerk::operator(&gateway, "100000");
    let city = nation.issues(&gateway, operator("city.one", NINGBO)).await;
    let other = nation.issues(&gateway, operator("city.two", NINGBO)).await;
    let stranger = Clerk::operator(&gateway, NINGBO);
    let puppet = city.issues(&gateway, platform("somebody", "hall", NINGBO)).await;
    puppet.files(&filing("hall", NINGBO)).await;
    for one_chain in [&city, &other, &nation] {
        let refused = one_chain.step("hall", "approve", None).await.refused(403, "self-review");
        assert!(refused.body["detail"].as_str().unwrap().contains("somebody made it"), "{:#}", refused.body);
    }
    stranger.step("hall", "approve?dry_run=true", None).await.has_status(200);
    // Nor does a token further down the chain, made for the purpose.
    city.files(&filing("second", NINGBO)).await;
    let county = city.issues(&gateway, operator("county", "330203")).await;
    county.step("second", "approve", None).await.refused(404, "not-found");
    nation.files(&filing("third", NINGBO)).await;
    city.step("third", "approve", None).await.refused(403, "self-review");
    stranger.step("third", "approve", None).await.has_status(200);
    // History says by which credential each step was made.
    let history = stranger.get("/v1/filings/third/history").await.has_status(200).body;
    let credentials: Vec<&str> =
        history["entries"].as_array().unwrap().iter().map(|change| change["credential"].as_str().unwrap()).collect();
    let whoami = |told: Told| format!("token:{}", told.body["token"].as_str().unwrap());
    let (own, maker) = (whoami(stranger.get("/v1/whoami").await), whoami(nation.get("/v1/whoami").await));
    assert_eq!(credentials, [own.as_str(), &maker, &maker]);
}

async fn a_token_that_ends_takes_along_what_was_issued_through_it(gateway: Gateway) {
    let (nation, other) = (Clerk::operator(&gateway, "100000"), Clerk::operator(&gateway, "330000"));
    let issue =
        async |clerk: &Clerk, new: Value| clerk.call("POST /v1/tokens", &[], Some(new)).await.has_status(201).body;
    let id = |body: &Value| body["id"].as_str().unwrap().to_owned();
    let province = issue(&nation, operator("province", "330000")).await;
    let province_clerk = Clerk::with_token(&gateway, province["token"].as_str().unwrap());
    let city = issue(&province_clerk, operator("city", HANGZHOU)).await;
    let city_clerk = Clerk::with_token(&gateway, city["token"].as_str().unwrap());
    let platform = issue(&city_clerk, platform("hall", "hall", HANGZHOU)).await;
    let platform_clerk = Clerk::with_token(&gateway, platform["token"].as_str().unwrap());
    assert_eq!(platform["issuer"], format!("token:{}", id(&city)));
    assert_eq!(city["issuer"], format!("token:{}", id(&province)));
    let seen = city_clerk.get(&format!("/v1/tokens/{}", id(&city))).await.has_status(200).body;
    assert_eq!(seen["issuer"], Value::Null, "it is the province's token, which the city does not see");
    let revoke = async |clerk: &Clerk, query: &str| {
        clerk.call(&format!("POST /v1/tokens/{}/revoke{query}", id(&province)), &[], None).await
    };
    revoke(&city_clerk, "").await.refused(404, "not-found");
    let tried = revoke(&nation, "?dry_run=true").await.has_status(200).body;
    let named = |told: &Value| told["issued_through"].as_array().unwrap().iter().map(&id).collect::<Vec<_>>();
    assert_eq!((named(&tried), &tried["state"]), (vec![id(&city), id(&platform)], &json!("active")));
    platform_clerk.get("/v1/whoami").await.has_status(200);
    // A peer of the province may, since it is of its subtree.
    let ended = revoke(&other, "").await.has_status(200).body;
    assert_eq!((named(&ended), &ended["issued_through_count"]), (named(&tried), &json!(2)));
    for clerk in [&province_clerk, &city_clerk, &platform_clerk] {
        clerk.get("/v1/whoami").await.refused(401, "token-refused");
    }
    nation.get("/v1/whoami").await.has_status(200);
    // By the command on the machine too.
    let next = nation.issues(&gateway, operator("next", "330000")).await;
    let below = next.issues(&gateway, operator("below", HANGZHOU)).await;
    let whose = next.get("/v1/whoami").await.has_status(200).body;
    let told = on_machine(&gateway, &["token", "revoke", whose["token"].as_str().unwrap()]);
    assert!(String::from_utf8(told.stdout).unwrap().contains("revoked, and 1 issued through it"));
    below.get("/v1/whoami").await.refused(401, "token-refused");
}

async fn a_name_is_one_person_s(gateway: Gateway) {
    let _named = Clerk::of(&gateway, "--role operator --division 100000 --principal nat.op");
    let (province, ningbo) = (Clerk::operator(&gateway, "330000"), Clerk::operator(&gateway, NINGBO));
    let issue = async |clerk: &Clerk, new: Value| clerk.call("POST /v1/tokens", &[], Some(new)).await;
    // The names of those above, in any letters; those that the machine gave out; and of the gateway itself.
    for name in ["nat.op", "Nat.Op", "operator.330000", "OPERATOR.330000", "operator.330200.", "x"] {
        let free = matches!(name, "operator.330200." | "x");
        let told = issue(&ningbo, platform(name, "hall", NINGBO)).await;
        if free { drop(told.has_status(201)) } else { drop(told.refused(409, "principal-taken")) }
    }
    for name in ["machine", "files", "MACHINE"] {
        assert_eq!(
            issue(&ningbo, platform(name, "hall", NINGBO)).await.refused(422, "invalid-body").wrongs(),
            ["/principal"]
        );
    }
    // Dry runs say the same.
    let tried = ningbo.call("POST /v1/tokens?dry_run=true", &[], Some(platform("nat.op", "hall", NINGBO))).await;
    tried.refused(409, "principal-taken");
    // One's own name, for a program of one's own; and names that were given out in one's own subtree.
    issue(&ningbo, platform("operator.330200", "hall", NINGBO)).await.has_status(201);
    issue(&ningbo, platform("x", "hall", NINGBO)).await.has_status(201);
    issue(&province, operator("x", HANGZHOU)).await.has_status(201);
    let shanghai = Clerk::of(&gateway, "--role operator --division 310000 --principal shanghai");
    issue(&shanghai, operator("x", "310100")).await.refused(409, "principal-taken");
    // What a namesake's token does is not the namesake's: whoever made something is known by the credential.
    let wanted = platform("operator.330100", "park", HANGZHOU);
    let hangzhou = Clerk::operator(&gateway, HANGZHOU);
    issue(&province, wanted).await.refused(409, "principal-taken");
    hangzhou.files(&filing("park", HANGZHOU)).await;
    province.step("park", "approve?dry_run=true", None).await.has_status(200);
}

async fn a_repetition_is_one_s_own(gateway: Gateway) {
    let nation = Clerk::operator(&gateway, "100000");
    let key = [("idempotency-key", "key-of-one-01")];
    let first = Clerk::of(&gateway, "--role operator --division 330000 --principal same.name");
    let second = Clerk::of(&gateway, "--role operator --division 310000 --principal same.name");
    let asked =
        |division: &str| json!({ "principal": format!("viewer.{division}"), "role": "viewer", "division": division });
    let one = first.call("POST /v1/tokens", &key, Some(asked("330000"))).await.has_status(201);
    // The same call of a namesake is another call: it has its own answer, and is judged by its own rights.
    second.call("POST /v1/tokens", &key, Some(asked("330000"))).await.refused(403, "forbidden");
    let other = second.call("POST /v1/tokens", &key, Some(asked("310000"))).await.has_status(201);
    assert_ne!(one.body["id"], other.body["id"]);
    let again = first.call("POST /v1/tokens", &key, Some(asked("330000"))).await.has_status(201);
    assert_eq!((&again.body["id"], again.body.get("token")), (&one.body["id"], None));
    let third = nation.call("POST /v1/tokens", &key, Some(asked("330000"))).await.has_status(201);
    assert_ne!(third.body["id"], one.body["id"]);
}

async fn a_decision_names_the_version_that_was_read(gateway: Gateway) {
    let owner = Clerk::platform(&gateway, "hall", HANGZHOU);
    let operator = Clerk::operator(&gateway, "330000");
    owner.files(&filing("hall", HANGZHOU)).await;
    let step = async |what: &str, tag: &str, body: Option<Value>| {
        operator.call(&format!("POST /v1/filings/hall/{what}"), &[("if-match", tag)], body).await
    };
    step("approve", "*", None).await.refused(428, "condition-needed");
    step("approve?dry_run=true", "*", None).await.refused(428, "condition-needed");
    step("reject", "*", Some(json!({ "reason": "no" }))).await.refused(428, "condition-needed");
    // Between the reading and the decision the owner puts another one: it is not decided on.
    let mut other = filing("hall", HANGZHOU);
    other["upstream"][0]["address"] = json!("127.0.0.1:10");
    owner.call("PUT /v1/filings/hall", &[("if-match", "\"2\"")], Some(other)).await.has_status(200);
    owner.step("hall", "submit", None).await.has_status(200);
    step("approve", "\"2\"", None).await.refused(412, "version-conflict");
    step("approve", "\"4\"", None).await.has_status(200);
    // What stops a platform need not be read first.
    step("suspend", "*", Some(json!({ "notice": "n" }))).await.has_status(200);
    step("resume", "*", None).await.refused(428, "condition-needed");
    step("rollback", "*", Some(json!({ "version": 5 }))).await.refused(428, "condition-needed");
    step("resume", "\"6\"", None).await.has_status(200);
}

async fn a_page_shows_nothing_of_what_lies_elsewhere(gateway: Gateway) {
    // Others were there before, between and after.
    let elsewhere =
        |number: u32| Clerk::of(&gateway, &format!("--role viewer --division 310000 --principal s{number}"));
    (0..3).for_each(|number| drop(elsewhere(number)));
    let ningbo = Clerk::operator(&gateway, NINGBO);
    (3..6).for_each(|number| drop(elsewhere(number)));
    let mine = async |path: &str| {
        let (mut ids, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let page = ningbo.get(&format!("{path}?limit=1{cursor}")).await.has_status(200).body;
            ids.extend(
                page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            match page["next"].as_str() {
                None => return (ids, pages),
                Some(next) => {
                    // The cursor is of an entry that the caller has seen.
                    let last: String = ids.last().unwrap().bytes().map(|byte| format!("{byte:02x}")).collect();
                    assert_eq!(next, last, "{path}");
                    cursor = format!("&cursor={next}");
                }
            }
        }
    };
    let own = ningbo.get("/v1/whoami").await.body["token"].as_str().unwrap().to_owned();
    assert_eq!(mine("/v1/tokens").await, (vec![own.clone()], 1));
    let more = ningbo.call("POST /v1/tokens", &[], Some(platform("hall", "hall", NINGBO))).await.has_status(201);
    let both = vec![own, more.body["id"].as_str().unwrap().to_owned()];
    assert_eq!(mine("/v1/tokens").await, (both, 2));
    // Nor do filings, proposals and roles of others show by a cursor.
    let shanghai = Clerk::operator(&gateway, "310000");
    for id in ["a-hall", "z-hall"] {
        let put = format!("PUT /v1/filings/{id}");
        shanghai.call(&put, &[("if-none-match", "*")], Some(filing(id, "310000"))).await.has_status(201);
        let place = json!({ "prefix": format!("/{id}") });
        shanghai.call(&format!("POST /v1/filings/{id}/reservations"), &[], Some(place)).await.has_status(202);
    }
    for path in ["/v1/filings", "/v1/proposals", "/v1/roles", "/v1/platforms", "/v1/routes"] {
        assert_eq!(mine(path).await, (Vec::new(), 1), "{path}");
    }
    let put = "PUT /v1/filings/m-hall";
    ningbo.call(put, &[("if-none-match", "*")], Some(filing("m-hall", NINGBO))).await.has_status(201);
    assert_eq!(mine("/v1/filings").await, (vec!["m-hall".to_owned()], 1));
    let place = "POST /v1/filings/m-hall/reservations";
    let proposed = ningbo.call(place, &[], Some(json!({ "prefix": "/m" }))).await.has_status(202);
    assert_eq!(mine("/v1/proposals").await, (vec![proposed.body["id"].as_str().unwrap().to_owned()], 1));
    // A token for fewer rights sees no proposal of another kind.
    let narrow = Clerk::of(&gateway, "--role operator --division 100000 --principal n --scope read,grant-roles");
    assert_eq!(narrow.get("/v1/proposals").await.has_status(200).body["entries"], json!([]));
    narrow.approves(&proposed).await.refused(404, "not-found");
}

#[tokio::test]
async fn an_owner_s_code_says_nothing_of_whose_it_is() {
    let gateway = Gateway::with(|_| {}).await;
    let (owner, city, nation) = (
        Clerk::platform(&gateway, "hall", HANGZHOU),
        Clerk::operator(&gateway, HANGZHOU),
        Clerk::operator(&gateway, "100000"),
    );
    // A code that begins with 1 is a public body's by its form, and anybody writes it.
    let mut document = filing("hall", HANGZHOU);
    assert!(OWNER.starts_with('1'));
    document["platform"]["attributes"] = json!(["name"]);
    document["platform"]["authority"] = json!(true);
    owner.files(&document).await;
    let refused = city.step("hall", "approve", None).await.refused(403, "forbidden");
    assert!(refused.body["detail"].as_str().unwrap().contains("without their consent"), "{:#}", refused.body);
    nation.step("hall", "approve", None).await.has_status(200);
    // A company is none whoever approves it.
    document["platform"]["owner"] = json!("91330106990000017F");
    let refused =
        owner.call("PUT /v1/filings/hall", &[("if-match", "*")], Some(document)).await.refused(422, "invalid-filing");
    assert_eq!(refused.wrongs(), ["/platform/authority"]);
}
