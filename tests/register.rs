//! The register: lifecycle, rights, conflicts, history, on SQLite and on PostgreSQL; the same cases.

use serde_json::json;
use yimen::config::RegisterStoreConfig;
use yimen::domain::{Role, Timestamp};
use yimen::registry::{Expected, FilingState, Filter, RegisterError, Reserved, Right, Version, Write};

use crate::support::engine::{Engine, on_both};
use crate::support::register::{
    HANGZHOU, NATION, Office, SHANGHAI, ZHEJIANG, actor, by, by_at, bytes, code, document, id, now, operator, owner,
    tried,
};

const PENSION: &str = "002099006000";
const NOTARY: &str = "002099029000";
const AT_XIHU: &str = "/s/330106/002099006000/";

async fn open(engine: &Engine) -> Office {
    Office::open(engine.config()).await
}

on_both! {
    open:
    a_platform_goes_from_draft_to_service_by_two_people
    a_change_waits_beside_what_is_in_force
    rights_follow_the_tree
    who_changes_says_what_they_believe_to_change
    a_dry_run_answers_the_same_and_changes_nothing
    all_mistakes_are_told_at_once_with_pointers
    what_is_too_large_or_too_deep_is_refused_before_it_is_read
    an_equal_place_is_refused_and_the_holder_told_to_whom_may_see_it
    a_path_must_be_reserved
    a_retired_platform_s_place_can_be_taken
    rollback_makes_it_what_it_was
    an_expired_filing_stops_by_itself
    a_filing_renewed_in_time_does_not_stop_on_its_old_day
    lists_go_on_where_they_ended_and_show_a_subtree
    every_change_is_recorded_with_its_hashes
    two_who_change_at_once_do_not_lose_each_other_s_work
    a_node_starts_from_its_copy
    files_are_the_first_content_and_can_be_kept_in_sync
    an_emptied_register_is_not_followed_until_it_is_confirmed
    a_node_that_cannot_take_a_filing_goes_on_with_its_last_good_version
}

async fn a_platform_goes_from_draft_to_service_by_two_people(office: Office) {
    let register = &office.register;
    let (platform, city, province) =
        (owner("hangzhou-hall", HANGZHOU), operator("city.op", HANGZHOU), operator("province.op", ZHEJIANG));
    let hall = id("hangzhou-hall");
    let put = register.put(&by(&platform), &hall, &bytes(&document("hangzhou-hall", HANGZHOU, PENSION))).await.unwrap();
    assert!(put.created && put.changed);
    assert_eq!(put.filing.summary.state, FilingState::Draft);
    assert_eq!(office.found(AT_XIHU), None);
    assert_eq!(code(register.approve(&by(&city), &hall).await), "wrong-state");
    register.submit(&by(&platform), &hall).await.unwrap();
    assert_eq!(code(register.approve(&by(&platform), &hall).await), "forbidden");
    let rejected = register.reject(&by(&city), &hall, "the contact is missing").await.unwrap();
    assert_eq!(rejected.filing.summary.state, FilingState::Draft);
    assert_eq!(rejected.filing.summary.draft.unwrap().reason.as_deref(), Some("the contact is missing"));
    register.submit(&by(&city), &hall).await.unwrap(); // on the platform's behalf
    assert!(matches!(register.approve(&by(&city), &hall).await, Err(RegisterError::SelfReview { .. })));
    register.approve(&by(&province), &hall).await.unwrap();
    assert_eq!(office.found(AT_XIHU), Some(("hangzhou-hall".to_owned(), "active")));
    register.suspend(&by(&city), &hall, "back on Monday").await.unwrap();
    assert_eq!(office.found(AT_XIHU), Some(("hangzhou-hall".to_owned(), "suspended")));
    assert_eq!(office.view("hangzhou-hall").await.notice.as_deref(), Some("back on Monday"));
    assert_eq!(code(register.suspend(&by(&city), &hall, "again").await), "wrong-state");
    register.resume(&by(&city), &hall).await.unwrap();
    assert_eq!(office.found(AT_XIHU), Some(("hangzhou-hall".to_owned(), "active")));
    register.attest(&by(&platform), &hall).await.unwrap();
    assert_eq!(code(register.attest(&by(&city), &hall).await), "forbidden");
    register.retire(&by(&platform), &hall).await.unwrap();
    assert_eq!(office.found(AT_XIHU), Some(("hangzhou-hall".to_owned(), "retired")));
    assert_eq!(code(register.resume(&by(&city), &hall).await), "wrong-state");
}

