//! New versions of daemons under load: nobody who asks notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::client::{Ask, Page};
use harness::fleet::{Controller, Node, ours};
use harness::metrics;
use harness::origin::{Origin, Reply, ZONE};
use harness::place::{Place, Port, host};
use harness::resolver;
use harness::skip;
use harness::steady::Steady;
use harness::wait::{self, EVENTUALLY, SOON, pause};
use hickory_proto::rr::RecordType;
use serde_json::json;

const AGENT: [&str; 5] = ["--together", "--drain", "60s", "--ready", "30s"];

/// Pages that are kept before the upgrade.
const PAGES: usize = 40;

/// Bytes of a download that lasts through it.
const LARGE: u64 = 3 << 20;

/// Bytes of it read at a time, and the rest between: some eight seconds for all of it.
const PIECE: u64 = 64 << 10;
const REST: Duration = Duration::from_millis(160);

/// A download so slow that it begins before the upgrade and ends after it.
async fn slow(to: SocketAddr, page: Page) -> Result<u64, String> {
    let mut download = Ask::of(to, &page).try_open().await?;
    while download.received < LARGE - PIECE {
        let next = download.received + PIECE;
        while download.received < next {
            if download.next().await?.is_none() {
                return Err(format!("ended after {}", download.received));
            }
        }
        pause(REST).await;
    }
    while download.next().await?.is_some() {}
    Ok(download.received)
}

