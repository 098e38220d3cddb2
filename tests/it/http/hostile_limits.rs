//! Bounds on clients: size, time, number.

use std::time::Duration;

use harness::client::raw;
use harness::cluster::{Proxy, set};
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, EVENTUALLY, SOON};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_drips_is_refused_with_408_and_an_idle_connection_closed() {
    let place = Place::shared().await;
    let sets = [
        set("http.header_timeout", "300ms"),
        set("http.idle_timeout", "600ms"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let answer = raw(proxy.http, b"GET / HTTP/1.1\r\nHost: a").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("head_timeout"), "{answer}");
    let mut idle = TcpStream::connect(proxy.http).await.unwrap();
    let closed = wait::within("an idle connection is closed", SOON, async {
        let mut bytes = Vec::new();
        idle.read_to_end(&mut bytes).await.map(|_| bytes)
    });
    assert_eq!(closed.await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sizes_have_their_own_answers() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let head =
        |line: &str, fields: &str| format!("{line}\r\nHost: a.com.nyud.test\r\n{fields}\r\n");
    let path = "a".repeat(9_000);
    for (status, word, request) in [
        (
            414,
            "url_too_long",
            head(&format!("GET /{path} HTTP/1.1"), ""),
        ),
        // Said before the line ends, for it may never.
        (414, "url_too_long", format!("GET /{path}")),
        (
            431,
            "fields_too_large",
            head("GET / HTTP/1.1", &format!("X: {}\r\n", "y".repeat(70_000))),
        ),
        (
            431,
            "fields_too_large",
            format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(70_000)),
        ),
        (
            431,
            "fields_too_large",
            head("GET / HTTP/1.1", &"X: y\r\n".repeat(101)),
        ),
        (
            413,
            "body_too_large",
            head("GET / HTTP/1.1", "Content-Length: 70000\r\n"),
        ),
    ] {
        let answer = raw(proxy.http, request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{word}: {answer:.80}"
        );
        assert!(
            answer.contains(&format!("details=\"{word}\"")),
            "{answer:.400}"
        );
    }
}

/// A connection that asks for a page and then reads nothing, with a small window.
async fn asks_and_stalls(to: std::net::SocketAddr, host: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stall_do_not_slow_others() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    origin.serves("/large", |_| Reply::pattern(8 << 20).fresh_for(60));
    origin.serves("/small", |_| Reply::page("small").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    assert_eq!(proxy.get(&origin.page("/small")).await.status, 200);
    let mut stalled = Vec::new();
    for _ in 0..200 {
        stalled.push(asks_and_stalls(proxy.http, &host, "/large").await);
    }
    for _ in 0..20 {
        let asked = wait::now();
        assert_eq!(proxy.get(&origin.page("/small")).await.text(), "small");
        assert!(wait::now().since(asked) < Duration::from_secs(1));
    }
    let whole = proxy
        .ask(&origin.page("/large"))
        .open()
        .await
        .finish_pattern()
        .await;
    assert_eq!(whole, Ok(8 << 20));
    assert_eq!(origin.count("/large"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_cannot_have_all_connections() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let sets = [
        set("client.exempt", "192.0.2.0/24"),
        set("http.connections_per_client", 20),
        set("http.connections_max", 50),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(TcpStream::connect(proxy.http).await.unwrap());
    }
    let refused = async || {
        proxy
            .metric("atoll_proxy_connections_refused_total{reason=\"client\"}")
            .await
            == 40
    };
    wait::until("those over the bound are closed", EVENTUALLY, refused).await;
    // Another neighbourhood is served: its address is not in the same /24.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.200.200.1:0".parse().unwrap()).unwrap();
    let mut other = socket.connect(proxy.http).await.unwrap();
    let host = origin.page("/").host;
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    other.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = other.read_to_string(&mut answer);
    wait::within("the other client is answered", SOON, read)
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(held);
    let gone = async || proxy.metric("atoll_proxy_connections").await == 0;
    wait::until("connections are given up", EVENTUALLY, gone).await;
    assert_eq!(proxy.get(&origin.page("/")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_is_closed_and_service_goes_on() {
    let place = Place::alone().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let proxy = Proxy::alone(&place, &[set("http.connections_max", 50)]).await;
    let mut flood = Vec::new();
    for _ in 0..500 {
        flood.push(TcpStream::connect(proxy.http).await.unwrap());
    }
    let refused = async || {
        proxy
            .metric("atoll_proxy_connections_refused_total{reason=\"full\"}")
            .await
            >= 450
    };
    wait::until("those over the bound are closed", EVENTUALLY, refused).await;
    drop(flood);
    let gone = async || proxy.metric("atoll_proxy_connections").await == 0;
    wait::until("connections are given up", EVENTUALLY, gone).await;
    assert_eq!(proxy.get(&origin.page("/")).await.text(), "front");
}
