//! Orders to purge outlive the process: what is on disk alone, and was meant, does not come back.

use harness::binaries::Program;
use harness::cluster::{Proxy, set};
use harness::exec::run_ours;
use harness::metrics;
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::wait::{self, SOON};
use serde_json::Value;

const PAGES: [&str; 5] = ["/url", "/dir/prefix", "/tag", "/soft", "/spared"];

async fn purge(proxy: &Proxy, args: &[&str]) {
    let admin = proxy.admin.to_string();
    let all = [&["purge", "--admin", &admin], args].concat();
    let ran = run_ours(Program::Atoll, &all).await;
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
}

async fn until_written(proxy: &Proxy) {
    let all = PAGES.len() as u64;
    let there = async || proxy.metric("atoll_proxy_disk_objects").await == all;
    wait::until("all of it is on disk", SOON, there).await;
}

/// What is there without asking the origin: status and text.
async fn kept(proxy: &Proxy, origin: &Origin, path: &str) -> u16 {
    let ask = proxy.ask(&origin.page(path));
    let ask = ask.header("cache-control", "only-if-cached");
    ask.fetch().await.status
}

async fn killed_and_back(proxy: &mut Proxy) {
    proxy.daemon.kill();
    proxy.daemon.start_again();
    proxy.until_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_purged_does_not_come_back_from_disk() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    for path in PAGES {
        origin.serves(path, move |_| {
            let reply = Reply::page(path).fresh_for(3_600);
            reply.header("cache-tag", path.trim_start_matches('/'))
        });
    }
    let mut proxy = Proxy::alone(&place, &[set("purge.tokens_file", "")]).await;
    for path in PAGES {
        assert_eq!(proxy.get(&origin.page(path)).await.status, 200);
    }
    until_written(&proxy).await;
    // From now on they are on disk alone: the orders find nothing in memory.
    killed_and_back(&mut proxy).await;
    let site = format!("http://{}", origin.addr);
    purge(&proxy, &["--hard", &format!("{site}/url")]).await;
    purge(&proxy, &["--hard", "--prefix", &format!("{site}/dir/")]).await;
    purge(&proxy, &["--hard", "--tag", "tag"]).await;
    purge(&proxy, &["--tag", "soft"]).await;
    // Dead as soon as they are confirmed, before anybody asked for what they meant.
    for _ in 0..2 {
        killed_and_back(&mut proxy).await;
        assert_eq!(kept(&proxy, &origin, "/spared").await, 200);
        for path in ["/url", "/dir/prefix", "/tag", "/soft"] {
            assert_eq!(kept(&proxy, &origin, path).await, 504, "{path}");
        }
    }
    // What is only stale stands in for its origin, and what came later is there again.
    assert_eq!(proxy.get(&origin.page("/tag")).await.text(), "/tag");
    origin.die().await;
    let soft = proxy.get(&origin.page("/soft")).await;
    assert_eq!((soft.status, soft.text()), (200, "/soft".to_owned()));
    assert_eq!(proxy.get(&origin.page("/url")).await.status, 502);
    assert_eq!(kept(&proxy, &origin, "/tag").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validation_that_waited_for_its_turn_does_not_bring_back_what_was_purged() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/page", |request| {
        let reply = Reply::page(format!("answer {}", request.nth)).fresh_for(0);
        reply.validated_by("\"same\"", request)
    });
    origin.serves("/slow", move |_| {
        Reply::page("slow").fresh_for(60).behind(&held)
    });
    let sets = [
        set("purge.tokens_file", ""),
        set("origin.fetches_max", 1),
        set("origin.queue_timeout", "60s"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let page = origin.page("/page");
    assert_eq!(proxy.get(&page).await.text(), "answer 1");
    // The site's only place is taken: the validation waits for it, with what it found here in hand.
    let slow = origin.page("/slow");
    let first = proxy.ask(&slow);
    let first = tokio::spawn(async move { first.fetch().await });
    let slow = async || origin.count("/slow") == 1;
    wait::until("the place is taken", SOON, slow).await;
    let second = proxy.ask(&page);
    let second = tokio::spawn(async move { second.fetch().await });
    let waiting = async || {
        let state = metrics::page(proxy.admin, "/state").await.text();
        let state: Value = serde_json::from_str(&state).unwrap();
        state.pointer("/share/origin_fetches/waiting") == Some(&Value::from(1))
    };
    wait::until("the validation waits", SOON, waiting).await;
    purge(&proxy, &["--hard", &format!("http://{}/page", origin.addr)]).await;
    gate.open();
    assert_eq!(first.await.unwrap().text(), "slow");
    assert_eq!(second.await.unwrap().text(), "answer 2");
}
