//! The index in which everybody knows everybody, as real processes.

use std::time::Duration;

use common::ids::Key;
use dht::client::Claim;
use harness::cluster::{Cluster, Index, Wish, set};
use harness::origin::{Origin, Reply};
use harness::place::{Place, Port, host};
use harness::wait::{self, EVENTUALLY, SOON};

const TTL: Duration = Duration::from_secs(60);

fn of(nodes: u8) -> Wish {
    Cluster::of(nodes).indexes_with(set("index.kind", "full"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_put_get_claim_and_outlive_one_of_them() {
    let place = Place::shared().await;
    let mut cluster = of(3).start(&place).await;
    let clients: Vec<_> = cluster.indexes.iter().map(Index::client).collect();
    let key = Key::of(b"key");
    let copies = clients[0].put(key, b"value", TTL, SOON).await.unwrap();
    assert_eq!(copies, 3, "everybody stores it");
    for client in &clients {
        let found = client.get(key, 1, SOON).await.unwrap();
        assert_eq!(found.values.len(), 1);
    }
    for n in 0..20_u8 {
        let key = Key::of(&[n]);
        let (one, other) = tokio::join!(
            clients[1].claim(key, b"one", TTL, SOON),
            clients[2].claim(key, b"other", TTL, SOON),
        );
        let taken = [one.unwrap(), other.unwrap()].map(|claim| claim != Claim::Granted);
        assert!(taken[0] != taken[1], "claim {n}: one is granted, one taken");
    }
    cluster.indexes[2].daemon.kill();
    let found = clients[1].get(key, 1, SOON).await.unwrap();
    assert_eq!(found.values.len(), 1, "at once, by whoever is left");
    for index in &cluster.indexes[..2] {
        wait::until("the death is known", EVENTUALLY, async || {
            index.metric("atoll_dht_contacts").await == 1
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_proxies_over_it_fetch_a_page_once() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = of(3).start(&place).await;
    origin.serves("/page", |_| {
        let reply = Reply::page("one fetch for all").fresh_for(60);
        reply.after(Duration::from_millis(50))
    });
    let page = origin.page("/page");
    let (a, b, c) = tokio::join!(
        cluster.proxies[0].get(&page),
        cluster.proxies[1].get(&page),
        cluster.proxies[2].get(&page),
    );
    for answer in [a, b, c] {
        assert_eq!(
            (answer.status, &answer.body[..]),
            (200, &b"one fetch for all"[..])
        );
    }
    assert_eq!(origin.count("/page"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_kinds_of_index_are_two_networks() {
    let place = Place::shared().await;
    let cluster = of(2).start(&place).await;
    let seeds = [place.at(host::NODE, Port::Index)];
    let stranger = Index::start(&place, 7, &seeds, &[]);
    let series = "atoll_dht_datagrams_dropped_total{reason=\"other_network\"}";
    wait::until("the sloppy one has knocked", SOON, async || {
        cluster.indexes[0].metric(series).await >= 2
    })
    .await;
    assert_eq!(cluster.indexes[0].metric("atoll_dht_contacts").await, 1);
    assert_eq!(stranger.metric("atoll_dht_contacts").await, 0);
}
