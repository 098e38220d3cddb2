//! Everything dies at some time, by a fixed script: the origin in the middle of bodies, proxies that
//! others read through, index daemons. What clients get is right to the byte or visibly broken.

use std::time::Duration;

use common::rng::Generator;
use harness::client::Page;
use harness::cluster::{Cluster, Proxy};
use harness::exec::raise_descriptors;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::skip;
use harness::wait;
use tokio::task::JoinSet;

const SEED: u64 = 20_261_121;
const PROXIES: usize = 5;
const OBJECTS: usize = 6;

/// So many blows fall; then everything is well again.
const BLOWS: usize = 16;

/// Clients that come before each.
const ASKING: usize = 8;

/// For all downloads to end, and for all to be well again. An origin that was dead is tried again a
/// minute later at most.
const MOST: Duration = Duration::from_secs(180);

/// Bytes of an object: some in one piece, some for seconds on their way.
const fn size(object: usize) -> u64 {
    200_000 + 700_000 * object as u64
}

fn path(object: usize) -> String {
    format!("/object/{object}")
}

/// How a download ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Got {
    Right,
    VisiblyBroken,
    Refused,
}

/// Downloads, comparing every byte with what the origin has there.
async fn download(ask: harness::client::Ask, length: u64) -> Got {
    let Ok(mut download) = ask.try_open().await else {
        return Got::Refused;
    };
    if download.status != 200 {
        return Got::Refused;
    }
    match download.finish_pattern().await {
        Ok(got) => {
            assert_eq!(got, length, "a clean end is the end");
            Got::Right
        }
        Err(_) => Got::VisiblyBroken,
    }
}

fn serve(origin: &Origin) {
    for object in 0..OBJECTS {
        origin.serves(&path(object), move |request| {
            let reply = Reply::pattern(size(object)).fresh_for(3);
            let reply = reply.trickled(64 << 10, Duration::from_millis(20));
            match object % 3 {
                // With a validator, a half that breaks off, and neither length nor validator.
                0 => reply.ranged_by("\"v1\"", request),
                1 if request.nth % 2 == 1 => reply
                    .ranged_by("\"v1\"", request)
                    .cut_after(size(object) / 2),
                1 => reply.ranged_by("\"v1\"", request),
                _ => reply.chunked(),
            }
        });
    }
}

/// One blow, and what is got back up.
async fn strike(rng: &mut Generator, cluster: &mut Cluster, origin: &mut Origin) {
    let victim = rng.below(PROXIES);
    match rng.below(4) {
        0 => {
            origin.die().await;
            wait::pause(Duration::from_millis(300)).await;
            origin.come_back().await;
        }
        1 => {
            cluster.indexes[victim].daemon.kill();
            wait::pause(Duration::from_millis(500)).await;
            cluster.indexes[victim].daemon.start_again();
        }
        _ => {
            cluster.proxies[victim].daemon.kill();
            wait::pause(Duration::from_millis(200)).await;
            cluster.proxies[victim].daemon.start_again();
        }
    }
}

fn ask_somebody(
    rng: &mut Generator,
    proxies: &[Proxy],
    page: impl Fn(usize) -> Page,
    downloads: &mut JoinSet<Got>,
) {
    let (proxy, object) = (rng.below(PROXIES), rng.below(OBJECTS));
    downloads.spawn(download(proxies[proxy].ask(&page(object)), size(object)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_what_clients_get_is_right_to_the_byte_or_visibly_broken() {
    raise_descriptors();
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let mut cluster = Cluster::of(5).start(&place).await;
    serve(&origin);
    let addr = origin.addr;
    let page = move |object| Page::new(&harness::origin::coralised(addr), &path(object));
    let mut rng = Generator::from_seed(SEED);
    let mut downloads = JoinSet::new();
    for _ in 0..BLOWS {
        for _ in 0..ASKING {
            ask_somebody(&mut rng, &cluster.proxies, page, &mut downloads);
        }
        wait::pause(rng.jitter(Duration::from_millis(700))).await;
        strike(&mut rng, &mut cluster, &mut origin).await;
    }
    let ends = wait::within("all ends", MOST, downloads.join_all()).await;
    let count = |kind| ends.iter().filter(|end| **end == kind).count();
    let (right, broken) = (count(Got::Right), count(Got::VisiblyBroken));
    let all = ends.len();
    skip::say(&format!(
        "{all} downloads: {right} right, {broken} visibly broken\n"
    ));
    assert!(all == BLOWS * ASKING && right > 0, "{right} right of {all}");
    for (n, proxy) in cluster.proxies.iter().enumerate() {
        proxy.until_up().await;
        wait::until(&format!("proxy {n} is well again"), MOST, async || {
            let again = (0..OBJECTS).map(|object| download(proxy.ask(&page(object)), size(object)));
            let ends = again.collect::<JoinSet<_>>().join_all().await;
            ends.iter().all(|end| *end == Got::Right)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_index_a_proxy_is_a_cache_on_its_own() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |request| {
        Reply::pattern(300_000)
            .fresh_for(60)
            .ranged_by("\"v1\"", request)
            .trickled(64 << 10, Duration::from_millis(20))
    });
    let mut downloads = JoinSet::new();
    for _ in 0..20 {
        downloads.spawn(download(proxy.ask(&origin.page("/page")), 300_000));
    }
    let ends = downloads.join_all().await;
    assert!(ends.iter().all(|end| *end == Got::Right), "{ends:?}");
    assert_eq!(origin.count("/page"), 1);
    let hit = proxy.get(&origin.page("/page")).await;
    assert!(
        hit.field("cache-status").contains("hit"),
        "{}",
        hit.field("cache-status")
    );
    origin.serves("/old", |request| {
        Reply::page("x")
            .fresh_for(0)
            .validated_by("\"v1\"", request)
    });
    for _ in 0..3 {
        assert_eq!(proxy.get(&origin.page("/old")).await.text(), "x");
    }
    assert_eq!(
        origin.count("/old"),
        3,
        "asked each time, confirmed each time"
    );
    let from_peers = proxy
        .metric("atoll_proxy_fetches_total{source=\"peer\"}")
        .await;
    assert_eq!(from_peers, 0);
}
