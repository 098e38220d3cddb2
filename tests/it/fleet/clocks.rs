//! Calendars that lie: the controller's, and a node's. Nothing waits for a calendar; people are told.

use std::time::Duration;

use harness::binaries::Program;
use harness::calendar::Calendar;
use harness::client::Page;
use harness::cluster::{Cluster, Proxy};
use harness::exec::{Ran, run_ours};
use harness::fleet::{Controller, Node, ours};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY};
use serde_json::Value;

const OWN: [&str; 1] = ["--together"];

const DAY_S: i64 = 86_400;

/// By how much the controller is ahead of the node, as the node's agent has it.
fn ahead(status: &Value) -> i64 {
    status["controller_ahead_s"].as_i64().unwrap_or(i64::MIN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_of_another_day_leads_its_nodes_as_ever() {
    let place = Place::shared().await;
    let Some(calendar) = Calendar::right(&place) else {
        return;
    };
    let controller = Controller::start_among(&calendar.vars(), &place).await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        controller.publish(&place, version, ours).await;
    }
    let node = Node::start(&place, &controller, 0, &OWN).await;
    controller
        .order(&place, &node.name, &node.wish(&place, "1.0.0"))
        .await;
    node.until_runs(1).await;
    assert!(!node.told(&[]).await.out.contains("calendar"));
    // Three days ahead, then back; an order is followed in either.
    for (serial, says, days, words) in [
        (
            2,
            "+3d",
            3,
            "the controller's is about 3 days ahead of this node's",
        ),
        (
            3,
            "-3d",
            -3,
            "the controller's is about 3 days behind this node's",
        ),
    ] {
        let pid = node.pid("proxy");
        calendar.says(says);
        let apart = |status: &Value| (ahead(status) - days * DAY_S).abs() < 30;
        node.until(&format!("it sees a calendar of {says}"), apart)
            .await;
        let status = node.status().await;
        assert_eq!(status["report"]["in_force"], serial - 1);
        assert!(
            status["failing"].is_null() && status["refused"].is_null(),
            "{status}"
        );
        assert_eq!(node.pid("proxy"), pid, "nothing was started anew");
        let told = node.told(&[]).await;
        skip::say(&format!("{}\n", told.out));
        assert!(
            told.code == Some(0) && told.out.contains(words),
            "{}",
            told.out
        );
        let release = format!("1.{}.0", serial - 1);
        controller
            .order(&place, &node.name, &node.wish(&place, &release))
            .await;
        node.until_runs(serial).await;
    }
    calendar.says("+0");
    node.until("the calendars agree", |status| ahead(status).abs() < 30)
        .await;
    assert!(!node.told(&[]).await.out.contains("calendar"));
    let listed = controller.ask(&["node", "list"]).await.ok();
    assert!(listed.contains("reef0"), "{listed}");
}

/// What the doctor finds at a proxy and its index.
async fn doctor(cluster: &Cluster, n: usize) -> Ran {
    let admins = [cluster.proxies[n].admin, cluster.indexes[n].admin].map(|one| one.to_string());
    let [proxy, index] = &admins;
    run_ours(
        Program::Atoll,
        &["doctor", "--admin", proxy, "--admin", index],
    )
    .await
}

async fn is_hit(proxy: &Proxy, page: &Page) -> bool {
    proxy
        .get(page)
        .await
        .field("cache-status")
        .contains("; hit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_calendar_is_set_by_days_keeps_what_it_has_for_as_long_as_it_may() {
    let place = Place::shared().await;
    let Some(calendar) = Calendar::right(&place) else {
        return;
    };
    let origin = Origin::start(&place).await;
    origin.serves("/lasting", |_| Reply::page("lasting").fresh_for(600));
    origin.serves("/brief", |_| Reply::page("brief").fresh_for(2));
    let wish = Cluster::of(3)
        .node_among(0, calendar.vars())
        .name_servers(1);
    let cluster = wish.start(&place).await;
    let (odd, lasting, brief) = (
        &cluster.proxies[0],
        origin.page("/lasting"),
        origin.page("/brief"),
    );
    assert_eq!(odd.get(&lasting).await.text(), "lasting");
    for (says, days) in [("+3d", 3), ("-2d", -2), ("+0", 0)] {
        // What is brief comes under one calendar and lives on under the next.
        let before = origin.count("/brief");
        calendar.says(says);
        wait::until("the doctor sees the calendar", EVENTUALLY, async || {
            let ran = doctor(&cluster, 0).await;
            let wrong = ran.out.matches("WRONG   clock").count();
            if wrong == 2 && days == 3 {
                skip::say(&ran.out);
            }
            wrong == if days == 0 { 0 } else { 2 }
        })
        .await;
        assert!(
            is_hit(odd, &lasting).await,
            "{says}: it is as fresh as before"
        );
        assert_eq!(odd.get(&brief).await.text(), "brief");
        wait::until("what is brief is asked for anew", EVENTUALLY, async || {
            odd.get(&brief).await.text() == "brief" && origin.count("/brief") >= before + 2
        })
        .await;
        let age = odd.get(&lasting).await.field("age").parse::<i64>();
        assert!(age.is_ok_and(|age| age < 300), "{says}");
        for proxy in &cluster.proxies[1..] {
            assert_eq!(proxy.get(&lasting).await.text(), "lasting", "{says}");
        }
    }
    assert_eq!(
        origin.count("/lasting"),
        1,
        "one fetch for all of them, all the time"
    );
    cluster.servers[0].until_naming(&cluster.proxies).await;
    for index in &cluster.indexes {
        index.until_ready().await;
    }
    assert_eq!(doctor(&cluster, 0).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_and_its_daemons_go_on_when_their_calendar_is_set() {
    let place = Place::shared().await;
    let Some(calendar) = Calendar::right(&place) else {
        return;
    };
    let controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller.publish(&place, "1.1.0", ours).await;
    let mut node = Node::start_among(&calendar.vars(), &place, &controller, 0, &OWN).await;
    controller
        .order(&place, &node.name, &node.wish(&place, "1.0.0"))
        .await;
    node.until_runs(1).await;
    let pid = node.pid("proxy");
    calendar.says("+3d");
    let behind = |status: &Value| (ahead(status) + 3 * DAY_S).abs() < 30;
    node.until("it is ahead of its controller", behind).await;
    assert_eq!(node.status().await["report"]["in_force"], 1);
    assert_eq!(node.pid("proxy"), pid, "nothing was started anew");
    // It is started there, and again after the calendar was put right: its reports are news all the same.
    for says in ["+3d", "+0"] {
        calendar.says(says);
        node.agent.kill();
        node.agent.start_again();
        node.until_runs(1).await;
    }
    controller
        .order(&place, &node.name, &node.wish(&place, "1.1.0"))
        .await;
    node.until_runs(2).await;
    let heard = async || {
        let shown = controller.ask(&["node", "list"]).await.ok();
        shown.contains("1.1.0")
    };
    wait::until("the controller hears of it", EVENTUALLY, heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_clock_is_a_tenth_fast_serves_and_stays() {
    let place = Place::shared().await;
    let Some(calendar) = Calendar::fast(&place) else {
        return;
    };
    let origin = Origin::start(&place).await;
    origin.serves("/page", |_| Reply::page("page").fresh_for(10));
    let wish = Cluster::of(3)
        .node_among(0, calendar.vars())
        .name_servers(1);
    let cluster = wish.start(&place).await;
    let (odd, page) = (&cluster.proxies[0], origin.page("/page"));
    let began = wait::now();
    let mut hits = 0;
    while wait::now().since(began) < Duration::from_secs(25) {
        for proxy in &cluster.proxies {
            let answer = proxy.get(&page).await;
            assert_eq!((answer.status, answer.text()), (200, "page".to_owned()));
            hits += u32::from(answer.field("cache-status").contains("; hit"));
        }
        wait::pause(Duration::from_millis(100)).await;
    }
    // Ten seconds are nine there: three fetches in 25 s, one more than elsewhere at the most.
    let fetches = origin.count("/page");
    skip::say(&format!("{hits} hits, {fetches} fetches in 25 s\n"));
    assert!((3..=5).contains(&fetches), "{fetches} fetches");
    let contacts = cluster.indexes[1].metric("atoll_dht_contacts").await;
    assert_eq!(contacts, 2, "the others know it");
    for index in &cluster.indexes {
        index.until_ready().await;
    }
    assert!(cluster.servers[0].names(odd, &page.host).await);
    // It is a minute ahead by now, as after ten minutes.
    let told = doctor(&cluster, 0).await;
    assert_eq!(
        (told.code, told.out.matches("WRONG   clock").count()),
        (Some(3), 2),
        "{}",
        told.out
    );
}