async fn a_change_waits_beside_what_is_in_force(office: Office) {
    let register = &office.register;
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let (maker, checker) = (operator("maker", NATION), operator("checker", NATION));
    let changed = register.put(&by(&maker), &id("hall"), &bytes(&document("hall", HANGZHOU, NOTARY))).await.unwrap();
    assert_eq!(changed.filing.summary.state, FilingState::Approved);
    assert_eq!(changed.filing.document["route"][0]["items"][0], NOTARY);
    assert_eq!(changed.filing.document_in_force.unwrap()["route"][0]["items"][0], PENSION);
    register.submit(&by(&maker), &id("hall")).await.unwrap();
    assert!(office.found(AT_XIHU).is_some());
    register.approve(&by(&checker), &id("hall")).await.unwrap();
    assert_eq!(office.found(AT_XIHU), None);
    assert!(office.found("/s/330106/002099029000/").is_some());
    let same = register.put(&by(&maker), &id("hall"), &bytes(&document("hall", HANGZHOU, NOTARY))).await.unwrap();
    assert!(!same.changed);
    // What a checker writes afterwards needs another checker.
    register.put(&by(&checker), &id("hall"), &bytes(&document("hall", HANGZHOU, PENSION))).await.unwrap();
    register.submit(&by(&maker), &id("hall")).await.unwrap();
    assert_eq!(code(register.approve(&by(&checker), &id("hall")).await), "self-review");
    assert_eq!(code(register.approve(&by(&maker), &id("hall")).await), "self-review");
}

