//! Shares: no client and no site gets this node for itself, and whoever has had enough is told where
//! else to go.

use std::time::Duration;

use harness::client::Page;
use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_too_often_is_told_to_wait() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let sets = [
        set("client.exempt", "192.0.2.0/24"),
        set("client.requests_per_second", 1),
        set("client.burst", 5),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        let answer = proxy.get(&origin.page("/")).await;
        if answer.status == 429 {
            assert_eq!(answer.field("retry-after"), "1");
            assert!(answer.field("proxy-status").contains("client_rate"));
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_exempt_unless_said_otherwise() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let sets = [set("client.requests_per_second", 1), set("client.burst", 1)];
    let proxy = Proxy::alone(&place, &sets).await;
    for _ in 0..10 {
        assert_eq!(
            proxy.get(&origin.page("/")).await.status,
            200,
            "loopback is exempt"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_the_days_bytes_everybody_is_sent_home_and_not_in_circles() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/p?q", |_| Reply::pattern(20_000).fresh_for(60));
    let proxy = Proxy::alone(&place, &[set("share.bytes_per_day", "30KiB")]).await;
    let page = origin.page("/p?q");
    let bounced = wait::some("the budget is used up", SOON, async || {
        let answer = proxy.get(&page).await;
        (answer.status == 302).then_some(answer)
    })
    .await;
    let home = format!("http://{}/p?q&coral-no-serve", origin.addr);
    assert_eq!(bounced.field("location"), home);
    assert!(
        bounced
            .field("cache-status")
            .contains("fwd=bypass; detail=day_bytes")
    );
    assert_eq!(bounced.field("cache-control"), "no-store");
    assert!(
        proxy
            .metric("atoll_proxy_bounced_total{reason=\"day_bytes\"}")
            .await
            >= 1
    );
    // A site that sends its visitors straight back gets each of them once more, and no more.
    let back = Page::new(&page.host, "/p?q&coral-no-serve");
    let again = proxy.get(&back).await;
    assert_eq!(
        (again.status, again.field("location")),
        (302, format!("{home}&coral-no-serve"))
    );
    let third = Page::new(&page.host, "/p?q&coral-no-serve&coral-no-serve");
    assert_eq!(proxy.get(&third).await.status, 508);
    assert_eq!(origin.count("/p?q"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_over_its_share_is_sent_home_and_others_are_not() {
    let place = Place::alone().await;
    let greedy = Origin::start(&place).await;
    let modest = Origin::start_at((place.ip(99), 0).into(), None).await;
    greedy.serves("/", |_| Reply::pattern(50_000).fresh_for(60));
    modest.serves("/", |_| Reply::page("modest").fresh_for(60));
    let proxy = Proxy::alone(&place, &[set("share.bytes_per_second", "200KiB")]).await;
    let (mut home, mut served) = (0, 0);
    let began = wait::now();
    while wait::now().since(began) < Duration::from_secs(4) {
        for _ in 0..10 {
            match proxy.get(&greedy.page("/")).await.status {
                302 => home += 1,
                status => assert_eq!(status, 200),
            }
        }
        let answer = proxy.get(&modest.page("/")).await;
        assert_eq!(answer.status, 200);
        served += 1;
    }
    assert!(home > 10 && served > 3, "{home} sent home, {served} served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_hangs_leaves_slots_to_others_and_hits_never_wait() {
    let place = Place::alone().await;
    let hanging = Origin::start(&place).await;
    let other = Origin::start_at((place.ip(99), 0).into(), None).await;
    let gate = Gate::new();
    for n in 0..40 {
        let gate = gate.clone();
        hanging.serves(&format!("/{n}"), move |_| Reply::page("late").behind(&gate));
    }
    for n in 0..20 {
        other.serves(&format!("/{n}"), |_| Reply::page("other").fresh_for(60));
    }
    let sets = [
        set("origin.fetches_max", 8),
        set("origin.queue_max", 8),
        set("origin.queue_timeout", "300ms"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    assert_eq!(proxy.get(&other.page("/0")).await.text(), "other");
    let asks = (0..40).map(|n| {
        let ask = proxy.ask(&hanging.page(&format!("/{n}")));
        tokio::spawn(async move { ask.fetch().await })
    });
    let asks: Vec<_> = asks.collect();
    let bounced = async || {
        proxy
            .metric("atoll_proxy_bounced_total{reason=\"site_busy\"}")
            .await
            == 36
    };
    wait::until(
        "those over the site's share are sent home",
        EVENTUALLY,
        bounced,
    )
    .await;
    assert_eq!(proxy.metric("atoll_proxy_origin_fetches").await, 4);
    for n in 0..20 {
        let asked = wait::now();
        let answer = proxy.get(&other.page(&format!("/{n}"))).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "other"));
        assert!(wait::now().since(asked) < Duration::from_secs(1));
    }
    gate.open();
    let mut statuses = Vec::new();
    for ask in asks {
        statuses.push(ask.await.unwrap().status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 4);
    assert_eq!(statuses.iter().filter(|status| **status == 302).count(), 36);
    wait::until("slots are given back", SOON, async || {
        proxy.metric("atoll_proxy_origin_fetches").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_slot_a_stale_copy_will_do_and_a_full_node_says_503() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/kept", |_| {
        Reply::page("kept")
            .header("Cache-Control", "max-age=0")
            .header("ETag", "\"1\"")
    });
    let sets = [
        set("origin.queue_timeout", "100ms"),
        set("origin.queue_max", 4),
    ];
    let mut all = sets.to_vec();
    all.push(set("origin.fetches_max", 1));
    let proxy = Proxy::alone(&place, &all).await;
    let fresh = proxy.get(&origin.page("/kept")).await;
    assert_eq!(fresh.text(), "kept");
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/slow", move |_| Reply::page("slow").behind(&held));
    let slow = proxy.ask(&origin.page("/slow"));
    let slow = tokio::spawn(async move { slow.fetch().await });
    wait::until("the slot is taken", SOON, async || {
        origin.count("/slow") == 1
    })
    .await;
    let stale = proxy.get(&origin.page("/kept")).await;
    assert_eq!((stale.status, stale.text().as_str()), (200, "kept"));
    assert!(
        stale.field("cache-status").contains("node_busy"),
        "{}",
        stale.field("cache-status")
    );
    let none = proxy.get(&origin.page("/other")).await;
    assert_eq!(
        (none.status, none.field("retry-after").as_str()),
        (503, "1")
    );
    assert!(none.field("proxy-status").contains("node_busy"));
    gate.open();
    assert_eq!(slow.await.unwrap().text(), "slow");
}
