//! The story that the demo tells, by a real browser and without a line of script of ours.

use crate::demo::Demo;
use crate::support::browser::Browser;

#[tokio::test]
async fn a_person_finds_an_item_picks_a_region_signs_in_and_is_served() {
    let demo = Demo::start().await;
    let origin = demo.told("portal")[0].trim_end_matches('/').to_owned();
    let (login, password) = demo.told("account")[0].split_once(' ').unwrap();
    let first = demo.told("try")[0].strip_prefix(&origin).unwrap().to_owned();
    let item = first.trim_end_matches('/').rsplit_once('/').unwrap().1.to_owned();
    let name = name_of(&item);

    let browser = Browser::open().await;
    browser.visit(&format!("{origin}/")).await;
    browser.click("a[href*='/region']").await;
    for division in ["330000", "330100", "330106"] {
        browser.click(&format!("main a[href*='{division}']")).await;
        browser.arrives_at(division).await;
    }
    browser.click("main form button, main form input[type=submit]").await;
    browser.element_with_text("body", "西湖").await;

    browser.visit(&format!("{origin}/")).await;
    browser.write("input[name=q]", &name).await;
    browser.enter("input[name=q]").await;
    browser.click(&format!("a[href='{first}']")).await;
    browser.arrives_at("/sign-in").await;
    browser.write("input[name=login]", login).await;
    browser.write("input[name=password]", password).await;
    browser.enter("input[name=password]").await;

    browser.arrives_at(&first).await;
    assert_eq!(browser.text("#assertion-status").await, "verified");
    let subject = browser.text("#assertion-sub").await;
    assert!(subject.len() >= 16 && !subject.contains(login), "{subject}");
    let in_hangzhou = browser.text("#platform").await;

    let elsewhere = demo.told("try")[2];
    assert!(elsewhere.contains("/s/53"), "the third address is in Yunnan: {elsewhere}");
    browser.visit(elsewhere).await;
    assert_eq!(browser.text("#assertion-status").await, "verified");
    assert_ne!(browser.text("#platform").await, in_hangzhou);
    assert_ne!(browser.text("#assertion-sub").await, subject, "one name for two platforms");
    browser.close().await;
}

/// The Chinese name of an item, from the table.
fn name_of(item: &str) -> String {
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/routes/items.csv")).unwrap();
    let row = table.lines().find(|row| row.starts_with(item)).unwrap();
    row.split(',').nth(1).unwrap().to_owned()
}
