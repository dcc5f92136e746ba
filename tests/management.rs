//! The management API as its callers meet it: who may call, what is told about a mistake, and the way of a filing.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::citizen::Citizen;
use crate::support::clerk::{Clerk, document, on_machine, served, server, told};
use crate::support::client;
use crate::support::engine::{Engine, on_both};
use crate::support::faulty::{FaultyPlatform, Mood};
use crate::support::filing::Filing;
use crate::support::gateway::Gateway;
use crate::support::platform::RecordingPlatform;
use crate::support::until;
use crate::support::window::UNFILED;

const HANGZHOU: &str = "330100";
const ADDRESS: &str = "/s/330100/000799013000/";

async fn open(engine: &Engine) -> Gateway {
    Gateway::with(|setup| setup.set("stores.register", engine.url())).await
}

on_both! {
    open:
    who_shows_nothing_or_a_wrong_token_is_told_the_next_step_and_counted
    a_platform_files_itself_and_another_operator_puts_it_into_force
    a_change_names_the_version_it_was_made_for
    a_repeated_call_is_carried_out_once_and_a_token_is_shown_once
}

async fn who_shows_nothing_or_a_wrong_token_is_told_the_next_step_and_counted(gateway: Gateway) {
    let whoami = format!("{}/v1/whoami", server(&gateway));
    let http = client().build().unwrap();
    let nobody = told(http.get(&whoami)).await.refused(401, "credentials-needed");
    assert!(nobody.body["detail"].as_str().unwrap().contains("yimen token issue"), "{:#}", nobody.body);
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));
    for wrong in ["Bearer yimen_AAAA", "Bearer", "Basic eDp5", "", "Bearer \u{fc}"] {
        told(http.get(&whoami).header("authorization", wrong)).await.refused(401, "token-refused");
    }
    let clerk = Clerk::of(&gateway, "--role viewer --division 330100 --principal li.lei --scope read");
    let me = clerk.get("/v1/whoami").await.has_status(200).body;
    assert_eq!(
        (&me["principal"], &me["division_name"], &me["rights"]),
        (&json!("li.lei"), &json!("杭州市"), &json!(["read"]))
    );
    let ended = on_machine(&gateway, &["token", "revoke", me["token"].as_str().unwrap()]);
    assert!(ended.status.success());
    clerk.get("/v1/whoami").await.refused(401, "token-refused");
    let counted = async |result: &str| gateway.metric("yimen_management_callers_total", result).await;
    assert_eq!((counted("none").await, counted("refused").await, counted("token").await), (1.0, 6.0, 1.0));
    for path in ["/openapi.json", "/docs"] {
        let open = http.get(format!("{}{path}", server(&gateway))).send().await.unwrap();
        assert_eq!(open.status(), 200, "{path}");
        assert!(path != "/docs" || !open.text().await.unwrap().contains('`'), "code is shown as code");
    }
}

