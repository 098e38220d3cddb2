//! What an operator does to a running proxy: block, reload, drain.

use std::fs;

use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};
use harness::{client::Page, metrics};
use http::Method;
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_block_list_follows_its_file_and_a_bad_one_changes_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    origin.serves("/private/x", |_| Reply::page("private").fresh_for(60));
    let file = place.file("block");
    fs::write(&file, "# nothing yet\n").unwrap();
    let proxy = Proxy::alone(&place, &[set("block.file", file.display())]).await;
    let (front, private) = (origin.page("/"), origin.page("/private/x"));
    assert_eq!(proxy.get(&front).await.status, 200);
    assert_eq!(proxy.get(&private).await.status, 200);
    let status = async |page: &Page| proxy.get(page).await.status;
    fs::write(&file, format!("url {}/private/\n", origin.addr.ip())).unwrap();
    wait::until("the page is blocked, kept or not", EVENTUALLY, async || {
        status(&private).await == 403
    })
    .await;
    assert_eq!(status(&front).await, 200);
    fs::write(&file, "host one two three\n").unwrap();
    wait::until("the bad list is noticed", EVENTUALLY, async || {
        proxy
            .metric("atoll_proxy_reload_failures_total{what=\"block_list\"}")
            .await
            >= 1
    })
    .await;
    assert_eq!((status(&private).await, status(&front).await), (403, 200));
    assert!(
        proxy
            .daemon
            .log()
            .contains("the last good one stays in force")
    );
    fs::remove_file(&file).unwrap();
    proxy.daemon.signal(Signal::HUP);
    wait::until("the missing list is noticed", EVENTUALLY, async || {
        proxy
            .metric("atoll_proxy_reload_failures_total{what=\"block_list\"}")
            .await
            >= 2
    })
    .await;
    assert_eq!(status(&private).await, 403);
    fs::write(&file, format!("host {}\n", origin.addr.ip())).unwrap();
    wait::until("the site is blocked", EVENTUALLY, async || {
        status(&front).await == 403
    })
    .await;
    let answer = proxy.get(&front).await;
    assert!(answer.field("proxy-status").contains("details=\"blocked\""));
    fs::write(&file, "").unwrap();
    wait::until("nothing is blocked", EVENTUALLY, async || {
        status(&private).await == 200 && status(&front).await == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_at_a_blocked_address_is_not_connected_to() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let file = place.file("block");
    fs::write(&file, format!("address {}\n", origin.addr.ip())).unwrap();
    let proxy = Proxy::alone(&place, &[set("block.file", file.display())]).await;
    let answer = proxy.get(&origin.page("/")).await;
    assert_eq!(answer.status, 403);
    assert!(
        answer
            .field("proxy-status")
            .contains("destination_ip_prohibited")
    );
    assert_eq!(origin.count_all(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_shows_what_is_under_way_hot_and_broken() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/large", move |_| {
        Reply::pattern(1 << 20)
            .fresh_for(60)
            .held_after(100_000, &held)
    });
    for n in 0..30 {
        origin.serves(&format!("/{n}"), |_| Reply::page("small").fresh_for(60));
    }
    let proxy = Proxy::alone(&place, &[]).await;
    let state = async || {
        let page = metrics::page(proxy.admin, "/state").await;
        serde_json::from_slice::<serde_json::Value>(&page.body).unwrap()
    };
    for n in (0..30).chain([7, 7, 7]) {
        proxy.get(&origin.page(&format!("/{n}"))).await;
    }
    let mut readers = [
        proxy.ask(&origin.page("/large")).open().await,
        proxy.ask(&origin.page("/large")).open().await,
    ];
    for reader in &mut readers {
        reader.skip(100_000).await;
    }
    let seen = state().await;
    assert_eq!(seen["in_flight"]["requests"], 2, "{seen:#}");
    assert_eq!(seen["fills"]["shared"], 1, "{seen:#}");
    let fill = &seen["fills"]["largest"][0];
    assert!(fill["url"].as_str().unwrap().ends_with("/large"), "{fill}");
    assert_eq!(
        (&fill["readers"], &fill["from"]),
        (&2.into(), &"origin".into())
    );
    let (bytes, length) = (fill["bytes"].as_u64(), fill["length"].as_u64());
    assert!(bytes >= Some(100_000) && bytes < length && length == Some(1 << 20));
    let hottest = seen["store"]["hottest"].as_array().unwrap();
    assert_eq!(hottest.len(), 20, "no more than are worth reading");
    assert!(
        hottest[0]["url"].as_str().unwrap().ends_with("/7"),
        "{seen:#}"
    );
    assert_eq!(hottest[0]["found"], 3);
    let site = &seen["hottest_sites"][0];
    assert_eq!(site["site"], origin.addr.ip().to_string());
    gate.open();
    for reader in &mut readers {
        assert_eq!(reader.finish_pattern().await, Ok(1 << 20));
    }
    drop(readers);
    wait::until("nothing is under way", SOON, async || {
        let seen = state().await;
        seen["in_flight"]["requests"] == 0 && seen["fills"]["shared"] == 0
    })
    .await;
    origin.die().await;
    proxy.get(&origin.page("/another")).await;
    let failing = &state().await["origins_failing"][0];
    assert_eq!(failing["reason"], "connect_refused");
    assert!(failing["asked_again_s"].as_u64() <= Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloading_loses_no_request() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/large", move |_| {
        Reply::pattern(1 << 20).held_after(100_000, &held)
    });
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let mut large = proxy.ask(&origin.page("/large")).open().await;
    large.skip(1).await;
    for _ in 0..20 {
        proxy.daemon.signal(Signal::HUP);
        assert_eq!(proxy.get(&origin.page("/")).await.status, 200);
    }
    gate.open();
    assert_eq!(large.finish_pattern().await, Ok(1 << 20));
    assert!(proxy.daemon.log().contains("were read anew"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_proxy_says_so_and_serves_until_it_ends() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/large", move |_| {
        Reply::pattern(1 << 20).held_after(100_000, &held)
    });
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let mut proxy = Proxy::alone(&place, &[set("drain.grace", "2s")]).await;
    let check = Page::new("check.nyud.test", "/atoll/check");
    assert_eq!(proxy.get(&check).await.status, 200);
    let admin = |method| {
        let ask = harness::client::Ask::of(proxy.admin, &Page::new("localhost", "/drain"));
        ask.method(method)
    };
    assert_eq!(admin(Method::GET).fetch().await.status, 405);
    assert_eq!(admin(Method::PUT).fetch().await.status, 200);
    assert!(!metrics::is_ready(proxy.admin).await);
    assert_eq!(proxy.get(&check).await.status, 503);
    assert_eq!(proxy.get(&origin.page("/")).await.status, 200);
    assert_eq!(admin(Method::DELETE).fetch().await.status, 200);
    assert!(metrics::is_ready(proxy.admin).await);
    let mut large = proxy.ask(&origin.page("/large")).open().await;
    large.skip(1).await;
    proxy.daemon.signal(Signal::TERM);
    wait::until("it says that it drains", SOON, async || {
        !metrics::is_ready(proxy.admin).await
    })
    .await;
    // New clients are served for as long as others may still send them.
    assert_eq!(proxy.get(&origin.page("/")).await.text(), "front");
    gate.open();
    assert_eq!(large.finish_pattern().await, Ok(1 << 20));
    wait::until("it ends", EVENTUALLY, async || !proxy.daemon.runs()).await;
}