async fn rights_follow_the_tree(office: Office) {
    let register = &office.register;
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let hall = id("hall");
    let missing = |result: Result<_, RegisterError>| match result {
        Err(RegisterError::Forbidden { right, .. }) => Some(right),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    let suspend = async |who: yimen::domain::Actor| missing(register.suspend(&tried(&who), &hall, "n").await);
    assert_eq!(suspend(operator("o", NATION)).await, None);
    assert_eq!(suspend(operator("o", ZHEJIANG)).await, None);
    assert_eq!(suspend(operator("o", HANGZHOU)).await, None);
    assert_eq!(suspend(owner("hall", HANGZHOU)).await, Some(Right::Suspend));
    // Whoever may not read it does not hear that there is one.
    for elsewhere in [SHANGHAI, "330200", "330106"] {
        let who = operator("o", elsewhere);
        assert_eq!(code(register.suspend(&tried(&who), &hall, "n").await), "not-found", "{elsewhere}");
        assert_eq!(code(register.suspend(&tried(&who), &id("nobody"), "n").await), "not-found", "{elsewhere}");
    }
    for role in [Role::Auditor, Role::Viewer] {
        assert_eq!(suspend(actor("a", role, NATION, None)).await, Some(Right::Suspend));
    }
    let reads = async |who: yimen::domain::Actor| register.get(&who, &hall, now()).await.is_ok();
    assert!(reads(actor("v", Role::Viewer, ZHEJIANG, None)).await);
    assert!(!reads(actor("v", Role::Viewer, SHANGHAI, None)).await);
    assert!(reads(owner("hall", HANGZHOU)).await);
    assert!(!reads(owner("other", HANGZHOU)).await);
    assert!(!reads(actor("nobody", Role::Platform, NATION, None)).await);
    let viewer = actor("v", Role::Viewer, NATION, None);
    assert_eq!(code(register.history(&viewer, &hall, None, 10).await), "forbidden");
    let auditor = actor("a", Role::Auditor, ZHEJIANG, None);
    assert!(register.history(&auditor, &hall, None, 10).await.is_ok());
    assert_eq!(code(register.nodes(&auditor).await), "forbidden");
    // A filing cannot be taken into another division, nor out of one's own.
    let city = operator("o", HANGZHOU);
    let elsewhere = bytes(&document("hall", SHANGHAI, PENSION));
    assert_eq!(code(register.put(&by(&city), &hall, &elsewhere).await), "forbidden");
    assert_eq!(code(register.put(&by(&operator("o", SHANGHAI)), &hall, &elsewhere).await), "id-taken");
    let other = bytes(&document("other", HANGZHOU, NOTARY));
    assert_eq!(code(register.put(&by(&owner("hall", HANGZHOU)), &id("other"), &other).await), "forbidden");
}

async fn who_changes_says_what_they_believe_to_change(office: Office) {
    let register = &office.register;
    let maker = operator("maker", NATION);
    let hall = bytes(&document("hall", HANGZHOU, PENSION));
    assert_eq!(code(register.put(&by_at(&maker, 1), &id("hall"), &hall).await), "version-conflict");
    let absent = Write { expected: Expected::Absent, ..by(&maker) };
    register.put(&absent, &id("hall"), &hall).await.unwrap();
    let conflict = register.put(&absent, &id("hall"), &hall).await.unwrap_err();
    assert!(matches!(conflict, RegisterError::VersionConflict { current: Some(Version(1)) }), "{conflict}");
    register.submit(&by_at(&maker, 1), &id("hall")).await.unwrap();
    let conflict = register.reject(&by_at(&operator("c", NATION), 1), &id("hall"), "no").await.unwrap_err();
    assert!(matches!(conflict, RegisterError::VersionConflict { current: Some(Version(2)) }), "{conflict}");
    assert_eq!(code(register.submit(&by(&maker), &id("nobody")).await), "not-found");
}

async fn a_dry_run_answers_the_same_and_changes_nothing(office: Office) {
    let register = &office.register;
    let maker = operator("maker", NATION);
    let hall = bytes(&document("hall", HANGZHOU, PENSION));
    let told = register.put(&tried(&maker), &id("hall"), &hall).await.unwrap();
    assert!(told.created && told.changed && told.filing.summary.version == Version(1));
    assert_eq!(code(register.get(&maker, &id("hall"), now()).await), "not-found");
    let done = office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let told = register.suspend(&tried(&maker), &id("hall"), "soon").await.unwrap();
    assert_eq!(told.filing.summary.state, FilingState::Suspended);
    assert_eq!(office.view("hall").await, done.filing);
    assert_eq!(office.found(AT_XIHU).unwrap().1, "active");
}

async fn all_mistakes_are_told_at_once_with_pointers(office: Office) {
    let register = &office.register;
    let maker = operator("maker", NATION);
    let mut bad = document("hall", "330199", PENSION);
    bad["platform"]["owner"] = json!("11330106990000076X");
    bad["platform"]["nmae"] = json!("x");
    bad["platform"]["contact"] = json!("a\u{0}b");
    bad["upstream"] = json!([{ "address": "169.254.169.254:80" }, { "address": "localhost:80" }]);
    bad["route"][0]["items"] = json!([PENSION, "000000000000"]);
    let Err(RegisterError::Invalid(mistakes)) = register.put(&by(&maker), &id("hall"), &bytes(&bad)).await else {
        panic!("taken");
    };
    let mut told: Vec<&str> = mistakes.iter().map(|mistake| mistake.pointer.as_str()).collect();
    told.sort_unstable();
    let expected = [
        "/platform/contact",
        "/platform/division",
        "/platform/nmae",
        "/platform/owner",
        "/route/0/items/1",
        "/upstream/0/address",
        "/upstream/1/address",
    ];
    assert_eq!(told, expected, "{mistakes:#?}");
    let mut unfinished = document("hall", HANGZHOU, PENSION);
    unfinished["platform"].as_object_mut().unwrap().remove("filing_number");
    register.put(&by(&maker), &id("hall"), &bytes(&unfinished)).await.unwrap();
    let Err(RegisterError::Invalid(mistakes)) = register.submit(&by(&maker), &id("hall")).await else {
        panic!("submitted");
    };
    assert_eq!(mistakes[0].pointer, "/platform/filing_number");
    assert_eq!(code(register.put(&by(&maker), &id("other"), &bytes(&unfinished)).await), "invalid-filing");
}

async fn what_is_too_large_or_too_deep_is_refused_before_it_is_read(office: Office) {
    let register = &office.register;
    let maker = operator("maker", NATION);
    let put = async |text: &[u8]| code(register.put(&by(&maker), &id("hall"), text).await);
    assert_eq!(put(&vec![b' '; (1 << 20) + 1]).await, "filing-too-large");
    assert_eq!(put("[".repeat(1 << 19).as_bytes()).await, "invalid-filing");
    assert_eq!(put(b"{\"platform\":{},\"platform\":{}}").await, "invalid-filing");
    assert_eq!(put(b"\0").await, "invalid-filing");
    let mut many = document("hall", HANGZHOU, PENSION);
    many["route"] = json!(vec![json!({"path": "/x"}); 10_001]);
    assert_eq!(put(&bytes(&many)).await, "invalid-filing");
    // Nobody files the gateway's own pages away.
    let own = bytes(&document("yimen", NATION, PENSION));
    assert_eq!(code(register.put(&by(&maker), &id("yimen"), &own).await), "invalid-filing");
    assert_eq!(code(register.get(&maker, &id("hall"), now()).await), "not-found");
}

async fn an_equal_place_is_refused_and_the_holder_told_to_whom_may_see_it(office: Office) {
    let register = &office.register;
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let (city, platform) = (operator("city", HANGZHOU), owner("rival", HANGZHOU));
    let rival = bytes(&document("rival", HANGZHOU, PENSION));
    let put = register.put(&by(&platform), &id("rival"), &rival).await.unwrap();
    assert!(put.warnings.iter().any(|warning| warning.pointer == "/route/0"), "{:?}", put.warnings);
    let holder = |result| match result {
        Err(RegisterError::PlaceTaken { holder, route: Some(0), .. }) => holder,
        other => panic!("{other:?}"),
    };
    assert_eq!(holder(register.submit(&by(&platform), &id("rival")).await.map(drop)), None);
    assert_eq!(holder(register.submit(&by(&city), &id("rival")).await.map(drop)), Some(id("hall")));
    // It is judged again when it is approved.
    register.put(&by(&city), &id("rival"), &bytes(&document("rival", HANGZHOU, NOTARY))).await.unwrap();
    register.submit(&by(&city), &id("rival")).await.unwrap();
    office.filed(&document("third", HANGZHOU, NOTARY)).await;
    assert_eq!(holder(register.approve(&by(&operator("o", NATION)), &id("rival")).await.map(drop)), Some(id("third")));
}

async fn a_path_must_be_reserved(office: Office) {
    let register = &office.register;
    let (city, platform) = (operator("city", HANGZHOU), owner("hall", HANGZHOU));
    let mut hall = document("hall", HANGZHOU, PENSION);
    hall["route"] = json!([{ "path": "/hangzhou/hall", "access": "open" }]);
    hall["platform"]["trusted"] = json!(true);
    register.put(&by(&platform), &id("hall"), &bytes(&hall)).await.unwrap();
    assert_eq!(code(register.submit(&by(&platform), &id("hall")).await), "not-reserved");
    assert_eq!(code(register.reserve(&by(&platform), &id("hall"), None, "/hangzhou").await), "forbidden");
    for own in ["/", "/sign-in", "/s/330100", "/a/../b", "no"] {
        assert_eq!(code(register.reserve(&by(&city), &id("hall"), None, own).await), "invalid-filing", "{own}");
    }
    assert!(matches!(register.reserve(&by(&city), &id("hall"), None, "/hangzhou/").await, Ok(Reserved::Proposed(_))));
    assert_eq!(code(register.submit(&by(&platform), &id("hall")).await), "not-reserved", "it is only proposed");
    office.reserved(&id("hall"), None, "/hangzhou/").await;
    register.submit(&by(&platform), &id("hall")).await.unwrap();
    let other = operator("city", SHANGHAI);
    register.put(&by(&other), &id("rival"), &bytes(&document("rival", SHANGHAI, PENSION))).await.unwrap();
    for taken in ["/hangzhou", "/hangzhou/hall/deeper"] {
        let refused = register.reserve(&by(&other), &id("rival"), None, taken).await.unwrap_err();
        assert!(matches!(refused, RegisterError::PlaceTaken { holder: None, .. }), "{refused}");
    }
    register.reserve(&by(&other), &id("rival"), None, "/hangzhou-2").await.unwrap();
    office.reserved(&id("rival"), None, "/hangzhou/metro").await;
    assert_eq!(register.reservations(&city, &id("hall")).await.unwrap().len(), 1);
    register.release(&by(&city), &id("hall"), None, "/hangzhou").await.unwrap();
    assert_eq!(code(register.approve(&by(&operator("n", NATION)), &id("hall")).await), "not-reserved");
    assert_eq!(code(register.release(&by(&city), &id("hall"), None, "/hangzhou").await), "not-found");
}

async fn a_retired_platform_s_place_can_be_taken(office: Office) {
    let register = &office.register;
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    register.retire(&by(&operator("o", NATION)), &id("hall")).await.unwrap();
    office.filed(&document("next", HANGZHOU, PENSION)).await;
    assert_eq!(office.found(AT_XIHU), Some(("next".to_owned(), "active")));
    let again = office.restarted().await.unwrap();
    assert_eq!(again.found(AT_XIHU), Some(("next".to_owned(), "active")));
}

async fn rollback_makes_it_what_it_was(office: Office) {
    let register = &office.register;
    let done = office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let first = done.filing.summary.version;
    office.filed(&document("hall", HANGZHOU, NOTARY)).await;
    let city = operator("city", HANGZHOU);
    register.suspend(&by(&city), &id("hall"), "trouble").await.unwrap();
    assert_eq!(code(register.rollback(&by(&city), &id("hall"), Version(1)).await), "wrong-state");
    assert_eq!(code(register.rollback(&by(&city), &id("hall"), Version(99)).await), "not-found");
    let done = register.rollback(&by(&city), &id("hall"), first).await.unwrap();
    assert_eq!(done.filing.summary.state, FilingState::Approved);
    assert_eq!(done.filing.document["route"][0]["items"][0], PENSION);
    assert_eq!(office.found(AT_XIHU), Some(("hall".to_owned(), "active")));
    let again = register.rollback(&by(&city), &id("hall"), first).await.unwrap();
    assert!(!again.changed);
}

async fn an_expired_filing_stops_by_itself(office: Office) {
    let mut hall = document("hall", HANGZHOU, PENSION);
    let day = |ahead: u64| {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(now().millis()).unwrap()).unwrap();
        let days = jiff::SignedDuration::from_hours(24 * i64::try_from(ahead).unwrap() + 8);
        (time + days).to_string()[..10].to_owned()
    };
    hall["platform"]["valid_until"] = json!(day(1));
    office.filed(&hall).await;
    assert_eq!(office.found(AT_XIHU).unwrap().1, "active");
    let later = Timestamp::from_millis(now().millis() + 3 * 86_400_000);
    office.register.retry(later).await.unwrap();
    office.register.look(later).await;
    assert_eq!(office.found(AT_XIHU).unwrap().1, "expired");
    let register = &office.register;
    assert!(register.get(&operator("o", NATION), &id("hall"), later).await.unwrap().summary.expired);
    // It cannot be approved again as it is; a longer one can.
    let late = Write { now: later, ..by(&operator("maker", NATION)) }.now;
    let maker = operator("maker", NATION);
    let at = |actor| Write { now: late, ..by(actor) };
    hall["platform"]["contact"] = json!("somebody else");
    register.put(&at(&maker), &id("hall"), &bytes(&hall)).await.unwrap();
    assert_eq!(code(register.submit(&at(&maker), &id("hall")).await), "invalid-filing");
    hall["platform"]["valid_until"] = json!(day(400));
    register.put(&at(&maker), &id("hall"), &bytes(&hall)).await.unwrap();
    register.submit(&at(&maker), &id("hall")).await.unwrap();
    let checker = operator("checker", NATION);
    register.approve(&at(&checker), &id("hall")).await.unwrap();
    assert_eq!(office.found(AT_XIHU).unwrap().1, "active");
}

