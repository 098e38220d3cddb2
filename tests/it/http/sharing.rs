//! Many clients, one fetch, streamed to all of them as it arrives.

use std::time::Duration;

use harness::cluster::Proxy;
use harness::origin::{Gate, Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::wait::{self, SOON};
use tokio::task::JoinSet;

const CLIENTS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_share_one_fetch_as_it_arrives() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/slow", move |_| {
        let reply = Reply::pattern(200_000)
            .fresh_for(60)
            .held_after(100_000, &held);
        reply.after(Duration::from_millis(200))
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let ask = proxy.ask(&origin.page("/slow"));
        clients.spawn(async move {
            let mut download = ask.open().await;
            download.skip(100_000).await;
            download
        });
    }
    // The origin still holds half of the body back: what they have was streamed.
    let halves = wait::within("half of the body for all", SOON, clients.join_all()).await;
    assert_eq!(origin.count("/slow"), 1);
    gate.open();
    for mut half in halves {
        assert_eq!(half.received, 100_000);
        assert_eq!(half.finish_pattern().await, Ok(200_000));
    }
    assert_eq!(origin.count("/slow"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_in_the_middle_gets_it_from_the_start() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    // No length: the end shows only when it comes.
    origin.serves("/feed", move |_| {
        Reply::pattern(90_000)
            .chunked()
            .fresh_for(60)
            .held_after(60_000, &held)
    });
    let page = origin.page("/feed");
    let mut first = proxy.ask(&page).open().await;
    first.skip(60_000).await;
    let mut second = proxy.ask(&page).open().await;
    second.skip(60_000).await;
    drop(first);
    gate.open();
    let answer = proxy.get(&page).await;
    assert_eq!(answer.body, pattern::whole(0..90_000));
    assert_eq!(second.finish_pattern().await, Ok(90_000));
    assert_eq!(
        origin.count("/feed"),
        1,
        "the first one's leaving broke nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_nobody_up() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/large", |_| Reply::pattern(50_000_000).fresh_for(60));
    let page = origin.page("/large");
    let mut slow = proxy.ask(&page).open().await;
    slow.skip(1).await;
    let mut quick = proxy.ask(&page).open().await;
    let read = wait::within("the quick reader ends", SOON, quick.finish_pattern()).await;
    assert_eq!(read, Ok(50_000_000));
    let read = wait::within("the slow reader ends", SOON, slow.finish_pattern()).await;
    assert_eq!(read, Ok(50_000_000));
    assert_eq!(origin.count("/large"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_one_client_is_shared_with_none() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (path, control) in [("/private", "private"), ("/no-store", "no-store")] {
        origin.serves(path, move |request| {
            let body = format!("answer {}", request.nth);
            Reply::page(body)
                .header("cache-control", control)
                .after(Duration::from_millis(50))
        });
        let mut clients = JoinSet::new();
        for _ in 0..5 {
            let ask = proxy.ask(&origin.page(path));
            clients.spawn(async move { ask.fetch().await.text() });
        }
        let mut bodies = clients.join_all().await;
        bodies.sort_unstable();
        bodies.dedup();
        assert_eq!(
            bodies.len(),
            5,
            "{path}: everyone has an answer of their own"
        );
        assert_eq!(origin.count(path), 5, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_asks_a_dead_origin_once() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    // Alive enough to count connections, dead enough to answer none of them.
    origin.serves("/dead", |_| Reply::raw(""));
    let mut refusing = Origin::start(&place).await;
    refusing.die().await;
    let mut clients = JoinSet::new();
    for n in 0..20 {
        let ask = proxy.ask(&refusing.page(&format!("/{n}")));
        clients.spawn(async move { ask.fetch().await });
    }
    for answer in clients.join_all().await {
        assert_eq!(answer.status, 502);
        assert!(answer.field("proxy-status").contains("connection_refused"));
    }
    refusing.come_back().await;
    refusing.serves("/now", |_| Reply::page("back"));
    // The gate is shut: the origin is left alone although it is back, until its time is over.
    assert_eq!(proxy.get(&refusing.page("/now")).await.status, 502);
    assert_eq!(refusing.count_all(), 0);
    wait::until("the origin is asked again", SOON, async || {
        proxy.get(&refusing.page("/now")).await.text() == "back"
    })
    .await;

    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let ask = proxy.ask(&origin.page("/dead"));
        clients.spawn(async move { ask.fetch().await.status });
    }
    assert_eq!(clients.join_all().await, [502; 20]);
}
