//! The delegation watch against a real parent: knot, with a delegation that is wrong in every way.

use std::net::SocketAddr;

use harness::cluster::set;
use harness::metrics;
use harness::place::{Place, host};
use harness::wait::{self, EVENTUALLY};

use super::lone::{Lone, new_key};
use super::recursors::{DNS, Kind, Resolver, Root, knotd};

/// Waits until each mismatch is counted as often as told.
async fn until_counted(server: &Lone, expected: &[(&str, u64)]) {
    for (mismatch, count) in expected {
        let series = format!("atoll_dns_delegation_differences{{mismatch=\"{mismatch}\"}}");
        let what = format!("{mismatch} is counted {count} times");
        wait::until(&what, EVENTUALLY, async || {
            metrics::value(
                server.admin,
                "atoll_dns_delegation_rounds_total{outcome=\"complete\"}",
            )
            .await
                > 0
                && metrics::value(server.admin, &series).await == *count
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegation_that_is_wrong_is_counted() {
    let Some(knotd) = knotd() else { return };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let nobody = place.ip(host::NAME_SERVER + 100);
    let wrong = [
        "nyud 60 IN NS gone.nyud".to_owned(),
        format!("gone.nyud 60 IN A {nobody}"),
        format!("ns1.nyud 60 IN A {nobody}"),
        format!("nyud 60 IN DS 12345 13 2 {}", "AB".repeat(32)),
    ];
    let root = Root::start(&place, &knotd, addr.ip(), &wrong);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let watch = [
        set("watch.parent", root.addr()),
        set("watch.every", "1s"),
        set("watch.timeout", "1s"),
        set("zone.ns", format!("ns1={},ns2={}", addr.ip(), addr.ip())),
    ];
    let server = Lone::start(&place, addr, &keys, &watch).await;
    let expected = [
        ("missing", 1),
        ("extra", 1),
        ("wrong_glue", 1),
        // The dead one, and the wrong address of the good one.
        ("lame", 2),
        ("wrong_ds", 1),
        ("no_ds", 0),
    ];
    until_counted(&server, &expected).await;
    assert!(
        server
            .daemon
            .log()
            .contains("the delegation differs from the zone")
    );
    let shown = metrics::page(server.admin, "/state").await.text();
    assert!(shown.contains("gone.nyud.test"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delegation_that_fits_lacks_only_the_keys_its_parent_does_not_know() {
    let Some(knotd) = knotd() else { return };
    let place = Place::shared().await;
    let addr = SocketAddr::new(place.ip(host::NAME_SERVER), DNS);
    let root = Root::start(&place, &knotd, addr.ip(), &[]);
    let keys = [new_key(&place, "active", "zone.pem").await];
    let Some(resolver) = Resolver::start(&place, Kind::Unbound, &root, &[]) else {
        return;
    };
    let watch = [
        set("watch.resolver", resolver.addr),
        set("watch.every", "1s"),
    ];
    let server = Lone::start(&place, addr, &keys, &watch).await;
    let all_right = ["missing", "extra", "wrong_glue", "lame", "wrong_ds"].map(|word| (word, 0));
    until_counted(&server, &[("no_ds", 1)]).await;
    until_counted(&server, &all_right).await;
}
