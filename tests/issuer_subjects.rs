//! What clients of the OpenID Provider learn of whom a session acts for, and of people who have to be asked first: the same as
//! platforms behind the proxy.

use serde_json::json;
use yimen::domain::{Personal, SubjectRole, Timestamp};
use yimen::identity::{By, Grant};
use yimen::issuer::Step;
use yimen::session::Session;

use crate::support::filing::Filing;
use crate::support::issuer::{Provider, Told, answer_in, client, filings, parts_of};
use crate::support::node;

const COMPANY: &str = "914403001922038216";
const MACHINE: By<'static> = By { actor: "machine", credential: None, role: "machine", request_id: "" };

async fn acting(provider: &Provider, subject: &str) -> Session {
    let grant = Grant {
        subject: subject.to_owned(),
        usc: COMPANY.parse().unwrap(),
        name: "示例公司".to_owned(),
        role: SubjectRole::Agent,
        valid_from: provider.now().day(),
        valid_until: provider.now().day(),
        division: None,
        evidence: None,
    };
    provider.people.grant_role(grant, MACHINE, provider.now()).await.unwrap();
    let roles = provider.people.represents(subject, provider.now()).await.unwrap();
    Session { represented: roles.into_iter().next(), ..node::session(subject, provider.now()) }
}

async fn userinfo(provider: &Provider, tokens: &Told) -> Told {
    let shown = format!("Bearer {}", tokens.text("access_token"));
    provider.call_with("userinfo", Some(shown), &[]).await
}

#[tokio::test]
async fn a_client_learns_of_the_company_and_not_of_whoever_acts_for_it() {
    let provider = Provider::open().await;
    let person = provider.signed_in("wang").await;
    let own = provider.tokens(&person, "hall").await;
    let (one, other) = (acting(&provider, "wang").await, acting(&provider, "li").await);
    let live = provider.begun(one, None).await;
    let tokens = provider.tokens(&live, "hall").await;
    let (_, claims) = parts_of(&tokens.text("id_token"));
    assert_eq!(claims["subject_type"], "agent");
    assert_eq!(claims["represented"], json!({ "usc": COMPANY, "name": "示例公司", "role": "agent" }));
    assert_ne!(claims["sub"], parts_of(&own.text("id_token")).1["sub"]);
    let told = userinfo(&provider, &tokens).await;
    assert_eq!(
        (&told.body["sub"], &told.body["name"], &told.body["act"]),
        (&claims["sub"], &json!(null), &json!(null))
    );
    assert_eq!(userinfo(&provider, &own).await.text("name"), "Li Lei the Citizen");
    let live = provider.begun(other, None).await;
    let again = provider.tokens(&live, "hall").await;
    assert_eq!(parts_of(&again.text("id_token")).1["sub"], claims["sub"], "the company is one, whoever acts for it");
}

#[tokio::test]
async fn a_role_that_has_ended_is_acted_in_at_no_client() {
    let provider = Provider::open().await;
    let session = acting(&provider, "wang").await;
    let live = provider.begun(session, None).await;
    provider.passes(2 * 86_400);
    let session = Session {
        authenticated_at: provider.now(),
        ends_at: provider.now().plus(node::config().idle),
        ..live.session.clone()
    };
    let later = provider.begun(session, None).await;
    let answer = provider.answered(Some(&later), &[]).await;
    assert_eq!(answer["error"], "interaction_required");
}

#[tokio::test]
async fn what_a_client_is_given_ends_with_the_last_day_of_the_role() {
    let provider = Provider::open().await;
    let left = Timestamp::end_of(provider.now().day()).since(provider.now());
    provider.passes((left.as_secs() + 86_400).saturating_sub(60)); // a minute before some midnight in China
    let session = acting(&provider, "wang").await;
    let live = provider.begun(session, None).await;
    let tokens = provider.tokens(&live, "hall").await;
    let life = tokens.body["expires_in"].as_u64().unwrap();
    assert!((1..=61).contains(&life), "{life}");
    assert_eq!(userinfo(&provider, &tokens).await.status, 200);
    provider.passes(life + 1);
    assert_eq!(userinfo(&provider, &tokens).await.status, 401);
}

#[tokio::test]
async fn a_platform_outside_the_authority_learns_of_a_person_who_has_agreed() {
    let outside = Filing::of("clinic", "330100").owned_by(COMPANY).with("attributes = [\"name\"]");
    let outside = outside.client(&client("clinic", "scopes = [\"profile\"]"));
    let provider = Provider::filing(filings().into_iter().chain([outside]).collect()).await;
    let live = provider.signed_in("wang").await;
    let clinic = ("client_id", Some("clinic"));
    let none = provider.answered(Some(&live), &[clinic, ("prompt", Some("none"))]).await;
    assert_eq!(none["error"], "consent_required");
    let step = provider.asks(Some(&live), &[clinic]).await.unwrap();
    let Step::Consent { platform, back } = step else { panic!("not to the page that asks: {step:?}") };
    assert_eq!(platform.as_str(), "clinic");
    let resume = back.strip_prefix("/oidc/authorize?").unwrap().as_bytes();
    let again = provider.issuer.authorize(resume, Some(&live), provider.now()).await.unwrap();
    assert!(matches!(again, Step::Consent { .. }), "nothing was agreed to: {again:?}");
    let attributes = [Box::from("name")];
    provider.people.give_consent("wang", &platform, &attributes, MACHINE, provider.now()).await.unwrap();
    let agreed = provider.issuer.authorize(resume, Some(&live), provider.now()).await.unwrap();
    assert!(answer_in(&agreed).contains_key("code"), "{agreed:?}");
    let only_who = provider.answered(Some(&provider.signed_in("li").await), &[clinic, ("scope", Some("openid"))]).await;
    assert!(only_who.contains_key("code"), "a name of its own for somebody needs nobody's consent: {only_who:?}");
    let wished = provider.asks(Some(&live), &[clinic, ("prompt", Some("consent"))]).await.unwrap();
    assert!(matches!(wished, Step::Consent { .. }), "the client wishes it to be asked again");
}

#[tokio::test]
async fn a_telephone_goes_where_it_is_filed_and_asked_for_and_an_identity_number_never() {
    let hall = Filing::of("hall", "330100").with("attributes = [\"phone\", \"id_number\"]");
    let provider = Provider::filing(vec![hall.client(&client("hall", "scopes = [\"profile\", \"phone\"]"))]).await;
    let personal = Personal { id_number: "110105189912310015".parse().ok(), phone: "13812341234".parse().ok() };
    let live = provider.begun(Session { personal, ..node::session("wang", provider.now()) }, None).await;
    let told = async |scope| {
        let answer = provider.answered(Some(&live), &[("scope", Some(scope))]).await;
        userinfo(&provider, &provider.redeem("hall", &answer["code"]).await).await.body
    };
    let asked = told("openid profile phone").await;
    assert_eq!((&asked["phone_number"], &asked["name"]), (&json!("13812341234"), &json!(null)), "no name is filed");
    let less = told("openid profile").await;
    for body in [asked, less.clone()] {
        assert!(body["id_number"].is_null() && body["phone"].is_null(), "{body}");
    }
    assert!(less["phone_number"].is_null(), "{less}");
}
