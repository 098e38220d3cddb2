//! Origins that break off, lie about lengths, or answer with nonsense.

use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::wait::{self, SOON};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_body_breaks_the_clients_connection_and_is_never_kept() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let short = || Reply::pattern(50_000).fresh_for(60).cut_after(20_000);
    origin.serves("/length", move |_| short());
    origin.serves("/chunked", move |_| short().chunked());
    origin.serves("/claimed", |_| {
        Reply::pattern(20_000).fresh_for(60).claiming(50_000)
    });
    origin.serves("/reset", move |_| short().then_reset());
    origin.serves("/reset-open", move |_| short().until_close().then_reset());
    for path in ["/length", "/chunked", "/claimed", "/reset", "/reset-open"] {
        for attempt in 1..=2 {
            let before = origin.count(path);
            let answer = proxy.get(&origin.page(path)).await;
            assert!(
                answer.broken.is_some(),
                "{path}, attempt {attempt}: ended cleanly"
            );
            assert!(pattern::matches(0, &answer.body), "{path}");
            assert!(answer.body.len() <= 20_000, "{path}");
            assert!(origin.count(path) > before, "{path}: it was kept");
        }
    }
    origin.serves("/length", |_| Reply::pattern(50_000).fresh_for(60));
    let answer = proxy.get(&origin.page("/length")).await;
    assert_eq!((answer.broken, answer.body.len()), (None, 50_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_once_is_resumed_and_the_client_notices_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/parts", |request| {
        let reply = Reply::pattern(3_000_000)
            .fresh_for(60)
            .ranged_by("\"v1\"", request);
        if request.nth == 1 {
            reply.cut_after(1_000_000)
        } else {
            reply
        }
    });
    origin.serves("/whole", |request| {
        let reply = Reply::pattern(3_000_000).fresh_for(60);
        if request.nth == 1 {
            reply.cut_after(1_000_000)
        } else {
            reply
        }
    });
    for path in ["/parts", "/whole"] {
        let mut download = proxy.ask(&origin.page(path)).open().await;
        assert_eq!(download.finish_pattern().await, Ok(3_000_000), "{path}");
        let hit = proxy.get(&origin.page(path)).await;
        assert!(hit.body == pattern::whole(0..3_000_000), "{path}: the copy");
        assert_eq!(origin.count(path), 2, "{path}");
    }
    let asked = origin.seen("/parts")[1].clone();
    assert_eq!(asked.header("if-range"), Some("\"v1\""));
    assert!(
        asked.header("range").is_some(),
        "only the rest is asked for"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_changed_meanwhile_is_not_sewn_together() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/changing", |request| match request.nth {
        1 => Reply::page(vec![b'a'; 100_000])
            .fresh_for(60)
            .cut_after(50_000),
        _ => Reply::page(vec![b'b'; 100_000]).fresh_for(60),
    });
    let answer = proxy.get(&origin.page("/changing")).await;
    assert!(answer.broken.is_some());
    assert!(
        answer.body.iter().all(|byte| *byte == b'a'),
        "two versions in one body"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_stalls_is_given_up() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let sets = [
        set("origin.header_timeout", "300ms"),
        set("origin.body_timeout", "300ms"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let never = Gate::new();
    let (head, body) = (never.clone(), never.clone());
    origin.serves("/head", move |_| Reply::page("x").behind(&head));
    origin.serves("/body", move |_| {
        Reply::pattern(1_000).held_after(500, &body)
    });
    let answer = wait::within(
        "the head is given up",
        SOON,
        proxy.get(&origin.page("/head")),
    )
    .await;
    assert_eq!(answer.status, 504);
    assert!(
        answer.text().contains("did not answer in time"),
        "{}",
        answer.text()
    );
    // The origin's gate is shut now; another name of it is not.
    let other = Origin::start(&place).await;
    let body = never.clone();
    other.serves("/body", move |_| {
        Reply::pattern(1_000).held_after(500, &body)
    });
    let answer = wait::within(
        "the body is given up",
        SOON,
        proxy.get(&other.page("/body")),
    )
    .await;
    assert!(answer.broken.is_some());
    assert_eq!(answer.body.len(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_a_bad_gateway_with_a_reason() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (path, bytes) in [
        ("/no-http", "what do you want?\r\n\r\n"),
        (
            "/lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        ),
        ("/nothing", ""),
    ] {
        origin.serves(path, move |_| Reply::raw(bytes));
        let answer = proxy.get(&origin.page(path)).await;
        assert_eq!(answer.status, 502, "{path}");
        assert!(!answer.field("proxy-status").is_empty(), "{path}");
        assert_eq!(
            answer.text().lines().count(),
            1,
            "{path}: {}",
            answer.text()
        );
    }
    // Odd, but clear.
    let odd = "HTTP/1.1 200\nContent-Length: 5\nCache-Control : max-age=60\n\nhello";
    origin.serves("/odd", move |_| Reply::raw(odd));
    let answer = proxy.get(&origin.page("/odd")).await;
    assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
}
