//! Both address families, every address of a machine, and clients that are near somebody.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dht::client::{ClientError, Refusal, Search};
use dht::shell::Daemon;

use crate::site::{Running, SOON, Site, key, page, until};

/// Three daemons, each with its `udp.listen`, joined through the first; ready.
async fn ring(site: &Site, listens: [&str; 3]) -> Vec<Running> {
    let mut all: Vec<Running> = Vec::new();
    for (n, listen) in listens.into_iter().enumerate() {
        let mut sets = vec![format!("udp.listen={listen}")];
        let seed = all.first().map(|first| first.addr);
        sets.extend(seed.map(|seed| format!("join.seeds={seed}")));
        all.push(site.start(&format!("n{n}"), &sets).await);
    }
    for running in &all {
        until("ready", async || {
            page(running.admin, "/readyz").await.0 == 200
        })
        .await;
    }
    all
}

async fn are_one_index(all: &[Running]) {
    let ttl = Duration::from_secs(60);
    for (n, running) in all.iter().enumerate() {
        let key = key(&format!("from {n}"));
        running.client.put(key, b"value", ttl, SOON).await.unwrap();
        for other in all {
            let found = other.client.get(key, 1, SOON).await.unwrap();
            assert_eq!(found.values[0].bytes, b"value");
        }
    }
    let seen = async || {
        let mut complete = true;
        for running in all {
            let nodes = running.client.nodes(Search::all(9), SOON).await.unwrap();
            complete &= nodes.len() == all.len();
        }
        complete
    };
    until("all know all", seen).await;
}

#[tokio::test]
async fn a_ring_on_ipv6_is_an_index() {
    let site = Site::new();
    let all = ring(&site, ["[::1]:0"; 3]).await;
    assert!(all.iter().all(|running| running.addr.is_ipv6()));
    are_one_index(&all).await;
}

#[tokio::test]
async fn nodes_on_every_address_learn_theirs_from_the_way_to_their_seed() {
    let site = Site::new();
    let all = ring(&site, ["[::1]:0", "[::]:0", "[::1]:0"]).await;
    assert_eq!(all[1].addr.ip(), "::1".parse::<IpAddr>().unwrap());
    are_one_index(&all).await;
}

#[tokio::test]
async fn a_socket_of_both_families_serves_an_ipv4_network() {
    let site = Site::new();
    let all = ring(&site, ["127.0.0.1:0", "[::]:0", "0.0.0.0:0"]).await;
    assert!(all.iter().all(|running| running.addr.is_ipv4()));
    are_one_index(&all).await;
}

#[tokio::test]
async fn a_node_that_cannot_know_its_address_does_not_start() {
    let site = Site::new();
    let sets = ["udp.listen=[::]:0", "join.seeds=127.0.0.1:9,[::1]:9"].map(str::to_owned);
    let Err(error) = Daemon::bind(site.config("one", &sets)).await else {
        panic!("it started")
    };
    let said = error.to_string();
    assert!(said.contains("set udp.advertise"), "{said}");
}

#[tokio::test]
async fn a_hint_brings_the_hinted_nodes_cluster_first() {
    let site = Site::new();
    let all = site.cluster(3).await;
    let http: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let _session = all[1].client.service("http", http).await.unwrap();
    let (client, rtt) = ("198.51.100.7".parse().unwrap(), Duration::from_millis(8));
    let hour = Duration::from_secs(3_600);
    let stored = all[2].client.hint(client, rtt, hour, SOON).await.unwrap();
    assert!(stored >= 2);
    let neighbour: Option<IpAddr> = Some("198.51.100.99".parse().unwrap());
    let found = async |count: usize, service: Option<&str>| {
        let search = Search {
            near: neighbour,
            service,
            ..Search::all(count)
        };
        all[0].client.nodes(search, SOON).await.unwrap()
    };
    until("the service is found near the client", async || {
        let nodes = found(9, Some("http")).await;
        nodes.len() == 1 && nodes[0].addr == all[1].addr
    })
    .await;
    assert_eq!(found(9, None).await.len(), 3);
    let far = Duration::from_secs(3);
    let refused = all[2].client.hint(client, far, hour, SOON).await;
    assert_eq!(refused, Err(ClientError::Refused(Refusal::Malformed)));
}
