//! Large objects in slices, at several proxies: what one has the others get from it, and several at once
//! give what each has.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::binaries::Program;
use harness::client::Page;
use harness::cluster::{Cluster, Proxy};
use harness::exec::run_ours;
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 48 * MIB + 999;
const FROM_ORIGIN: &str = "atoll_proxy_fetched_bytes_total{source=\"origin\"}";
const FROM_PEERS: &str = "atoll_proxy_fetched_bytes_total{source=\"peer\"}";
const SERVED: &str = "atoll_proxy_peer_requests_total{outcome=\"hit\"}";
const TOLD: &str = "atoll_proxy_index_total{outcome=\"told\"}";

fn film(origin: &Origin) -> Page {
    origin.serves("/film", |request| {
        let reply = Reply::pattern(SIZE).ranged_by("\"v1\"", request);
        reply.header("accept-ranges", "bytes").fresh_for(600)
    });
    origin.page("/film")
}

async fn read(proxy: &Proxy, page: &Page, bytes: Range<u64>) {
    let range = format!("bytes={}-{}", bytes.start, bytes.end - 1);
    let answer = proxy.ask(page).header("range", &range).fetch().await;
    assert_eq!((answer.status, &answer.broken), (206, &None), "{range}");
    assert!(answer.body == pattern::whole(bytes), "{range}");
}