async fn a_filing_renewed_in_time_does_not_stop_on_its_old_day(office: Office) {
    let day = |days: u64| Timestamp::from_millis(now().millis() + days * 86_400_000);
    let date = |days: u64| {
        let time = jiff::Timestamp::from_millisecond(i64::try_from(day(days).millis()).unwrap()).unwrap();
        time.to_string()[..10].to_owned()
    };
    let mut hall = document("hall", HANGZHOU, PENSION);
    hall["platform"]["valid_until"] = json!(date(2));
    office.filed(&hall).await;
    hall["platform"]["valid_until"] = json!(date(400));
    office.filed(&hall).await;
    office.register.look(day(5)).await;
    assert_eq!(office.found(AT_XIHU).unwrap().1, "active");
    office.register.look(day(500)).await;
    assert_eq!(office.found(AT_XIHU).unwrap().1, "expired");
}

async fn lists_go_on_where_they_ended_and_show_a_subtree(office: Office) {
    let register = &office.register;
    let nation = operator("n", NATION);
    for (name, division) in [("a-one", HANGZHOU), ("b-two", SHANGHAI), ("c-three", "330106"), ("d-four", ZHEJIANG)] {
        register.put(&by(&nation), &id(name), &bytes(&document(name, division, PENSION))).await.unwrap();
    }
    let list = async |who: &yimen::domain::Actor, filter: &Filter| {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = register.list(who, filter, after.as_ref(), 2, now()).await.unwrap();
            assert!(page.entries.len() <= 2);
            names.extend(page.entries.iter().map(|entry| entry.id.to_string()));
            after = page.next;
            if after.is_none() {
                return names;
            }
        }
    };
    let all = Filter::default();
    assert_eq!(list(&nation, &all).await, ["a-one", "b-two", "c-three", "d-four"]);
    assert_eq!(list(&operator("z", ZHEJIANG), &all).await, ["a-one", "c-three", "d-four"]);
    assert_eq!(list(&operator("h", HANGZHOU), &all).await, ["a-one", "c-three"]);
    assert_eq!(list(&owner("b-two", SHANGHAI), &all).await, ["b-two"]);
    assert_eq!(
        list(&owner("b-two", SHANGHAI), &Filter { division: Some(HANGZHOU.parse().unwrap()), ..all.clone() }).await,
        [""; 0]
    );
    let xihu = Filter { division: Some("330106".parse().unwrap()), ..all.clone() };
    assert_eq!(list(&nation, &xihu).await, ["c-three"]);
    assert_eq!(list(&operator("s", SHANGHAI), &xihu).await, [""; 0]);
    register.submit(&by(&nation), &id("d-four")).await.unwrap();
    assert_eq!(list(&nation, &Filter { state: Some(FilingState::Submitted), ..all.clone() }).await, ["d-four"]);
    let stranger = Filter { owner: Some("12100000400000624D".parse().unwrap()), ..all };
    assert_eq!(list(&nation, &stranger).await, [""; 0]);
}

