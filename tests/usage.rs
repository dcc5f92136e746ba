//! How much platforms are used, as the durable store keeps it, and who is a zombie.

use std::sync::Arc;
use std::time::Duration;

use yimen::domain::Timestamp;
use yimen::registry::Filter;
use yimen::store::Durable;
use yimen::usage::{Totals, Usage, days_after};

use crate::support::engine::{Engine, on_both};
use crate::support::register::{HANGZHOU, NATION, Office, SHANGHAI, ZHEJIANG, document, id, now, operator};
use crate::support::window::{NOTARY, Window};

const DAY: Duration = Duration::from_hours(24);
const ITEMS: [&str; 5] = ["002099006000", "002099029000", "002099001000", "002099039000", "000799013000"];

fn day(number: u32) -> Timestamp {
    now().plus(DAY * number)
}

/// 180 days of two nodes, one of which is started anew every month.
async fn half_a_year(durable: &Arc<Durable>, used: impl Fn(&str, u32) -> u64, platforms: &[&str]) {
    let mut nodes = [Usage::new(durable.clone()), Usage::new(durable.clone())];
    let mut totals = vec![[Totals::default(); 2]; platforms.len()];
    for number in 0..180 {
        if number % 30 == 29 {
            nodes[1] = Usage::new(durable.clone());
            totals.iter_mut().for_each(|total| total[1] = Totals::default());
        }
        for (which, node) in nodes.iter().enumerate() {
            for (platform, total) in platforms.iter().zip(&mut totals) {
                let requests = used(platform, number);
                total[which].requests += requests;
                total[which].successes += requests;
                if requests > 0 {
                    node.met(&id(platform), &format!("visitor-{which}"), day(number));
                }
            }
            let said = platforms.iter().zip(&totals).map(|(platform, total)| (id(platform), total[which]));
            node.keep(said, day(number)).await.unwrap();
        }
        if number.is_multiple_of(20) {
            nodes[0].tidy(day(number)).await.unwrap();
        }
    }
}

on_both! {
    open:
    of_half_a_year_exactly_the_dead_are_listed
}

async fn open(engine: &Engine) -> (Office, Arc<Durable>) {
    (Office::open(engine.config()).await, Arc::new(Durable::of(&engine.config()).await.unwrap()))
}

async fn of_half_a_year_exactly_the_dead_are_listed((office, durable): (Office, Arc<Durable>)) {
    let platforms = ["busy", "weekly", "seasonal", "abandoned", "never"];
    for (platform, item) in platforms.iter().zip(ITEMS) {
        let mut document = document(platform, HANGZHOU, item);
        if *platform == "seasonal" {
            let season =
                |from: u32, to: u32| [day(from).day(), day(to).day()].map(|day| day.strftime("%m-%d").to_string());
            document["platform"]["season"] = season(0, 40).join("..").into();
        }
        office.filed(&document).await;
    }
    let used = |platform: &str, number: u32| match platform {
        "busy" => 100,
        "weekly" if number.is_multiple_of(7) => 1,
        "seasonal" if number < 30 => 50,
        "abandoned" if number < 80 => 10,
        _ => 0,
    };
    half_a_year(&durable, used, &platforms).await;
    let zombies = async |division: &str, idle_days| {
        let actor = operator("auditor", division);
        let page = office.register.zombies(&actor, &Filter::default(), idle_days, None, 500, day(180)).await.unwrap();
        assert_eq!(page.next, None);
        page.entries.into_iter().map(|zombie| zombie.filing.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(zombies(NATION, 90).await, ["abandoned", "never"]);
    let all = operator("auditor", NATION);
    let first = office.register.zombies(&all, &Filter::default(), 90, None, 1, day(180)).await.unwrap();
    assert_eq!((first.entries.len(), first.next.clone()), (1, Some(id("abandoned"))), "the list goes on");
    let rest = office.register.zombies(&all, &Filter::default(), 90, first.next.as_ref(), 1, day(180)).await.unwrap();
    assert_eq!(rest.entries[0].filing.id, id("never"));
    assert_eq!(zombies(ZHEJIANG, 120).await, ["never"]);
    assert!(zombies(SHANGHAI, 90).await.is_empty(), "another subtree's are none of its business");

    let days = days_after(&durable, &id("busy"), day(150).day()).await.unwrap();
    let requests: u64 = days.iter().map(|day| day.counts.requests).sum();
    assert_eq!(requests, 29 * 2 * 100, "two nodes, 29 days");
    let people = yimen::usage::People::together(days.iter().map(|day| &day.people));
    assert_eq!(people.count(), 2);
}

#[tokio::test]
async fn a_day_that_several_runs_counted_is_folded_once_and_an_old_one_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let durable = Arc::new(Durable::open(&folder.path().join("register.db")).await.unwrap());
    let hall = id("hall");
    let first = now();
    for visitor in ["li", "wang", "li"] {
        let run = Usage::new(durable.clone());
        run.met(&hall, visitor, first);
        run.keep([(hall.clone(), Totals { requests: 3, successes: 2, failures: 1, ..Totals::default() })], first)
            .await
            .unwrap();
    }
    let rows = async || durable.days(&hall, "2000-01-01").await.unwrap();
    assert_eq!(rows().await.len(), 3);
    let usage = Usage::new(durable.clone());
    usage.tidy(first.plus(DAY)).await.unwrap();
    assert_eq!(rows().await.len(), 3, "another node may still have something to say");
    usage.tidy(first.plus(3 * DAY)).await.unwrap();
    let folded = rows().await;
    assert_eq!((folded.len(), folded[0].requests, folded[0].failures), (1, 9, 3));
    let people = yimen::usage::People::from_text(&folded[0].people).unwrap();
    assert_eq!(people.count(), 2);
    usage.tidy(first.plus(400 * DAY)).await.unwrap();
    assert!(rows().await.is_empty());
}

#[tokio::test]
async fn a_node_that_ends_has_kept_who_used_what() {
    let mut window = Window::open().await;
    let citizen = window.signed_in().await;
    for _ in 0..3 {
        citizen.get(&format!("/s/330106/{NOTARY}/")).await;
    }
    window.gateway.ends().await;
    let durable = Durable::open(&window.gateway.folder.path().join("data/register.db")).await.unwrap();
    let days = days_after(&durable, &id("hangzhou"), "2000-01-01".parse().unwrap()).await.unwrap();
    let requests: u64 = days.iter().map(|day| day.counts.requests).sum();
    assert_eq!((requests, days.iter().map(|day| day.people.count()).sum::<u64>()), (3, 1));
    assert!(days.iter().all(|day| day.last_success.is_some()));
}