async fn a_platform_files_itself_and_another_operator_puts_it_into_force(gateway: Gateway) {
    let instance = RecordingPlatform::start();
    let platform = Clerk::platform(&gateway, "hangzhou", HANGZHOU);
    let [hangzhou, zhejiang, shanghai] =
        [HANGZHOU, "330000", "310000"].map(|division| Clerk::operator(&gateway, division));
    platform.files(&document("hangzhou", HANGZHOU, UNFILED, instance.address)).await;
    let refused = platform.step("hangzhou", "approve", None).await.refused(403, "forbidden");
    assert_eq!(refused.body["right"], "review");
    shanghai.step("hangzhou", "approve", None).await.refused(404, "not-found");
    // What the city's operator hands in itself, another must approve.
    hangzhou.step("hangzhou", "reject", Some(json!({ "reason": "the contact is nobody" }))).await.has_status(200);
    hangzhou.step("hangzhou", "submit", None).await.has_status(200);
    hangzhou.step("hangzhou", "approve", None).await.refused(403, "self-review");
    let tried = zhejiang.step("hangzhou", "approve?dry_run=true", None).await;
    assert_eq!(tried.has_status(200).body["filing"]["state"], "approved");
    served(&gateway, ADDRESS, 404).await;
    zhejiang.step("hangzhou", "approve", None).await.has_status(200);
    served(&gateway, ADDRESS, 200).await;
    hangzhou.step("hangzhou", "suspend", Some(json!({ "notice": "维护中 maintenance" }))).await.has_status(200);
    served(&gateway, ADDRESS, 503).await;
    hangzhou.step("hangzhou", "resume", None).await.has_status(200);
    served(&gateway, ADDRESS, 200).await;
    let history = platform.get("/v1/filings/hangzhou/history?limit=2").await.has_status(200).body;
    assert_eq!(history["entries"][0]["action"], "resume");
    let more = format!("/v1/filings/hangzhou/history?cursor={}", history["next"].as_str().unwrap());
    assert_eq!(platform.get(&more).await.has_status(200).body["entries"][0]["action"], "approve");
    let platforms = zhejiang.get("/v1/platforms?limit=1").await.has_status(200).body;
    assert_eq!(platforms["entries"][0]["id"], "hangzhou");
    assert_eq!(shanghai.get("/v1/platforms").await.body["entries"], json!([]));
    let lease = format!("/v1/platforms/hangzhou/instances/{}/lease", instance.address);
    let renewed = platform.call(&format!("PUT {lease}"), &[], Some(json!({ "seconds": 60 }))).await;
    assert_eq!(renewed.has_status(200).body["state"], "alive");
    let instances = platform.get("/v1/platforms/hangzhou/instances").await.has_status(200).body;
    assert_eq!(instances["entries"][0]["health"], json!({ "state": "unchecked", "breaker": "closed", "since": null }));
    shanghai.call(&format!("PUT {lease}"), &[], Some(json!({}))).await.refused(404, "not-found");
}

#[tokio::test]
async fn an_instance_that_says_no_more_that_it_is_alive_gets_no_requests_until_it_does() {
    let instance = FaultyPlatform::start(Mood::Answering);
    let gateway = Gateway::with(|setup| {
        setup.filings = vec![Filing::of("leased", HANGZHOU).at(instance.address).path("/leased/", "access = \"open\"")];
    })
    .await;
    let (platform, citizen) = (Clerk::platform(&gateway, "leased", HANGZHOU), Citizen::of(&gateway));
    citizen.get("/leased/").await.has_status(200); // who never spoke of a lease needs none
    let lease = format!("PUT /v1/platforms/leased/instances/{}/lease", instance.address);
    let renew = async |seconds| platform.call(&lease, &[], Some(json!({ "seconds": seconds }))).await.has_status(200);
    renew(5).await;
    citizen.get("/leased/").await.has_status(200);
    let status = async |wanted: u16| {
        let seen = || async { (citizen.get("/leased/").await.status == wanted).then_some(()) };
        until(&format!("/leased/ answers {wanted}"), Duration::from_secs(10), seen).await;
    };
    status(503).await;
    let instances = platform.get("/v1/platforms/leased/instances").await.has_status(200).body;
    assert_eq!(instances["entries"][0]["lease"]["state"], "lost");
    renew(60).await;
    status(200).await;
}

