//! Smuggling and splitting: a request that two readers could read in two ways is refused, and what
//! stands behind it is never taken for a request.

use harness::client::raw;
use harness::cluster::Proxy;
use harness::origin::{Origin, Reply};
use harness::place::Place;
use harness::wait::{self, SOON};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Status codes of all answers in what came back.
fn statuses(answer: &str) -> Vec<&str> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads
        .map(|head| head.get(..3).unwrap_or_default())
        .collect()
}

/// Fields of a first request that ends with `\r\n\r\n` and what it is answered.
const AMBIGUOUS: &[(&str, &str, &str)] = &[
    (
        "length_and_coding",
        "POST / HTTP/1.1",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
    ),
    (
        "length_and_coding",
        "GET / HTTP/1.1",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
    ),
    (
        "length_and_coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
    ),
    (
        "length_and_coding",
        "POST / HTTP/1.1",
        "transfer-encoding: CHUNKED\r\ncontent-length: 4",
    ),
    (
        "coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding: xchunked\r\nContent-Length: 4",
    ),
    (
        "coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ),
    (
        "coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding: identity, chunked",
    ),
    (
        "coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding: \x0bchunked",
    ),
    (
        "coding",
        "POST / HTTP/1.1",
        "Transfer-Encoding:\r\n chunked",
    ),
    ("coding", "POST / HTTP/1.0", "Transfer-Encoding: chunked"),
    (
        "space_before_colon",
        "POST / HTTP/1.1",
        "Transfer-Encoding : chunked",
    ),
    (
        "space_before_colon",
        "POST / HTTP/1.1",
        "Content-Length\t: 4",
    ),
    (
        "lengths",
        "POST / HTTP/1.1",
        "Content-Length: 4\r\nContent-Length: 40",
    ),
    (
        "lengths",
        "POST / HTTP/1.1",
        "Content-Length: 4\r\nContent-Length: 4",
    ),
    ("length", "POST / HTTP/1.1", "Content-Length: 4, 4"),
    ("length", "POST / HTTP/1.1", "Content-Length: +4"),
    ("length", "POST / HTTP/1.1", "Content-Length: 0x4"),
    ("length", "POST / HTTP/1.1", "Content-Length: 4 4"),
    ("length", "POST / HTTP/1.1", "Content-Length:"),
    (
        "folded",
        "GET / HTTP/1.1",
        "X: y\r\n Transfer-Encoding: chunked",
    ),
    (
        "bare_cr",
        "GET / HTTP/1.1",
        "X: y\rTransfer-Encoding: chunked",
    ),
    ("bare_cr", "GET /\r HTTP/1.1", "X: y"),
    ("nul", "GET / HTTP/1.1", "X: y\0z"),
    ("nul", "GET /\0 HTTP/1.1", "X: y"),
    (
        "field_name",
        "GET / HTTP/1.1",
        "Transfer-Encoding\x0b: chunked",
    ),
    ("field_name", "GET / HTTP/1.1", "no colon here"),
    ("request_line", "GET / HTTP/1.1 HTTP/1.1", "X: y"),
    ("request_line", "GET /\tx HTTP/1.1", "X: y"),
    ("request_line", "GET /", "X: y"),
    ("asterisk", "GET * HTTP/1.1", "X: y"),
    ("asterisk", "POST * HTTP/1.1", "X: y"),
    ("version", "GET / HTTP/1.2", "X: y"),
    ("version", "PRI * HTTP/2.0", "X: y"),
];

/// An origin with a page that nobody should get asked for, a proxy before it, and their Host.
async fn with_a_page_to_smuggle(place: &Place) -> (Origin, Proxy, String) {
    let origin = Origin::start(place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    origin.serves("/smuggled", |_| Reply::page("smuggled").fresh_for(60));
    let proxy = Proxy::alone(place, &[]).await;
    let host = origin.page("/").host;
    (origin, proxy, host)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ambiguous_request_is_refused_and_hides_no_other() {
    let place = Place::shared().await;
    let (origin, proxy, host) = with_a_page_to_smuggle(&place).await;
    let hidden = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for (word, line, fields) in AMBIGUOUS {
        for between in ["0\r\n\r\n", "", "4\r\nbody\r\n0\r\n\r\n"] {
            let request = format!("{line}\r\nHost: {host}\r\n{fields}\r\n\r\n{between}{hidden}");
            let answer = raw(proxy.http, request.as_bytes()).await;
            let want = if *word == "version" { "505" } else { "400" };
            assert_eq!(statuses(&answer), [want], "{line:?} {fields:?}:\n{answer}");
            assert!(
                answer.contains(&format!("details=\"{word}\"")),
                "{fields:?}:\n{answer}"
            );
            assert!(
                answer.to_lowercase().contains("connection: close"),
                "{answer}"
            );
        }
    }
    assert_eq!(origin.count_all(), 0);
    let refused = proxy
        .metric("atoll_proxy_refusals_total{reason=\"length_and_coding\"}")
        .await;
    assert_eq!(refused, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_dropped_never_forwarded_and_ends_the_connection() {
    let place = Place::shared().await;
    let (origin, proxy, host) = with_a_page_to_smuggle(&place).await;
    let hidden = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let many = "1;a=b\r\nx\r\n".repeat(3_000);
    for (method, field, body, want) in [
        ("GET", "Content-Length: 4", "body", "200"),
        ("GET", "Content-Length: 4", "", "200"),
        (
            "HEAD",
            "Transfer-Encoding: chunked",
            "4\r\nbody\r\n0\r\n\r\n",
            "200",
        ),
        // Chunk sizes and extensions of every kind: nobody reads them.
        (
            "GET",
            "Transfer-Encoding: chunked",
            "4;ext=\"\r\n\"\r\nbody\r\n0\r\n\r\n",
            "200",
        ),
        ("GET", "Transfer-Encoding: chunked", "4\nbody\n0\n\n", "200"),
        (
            "GET",
            "Transfer-Encoding: chunked",
            "ffffffffffffffff4\r\nbody\r\n0\r\n\r\n",
            "200",
        ),
        (
            "GET",
            "Transfer-Encoding: chunked",
            "0\r\nHost: evil\r\n\r\n",
            "200",
        ),
        ("GET", "Transfer-Encoding: chunked", &many, "200"),
        ("GET", "Content-Length: 65537", "", "413"),
        ("GET", "Content-Length: 18446744073709551615", "", "413"),
        ("POST", "Content-Length: 4", "body", "405"),
        (
            "POST",
            "Content-Length: 99999999\r\nExpect: 100-continue",
            "",
            "405",
        ),
        (
            "PUT",
            "Transfer-Encoding: chunked",
            "4\r\nbody\r\n0\r\n\r\n",
            "405",
        ),
    ] {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: {host}\r\n{field}\r\n\r\n{body}{hidden}");
        let answer = raw(proxy.http, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [want], "{method} {field}:\n{answer}");
    }
    assert_eq!(origin.count("/smuggled"), 0);
    for seen in origin.seen("/") {
        assert_eq!(seen.header("content-length"), None);
        assert_eq!(seen.header("transfer-encoding"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    for n in 0..20 {
        let body = format!("page {n};");
        origin.serves(&format!("/{n}"), move |_| {
            Reply::page(body.clone()).fresh_for(60)
        });
    }
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    let ask = |n: usize| format!("GET /{n} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let all: String = (0..20).map(ask).collect();
    let last = format!("GET /19 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for end in ["\r\n", "\n"] {
        let request = format!("{all}{last}").replace("\r\n", end);
        let answer = raw(proxy.http, request.as_bytes()).await;
        assert_eq!(statuses(&answer), ["200"; 21]);
        let order = (0..20).map(|n| answer.find(&format!("page {n};")).unwrap());
        assert!(order.clone().is_sorted(), "{:?}", order.collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_among_good_ones_ends_the_line() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("front").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    let good = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let bad = format!("GET / HTTP/1.1\r\nHost : {host}\r\n\r\n");
    let answer = raw(proxy.http, format!("{good}{good}{bad}{good}").as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "200", "400"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_after_the_answer_to_a_request_with_a_body_is_no_request() {
    let place = Place::shared().await;
    let (origin, proxy, host) = with_a_page_to_smuggle(&place).await;
    let hidden = format!("GET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for first in [
        format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
    ] {
        let exchange = async {
            let mut stream = TcpStream::connect(proxy.http).await.unwrap();
            stream.write_all(first.as_bytes()).await.unwrap();
            let mut answer = vec![0; 65_536];
            let got = stream.read(&mut answer).await.unwrap();
            assert!(answer[..got].starts_with(b"HTTP/1.1 "), "{first}");
            // The body, as it was announced, and then what would be a request on a connection that goes on.
            let rest = format!("{hidden}{hidden}");
            drop(stream.write_all(rest.as_bytes()).await);
            let mut more = Vec::new();
            drop(stream.read_to_end(&mut more).await);
            let all = [&answer[..got], &more].concat();
            String::from_utf8_lossy(&all).into_owned()
        };
        let answer = wait::within("the connection ends", SOON, exchange).await;
        assert_eq!(statuses(&answer).len(), 1, "{first}:\n{answer}");
    }
    assert_eq!(origin.count("/smuggled"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_stays_here_selects_no_variant() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |request| {
        let language = request.header("accept-language").unwrap_or("none");
        let reply = Reply::page(language.to_owned()).fresh_for(60);
        reply.header("vary", "Accept-Language")
    });
    let proxy = Proxy::alone(&place, &[]).await;
    let page = origin.page("/");
    // What Connection lists is not sent on, so the answer is that to a request without it.
    let hidden = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nAccept-Language: de\r\nConnection: close, accept-language\r\n\r\n",
        page.host
    );
    let answer = raw(proxy.http, hidden.as_bytes()).await;
    assert!(answer.ends_with("none"), "{answer}");
    let others = proxy.ask(&page).header("accept-language", "de");
    assert_eq!(others.fetch().await.text(), "de");
}
