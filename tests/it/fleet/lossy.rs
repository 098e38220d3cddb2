//! A node behind a link that loses a fifth of what it carries: whoever comes there waits longer and gets all of
//! it, and nobody else notices.

use std::time::Duration;

use harness::client::Page;
use harness::cluster::{Cluster, NameServer, Proxy};
use harness::lossy;
use harness::metrics;
use harness::network::in_a_network_of_its_own;
use harness::origin::{Origin, Reply};
use harness::place::{Place, host};
use harness::skip;
use harness::wait::{self, EVENTUALLY};
use serde_json::Value;
use tokio::task::JoinSet;

const PAGES: usize = 60;
const AT_ONCE: usize = 6;
const SIZE: u64 = 150_000;
const LOSS: u8 = 20;

/// For the pages, and for the name server to take note. Each segment may have to be sent again after 0.2, 0.4,
/// 0.8 s and so on.
const MOST: Duration = Duration::from_secs(150);

/// For a proxy that came and went to be named again: it is held out for longer each time.
const HELD_MOST: Duration = Duration::from_secs(180);

fn path(page: usize) -> String {
    format!("/page/{page}")
}

/// Downloads all pages by turns; how many were whole, and how many of those were hits.
async fn download(proxy: &Proxy, pages: &[Page]) -> (usize, usize) {
    let (mut whole, mut hits) = (0, 0);
    for some in pages.chunks(AT_ONCE) {
        let one = |page: &Page| {
            let ask = proxy.ask(page);
            async move {
                let mut download = ask.open().await;
                let hit = download.headers["cache-status"].as_bytes();
                let hit = String::from_utf8_lossy(hit).contains("; hit");
                let length = download.finish_pattern().await;
                (download.status == 200 && length == Ok(SIZE), hit)
            }
        };
        let ends = some
            .iter()
            .map(one)
            .collect::<JoinSet<_>>()
            .join_all()
            .await;
        whole += ends.iter().filter(|(whole, _)| *whole).count();
        hits += ends.iter().filter(|(_, hit)| *hit).count();
    }
    (whole, hits)
}

/// How a name server sees a proxy: its state, and why.
async fn seen(server: &NameServer, proxy: &Proxy) -> (String, String) {
    let state = metrics::page(server.admin, "/state").await.text();
    let state: Value = serde_json::from_str(&state).unwrap();
    let all = state["proxies"].as_array().unwrap();
    let of = |one: &&Value| one["addr"] == proxy.http.to_string();
    let found = all.iter().find(of).unwrap_or(&Value::Null);
    let word = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (word("state"), word("reason"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_link_that_loses_a_fifth_pages_are_whole_and_the_index_stays() {
    let test = "fleet::lossy::behind_a_link_that_loses_a_fifth_pages_are_whole_and_the_index_stays";
    if !in_a_network_of_its_own(test).await {
        return;
    }
    lossy::bound_waits();
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let cluster = Cluster::of(4).name_servers(1).start(&place).await;
    let pages: Vec<Page> = (0..PAGES).map(|page| origin.page(&path(page))).collect();
    for page in 0..PAGES {
        origin.serves(&path(page), |request| {
            Reply::pattern(SIZE)
                .fresh_for(600)
                .ranged_by("\"v1\"", request)
        });
    }
    // Half of the pages are elsewhere already.
    // The name server asks the first node's index.
    let (odd, others) = cluster.proxies.split_last().unwrap();
    assert_eq!(download(&others[0], &pages[..PAGES / 2]).await.0, PAGES / 2);
    if !lossy::link(&place, host::NODE + 3, LOSS).await {
        return;
    }
    let began = wait::now();
    let through = wait::within("the pages", MOST, async {
        let first = download(odd, &pages).await;
        (first, download(odd, &pages).await)
    });
    let watched = watch(&cluster, odd, others, &pages[0].host);
    let (((first, _), (again, hits)), story) = tokio::join!(through, watched);
    let took = wait::now().since(began);
    let origin_fetches = origin.count_all();
    skip::say(&format!(
        "{first} and {again} of {PAGES} pages whole in {took:?}, {hits} hits, {origin_fetches} origin fetches; \
         the name server saw {story:?}\n"
    ));
    assert_eq!((first, again), (PAGES, PAGES));
    assert!(hits >= PAGES - 2, "{hits} hits");
    // A claim may be lost, and then the origin is asked; most are not.
    assert!(
        origin_fetches <= PAGES + PAGES / 4,
        "{origin_fetches} origin fetches"
    );
    stays(&cluster).await;
    lossy::mend().await;
    cluster.servers[0]
        .until_naming_within(&cluster.proxies, HELD_MOST)
        .await;
    for index in &cluster.indexes {
        index.until_ready().await;
    }
}

/// What the name server said of the odd one, each once; of the others only that they are alive. Somebody is
/// named at all times.
async fn watch(
    cluster: &Cluster,
    odd: &Proxy,
    others: &[Proxy],
    name: &str,
) -> Vec<(String, String)> {
    let (server, began) = (&cluster.servers[0], wait::now());
    let mut story: Vec<(String, String)> = Vec::new();
    while wait::now().since(began) < Duration::from_secs(30) {
        let now = seen(server, odd).await;
        if story.last() != Some(&now) {
            story.push(now);
        }
        for proxy in others {
            assert_eq!(seen(server, proxy).await.0, "live", "{}", proxy.http);
        }
        let mut any = false;
        for proxy in others {
            any |= server.names(proxy, name).await;
        }
        assert!(any, "somebody is named");
        wait::pause(Duration::from_millis(200)).await;
    }
    story
}

/// The odd node's index is known to the others, and works.
async fn stays(cluster: &Cluster) {
    wait::until("its index is in the network", EVENTUALLY, async || {
        let mut all = true;
        for index in &cluster.indexes {
            all &= index.metric("atoll_dht_contacts").await == 3;
        }
        all
    })
    .await;
    cluster.indexes[3].until_ready().await;
}