async fn every_change_is_recorded_with_its_hashes(office: Office) {
    let register = &office.register;
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let auditor = actor("a", Role::Auditor, NATION, None);
    let page = register.history(&auditor, &id("hall"), None, 2).await.unwrap();
    let words = |page: &yimen::registry::HistoryPage| {
        page.entries
            .iter()
            .map(|change| format!("{} {} {}", change.version, change.action, change.actor))
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&page), ["3 approve checker", "2 submit maker"]);
    let rest = register.history(&auditor, &id("hall"), page.next, 2).await.unwrap();
    assert_eq!(words(&rest), ["1 put maker"]);
    assert_eq!(rest.next, None);
    assert!(rest.entries[0].has_document && !page.entries[0].has_document);
    assert_eq!(page.entries[0].before.as_ref(), Some(&page.entries[1].after));
    assert_eq!(page.entries[1].before.as_ref(), Some(&rest.entries[0].after));
    assert_eq!(rest.entries[0].before, None);
    assert_eq!(page.entries[0].request_id, "r-1");
    let first = register.document(&auditor, &id("hall"), Version(1)).await.unwrap();
    assert_eq!(first["platform"]["id"], "hall");
    assert_eq!(code(register.document(&auditor, &id("hall"), Version(3)).await), "not-found");
}

