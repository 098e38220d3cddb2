//! Large objects in slices, at one proxy: no more is fetched than is asked for, nothing is fetched twice, and
//! what is shown is of one version.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::client::{Answer, Page};
use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY, SOON};
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 64 * MIB + 12_345;

/// A film of `size` bytes whose site knows ranges.
fn film(origin: &Origin, size: u64) -> Page {
    origin.serves("/film", move |request| {
        let reply = Reply::pattern(size).ranged_by("\"v1\"", request);
        reply.header("accept-ranges", "bytes").fresh_for(600)
    });
    origin.page("/film")
}

async fn range(proxy: &Proxy, page: &Page, asked: &str) -> Answer {
    proxy.ask(page).header("range", asked).fetch().await
}

/// The answer has exactly these bytes.
fn has(answer: &Answer, bytes: Range<u64>) {
    assert_eq!((answer.status, &answer.broken), (206, &None), "{bytes:?}");
    let stated = format!("bytes {}-{}/{SIZE}", bytes.start, bytes.end - 1);
    assert_eq!(answer.field("content-range"), stated);
    assert!(answer.body == pattern::whole(bytes.clone()), "{bytes:?}");
    assert_eq!(answer.field("atoll-total"), "", "between proxies only");
}

/// The ranges that the origin was asked for.
fn asked(origin: &Origin) -> Vec<String> {
    let seen = origin.seen("/film").into_iter();
    let range =
        |request: harness::origin::Request| request.header("range").unwrap_or("all").to_owned();
    seen.map(range).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_fetches_the_slices_that_it_needs_and_no_others() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    let answer = range(&proxy, &page, "bytes=20971530-23068672").await;
    has(&answer, 20_971_530..23_068_673);
    assert_eq!(
        asked(&origin),
        ["bytes=20971520-24117247"],
        "three slices, once"
    );
    let answer = range(&proxy, &page, "bytes=21000000-21000009").await;
    has(&answer, 21_000_000..21_000_010);
    assert!(
        answer.field("cache-status").contains("; hit"),
        "{}",
        answer.field("cache-status")
    );
    // Before and after what is here.
    let answer = range(&proxy, &page, "bytes=19922944-24117248").await;
    has(&answer, 19_922_944..24_117_249);
    let mut all = asked(&origin);
    all[1..].sort();
    assert_eq!(
        all[1..],
        ["bytes=19922944-20971519", "bytes=24117248-25165823"]
    );
    // One byte of the last was asked for; whether the rest of it comes, now that nobody waits, is open.
    let fetched = proxy
        .metric("atoll_proxy_fetched_bytes_total{source=\"origin\"}")
        .await;
    assert!(fetched > 4 * MIB && fetched <= 5 * MIB, "{fetched}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_player_that_seeks_about_costs_what_it_sees() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    // The head, the tail where the index of the film is, then the middle, each left early.
    let mut head = proxy.ask(&page).header("range", "bytes=0-").open().await;
    head.skip(300_000).await;
    drop(head);
    let tail = range(&proxy, &page, "bytes=-100000").await;
    has(&tail, SIZE - 100_000..SIZE);
    for start in [30 * MIB + 17, 50 * MIB] {
        let asked = format!("bytes={start}-");
        let mut seek = proxy.ask(&page).header("range", &asked).open().await;
        assert_eq!(seek.status, 206);
        seek.skip(100_000).await;
    }
    let odd = range(&proxy, &page, &format!("bytes={SIZE}-")).await;
    assert_eq!(
        (odd.status, odd.field("content-range")),
        (416, format!("bytes */{SIZE}"))
    );
    let fetched = proxy
        .metric("atoll_proxy_fetched_bytes_total{source=\"origin\"}")
        .await;
    assert!(fetched < 24 * MIB, "{} MiB for four looks", fetched / MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_download_is_one_request_and_is_kept_in_slices() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    let mut crowd = JoinSet::new();
    for _ in 0..4 {
        let ask = proxy.ask(&page);
        crowd.spawn(async move { ask.open().await.finish_pattern().await });
    }
    let ends = wait::within("a crowd reads it", EVENTUALLY, crowd.join_all()).await;
    assert!(ends.iter().all(|end| *end == Ok(SIZE)), "{ends:?}");
    let fetched = proxy
        .metric("atoll_proxy_fetched_bytes_total{source=\"origin\"}")
        .await;
    assert!(fetched < SIZE + 8 * MIB, "{} MiB", fetched / MIB);
    origin.die().await;
    let answer = range(&proxy, &page, "bytes=1048570-3145740").await;
    has(&answer, 1_048_570..3_145_741);
    let mut whole = proxy.ask(&page).open().await;
    assert_eq!(whole.headers["content-length"], SIZE.to_string());
    assert_eq!(
        whole.finish_pattern().await,
        Ok(SIZE),
        "with its origin dead"
    );
    let parts = range(&proxy, &page, "bytes=5-9,40000000-40000004").await;
    assert_eq!((parts.status, parts.broken), (206, None));
    let text = parts.body;
    for part in [
        pattern::whole(5..10),
        pattern::whole(40_000_000..40_000_005),
    ] {
        assert!(text.windows(5).any(|bytes| *bytes == part[..]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_download_asks_for_the_rest_alone() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    let answer = range(&proxy, &page, "bytes=40000000-").await;
    has(&answer, 40_000_000..SIZE);
    assert_eq!(asked(&origin), ["bytes=39845888-"]);
    // If-Range with another version in hand: all of the one there is.
    let ask = proxy.ask(&page).header("range", "bytes=40000000-");
    let mut other = ask.header("if-range", "\"v0\"").open().await;
    assert_eq!(other.status, 200);
    assert_eq!(other.finish_pattern().await, Ok(SIZE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_object_asked_for_by_range_is_kept_whole() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, 200_000);
    for (asked, bytes) in [
        ("bytes=0-9", 0..10),
        ("bytes=150000-150009", 150_000..150_010),
    ] {
        let answer = range(&proxy, &page, asked).await;
        assert_eq!((answer.status, answer.broken), (206, None));
        assert_eq!(answer.body, pattern::whole(bytes));
    }
    assert_eq!(proxy.get(&page).await.body, pattern::whole(0..200_000));
    assert_eq!(
        asked(&origin),
        ["bytes=0-1048575"],
        "one request for all of it"
    );
    // A beginning, which is completed.
    origin.serves("/long", |request| {
        Reply::pattern(3 * MIB)
            .ranged_by("\"v1\"", request)
            .fresh_for(60)
    });
    let long = range(&proxy, &origin.page("/long"), "bytes=0-1048575").await;
    assert_eq!(long.body, pattern::whole(0..MIB));
    assert_eq!(
        proxy.get(&origin.page("/long")).await.body,
        pattern::whole(0..3 * MIB)
    );
    let parts = origin.seen("/long");
    assert_eq!(parts[0].header("range"), Some("bytes=0-1048575"));
    assert_eq!(parts[1].header("range"), Some("bytes=1048576-"));
    // From the middle: the part that came is of no use.
    origin.serves("/late", |request| {
        Reply::pattern(3 * MIB)
            .ranged_by("\"v1\"", request)
            .fresh_for(60)
    });
    let late = range(&proxy, &origin.page("/late"), "bytes=2000000-2000009").await;
    assert_eq!(late.body, pattern::whole(2_000_000..2_000_010));
    assert_eq!(origin.count("/late"), 2);
    assert_eq!(
        proxy.get(&origin.page("/late")).await.body.len() as u64,
        3 * MIB
    );
    assert_eq!(origin.count("/late"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_told_apart_or_parted_is_fetched_whole() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let size = 12 * MIB;
    origin.serves("/weak", move |request| {
        let reply = Reply::pattern(size).ranged_by("W/\"v1\"", request);
        reply.header("accept-ranges", "bytes").fresh_for(60)
    });
    origin.serves("/plain", move |_| {
        Reply::pattern(size).header("etag", "\"a\"").fresh_for(60)
    });
    // It says that it knows ranges, and does not.
    origin.serves("/liar", move |_| {
        let reply = Reply::pattern(size).header("etag", "\"a\"");
        reply.header("accept-ranges", "bytes").fresh_for(60)
    });
    for path in ["/weak", "/plain", "/liar"] {
        let page = origin.page(path);
        let part = range(&proxy, &page, "bytes=9000000-9000009").await;
        assert_eq!((part.status, part.broken), (206, None), "{path}");
        assert_eq!(part.body, pattern::whole(9_000_000..9_000_010), "{path}");
        let whole = proxy.ask(&page).open().await.finish_pattern().await;
        assert_eq!(whole, Ok(size), "{path}");
    }
    assert_eq!((origin.count("/weak"), origin.count("/plain")), (2, 1));
    assert!(origin.count("/liar") <= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_changes_midway_breaks_and_is_never_mixed() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let version = Arc::new(AtomicU64::new(1));
    let now = Arc::clone(&version);
    origin.serves("/film", move |request| {
        let version = now.load(Ordering::SeqCst);
        let reply = Reply::pattern_from((version - 1) * 7, SIZE);
        let reply = reply.ranged_by(&format!("\"v{version}\""), request);
        reply.header("accept-ranges", "bytes").fresh_for(600)
    });
    let page = origin.page("/film");
    let first = range(&proxy, &page, "bytes=10485760-12582911").await;
    has(&first, 10 * MIB..12 * MIB);
    version.store(2, Ordering::SeqCst);
    // What is here is still of the first version, and fresh; what is not breaks visibly.
    let first = range(&proxy, &page, "bytes=10485760-12582911").await;
    has(&first, 10 * MIB..12 * MIB);
    let mut old = proxy
        .ask(&page)
        .header("range", "bytes=10485760-")
        .open()
        .await;
    let broken = loop {
        let at = old.received;
        match old.next().await {
            Ok(Some(bytes)) => assert!(pattern::matches(10 * MIB + at, &bytes), "a mixture"),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    // The reset takes what is still on its way with it.
    assert!(broken && old.received <= 2 * MIB, "{}", old.received);
    // Who asks next has the new one, all of it.
    let new = proxy.get(&page).await;
    assert_eq!((new.status, &new.broken), (200, &None));
    assert!(
        new.body == pattern::whole(7..SIZE + 7),
        "the second version"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_does_not_pull_ahead_and_one_who_left_pulls_nothing() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    let mut slow = proxy.ask(&page).open().await;
    slow.skip(1).await;
    let fetched = || proxy.metric("atoll_proxy_fetched_bytes_total{source=\"origin\"}");
    // What fits into sockets counts as read.
    wait::pause(std::time::Duration::from_secs(2)).await;
    let before = fetched().await;
    assert!(before <= 24 * MIB, "{} MiB for one byte", before / MIB);
    drop(slow);
    wait::pause(std::time::Duration::from_secs(1)).await;
    let left = fetched().await;
    wait::pause(std::time::Duration::from_secs(1)).await;
    assert!(fetched().await <= left + MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_larger_than_the_cache_passes_in_little_memory() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    let sets = [
        set("store.memory", "16MiB"),
        set("store.disk", "32MiB"),
        set("store.under_way", "16MiB"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let size = 256 * MIB;
    let page = film(&origin, size);
    for _ in 0..2 {
        let mut crowd = JoinSet::new();
        for from in [0, 100 * MIB + 1] {
            let ask = proxy.ask(&page).header("range", &format!("bytes={from}-"));
            crowd.spawn(async move {
                let mut download = ask.open().await;
                while let Some(bytes) = download.next().await.unwrap() {
                    let at = from + download.received - bytes.len() as u64;
                    assert!(pattern::matches(at, &bytes), "other bytes at {at}");
                }
                from + download.received
            });
        }
        let ends = wait::within("two readers", EVENTUALLY, crowd.join_all()).await;
        assert_eq!(ends, [size, size]);
    }
    match proxy.daemon.memory_peak() {
        // What was freed goes back to the system a little later.
        Some(peak) => assert!(peak < 160 << 20, "{} MiB", peak >> 20),
        None => skip::loudly("this system does not tell the memory of a process"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_manifest_is_confirmed_once_and_its_slices_stay() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/film", |request| {
        let reply = Reply::pattern(SIZE);
        let reply = match request.header("if-none-match") {
            Some(_) => reply.validated_by("\"v1\"", request),
            None => reply.ranged_by("\"v1\"", request),
        };
        reply
            .header("accept-ranges", "bytes")
            .header("cache-control", "no-cache")
    });
    let page = origin.page("/film");
    for _ in 0..3 {
        let answer = range(&proxy, &page, "bytes=30000000-30000009").await;
        has(&answer, 30_000_000..30_000_010);
    }
    let conditions = |request: &harness::origin::Request| request.header("if-none-match").is_some();
    let seen = origin.seen("/film");
    assert_eq!(seen.iter().filter(|request| conditions(request)).count(), 2);
    assert_eq!(seen.len(), 3, "one slice, fetched once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_one_place_fetches_each_slice_once() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/film", move |request| {
        let reply = Reply::pattern(SIZE).ranged_by("\"v1\"", request);
        reply
            .header("accept-ranges", "bytes")
            .fresh_for(600)
            .behind(&held)
    });
    let page = origin.page("/film");
    let mut crowd = JoinSet::new();
    for _ in 0..10 {
        let ask = proxy.ask(&page).header("range", "bytes=31457280-33554431");
        crowd.spawn(async move { ask.fetch().await });
    }
    wait::until("the origin is asked", SOON, async || {
        origin.count("/film") == 1
    })
    .await;
    gate.open();
    for answer in wait::within("all are answered", EVENTUALLY, crowd.join_all()).await {
        has(&answer, 30 * MIB..32 * MIB);
    }
    assert_eq!(asked(&origin), ["bytes=31457280-33554431"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_outlive_the_process() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let mut proxy = Proxy::alone(&place, &[]).await;
    let page = film(&origin, SIZE);
    let part = "bytes=40000000-43000000";
    has(&range(&proxy, &page, part).await, 40_000_000..43_000_001);
    let written = "atoll_proxy_disk_writes_total{outcome=\"written\"}";
    wait::until("its head and four slices are on disk", SOON, async || {
        proxy.metric(written).await == 5
    })
    .await;
    proxy.daemon.kill();
    proxy.daemon.start_again();
    proxy.until_up().await;
    origin.die().await;
    let again = range(&proxy, &page, part).await;
    has(&again, 40_000_000..43_000_001);
    let status = again.field("cache-status");
    assert!(
        status.contains("; hit") && status.contains("slices"),
        "{status}"
    );
}
