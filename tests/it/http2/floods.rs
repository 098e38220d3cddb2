//! Frames that ask for nothing.

use harness::cluster::{Proxy, set};
use harness::place::Place;

use super::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, Framed, HEADERS, PING,
    RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

/// What a client may not send again and again, and what that is called.
fn floods() -> Vec<(&'static str, Vec<Frame>)> {
    let ping = Frame::new(PING, 0, 0, &[0; 8]);
    let window = Frame::new(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
    let begin = Frame::new(HEADERS, END_STREAM, 1, &[]);
    let mut pieces = vec![begin];
    pieces.extend((0..50).map(|_| Frame::new(CONTINUATION, 0, 1, &[])));
    vec![
        ("pings", vec![ping; 2_000]),
        ("settings", vec![Frame::new(SETTINGS, 0, 0, &[]); 2_000]),
        ("windows", vec![window; 2_000]),
        ("others", vec![Frame::new(2, 0, 1, &[0; 5]); 2_000]),
        ("continuations", pieces),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_is_told_to_calm_down_and_cut() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    for (what, frames) in floods() {
        let mut client = Framed::connect(proxy.http, &[]).await;
        client.send(&frames).await;
        let last = client.end().await;
        // Where much was on its way the end may come as a reset, which takes the last word along.
        if let Some(last) = last {
            assert_eq!(last.code(), ENHANCE_YOUR_CALM, "{what}");
        }
        let series = format!("atoll_proxy_http2_floods_total{{reason=\"{what}\"}}");
        assert_eq!(proxy.metric(&series).await, 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_taken_back_at_once_are_a_flood() {
    let place = Place::shared().await;
    let origin = harness::origin::Origin::start(&place).await;
    let proxy = Proxy::alone(&place, &[set("http2.resets_max", 20)]).await;
    let mut client = Framed::connect(proxy.http, &[]).await;
    let host = origin.page("/").host;
    let mut frames = Vec::new();
    for n in 0..200 {
        let stream = 2 * n + 1;
        frames.push(Frame::get(stream, &host, &format!("/{n}"), &[]));
        frames.push(Frame::new(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    client.send(&frames).await;
    if let Some(last) = client.end().await {
        assert_eq!(last.code(), ENHANCE_YOUR_CALM);
    }
    let series = "atoll_proxy_http2_floods_total{reason=\"resets\"}";
    assert_eq!(proxy.metric(series).await, 1);
    assert!(origin.count_all() <= 40, "{} fetches", origin.count_all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_list_beyond_the_bound_is_answered_431_and_a_bomb_is_cut() {
    let place = Place::shared().await;
    let proxy = Proxy::alone(&place, &[]).await;
    let mut client = Framed::connect(proxy.http, &[]).await;
    let large = "a".repeat(16_000);
    let own = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "example.com.nyud.test"),
        (":path", "/"),
    ];
    let fields: Vec<_> = own
        .into_iter()
        .chain((0..6).map(|_| ("x", &*large)))
        .collect();
    let block = super::frames::block(&fields);
    let mut pieces = block.chunks(16_000).peekable();
    let (mut kind, mut flags) = (HEADERS, END_STREAM);
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            flags |= END_HEADERS;
        }
        client.send(&[Frame::new(kind, flags, 1, piece)]).await;
        (kind, flags) = (CONTINUATION, 0);
    }
    // Answered or cut, and never passed on.
    let mut refused = false;
    while let Some(frame) = client.next().await {
        if frame.kind == HEADERS || frame.kind == RST_STREAM || frame.kind == super::frames::GOAWAY
        {
            refused = true;
            break;
        }
    }
    assert!(refused);
    assert_eq!(
        proxy
            .metric("atoll_proxy_fetches_total{source=\"origin\"}")
            .await,
        0
    );
}