async fn two_who_change_at_once_do_not_lose_each_other_s_work(office: Office) {
    let register = &office.register;
    let maker = operator("maker", NATION);
    register.put(&by(&maker), &id("hall"), &bytes(&document("hall", HANGZHOU, PENSION))).await.unwrap();
    let edits = (0..8).map(|number| {
        let maker = &maker;
        async move {
            let mut hall = document("hall", HANGZHOU, PENSION);
            hall["platform"]["contact"] = json!(format!("contact {number}"));
            register.put(&by_at(maker, 1), &id("hall"), &bytes(&hall)).await
        }
    });
    let results = futures_util::future::join_all(edits).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.into_iter().filter_map(Result::err).all(|error| error.code() == "version-conflict"));
    assert_eq!(office.view("hall").await.summary.version, Version(2));
}

async fn a_node_starts_from_its_copy(office: Office) {
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    office.register.suspend(&by(&operator("o", NATION)), &id("hall"), "n").await.unwrap();
    let away = RegisterStoreConfig::Postgres(yimen::config::PostgresConfig {
        url: "postgres://yimen@127.0.0.1:1/none".to_owned(),
        password_file: None,
        ca_file: None,
    });
    let Office { register, folder, .. } = office;
    drop(register);
    let cold = Office::try_open(away.clone(), folder, now()).await.unwrap();
    assert!(cold.register.is_away());
    assert_eq!(cold.found(AT_XIHU), Some(("hall".to_owned(), "suspended")));
    let refused = cold.register.resume(&by(&operator("o", NATION)), &id("hall")).await;
    assert_eq!(code(refused), "register-away");
    let nothing = Office::try_open(away, tempfile::tempdir().unwrap(), now()).await.map(drop).unwrap_err();
    assert!(nothing.contains("nothing to serve"), "{nothing}");
}

