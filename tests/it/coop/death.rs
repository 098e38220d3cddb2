//! kill -9 of any one process in the middle: the others' requests complete, and what was lost heals.

use harness::cluster::Cluster;
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY};

const SIZE: u64 = 4_000_000;
const HALF: u64 = SIZE / 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_through_a_proxy_that_dies_are_served_by_others() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(4).start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/film", move |request| {
        let reply = Reply::pattern(SIZE)
            .fresh_for(60)
            .ranged_by("\"v1\"", request);
        // Only the first fetch is held; whoever comes for the rest gets it.
        if request.nth == 1 {
            reply.held_after(HALF, &held)
        } else {
            reply
        }
    });
    let page = origin.page("/film");
    let mut first = cluster.proxies[0].ask(&page).open().await;
    first.skip(HALF).await;
    let mut others = Vec::new();
    for proxy in &cluster.proxies[1..] {
        let mut download = proxy.ask(&page).open().await;
        download.skip(HALF).await;
        others.push(download);
    }
    assert_eq!(
        origin.count("/film"),
        1,
        "all of them read through the first proxy"
    );
    cluster.proxies[0].daemon.kill();
    for mut download in others {
        assert_eq!(download.finish_pattern().await, Ok(SIZE));
    }
    assert_eq!(
        origin.count("/film"),
        2,
        "of those who were left one asked for the rest, and the others read through it"
    );
    assert!(
        first.finish_pattern().await.is_err(),
        "its own client sees the break"
    );
    drop(gate);
    let again = cluster.proxies[1].get(&page).await;
    assert_eq!(u64::try_from(again.body.len()), Ok(SIZE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_heals_when_a_daemon_dies_and_when_it_is_back() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(5).start(&place).await;
    cluster.indexes[2].daemon.kill();
    // Requests go on at once, everywhere; also where the index was.
    for (n, proxy) in cluster.proxies.iter().enumerate() {
        let path = format!("/after/{n}");
        origin.serves(&path, |_| Reply::page("x").fresh_for(60));
        let answer = proxy.get(&origin.page(&path)).await;
        assert_eq!(
            (answer.status, answer.text()),
            (200, "x".to_owned()),
            "proxy {n}"
        );
        assert_eq!(origin.count(&path), 1);
    }
    // A new object's pointer is found by the others, whichever node should have held it.
    let shared_by = async |from: usize, to: usize, n: usize| {
        let path = format!("/new/{from}/{to}/{n}");
        origin.serves(&path, |_| Reply::page("x").fresh_for(60));
        cluster.proxies[from].get(&origin.page(&path)).await;
        cluster.proxies[to].get(&origin.page(&path)).await;
        origin.count(&path) == 1
    };
    let mut tries = 0;
    wait::until(
        "ten new objects in a row are shared",
        EVENTUALLY,
        async || {
            tries += 1;
            for n in 0..10 {
                if !shared_by(n % 2, 3 + n % 2, tries * 10 + n).await {
                    return false;
                }
            }
            true
        },
    )
    .await;
    cluster.indexes[2].daemon.start_again();
    cluster.indexes[2].until_ready().await;
    cluster.proxies[2].until_registered().await;
    let mut tries = 0;
    wait::until(
        "the one that was back shares again",
        EVENTUALLY,
        async || {
            tries += 1;
            let path = format!("/back/{tries}");
            origin.serves(&path, |_| Reply::page("x").fresh_for(60));
            cluster.proxies[0].get(&origin.page(&path)).await;
            cluster.proxies[2].get(&origin.page(&path)).await;
            origin.count(&path) == 1
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_killed_comes_back_empty_and_learns_from_its_peers() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(3).start(&place).await;
    origin.serves("/page", |_| Reply::page("x").fresh_for(60));
    let page = origin.page("/page");
    for proxy in &cluster.proxies {
        assert_eq!(proxy.get(&page).await.text(), "x");
    }
    cluster.proxies[0].daemon.kill();
    // The pointers that name the dead one cost the others nothing they notice.
    for n in 0..5 {
        let path = format!("/meanwhile/{n}");
        origin.serves(&path, |_| Reply::page("y").fresh_for(60));
        for proxy in &cluster.proxies[1..] {
            assert_eq!(proxy.get(&origin.page(&path)).await.text(), "y");
        }
    }
    cluster.proxies[0].daemon.start_again();
    cluster.proxies[0].until_registered().await;
    assert_eq!(cluster.proxies[0].get(&page).await.text(), "x");
    assert_eq!(origin.count("/page"), 1, "it had it from a peer");
}
