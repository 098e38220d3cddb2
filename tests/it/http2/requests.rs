//! What a request may say.

use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;

use super::frames::{
    END_STREAM, Frame, Framed, GOAWAY, HEADERS, INTERNAL_ERROR, PROTOCOL_ERROR, REFUSED_STREAM,
    RST_STREAM,
};

/// The status at the beginning of a header block: 200, 400 and 404 have numbers of their own
/// (RFC 7541 appendix A). Any other is the byte that it begins with.
fn status(frame: &Frame) -> u16 {
    match frame.content[0] {
        0x88 => 200,
        0x8c => 400,
        0x8d => 404,
        other => u16::from(other),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_contradicts_itself_is_refused_and_others_are_answered() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/", |_| Reply::page("here").fresh_for(60));
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/").host;
    let mut client = Framed::connect(proxy.http, &[]).await;
    client.send(&[Frame::get(1, &host, "/", &[])]).await;
    assert_eq!(status(&client.until(HEADERS).await), 200);
    client
        .send(&[Frame::get(3, &host, "/", &[("host", &host)])])
        .await;
    assert_eq!(
        status(&client.until(HEADERS).await),
        200,
        "said twice, the same"
    );
    let other = [("host", "other.example.com.nyud.test")];
    client.send(&[Frame::get(5, &host, "/", &other)]).await;
    assert_eq!(status(&client.until(HEADERS).await), 400, "two hosts");
    for field in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
    ] {
        let mut client = Framed::connect(proxy.http, &[]).await;
        client.send(&[Frame::get(1, &host, "/", &[field])]).await;
        let reset = client.until(RST_STREAM).await;
        assert_eq!(reset.code(), PROTOCOL_ERROR, "{field:?}");
    }
    assert_eq!(origin.count("/"), 1);
    let refusals = "atoll_proxy_refusals_total{reason=\"many_hosts\"}";
    assert_eq!(proxy.metric(refusals).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_at_once_than_may_be_are_refused_each_for_itself() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/held", move |_| {
        Reply::page("here").fresh_for(60).behind(&held)
    });
    let proxy = Proxy::alone(&place, &[set("http2.streams_max", 4)]).await;
    let host = origin.page("/held").host;
    let mut client = Framed::connect(proxy.http, &[]).await;
    let frames: Vec<_> = (0..5)
        .map(|n| Frame::get(2 * n + 1, &host, "/held", &[]))
        .collect();
    client.send(&frames).await;
    let refused = client.until(RST_STREAM).await;
    assert_eq!((refused.stream, refused.code()), (9, REFUSED_STREAM));
    gate.open();
    for _ in 0..4 {
        assert_eq!(status(&client.until(HEADERS).await), 200);
    }
    assert_eq!(origin.count("/held"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_broke_off_ends_with_a_reset() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/cut", |_| Reply::pattern(100_000).cut_after(50_000));
    let proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/cut").host;
    let mut client = Framed::connect(proxy.http, &[]).await;
    client.send(&[Frame::get(1, &host, "/cut", &[])]).await;
    let mut ended = false;
    loop {
        let frame = client.next().await.expect("a reset comes before the end");
        ended |= frame.kind == 0 && frame.flags & END_STREAM != 0;
        if frame.kind == RST_STREAM {
            assert_eq!(frame.code(), INTERNAL_ERROR);
            break;
        }
        assert_ne!(
            frame.kind, GOAWAY,
            "others on the connection have no part in it"
        );
    }
    assert!(!ended, "a clean end of half a body");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_is_off_the_preface_is_a_bad_request() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[set("http2.enabled", false)]).await;
    let answer = harness::client::raw(proxy.http, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 505 ") || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
}