/// Waits until a proxy has told the index what it has.
async fn until_told(proxy: &Proxy, words: u64) {
    let told = async || proxy.metric(TOLD).await >= words;
    wait::until("the index was told", SOON, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_proxy_gets_all_slices_from_the_first() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let cluster = Cluster::of(2).start(&place).await;
    let page = film(&origin);
    let [first, second] = &cluster.proxies[..] else {
        panic!("two were asked for");
    };
    let whole = first.ask(&page).open().await.finish_pattern().await;
    assert_eq!(whole, Ok(SIZE));
    until_told(first, 5).await;
    let asked = origin.count("/film");
    read(second, &page, 20 * MIB + 5..23 * MIB).await;
    assert_eq!(second.metric(FROM_PEERS).await, 3 * MIB);
    assert_eq!(origin.count("/film"), asked);
    origin.die().await;
    let mut rest = second.ask(&page).open().await;
    let end = wait::within("all from the peer", EVENTUALLY, rest.finish_pattern()).await;
    assert_eq!(end, Ok(SIZE));
    assert_eq!(second.metric(FROM_ORIGIN).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_peers_with_different_parts_all_serve() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let cluster = Cluster::of(4).start(&place).await;
    let page = film(&origin);
    // An extent each.
    for (n, proxy) in (0..).zip(&cluster.proxies[..3]) {
        let start = n * 16 * MIB;
        read(proxy, &page, start..start + 8 * MIB).await;
        read(proxy, &page, start + 8 * MIB..start + 16 * MIB).await;
        until_told(proxy, 1).await;
    }
    let fetched = cluster.proxy_total(FROM_ORIGIN).await;
    assert_eq!(fetched, 48 * MIB, "nobody fetched what another was to have");
    read(&cluster.proxies[0], &page, 48 * MIB..SIZE).await;
    origin.die().await;
    let last = &cluster.proxies[3];
    let mut all = last.ask(&page).open().await;
    let end = wait::within("all from three peers", EVENTUALLY, all.finish_pattern()).await;
    assert_eq!(end, Ok(SIZE));
    assert_eq!(last.metric(FROM_PEERS).await, SIZE);
    for proxy in &cluster.proxies[..3] {
        assert!(proxy.metric(SERVED).await >= 16);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_several_proxies_spares_the_origin() {
    // Who is first to say that it fetches a slice is a matter of milliseconds; other tests would take them.
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(4).start(&place).await;
    let page = film(&origin);
    let mut crowd = tokio::task::JoinSet::new();
    for proxy in &cluster.proxies {
        let ask = proxy.ask(&page);
        crowd.spawn(async move { ask.open().await.finish_pattern().await });
    }
    let ends = wait::within("all read it", EVENTUALLY, crowd.join_all()).await;
    assert!(ends.iter().all(|end| *end == Ok(SIZE)), "{ends:?}");
    let fetched = cluster.proxy_total(FROM_ORIGIN).await;
    assert!(
        fetched < SIZE * 5 / 4,
        "{} MiB of {}",
        fetched / MIB,
        SIZE / MIB
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_a_peer_that_died_come_from_the_origin() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(2).start(&place).await;
    let page = film(&origin);
    read(&cluster.proxies[0], &page, 16 * MIB..20 * MIB).await;
    until_told(&cluster.proxies[0], 1).await;
    cluster.proxies[0].daemon.kill();
    read(&cluster.proxies[1], &page, 16 * MIB..20 * MIB).await;
    assert_eq!(cluster.proxies[1].metric(FROM_ORIGIN).await, 4 * MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_still_has_of_an_old_version_is_not_mixed_with_the_new_one() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(2).start(&place).await;
    let page = film(&origin);
    let [first, second] = &cluster.proxies[..] else {
        panic!("two were asked for");
    };
    read(first, &page, 16 * MIB..20 * MIB).await;
    until_told(first, 2).await;
    origin.serves("/film", |request| {
        let reply = Reply::pattern_from(7, SIZE).ranged_by("\"v2\"", request);
        reply.header("accept-ranges", "bytes").fresh_for(600)
    });
    // The old one is fresh there, and of it what is there is shown.
    read(second, &page, 17 * MIB..18 * MIB).await;
    assert_eq!(second.metric(FROM_PEERS).await, MIB);
    // What is not there is of another version by now, which is believed from then on.
    let ask = second.ask(&page).header("range", "bytes=30000000-30999999");
    let new = ask.fetch().await;
    assert_eq!((new.status, &new.broken), (206, &None));
    assert_eq!(new.headers["etag"], "\"v2\"");
    assert!(new.body == pattern::whole(30_000_007..31_000_007));
    let again = second
        .ask(&page)
        .header("range", "bytes=17825792-17825801")
        .fetch()
        .await;
    assert!(
        again.body == pattern::whole(17_825_799..17_825_809),
        "the new one here too"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_by_site_takes_slices_out_of_every_node() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(2).start(&place).await;
    let version = Arc::new(AtomicUsize::new(1));
    let now = Arc::clone(&version);
    origin.serves("/film", move |request| {
        let tag = format!("\"v{}\"", now.load(Ordering::SeqCst));
        let reply = Reply::pattern(SIZE).ranged_by(&tag, request);
        reply.header("accept-ranges", "bytes").fresh_for(600)
    });
    let page = origin.page("/film");
    let part = 4 * MIB..7 * MIB;
    for proxy in &cluster.proxies {
        read(proxy, &page, part.clone()).await;
        let keeps = async || proxy.metric("atoll_proxy_objects").await >= 3;
        wait::until("the slices are kept", SOON, keeps).await;
    }
    version.store(2, Ordering::SeqCst);
    let (site, admin) = (origin.addr.ip().to_string(), &cluster.proxies[0].admin);
    let admin = admin.to_string();
    let args = [
        "purge", "--json", "--hard", "--admin", &admin, "--site", &site,
    ];
    let mut receipt = Value::Null;
    let everywhere = async || {
        let ran = run_ours(Program::Atoll, &args).await;
        receipt = serde_json::from_str(&ran.out).unwrap_or_default();
        ran.code == Some(0) && receipt["confirmed"].as_array().unwrap().len() == 2
    };
    wait::until("both confirm", EVENTUALLY, everywhere).await;
    for proxy in &cluster.proxies {
        let range = format!("bytes={}-{}", part.start, part.end - 1);
        let answer = proxy.ask(&page).header("range", &range).fetch().await;
        assert_eq!((answer.status, &*answer.field("etag")), (206, "\"v2\""));
        assert!(answer.body == pattern::whole(part.clone()), "{receipt}");
    }
}