async fn warm(node: &Node, place: &Place, origin: &Origin) {
    for _ in 0..2 {
        for n in 0..PAGES {
            let answer = node.get(place, &origin.page(&format!("/{n}"))).await;
            assert_eq!(answer.text(), format!("page {n}"));
        }
    }
    let admin = place.at(host::NODE, Port::ProxyAdmin);
    let kept = async || metrics::value(admin, "atoll_proxy_disk_objects").await >= PAGES as u64;
    wait::until("all of it is on disk", SOON, kept).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_fails_no_request_and_keeps_the_cache() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    for n in 0..PAGES {
        origin.serves(&format!("/{n}"), move |_| {
            Reply::page(format!("page {n}")).fresh_for(3_600)
        });
    }
    origin.serves("/large", |_| Reply::pattern(LARGE).fresh_for(3_600));
    let controller = Controller::start(&place).await;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        controller.publish(&place, version, ours).await;
    }
    let node = Node::start(&place, &controller, 0, &AGENT).await;
    let order = async |release: &str, serial: u64| {
        let wish = node.wish(&place, release);
        controller.order(&place, &node.name, &wish).await;
        node.until_runs(serial).await
    };
    drop(order("1.0.0", 1).await);
    warm(&node, &place, &origin).await;
    let proxy = place.at(host::NODE, Port::Http);
    let pages: Vec<_> = (0..PAGES)
        .map(|n| (origin.page(&format!("/{n}")), format!("page {n}")))
        .collect();
    let steady = Steady::start(proxy, &pages, 8, 4);
    let downloads: Vec<_> = (0..4)
        .map(|_| tokio::spawn(slow(proxy, origin.page("/large"))))
        .collect();
    let mut pids = vec![node.pid("proxy")];
    for (release, serial) in [("1.1.0", 2), ("1.2.0", 3)] {
        let status = order(release, serial).await;
        assert_eq!(status["report"]["daemons"]["proxy"]["release"], release);
        assert_eq!(status["report"]["daemons"]["proxy"]["crashes"], 0);
        pids.push(node.pid("proxy"));
        // Load on the new one as well.
        pause(Duration::from_secs(1)).await;
    }
    for download in downloads {
        assert_eq!(download.await.unwrap(), Ok(LARGE), "no body was cut");
    }
    let seen = steady.stop().await;
    skip::say(&format!(
        "through two upgrades: {} requests on {} connections kept alive, {} on new ones, {} failed; 4 \
         downloads of {LARGE} bytes whole\n",
        seen.kept_alive,
        seen.connections,
        seen.fresh,
        seen.failed.len()
    ));
    assert_eq!(seen.failed, Vec::<String>::new());
    assert!(seen.kept_alive > 200 && seen.fresh > 100);
    pids.dedup();
    assert_eq!(pids.len(), 3, "three processes, one after the other");
    for (page, body) in &pages {
        let answer = node.get(&place, page).await;
        assert!(answer.text() == *body && answer.field("cache-status").contains("; hit"));
        assert_eq!(origin.count(&page.path), 1, "{}", page.path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_never_is_ready_changes_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/page", |_| Reply::page("hello").fresh_for(600));
    let controller = Controller::start(&place).await;
    controller.publish(&place, "1.0.0", ours).await;
    controller
        .publish(&place, "1.1.0", |_| "exec sleep 1000".to_owned())
        .await;
    let extra = ["--together", "--ready", "2s"];
    let node = Node::start(&place, &controller, 0, &extra).await;
    controller
        .order(&place, &node.name, &node.wish(&place, "1.0.0"))
        .await;
    // Proven: there is something to return to.
    node.until_runs(1).await;
    let page = origin.page("/page");
    let served = async || node.get(&place, &page).await.text() == "hello";
    wait::until("it serves", EVENTUALLY, served).await;
    let pid = node.pid("proxy");
    let steady = Steady::start(
        place.at(host::NODE, Port::Http),
        &[(page, "hello".to_owned())],
        2,
        2,
    );
    let next = ["node", "order", "reef0", "--release", "1.1.0"];
    drop(controller.ask(&next).await.ok());
    let fell = |status: &serde_json::Value| status["report"]["fallen"]["from"] == 2;
    node.until("it falls back", fell).await;
    assert_eq!(steady.stop().await.failed, Vec::<String>::new());
    assert_eq!(node.pid_that_lives("proxy"), pid, "it went on all the time");
}

/// Questions to a name server, one after the other, until it is to stop: how many, and how many were not
/// answered within a second, or with no address.
async fn questions(server: SocketAddr, stop: Arc<AtomicBool>) -> (u64, u64, u64) {
    let (mut asked, mut lost, mut empty) = (0, 0, 0);
    while !stop.load(Ordering::Relaxed) {
        let name = format!("n{asked}.example.com.{ZONE}.");
        let answer = resolver::try_ask(server, &name, RecordType::A).await;
        asked += 1;
        lost += u64::from(answer.is_none());
        empty += u64::from(answer.is_some_and(|answer| resolver::addresses(&answer).is_empty()));
        pause(Duration::from_millis(2)).await;
    }
    (asked, lost, empty)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_of_index_and_name_server_loses_no_question() {
    let place = Place::alone().await;
    let controller = Controller::start(&place).await;
    for version in ["1.0.0", "1.1.0"] {
        controller.publish(&place, version, ours).await;
    }
    let node = Node::start(&place, &controller, 0, &AGENT).await;
    let dns = place.at(host::NODE, Port::Dns);
    let wish = |release: &str| {
        let mut wish = node.wish(&place, release);
        let socket = wish["daemons"]["proxy"]["settings"]["index.socket"].clone();
        wish["daemons"]["names"] = json!({
            "program": "atoll-dns", "release": release, "state": "run", "settings": {
                "zone": ZONE, "dns.listen": dns.to_string(), "index.socket": socket,
                "admin.listen": place.at(host::NODE, Port::DnsAdmin).to_string(),
                "dns.threads": "2", "limit.replies_per_second": "0" } });
        wish
    };
    controller.order(&place, &node.name, &wish("1.0.0")).await;
    node.until_runs(1).await;
    let names = async || {
        let name = format!("a.example.com.{ZONE}.");
        let answer = resolver::try_ask(dns, &name, RecordType::A);
        answer
            .await
            .is_some_and(|answer| !resolver::addresses(&answer).is_empty())
    };
    wait::until("the name server names the proxy", EVENTUALLY, names).await;
    // Something that the index stores, which nobody puts again.
    for n in 0..20 {
        node.put(&place, &format!("key {n}")).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(questions(dns, Arc::clone(&stop))))
        .collect();
    let gets = tokio::spawn(node.gets(&place, Arc::clone(&stop)));
    controller.order(&place, &node.name, &wish("1.1.0")).await;
    let status = node.until_runs(2).await;
    assert_eq!(status["report"]["daemons"]["names"]["release"], "1.1.0");
    pause(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut sum = (0, 0, 0);
    for asking in asking {
        let (asked, lost, empty) = asking.await.unwrap();
        sum = (sum.0 + asked, sum.1 + lost, sum.2 + empty);
    }
    let (asked, failed) = gets.await.unwrap();
    skip::say(&format!(
        "through an upgrade: {} questions, {} lost, {} without an address; {asked} gets of the index, {} \
         failed\n",
        sum.0,
        sum.1,
        sum.2,
        failed.len()
    ));
    assert!(sum.0 > 500 && (sum.1, sum.2) == (0, 0), "{sum:?}");
    assert_eq!(failed, Vec::<String>::new());
    assert!(asked > 100);
}