#[tokio::test]
async fn a_token_is_for_a_division_that_exists_and_nodes_are_the_nations() {
    let gateway = Gateway::with(|_| {}).await;
    let refused = on_machine(&gateway, &["token", "issue", "--role", "viewer", "--division", "999999"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.stdout.is_empty() && told.contains("no division 999999"), "{told}");
    for (division, nodes) in [("100000", true), (HANGZHOU, false)] {
        let me = Clerk::operator(&gateway, division).get("/v1/whoami").await.has_status(200).body;
        assert_eq!(me["rights"].as_array().unwrap().contains(&json!("administer")), nodes, "{division}");
    }
}

#[tokio::test]
async fn every_mistake_of_a_document_is_told_at_once_with_its_pointer() {
    let gateway = Gateway::with(|_| {}).await;
    let platform = Clerk::platform(&gateway, "hangzhou", HANGZHOU);
    let mut wrong = document("hangzhou", HANGZHOU, UNFILED, "127.0.0.1:9".parse().unwrap());
    wrong["platform"]["owner"] = json!("113302009900002010");
    wrong["platform"]["colour"] = json!("red");
    wrong["route"][0]["items"] = json!(["000000000000", 7]);
    let put = async |body| platform.call("PUT /v1/filings/hangzhou", &[("if-none-match", "*")], Some(body)).await;
    let refused = put(wrong.clone()).await.refused(422, "invalid-filing");
    for pointer in ["/platform/owner", "/platform/colour", "/route/0/items/0", "/route/0/items/1"] {
        assert!(refused.wrongs().contains(&pointer), "{pointer} is not in {:#}", refused.body);
    }
    platform.get("/v1/filings/hangzhou").await.refused(404, "not-found");
    let validated = platform.call("POST /v1/validate", &[], Some(wrong)).await.has_status(200).body;
    assert_eq!(validated["valid"], false);
    let other = document("shanghai", HANGZHOU, UNFILED, "127.0.0.1:9".parse().unwrap());
    put(other).await.refused(422, "invalid-filing");
    let twice = r#"{"platform":{"id":"a","id":"b"}}"#;
    let http = client().build().unwrap();
    let raw = |body: String| {
        let request = http.put(format!("{}/v1/filings/hangzhou", platform.server)).bearer_auth(&platform.token);
        told(request.header("if-none-match", "*").header("content-type", "application/json").body(body))
    };
    raw(twice.to_owned()).await.refused(422, "invalid-filing");
    raw("[".repeat(100_000)).await.refused(422, "invalid-filing");
    assert_eq!(raw(" ".repeat(3 << 20)).await.status, 413);
}

async fn a_change_names_the_version_it_was_made_for(gateway: Gateway) {
    let platform = Clerk::platform(&gateway, "hangzhou", HANGZHOU);
    let mut first = document("hangzhou", HANGZHOU, UNFILED, "127.0.0.1:9".parse().unwrap());
    first["platform"]["season"] = json!("06-01..07-31");
    let put =
        async |fields: &[(&str, &str)]| platform.call("PUT /v1/filings/hangzhou", fields, Some(first.clone())).await;
    put(&[]).await.refused(428, "condition-needed");
    let made = put(&[("if-none-match", "*")]).await.has_status(201);
    assert_eq!((made.header("etag"), made.header("location")), ("\"1\"", "/v1/filings/hangzhou"));
    let taken = put(&[("if-none-match", "*")]).await.refused(412, "version-conflict");
    assert_eq!((taken.header("etag"), &taken.body["current"]), ("\"1\"", &json!("\"1\"")));
    let read = platform.call("GET /v1/filings/hangzhou", &[("if-none-match", "\"1\"")], None).await;
    assert_eq!((read.status, &read.body), (304, &json!(null)));
    let patch = json!({ "platform": { "contact": "other@example.gov", "function": "answers", "season": null } });
    let patched =
        async |tag| platform.call("PATCH /v1/filings/hangzhou", &[("if-match", tag)], Some(patch.clone())).await;
    patched("\"7\"").await.refused(412, "version-conflict");
    let done = patched("\"1\"").await.has_status(200);
    let document = &done.body["filing"]["document"]["platform"];
    assert_eq!((&document["contact"], document.get("season")), (&json!("other@example.gov"), None));
    assert_eq!(done.header("etag"), "\"2\"");
    patched("\"1\"").await.refused(412, "version-conflict");
    put(&[("if-match", "seven"), ("if-none-match", "x")]).await.refused(400, "invalid-parameters");
}

async fn a_repeated_call_is_carried_out_once_and_a_token_is_shown_once(gateway: Gateway) {
    let nation = Clerk::operator(&gateway, "100000");
    let issue = async |body: &serde_json::Value, key| {
        nation.call("POST /v1/tokens", &[("idempotency-key", key)], Some(body.clone())).await
    };
    let asked = json!({ "principal": "han.meimei", "role": "operator", "division": "330000", "days": 7 });
    let issued = issue(&asked, "key-0001").await.has_status(201);
    let again = issue(&asked, "key-0001").await.has_status(201);
    assert_eq!((&issued.body["id"], issued.header("location")), (&again.body["id"], again.header("location")));
    let secret = issued.body["token"].as_str().unwrap();
    assert_eq!(again.body.get("token"), None, "it is shown once");
    let other = json!({ "principal": "han.meimei", "role": "operator", "division": "310000" });
    issue(&other, "key-0001").await.refused(422, "idempotency-key-reused");
    let zhejiang = Clerk::with_token(&gateway, secret);
    let list = nation.get("/v1/tokens").await.has_status(200).body;
    assert_eq!(list["entries"].as_array().unwrap().len(), 2);
    assert_eq!(zhejiang.get("/v1/tokens").await.body["entries"].as_array().unwrap().len(), 1, "of its subtree");
    for (division, role, allowed) in
        [("330000", "operator", 403), ("330100", "operator", 201), ("310000", "viewer", 403), ("330000", "viewer", 201)]
    {
        let new = json!({ "principal": "x", "role": role, "division": division });
        zhejiang.call("POST /v1/tokens", &[], Some(new)).await.has_status(allowed);
    }
    let wrong =
        json!({ "principal": "machine", "role": "viewer", "division": "999999", "scope": ["review"], "days": 0 });
    let refused = zhejiang.call("POST /v1/tokens", &[], Some(wrong)).await.refused(422, "invalid-body");
    for pointer in ["/principal", "/division", "/scope", "/days"] {
        assert!(refused.wrongs().contains(&pointer), "{pointer} is not in {:#}", refused.body);
    }
    let narrow = Clerk::of(&gateway, "--role operator --division 100000 --principal n --scope issue-tokens");
    let wide = json!({ "principal": "w", "role": "operator", "division": "330000" });
    assert_eq!(narrow.call("POST /v1/tokens", &[], Some(wide)).await.refused(403, "forbidden").body["right"], "read");
    narrow.get("/v1/filings").await.refused(403, "forbidden");
    let id = issued.body["id"].as_str().unwrap();
    let revoked = nation.call(&format!("POST /v1/tokens/{id}/revoke"), &[], None).await.has_status(200);
    assert_eq!((&revoked.body["state"], &revoked.body["revoked_by"]), (&json!("revoked"), &json!("operator.100000")));
    zhejiang.get("/v1/whoami").await.refused(401, "token-refused");
    for file in ["register.db", "register.db-wal"] {
        let bytes = fs::read(gateway.folder.path().join("data").join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "the token is in {file}");
    }
}

#[tokio::test]
async fn a_wrong_method_parameter_or_media_type_is_the_callers_mistake() {
    let gateway = Gateway::with(|_| {}).await;
    let clerk = Clerk::operator(&gateway, "100000");
    let wrong = clerk.call("DELETE /v1/filings", &[], None).await.refused(405, "method-not-allowed");
    assert_eq!(wrong.header("allow"), "GET, HEAD");
    assert_eq!(
        clerk.call("TRACE /v1/tokens", &[], None).await.refused(405, "method-not-allowed").header("allow"),
        "GET, HEAD, POST"
    );
    let wrong =
        clerk.get("/v1/filings?limit=0&stat=draft&division=33&cursor=x").await.refused(400, "invalid-parameters");
    assert_eq!(wrong.wrongs(), ["limit", "stat", "division", "cursor"]);
    assert_eq!(wrong.body["errors"][1]["hint"], "did you mean `state`?");
    clerk.get("/v1/filings/A").await.refused(400, "invalid-parameters");
    clerk.get("/v1/nothing").await.refused(404, "no-resource");
    clerk.call("POST /v1/validate", &[("content-type", "text/plain")], None).await.refused(415, "media-type");
    clerk.call("GET /v1/probe?host=127.0.0.1&path=/", &[], None).await.has_status(200);
}

#[tokio::test]
async fn every_code_is_in_the_readme() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let page = yimen::management::codes();
    for (code, _) in page {
        assert!(readme.contains(&format!("`{code}`")), "README.md does not tell of `{code}`");
    }
}
