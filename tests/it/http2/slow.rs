//! Clients that take their time, and how connections end.

use harness::cluster::{Proxy, set};
use harness::origin::{Gate, Origin, Reply};
use harness::place::Place;
use harness::wait::{self, SOON};
use rustix::process::Signal;

use super::frames::{
    CANCEL, END_STREAM, ENHANCE_YOUR_CALM, Frame, Framed, GOAWAY, HEADERS, NO_ERROR, RST_STREAM,
};

/// SETTINGS_INITIAL_WINDOW_SIZE of 0: nothing may be sent.
const SHUT: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_takes_is_cut_and_the_connection_lives_on() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    origin.serves("/large", |_| Reply::pattern(4 << 20).fresh_for(60));
    origin.serves("/small", |_| Reply::page("here").fresh_for(60));
    let proxy = Proxy::alone(&place, &[set("http.send_timeout", "500ms")]).await;
    let host = origin.page("/large").host;
    let mut client = Framed::connect(proxy.http, &SHUT).await;
    for (stream, path) in [(1, "/large"), (3, "/small")] {
        client.send(&[Frame::get(stream, &host, path, &[])]).await;
        let reset = client.until(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (stream, CANCEL), "{path}");
    }
    let cut = async || proxy.metric("atoll_proxy_http2_streams_cut_total").await == 2;
    wait::until("both are counted", SOON, cut).await;
    // What needs no window still comes.
    let mut head = Frame::get(5, &host, "/small", &[]);
    head.content = super::frames::block(&[
        (":method", "HEAD"),
        (":scheme", "http"),
        (":authority", &host),
        (":path", "/small"),
    ]);
    client.send(&[head]).await;
    let answer = client.until(HEADERS).await;
    assert_eq!(answer.flags & END_STREAM, END_STREAM);
    assert_eq!(proxy.metric("atoll_proxy_requests_in_flight").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_header_block_and_silence_have_their_deadlines() {
    let place = Place::shared().await;
    let sets = [
        set("http.header_timeout", "400ms"),
        set("http.idle_timeout", "800ms"),
    ];
    let proxy = Proxy::alone(&place, &sets).await;
    let mut half = Framed::connect(proxy.http, &[]).await;
    half.send(&[Frame::new(HEADERS, END_STREAM, 1, &[])]).await;
    let last = half.end().await.map(|frame| frame.code());
    assert_eq!(last, Some(ENHANCE_YOUR_CALM));
    let mut idle = Framed::connect(proxy.http, &[]).await;
    let last = idle.end().await.map(|frame| frame.code());
    assert_eq!(last, Some(NO_ERROR));
    let mut silent = Framed::connect(proxy.http, &[]).await;
    // Not even the settings are there to the end.
    silent.raw(&[0, 0]).await;
    assert!(silent.end().await.is_some());
    let gone = async || proxy.metric("atoll_proxy_connections").await == 0;
    wait::until("all are gone", SOON, gone).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_ends_says_so_and_finishes_what_is_under_way() {
    let place = Place::shared().await;
    let origin = Origin::start(&place).await;
    let gate = Gate::new();
    let held = gate.clone();
    origin.serves("/held", move |_| {
        Reply::page("here").fresh_for(60).behind(&held)
    });
    let mut proxy = Proxy::alone(&place, &[]).await;
    let host = origin.page("/held").host;
    let mut busy = Framed::connect(proxy.http, &[]).await;
    let mut idle = Framed::connect(proxy.http, &[]).await;
    busy.send(&[Frame::get(1, &host, "/held", &[])]).await;
    wait::until("the origin is asked", SOON, async || {
        origin.count("/held") == 1
    })
    .await;
    proxy.daemon.signal(Signal::TERM);
    assert_eq!(busy.until(GOAWAY).await.code(), NO_ERROR);
    assert_eq!(idle.end().await.map(|frame| frame.code()), Some(NO_ERROR));
    gate.open();
    assert_eq!(busy.until(HEADERS).await.stream, 1);
    assert_eq!(busy.until(0).await.content, b"here");
    drop(busy);
    wait::until("the proxy has ended", SOON, async || !proxy.daemon.runs()).await;
}