async fn files_are_the_first_content_and_can_be_kept_in_sync(office: Office) {
    let routes = office.folder.path().join("routes");
    let platforms = routes.join("platforms");
    let write = |name: &str, state: &str, item: &str| {
        let text = format!(
            "[platform]\nid = \"{name}\"\nname = \"n\"\nname_en = \"n\"\nowner = \"11330106990000076T\"\ndivision = \"{HANGZHOU}\"\n\
             function = \"f\"\nscope = \"s\"\napproving_body = \"b\"\napproved_on = \"2026-03-01\"\nfunding = \"m\"\nfiling_number = \"n\"\n\
             valid_until = \"2099-12-31\"\ncontact = \"c\"\nstate = \"{state}\"\n[[upstream]]\naddress = \"10.1.2.3:80\"\n\
             [[route]]\nitems = [\"{item}\"]\n[[route]]\npath = \"/{name}/\"\n"
        );
        std::fs::write(platforms.join(format!("{name}.toml")), text).unwrap();
    };
    let items = [PENSION, NOTARY, "002099007000", "002099027000", "002099040000", "002099020000"];
    for (number, item) in items.iter().enumerate() {
        write(&format!("hall-{number}"), if number == 5 { "draft" } else { "approved" }, item);
    }
    let register = &office.register;
    let synced = register.sync_files(&routes, now()).await.unwrap();
    assert_eq!((synced.changed, synced.withdrawn, synced.rejected), (6, 0, 0), "{:?}", synced.mistakes);
    assert_eq!(office.found(AT_XIHU), Some(("hall-0".to_owned(), "active")));
    assert_eq!(office.found("/hall-1/x").unwrap().0, "hall-1");
    assert_eq!(office.view("hall-5").await.summary.state, FilingState::Draft);
    let again = register.sync_files(&routes, now()).await.unwrap();
    assert_eq!((again.changed, again.withdrawn), (0, 0));
    // A file that is gone is a platform that is gone; one that comes back is back.
    std::fs::rename(platforms.join("hall-1.toml"), platforms.join("hall-1.away")).unwrap();
    assert_eq!(register.sync_files(&routes, now()).await.unwrap().withdrawn, 1);
    assert_eq!(office.found("/hall-1/x").unwrap().1, "retired");
    std::fs::rename(platforms.join("hall-1.away"), platforms.join("hall-1.toml")).unwrap();
    assert_eq!(register.sync_files(&routes, now()).await.unwrap().changed, 1);
    assert_eq!(office.found("/hall-1/x").unwrap().1, "active");
    // What was changed through the register is the register's.
    register.suspend(&by(&operator("o", NATION)), &id("hall-2"), "n").await.unwrap();
    write("hall-2", "approved", items[2]);
    let synced = register.sync_files(&routes, now()).await.unwrap();
    assert_eq!(synced.left_alone, [id("hall-2")]);
    // Many that are gone at once are likelier a mistake.
    for gone in ["hall-0", "hall-1"] {
        std::fs::remove_file(platforms.join(format!("{gone}.toml"))).unwrap();
    }
    let refused = register.sync_files(&routes, now()).await.unwrap_err().to_string();
    assert!(refused.contains("2 of 4"), "{refused}");
    assert_eq!(office.found(AT_XIHU), Some(("hall-0".to_owned(), "active")));
}

