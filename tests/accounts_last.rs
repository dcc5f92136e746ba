//! Accounts in the durable store.

use std::os::unix::fs::PermissionsExt;

use uuid::Uuid;
use yimen::config::RegisterStoreConfig;
use yimen::domain::{Assurance, SubjectKind, Timestamp};
use yimen::store::{AccountRow, AccountState, Durable, StoreError};

use crate::support::engine::{Engine, on_both};

fn row(login: &str) -> AccountRow {
    AccountRow {
        id: Uuid::now_v7(),
        login: login.into(),
        password_hash: "$argon2id$".into(),
        name: "Li Lei".into(),
        kind: SubjectKind::Agent,
        assurance: Assurance::L3,
        state: AccountState::Active,
        created_at: Timestamp::from_millis(1),
        changed_at: Timestamp::from_millis(1),
    }
}

async fn open(engine: &Engine) -> RegisterStoreConfig {
    engine.config()
}

on_both! {
    open:
    an_account_is_what_was_put_and_outlives_the_process
    a_long_list_comes_in_pages
    several_may_open_a_new_store_together
}

async fn an_account_is_what_was_put_and_outlives_the_process(config: RegisterStoreConfig) {
    let alice = row("alice");
    Durable::of(&config).await.unwrap().insert_account(&alice).await.unwrap();

    let again = Durable::of(&config).await.unwrap();
    assert!(again.account_by_login("a\0b").await.unwrap().is_none());
    assert!(again.account_by_login("alice").await.unwrap() == Some(alice.clone()));
    assert!(again.account_by_id(alice.id).await.unwrap() == Some(alice.clone()));
    assert!(again.account_by_login("Alice").await.unwrap().is_none());
    assert!(matches!(again.insert_account(&row("alice")).await, Err(StoreError::Taken { .. })));

    let later = Timestamp::from_millis(2);
    assert!(again.set_password(alice.id, "$new$", later).await.unwrap());
    assert!(again.set_state(alice.id, AccountState::Disabled, later).await.unwrap());
    assert!(!again.set_state(Uuid::now_v7(), AccountState::Disabled, later).await.unwrap());
    let changed = again.account_by_login("alice").await.unwrap().unwrap();
    let wanted =
        AccountRow { password_hash: "$new$".into(), state: AccountState::Disabled, changed_at: later, ..alice };
    assert!(changed == wanted);
    assert!(!format!("{changed:?}").contains("alice"), "a row in a log shows no person");
}

async fn a_long_list_comes_in_pages(config: RegisterStoreConfig) {
    let store = Durable::of(&config).await.unwrap();
    for number in 0..1005 {
        store.insert_account(&row(&format!("a{number:04}"))).await.unwrap();
    }
    let first = store.accounts("").await.unwrap();
    let rest = store.accounts(&first.last().unwrap().login).await.unwrap();
    assert_eq!((first.len(), rest.len()), (1000, 5));
    assert_eq!(rest[4].login, "a1004");
}

#[tokio::test]
async fn files_and_folder_are_for_the_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/register.db");
    let store = Durable::open(&path).await.unwrap();
    store.insert_account(&row("alice")).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in std::fs::read_dir(path.parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

async fn several_may_open_a_new_store_together(config: RegisterStoreConfig) {
    let opens = (0..4).map(|_| {
        let config = config.clone();
        tokio::spawn(async move { Durable::of(&config).await?.probe().await })
    });
    for open in opens.collect::<Vec<_>>() {
        open.await.unwrap().unwrap();
    }
}
