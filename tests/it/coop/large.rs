//! A large object through a chain of proxies: streamed, not gathered; bounded in memory.

use std::time::Duration;

use harness::cluster::Cluster;
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY, SOON, now};
use tokio::task::JoinSet;

const SIZE: u64 = 1 << 30;
const MEMORY_MAX: u64 = 300 << 20;
const FIRST_BYTE_MAX: Duration = Duration::from_millis(100);

/// For the whole transfer, on a slow disk beside it.
const DEADLINE: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_streams_through_three_proxies_in_little_memory() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(3).start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/image", move |_| {
        Reply::pattern(SIZE).fresh_for(600).behind(&held)
    });
    let page = origin.page("/image");
    let mut clients = JoinSet::new();
    for proxy in &cluster.proxies {
        let ask = proxy.ask(&page);
        clients.spawn(async move {
            let mut download = ask.open().await;
            download.skip(1).await;
            let first = download.first_byte.unwrap();
            (first, download.finish_pattern().await)
        });
    }
    // Two of the three wait for the one that asked the origin.
    wait::until("the others have asked their peer", SOON, async || {
        cluster
            .proxy_total("atoll_proxy_fetches_total{source=\"peer\"}")
            .await
            == 2
    })
    .await;
    assert_eq!(origin.count("/image"), 1);
    let began = now();
    gate.open();
    let ends = wait::within("a gibibyte for three", DEADLINE, clients.join_all()).await;
    let took = now().since(began);
    let first_in = origin.began("/image").unwrap();
    for (first_out, end) in ends {
        assert_eq!(end, Ok(SIZE), "every byte the origin's");
        let late = first_out.since(first_in);
        if cfg!(debug_assertions) {
            skip::loudly("how soon the first byte comes is not measured without optimisation");
        } else {
            assert!(
                late <= FIRST_BYTE_MAX,
                "the first byte came out {late:?} after it went in"
            );
        }
    }
    assert_eq!(origin.count("/image"), 1);
    for proxy in &cluster.proxies {
        match proxy.daemon.memory_peak() {
            Some(peak) => assert!(peak < MEMORY_MAX, "{} MiB after {took:?}", peak >> 20),
            None => skip::loudly("this system does not tell the memory of a process"),
        }
    }
    // From a whole copy to another proxy, the same.
    let mut again = cluster.proxies[1].ask(&page).open().await;
    let end = wait::within("a hit", EVENTUALLY, again.finish_pattern()).await;
    assert_eq!(end, Ok(SIZE));
}