async fn an_emptied_register_is_not_followed_until_it_is_confirmed(office: Office) {
    office.filed(&document("hall", HANGZHOU, PENSION)).await;
    let Office { register, folder, .. } = office;
    drop(register);
    let empty = RegisterStoreConfig::Sqlite(folder.path().join("other/register.db"));
    let office = Office::try_open(empty, folder, now()).await.unwrap();
    assert_eq!(office.found(AT_XIHU), Some(("hall".to_owned(), "active")));
    assert_eq!(office.metrics.register_refused.get(), 1);
    office.register.look(now()).await;
    assert!(office.found(AT_XIHU).is_some());
    assert_eq!(code(office.register.confirm(&by(&operator("o", HANGZHOU))).await), "forbidden");
    office.register.confirm(&by(&operator("o", NATION))).await.unwrap();
    assert_eq!(office.found(AT_XIHU), None);
    assert_eq!(office.metrics.register_refused.get(), 0);
}

async fn a_node_that_cannot_take_a_filing_goes_on_with_its_last_good_version(office: Office) {
    let hall = document("hall", HANGZHOU, PENSION);
    office.filed(&hall).await;
    let other = office.another().await;
    let authority = rcgen::generate_simple_self_signed(["hall.example.gov".to_owned()]).unwrap().cert.pem();
    let has_authority = |office: &Office| {
        let folder = office.folder.path().join("routes/tls/hall");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.pem"), &authority).unwrap();
    };
    has_authority(&office);
    let mut changed = document("hall", HANGZHOU, NOTARY);
    changed["platform"]["ca"] = json!("ca.pem");
    changed["upstream"][0]["tls"] = json!(true);
    office.filed(&changed).await;
    other.looks().await;
    assert_eq!(other.found(AT_XIHU), Some(("hall".to_owned(), "active")));
    assert_eq!(other.metrics.filings_quarantined.get(), 1);
    let told = office.view("hall").await.quarantined;
    assert!(told.len() == 1 && told[0].reason.contains("ca.pem"), "{told:?}");
    // The others follow, and started again it still has its last good version.
    let other = other.restarted().await.unwrap();
    assert_eq!(other.found(AT_XIHU), Some(("hall".to_owned(), "active")));
    assert_eq!(other.metrics.filings_quarantined.get(), 1);
    has_authority(&other);
    other.register.retry(now()).await.unwrap();
    assert_eq!(other.found(AT_XIHU), None);
    assert_eq!(other.metrics.filings_quarantined.get(), 0);
}
