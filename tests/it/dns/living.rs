//! Proxies that die while visitors ask, and what operators see of it. Small versions of
//! `bench dns-kill` and `bench dns-churn`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::check_page::{CheckPage, Death};
use harness::cluster::{Cluster, NameServer, set};
use harness::metrics;
use harness::origin::ZONE;
use harness::place::{Place, Port, host};
use harness::resolver::ask;
use harness::wait::{EVENTUALLY, SOON, now, pause, until};
use harness::watch::Watch;
use hickory_proto::rr::RecordType;
use serde_json::Value;

/// What the network promises.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_killed_one_after_the_other_under_load_are_not_named_three_seconds_later() {
    // It measures time, and the prober forgives when the machine is starved.
    let place = Place::alone().await;
    let mut cluster = Cluster::of(6).name_servers(1).start(&place).await;
    let watch = Watch::start(cluster.servers[0].dns, 2);
    let all = async || watch.seen().named.len() == 6;
    until("all are named", EVENTUALLY, all).await;
    let mut died = Vec::new();
    for victim in [1, 3, 4] {
        cluster.proxies[victim].daemon.kill();
        died.push((cluster.proxies[victim].http.ip(), now()));
        pause(Duration::from_millis(370)).await;
    }
    pause(FORGOTTEN_WITHIN + Duration::from_secs(1)).await;
    for (ip, at) in died {
        let named = watch.last_named(ip).unwrap().since(at);
        assert!(named <= FORGOTTEN_WITHIN, "{ip} was named for {named:?}");
    }
    let seen = watch.seen();
    assert_eq!(seen.empty, 0, "three are alive all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_fifth_comes_and_goes_no_answer_names_the_long_dead() {
    let place = Place::alone().await;
    let mut pages = Vec::new();
    for n in 0..30 {
        pages.push(CheckPage::start(place.at(host::NODE + n, Port::Http)).await);
    }
    let proxies: Vec<_> = pages.iter().map(|page| page.addr).collect();
    let server = NameServer::alone(&place, &proxies, &[]);
    server.until_live(30).await;
    let dead = Arc::new(Mutex::new(BTreeMap::new()));
    let late = Arc::new(Mutex::new(Vec::new()));
    let watch = {
        let (dead, late) = (Arc::clone(&dead), Arc::clone(&late));
        let listener = move |ip, read: common::clock::Moment| {
            if let Some(since) = dead.lock().unwrap().get(&ip)
                && read.since(*since) > FORGOTTEN_WITHIN
            {
                late.lock().unwrap().push((ip, read.since(*since)));
            }
        };
        Watch::listening(server.dns, 2, Arc::new(listener))
    };
    for round in 0..2_usize {
        for (n, page) in pages.iter_mut().enumerate().skip(round).step_by(5) {
            page.die(Death::ALL[n % Death::ALL.len()]).await;
            dead.lock().unwrap().insert(page.addr.ip(), now());
        }
        pause(FORGOTTEN_WITHIN + Duration::from_secs(2)).await;
        dead.lock().unwrap().clear();
        for page in pages.iter_mut().skip(round).step_by(5) {
            page.revive().await;
        }
    }
    assert_eq!(*late.lock().unwrap(), []);
    assert!(watch.seen().answers > 100);
    assert_eq!(watch.seen().empty, 0);
    server.until_live(30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_happened_to_each_proxy_who_was_named_and_what_was_asked() {
    let place = Place::shared().await;
    let mut pages = Vec::new();
    for n in 0..3 {
        pages.push(CheckPage::start(place.at(host::NODE + n, Port::Http)).await);
    }
    let proxies: Vec<_> = pages.iter().map(|page| page.addr).collect();
    let log = place.file("queries.json");
    let sets = [
        set("log.queries", "json"),
        set("log.queries_file", log.display()),
        set("check.proxies_max", 2),
    ];
    let server = NameServer::alone(&place, &proxies, &sets);
    server.until_live(2).await;
    for n in 0..200 {
        let name = format!("n{n}.example.com.{ZONE}.");
        ask(server.dns, &name, RecordType::A).await;
    }
    let state = async || -> Value {
        serde_json::from_str(&metrics::page(server.admin, "/state").await.text()).unwrap()
    };
    let seen = state().await;
    assert_eq!((&seen["known"], &seen["live"]), (&3.into(), &2.into()));
    assert_eq!(seen["unchecked"].as_array().unwrap().len(), 1);
    assert_eq!(seen["checks"]["by_why"]["fixed"], 2);
    let first = &seen["proxies"][0];
    let changes = first["changes"].as_array().unwrap();
    assert_eq!(
        (&changes[0]["what"], &changes[0]["why"]),
        (&"checked".into(), &"fixed".into())
    );
    assert_eq!(changes[1]["what"], "live");
    assert!(
        first["page_us"]["p50"]
            .as_u64()
            .is_some_and(|micros| micros > 0)
    );
    assert_eq!(first["checks"]["good"], first["checks"]["all"]);
    // One reply in sixteen is looked at: of two hundred, some.
    assert!(first["named"].as_u64().is_some_and(|named| named > 0));

    let address = first["addr"].as_str().unwrap();
    let victim = pages
        .iter_mut()
        .find(|page| page.addr.to_string() == address);
    victim.unwrap().die(Death::Failing).await;
    until("its fault is in its history", SOON, async || {
        let seen = state().await;
        let last = seen["proxies"][0]["changes"]
            .as_array()
            .unwrap()
            .last()
            .cloned();
        last.is_some_and(|last| last["what"] == "out" && last["why"] == "status")
    })
    .await;
    let series = "atoll_dns_checks_failed_total{fault=\"status\"}";
    assert!(metrics::value(server.admin, series).await > 0);
    assert_eq!(
        metrics::value(server.admin, "atoll_dns_detection_seconds_count").await,
        1
    );
    noted(&log).await;
}

/// Two hundred questions and more are in the log, of each client no more than its network.
async fn noted(log: &std::path::Path) {
    until("all is in the log", SOON, async || {
        std::fs::read_to_string(log).unwrap().lines().count() >= 200
    })
    .await;
    let text = std::fs::read_to_string(log).unwrap();
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&line["type"], &line["answers"]), (&"A".into(), &2.into()));
    assert!(line["client"].as_str().unwrap().ends_with(".0/24"));
    assert!(
        line["name"]
            .as_str()
            .unwrap()
            .ends_with(".example.com.nyud.test.")
    );
}
