//! Who is one network, and how a node finds back into it.

use std::time::Duration;

use common::ids::Key;
use harness::cluster::{Cluster, Index, make_secret, set};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};

const TTL: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_secret_does_not_join() {
    let place = Place::shared().await;
    let cluster = Cluster::of(2).start(&place).await;
    let other = place.file("other-secret");
    make_secret(&other);
    let sets = [set("network.secret_file", other.display())];
    let seeds: Vec<_> = cluster.indexes.iter().map(|index| index.udp).collect();
    let stranger = Index::start(&place, 7, &seeds, &sets);
    for index in &cluster.indexes {
        let series = "atoll_dht_datagrams_dropped_total{reason=\"other_network\"}";
        wait::until("the stranger has knocked", SOON, async || {
            index.metric(series).await >= 2
        })
        .await;
        assert_eq!(
            index.metric("atoll_dht_contacts").await,
            1,
            "each other, and nobody else"
        );
    }
    assert_eq!(stranger.metric("atoll_dht_contacts").await, 0);
    let ready = harness::metrics::page(stranger.admin, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("check join.seeds and the secret"),
        "{}",
        ready.text()
    );
    // What it stores for itself is nobody's business.
    let key = Key::of(b"mine");
    stranger.client().put(key, b"x", TTL, SOON).await.unwrap();
    let found = cluster.indexes[0].client().get(key, 1, SOON).await.unwrap();
    assert!(found.values.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_remembered_across_a_restart() {
    let place = Place::shared().await;
    let mut first = Index::start(&place, 0, &[], &[]);
    let others: Vec<Index> = (1..4)
        .map(|n| Index::start(&place, n, &[first.udp], &[]))
        .collect();
    for index in &others {
        index.until_ready().await;
    }
    // The one that all joined through knows nobody by its settings; it remembers them.
    wait::until("it knows the others", EVENTUALLY, async || {
        first.metric("atoll_dht_contacts").await == 3
    })
    .await;
    let status = first.daemon.stop().await;
    assert!(status.success(), "{status}");
    first.daemon.start_again();
    wait::until("it is up", EVENTUALLY, async || {
        harness::metrics::is_ready(first.admin).await
    })
    .await;
    wait::until("it has found back", EVENTUALLY, async || {
        first.metric("atoll_dht_contacts").await == 3
    })
    .await;
    let key = Key::of(b"after");
    others[1]
        .client()
        .put(key, b"value", TTL, SOON)
        .await
        .unwrap();
    let found = first.client().get(key, 1, SOON).await.unwrap();
    assert_eq!(found.values.len(), 1);
}
