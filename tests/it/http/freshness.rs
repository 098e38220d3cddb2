//! What is kept, for how long, for whom, and what happens after (RFC 9111).

use harness::cluster::Proxy;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_used_while_it_is_fresh_and_validated_after() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let date = "Sat, 21 Nov 2020 07:28:00 GMT";
    origin.serves("/etag", |request| {
        Reply::page("tagged")
            .fresh_for(1)
            .validated_by("\"v1\"", request)
    });
    origin.serves("/date", move |request| {
        let reply = Reply::page("dated")
            .fresh_for(1)
            .header("last-modified", date);
        match request.header("if-modified-since") {
            Some(since) if since == date => Reply::status(304, "")
                .fresh_for(1)
                .header("last-modified", date),
            _ => reply,
        }
    });
    for (path, text, validator) in [
        ("/etag", "tagged", "if-none-match"),
        ("/date", "dated", "if-modified-since"),
    ] {
        let page = origin.page(path);
        assert_eq!(proxy.get(&page).await.text(), text);
        let hit = proxy.get(&page).await;
        assert!(
            hit.field("cache-status").contains("; hit"),
            "{}",
            hit.field("cache-status")
        );
        assert!(hit.field("age").parse::<u32>().is_ok());
        assert_eq!(origin.count(path), 1);
        // A second later it is no longer fresh; the origin confirms it without a body.
        wait::until("it is validated", SOON, async || {
            let answer = proxy.get(&page).await;
            assert_eq!((answer.status, answer.text()), (200, text.to_owned()));
            origin.count(path) == 2
        })
        .await;
        assert!(origin.seen(path)[1].header(validator).is_some(), "{path}");
        // What was confirmed is fresh again.
        let before = origin.count(path);
        proxy.get(&page).await;
        assert!(origin.count(path) <= before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_page_replaces_the_copy() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/news", |request| {
        let version = format!("\"v{}\"", request.nth);
        Reply::page(format!("news {}", request.nth))
            .fresh_for(1)
            .validated_by(&version, request)
    });
    let page = origin.page("/news");
    assert_eq!(proxy.get(&page).await.text(), "news 1");
    wait::until("the change shows", SOON, async || {
        proxy.get(&page).await.text() == "news 2"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_forbids_is_not_kept() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (n, control) in [
        "private",
        "no-store",
        "private, max-age=60",
        "no-store, max-age=60",
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/{n}");
        origin.serves(&path, move |_| {
            Reply::page("once")
                .header("cache-control", control)
                .header("etag", "\"1\"")
        });
        for asked in 1..=3 {
            let answer = proxy.get(&origin.page(&path)).await;
            assert_eq!(answer.text(), "once");
            assert!(!answer.field("cache-status").contains("; hit"), "{control}");
            assert_eq!(origin.count(&path), asked, "{control}");
            assert_eq!(
                origin.seen(&path)[asked - 1].header("if-none-match"),
                None,
                "{control}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticated_answer_is_not_kept_and_the_credentials_stay_here() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/account", |_| Reply::page("account").fresh_for(60));
    let page = origin.page("/account");
    for asked in 1..=2 {
        let ask = proxy.ask(&page).header("authorization", "Basic dTpw");
        assert_eq!(ask.fetch().await.text(), "account");
        assert_eq!(origin.count("/account"), asked, "not kept");
    }
    let seen = origin.seen("/account");
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").is_none())
    );
    proxy.get(&page).await;
    proxy.get(&page).await;
    assert_eq!(origin.count("/account"), 3, "a plain answer is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_varies_is_kept_once_per_variant() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/hello", |request| {
        let language = request
            .header("accept-language")
            .unwrap_or("none")
            .to_owned();
        Reply::page(language)
            .fresh_for(60)
            .header("vary", "Accept-Language")
    });
    origin.serves("/star", |_| {
        Reply::page("x").fresh_for(60).header("vary", "*")
    });
    let page = origin.page("/hello");
    for _ in 0..2 {
        for language in ["de", "en"] {
            let answer = proxy
                .ask(&page)
                .header("accept-language", language)
                .fetch()
                .await;
            assert_eq!(answer.text(), language);
        }
    }
    assert_eq!(origin.count("/hello"), 2);
    proxy.get(&origin.page("/star")).await;
    proxy.get(&origin.page("/star")).await;
    assert_eq!(origin.count("/star"), 2, "Vary: * matches nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_copy_stands_in_for_a_dead_origin() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| {
        Reply::page("kept").fresh_for(1).header("etag", "\"1\"")
    });
    origin.serves("/strict", |_| {
        Reply::page("strict").header("cache-control", "max-age=1, must-revalidate")
    });
    proxy.get(&origin.page("/page")).await;
    proxy.get(&origin.page("/strict")).await;
    origin.die().await;
    wait::until("the copy is stale and serves", SOON, async || {
        let answer = proxy.get(&origin.page("/page")).await;
        assert_eq!((answer.status, answer.text()), (200, "kept".to_owned()));
        answer.field("cache-status").contains("connect_refused")
    })
    .await;
    let strict = async || proxy.get(&origin.page("/strict")).await.status;
    wait::until("who must be asked is an error", SOON, async || {
        strict().await != 200
    })
    .await;
    assert!(matches!(strict().await, 502 | 504));
    let never_seen = proxy.get(&origin.page("/other")).await;
    assert_eq!(never_seen.status, 502, "nothing stands in for it");
    assert!(never_seen.text().contains("seems to be down"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_copy_stands_in_for_a_failing_origin_but_not_for_the_owners_word() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (path, status) in [("/broken", 500), ("/gone", 410), ("/lost", 404)] {
        origin.serves(path, move |request| match request.nth {
            1 => Reply::page("first").fresh_for(1),
            _ => Reply::status(status, "second").fresh_for(60),
        });
        let page = origin.page(path);
        assert_eq!(proxy.get(&page).await.text(), "first");
        let mut last = None;
        wait::until("the origin is asked again", SOON, async || {
            let answer = proxy.get(&page).await;
            last = Some((answer.status, answer.text()));
            origin.count(path) >= 2
        })
        .await;
        let expected = if status == 500 {
            (200, "first")
        } else {
            (status, "second")
        };
        assert_eq!(last, Some((expected.0, expected.1.to_owned())), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_if_cached_fetches_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| Reply::page("x").fresh_for(60));
    let ask = proxy
        .ask(&origin.page("/page"))
        .header("cache-control", "only-if-cached");
    assert_eq!(ask.fetch().await.status, 504);
    assert_eq!(origin.count_all(), 0);
    proxy.get(&origin.page("/page")).await;
    assert_eq!(ask.fetch().await.status, 200);
}
