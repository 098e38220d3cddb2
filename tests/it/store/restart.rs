//! What a proxy still has when it comes back.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use harness::cluster::{Cluster, Proxy, set};
use harness::crash::body;
use harness::exec::run_ours;
use harness::metrics;
use harness::origin::{Origin, Reply};
use harness::place::{Place, Port, host};
use harness::wait::{self, EVENTUALLY, SOON};

async fn origin(place: &Place, pages: usize) -> Origin {
    let origin = Origin::start(place).await;
    for n in 0..pages {
        let path = format!("/{n}");
        origin.serves(&path, move |_| Reply::page(body(n)).fresh_for(3_600));
    }
    origin
}

async fn fetch_all(proxy: &Proxy, origin: &Origin, pages: usize) {
    for n in 0..pages {
        let answer = proxy.get(&origin.page(&format!("/{n}"))).await;
        assert!(answer.body == body(n) && answer.broken.is_none(), "{n}");
    }
}

async fn until_written(proxy: &Proxy, objects: u64) {
    let there = async || proxy.metric("atoll_proxy_disk_objects").await == objects;
    wait::until("all of it is on disk", SOON, there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_kept_is_served_without_the_origin_after_a_restart() {
    let place = Place::shared().await;
    let mut origin = origin(&place, 101).await;
    // Memory for a part of it only: the rest comes back from disk before the restart too.
    let mut proxy = Proxy::alone(&place, &[set("store.memory", "256KiB")]).await;
    for _ in 0..2 {
        fetch_all(&proxy, &origin, 101).await;
    }
    assert_eq!(origin.count_all(), 101);
    until_written(&proxy, 101).await;
    origin.die().await;
    for round in 0..2 {
        if round == 0 {
            proxy.daemon.stop().await;
        } else {
            proxy.daemon.kill();
        }
        proxy.daemon.start_again();
        proxy.until_up().await;
        fetch_all(&proxy, &origin, 101).await;
        let page = origin.page("/50");
        let part = proxy.ask(&page).header("range", "bytes=1000000-1000099");
        let part = part.fetch().await;
        assert!(part.status == 206 && part.body == body(50)[1_000_000..1_000_100]);
        assert!(part.field("cache-status").contains("; hit"), "{part:?}");
        let state = metrics::page(proxy.admin, "/state").await;
        assert!(
            state.text().contains("\"failing\": null"),
            "{}",
            state.text()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replaced_or_withdrawn_does_not_come_back() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/a", |_| Reply::page("old").fresh_for(3_600));
    origin.serves("/b", |_| Reply::page("old").fresh_for(3_600));
    let mut proxy = Proxy::alone(&place, &[]).await;
    let anew = async |proxy: &Proxy, path: &str| {
        let ask = proxy.ask(&origin.page(path));
        ask.header("cache-control", "no-cache").fetch().await.status
    };
    assert_eq!(
        (anew(&proxy, "/a").await, anew(&proxy, "/b").await),
        (200, 200)
    );
    until_written(&proxy, 2).await;
    origin.serves("/a", |_| Reply::page("new").fresh_for(3_600));
    origin.serves("/b", |_| {
        Reply::page("mine").header("cache-control", "no-store")
    });
    assert_eq!(
        (anew(&proxy, "/a").await, anew(&proxy, "/b").await),
        (200, 200)
    );
    until_written(&proxy, 2).await;
    proxy.daemon.stop().await;
    proxy.daemon.start_again();
    proxy.until_up().await;
    assert_eq!(proxy.get(&origin.page("/a")).await.text(), "new");
    assert_eq!(origin.count("/a"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_goes_on_while_nobody_runs() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/old", |_| {
        Reply::page("x").fresh_for(3_600).header("age", "1000")
    });
    origin.serves("/short", |_| Reply::page("x").fresh_for(1));
    let mut proxy = Proxy::alone(&place, &[]).await;
    for path in ["/old", "/short"] {
        proxy.get(&origin.page(path)).await;
    }
    until_written(&proxy, 2).await;
    proxy.daemon.stop().await;
    proxy.daemon.start_again();
    proxy.until_up().await;
    let old = proxy.get(&origin.page("/old")).await;
    let age: u64 = old.field("age").parse().unwrap();
    assert!((1_000..1_060).contains(&age), "{age}");
    assert_eq!(origin.count("/old"), 1);
    let asked_again = async || {
        proxy.get(&origin.page("/short")).await;
        origin.count("/short") == 2
    };
    wait::until("what lives a second is asked for again", SOON, asked_again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_damaged_objects_are_forty_misses_and_no_wrong_byte() {
    let place = Place::shared().await;
    let pages = 101;
    let origin = origin(&place, pages).await;
    let mut proxy = Proxy::alone(&place, &[]).await;
    fetch_all(&proxy, &origin, pages).await;
    until_written(&proxy, pages as u64).await;
    proxy.daemon.stop().await;
    let dir = place.file(&format!("node{}-store/v1", host::NODE));
    let flip = |path: &std::path::Path, at: u64| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    };
    let mut flipped = 0;
    for file in fs::read_dir(dir.join("large")).unwrap() {
        flip(&file.unwrap().path(), 777_777);
        flipped += 1;
    }
    // In the small ones by what stands in them.
    let segment = dir.join("00000000.seg");
    let data = fs::read(&segment).unwrap();
    for n in (1..50).filter(|n| n % 4 != 3).take(40 - flipped) {
        let text = format!("page {n} page {n} ");
        let at = data
            .windows(text.len())
            .position(|some| some == text.as_bytes());
        flip(&segment, at.unwrap() as u64 + 3);
        flipped += 1;
    }
    assert_eq!(flipped, 40);
    proxy.daemon.start_again();
    proxy.until_up().await;
    fetch_all(&proxy, &origin, pages).await;
    assert_eq!(origin.count_all(), pages + 40);
    let damaged = "atoll_proxy_disk_reads_total{outcome=\"damaged\"}";
    assert_eq!(proxy.metric(damaged).await, 40);
    assert!(proxy.daemon.log().contains("is damaged and goes"));
    fetch_all(&proxy, &origin, pages).await;
    assert_eq!(origin.count_all(), pages + 40, "they were kept again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_directory_is_refused() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let dir = place.file(&format!("node{}-store", host::NODE));
    let sets = [
        set("zone", "nyud.test"),
        set("http.listen", place.at(host::NODE + 1, Port::Http)),
        set("store.dir", dir.display()),
    ];
    let args: Vec<_> = sets
        .iter()
        .flat_map(|set| ["--set", set.as_str()])
        .collect();
    let ran = run_ours(harness::binaries::Program::Proxy, &args).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let pid = proxy.daemon.pid().to_string();
    for part in [
        "is used by another process",
        &pid,
        "give each its own store.dir",
    ] {
        assert!(ran.err.contains(part), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_learns_again_of_what_is_on_disk() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    // A quarter of its life is soon over.
    origin.serves("/a", |_| Reply::page("a").fresh_for(40));
    let mut cluster = Cluster::of(2).start(&place).await;
    cluster.proxies[0].get(&origin.page("/a")).await;
    until_written(&cluster.proxies[0], 1).await;
    cluster.proxies[0].daemon.kill();
    cluster.proxies[0].daemon.start_again();
    cluster.proxies[0].until_registered().await;
    let told = async || cluster.proxies[0].metric("atoll_proxy_pointers").await == 1;
    wait::until("the copy on disk has a pointer again", EVENTUALLY, told).await;
    let answer = cluster.proxies[1].get(&origin.page("/a")).await;
    assert_eq!(answer.text(), "a");
    assert_eq!(origin.count("/a"), 1, "{}", answer.field("cache-status"));
}
