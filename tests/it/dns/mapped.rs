//! Clients of whom nobody has measured anything are sent where the map says that they are near, with an
//! index and without one.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use harness::binaries::Program;
use harness::cluster::{Cluster, NameServer, set};
use harness::exec;
use harness::map::mmdb;
use harness::metrics;
use harness::place::{Place, host};
use harness::resolver::addresses;
use harness::wait::{self, EVENTUALLY};
use rustix::process::Signal;
use serde_json::Value;

use super::nearness::ask;

const BERLIN: (f64, f64) = (52.52, 13.40);
const PARIS: (f64, f64) = (48.86, 2.35);
const TOKYO: (f64, f64) = (35.68, 139.69);

/// Clients in Paris, in Tokyo, there again, and nowhere.
const NEAR_PARIS: [u8; 4] = [127, 251, 1, 9];
const NEAR_TOKYO: [u8; 4] = [127, 251, 2, 9];
const LATER_IN_TOKYO: [u8; 4] = [127, 251, 3, 9];
const NOWHERE: [u8; 4] = [127, 251, 4, 9];

/// A network of clients, for a map.
fn network(client: [u8; 4], (north, east): (f64, f64)) -> (Ipv4Addr, u8, f64, f64) {
    (client.into(), 24, north, east)
}

/// A proxy, for a map.
fn at(address: IpAddr, (north, east): (f64, f64)) -> (Ipv4Addr, u8, f64, f64) {
    let IpAddr::V4(address) = address else {
        unreachable!("places are on IPv4");
    };
    (address, 32, north, east)
}

async fn explained(server: &NameServer, client: [u8; 4]) -> Value {
    let (client, admin) = (IpAddr::from(client).to_string(), server.admin.to_string());
    let name = "www.example.com.nyud.test";
    let args = [
        "dns", "explain", name, "--json", "--client", &client, "--server", &admin,
    ];
    let ran = exec::run_ours(Program::Atoll, &args).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

async fn is_sent_to(server: &NameServer, client: [u8; 4], proxy: IpAddr) {
    let client = IpAddr::from(client);
    wait::until(
        "the nearest by the map is named, and no other",
        EVENTUALLY,
        async || {
            // By chance it is one time in three.
            let mut all = BTreeSet::new();
            for _ in 0..12 {
                all.extend(addresses(&ask(server.dns, client, None).await));
            }
            all == BTreeSet::from([proxy])
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_nobody_measured_is_sent_to_the_nearest_by_the_map_and_the_map_can_be_replaced() {
    let place = Place::shared().await;
    let file = place.file("places.mmdb");
    // The proxies' addresses are known before they are started.
    let node = |n: u8| place.ip(host::NODE + n);
    let [one, two, three] = [0, 1, 2].map(node);
    let clients = [
        network(NEAR_PARIS, PARIS),
        network(NEAR_TOKYO, TOKYO),
        network(LATER_IN_TOKYO, TOKYO),
    ];
    let write = |places: [(f64, f64); 3]| {
        let proxies = [one, two, three].into_iter().zip(places);
        let mut all: Vec<_> = proxies.map(|(proxy, place)| at(proxy, place)).collect();
        all.extend(clients);
        std::fs::write(&file, mmdb(&all)).unwrap();
    };
    write([BERLIN, PARIS, TOKYO]);
    let cluster = Cluster::of(3)
        .name_servers(1)
        .servers_with(set("answer.count", 1))
        .servers_with(set("near.map_file", file.display()))
        .start(&place)
        .await;
    let server = &cluster.servers[0];
    let proxies: Vec<_> = cluster
        .proxies
        .iter()
        .map(|proxy| proxy.http.ip())
        .collect();
    assert_eq!(proxies, [one, two, three]);
    is_sent_to(server, NEAR_PARIS, two).await;
    is_sent_to(server, NEAR_TOKYO, three).await;
    let why = explained(server, NEAR_TOKYO).await;
    assert_eq!(
        (why["source"].as_str(), why["reason"].as_str()),
        (Some("map"), Some("mapped_l2")),
        "{why}"
    );
    let why = explained(server, NOWHERE).await;
    assert_eq!(why["source"].as_str(), Some("own"), "{why}");

    // Proxies move, in a new edition of the file; a damaged one changes nothing.
    std::fs::write(&file, b"no map").unwrap();
    server.daemon.signal(Signal::HUP);
    wait::until("it is refused", EVENTUALLY, async || {
        let failed = "atoll_dns_reloads_total{outcome=\"failed\"}";
        metrics::value(server.admin, failed).await == 1
    })
    .await;
    is_sent_to(server, NEAR_TOKYO, three).await;
    write([TOKYO, PARIS, BERLIN]);
    server.daemon.signal(Signal::HUP);
    wait::until("it is taken over", EVENTUALLY, async || {
        let done = "atoll_dns_reloads_total{outcome=\"done\"}";
        metrics::value(server.admin, done).await == 1
    })
    .await;
    is_sent_to(server, LATER_IN_TOKYO, one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_an_index_goes_by_the_map_alone() {
    let place = Place::shared().await;
    let cluster = Cluster::of(2).start(&place).await;
    let http: Vec<_> = cluster.proxies.iter().map(|proxy| proxy.http).collect();
    let file = place.file("places.mmdb");
    let map = [
        at(http[0].ip(), BERLIN),
        at(http[1].ip(), TOKYO),
        network(NEAR_PARIS, PARIS),
        network(NEAR_TOKYO, TOKYO),
    ];
    std::fs::write(&file, mmdb(&map)).unwrap();
    let sets = [set("near.map_file", file.display()), set("answer.count", 1)];
    let server = NameServer::alone(&place, &http, &sets);
    server.until_live(2).await;
    is_sent_to(&server, NEAR_PARIS, http[0].ip()).await;
    is_sent_to(&server, NEAR_TOKYO, http[1].ip()).await;
}
