//! The client that CoralCDN met most and no browser resembles: a downloader of podcasts that says
//! HTTP/1.0, names no host, and puts the whole URL in its request.

use harness::client;
use harness::cluster::Proxy;
use harness::origin::{Origin, Reply};
use harness::pattern;
use harness::place::Place;
use harness::wait::{self, SOON};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EPISODE: u64 = 300_000;

/// Sends the head and reads to the end of the connection, as such clients do.
async fn ask(proxy: &Proxy, origin: &Origin, path: &str, more: &str) -> (String, Vec<u8>) {
    let page = origin.page(path);
    let head = format!(
        "GET http://{}{} HTTP/1.0\r\nUser-Agent: PodGrab/0.9\r\n{more}\r\n",
        page.host, page.path
    );
    let exchange = async {
        let mut stream = TcpStream::connect(proxy.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    let bytes = wait::within("the connection ends", SOON, exchange).await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.unwrap() + 4);
    (String::from_utf8_lossy(head).to_lowercase(), body.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_http_1_0_without_host_gets_the_page_of_its_url() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/length", |_| Reply::pattern(EPISODE).fresh_for(60));
    origin.serves("/chunked", |_| {
        Reply::pattern(EPISODE).fresh_for(60).chunked()
    });
    for path in ["/length", "/chunked"] {
        for _ in 0..2 {
            let (head, body) = ask(&proxy, &origin, path, "").await;
            assert!(head.starts_with("http/1."), "{head}");
            assert!(head.contains(" 200 "), "{head}");
            assert!(!head.contains("transfer-encoding"), "{path}: {head}");
            assert_eq!(body.len() as u64, EPISODE, "{path}: {head}");
            assert!(pattern::matches(0, &body), "{path}");
        }
        assert_eq!(origin.count(path), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_client_resumes_where_it_was() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/episode", |request| {
        Reply::pattern(EPISODE)
            .fresh_for(60)
            .ranged_by("\"e1\"", request)
    });
    for _ in 0..2 {
        let range = "Range: bytes=200000-\r\nIf-Range: \"e1\"\r\n";
        let (head, body) = ask(&proxy, &origin, "/episode", range).await;
        assert!(head.contains(" 206 "), "{head}");
        assert!(
            head.contains("content-range: bytes 200000-299999/300000"),
            "{head}"
        );
        assert_eq!(body.len(), 100_000);
        assert!(pattern::matches(200_000, &body));
        let (_, whole) = ask(&proxy, &origin, "/episode", "").await;
        assert!(pattern::matches(0, &whole) && whole.len() as u64 == EPISODE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn such_a_client_is_not_told_of_another_site_by_a_host_of_its_own() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[]).await;
    origin.serves("/page", |_| Reply::page("mine").fresh_for(60));
    let page = origin.page("/page");
    // The target decides, whatever stands in Host (RFC 9112 §3.2.2), or the request is refused.
    let head = format!(
        "GET http://{}{} HTTP/1.0\r\nHost: other.example.nyud.test\r\n\r\n",
        page.host, page.path
    );
    let answer = client::raw(proxy.http, head.as_bytes()).await;
    assert!(
        answer.ends_with("\r\n\r\nmine") || answer.contains(" 400 "),
        "{answer}"
    );
}
