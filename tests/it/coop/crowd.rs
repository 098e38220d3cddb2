//! A flash crowd: however many ask wherever, the origin is asked once for each object.

use std::time::Duration;

use harness::cluster::{Cluster, set};
use harness::exec::raise_descriptors;
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::Place;
use tokio::task::JoinSet;

const OBJECTS: u64 = 12;
const CLIENTS: usize = 200;
const SIZE: u64 = 41 * 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_cold_objects_for_200_clients_of_5_proxies_cost_the_origin_twelve_fetches() {
    raise_descriptors();
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(5).start(&place).await;
    for round in 0..3 {
        let path = |n: u64| format!("/{round}/{n}");
        for n in 0..OBJECTS {
            // Each object has bytes of its own, so that none can pass for another.
            origin.serves(&path(n), move |_| {
                let body = pattern::whole(n * 1_000..n * 1_000 + SIZE);
                Reply::page(body)
                    .fresh_for(60)
                    .after(Duration::from_millis(50))
            });
        }
        let mut requests = JoinSet::new();
        for client in 0..CLIENTS {
            for n in 0..OBJECTS {
                let ask = cluster.proxies[client % 5].ask(&origin.page(&path(n)));
                requests.spawn(async move { (n, ask.fetch().await) });
            }
        }
        let mut answered = 0;
        while let Some(request) = requests.join_next().await {
            let (n, answer) = request.unwrap();
            assert_eq!(
                (answer.status, answer.broken),
                (200, None),
                "{}",
                answer.body.len()
            );
            assert!(answer.body == pattern::whole(n * 1_000..n * 1_000 + SIZE));
            answered += 1;
        }
        assert_eq!(answered, CLIENTS * 12);
        let fetches: Vec<usize> = (0..OBJECTS).map(|n| origin.count(&path(n))).collect();
        assert_eq!(fetches, [1; 12], "round {round}: origin fetches per object");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_its_index_still_fetches_once_per_object() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(2).start(&place).await;
    cluster.indexes[0].daemon.kill();
    origin.serves("/page", |_| {
        Reply::page("x")
            .fresh_for(60)
            .after(Duration::from_millis(100))
    });
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let ask = cluster.proxies[0].ask(&origin.page("/page"));
        requests.spawn(async move { ask.fetch().await.text() });
    }
    assert!(requests.join_all().await.iter().all(|text| text == "x"));
    assert_eq!(origin.count("/page"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_at_a_peer_serves_when_the_origin_is_dead() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let cluster = Cluster::of(3).start(&place).await;
    origin.serves("/page", |_| Reply::page("kept").fresh_for(60));
    origin.serves("/old", |_| {
        Reply::page("old").fresh_for(1).header("etag", "\"1\"")
    });
    assert_eq!(
        cluster.proxies[0].get(&origin.page("/page")).await.text(),
        "kept"
    );
    assert_eq!(
        cluster.proxies[0].get(&origin.page("/old")).await.text(),
        "old"
    );
    origin.die().await;
    let answer = cluster.proxies[1].get(&origin.page("/page")).await;
    assert_eq!((answer.status, answer.text()), (200, "kept".to_owned()));
    assert!(
        answer.field("cache-status").contains("peer"),
        "{}",
        answer.field("cache-status")
    );
    // Only here is it stored with a validator alone, and the origin cannot confirm it.
    let answer = cluster.proxies[2].get(&origin.page("/never")).await;
    assert_eq!(answer.status, 502);
    assert_eq!(
        cluster.proxies[0].get(&origin.page("/old")).await.text(),
        "old"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_for_all_proxies_is_one_for_each() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let wish = Cluster::of(2).proxies_with(set("cache.default_hot", "0s"));
    let cluster = wish.start(&place).await;
    origin.serves("/plain", |request| Reply::page(format!("{}", request.nth)));
    for n in 1..=4 {
        let answer = cluster.proxies[n % 2].get(&origin.page("/plain")).await;
        assert_eq!(
            answer.text(),
            n.to_string(),
            "nothing to go by, so nothing is kept"
        );
    }
}
