//! Roles, personal data and consents of people, on SQLite and on PostgreSQL: the same cases.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use uuid::Uuid;
use yimen::config::RegisterStoreConfig;
use yimen::domain::{Assurance, Personal, PlatformId, SubjectKind, SubjectRole, Timestamp};
use yimen::identity::{By, Grant, IdentityError, People, Vault};
use yimen::store::{AccountRow, AccountState, Durable};

use crate::support::engine::{Engine, on_both};

const DAY: Duration = Duration::from_secs(24 * 3600);
const ID_NUMBER: &str = "110105189912310015";
const PHONE: &str = "13812341234";
const OPERATOR: By<'static> = By { actor: "li.lei", credential: None, role: "operator", request_id: "r-1" };

struct Office {
    people: People,
    durable: Arc<Durable>,
    config: RegisterStoreConfig,
    keys: TempDir,
}

impl Office {
    /// What another node of the same installation knows.
    async fn another(&self) -> People {
        let vault = Arc::new(Vault::load_or_create(self.keys.path()).unwrap());
        People::new(Arc::new(Durable::of(&self.config).await.unwrap()), vault)
    }

    async fn account(&self, login: &str) -> String {
        let row = AccountRow {
            id: Uuid::now_v7(),
            login: login.into(),
            password_hash: "$argon2id$".into(),
            name: "Li Lei".into(),
            kind: SubjectKind::Natural,
            assurance: Assurance::L3,
            state: AccountState::Active,
            created_at: now(),
            changed_at: now(),
        };
        self.durable.insert_account(&row).await.unwrap();
        row.id.to_string()
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

async fn open(engine: &Engine) -> Office {
    let (config, keys) = (engine.config(), tempfile::tempdir().unwrap());
    let durable = Arc::new(Durable::of(&config).await.unwrap());
    let vault = Arc::new(Vault::load_or_create(keys.path()).unwrap());
    Office { people: People::new(durable.clone(), vault), durable, config, keys }
}

fn grant(subject: &str, from: Timestamp, until: Timestamp) -> Grant {
    Grant {
        subject: subject.into(),
        usc: "914403001922038216".parse().unwrap(),
        name: "示例公司".into(),
        role: SubjectRole::LegalRepresentative,
        valid_from: from.day(),
        valid_until: until.day(),
        division: None,
        evidence: None,
    }
}

fn known() -> Personal {
    Personal { id_number: ID_NUMBER.parse().ok(), phone: PHONE.parse().ok() }
}

on_both! {
    open:
    a_role_holds_from_its_first_day_to_its_last
    a_withdrawn_role_holds_on_no_node_after_a_minute
    two_of_one_identity_number_are_refused_and_one_is_found_by_it
    after_a_change_of_keys_everything_opens_without_the_old_one
    a_consent_covers_what_was_agreed_to_until_it_is_withdrawn
    an_erased_account_leaves_nothing_behind
}

async fn a_role_holds_from_its_first_day_to_its_last(office: Office) {
    let (people, today) = (&office.people, now());
    let wang = office.account("wang").await;
    let tomorrow = today.plus(DAY);
    let role = people.grant_role(grant(&wang, tomorrow, tomorrow), OPERATOR, today).await.unwrap();
    let represents = async |at| people.represents(&wang, at).await.unwrap();
    assert!(represents(today).await.is_empty());
    let held = represents(tomorrow).await;
    assert_eq!(
        (held[0].id, held[0].role, held[0].name.as_str()),
        (role.id, SubjectRole::LegalRepresentative, "示例公司")
    );
    assert!(represents(tomorrow.plus(DAY)).await.is_empty());
    assert!(people.role_holds(&held[0], tomorrow).await.unwrap());
    assert!(!people.role_holds(&held[0], tomorrow.plus(DAY)).await.unwrap(), "over: at once, whatever is remembered");
    assert!(people.represents("somebody-else", tomorrow).await.unwrap().is_empty());
    for (from, until) in [(tomorrow, today), (Timestamp::from_millis(0), Timestamp::from_millis(0))] {
        let refused = people.grant_role(grant(&wang, from, until), OPERATOR, today).await;
        assert!(matches!(refused, Err(IdentityError::RoleDays)), "{refused:?}");
    }
    assert!(people.withdraw_role(Uuid::now_v7(), OPERATOR, today).await.is_err());
}

async fn a_withdrawn_role_holds_on_no_node_after_a_minute(office: Office) {
    let (people, other, today) = (&office.people, office.another().await, now());
    let wang = office.account("wang").await;
    let role = people.grant_role(grant(&wang, today, today.plus(DAY)), OPERATOR, today).await.unwrap();
    let held = role.clone().represented(today).unwrap();
    assert!(people.role_holds(&held, today).await.unwrap() && other.role_holds(&held, today).await.unwrap());
    let withdrawn = people.withdraw_role(role.id, OPERATOR, today).await.unwrap();
    assert_eq!(withdrawn.state(today), "withdrawn");
    assert!(!people.role_holds(&held, today).await.unwrap(), "at once where it was withdrawn");
    assert!(
        other.role_holds(&held, today.plus(Duration::from_secs(59))).await.unwrap(),
        "this is what the bound allows"
    );
    assert!(!other.role_holds(&held, today.plus(People::BOUND)).await.unwrap());
    let again = people.withdraw_role(role.id, By { actor: "zhang", ..OPERATOR }, today.plus(DAY)).await.unwrap();
    assert_eq!(again, withdrawn, "who withdrew it first stays");
}

async fn two_of_one_identity_number_are_refused_and_one_is_found_by_it(office: Office) {
    let people = &office.people;
    let (wang, zhang) = (office.account("wang").await, office.account("zhang").await);
    people.set_personal(&wang, &known(), OPERATOR, now()).await.unwrap();
    assert_eq!(people.personal(&wang).await.unwrap(), known());
    assert_eq!(people.subject_of(known().id_number.as_ref().unwrap()).await.unwrap(), Some(wang.clone()));
    let taken = people.set_personal(&zhang, &known(), OPERATOR, now()).await;
    assert!(matches!(taken, Err(IdentityError::IdNumberTaken)), "{taken:?}");
    assert_eq!(people.personal(&zhang).await.unwrap(), Personal::default());
    let phone = Personal { id_number: None, ..known() };
    people.set_personal(&zhang, &phone, OPERATOR, now()).await.unwrap();
    let row = office.durable.personal(&wang).await.unwrap().unwrap();
    let stored = format!("{row:?}");
    assert!(!stored.contains(ID_NUMBER) && !stored.contains(PHONE), "{stored}");
    assert_ne!(
        row.phone,
        office.durable.personal(&zhang).await.unwrap().unwrap().phone,
        "the same twice is sealed apart"
    );
}

async fn after_a_change_of_keys_everything_opens_without_the_old_one(office: Office) {
    let mut subjects = Vec::new();
    for number in 0..3 {
        subjects.push(office.account(&format!("a{number}")).await);
        let personal = Personal { phone: format!("1381234123{number}").parse().ok(), id_number: None };
        office.people.set_personal(&subjects[number], &personal, OPERATOR, now()).await.unwrap();
    }
    office.people.set_personal(&subjects[0], &known(), OPERATOR, now()).await.unwrap();
    assert_eq!(office.people.reseal().await.unwrap(), 0, "there is no other key yet");
    assert_eq!(Vault::rotate(office.keys.path()).unwrap(), "0002.key");
    let with_both = office.another().await;
    assert_eq!(with_both.reseal().await.unwrap(), 3);
    assert_eq!(with_both.reseal().await.unwrap(), 0);
    std::fs::remove_file(office.keys.path().join("0001.key")).unwrap();
    let with_new = office.another().await;
    assert_eq!(with_new.personal(&subjects[0]).await.unwrap(), known());
    assert_eq!(with_new.personal(&subjects[2]).await.unwrap().phone.unwrap().reveal(), "13812341232");
    assert_eq!(with_new.subject_of(known().id_number.as_ref().unwrap()).await.unwrap(), Some(subjects[0].clone()));
    let again = office.people.personal(&subjects[0]).await.unwrap();
    assert_eq!(again, known(), "a node that runs learns the new key");
    let other_keys = tempfile::tempdir().unwrap();
    let wrong = Arc::new(Vault::load_or_create(other_keys.path()).unwrap());
    let without = People::new(office.durable.clone(), wrong).personal(&subjects[0]).await;
    assert!(matches!(without, Err(IdentityError::SealBroken)), "without the key it does not say `none`: {without:?}");
}

async fn a_consent_covers_what_was_agreed_to_until_it_is_withdrawn(office: Office) {
    let (people, other, at) = (&office.people, office.another().await, now());
    let (wang, clinic): (_, PlatformId) = (office.account("wang").await, "clinic".parse().unwrap());
    let name: [Box<str>; 1] = ["name".into()];
    let both: [Box<str>; 2] = ["name".into(), "id_number".into()];
    let second = Duration::from_secs(1);
    assert!(!other.consents_to(&wang, &clinic, &both, at).await.unwrap());
    people.give_consent(&wang, &clinic, &both, OPERATOR, at).await.unwrap();
    assert!(people.consents_to(&wang, &clinic, &both, at).await.unwrap());
    assert!(other.consents_to(&wang, &clinic, &both, at.plus(second)).await.unwrap(), "elsewhere a second later");
    assert!(people.consents_to(&wang, &clinic, &name, at).await.unwrap());
    let more: [Box<str>; 3] = ["name".into(), "id_number".into(), "phone".into()];
    assert!(!people.consents_to(&wang, &clinic, &more, at).await.unwrap(), "a filing that asks for more");
    assert!(!people.consents_to(&wang, &"other".parse().unwrap(), &name, at).await.unwrap());
    assert!(people.withdraw_consent(&wang, &clinic, OPERATOR, at).await.unwrap());
    assert!(!people.withdraw_consent(&wang, &clinic, OPERATOR, at).await.unwrap());
    assert!(!people.consents_to(&wang, &clinic, &both, at).await.unwrap());
    assert!(!other.consents_to(&wang, &clinic, &both, at.plus(second).plus(People::BOUND)).await.unwrap());
    assert!(people.consents_of(&wang).await.unwrap()[0].withdrawn_at.is_some(), "the record stays");
}

async fn an_erased_account_leaves_nothing_behind(office: Office) {
    let (people, at) = (&office.people, now());
    let (wang, zhang) = (office.account("wang").await, office.account("zhang").await);
    for subject in [&wang, &zhang] {
        people.grant_role(grant(subject, at, at.plus(DAY)), OPERATOR, at).await.unwrap();
        people.give_consent(subject, &"clinic".parse().unwrap(), &["name".into()], OPERATOR, at).await.unwrap();
    }
    people.set_personal(&wang, &known(), OPERATOR, at).await.unwrap();
    assert!(people.erase(&wang, OPERATOR, at).await.unwrap());
    assert!(!people.erase(&wang, OPERATOR, at).await.unwrap());
    assert!(office.durable.account_by_login("wang").await.unwrap().is_none());
    assert!(people.roles_of(&wang).await.unwrap().is_empty() && people.consents_of(&wang).await.unwrap().is_empty());
    assert!(people.subject_of(known().id_number.as_ref().unwrap()).await.unwrap().is_none());
    assert_eq!((people.roles_of(&zhang).await.unwrap().len(), people.consents_of(&zhang).await.unwrap().len()), (1, 1));
}
