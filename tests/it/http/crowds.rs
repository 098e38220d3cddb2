//! Crowds on pages that are slow, private, or break off: how often the origin is asked, who waits
//! for whom, and who is told that it was not all.

use std::time::Duration;

use harness::client::Answer;
use harness::cluster::Proxy;
use harness::origin::{Gate, Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY, SOON, now};
use tokio::task::JoinSet;

const CROWD: usize = 20;
const MEBIBYTE: u64 = 1 << 20;

/// What a late client may wait for the first byte of what is already here; generous beside the
/// usual millisecond, since tests share a machine.
const FIRST_BYTE_MAX: Duration = Duration::from_millis(250);

async fn crowd(proxy: &Proxy, origin: &Origin, path: &str) -> Vec<Answer> {
    let mut clients = JoinSet::new();
    for _ in 0..CROWD {
        let ask = proxy.ask(&origin.page(path));
        clients.spawn(async move { ask.fetch().await });
    }
    wait::within("the crowd is served", EVENTUALLY, clients.join_all()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_clients_of_a_slow_body_have_at_once_what_is_here() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let slow = || {
        let pause = Duration::from_millis(60);
        Reply::pattern(MEBIBYTE)
            .fresh_for(60)
            .trickled(64 << 10, pause)
    };
    origin.serves("/length", move |_| slow());
    origin.serves("/chunked", move |_| slow().chunked());
    for path in ["/length", "/chunked"] {
        let mut first = proxy.ask(&origin.page(path)).open().await;
        first.skip(256 << 10).await;
        let late = crowd(&proxy, &origin, path).await;
        let mut latest = Duration::ZERO;
        for answer in late {
            assert_eq!(
                (answer.status, answer.broken.as_ref()),
                (200, None),
                "{path}"
            );
            assert!(answer.body == pattern::whole(0..MEBIBYTE), "{path}");
            latest = latest.max(answer.first_byte.unwrap());
        }
        assert!(latest < FIRST_BYTE_MAX, "{path}: {latest:?}");
        skip::say(&format!(
            "{path}: the last of {CROWD} had its first byte after {latest:?}\n"
        ));
        assert_eq!(first.finish_pattern().await, Ok(MEBIBYTE), "{path}");
        assert_eq!(origin.count(path), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_head_is_asked_for_once_though_the_first_client_leaves() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/slow", |_| {
        Reply::pattern(50_000)
            .fresh_for(60)
            .after(Duration::from_secs(2))
    });
    let ask = proxy.ask(&origin.page("/slow"));
    let first = tokio::spawn(async move { ask.fetch().await });
    wait::until("the origin is asked", SOON, async || {
        origin.count("/slow") == 1
    })
    .await;
    let served = async { crowd(&proxy, &origin, "/slow").await };
    let leaves = async {
        wait::pause(Duration::from_millis(300)).await;
        first.abort();
    };
    let (answers, ()) = tokio::join!(served, leaves);
    for answer in answers {
        assert_eq!((answer.broken, answer.body.len()), (None, 50_000));
    }
    assert_eq!(origin.count("/slow"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_goes_on_for_the_others_when_its_first_client_leaves() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/page", move |_| {
        Reply::pattern(2 * MEBIBYTE)
            .fresh_for(60)
            .held_after(MEBIBYTE / 2, &held)
    });
    let mut first = proxy.ask(&origin.page("/page")).open().await;
    first.skip(MEBIBYTE / 2).await;
    let mut others = Vec::new();
    for _ in 1..CROWD {
        let mut other = proxy.ask(&origin.page("/page")).open().await;
        other.skip(MEBIBYTE / 2).await;
        others.push(other);
    }
    drop(first);
    gate.open();
    for mut other in others {
        assert_eq!(other.finish_pattern().await, Ok(2 * MEBIBYTE));
    }
    assert_eq!(origin.count("/page"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_private_answer_of_another() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let takes = Duration::from_millis(300);
    origin.serves("/private", move |request| {
        let reply = Reply::page(format!("{}", request.nth)).header("cache-control", "private");
        reply.after(takes)
    });
    for (wave, most) in [takes * 4, takes * 3].into_iter().enumerate() {
        let began = now();
        let mut bodies: Vec<_> = crowd(&proxy, &origin, "/private").await;
        let took = now().since(began);
        assert!(took < most, "wave {wave} took {took:?}: somebody queued");
        bodies.sort_by_key(Answer::text);
        bodies.dedup_by_key(|answer| answer.text());
        assert_eq!(bodies.len(), CROWD, "wave {wave}: an answer was shared");
    }
    assert_eq!(origin.count("/private"), 2 * CROWD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_of_a_crowd_takes_half_a_body_for_all_of_it() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let half = |gate: &Gate| {
        let reply = Reply::pattern(200_000).fresh_for(60).cut_after(100_000);
        reply.held_after(50_000, gate)
    };
    for (path, is_chunked) in [("/length", false), ("/chunked", true)] {
        let gate = Gate::new();
        let held = gate.clone();
        origin.serves(path, move |_| match is_chunked {
            true => half(&held).chunked(),
            false => half(&held),
        });
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            let mut client = proxy.ask(&origin.page(path)).open().await;
            client.skip(50_000).await;
            clients.push(client);
        }
        gate.open();
        for client in clients {
            let answer = wait::within("a break", SOON, client.finish()).await;
            assert!(answer.broken.is_some(), "{path}: a clean end after half");
        }
        let asked = origin.count(path);
        skip::say(&format!(
            "{path}: a crowd on half a body asked {asked} times\n"
        ));
        assert!(asked <= 2, "{path}: asked {asked} times");
        assert!(proxy.get(&origin.page(path)).await.broken.is_some());
        assert!(origin.count(path) > asked, "{path}: half was kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_without_a_head_does_not_outlive_its_last_client() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let never = Gate::new();
    origin.serves("/never", move |_| Reply::page("x").behind(&never));
    let ask = proxy.ask(&origin.page("/never"));
    let client = tokio::spawn(async move { ask.try_fetch().await.is_ok() });
    wait::until("the origin is asked", SOON, async || {
        origin.count("/never") == 1
    })
    .await;
    assert_eq!(proxy.metric("atoll_proxy_fills").await, 1);
    client.abort();
    let took = wait::until("the fetch is given up", SOON, async || {
        proxy.metric("atoll_proxy_fills").await == 0
    })
    .await;
    assert!(took < Duration::from_secs(5), "only after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_rest_does_not_pass_for_the_rest() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (path, whole) in [("/known", "100000"), ("/unknown", "*")] {
        origin.serves(path, move |request| {
            let tagged = |reply: Reply| reply.fresh_for(60).header("etag", "\"v1\"");
            if request.nth % 2 == 1 {
                return tagged(Reply::pattern(100_000).chunked().cut_after(50_000));
            }
            // Less than was asked for, as RFC 9110 §14.2 allows, and ended cleanly.
            let range = request.header("range").unwrap();
            let from: usize = range[6..].trim_end_matches('-').parse().unwrap();
            let part = pattern::whole(from as u64..from as u64 + 10);
            let stated = format!("bytes {from}-{}/{whole}", from + 9);
            let reply = tagged(Reply::status(206, "")).header("content-range", &stated);
            reply.with_body(part)
        });
        for _ in 0..2 {
            let answer = proxy.get(&origin.page(path)).await;
            assert!(answer.broken.is_some(), "{path}: a clean end after a part");
        }
        assert!(origin.count(path) > 2, "{path}: a part was kept");
    }
}
