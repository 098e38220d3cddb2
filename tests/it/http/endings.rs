//! How connections end: towards old clients, slow clients, and when this machine has no more.

use std::time::Duration;

use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::skip;
use harness::wait::{self, EVENTUALLY, SOON};
use http::Method;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

fn old_request(origin: &Origin, path: &str) -> String {
    let page = origin.page(path);
    format!("GET {} HTTP/1.0\r\nHost: {}\r\n\r\n", page.path, page.host)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_http_1_0_hears_a_break_as_a_reset_and_an_end_as_an_end() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/cut", |_| {
        Reply::pattern(50_000).chunked().cut_after(20_000)
    });
    origin.serves("/whole", |_| Reply::pattern(50_000).chunked());
    for (path, whole) in [("/cut", false), ("/whole", true)] {
        let mut stream = TcpStream::connect(proxy.http).await.unwrap();
        let request = old_request(&origin, path);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = wait::within("an end", SOON, stream.read_to_end(&mut answer)).await;
        assert_eq!(read.is_ok(), whole, "{path}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_a_byte_now_and_then_is_cut() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[set("http.send_timeout", "3s")]).await;
    origin.serves("/large", |_| Reply::pattern(40_000_000).fresh_for(60));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(proxy.http).await.unwrap();
    let request = old_request(&origin, "/large");
    stream.write_all(request.as_bytes()).await.unwrap();
    let reads = tokio::spawn(async move {
        while stream.read_u8().await.is_ok() {
            wait::pause(Duration::from_millis(100)).await;
        }
    });
    wait::until("its request is being served", SOON, async || {
        proxy.metric("atoll_proxy_connections").await == 1
    })
    .await;
    // A reader at its own pace, but not that slow, is left alone.
    let modest = proxy.ask(&origin.page("/large"));
    let modest = tokio::spawn(async move {
        let mut download = modest.open().await;
        for read in 1..=20 {
            download.skip(read * 100_000).await;
            wait::pause(Duration::from_millis(100)).await;
        }
        download.finish_pattern().await
    });
    wait::until("the slow one is cut", SOON, async || {
        proxy.metric("atoll_proxy_connections").await <= 1
    })
    .await;
    let read = wait::within("the modest one ends", EVENTUALLY, modest).await;
    assert_eq!(read.unwrap(), Ok(40_000_000));
    wait::until("nobody is left", SOON, async || {
        proxy.metric("atoll_proxy_connections").await == 0
    })
    .await;
    reads.abort();
}

/// Leaves a process exactly `free` descriptors; gives its limit before. `None` where the system
/// does not tell which it has.
fn leave_descriptors(pid: u32, free: usize) -> Option<Rlimit> {
    let taken: Vec<u64> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let limit = (0..).filter(|fd| !taken.contains(fd)).nth(free)?;
    limit_descriptors(pid, Some(limit))
}

fn limit_descriptors(pid: u32, limit: Option<u64>) -> Option<Rlimit> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let now = rustix::process::getrlimit(Resource::Nofile);
    let current = limit.or(now.maximum);
    let new = Rlimit {
        current,
        maximum: now.maximum,
    };
    prlimit(pid, Resource::Nofile, new).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lack_of_descriptors_here_is_not_held_against_the_origin() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| Reply::page("here").until_close());
    let (pid, page) = (proxy.daemon.pid(), origin.page("/page"));
    if leave_descriptors(pid, 1).is_none() {
        return skip::loudly("this system does not let one process limit another");
    }
    // Connections of before may still be closing, so that too much or too little is left at first.
    let answer = wait::some("an answer without a connection", SOON, async || {
        // One for the client's connection, none for the origin's.
        leave_descriptors(pid, 1)?;
        let asked = proxy.ask(&page);
        let answer = tokio::time::timeout(Duration::from_secs(1), asked.try_fetch()).await;
        limit_descriptors(pid, None)?;
        answer.ok()?.ok().filter(|answer| answer.status != 200)
    })
    .await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.field("proxy-status").contains("no_sockets"));
    let answer = proxy.get(&origin.page("/page")).await;
    assert_eq!((answer.status, answer.text()), (200, "here".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_falls_back_to_a_stale_copy_as_get_does() {
    let place = Place::shared().await;
    let mut origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| {
        Reply::page("kept").fresh_for(0).header("etag", "\"1\"")
    });
    assert_eq!(proxy.get(&origin.page("/page")).await.text(), "kept");
    origin.serves("/page", |_| Reply::status(500, "oh"));
    let head = proxy.ask(&origin.page("/page")).method(Method::HEAD);
    let answer = head.fetch().await;
    assert_eq!(answer.status, 200, "an error of the site");
    assert!(answer.field("cache-status").contains("server_error"));
    origin.die().await;
    let answer = head.fetch().await;
    assert_eq!(answer.status, 200, "a dead site");
    assert_eq!(answer.field("content-length"), "4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_under_way_share_one_bound_of_memory() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let sets = [
        set("store.memory", "256KiB"),
        set("store.under_way", "256KiB"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let gate = Gate::new();
    for n in 0..40 {
        let (shared, private) = (gate.clone(), gate.clone());
        let half = |held: &Gate| Reply::pattern(100_000).held_after(50_000, held);
        origin.serves(&format!("/shared/{n}"), move |_| {
            half(&shared).fresh_for(60)
        });
        origin.serves(&format!("/private/{n}"), move |_| {
            half(&private).header("cache-control", "private")
        });
    }
    // Two megabytes held back half-way, in a quarter of that and a piece for each.
    let mut downloads = Vec::new();
    for n in 0..40 {
        let mut download = proxy
            .ask(&origin.page(&format!("/shared/{n}")))
            .open()
            .await;
        download.skip(50_000).await;
        downloads.push(download);
    }
    let used = proxy.metric("atoll_proxy_body_memory_bytes").await;
    assert!((200_000..700_000).contains(&used), "{used} bytes in memory");
    // What may not go to disk is refused, in words, and the site is not blamed.
    let mut refused = None;
    let mut windows = Vec::new();
    for n in 0..40 {
        let download = proxy
            .ask(&origin.page(&format!("/private/{n}")))
            .open()
            .await;
        if download.status == 503 {
            refused = Some(download.finish().await);
            break;
        }
        windows.push(download);
    }
    let refused = refused.expect("a refusal");
    assert!(refused.field("proxy-status").contains("no_memory"));
    assert_eq!(refused.field("retry-after"), "1");
    gate.open();
    for mut download in downloads.into_iter().chain(windows) {
        assert_eq!(download.finish_pattern().await, Ok(100_000));
    }
    wait::until("there is room again", SOON, async || {
        proxy.get(&origin.page("/private/39")).await.status == 200
    })
    .await;
}
